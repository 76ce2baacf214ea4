/* Owns: downloads: ranges, entity tags, and headers that keep a browser from running what somebody uploaded.
 * Must not know: where objects are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "content_disposition.h"
#include "file_routes.h"
#include "header_value.h"
#include "problem.h"
#include "range.h"
#include "reply.h"

/* One read from the disk and one write to the connection. */
#define PIECE (256u * 1024u)
#define ETAG_SIZE 96u

/* The bytes under a file's id never change, so this tag is strong, and the same before and after its digest is known. */
static void make_etag(const fp_file *file, char out[ETAG_SIZE])
{
    snprintf(out, ETAG_SIZE, "\"%.40s-%llx\"", file->id, (unsigned long long)file->size);
}

static bool is_pdf(const char *type)
{
    return fpd_value_is(type, "application/pdf");
}

/* What the sender said is shown only when the bytes do not contradict it: the browser must not guess (nosniff), and
 * what it could run as a page comes as a download, without the rights of this origin. */
static const char *safe_type(const fp_file *file, bool *inline_safe)
{
    const char *type = file->mime_type;
    const char *found = file->detected_mime_type;

    if (!fpd_media_type_valid(type))
        type = "application/octet-stream";
    *inline_safe = fpd_inline_safe(type) && (!found || fpd_inline_safe(found));
    return type;
}

static void add_headers(fpd_request *rq, const fp_file *file, const char *type, bool inline_safe,
                        const char *etag)
{
    FPD_DISPOSE(fpd_text) disposition = FPD_TEXT_INIT(2000);

    fpd_content_disposition(&disposition, inline_safe, file->filename);
    if (!disposition.failed)
        fpd_reply_header(rq, "Content-Disposition", "%s", disposition.data);
    else
        fpd_reply_header(rq, "Content-Disposition", "%s", inline_safe ? "inline" : "attachment");
    /* A sandbox keeps browsers from showing PDF at all; their viewers run none of its scripts with our origin. */
    fpd_reply_header(rq, "Content-Security-Policy", "%s",
                     inline_safe && is_pdf(type) ? "default-src 'none'"
                                                 : "default-src 'none'; sandbox");
    fpd_reply_header(rq, "Cross-Origin-Resource-Policy", "%s",
                     rq->origin ? "cross-origin" : "same-origin");
    fpd_reply_header(rq, "ETag", "%s", etag);
    fpd_reply_header(rq, "Accept-Ranges", "bytes");
    fpd_reply_header(rq, "Cache-Control", "private, no-cache");
}

/* A file that became shorter than its row says ends the connection early: the client sees that bytes are missing. */
static void send_bytes(fpd_request *rq, int fd, const fpd_range *range)
{
    FPD_MEMORY buf = fpd_memory(range->length < PIECE ? (size_t)range->length + 1 : PIECE);
    uint64_t at = range->first, left = range->length;

    while (buf && left > 0) {
        ssize_t n = pread(fd, buf, left < PIECE ? (size_t)left : PIECE, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || !fpd_reply_write(rq, buf, (size_t)n))
            return;
        at += (uint64_t)n;
        left -= (uint64_t)n;
    }
}

static void answer_content(fpd_request *rq, fpd_app *app, const fp_file *file,
                           const fpd_range *range, bool part)
{
    FPD_FD fd = -1;
    bool inline_safe;
    const char *type = safe_type(file, &inline_safe);
    char etag[ETAG_SIZE];
    fp_error err = { 0 };

    if (rq->method != FPD_METHOD_HEAD &&
        fp_storage_open_fd(app->storage, file->storage_key, &fd, &err) < 0) {
        fpd_problem_error(rq, &err);
        return;
    }
    make_etag(file, etag);
    add_headers(rq, file, type, inline_safe, etag);
    if (part)
        fpd_reply_header(
            rq, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)range->first,
            (unsigned long long)(range->first + range->length - 1), (unsigned long long)file->size);
    if (fpd_reply_begin(rq, part ? 206 : 200, type, range->length))
        send_bytes(rq, fd, range);
}

/* Section 13.2.2 of RFC 9110: If-None-Match first, then Range, which If-Range can switch off. */
static void negotiate(fpd_request *rq, fpd_app *app, const fp_file *file)
{
    const char *none_match = fpd_request_header(rq, "If-None-Match");
    const char *if_range = fpd_request_header(rq, "If-Range");
    const char *wanted = fpd_request_header(rq, "Range");
    fpd_range range = { 0, file->size };
    fpd_range_result result;
    char etag[ETAG_SIZE];

    make_etag(file, etag);
    if (none_match && fpd_etag_listed(none_match, etag)) {
        fpd_reply_header(rq, "ETag", "%s", etag);
        fpd_reply_header(rq, "Cache-Control", "private, no-cache");
        fpd_reply_empty(rq, 304);
        return;
    }
    /* RFC 9110 section 14.2: only GET has ranges. */
    if (rq->method == FPD_METHOD_HEAD || (if_range && !fpd_etag_is(if_range, etag)))
        wanted = NULL;
    result = fpd_range_parse(wanted, file->size, &range);
    if (result == FPD_RANGE_UNSATISFIABLE) {
        fpd_reply_header(rq, "Content-Range", "bytes */%llu", (unsigned long long)file->size);
        fpd_problem(rq, 416, "range_not_satisfiable", "The file has %llu bytes.",
                    (unsigned long long)file->size);
        return;
    }
    answer_content(rq, app, file, &range, result == FPD_RANGE_PART);
}

void fpd_get_content(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    FPD_CLEANUP(fp_file) file = NULL;
    fp_error err = { 0 };

    if (fp_catalog_get(app->catalog, rq->parameters[0], &file, &err) < 0 ||
        fp_file_check(file, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        negotiate(rq, app, file);
}
