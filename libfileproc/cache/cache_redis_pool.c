/* Owns: the connections to a Redis server: how many there are, who has which, whether the server is there, when it is tried again.
 * Must not know: what is asked on them.
 *
 * Three states. HERE: calls take a connection, or make one. AWAY, until retry_at_ms: calls fail at once. TRYING: the one who came
 * first after that connects, the others still fail at once; so a dead or silent server costs one caller the time of one
 * call per backoff interval, and the others nothing. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cache/cache_redis_private.h"
#include "core/error_private.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
/* Longer than this nobody is told to wait. */
#define HINT_MIN_MS 10

typedef enum pool_state { HERE, AWAY, TRYING } pool_state;

struct fpi_redis_pool {
    fp_context *ctx;
    const fpi_redis_settings *s;
    pthread_mutex_t lock;     /* guards what follows */
    pthread_cond_t given;     /* a connection came back, or a place became free */
    fpi_redis_link *idle[64]; /* the one used last at the end */
    size_t idle_count, open;  /* `open` counts those in use, too */
    pool_state state;
    int64_t retry_at_ms;
    uint32_t failures; /* in a row */
    bool told;         /* that it is away, to the log */
    fp_error why;      /* it is away */
};

int64_t fpi_redis_backoff_ms(const fp_context *ctx, uint32_t failures)
{
    int64_t bound = BACKOFF_FIRST_MS;
    uint64_t random = 0;

    for (uint32_t i = 1; i < failures && bound < BACKOFF_MAX_MS; i++)
        bound *= 2;
    bound = bound < BACKOFF_MAX_MS ? bound : BACKOFF_MAX_MS;
    (void)fpi_random(ctx, &random, sizeof(random), NULL);
    return bound / 2 + (int64_t)(random % (uint64_t)(bound / 2 + 1));
}

fp_status fpi_redis_away(const fp_error *why, int64_t retry_in_ms, fp_error *err)
{
    fp_status code = why->code;

    if (code != FILEPROC_ERR_AUTH && code != FILEPROC_ERR_INVALID)
        code = FILEPROC_ERR_BUSY;
    if (err) {
        *err = *why;
        err->code = code;
        if (code == FILEPROC_ERR_BUSY)
            err->flags |= FILEPROC_ERROR_RETRYABLE;
        err->retry_after_ms = retry_in_ms > HINT_MIN_MS ? (uint32_t)retry_in_ms : HINT_MIN_MS;
    }
    return code;
}

fp_status fpi_redis_pool_new(fp_context *ctx, const fpi_redis_settings *s, fpi_redis_pool **out,
                             fp_error *err)
{
    fpi_redis_pool *pool = fpi_calloc(&ctx->a, 1, sizeof(*pool));
    pthread_condattr_t attr;

    if (!pool)
        return fpi_no_memory(err);
    pool->ctx = ctx;
    pool->s = s;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given, &attr);
    pthread_condattr_destroy(&attr);
    *out = pool;
    return FILEPROC_OK;
}

void fpi_redis_pool_free(fpi_redis_pool *pool)
{
    if (!pool)
        return;
    while (pool->idle_count)
        fpi_redis_link_close(pool->idle[--pool->idle_count]);
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    fpi_free(&pool->ctx->a, pool);
}

/* With the lock, like what follows up to connect_place(). */
static void note_away(fpi_redis_pool *pool, const fp_error *why)
{
    int64_t wait;

    if (pool->state == AWAY && fpi_monotonic_ms() < pool->retry_at_ms)
        return; /* one of those who were under way has said so before */
    wait = fpi_redis_backoff_ms(pool->ctx, ++pool->failures);
    pool->state = AWAY;
    pool->retry_at_ms = fpi_monotonic_ms() + wait;
    pool->why = *why;
    if (!pool->told)
        fpi_log(pool->ctx, FILEPROC_LOG_WARN, "redis", "away: %s", why->message);
    pool->told = true;
}

static void note_here(fpi_redis_pool *pool)
{
    pool->state = HERE;
    pool->failures = 0;
    if (pool->told)
        fpi_log(pool->ctx, FILEPROC_LOG_INFO, "redis", "here again");
    pool->told = false;
}

static fp_status tell_away(const fpi_redis_pool *pool, fp_error *err)
{
    int64_t left = pool->state == AWAY ? pool->retry_at_ms - fpi_monotonic_ms() : 0;

    return fpi_redis_away(&pool->why, left, err);
}

/* One that has ended while nobody used it is put into *dead; the caller comes again. */
static fpi_redis_link *pop(fpi_redis_pool *pool, fpi_redis_link **dead)
{
    fpi_redis_link *link;

    if (!pool->idle_count)
        return NULL;
    link = pool->idle[--pool->idle_count];
    if (fpi_redis_link_is_up(link))
        return link;
    pool->open--;
    *dead = link;
    return NULL;
}

static fp_status all_busy(const fpi_redis_pool *pool, fp_error *err)
{
    fp_status rc = fp_error_setf(err, FILEPROC_ERR_BUSY,
                                 "redis: all %u connections have been in use for too long",
                                 pool->s->pool_size);

    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

/* What take() is to do: use *link, or make one (*link is NULL). */
static fp_status find_place(fpi_redis_pool *pool, int64_t deadline_ms, fpi_redis_link **link,
                            fp_error *err)
{
    struct timespec at = { (time_t)(deadline_ms / 1000), (long)(deadline_ms % 1000 * 1000000) };

    for (;;) {
        fpi_redis_link *dead = NULL;

        if (pool->state == TRYING ||
            (pool->state == AWAY && fpi_monotonic_ms() < pool->retry_at_ms))
            return tell_away(pool, err);
        *link = pop(pool, &dead);
        fpi_redis_link_close(dead);
        if (dead)
            continue;
        if (*link)
            return FILEPROC_OK;
        if (pool->open < pool->s->pool_size) {
            pool->open++;
            if (pool->state == AWAY)
                pool->state = TRYING;
            return FILEPROC_OK;
        }
        if (pthread_cond_timedwait(&pool->given, &pool->lock, &at) != 0)
            return all_busy(pool, err);
    }
}

static fp_status connect_place(fpi_redis_pool *pool, int64_t deadline_ms, fpi_redis_link **out,
                               fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = fpi_redis_link_open(pool->ctx, pool->s, deadline_ms, out, &e);

    pthread_mutex_lock(&pool->lock);
    if (rc == FILEPROC_OK) {
        if (pool->state == TRYING) /* it has answered; whether it answers on is seen by the call */
            pool->state = HERE;
    } else {
        pool->open--;
        pthread_cond_signal(&pool->given);
        if (rc != FILEPROC_ERR_NOMEM)
            note_away(pool, &e);
        else if (pool->state == TRYING)
            pool->state = AWAY; /* the next may try at once */
    }
    if (rc < 0 && rc != FILEPROC_ERR_NOMEM)
        rc = tell_away(pool, err);
    else if (rc < 0 && err)
        *err = e;
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

fp_status fpi_redis_pool_take(fpi_redis_pool *pool, int64_t deadline_ms, fpi_redis_link **out,
                              fp_error *err)
{
    fpi_redis_link *link = NULL;
    fp_status rc;

    pthread_mutex_lock(&pool->lock);
    rc = find_place(pool, deadline_ms, &link, err);
    pthread_mutex_unlock(&pool->lock);
    if (rc == FILEPROC_OK && !link)
        rc = connect_place(pool, deadline_ms, &link, err);
    if (rc == FILEPROC_OK)
        *out = link;
    return rc;
}

/* A connection that was cut says little about the server: the next call makes another one, and finds out. One that is silent does:
 * without this each of the others would wait for its own time-out. */
void fpi_redis_pool_give(fpi_redis_pool *pool, fpi_redis_link *link, const fp_error *why)
{
    fpi_redis_link *dead = NULL;

    pthread_mutex_lock(&pool->lock);
    if (link->broken) {
        pool->open--;
        if (link->silent)
            note_away(pool, why);
        dead = link;
    } else {
        pool->idle[pool->idle_count++] = link;
        if (pool->state == HERE)
            note_here(pool);
    }
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
    fpi_redis_link_close(dead);
}
