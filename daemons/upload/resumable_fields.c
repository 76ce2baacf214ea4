/* Owns: the header fields of resumable uploads: what those of a request say, and those of a reply, each in the client's dialect.
 * Must not know: what is done with it.
 *
 * Drafts are told apart by their interop version: 3 is draft 01, 4 is 02, 5 is 03, 6 is 04 and 05, 7 is 06 to 08, 8 is 09 to 11, 9 is 12. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "hex_digit.h"
#include "problem.h"
#include "reply.h"
#include "resumable.h"
#include "structured_field.h"

#define OLDEST 3
#define NEWEST 9
#define DIGESTS "sha-256=10, sha=1, md5=1, crc32c=1"

bool fpd_resumable_is_before(const fpd_resumable *r, int64_t version)
{
    return r->version && r->version < version;
}

bool fpd_resumable_is_whole(const fpd_resumable *r, const fp_upload *upload)
{
    return fpd_resumable_is_before(r, 7) && !(upload->flags & FILEPROC_UPLOAD_PARTIAL) &&
           !upload->size_unknown && upload->offset == upload->size;
}

/* An item that comes twice is a list, and so no item. */
static const char *single(const fpd_request *rq, const char *name)
{
    return fpd_request_header_count(rq, name) == 1 ? fpd_request_header(rq, name) : NULL;
}

/* All lines of a dictionary are one. */
static bool joined(fpd_resumable *r, const char *name, fpd_text *out)
{
    const fpd_head *head = r->rq->head;
    bool any = false;

    for (size_t i = 0; i < head->header_count; i++)
        if (strcasecmp(head->headers[i].name, name) == 0) {
            if (any)
                fpd_text_string(out, ", ");
            fpd_text_string(out, head->headers[i].value);
            any = true;
        }
    fpd_text_append(out, "", 1); /* there is a text even when it is empty */
    return any;
}

static bool read_size(const fpd_request *rq, const char *name, uint64_t *out)
{
    const char *header = single(rq, name);
    int64_t number = 0;

    if (!header || !fpd_field_integer(header, &number) || number < 0)
        return false;
    *out = (uint64_t)number;
    return true;
}

static void read_complete(fpd_resumable *r)
{
    bool inverted = fpd_resumable_is_before(r, 4);
    const char *header = single(r->rq, inverted ? "Upload-Incomplete" : "Upload-Complete");

    r->says_complete = header && fpd_field_boolean(header, &r->complete);
    if (r->says_complete && inverted)
        r->complete = !r->complete;
}

/* A preference of 0 is a "no". */
static bool read_wants(fpd_resumable *r)
{
    FPD_DISPOSE(fpd_text) header = FPD_TEXT_INIT(1024);
    fpd_field_member member;
    fpd_field_result result;
    bool wants = false;
    const char *at;

    if (!joined(r, "Want-Repr-Digest", &header) || header.failed)
        return false;
    for (at = header.data; (result = fpd_field_next(&at, &member)) == FPD_FIELD_MEMBER;)
        if (fpd_field_is(&member, "sha-256"))
            wants = member.value.type == FPD_FIELD_INTEGER && member.value.number > 0;
    return wants && result == FPD_FIELD_END;
}

void fpd_resumable_read(fpd_resumable *r, fpd_request *rq, fpd_app *app)
{
    const char *version = single(rq, "Upload-Draft-Interop-Version");
    int64_t number = 0;

    *r = (fpd_resumable){ .rq = rq, .app = app, .intake = { .rq = rq, .app = app } };
    if (version && fpd_field_integer(version, &number) && number >= OLDEST && number <= NEWEST)
        r->version = number;
    read_complete(r);
    r->has_offset = read_size(rq, "Upload-Offset", &r->offset);
    r->has_length = read_size(rq, "Upload-Length", &r->length);
    r->wants_digest = read_wants(r);
}

/* ---- digests ---- */

/* What can't be checked is refused: else bytes would count that nobody has checked. */
static bool read_digest(fpd_resumable *r, const char *name, fpd_digest *digest, bool *found)
{
    FPD_DISPOSE(fpd_text) header = FPD_TEXT_INIT(4096);
    fpd_digest_result result;

    *found = joined(r, name, &header);
    if (!*found)
        return true;
    result = header.failed ? FPD_DIGEST_MALFORMED : fpd_content_digest_parse(header.data, digest);
    if (result == FPD_DIGEST_OK)
        return true;
    fpd_resumable_show_complete(r, false);
    if (result == FPD_DIGEST_MALFORMED) {
        fpd_problem(r->rq, 400, "bad_request", "%s is malformed.", name);
        return false;
    }
    fpd_reply_header(r->rq, "Want-Content-Digest", DIGESTS);
    fpd_reply_header(r->rq, "Want-Repr-Digest", "sha-256=10");
    fpd_problem(r->rq, 400, "digest_unsupported", "%s has no digest that can be checked here.",
                name);
    return false;
}

bool fpd_resumable_content_digest(fpd_resumable *r, fpd_digest *place, const fpd_digest **digest)
{
    bool found = false;

    if (!read_digest(r, "Content-Digest", place, &found))
        return false;
    *digest = found ? place : NULL;
    return true;
}

bool fpd_resumable_repr_digest(fpd_resumable *r, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    fpd_digest digest;
    bool found = false;

    hex[0] = '\0';
    if (!read_digest(r, "Repr-Digest", &digest, &found))
        return false;
    if (!found)
        return true;
    if (strcmp(digest.algorithm, "sha-256") != 0) {
        fpd_resumable_show_complete(r, false);
        fpd_reply_header(r->rq, "Want-Repr-Digest", "sha-256=10");
        fpd_problem(r->rq, 400, "digest_unsupported", "Repr-Digest is checked with sha-256 only.");
        return false;
    }
    for (size_t i = 0; i < digest.size; i++) {
        hex[2 * i] = digits[digest.bytes[i] >> 4];
        hex[2 * i + 1] = digits[digest.bytes[i] & 15];
    }
    hex[64] = '\0';
    return true;
}

/* ---- of replies ---- */

void fpd_resumable_show_complete(fpd_resumable *r, bool complete)
{
    if (r->conventional)
        return;
    if (fpd_resumable_is_before(r, 4))
        fpd_reply_header(r->rq, "Upload-Incomplete", "?%d", complete ? 0 : 1);
    else
        fpd_reply_header(r->rq, "Upload-Complete", "?%d", complete ? 1 : 0);
}

void fpd_resumable_show_offset(fpd_resumable *r, uint64_t offset)
{
    if (r->conventional)
        return;
    fpd_reply_header(r->rq, "Upload-Offset", "%llu", (unsigned long long)offset);
}

/* Of an upload that is complete nothing is left to limit but its size. */
void fpd_resumable_limits(const fpd_resumable *r, const fp_upload *upload,
                          char out[FPD_RESUMABLE_LIMITS_SIZE])
{
    long long size = (long long)fp_config_int(r->app->config, "MAX_FILE_SIZE");
    int64_t left = fp_config_int(r->app->config, "SESSION_TIMEOUT");

    if (upload)
        left = upload->expires_at_ms - fpd_now_ms();
    if (upload && upload->file_id)
        snprintf(out, FPD_RESUMABLE_LIMITS_SIZE, "max-size=%lld", size);
    else
        snprintf(out, FPD_RESUMABLE_LIMITS_SIZE, "max-size=%lld, %s=%lld", size,
                 r->version == 6 ? "expires" : "max-age", left > 0 ? (long long)(left / 1000) : 0);
}

void fpd_resumable_show_limits(fpd_resumable *r, const fp_upload *upload)
{
    char limits[FPD_RESUMABLE_LIMITS_SIZE];

    if (r->conventional)
        return;
    fpd_resumable_limits(r, upload, limits);
    fpd_reply_header(r->rq, "Upload-Limit", "%s", limits);
}

/* 64 hex digits as 44 of base64. */
static void write_base64(const char *hex, char out[45])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    size_t used = 0;

    for (; *hex; hex++) {
        bits = (bits << 4 | (unsigned)fpd_hex_digit(*hex)) & 0xFFFFu;
        count += 4;
        while (count >= 6) {
            count -= 6;
            out[used++] = digits[bits >> count & 63];
        }
    }
    out[used++] = digits[bits << (6 - count) & 63]; /* 256 bits are 42 digits and 4 bits */
    out[used++] = '=';
    out[used] = '\0';
}

void fpd_resumable_show_digest(fpd_resumable *r, const fp_upload *upload)
{
    bool wanted =
        r->wants_digest || (upload->note && strcmp(upload->note, FPD_RESUMABLE_WANTS) == 0);
    char text[45];

    if (!wanted || !upload->sha256 || strlen(upload->sha256) != 64)
        return;
    write_base64(upload->sha256, text);
    fpd_reply_header(r->rq, "Repr-Digest", "sha-256=:%s:", text);
}
