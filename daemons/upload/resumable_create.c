/* Owns: creation at the resumable door: what an upload is to be, by the headers of the request that begins it.
 * Must not know: how bytes arrive. */
#include <string.h>
#include <strings.h>

#include "header_value.h"
#include "percent.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"
#include "tus_metadata.h"
#include "upload_routes.h"

#define UNNAMED "unnamed"
#define UNTYPED "application/octet-stream"
#define NAME_MAX_BYTES 1100u /* 255 characters of UTF-8, and a folder before them */
#define OWNER_MAX 256u

/* What the headers say of the representation, and where the texts are. */
typedef struct about {
    fp_upload_request request;
    fpd_tus_metadata metadata;
    char filename[NAME_MAX_BYTES], owner[OWNER_MAX];
    char sha256[65];
    fpd_digest place;
    const fpd_digest *digest; /* of the content */
} about;

static void about_dispose(about *a)
{
    fpd_tus_metadata_dispose(&a->metadata);
}
FPD_DEFINE_DISPOSE(about, about_dispose)

/* "UTF-8'en'%e2%82%ac": RFC 8187. */
static bool decode_extended(char *value, char *out, size_t capacity)
{
    char *language = strchr(value, '\'');
    char *text = language ? strchr(language + 1, '\'') : NULL;

    return text && strncasecmp(value, "UTF-8'", 6) == 0 &&
           fpd_percent_decode(text + 1, strlen(text + 1), false, out, capacity);
}

/* The parameter that can have any character is worth more (RFC 6266 section 4.3). */
static void read_disposition(fpd_resumable *r, about *a)
{
    const char *header = fpd_request_header(r->rq, "Content-Disposition");
    char value[3 * NAME_MAX_BYTES];

    if (!header)
        return;
    if ((fpd_value_parameter(header, "filename*", value, sizeof(value)) &&
         decode_extended(value, a->filename, sizeof(a->filename))) ||
        fpd_value_parameter(header, "filename", a->filename, sizeof(a->filename)))
        a->request.filename = a->filename;
}

/* tus-js-client sends what it knows of a file in the header of tus, whichever protocol it speaks. */
static bool read_metadata(fpd_resumable *r, about *a)
{
    const char *header = fpd_request_header(r->rq, "Upload-Metadata");
    fp_upload_request *request = &a->request;

    if (fpd_request_header_count(r->rq, "Upload-Metadata") > 1) {
        fpd_resumable_show_complete(r, false);
        return fpd_request_header_once(r->rq, "Upload-Metadata");
    }
    switch (fpd_tus_metadata_parse(header ? header : "", &a->metadata)) {
    case FPD_TUS_METADATA_OK:
        break;
    case FPD_TUS_METADATA_NO_MEMORY:
        fpd_problem(r->rq, 503, "busy", "The server is out of memory.");
        return false;
    default:
        fpd_resumable_show_complete(r, false);
        fpd_problem(
            r->rq, 400, "metadata_invalid",
            "Upload-Metadata is too long, or no list of different keys with values in base64.");
        return false;
    }
    if (a->metadata.filename.size)
        request->filename = a->metadata.filename.data;
    if (a->metadata.type.size)
        request->mime_type = a->metadata.type.data;
    if (a->metadata.owner.size)
        request->owner = a->metadata.owner.data;
    if (a->metadata.json.size)
        request->metadata = a->metadata.json.data;
    return true;
}

static bool read_owner(fpd_resumable *r, about *a)
{
    bool found = false;

    if (!fpd_request_query(r->rq, "user_id", a->owner, sizeof(a->owner), &found))
        return false;
    if (found)
        a->request.owner = a->owner;
    return true;
}

/* What is stored is what is sent; that it is a coding of something else nobody would know later. */
static bool check_coding(fpd_resumable *r)
{
    const char *coding = fpd_request_header(r->rq, "Content-Encoding");

    if (!coding || fpd_value_is(coding, "identity"))
        return true;
    fpd_resumable_show_complete(r, false);
    fpd_reply_header(r->rq, "Accept-Encoding", "identity");
    fpd_problem(r->rq, 415, "unsupported_media_type", "Files are taken without Content-Encoding.");
    return false;
}

static bool read_size(fpd_resumable *r, about *a)
{
    bool known;

    if (!fpd_resumable_length(r, 0, &a->request.size, &known))
        return false;
    a->request.size_unknown = !known;
    if (known && !r->complete && r->rq->body_kind == FPD_BODY_LENGTH &&
        r->rq->body_length > a->request.size) {
        fpd_resumable_inconsistent(r, "There are more bytes than Upload-Length says.");
        return false;
    }
    return true;
}

static bool read_about(fpd_resumable *r, about *a)
{
    const char *type = fpd_request_header(r->rq, "Content-Type");

    a->request.filename = UNNAMED;
    a->request.mime_type = type && !fpd_value_is(type, FPD_PARTIAL_UPLOAD) ? type : UNTYPED;
    a->request.note = r->wants_digest ? FPD_RESUMABLE_WANTS : NULL;
    read_disposition(r, a);
    if (!check_coding(r) || !read_metadata(r, a) || !read_owner(r, a) ||
        !fpd_resumable_content_digest(r, &a->place, &a->digest) ||
        !fpd_resumable_repr_digest(r, a->sha256) || !read_size(r, a))
        return false;
    a->request.sha256 = a->sha256[0] ? a->sha256 : NULL;
    return true;
}

static bool create(fpd_resumable *r, const about *a, fp_upload **upload)
{
    fp_error err = { 0 };

    if (!fpd_rate_limit_owner(&r->app->limit, r->rq, a->request.owner))
        return false;
    if (fp_upload_create(r->app->uploads, &a->request, upload, &err) < 0) {
        fpd_resumable_error(r, &err);
        return false;
    }
    fpd_count_upload(r->app, FPD_UPLOAD_INITIATED);
    return true;
}

/* What can be refused is, before there is an upload. Without Upload-Complete this is a request like any other, and either all of it
 * arrives or nothing is kept. */
void fpd_resumable_create(fpd_request *rq, void *app)
{
    FPD_DISPOSE(about)
    a = { .request = FILEPROC_UPLOAD_REQUEST_INIT, .metadata = FPD_TUS_METADATA_INIT };
    FPD_CLEANUP(fp_upload) upload = NULL;
    fpd_resumable r;

    fpd_resumable_read(&r, rq, app);
    if (fpd_request_header(rq, "Tus-Resumable")) {
        fpd_resumable_bad_request(&r, "Clients of tus are served at /v1/tus.");
        return;
    }
    r.conventional = !r.says_complete;
    r.complete = r.complete || r.conventional;
    if (!read_about(&r, &a) || !create(&r, &a, &upload))
        return;
    fpd_intake_enter(&r.intake,
                     upload->id); /* the client may look for it as soon as it is announced */
    fpd_resumable_announce(&r, upload);
    fpd_resumable_receive(&r, upload, 0, a.digest, 201);
}
