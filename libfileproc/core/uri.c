/* Owns: taking a URI apart (RFC 3986 section 3), with percent-decoding.
 * Must not know: what any scheme means. */
#include "core/uri.h"

#include <string.h>

#include "core/ascii.h"
#include "core/hex.h"

fp_status fpi_uri_decode(const fp_allocator *a, const char *text, size_t size, char **out,
                         fp_error *err)
{
    char *copy = fpi_alloc(a, size + 1);
    size_t n = 0;

    if (!copy)
        return fpi_no_memory(err);
    for (size_t i = 0; i < size; i++) {
        int value = (unsigned char)text[i];

        if (text[i] == '%') {
            int high = i + 2 < size ? fpi_hex_digit(text[i + 1]) : -1;

            value = high >= 0 ? fpi_hex_digit(text[i + 2]) : -1;
            if (value < 0 || (high | value) == 0) {
                fpi_free(a, copy);
                return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad percent-encoding in the URI");
            }
            value |= high << 4;
            i += 2;
        }
        copy[n++] = (char)value;
    }
    copy[n] = '\0';
    *out = copy;
    return FILEPROC_OK;
}

fp_status fpi_uri_scheme(const char *text, char scheme[32], fp_error *err)
{
    size_t n = 0;

    while (text[n] && text[n] != ':' && n < 31) {
        char c = text[n];

        if (!fpi_ascii_is_letter(c) && (n == 0 || !(fpi_ascii_is_digit(c) || strchr("+-.", c))))
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI has no scheme");
        scheme[n++] = fpi_ascii_lower(c);
    }
    if (n == 0 || text[n] != ':')
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI has no scheme");
    scheme[n] = '\0';
    return FILEPROC_OK;
}

static fp_status parse_port(const char *text, size_t size, uint32_t *port, fp_error *err)
{
    uint32_t value = 0;

    for (size_t i = 0; i < size; i++) {
        if (!fpi_ascii_is_digit(text[i]) || value > 6553)
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad port in the URI");
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > 65535)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad port in the URI");
    *port = value;
    return FILEPROC_OK;
}

static fp_status parse_user(const char *text, size_t size, fpi_uri *uri, fp_error *err)
{
    const char *colon = memchr(text, ':', size);
    size_t user_size = colon ? (size_t)(colon - text) : size;
    fp_status rc = fpi_uri_decode(uri->a, text, user_size, &uri->user, err);

    if (rc == FILEPROC_OK && colon)
        rc = fpi_uri_decode(uri->a, colon + 1, size - user_size - 1, &uri->password, err);
    return rc;
}

static fp_status parse_authority(const char *text, size_t size, fpi_uri *uri, fp_error *err)
{
    const char *at = memrchr(text, '@', size);
    const char *host = at ? at + 1 : text;
    const char *end = text + size;
    const char *port;
    fp_status rc = FILEPROC_OK;

    if (at)
        rc = parse_user(text, (size_t)(at - text), uri, err);
    if (rc < 0)
        return rc;
    if (host < end && *host == '[') {
        const char *close = memchr(host, ']', (size_t)(end - host));

        if (!close || (close + 1 < end && close[1] != ':'))
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad host in the URI");
        port = close + 1 < end ? close + 1 : NULL;
        rc = fpi_uri_decode(uri->a, host + 1, (size_t)(close - host - 1), &uri->host, err);
    } else {
        port = memchr(host, ':', (size_t)(end - host));
        rc = fpi_uri_decode(uri->a, host, (size_t)((port ? port : end) - host), &uri->host, err);
    }
    if (rc == FILEPROC_OK && port)
        rc = parse_port(port + 1, (size_t)(end - port - 1), &uri->port, err);
    return rc;
}

static fp_status parse_parts(const char *rest, fpi_uri *uri, fp_error *err)
{
    size_t size = strcspn(rest, "#");
    const char *query = memchr(rest, '?', size);
    size_t path_end = query ? (size_t)(query - rest) : size;
    size_t path = 0;
    fp_status rc;

    if (path_end >= 2 && rest[0] == '/' && rest[1] == '/') {
        const char *slash = memchr(rest + 2, '/', path_end - 2);

        path = slash ? (size_t)(slash - rest) : path_end;
        rc = parse_authority(rest + 2, path - 2, uri, err);
        if (rc < 0)
            return rc;
    }
    rc = fpi_uri_decode(uri->a, rest + path, path_end - path, &uri->path, err);
    if (rc == FILEPROC_OK && query) {
        uri->query = fpi_strndup(uri->a, query + 1, size - path_end - 1);
        if (!uri->query)
            return fpi_no_memory(err);
    }
    return rc;
}

fp_status fpi_uri_parse(const fp_context *ctx, const char *text, fpi_uri *uri, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) parsed = { .a = &ctx->a };
    char scheme[32];
    fp_status rc;

    if (strnlen(text, FPI_URI_MAX + 1) > FPI_URI_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI is longer than 4096 bytes");
    rc = fpi_uri_scheme(text, scheme, err);
    if (rc < 0)
        return rc;
    parsed.scheme = fpi_strdup(&ctx->a, scheme);
    if (!parsed.scheme)
        return fpi_no_memory(err);
    rc = parse_parts(text + strlen(scheme) + 1, &parsed, err);
    if (rc < 0)
        return rc;
    *uri = parsed;
    parsed = (fpi_uri){ .a = &ctx->a };
    return FILEPROC_OK;
}

void fpi_uri_dispose(fpi_uri *uri)
{
    if (!uri->a)
        return;
    if (uri->password)
        explicit_bzero(uri->password, strlen(uri->password));
    fpi_free(uri->a, uri->scheme);
    fpi_free(uri->a, uri->user);
    fpi_free(uri->a, uri->password);
    fpi_free(uri->a, uri->host);
    fpi_free(uri->a, uri->path);
    fpi_free(uri->a, uri->query);
    *uri = (fpi_uri){ 0 };
}
