/* Owns: uploads whose client sends the parts straight to the S3 server: how they begin and end.
 * Must not know: how the server is spoken to. */
#include "companion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forwarded.h"
#include "json_body.h"
#include "memory.h"
#include "problem.h"
#include "reply.h"
#include "upload_routes.h"

#define UNTYPED "application/octet-stream"

void fpd_companion_problem(fpd_request *rq, fpd_app *app, const fp_error *err)
{
    if (err->code == FILEPROC_ERR_NOTSUP)
        fpd_problem(rq, 501, "presign_unsupported",
                    "Parts can be sent to the storage directly only when it is an S3 server.");
    else
        fpd_upload_problem(rq, app, err);
}

bool fpd_companion_is_key(const char *key, const char *upload_id)
{
    const size_t prefix = sizeof(FPD_COMPANION_KEY) - 1;

    return strncmp(key, FPD_COMPANION_KEY, prefix) == 0 && strcmp(key + prefix, upload_id) == 0;
}

bool fpd_companion_check_key(fpd_request *rq)
{
    char key[256];
    bool found;

    if (!fpd_request_query(rq, "key", key, sizeof(key), &found))
        return false;
    if (found && fpd_companion_is_key(key, rq->parameters[0]))
        return true;
    if (found)
        fpd_problem(rq, 404, "upload_not_found", "The upload has another key.");
    else
        fpd_problem(rq, 422, "parameter_invalid", "The query parameter key is missing.");
    return false;
}

/* ---- the beginning ---- */

/* Signing sends nothing. */
bool fpd_companion_check_storage(fpd_request *rq, fpd_app *app)
{
    FPD_DISPOSE(fp_buf) url = FILEPROC_BUF_INIT;
    fp_error err = { 0 };

    if (fp_storage_presign(app->storage, "files/x", FILEPROC_PRESIGN_PUT, 1, &url, &err) ==
        FILEPROC_OK)
        return true;
    fpd_companion_problem(rq, app, &err);
    return false;
}

/* user_id stands beside the others, or among the metadata, which are all that Uppy can be made to send. */
static bool read_owner(fpd_request *rq, const json_t *body, const char **owner)
{
    const json_t *metadata = json_object_get(body, "metadata");

    if (!fpd_json_string(rq, body, "user_id", false, owner))
        return false;
    return *owner || !metadata || fpd_json_string(rq, metadata, "user_id", false, owner);
}

static bool read_size(fpd_request *rq, const json_t *body, fp_upload_request *request)
{
    request->size_unknown = json_object_get(body, "size") == NULL;
    return request->size_unknown || fpd_json_size(rq, body, "size", &request->size);
}

/* Uppy does not look at partSize: its parts have 5 MiB unless it is told something else. */
static void answer_begun(fpd_request *rq, fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);
    uint64_t part_size = 0;
    fp_error err = { 0 };

    if (fp_upload_part_size(app->uploads, upload->id, &part_size, &err) < 0) {
        fpd_companion_problem(rq, app, &err);
        return;
    }

    fpd_text_printf(&json, "{\"key\":\"" FPD_COMPANION_KEY "%s\",\"uploadId\":\"%s\",\"bucket\":",
                    upload->id, upload->id);
    fpd_text_json(&json, fp_config_string(app->config, "MINIO_BUCKET"));
    fpd_text_printf(&json, ",\"partSize\":%llu}", (unsigned long long)part_size);
    fpd_reply_json(rq, 200, &json);
}

bool fpd_companion_create(fpd_request *rq, fpd_app *app, fp_upload_request *request,
                          fp_upload **upload)
{
    fp_error err = { 0 };

    if (!fpd_rate_limit_owner(&app->limit, rq, request->owner))
        return false;
    if (!request->mime_type || !*request->mime_type)
        request->mime_type = UNTYPED;
    if (fp_upload_create(app->uploads, request, upload, &err) < 0) {
        fpd_companion_problem(rq, app, &err);
        return false;
    }
    fpd_count_upload(app, FPD_UPLOAD_INITIATED);
    return true;
}

static void begin(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(json_t) body = NULL;
    fp_upload_request request = FILEPROC_UPLOAD_REQUEST_INIT;
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_MEMORY metadata = NULL;

    if (!fpd_companion_check_storage(rq, app))
        return;
    body = fpd_json_body(rq, false);
    if (!body || !fpd_json_string(rq, body, "filename", true, &request.filename) ||
        !fpd_json_string(rq, body, "type", false, &request.mime_type) ||
        !fpd_upload_metadata(rq, body, &metadata) || !read_owner(rq, body, &request.owner) ||
        !read_size(rq, body, &request))
        return;
    request.metadata = metadata;
    if (fpd_companion_create(rq, app, &request, &upload))
        answer_begun(rq, app, upload);
}

/* ---- the end ---- */

static bool read_part(fpd_request *rq, const json_t *item, fp_direct_part *part)
{
    const json_t *number = json_object_get(item, "PartNumber");
    const json_t *etag = json_object_get(item, "ETag");

    if (json_is_integer(number) && json_integer_value(number) >= 1 &&
        json_integer_value(number) <= FILEPROC_DIRECT_PARTS_MAX && json_is_string(etag)) {
        part->number = (uint32_t)json_integer_value(number);
        part->etag = json_string_value(etag);
        return true;
    }
    fpd_problem(rq, 422, "parameter_invalid",
                "A part is {\"PartNumber\": 1 to %u, \"ETag\": \"...\"}.",
                FILEPROC_DIRECT_PARTS_MAX);
    return false;
}

/* *parts is memory of malloc(); the texts in it are the body's. */
static bool read_parts(fpd_request *rq, const json_t *body, fp_direct_part **parts, size_t *count)
{
    const json_t *items = json_object_get(body, "parts");
    bool ok = json_is_array(items);

    if (!ok) {
        fpd_problem(rq, 422, "parameter_invalid", "parts must be an array.");
        return false;
    }
    *count = json_array_size(items);
    *parts = calloc(*count + 1, sizeof(**parts));
    if (!*parts) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return false;
    }
    for (size_t i = 0; ok && i < *count; i++)
        ok = read_part(rq, json_array_get(items, i), &(*parts)[i]);
    return ok;
}

void fpd_companion_location(const fpd_request *rq, const fpd_app *app, const fp_upload *upload,
                            fpd_text *url)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/files/%s/content", upload->file_id);
    fpd_forwarded_url(rq, app->limit.proxies, path, url);
}

void fpd_companion_completed(fpd_request *rq, const fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(32u * 1024u);
    FPD_DISPOSE(fpd_text) url = FPD_TEXT_INIT(8u * 1024u);

    fpd_companion_location(rq, app, upload, &url);
    fpd_text_string(&json, "{\"location\":");
    fpd_text_json(&json, url.data);
    fpd_text_printf(&json, ",\"key\":\"files/%s\",\"bucket\":", upload->file_id);
    fpd_text_json(&json, fp_config_string(app->config, "MINIO_BUCKET"));
    fpd_text_printf(&json, ",\"upload_id\":\"%s\",\"file_id\":\"%s\",\"size\":%llu", upload->id,
                    upload->file_id, (unsigned long long)upload->size);
    fpd_text_string(&json, ",\"processing_job_id\":");
    fpd_text_json(&json, upload->job_id);
    fpd_text_string(&json, "}");
    fpd_reply_json(rq, 200, &json);
}

/* The parts are taken, and the file is made of them; either can have been done by an earlier request. */
static void take_parts(fpd_request *rq, fpd_app *app, const fp_direct_part *parts, size_t count)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error err = { 0 };
    fp_status rc = fp_upload_adopt(app->uploads, rq->parameters[0], parts, count, NULL, &err);

    if (rc == FILEPROC_OK || strcmp(fp_error_reason(&err), "upload_completed") == 0)
        (void)!fp_upload_complete(app->uploads, rq->parameters[0], &upload, &err);
    if (upload)
        fpd_companion_completed(rq, app, upload);
    else
        fpd_companion_problem(rq, app, &err);
}

static void complete(fpd_request *rq, void *user_data)
{
    FPD_CLEANUP(json_t) body = NULL;
    fp_direct_part *parts = NULL;
    size_t count = 0;

    if (!fpd_companion_check_key(rq))
        return;
    body = fpd_json_body(rq, false);
    if (body && read_parts(rq, body, &parts, &count))
        take_parts(rq, user_data, parts, count);
    free(parts);
}

static void abort_upload(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    fp_error err = { 0 };

    if (!fpd_companion_check_key(rq))
        return;
    if (fp_upload_cancel(app->uploads, rq->parameters[0], &err) < 0)
        fpd_companion_problem(rq, app, &err);
    else
        fpd_reply(rq, 200, "application/json", "{}", 2);
}

/* ---- what is not there ---- */

static void refuse_credentials(fpd_request *rq, void *user_data)
{
    (void)user_data;
    fpd_problem(rq, 501, "presign_unsupported",
                "Clients get no credentials of the storage: set companionEndpoint in @uppy/aws-s3 "
                "and neither getCredentials nor getTemporarySecurityCredentials.");
}

static const fpd_route routes[] = {
    { FPD_METHOD_POST, "/s3/multipart", begin, 0 },
    { FPD_METHOD_GET, "/s3/multipart/{id}", fpd_companion_list, 0 },
    { FPD_METHOD_GET, "/s3/multipart/{id}/batch", fpd_companion_sign_batch, 0 },
    { FPD_METHOD_GET, "/s3/multipart/{id}/{number}", fpd_companion_sign, 0 },
    { FPD_METHOD_POST, "/s3/multipart/{id}/complete", complete, 0 },
    { FPD_METHOD_DELETE, "/s3/multipart/{id}", abort_upload, 0 },
    { FPD_METHOD_GET, "/s3/params", fpd_companion_params, 0 },
    { FPD_METHOD_POST, "/s3/post", fpd_companion_post, 0 },
    { FPD_METHOD_GET, "/s3/post/uploads/{id}", fpd_companion_posted, 0 },
    { FPD_METHOD_GET, "/s3/sts", refuse_credentials, 0 },
};

bool fpd_companion_routes_add(fpd_router *router, fpd_app *app)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), app);
}
