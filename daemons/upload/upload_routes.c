/* Owns: the starter kit's upload API over the upload engine: sessions.
 * Must not know: files and jobs. */
#include "upload_routes.h"

#include <string.h>

#include "clock.h"
#include "companion.h"
#include "idempotency_key.h"
#include "json_body.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"
#include "tus.h"

void fpd_upload_problem(fpd_request *rq, fpd_app *app, const fp_error *err)
{
    static const struct {
        int32_t reason;
        size_t status;
    } counted[] = {
        { FILEPROC_REASON_TYPE_NOT_ALLOWED, FPD_UPLOAD_REJECTED_MIME },
        { FILEPROC_REASON_SIZE_TOO_LARGE, FPD_UPLOAD_REJECTED_SIZE },
        { FILEPROC_REASON_UPLOAD_INCOMPLETE, FPD_UPLOAD_INCOMPLETE },
    };

    if (strcmp(err->domain, "fileproc") == 0)
        for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
            if (counted[i].reason == err->cause)
                fpd_count_upload(app, counted[i].status);
    if (strcmp(err->domain, "fileproc") == 0 && err->cause == FILEPROC_REASON_REQUEST_IN_PROGRESS)
        fpd_reply_header(rq, "Retry-After", "1");
    if (strcmp(err->domain, "fileproc") == 0 && err->cause == FILEPROC_REASON_TYPE_NOT_ALLOWED)
        fpd_problem(rq, 415, "type_not_allowed",
                    "%s. ALLOWED_MIME_TYPES is the setting that lists what is.", err->message);
    else
        fpd_problem_error(rq, err);
}

/* So that a client may tell, though it need not know. */
static void note_replay(fpd_request *rq, const fp_upload *upload)
{
    if (upload->flags & FILEPROC_UPLOAD_REPLAYED)
        fpd_reply_header(rq, "Idempotency-Replayed", "true");
}

/* Where files have to pass checks: whether this one has. Else the members are the starter kit's, and no others. */
static void add_file_state(fpd_app *app, const fp_upload *upload, fpd_text *json)
{
    FPD_CLEANUP(fp_file) file = NULL;

    if (!app->quarantine || fp_catalog_get(app->catalog, upload->file_id, &file, NULL) < 0)
        return;
    fpd_text_string(json, ",\"file_state\":");
    fpd_text_json(json, file->state);
}

/* Of an upload that is completed already. */
static void show_file(fpd_app *app, const fp_upload *upload, fpd_text *json)
{
    fpd_text_string(json, ",\"status\":\"completed\",\"file_id\":");
    fpd_text_json(json, upload->file_id);
    fpd_text_string(json, ",\"processing_job_id\":");
    fpd_text_json(json, upload->job_id);
    fpd_text_string(json, ",\"storage_url\":");
    fpd_text_json(json, upload->storage_url);
    fpd_text_string(json, ",\"sha256\":");
    fpd_text_json(json, upload->sha256);
    add_file_state(app, upload, json);
}

static void answer_initiated(fpd_request *rq, fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);
    char expires[FPD_RFC3339_SIZE];

    fpd_rfc3339(upload->expires_at_ms, expires);
    fpd_text_printf(
        &json,
        "{\"upload_id\":\"%s\",\"chunk_size\":%llu,\"total_chunks\":%llu,\"expires_at\":\"%s\","
        "\"upload_url\":\"/v1/uploads/%s/chunk\"",
        upload->id, (unsigned long long)upload->chunk_size,
        (unsigned long long)upload->total_chunks, expires, upload->id);
    if (upload->file_id)
        show_file(app, upload, &json);
    fpd_text_string(&json, "}");
    fpd_reply_header(rq, "Location", "/v1/uploads/%s/status", upload->id);
    note_replay(rq, upload);
    fpd_reply_json(rq, 201, &json);
}

bool fpd_upload_metadata(fpd_request *rq, const json_t *body, char **text)
{
    const json_t *metadata = json_object_get(body, "metadata");

    if (!metadata || json_is_null(metadata))
        return true;
    if (!json_is_object(metadata)) {
        fpd_problem(rq, 422, "metadata_invalid", "metadata must be an object.");
        return false;
    }
    *text = json_dumps(metadata, FPD_JSON_FLAGS);
    if (!*text)
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    return *text != NULL;
}

static void initiate_upload(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(json_t) body = fpd_json_body(rq, false);
    fp_upload_request request = FILEPROC_UPLOAD_REQUEST_INIT;
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_MEMORY metadata = NULL;
    char key[FPD_IDEMPOTENCY_KEY_MAX + 1];
    fp_error err = { 0 };

    if (!body || !fpd_json_string(rq, body, "filename", true, &request.filename) ||
        !fpd_json_size(rq, body, "size", &request.size) ||
        !fpd_json_string(rq, body, "mime_type", true, &request.mime_type) ||
        !fpd_json_string(rq, body, "user_id", false, &request.owner) ||
        !fpd_json_string(rq, body, "sha256", false, &request.sha256) ||
        !fpd_upload_metadata(rq, body, &metadata) ||
        !fpd_idempotency_key(rq, key, &request.idempotency_key))
        return;
    if (!fpd_rate_limit_owner(&app->limit, rq, request.owner))
        return;
    request.metadata = metadata;
    if (fp_config_int(app->config, "FILEPROC_REUSE_FILES"))
        request.flags |= FILEPROC_UPLOAD_REUSE;
    if (fp_upload_create(app->uploads, &request, &upload, &err) < 0) {
        fpd_upload_problem(rq, app, &err);
        return;
    }
    if (!(upload->flags & FILEPROC_UPLOAD_REPLAYED))
        fpd_count_upload(app, FPD_UPLOAD_INITIATED);
    answer_initiated(rq, app, upload);
}

void fpd_upload_completed(fpd_request *rq, fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(16 * 1024);

    fpd_text_printf(&json,
                    "{\"file_id\":\"%s\",\"upload_id\":\"%s\",\"filename\":", upload->file_id,
                    upload->id);
    fpd_text_json(&json, upload->filename);
    fpd_text_printf(&json, ",\"size\":%llu,\"mime_type\":", (unsigned long long)upload->size);
    fpd_text_json(&json, upload->mime_type);
    fpd_text_string(&json, ",\"storage_url\":");
    fpd_text_json(&json, upload->storage_url);
    fpd_text_string(&json, ",\"status\":\"completed\",\"processing_job_id\":");
    fpd_text_json(&json, upload->job_id);
    fpd_text_string(&json, ",\"sha256\":");
    fpd_text_json(&json, upload->sha256);
    add_file_state(app, upload, &json);
    fpd_text_string(&json, "}");
    note_replay(rq, upload);
    fpd_reply_json(rq, 200, &json);
}

static void complete_upload(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_upload) upload = NULL;
    char text[FPD_IDEMPOTENCY_KEY_MAX + 1];
    const char *key;
    fp_error err = { 0 };

    if (!fpd_idempotency_key(rq, text, &key))
        return;
    if (fp_upload_complete_keyed(app->uploads, rq->parameters[0], key, &upload, &err) < 0)
        fpd_upload_problem(rq, app, &err);
    else
        fpd_upload_completed(rq, app, upload);
}

static void cancel_upload(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(16 * 1024);
    fp_error err = { 0 };

    if (fp_upload_cancel(app->uploads, rq->parameters[0], &err) < 0) {
        fpd_upload_problem(rq, app, &err);
        return;
    }
    fpd_text_string(&json, "{\"message\":\"Upload cancelled\",\"upload_id\":");
    fpd_text_json(&json, rq->parameters[0]);
    fpd_text_string(&json, "}");
    fpd_reply_json(rq, 200, &json);
}

static void get_status(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_DISPOSE(fp_buf) json = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (fp_upload_get(app->uploads, rq->parameters[0], &upload, &err) < 0 ||
        fp_upload_to_json(app->ctx, upload, &json, &err) < 0) {
        fpd_upload_problem(rq, app, &err);
        return;
    }
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json_buf(rq, 200, &json);
}

static const fpd_route routes[] = {
    { FPD_METHOD_POST, "/v1/uploads/initiate", initiate_upload, 0 },
    { FPD_METHOD_PUT, "/v1/uploads/{id}/chunk", fpd_put_chunk, 0 },
    { FPD_METHOD_GET, "/v1/uploads/{id}/chunks", fpd_get_chunks, 0 },
    { FPD_METHOD_POST, "/v1/uploads/{id}/complete", complete_upload, 0 },
    { FPD_METHOD_GET, "/v1/uploads/{id}/status", get_status, 0 },
    { FPD_METHOD_GET, "/v1/uploads/{id}/progress", fpd_watch_upload, 0 },
    { FPD_METHOD_GET, "/v1/uploads/{id}/events", fpd_stream_upload, 0 },
    { FPD_METHOD_GET, "/v1/events", fpd_stream_events, 0 },
    { FPD_METHOD_DELETE, "/v1/uploads/{id}", cancel_upload, 0 },
};

bool fpd_upload_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app) &&
           fpd_tus_routes_add(router, app) && fpd_resumable_routes_add(router, app) &&
           fpd_companion_routes_add(router, app);
}
