/* Owns: the public face of a cache: picking its driver, checking arguments; values, limits, messages.
 * Must not know: any driver. */
#include <string.h>

#include "cache/cache_private.h"
#include "core/options.h"
#include "core/uri.h"

#define DEFAULT_MAX_BYTES ((uint64_t)64 << 20)
#define DAY_MS 86400000u
#define LIMIT_MAX UINT64_C(1000000000)

static const fp_cache_driver *find_driver(const fp_context *ctx, const char *scheme)
{
    for (size_t i = 0; i < ctx->cache_drivers.count; i++) {
        const fp_cache_driver *drv = ctx->cache_drivers.items[i];

        if (strcmp(drv->scheme, scheme) == 0)
            return drv;
    }
    for (size_t i = 0; fpi_cache_drivers[i]; i++)
        if (strcmp(fpi_cache_drivers[i]->scheme, scheme) == 0)
            return fpi_cache_drivers[i];
    return NULL;
}

static fp_status no_driver(const char *scheme, fp_error *err)
{
    if (strcmp(scheme, "rediss") == 0)
        return fp_error_setf(
            err, FILEPROC_ERR_NOTSUP,
            "rediss: the client library has no TLS; let a proxy on this machine do it, "
            "and use redis:");
    return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "no cache driver for the scheme %s", scheme);
}

static fp_status null_argument(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
}

fp_status fp_cache_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                        fp_cache **out, fp_error *err)
{
    FPI_CLEANUP(fp_cache) c = NULL;
    fp_cache_options o = FILEPROC_CACHE_OPTIONS_INIT;
    char scheme[32];
    fp_status rc;

    if (!ctx || !uri || !out)
        return null_argument(err);
    if (strnlen(uri, FPI_URI_MAX + 1) > FPI_URI_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI is longer than 4096 bytes");
    rc = fpi_options_import(&o, sizeof(o), opts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uri_scheme(uri, scheme, err);
    if (rc < 0)
        return rc;
    if (!o.max_bytes)
        o.max_bytes = DEFAULT_MAX_BYTES;
    c = fpi_calloc(&ctx->a, 1, sizeof(*c));
    if (!c)
        return fpi_no_memory(err);
    c->ctx = ctx;
    c->drv = find_driver(ctx, scheme);
    if (!c->drv)
        return no_driver(scheme, err);
    rc = c->drv->open(ctx, uri, &o, &c->self, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&c);
    return FILEPROC_OK;
}

void fp_cache_free(fp_cache *c)
{
    if (!c)
        return;
    if (c->self)
        c->drv->close(c->self);
    fpi_free(&c->ctx->a, c);
}

fp_status fp_cache_ping(fp_cache *c, fp_error *err)
{
    return c ? c->drv->ping(c->self, err) : null_argument(err);
}

fp_status fpi_cache_check_key(const char *key, const char *what, fp_error *err)
{
    size_t size = strnlen(key, FILEPROC_CACHE_KEY_MAX + 1);

    if (size == 0 || size > FILEPROC_CACHE_KEY_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s has 1 to %u bytes", what,
                             FILEPROC_CACHE_KEY_MAX);
    return FILEPROC_OK;
}

fp_status fp_cache_get(fp_cache *c, const char *key, fp_buf *value, int32_t *found, fp_error *err)
{
    fp_status rc;

    if (!c || !key || !value || !found)
        return null_argument(err);
    rc = fpi_cache_check_key(key, "a key", err);
    return rc < 0 ? rc : c->drv->get(c->self, key, value, found, 0, err);
}

fp_status fp_cache_set(fp_cache *c, const char *key, const void *value, size_t size, int64_t ttl_ms,
                       fp_error *err)
{
    fp_status rc;

    if (!c || !key || (!value && size))
        return null_argument(err);
    if (size > FILEPROC_CACHE_VALUE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a value is at most %u bytes",
                             FILEPROC_CACHE_VALUE_MAX);
    if (ttl_ms < 0 || ttl_ms > INT64_C(3650) * DAY_MS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "ttl_ms is out of range");
    rc = fpi_cache_check_key(key, "a key", err);
    return rc < 0 ? rc : c->drv->set(c->self, key, size ? value : "", size, ttl_ms, err);
}

fp_status fp_cache_remove(fp_cache *c, const char *key, fp_error *err)
{
    fp_status rc;

    if (!c || !key)
        return null_argument(err);
    rc = fpi_cache_check_key(key, "a key", err);
    return rc < 0 ? rc : c->drv->remove(c->self, key, 0, err);
}

fp_status fp_cache_count(fp_cache *c, const char *key, fp_rate *rate, fp_error *err)
{
    fp_rate r = FILEPROC_RATE_INIT;
    fp_status rc;

    if (!c || !key || !rate)
        return null_argument(err);
    rc = fpi_options_import(&r, sizeof(r), rate, err);
    if (rc == FILEPROC_OK)
        rc = fpi_cache_check_key(key, "a key", err);
    if (rc < 0)
        return rc;
    if (r.limit == 0 || r.limit > LIMIT_MAX || r.window_ms == 0 || r.window_ms > DAY_MS ||
        r.reserved)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the limit is out of range");
    rc = c->drv->count(c->self, key, &r, 0, err);
    return rc < 0 ? rc : fpi_options_export(rate, &r, sizeof(r), err);
}

fp_status fp_cache_publish(fp_cache *c, const char *channel, const void *data, size_t size,
                           fp_error *err)
{
    fp_status rc;

    if (!c || !channel || (!data && size))
        return null_argument(err);
    if (size > FILEPROC_CACHE_MESSAGE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a message is at most %u bytes",
                             FILEPROC_CACHE_MESSAGE_MAX);
    rc = fpi_cache_check_key(channel, "a channel", err);
    return rc < 0 ? rc : c->drv->publish(c->self, channel, size ? data : "", size, 0, err);
}
