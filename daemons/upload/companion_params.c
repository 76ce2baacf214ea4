/* Owns: where a client that sends a file in one request, as S3's POST, is to send it: to us.
 * Must not know: what it sends.
 *
 * An object that is put by a signed request would be at the S3 server without anybody knowing: clients of Companion do not say when it
 * is there. So small files, which are what they send in this way, come through the daemon. */
#include <jansson.h>
#include <string.h>

#include "companion.h"
#include "forwarded.h"
#include "json_body.h"
#include "problem.h"
#include "query.h"
#include "reply.h"

#define EXPIRES_S 3600
#define METADATA "metadata["

static bool invalid(fpd_request *rq, const char *name)
{
    fpd_problem(rq, 422, "parameter_invalid",
                "The query parameter %s is malformed, too long, or there twice.", name);
    return false;
}

/* metadata[name]=value; NULL when out of memory, or the value is no UTF-8. */
static bool add_member(fpd_request *rq, json_t *object, char *name, const char *value)
{
    size_t size = strlen(name);

    if (strncmp(name, METADATA, sizeof(METADATA) - 1) != 0 || name[size - 1] != ']')
        return true;
    name[size - 1] = '\0';
    name += sizeof(METADATA) - 1;
    return (!json_object_get(object, name) &&
            json_object_set_new(object, name, json_string(value)) == 0) ||
           invalid(rq, "metadata");
}

static bool read_metadata(fpd_request *rq, json_t *object)
{
    const char *query = rq->head->query;
    char name[FPD_QUERY_MAX + 1], value[FPD_QUERY_MAX + 1];
    fpd_query_result result;

    while ((result = fpd_query_next(&query, name, sizeof(name), value, sizeof(value))) ==
           FPD_QUERY_FOUND)
        if (!add_member(rq, object, name, value))
            return false;
    return result == FPD_QUERY_ABSENT || invalid(rq, "metadata");
}

/* Uppy wants an absolute address. */
static void answer(fpd_request *rq, const fpd_app *app, const fp_upload *upload)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(16u * 1024u);
    FPD_DISPOSE(fpd_text) url = FPD_TEXT_INIT(8u * 1024u);

    fpd_forwarded_url(rq, app->limit.proxies, "/s3/post", &url);
    fpd_text_string(&json, "{\"method\":\"POST\",\"url\":");
    fpd_text_json(&json, url.data);
    fpd_text_printf(&json, ",\"fields\":{\"key\":\"" FPD_COMPANION_KEY "%s\"},\"expires\":%d}",
                    upload->id, EXPIRES_S);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

void fpd_companion_params(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(json_t) object = json_object();
    fp_upload_request request = FILEPROC_UPLOAD_REQUEST_INIT;
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_MEMORY metadata = NULL;
    char filename[FPD_QUERY_MAX + 1], type[256];
    bool has_name, has_type;

    if (!fpd_companion_check_storage(rq, app) ||
        !fpd_request_query(rq, "filename", filename, sizeof(filename), &has_name) ||
        !fpd_request_query(rq, "type", type, sizeof(type), &has_type) || !read_metadata(rq, object))
        return;
    if (!has_name) {
        fpd_problem(rq, 422, "parameter_invalid", "The query parameter filename is missing.");
        return;
    }
    metadata = json_dumps(object, FPD_JSON_FLAGS);
    if (!metadata) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return;
    }
    request.filename = filename;
    request.mime_type = has_type ? type : NULL;
    request.owner = json_string_value(json_object_get(object, "user_id"));
    request.metadata = json_object_size(object) ? metadata : NULL;
    request.size_unknown = 1;
    if (fpd_companion_create(rq, app, &request, &upload))
        answer(rq, app, upload);
}
