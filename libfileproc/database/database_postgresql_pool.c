/* Owns: the pool: how many connections there are, who has which, when a new one may be tried.
 * Must not know: what is done with them.
 *
 * A server that is away is waited for as long as a caller's time allows. When it has been away for longer than that, callers are
 * told at once, and only one of them each backoff interval tries again. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "core/error_private.h"
#include "database/database_postgresql.h"

#define POOL_MAX 64
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 1000
/* A connection idle for longer is asked before it is relied on; the time it has for the answer. */
#define IDLE_MS 30000
#define ANSWER_MS 2000

typedef struct place {
    fpi_postgresql_connection *conn;
    int64_t used_ms;
    pthread_t owner;
    bool busy;
} place;

/* Somebody who stands in a line; lives on its stack. */
typedef struct waiter {
    struct waiter *next;
    bool called;
    place *granted; /* in the line for places */
    pthread_t thread;
    pthread_cond_t wake;
} waiter;

struct fpi_postgresql_pool {
    fp_context *ctx;
    fpi_postgresql_target target;
    uint32_t patience_ms;
    pthread_condattr_t monotonic;
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t aside;   /* somebody stepped aside, or the server is here again */
    bool repeating;         /* somebody repeats a transaction */
    bool pressing;          /* ... and not for the first time: nobody new may be in his way */
    waiter *repeaters;      /* who wait to be the next */
    waiter *waiters;        /* for a place */
    int64_t suspect_ms;     /* a connection broke; those used last before that are asked, too */
    int64_t away_since_ms;  /* the server can't be reached; 0 = it can */
    int64_t retry_at_ms;    /* ... when it is tried again */
    int64_t backoff_ms;     /* ... and how long that is */
    fp_error away;          /* ... and why */
    size_t count;           /* of places */
    place places[POOL_MAX]; /* with and without a connection */
};

static void cond_init(const fpi_postgresql_pool *pool, pthread_cond_t *cond)
{
    pthread_cond_init(cond, &pool->monotonic);
}

/* False when the time is over. */
static bool wait_until(fpi_postgresql_pool *pool, pthread_cond_t *cond, int64_t ms)
{
    struct timespec at = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

    return pthread_cond_timedwait(cond, &pool->lock, &at) == 0;
}

fp_status fpi_postgresql_pool_new(fp_context *ctx, const char *uri, const fp_database_options *opts,
                                  fpi_postgresql_pool **out, fp_error *err)
{
    FPI_CLEANUP(fpi_postgresql_pool) pool = fpi_calloc(&ctx->a, 1, sizeof(*pool));
    size_t by_default = (size_t)opts->max_readers * 2;
    fp_status rc;

    if (!pool)
        return fpi_no_memory(err);
    pool->ctx = ctx;
    pool->patience_ms = opts->busy_timeout_ms;
    pthread_condattr_init(&pool->monotonic);
    pthread_condattr_setclock(&pool->monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    cond_init(pool, &pool->aside);
    rc = fpi_postgresql_target_parse(ctx, uri, &pool->target, err);
    if (rc < 0)
        return rc;
    pool->count = pool->target.pool_size ? pool->target.pool_size : by_default;
    if (pool->count > POOL_MAX)
        pool->count = POOL_MAX;
    *out = fpi_steal(&pool);
    return FILEPROC_OK;
}

void fpi_postgresql_pool_free(fpi_postgresql_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->count; i++)
        fpi_postgresql_connection_close(pool->places[i].conn);
    fpi_postgresql_target_dispose(&pool->target);
    pthread_cond_destroy(&pool->aside);
    pthread_mutex_destroy(&pool->lock);
    pthread_condattr_destroy(&pool->monotonic);
    fpi_free(&pool->ctx->a, pool);
}

/* The connection used last comes first, then a place without one. NULL = all are busy. */
static place *find_place(fpi_postgresql_pool *pool)
{
    place *best = NULL;

    for (size_t i = 0; i < pool->count; i++) {
        place *p = &pool->places[i];

        if (p->busy)
            continue;
        if (!best || (p->conn && (!best->conn || p->used_ms > best->used_ms)))
            best = p;
    }
    return best;
}

static bool has_one(const fpi_postgresql_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->places[i].busy && pthread_equal(pool->places[i].owner, pthread_self()))
            return true;
    return false;
}

/* Who came first is called first. False when the time ran out. */
static bool stand_in_line(fpi_postgresql_pool *pool, waiter **line, waiter *w, int64_t deadline_ms)
{
    waiter **at = line;

    while (*at)
        at = &(*at)->next;
    *at = w;
    cond_init(pool, &w->wake);
    while (!w->called && wait_until(pool, &w->wake, deadline_ms))
        ;
    if (!w->called) {
        for (at = line; *at != w;)
            at = &(*at)->next;
        *at = w->next;
    }
    pthread_cond_destroy(&w->wake);
    return w->called;
}

/* NULL = nobody stands there. What the waiter is to find in its record must be set before the lock is let go. */
static waiter *call_first(waiter **line)
{
    waiter *w = *line;

    if (w) {
        *line = w->next;
        w->called = true;
        pthread_cond_signal(&w->wake);
    }
    return w;
}

static place *wait_for_place(fpi_postgresql_pool *pool, int64_t deadline_ms)
{
    waiter w = { .thread = pthread_self() };

    return stand_in_line(pool, &pool->waiters, &w, deadline_ms) ? w.granted : NULL;
}

static fp_status take_place(fpi_postgresql_pool *pool, int64_t deadline_ms, place **out,
                            bool *suspect, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    place *p = NULL;

    pthread_mutex_lock(&pool->lock);
    if (has_one(pool)) {
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID,
                           "a transaction can't be started inside another");
    } else {
        if (!pool->waiters)
            p = find_place(pool);
        if (!p)
            p = wait_for_place(pool, deadline_ms);
        if (!p)
            rc = fp_error_setf(err, FILEPROC_ERR_BUSY,
                               "database: all %zu connections have been in use for too long",
                               pool->count);
    }
    if (p) {
        p->busy = true;
        p->owner = pthread_self();
        *suspect = p->used_ms <= pool->suspect_ms || fpi_monotonic_ms() - p->used_ms > IDLE_MS;
        *out = p;
    }
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

/* A waiter gets it at once, so that nobody who comes now is faster. */
static void give_place(fpi_postgresql_pool *pool, place *p)
{
    waiter *w;

    pthread_mutex_lock(&pool->lock);
    p->used_ms = fpi_monotonic_ms();
    w = call_first(&pool->waiters);
    p->busy = w != NULL;
    if (w) {
        w->granted = p;
        p->owner = w->thread;
    }
    pthread_mutex_unlock(&pool->lock);
}

static void close_connection(fpi_postgresql_pool *pool, place *p)
{
    fpi_postgresql_connection *conn;

    pthread_mutex_lock(&pool->lock);
    pool->suspect_ms = fpi_monotonic_ms();
    conn = fpi_steal(&p->conn);
    pthread_mutex_unlock(&pool->lock);
    fpi_postgresql_connection_close(conn);
}

static fp_status tell_away(const fpi_postgresql_pool *pool, int64_t now, fp_error *err)
{
    if (err) {
        *err = pool->away;
        err->retry_after_ms =
            pool->retry_at_ms > now ? (uint32_t)(pool->retry_at_ms - now) : BACKOFF_FIRST_MS;
    }
    return pool->away.code;
}

/* While the server is away: waits for the next try, or tells that there is none for this caller. */
static fp_status wait_for_server(fpi_postgresql_pool *pool, int64_t deadline_ms, fp_error *err)
{
    int64_t now = fpi_monotonic_ms(), until;
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&pool->lock);
    until = pool->retry_at_ms < deadline_ms ? pool->retry_at_ms : deadline_ms;
    if (pool->away_since_ms && now < pool->retry_at_ms &&
        now - pool->away_since_ms > pool->patience_ms)
        rc = tell_away(pool, now, err);
    else if (pool->away_since_ms && until > now)
        while (pool->away_since_ms && wait_until(pool, &pool->aside, until))
            ;
    if (pool->away_since_ms && rc == FILEPROC_OK)
        pool->retry_at_ms = fpi_monotonic_ms() + pool->backoff_ms; /* this one tries */
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

static void note_away(fpi_postgresql_pool *pool, const fp_error *e)
{
    int64_t now = fpi_monotonic_ms();

    pthread_mutex_lock(&pool->lock);
    pool->away = *e;
    pool->backoff_ms = pool->away_since_ms ? pool->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (pool->backoff_ms > BACKOFF_MAX_MS)
        pool->backoff_ms = BACKOFF_MAX_MS;
    if (!pool->away_since_ms)
        pool->away_since_ms = now;
    pool->retry_at_ms = now + pool->backoff_ms;
    pthread_mutex_unlock(&pool->lock);
}

static void note_here(fpi_postgresql_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->away_since_ms)
        pthread_cond_broadcast(&pool->aside);
    pool->away_since_ms = 0;
    pthread_mutex_unlock(&pool->lock);
}

static fp_status connect_place(fpi_postgresql_pool *pool, place *p, int64_t deadline_ms,
                               fp_error *err)
{
    fpi_postgresql_connection *conn = NULL;
    fp_error e = { 0 };
    fp_status rc;

    do {
        rc = wait_for_server(pool, deadline_ms, &e);
        if (rc < 0)
            break;
        rc = fpi_postgresql_connection_open(pool->ctx, &pool->target, pool->patience_ms,
                                            deadline_ms, &conn, &e);
        if (rc == FILEPROC_ERR_BUSY)
            note_away(pool, &e);
    } while (rc == FILEPROC_ERR_BUSY && fpi_monotonic_ms() < deadline_ms);
    if (rc == FILEPROC_OK) {
        note_here(pool);
        pthread_mutex_lock(&pool->lock);
        p->conn = conn;
        pthread_mutex_unlock(&pool->lock);
    } else if (err) {
        *err = e;
    }
    return rc;
}

static bool usable(fpi_postgresql_connection *conn, bool suspect)
{
    if (!fpi_postgresql_connection_up(conn))
        return false;
    return !suspect || fpi_postgresql_connection_answers(conn, fpi_monotonic_ms() + ANSWER_MS);
}

fp_status fpi_postgresql_pool_take(fpi_postgresql_pool *pool, int64_t deadline_ms,
                                   fpi_postgresql_connection **out, fp_error *err)
{
    bool suspect = false;
    place *p = NULL;
    fp_status rc = take_place(pool, deadline_ms, &p, &suspect, err);

    if (!p)
        return rc;
    if (p->conn && !usable(p->conn, suspect))
        close_connection(pool, p);
    if (!p->conn)
        rc = connect_place(pool, p, deadline_ms, err);
    if (rc < 0)
        give_place(pool, p);
    else
        *out = p->conn;
    return rc;
}

static place *place_of(fpi_postgresql_pool *pool, const fpi_postgresql_connection *conn)
{
    place *p = pool->places;

    pthread_mutex_lock(&pool->lock);
    while (p->conn != conn)
        p++;
    pthread_mutex_unlock(&pool->lock);
    return p;
}

void fpi_postgresql_pool_give(fpi_postgresql_pool *pool, fpi_postgresql_connection *conn)
{
    place *p = place_of(pool, conn);

    if (conn->broken)
        close_connection(pool, p);
    give_place(pool, p);
}

bool fpi_postgresql_pool_owns(fpi_postgresql_pool *pool, int backend_pid)
{
    bool owns = false;

    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < pool->count; i++)
        owns = owns || (pool->places[i].conn && pool->places[i].conn->backend_pid == backend_pid);
    pthread_mutex_unlock(&pool->lock);
    return owns;
}

const fpi_postgresql_target *fpi_postgresql_pool_target(const fpi_postgresql_pool *pool)
{
    return &pool->target;
}

uint32_t fpi_postgresql_pool_patience_ms(const fpi_postgresql_pool *pool)
{
    return pool->patience_ms;
}

bool fpi_postgresql_pool_queue_up(fpi_postgresql_pool *pool, int64_t deadline_ms)
{
    waiter w = { .called = false };
    bool mine = true;

    pthread_mutex_lock(&pool->lock);
    if (pool->repeating)
        mine = stand_in_line(pool, &pool->repeaters, &w, deadline_ms);
    else
        pool->repeating = true;
    pthread_mutex_unlock(&pool->lock);
    return mine;
}

void fpi_postgresql_pool_press(fpi_postgresql_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->pressing = true;
    pthread_mutex_unlock(&pool->lock);
}

void fpi_postgresql_pool_step_aside(fpi_postgresql_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->pressing = false;
    pool->repeating = call_first(&pool->repeaters) != NULL;
    pthread_cond_broadcast(&pool->aside);
    pthread_mutex_unlock(&pool->lock);
}

void fpi_postgresql_pool_let_pass(fpi_postgresql_pool *pool, int64_t deadline_ms)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->pressing && !has_one(pool) && wait_until(pool, &pool->aside, deadline_ms))
        ;
    pthread_mutex_unlock(&pool->lock);
}
