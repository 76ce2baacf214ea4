/* Owns: the doorbell: a connection that listens, and who waits at it.
 * Must not know: what a ring is about.
 *
 * Rung after the commit it announces, in a transaction of its own: NOTIFY inside the transaction would make all commits wait for one
 * another. A ring carries nothing and may be lost; each new listening connection counts as one for that reason. */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "core/error_private.h"
#include "database/database_postgresql.h"

#define CONNECT_MS 3000
#define RETRY_MS 500

struct fpi_postgresql_bell {
    fp_context *ctx;
    fpi_postgresql_pool *pool;
    pthread_mutex_t lock;
    bool taken;          /* somebody waits; what follows is his */
    PGconn *pg;          /* NULL = away */
    int64_t retry_at_ms; /* ... and tried again then */
    fp_error away;       /* ... and why */
};

fp_status fpi_postgresql_bell_new(fp_context *ctx, fpi_postgresql_pool *pool,
                                  fpi_postgresql_bell **out, fp_error *err)
{
    fpi_postgresql_bell *bell = fpi_calloc(&ctx->a, 1, sizeof(*bell));

    if (!bell)
        return fpi_no_memory(err);
    bell->ctx = ctx;
    bell->pool = pool;
    pthread_mutex_init(&bell->lock, NULL);
    *out = bell;
    return FILEPROC_OK;
}

void fpi_postgresql_bell_free(fpi_postgresql_bell *bell)
{
    if (!bell)
        return;
    PQfinish(bell->pg);
    pthread_mutex_destroy(&bell->lock);
    fpi_free(&bell->ctx->a, bell);
}

static bool take(fpi_postgresql_bell *bell)
{
    bool taken;

    pthread_mutex_lock(&bell->lock);
    taken = !bell->taken;
    bell->taken = true;
    pthread_mutex_unlock(&bell->lock);
    return taken;
}

static void give(fpi_postgresql_bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    bell->taken = false;
    pthread_mutex_unlock(&bell->lock);
}

static fp_status listen_anew(fpi_postgresql_bell *bell)
{
    int64_t now = fpi_monotonic_ms();
    PGresult *answer = NULL;
    fp_status rc;

    if (now < bell->retry_at_ms)
        return bell->away.code;
    rc = fpi_postgresql_connect(bell->ctx, fpi_postgresql_pool_target(bell->pool),
                                "LISTEN " FPI_POSTGRESQL_CHANNEL, now + CONNECT_MS, &bell->pg,
                                &answer, &bell->away);
    PQclear(answer);
    if (rc < 0)
        bell->retry_at_ms = fpi_monotonic_ms() + RETRY_MS;
    return rc;
}

static void hang_up(fpi_postgresql_bell *bell)
{
    PQfinish(bell->pg);
    bell->pg = NULL;
}

/* Whether somebody else has rung. */
static bool heard(const fpi_postgresql_bell *bell)
{
    PGnotify *notify;
    bool others = false;

    while ((notify = PQnotifies(bell->pg)) != NULL) {
        others = others || !fpi_postgresql_pool_owns(bell->pool, notify->be_pid);
        PQfreemem(notify);
    }
    return others;
}

/* Waits for one of both; true when it was wake_fd, or the time is over. */
static bool woken(const PGconn *pg, int32_t wake_fd, int64_t deadline_ms)
{
    struct pollfd fds[] = { { .fd = wake_fd, .events = POLLIN },
                            { .fd = pg ? PQsocket(pg) : -1, .events = POLLIN } };
    int64_t left = deadline_ms - fpi_monotonic_ms();

    if (left < 0)
        left = 0;
    if (poll(fds, 2, left > 60000 ? 60000 : (int)left) == 0)
        return fpi_monotonic_ms() >= deadline_ms;
    return fds[0].revents != 0;
}

static fp_status wait_here(fpi_postgresql_bell *bell, int32_t wake_fd, int64_t deadline_ms,
                           int32_t *changed, fp_error *err)
{
    bool rung = false, done = false;

    if (!bell->pg) {
        if (listen_anew(bell) < 0) {
            if (err)
                *err = bell->away;
            return bell->away.code;
        }
        rung = true; /* what was rung while nobody listened */
    }
    while (!rung && !done) {
        done = woken(bell->pg, wake_fd, deadline_ms);
        if (!PQconsumeInput(bell->pg) || PQstatus(bell->pg) == CONNECTION_BAD) {
            hang_up(bell);
            break;
        }
        rung = heard(bell);
    }
    *changed = rung || !bell->pg;
    return FILEPROC_OK;
}

fp_status fpi_postgresql_bell_wait(fpi_postgresql_bell *bell, int32_t wake_fd, uint32_t timeout_ms,
                                   int32_t *changed, fp_error *err)
{
    int64_t deadline_ms = fpi_monotonic_ms() + timeout_ms;
    fp_status rc;

    if (!take(bell)) {
        while (!woken(NULL, wake_fd, deadline_ms))
            ;
        *changed = 0;
        return FILEPROC_OK;
    }
    rc = wait_here(bell, wake_fd, deadline_ms, changed, err);
    give(bell);
    return rc;
}
