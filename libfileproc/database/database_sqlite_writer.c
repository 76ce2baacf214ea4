/* Owns: the writing connection and group commit: who waits, who leads, whose changes share one sync.
 * Must not know: what the bodies do.
 *
 * There is no thread of our own. Whoever comes while nobody leads becomes the leader: it runs the bodies of all who wait,
 * its own among them, in one SQLite transaction, commits it with one sync, hands out the results, and passes
 * leadership to the first of those who came meanwhile. Each body runs in a savepoint, so that a failing one
 * takes back only its own changes. When the whole transaction is lost, each body is run again alone. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "database/database_sqlite.h"

/* Bodies in one transaction. */
#define BATCH_MAX 256
/* The log is copied into the database file each time it grew by so many pages ... */
#define CHECKPOINT_PAGES 1000
/* ... and from this size on so that it starts anew, for which writers wait. */
#define RESTART_PAGES 4096
#define RESTART_WAIT_MS 100

typedef struct request {
    struct request *next;
    fpi_sqlite_body body;
    void *body_data;
    fp_error *err; /* the caller's, who waits; never NULL */
    uint64_t number;
    sem_t wake; /* posted once, when the request is done or its caller is to lead */
    fp_status rc;
    bool readonly;
    bool lead;
} request;

typedef struct request_list {
    request *first;
    request **last;
    size_t count;
} request_list;

struct fpi_sqlite_writer {
    fp_context *ctx;
    uint32_t busy_timeout_ms;
    fpi_sqlite_connection *conn; /* the leader's */
    fpi_sqlite_connection
        *checkpointer;       /* of whoever set checkpointing; NULL when there is no log */
    int pages, checkpointed; /* of the log, now and at the last checkpoint; the leader's */
    _Atomic int64_t version;
    pthread_mutex_t lock; /* guards what follows */
    request_list waiting;
    uint64_t arrived;
    pthread_t leader; /* valid while leading */
    bool leading;     /* bodies are run by the thread `leader` */
    bool led;         /* somebody leads or is about to */
    bool checkpointing;
};

static void list_init(request_list *list)
{
    *list = (request_list){ NULL, &list->first, 0 };
}

static void list_add(request_list *list, request *r)
{
    r->next = NULL;
    *list->last = r;
    list->last = &r->next;
    list->count++;
}

static request *list_take(request_list *list)
{
    request *r = list->first;

    if (!r)
        return NULL;
    list->first = r->next;
    list->count--;
    if (!list->first)
        list->last = &list->first;
    return r;
}

static int note_log_size(void *user_data, sqlite3 *db, const char *name, int pages)
{
    fpi_sqlite_writer *w = user_data;

    (void)db, (void)name;
    w->pages = pages;
    return SQLITE_OK;
}

fp_status fpi_sqlite_writer_open(fp_context *ctx, const char *path, uint32_t busy_timeout_ms,
                                 bool log, fpi_sqlite_writer **out, fp_error *err)
{
    FPI_CLEANUP(fpi_sqlite_writer) w = fpi_calloc(&ctx->a, 1, sizeof(*w));
    int64_t version = 0;
    fp_status rc;

    if (!w)
        return fpi_no_memory(err);
    w->ctx = ctx;
    w->busy_timeout_ms = busy_timeout_ms;
    list_init(&w->waiting);
    pthread_mutex_init(&w->lock, NULL);
    rc = fpi_sqlite_connection_open(ctx, path, busy_timeout_ms, FPI_SQLITE_WRITER, &w->conn, err);
    if (rc == FILEPROC_OK && log)
        rc = fpi_sqlite_connection_open(ctx, path, busy_timeout_ms, FPI_SQLITE_CHECKPOINTER,
                                        &w->checkpointer, err);
    if (rc == FILEPROC_OK)
        rc = fpi_sqlite_data_version(w->conn, &version, err);
    if (rc < 0)
        return rc;
    atomic_init(&w->version, version);
    sqlite3_wal_hook(w->conn->db, note_log_size, w);
    *out = fpi_steal(&w);
    return FILEPROC_OK;
}

void fpi_sqlite_writer_close(fpi_sqlite_writer *w)
{
    if (!w)
        return;
    fpi_sqlite_connection_close(w->checkpointer);
    fpi_sqlite_connection_close(w->conn);
    pthread_mutex_destroy(&w->lock);
    fpi_free(&w->ctx->a, w);
}

/* SQLite would go on writing to a file that has lost its name, and all of it would be gone with the process. */
static fp_status check_in_place(const fpi_sqlite_writer *w, fp_error *err)
{
    int moved = 0;

    if (sqlite3_file_control(w->conn->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
        !moved)
        return FILEPROC_OK;
    return fp_error_setf(err, FILEPROC_ERR_IO, "database: its file was removed or replaced");
}

/* Read at each beginning, so that asking for it needs no turn of its own while transactions run. */
static fp_status begin(fpi_sqlite_writer *w, fp_error *err)
{
    int64_t version;
    fp_status rc = check_in_place(w, err);

    if (rc == FILEPROC_OK)
        rc = fpi_sqlite_control(w->conn, "BEGIN IMMEDIATE", err);
    if (rc < 0)
        return rc;
    rc = fpi_sqlite_data_version(w->conn, &version, err);
    if (rc < 0)
        fpi_sqlite_rollback(w->conn);
    else
        atomic_store(&w->version, version);
    return rc;
}

static fp_status commit(fpi_sqlite_writer *w, fp_error *err)
{
    fp_status rc;

    fpi_sqlite_log_gather(w->conn->db, true);
    rc = fpi_sqlite_control(w->conn, "COMMIT", err);
    fpi_sqlite_log_gather(w->conn->db, false);
    if (rc < 0)
        fpi_sqlite_rollback(w->conn);
    return rc;
}

static void run_alone(fpi_sqlite_writer *w, request *r)
{
    r->rc = begin(w, r->err);
    if (r->rc < 0)
        return;
    r->rc = fpi_sqlite_run_body(w->conn, r->readonly, r->body, r->body_data, r->err);
    if (r->rc < 0)
        fpi_sqlite_rollback(w->conn);
    else
        r->rc = commit(w, r->err);
}

/* A transaction of several bodies. */
typedef struct batch {
    request_list list; /* those whose body has run */
    bool open;         /* the transaction has begun */
    bool kept;         /* it holds changes of a body */
    bool lost;         /* it can't be committed */
} batch;

/* The first body needs no savepoint: there is nothing else to be rolled back with it. */
static void run_in_batch(fpi_sqlite_writer *w, batch *b, request *r)
{
    bool savepoint = b->kept && !r->readonly;

    if (savepoint && fpi_sqlite_control(w->conn, "SAVEPOINT body", r->err) < 0) {
        b->lost = true;
        return;
    }
    r->rc = fpi_sqlite_run_body(w->conn, r->readonly, r->body, r->body_data, r->err);
    if (w->conn->doomed) {
        b->lost = true;
    } else if (savepoint) {
        if (r->rc < 0 && fpi_sqlite_control(w->conn, "ROLLBACK TO body", NULL) < 0)
            b->lost = true;
        if (!b->lost && fpi_sqlite_control(w->conn, "RELEASE body", NULL) < 0)
            b->lost = true;
    } else if (r->rc < 0 && !r->readonly) {
        fpi_sqlite_rollback(w->conn);
        b->open = false;
    } else if (!r->readonly) {
        b->kept = true;
    }
}

/* Those who waited as long as the leader need not wait for another time-out each. */
static request *take_waiting(fpi_sqlite_writer *w, uint64_t newest)
{
    request *r = NULL;

    pthread_mutex_lock(&w->lock);
    if (w->waiting.first && w->waiting.first->number <= newest)
        r = list_take(&w->waiting);
    pthread_mutex_unlock(&w->lock);
    return r;
}

static void fail_waiting(fpi_sqlite_writer *w, batch *b, uint64_t newest, fp_status rc,
                         const fp_error *err)
{
    request *r;

    while ((r = take_waiting(w, newest)) != NULL) {
        r->rc = rc;
        *r->err = *err;
        list_add(&b->list, r);
    }
}

static void run_waiting(fpi_sqlite_writer *w, batch *b, uint64_t newest)
{
    request *r;

    while (b->list.count < BATCH_MAX && !b->lost && (r = take_waiting(w, UINT64_MAX)) != NULL) {
        list_add(&b->list, r);
        if (!b->open) {
            r->rc = begin(w, r->err);
            if (r->rc < 0) {
                fail_waiting(w, b, newest, r->rc, r->err);
                return;
            }
            b->open = true;
        }
        run_in_batch(w, b, r);
    }
}

/* What one body alone may be guilty of: too big for the disk, or a constraint that is only checked here. */
static bool may_be_innocent(const batch *b, fp_status rc)
{
    return b->list.count > 1 &&
           (rc == FILEPROC_ERR_QUOTA || rc == FILEPROC_ERR_CONFLICT || rc == FILEPROC_ERR_EXISTS);
}

/* A body that failed by itself may have failed on what its neighbours had not committed yet; so when they are not
 * committed its result does not count either. */
static void finish_transaction(fpi_sqlite_writer *w, batch *b)
{
    fp_error e = { 0 };
    fp_status rc = FILEPROC_OK;

    if (b->lost)
        fpi_sqlite_rollback(w->conn);
    else if (b->open)
        rc = commit(w, &e);
    if (b->lost || (rc < 0 && may_be_innocent(b, rc))) {
        for (request *r = b->list.first; r; r = r->next)
            run_alone(w, r);
    } else if (rc < 0) {
        for (request *r = b->list.first; r; r = r->next) {
            r->rc = rc;
            *r->err = e;
        }
    }
}

/* Wakes everybody but the leader itself. A request lives on the stack of its caller, and is gone once that caller wakes.
 * Without the lock: who wakes would only wait for it. */
static void hand_out(batch *b, const request *own)
{
    request *r;

    while ((r = list_take(&b->list)) != NULL)
        if (r != own)
            sem_post(&r->wake);
}

static void pass_leadership(fpi_sqlite_writer *w)
{
    request *next;

    pthread_mutex_lock(&w->lock);
    next = w->waiting.first;
    w->leading = false;
    w->led = next != NULL;
    pthread_mutex_unlock(&w->lock);
    if (!next)
        return;
    next->lead = true;
    sem_post(&next->wake);
}

static void checkpoint(const fpi_sqlite_writer *w, const fpi_sqlite_connection *conn, int mode)
{
    int code = sqlite3_wal_checkpoint_v2(conn->db, NULL, mode, NULL, NULL);

    if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY)
        fpi_log(w->ctx, FILEPROC_LOG_DEBUG, "database", "checkpoint: %s", sqlite3_errstr(code));
}

/* Under steady load from several threads the log would never be copied to its very end, thus never start anew, and grow
 * without bound. So at a certain size the leader does it before the next transaction; most is copied by then. */
static void restart_log(fpi_sqlite_writer *w)
{
    sqlite3_busy_timeout(w->conn->db, RESTART_WAIT_MS);
    checkpoint(w, w->conn, SQLITE_CHECKPOINT_RESTART);
    sqlite3_busy_timeout(w->conn->db, (int)w->busy_timeout_ms);
}

/* The leader's part; true when a checkpoint beside the next transaction is due. */
static bool look_after_log(fpi_sqlite_writer *w)
{
    bool due;

    if (!w->checkpointer)
        return false;
    if (w->pages < w->checkpointed)
        w->checkpointed = 0; /* it has started anew */
    if (w->pages - w->checkpointed < CHECKPOINT_PAGES)
        return false;
    w->checkpointed = w->pages;
    if (w->pages >= RESTART_PAGES) {
        restart_log(w);
        return false;
    }
    pthread_mutex_lock(&w->lock);
    due = !w->checkpointing;
    w->checkpointing = true;
    pthread_mutex_unlock(&w->lock);
    return due;
}

static void lead(fpi_sqlite_writer *w, const request *own)
{
    batch b = { .open = false };
    uint64_t newest;
    bool due;

    list_init(&b.list);
    pthread_mutex_lock(&w->lock);
    w->leader = pthread_self();
    w->leading = true;
    newest = w->arrived;
    pthread_mutex_unlock(&w->lock);
    run_waiting(w, &b, newest);
    finish_transaction(w, &b);
    hand_out(&b, own);
    due = look_after_log(w);
    pass_leadership(w);
    if (!due)
        return;
    checkpoint(w, w->checkpointer, SQLITE_CHECKPOINT_PASSIVE);
    pthread_mutex_lock(&w->lock);
    w->checkpointing = false;
    pthread_mutex_unlock(&w->lock);
}

static void await(request *r)
{
    while (sem_wait(&r->wake) != 0 && errno == EINTR)
        ;
}

fp_status fpi_sqlite_write(fpi_sqlite_writer *w, bool readonly, fpi_sqlite_body body,
                           void *body_data, fp_error *err)
{
    fp_error ignored;
    request r = {
        .body = body, .body_data = body_data, .err = err ? err : &ignored, .readonly = readonly
    };
    bool inside, leads;

    pthread_mutex_lock(&w->lock);
    inside = w->leading && pthread_equal(w->leader, pthread_self());
    if (inside) {
        pthread_mutex_unlock(&w->lock);
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "a transaction can't be started inside another");
    }
    sem_init(&r.wake, 0, 0);
    r.number = ++w->arrived;
    leads = r.lead = !w->led;
    w->led = true;
    list_add(&w->waiting, &r);
    pthread_mutex_unlock(&w->lock);
    if (!leads)
        await(&r);
    if (r.lead)
        lead(w, &r);
    sem_destroy(&r.wake);
    return r.rc;
}

fp_status fpi_sqlite_writer_version(fpi_sqlite_writer *w, int64_t *version, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    int64_t now;
    bool idle;

    pthread_mutex_lock(&w->lock);
    idle = !w->led;
    w->led = true;
    pthread_mutex_unlock(&w->lock);
    if (idle) {
        rc = check_in_place(w, err);
        if (rc == FILEPROC_OK)
            rc = fpi_sqlite_data_version(w->conn, &now, err);
        if (rc == FILEPROC_OK)
            atomic_store(&w->version, now);
        pass_leadership(w);
    }
    if (rc == FILEPROC_OK)
        *version = atomic_load(&w->version);
    return rc;
}
