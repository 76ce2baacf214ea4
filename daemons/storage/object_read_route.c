/* Owns: reading objects: ranges, conditions, and that the bytes of one answer are of one version.
 * Must not know: how objects are written. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "object_key.h"
#include "object_quarantine.h"
#include "object_routes.h"
#include "problem.h"
#include "range.h"
#include "reply.h"

/* One read and one write. Behind a network each read is a request, so they are larger there. */
#define PIECE_FILE (256u * 1024u)
#define PIECE_NETWORK (4u * 1024u * 1024u)
/* How often an object may be replaced while we open it. */
#define TRIES 5

/* An object being read. */
typedef struct reading {
    fpd_app *app;
    const char *key;
    fpd_object object;
    int fd; /* of this version, where objects are files; else -1 */
    size_t piece;
    bool replaced; /* it turned out that there is another version now */
} reading;

static fp_status replaced(reading *r, fp_error *err)
{
    r->replaced = true;
    return fp_error_setf(err, FILEPROC_ERR_BUSY, "the object is replaced again and again");
}

/* The descriptor is of the version that was looked at when it is still the same one afterwards. */
static fp_status open_version(reading *r, fp_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        fpd_object after = { 0 };
        fp_status rc = fp_storage_open_fd(r->app->storage, r->key, &r->fd, err);

        if (rc == FILEPROC_OK)
            rc = fpd_object_look(r->app, r->key, &after, err);
        if (rc < 0)
            return rc;
        if (after.exists && strcmp(after.etag, r->object.etag) == 0)
            return FILEPROC_OK;
        close(r->fd);
        r->fd = -1;
        r->object = after;
    }
    return replaced(r, err);
}

static fp_status read_piece(reading *r, uint64_t at, char *buf, size_t size, fp_error *err)
{
    size_t got = 0;

    while (got < size && r->fd >= 0) {
        ssize_t n = pread(r->fd, buf + got, size - got, (off_t)(at + got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (r->fd < 0) {
        fp_status rc = fp_storage_read(r->app->storage, r->key, at, buf, size, &got, err);

        if (rc < 0)
            return rc;
    }
    return got == size ? FILEPROC_OK : replaced(r, err);
}

/* Read piece by piece, an object that is replaced meanwhile would come as a mixture; so the last piece is sent only when it
 * was not. */
static fp_status check_version(reading *r, fp_error *err)
{
    fpd_object now;
    fp_status rc;

    if (r->fd >= 0)
        return FILEPROC_OK;
    rc = fpd_object_look(r->app, r->key, &now, err);
    if (rc < 0)
        return rc;
    if (now.exists && strcmp(now.etag, r->object.etag) == 0)
        return FILEPROC_OK;
    return replaced(r, err);
}

static fp_status next_piece(reading *r, const fpd_range *left, char *buf, size_t *size,
                            fp_error *err)
{
    fp_status rc;

    *size = left->length < r->piece ? (size_t)left->length : r->piece;
    rc = read_piece(r, left->first, buf, *size, err);
    return rc == FILEPROC_OK && *size == left->length ? check_version(r, err) : rc;
}

static void add_headers(fpd_request *rq, const fpd_object *object, const fpd_range *range,
                        bool part)
{
    fpd_reply_header(rq, "ETag", "%s", object->etag);
    fpd_reply_header(rq, "Accept-Ranges", "bytes");
    fpd_reply_header(rq, "Cache-Control", "private, no-cache");
    /* Nobody knows what the bytes are: a browser is not to run them. */
    fpd_reply_header(rq, "Content-Disposition", "attachment");
    fpd_reply_header(rq, "Content-Security-Policy", "default-src 'none'; sandbox");
    fpd_reply_header(rq, "Cross-Origin-Resource-Policy", "%s",
                     rq->origin ? "cross-origin" : "same-origin");
    if (part)
        fpd_reply_header(rq, "Content-Range", "bytes %llu-%llu/%llu",
                         (unsigned long long)range->first,
                         (unsigned long long)(range->first + range->length - 1),
                         (unsigned long long)object->info.size);
}

/* The first piece is read before the head is sent: most failures still get their own answer, and with another version it can
 * begin again. Later ones end the connection before all that was promised has come. */
static void send_range(fpd_request *rq, reading *r, const fpd_range *range, bool part)
{
    FPD_MEMORY buf = fpd_memory(range->length < r->piece ? (size_t)range->length + 1 : r->piece);
    fpd_range left = *range;
    fp_error err = { 0 };
    size_t size = 0;
    fp_status rc = FILEPROC_OK;

    if (!buf) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return;
    }
    if (left.length && rq->method != FPD_METHOD_HEAD)
        rc = next_piece(r, &left, buf, &size, &err);
    if (rc < 0) {
        if (!r->replaced)
            fpd_object_problem(rq, &err);
        return;
    }
    add_headers(rq, &r->object, range, part);
    if (!fpd_reply_begin(rq, part ? 206 : 200, "application/octet-stream", range->length))
        return;
    while (size && fpd_reply_write(rq, buf, size)) {
        left.first += size;
        left.length -= size;
        if (left.length == 0 || next_piece(r, &left, buf, &size, &err) < 0)
            return;
    }
}

/* Section 13.2.2 of RFC 9110: conditions first, then Range, which If-Range can switch off. */
static void negotiate(fpd_request *rq, reading *r)
{
    const fpd_object *object = &r->object;
    const char *if_range = fpd_request_header(rq, "If-Range");
    const char *wanted = fpd_request_header(rq, "Range");
    fpd_range range = { 0, object->info.size };
    fpd_range_result result;

    switch (fpd_object_conditions(rq, object->etag)) {
    case FPD_CONDITIONS_FAILED:
        fpd_object_precondition_failed(rq);
        return;
    case FPD_CONDITIONS_NOT_MODIFIED:
        fpd_reply_header(rq, "ETag", "%s", object->etag);
        fpd_reply_header(rq, "Cache-Control", "private, no-cache");
        fpd_reply_empty(rq, 304);
        return;
    case FPD_CONDITIONS_MET:
        break;
    }
    if (rq->method == FPD_METHOD_HEAD || (if_range && !fpd_etag_is(if_range, object->etag)))
        wanted = NULL;
    result = fpd_range_parse(wanted, object->info.size, &range);
    if (result == FPD_RANGE_UNSATISFIABLE) {
        fpd_reply_header(rq, "Content-Range", "bytes */%llu",
                         (unsigned long long)object->info.size);
        fpd_problem(rq, 416, "range_not_satisfiable", "The object has %llu bytes.",
                    (unsigned long long)object->info.size);
        return;
    }
    send_range(rq, r, &range, result == FPD_RANGE_PART);
}

/* Answers, unless the object was replaced meanwhile. */
static void try_to_answer(fpd_request *rq, reading *r, bool is_file)
{
    fp_error err = { 0 };
    fp_status rc = fpd_object_look(r->app, r->key, &r->object, &err);

    r->replaced = false;
    if (rc == FILEPROC_OK && r->object.exists && is_file && rq->method != FPD_METHOD_HEAD)
        rc = open_version(r, &err);
    if (rc == FILEPROC_OK && r->object.exists) {
        negotiate(rq, r);
    } else if (rc < 0 && rc != FILEPROC_ERR_NOTFOUND) {
        if (!r->replaced)
            fpd_object_problem(rq, &err);
    } else if (fpd_object_conditions(rq, NULL) == FPD_CONDITIONS_FAILED) {
        fpd_object_precondition_failed(rq);
    } else {
        fpd_problem(rq, 404, "object_not_found", "There is no such object.");
    }
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void fpd_get_object(fpd_request *rq, void *user_data)
{
    reading r = { .app = user_data, .key = rq->parameters[0], .fd = -1, .replaced = true };
    bool is_file = strcmp(fp_storage_scheme(r.app->storage), "file") == 0;

    if (!fpd_object_readable(rq, r.app, r.key))
        return;
    r.piece = is_file ? PIECE_FILE : PIECE_NETWORK;
    for (int i = 0; i < TRIES && r.replaced && rq->status == 0; i++)
        try_to_answer(rq, &r, is_file);
    if (rq->status == 0)
        fpd_problem(rq, 503, "busy", "The object is replaced again and again; please try again.");
}
