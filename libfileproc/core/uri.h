/* Owns: taking a URI apart (RFC 3986 section 3), with percent-decoding.
 * Must not know: what any scheme means. */
#ifndef FPI_URI_H
#define FPI_URI_H

#include <stdint.h>

#include "core/context_private.h"

#define FPI_URI_MAX 4096u

/** The parts, decoded. Absent parts are NULL; path is "" at the least. */
typedef struct fpi_uri {
    const fp_allocator *a;
    char *scheme; /**< Lower case. */
    char *user;
    char *password;
    char *host;
    char *path;
    char *query;   /**< Not decoded: its parts are, when taken apart. */
    uint32_t port; /**< 0 = none given. */
} fpi_uri;

/** Fills *uri, to be released with fpi_uri_dispose(); FILEPROC_ERR_INVALID never shows the password. */
fp_status fpi_uri_parse(const fp_context *ctx, const char *text, fpi_uri *uri, fp_error *err);
void fpi_uri_dispose(fpi_uri *uri);
FPI_DEFINE_DISPOSE(fpi_uri, fpi_uri_dispose)

/** Copies only the scheme, in lower case, into a buffer of 32 bytes; INVALID when there is none. */
fp_status fpi_uri_scheme(const char *text, char scheme[32], fp_error *err);

/** A copy of size bytes with %XX made into what it means. INVALID for a bad one, %00 included. */
fp_status fpi_uri_decode(const fp_allocator *a, const char *text, size_t size, char **out,
                         fp_error *err);

#endif
