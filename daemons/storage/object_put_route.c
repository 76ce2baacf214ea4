/* Owns: writing an object straight from the connection: nobody sees any of it before all of it is there and checked.
 * Must not know: how the store makes it durable. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "body.h"
#include "object_digest.h"
#include "object_key.h"
#include "object_lock.h"
#include "object_routes.h"
#include "problem.h"
#include "reply.h"

/* Less room than this is none. */
#define ROOM_MIN (UINT64_C(64) * 1024)

FPD_DEFINE_CLEANUP(fp_part, fp_part_free)

/* One object on its way in. */
typedef struct intake {
    fpd_request *rq;
    fpd_app *app;
    const char *key;
    fp_assembly *assembly;
    uint64_t room; /* bytes that there is a place for */
    fpd_object_digest digest;
    fpd_object before, after; /* as it was found and made at the end */
    fp_error err;
    bool answered; /* a problem was sent */
} intake;

static bool refuse(intake *in, int status, const char *code, const char *detail)
{
    fpd_problem(in->rq, status, code, "%s", detail);
    in->answered = true;
    return false;
}

/* What can be refused without a byte of the body is: a client that waits for 100 Continue sends none of it. Whether the
 * conditions still hold is asked again before the object becomes visible. */
static bool check_head(intake *in, uint64_t limit)
{
    fpd_object before;

    if (fpd_request_header(in->rq, "Content-Range")) /* RFC 9110 section 14.5 */
        return refuse(in, 400, "bad_request",
                      "PUT writes whole objects; Content-Range makes no sense here.");
    if (fpd_object_look(in->app, in->key, &before, &in->err) < 0)
        return false;
    if (fpd_object_conditions(in->rq, fpd_object_etag(&before)) != FPD_CONDITIONS_MET) {
        fpd_object_precondition_failed(in->rq);
        in->answered = true;
        return false;
    }
    in->answered = !fpd_object_digest_init(&in->digest, in->rq) || !fpd_body_open(in->rq, limit);
    return !in->answered;
}

/* The whole body is one part; how long it is at the most is known. When that is all that is known, and more than the disk has
 * room for, the body may still be small: then it gets half as much, or half of that. */
static bool begin_part(intake *in, uint64_t limit, fp_part **part)
{
    bool known = in->rq->body_kind == FPD_BODY_LENGTH;
    fp_status rc;

    in->room = known ? in->rq->body_length : limit;
    rc = fp_part_begin(in->assembly, 0, in->room, part, &in->err);
    while (rc == FILEPROC_ERR_QUOTA && !known && in->room / 2 >= ROOM_MIN) {
        in->room /= 2;
        rc = fp_part_begin(in->assembly, 0, in->room, part, &in->err);
    }
    return rc == FILEPROC_OK;
}

static bool write_part(intake *in, fp_part *part, const char *data, size_t size)
{
    if (in->rq->body_read > in->room)
        return refuse(in, 507, "storage_full", "There is no space left for this.");
    return fp_part_write(part, data, size, &in->err) == FILEPROC_OK;
}

static bool receive(intake *in, fp_part *part, char *buf)
{
    fpd_body_result result;
    size_t got;

    while ((result = fpd_body_read(in->rq, buf, FPD_BODY_BUFFER, &got)) == FPD_BODY_OK)
        if (!fpd_object_digest_update(&in->digest, buf, got) || !write_part(in, part, buf, got))
            return false;
    if (result == FPD_BODY_END)
        return true;
    fpd_body_problem(in->rq, result);
    in->answered = true;
    return false;
}

/* An empty object has no part. */
static bool receive_part(intake *in, uint64_t limit)
{
    FPD_MEMORY buf = fpd_memory(FPD_BODY_BUFFER);
    FPD_CLEANUP(fp_part) part = NULL;

    if (!buf)
        return refuse(in, 503, "busy", "The server is out of memory.");
    if (!begin_part(in, limit, &part) || !receive(in, part, buf))
        return false;
    return in->rq->body_read == 0 || fp_part_commit(part, NULL, 0, &in->err) == FILEPROC_OK;
}

/* With an S3 server the parts then go to where they end. Files are not told: a target belongs to one writer alone, and theirs
 * would be seen before its digest and the conditions are. */
static bool set_target(intake *in)
{
    const fpd_request *rq = in->rq;

    return rq->body_kind != FPD_BODY_LENGTH ||
           strcmp(fp_storage_scheme(in->app->storage), "s3") != 0 ||
           fp_assembly_set_target(in->assembly, in->key, rq->body_length, &in->err) == FILEPROC_OK;
}

static bool open_assembly(intake *in)
{
    unsigned char random[16];
    char id[sizeof(FPD_OBJECT_STAGED) + 2 * sizeof(random)] = FPD_OBJECT_STAGED;

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return refuse(in, 503, "busy", "The server has no random numbers.");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(id + sizeof(FPD_OBJECT_STAGED) - 1 + 2 * i, 3, "%02x", random[i]);
    return fp_assembly_open(in->app->storage, id,
                            FILEPROC_ASSEMBLY_CREATE | FILEPROC_ASSEMBLY_TRANSIENT, &in->assembly,
                            &in->err) == FILEPROC_OK &&
           set_target(in);
}

static bool check_digest(intake *in)
{
    fp_part_info info = FILEPROC_PART_INFO_INIT;

    if (in->rq->body_read && fp_assembly_part_at(in->assembly, 0, &info, &in->err) < 0)
        return false;
    return fpd_object_digest_matches(&in->digest, info.crc32c) ||
           refuse(in, 400, "digest_mismatch", "The bytes are not those of Content-Digest.");
}

static void answer(const intake *in)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(16 * 1024);

    fpd_text_string(&json, "{\"key\":");
    fpd_text_json(&json, in->key);
    fpd_text_printf(&json, ",\"size\":%llu,\"etag\":", (unsigned long long)in->after.info.size);
    fpd_text_json(&json, in->after.etag);
    fpd_text_string(&json, "}");
    fpd_reply_header(in->rq, "ETag", "%s", in->after.etag);
    if (!in->before.exists)
        fpd_reply_header(in->rq, "Location", "/v1/objects/%s", in->key);
    fpd_reply_json(in->rq, in->before.exists ? 200 : 201, &json);
}

/* With the key's lock held. */
static bool publish(intake *in)
{
    fp_status rc = fpd_object_look(in->app, in->key, &in->before, &in->err);

    if (rc == FILEPROC_OK &&
        fpd_object_conditions(in->rq, fpd_object_etag(&in->before)) != FPD_CONDITIONS_MET)
        rc = FILEPROC_ERR_EXISTS;
    if (rc == FILEPROC_OK)
        rc = fp_assembly_publish(in->assembly, in->key, in->rq->body_read,
                                 fpd_object_exclusive(in->rq) ? FILEPROC_STORAGE_EXCLUSIVE : 0,
                                 &in->err);
    if (rc == FILEPROC_ERR_EXISTS) {
        fpd_object_precondition_failed(in->rq);
        in->answered = true;
    }
    return rc == FILEPROC_OK &&
           fpd_object_look(in->app, in->key, &in->after, &in->err) == FILEPROC_OK;
}

static bool put(intake *in, uint64_t limit)
{
    pthread_mutex_t *held;
    bool ok;

    if (!check_head(in, limit) || !open_assembly(in))
        return false;
    if ((in->rq->body_kind != FPD_BODY_NONE && !receive_part(in, limit)) || !check_digest(in))
        return false;
    held = fpd_object_lock(in->key);
    ok = publish(in);
    fpd_object_unlock(held);
    return ok;
}

void fpd_put_object(fpd_request *rq, void *user_data)
{
    intake in = { .rq = rq, .app = user_data, .key = rq->parameters[0] };

    if (!fpd_object_writable(rq, in.key))
        return;
    if (put(&in, (uint64_t)fp_config_int(in.app->config, "MAX_FILE_SIZE")))
        answer(&in);
    else if (!in.answered)
        fpd_object_problem(rq, &in.err);
    fp_assembly_close(in.assembly);
    fpd_object_digest_dispose(&in.digest);
}
