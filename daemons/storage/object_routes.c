/* Owns: the routes of objects by their keys: the table, removing, signed addresses.
 * Must not know: files, uploads and jobs. */
#include "object_routes.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "json_body.h"
#include "object_key.h"
#include "object_lock.h"
#include "object_quarantine.h"
#include "problem.h"
#include "reply.h"

/* A signed address is good for an hour when nothing else is said, and for a week at the most. */
#define EXPIRES_DEFAULT 3600u
#define EXPIRES_MAX 604800u

fp_status fpd_object_look(fpd_app *app, const char *key, fpd_object *out, fp_error *err)
{
    fp_status rc;

    *out = (fpd_object){ .info = FILEPROC_STORAGE_INFO_INIT };
    rc = fp_storage_stat(app->storage, key, &out->info, err);
    if (rc == FILEPROC_ERR_NOTFOUND)
        return FILEPROC_OK;
    if (rc < 0)
        return rc;
    out->exists = true;
    snprintf(out->etag, sizeof(out->etag), "\"%s\"", out->info.etag);
    return FILEPROC_OK;
}

const char *fpd_object_etag(const fpd_object *object)
{
    return object->exists ? object->etag : NULL;
}

/* ---- removing ---- */

/* With the key's lock held. */
static void remove_object(fpd_request *rq, fpd_app *app, const char *key)
{
    fpd_object object;
    fp_error err = { 0 };
    fp_status rc = fpd_object_look(app, key, &object, &err);

    if (rc == FILEPROC_OK &&
        fpd_object_conditions(rq, fpd_object_etag(&object)) != FPD_CONDITIONS_MET) {
        fpd_object_precondition_failed(rq);
        return;
    }
    if (rc == FILEPROC_OK)
        rc = fp_storage_remove(app->storage, key, &err);
    if (rc < 0)
        fpd_object_problem(rq, &err);
    else
        fpd_reply_empty(rq, 204);
}

static void delete_object(fpd_request *rq, void *user_data)
{
    const char *key = rq->parameters[0];
    pthread_mutex_t *held;

    if (!fpd_object_writable(rq, key))
        return;
    held = fpd_object_lock(key);
    remove_object(rq, user_data, key);
    fpd_object_unlock(held);
}

/* ---- signed addresses ---- */

typedef struct presign_request {
    const char *method; /* "GET" or "PUT" */
    uint64_t expires_s;
} presign_request;

static bool read_presign(fpd_request *rq, const json_t *body, presign_request *out)
{
    out->method = "GET";
    out->expires_s = EXPIRES_DEFAULT;
    if (json_object_get(body, "method") && !fpd_json_string(rq, body, "method", true, &out->method))
        return false;
    if (strcmp(out->method, "GET") != 0 && strcmp(out->method, "PUT") != 0) {
        fpd_problem(rq, 422, "parameter_invalid", "method is neither GET nor PUT.");
        return false;
    }
    if (json_object_get(body, "expires_in") &&
        !fpd_json_size(rq, body, "expires_in", &out->expires_s))
        return false;
    if (out->expires_s < 1 || out->expires_s > EXPIRES_MAX) {
        fpd_problem(rq, 422, "parameter_invalid",
                    "expires_in is no number of seconds from 1 to %u.", EXPIRES_MAX);
        return false;
    }
    return true;
}

static void answer_presign(fpd_request *rq, const presign_request *wanted, const fp_buf *url)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(64 * 1024);
    char expires[FPD_RFC3339_SIZE];

    fpd_rfc3339(fpd_now_ms() + (int64_t)wanted->expires_s * 1000, expires);
    fpd_text_string(&json, "{\"url\":");
    fpd_text_json_bytes(&json, url->data, url->size);
    fpd_text_printf(&json, ",\"method\":\"%s\",\"expires_at\":\"%s\"}", wanted->method, expires);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

static void presign(fpd_request *rq, fpd_app *app, const char *key)
{
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, true);
    FPD_DISPOSE(fp_buf) url = FILEPROC_BUF_INIT;
    presign_request wanted;
    fp_error err = { 0 };
    fp_status rc;
    bool put;

    if (!body || !read_presign(rq, body, &wanted))
        return;
    put = strcmp(wanted.method, "PUT") == 0;
    if (put ? !fpd_object_writable(rq, key) : !fpd_object_readable(rq, app, key))
        return;
    rc = fp_storage_presign(app->storage, key, put ? FILEPROC_PRESIGN_PUT : FILEPROC_PRESIGN_GET,
                            (uint32_t)wanted.expires_s, &url, &err);
    if (rc == FILEPROC_ERR_NOTSUP)
        fpd_problem(rq, 501, "presign_unsupported",
                    "This store has no addresses of its own; only an S3 server has.");
    else if (rc < 0)
        fpd_object_problem(rq, &err);
    else
        answer_presign(rq, &wanted, &url);
}

/* A key may have any end, so the last word of the path is looked at here: nothing else is POSTed. */
static void post_object(fpd_request *rq, void *user_data)
{
    static const char word[] = "/presign";
    char key[FPD_PATH_MAX + 1];
    size_t size = strlen(rq->parameters[0]), end = sizeof(word) - 1;

    if (size <= end || strcmp(rq->parameters[0] + size - end, word) != 0) {
        fpd_reply_header(rq, "Allow", "GET, HEAD, PUT, DELETE, OPTIONS");
        fpd_problem(rq, 405, "method_not_allowed",
                    "An object has no POST; its /presign has, and PUT writes it.");
        return;
    }
    memcpy(key, rq->parameters[0], size - end);
    key[size - end] = '\0';
    presign(rq, user_data, key);
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/v1/objects", fpd_list_objects, 0 },
    { FPD_METHOD_GET, "/v1/objects/{key...}", fpd_get_object, 0 },
    { FPD_METHOD_PUT, "/v1/objects/{key...}", fpd_put_object, 0 },
    { FPD_METHOD_DELETE, "/v1/objects/{key...}", delete_object, 0 },
    { FPD_METHOD_POST, "/v1/objects/{key...}", post_object, 0 },
};

bool fpd_object_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
