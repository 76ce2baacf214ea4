/* Owns: how an error record is filled, and the names of codes and reasons.
 * Must not know: any other noun. */
#include <fileproc/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error_private.h"
#include "core/utf8.h"

static void fill(fp_error *err, fp_status code, const char *domain, int32_t cause, const char *fmt,
                 va_list args)
{
    int size;

    if (!err)
        return;
    memset(err, 0, sizeof(*err));
    err->code = code;
    err->cause = cause;
    snprintf(err->domain, sizeof(err->domain), "%s", domain);
    size = vsnprintf(err->message, sizeof(err->message), fmt ? fmt : "", args);
    /* Messages quote what clients sent, and end up in JSON. */
    fpi_utf8_clean(err->message, size >= (int)sizeof(err->message));
    if (code == FILEPROC_ERR_BUSY || code == FILEPROC_ERR_TIMEOUT)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
}

fp_status fp_error_setf(fp_error *err, fp_status code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, code, "", 0, fmt, args);
    va_end(args);
    return code;
}

fp_status fp_error_reasonf(fp_error *err, fp_status code, int32_t reason, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, code, "fileproc", reason, fmt, args);
    va_end(args);
    return code;
}

fp_status fpi_error_causef(fp_error *err, fp_status code, const char *domain, int32_t cause,
                           const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fill(err, code, domain, cause, fmt, args);
    va_end(args);
    return code;
}

fp_status fpi_error_errno(fp_error *err, int number, const char *what)
{
    if (number == ENOMEM)
        return fpi_error_causef(err, FILEPROC_ERR_NOMEM, "errno", number, "%s: out of memory",
                                what);
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL,
                                "%s: no space left", what);
    return fpi_error_causef(err, FILEPROC_ERR_IO, "errno", number, "%s: %s", what,
                            strerrordesc_np(number) ? strerrordesc_np(number) : "unknown error");
}

const char *fp_status_name(fp_status code)
{
    static const char *const names[] = { "ok",       "nomem",    "invalid",  "notsup",
                                         "notfound", "exists",   "conflict", "auth",
                                         "quota",    "busy",     "timeout",  "cancelled",
                                         "io",       "protocol", "corrupt",  "user" };

    if (code > 0 || code <= -(fp_status)(sizeof(names) / sizeof(*names)))
        return "unknown";
    return names[-code];
}

static const struct {
    int32_t number;
    const char *name;
} reasons[] = {
#define REASON_ROW(suffix, number, name) { number, name },
    FILEPROC_REASON_MAP(REASON_ROW)
#undef REASON_ROW
};

const char *fp_error_reason(const fp_error *err)
{
    if (!err)
        return "unknown";
    if (strcmp(err->domain, "fileproc") == 0)
        for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
            if (reasons[i].number == err->cause)
                return reasons[i].name;
    return fp_status_name(err->code);
}

int32_t fpi_reason_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
        if (strcmp(reasons[i].name, name) == 0)
            return reasons[i].number;
    return FILEPROC_REASON_NONE;
}
