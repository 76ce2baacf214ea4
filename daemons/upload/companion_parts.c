/* Owns: the parts of an upload at the S3 server as a client sees them: addresses to send them to, and which are there.
 * Must not know: how an upload begins and ends. */
#include <string.h>

#include "companion.h"
#include "problem.h"
#include "query.h"
#include "reply.h"

/* Until the request begins; a browser that asks for the address of a part sends it at once. */
#define EXPIRES_S 3600u

/* ---- which are there ---- */

static fp_status add_part(void *user_data, const fp_direct_part *part, fp_error *err)
{
    fpd_text *json = user_data;

    (void)err;
    fpd_text_printf(json, "%s{\"PartNumber\":%u,\"Size\":%llu,\"ETag\":", json->size > 1 ? "," : "",
                    (unsigned)part->number, (unsigned long long)part->size);
    fpd_text_json(json, part->etag);
    fpd_text_string(json, "}");
    return FILEPROC_OK;
}

void fpd_companion_list(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4u << 20);
    fp_error err = { 0 };

    if (!fpd_companion_check_key(rq))
        return;
    fpd_text_string(&json, "[");
    if (fp_upload_written(app->uploads, rq->parameters[0], add_part, &json, &err) < 0) {
        fpd_companion_problem(rq, app, &err);
        return;
    }
    fpd_text_string(&json, "]");
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

/* ---- where they go ---- */

static bool read_number(fpd_request *rq, const char *text, uint32_t *number)
{
    int64_t value = 0;

    if (fpd_number_parse(text, &value) == FPD_NUMBER_OK && value <= FILEPROC_DIRECT_PARTS_MAX) {
        *number = (uint32_t)value;
        return true;
    }
    fpd_problem(rq, 422, "parameter_invalid", "The number of a part is an integer from 1 to %u.",
                FILEPROC_DIRECT_PARTS_MAX);
    return false;
}

static bool sign(fpd_request *rq, fpd_app *app, const char *text, fpd_text *json)
{
    FPD_DISPOSE(fp_buf) url = FILEPROC_BUF_INIT;
    uint32_t number = 0;
    fp_error err = { 0 };

    if (!read_number(rq, text, &number))
        return false;
    if (fp_upload_presign(app->uploads, rq->parameters[0], number, EXPIRES_S, &url, &err) < 0) {
        fpd_companion_problem(rq, app, &err);
        return false;
    }
    fpd_text_json(json, url.data);
    return true;
}

void fpd_companion_sign(fpd_request *rq, void *user_data)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(16u * 1024u);

    if (!fpd_companion_check_key(rq))
        return;
    fpd_text_string(&json, "{\"url\":");
    if (!sign(rq, user_data, rq->parameters[1], &json))
        return;
    fpd_text_printf(&json, ",\"expires\":%u}", EXPIRES_S);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}

/* numbers: "1,2,3", taken apart in place. */
static bool sign_all(fpd_request *rq, fpd_app *app, char *numbers, fpd_text *json)
{
    char *rest = numbers;

    for (char *one; (one = strsep(&rest, ",")) != NULL;) {
        uint32_t number = 0;

        if (!read_number(rq, one, &number))
            return false;
        fpd_text_printf(json, "%s\"%u\":", one == numbers ? "" : ",", (unsigned)number);
        if (!sign(rq, app, one, json))
            return false;
    }
    return true;
}

void fpd_companion_sign_batch(fpd_request *rq, void *user_data)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(8u << 20);
    char numbers[FPD_QUERY_MAX + 1];
    bool found;

    if (!fpd_companion_check_key(rq) ||
        !fpd_request_query(rq, "partNumbers", numbers, sizeof(numbers), &found))
        return;
    if (!found) {
        fpd_problem(rq, 422, "parameter_invalid", "The query parameter partNumbers is missing.");
        return;
    }
    fpd_text_string(&json, "{\"presignedUrls\":{");
    if (!sign_all(rq, user_data, numbers, &json))
        return;
    fpd_text_string(&json, "}}");
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, 200, &json);
}
