/* Owns: a request's body on its way into an upload, straight from the connection into the engine.
 * Must not know: which protocol the request is of; how bytes become durable. */
#include "intake.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "body.h"
#include "clock.h"
#include "problem.h"

#define CHUNKED_BUFFER (32u * 1024u)
#define STOP_NS INT64_C(5000000000)

/* ---- those at work in this process ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static fpd_intake *at_work;

static void init(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ended, &attr);
    pthread_condattr_destroy(&attr);
}

void fpd_intake_enter(fpd_intake *in, const char *upload_id)
{
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    in->upload_id = upload_id;
    in->next = at_work;
    at_work = in;
    pthread_mutex_unlock(&lock);
}

void fpd_intake_leave(fpd_intake *in)
{
    fpd_intake **place = &at_work;

    if (!in->upload_id)
        return;
    pthread_mutex_lock(&lock);
    while (*place != in)
        place = &(*place)->next;
    *place = in->next;
    in->upload_id = NULL;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
}

/* With the lock held. One that is not among the writers yet sees by itself that it is stopped. */
static bool stop_all(const fpd_app *app, const char *upload_id, fpd_intake *newest)
{
    bool any = false;

    for (fpd_intake *in = newest; in; in = in->next)
        if (in->app == app && strcmp(in->upload_id, upload_id) == 0) {
            atomic_store(&in->stopped, true);
            any = true;
        }
    return any;
}

/* Who waits for those before him is waited for by those behind him only, so nobody waits for himself. */
bool fpd_intake_stop(const fpd_app *app, const char *upload_id, const fpd_intake *self)
{
    int64_t until = fpd_monotonic_ns() + STOP_NS;
    struct timespec at = { (time_t)(until / 1000000000), (long)(until % 1000000000) };
    bool any;
    int rc = 0;

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    any = stop_all(app, upload_id, self ? self->next : at_work);
    pthread_mutex_unlock(&lock);
    if (any) /* which may take a while, where there are many connections */
        fpd_writers_end_appends(app->writers, upload_id);
    pthread_mutex_lock(&lock);
    while ((any = stop_all(app, upload_id, self ? self->next : at_work)) && rc == 0)
        rc = pthread_cond_timedwait(&ended, &lock, &at);
    pthread_mutex_unlock(&lock);
    return !any;
}

/* ---- one body ---- */

/* Of a body in the chunked coding the server gives nothing that did not fill the buffer when the connection breaks, so that one is
 * small. */
static size_t buffer_size(const fpd_request *rq)
{
    if (rq->body_kind == FPD_BODY_CHUNKED)
        return CHUNKED_BUFFER;
    return rq->body_length < FPD_BODY_BUFFER ? (size_t)rq->body_length + 1 : FPD_BODY_BUFFER;
}

/* A connection that broke keeps what came, unless that can't be checked any more. */
static void keep(fpd_intake *in, fp_append *append, const char *data, size_t size)
{
    if (in->digest || in->on_trailer)
        return;
    if (fp_append_write(append, data, size, &in->err) == FILEPROC_OK)
        (void)!fp_append_commit(append, NULL, &in->err);
}

/* FPD_BODY_OK: it was stopped between two buffers. Who has lost its place to another can keep nothing, and need not know. */
static fpd_intake_result end_of_body(fpd_intake *in, fp_append *append, fpd_body_result result,
                                     const char *data, size_t size)
{
    bool superseded = fpd_writer_leave(&in->place);

    if (result == FPD_BODY_END)
        return FPD_INTAKE_OK;
    if (result == FPD_BODY_TOO_LARGE)
        return FPD_INTAKE_TOO_LARGE;
    in->rq->close = true;
    keep(in, append, data, size);
    return superseded ? FPD_INTAKE_SUPERSEDED : FPD_INTAKE_CUT;
}

/* Through a buffer that lives only as long as the request. */
static fpd_intake_result receive(fpd_intake *in, fp_append *append, uint64_t limit)
{
    fpd_request *rq = in->rq;
    size_t capacity = buffer_size(rq);
    FPD_MEMORY buf = fpd_memory(capacity);
    fpd_body_result result;
    size_t got;

    if (!buf)
        return FPD_INTAKE_NO_MEMORY;
    if (rq->body_kind == FPD_BODY_LENGTH && rq->body_length > limit)
        return FPD_INTAKE_TOO_LARGE;
    (void)!fpd_body_open(rq, limit);
    while ((result = fpd_body_read(rq, buf, capacity, &got)) == FPD_BODY_OK) {
        if (fp_append_write(append, buf, got, &in->err) < 0)
            return FPD_INTAKE_ERROR;
        if (in->on_bytes)
            in->on_bytes(in);
        got = 0;
        if (atomic_load(&in->stopped) && !rq->body_ended)
            break;
    }
    return end_of_body(in, append, result, buf, got);
}

/* With what stands behind the body, when it is that which tells the digest. */
static fpd_intake_result receive_all(fpd_intake *in, fp_append *append, uint64_t limit)
{
    fpd_chunked body = { 0 };
    fpd_intake_result result;
    fpd_digest digest;

    if (!in->on_trailer)
        return receive(in, append, limit);
    if (!fpd_body_take_over(in->rq, &body))
        return FPD_INTAKE_ANSWERED;
    result = receive(in, append, limit);
    if (result == FPD_INTAKE_OK && !in->on_trailer(in, &body, &digest))
        result = FPD_INTAKE_TRAILER;
    if (result == FPD_INTAKE_OK &&
        fp_append_expect(append, digest.algorithm, digest.bytes, digest.size, &in->err) < 0)
        result = FPD_INTAKE_ERROR;
    fpd_body_let_go(in->rq);
    return result;
}

static fp_status begin(fpd_intake *in, const fp_upload *upload, uint64_t offset, fp_append **append)
{
    fp_append_options options = FILEPROC_APPEND_OPTIONS_INIT;
    fp_status rc;

    if (in->digest) {
        options.digest_algorithm = in->digest->algorithm;
        options.digest = in->digest->bytes;
        options.digest_size = in->digest->size;
    }
    options.digest_later = in->on_trailer != NULL;
    if (in->rq->body_kind == FPD_BODY_LENGTH)
        options.length = in->rq->body_length;
    rc = fp_append_begin(in->app->uploads, upload->id, offset, &options, append, &in->err);
    if (rc < 0)
        return rc;
    fpd_writer_enter(in->app->writers, &in->place, upload->id, FPD_WRITER_APPEND, &in->rq->wire);
    if (atomic_load(&in->stopped)) /* before it was one of them */
        fpd_writers_end_appends(in->app->writers, upload->id);
    return rc;
}

fpd_intake_result fpd_intake_run(fpd_intake *in, const fp_upload *upload, uint64_t offset,
                                 fp_upload **out)
{
    uint64_t end = upload->size_unknown ? (uint64_t)fp_config_int(in->app->config, "MAX_FILE_SIZE")
                                        : upload->size;
    fp_append *append = NULL;
    fpd_intake_result result;

    if (!in->upload_id)
        fpd_intake_enter(in, upload->id);
    result = begin(in, upload, offset, &append) < 0
                 ? FPD_INTAKE_ERROR
                 : receive_all(in, append, end > offset ? end - offset : 0);
    (void)fpd_writer_leave(&in->place);
    if (result == FPD_INTAKE_OK && fp_append_commit(append, out, &in->err) < 0)
        result = FPD_INTAKE_ERROR;
    fpd_intake_leave(in);
    fp_append_free(append);
    return result;
}

void fpd_intake_problem(fpd_request *rq, fpd_intake_result result)
{
    if (result == FPD_INTAKE_NO_MEMORY)
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    else if (result == FPD_INTAKE_SUPERSEDED)
        fpd_problem(rq, 409, "chunk_superseded", "A newer request has taken this one's place.");
    else
        fpd_body_problem(rq, result == FPD_INTAKE_TOO_LARGE ? FPD_BODY_TOO_LARGE : FPD_BODY_CUT);
}
