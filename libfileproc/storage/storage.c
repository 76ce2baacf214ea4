/* Owns: the store: picking its driver, checking what callers pass, whole objects.
 * Must not know: any driver; staged objects are assembly.c's, pages of names storage_list.c's. */
#include <string.h>

#include "core/options.h"
#include "core/uri.h"
#include "core/uuid.h"
#include "storage/storage_private.h"

#define DEFAULT_MAX_BYTES (UINT64_C(256) << 20)
#define DEFAULT_CONNECT_TIMEOUT_MS 10000u
#define DEFAULT_MAX_ATTEMPTS 4u

fp_status fpi_object_not_found(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_OBJECT_NOT_FOUND,
                            "there is no such object");
}

static size_t unquote(const char **etag)
{
    size_t n = strlen(*etag);

    if (n < 2 || (*etag)[0] != '"' || (*etag)[n - 1] != '"')
        return n;
    ++*etag;
    return n - 2;
}

bool fpi_etag_same(const char *a, const char *b)
{
    size_t n = unquote(&a);

    return n == unquote(&b) && n > 0 && memcmp(a, b, n) == 0;
}

static const fp_storage_driver *find_driver(const fp_context *ctx, const char *scheme)
{
    for (size_t i = 0; i < ctx->storage_drivers.count; i++) {
        const fp_storage_driver *drv = ctx->storage_drivers.items[i];

        if (strcmp(drv->scheme, scheme) == 0)
            return drv;
    }
    for (size_t i = 0; fpi_storage_drivers[i]; i++)
        if (strcmp(fpi_storage_drivers[i]->scheme, scheme) == 0)
            return fpi_storage_drivers[i];
    return NULL;
}

static fp_status import_options(fp_storage_options *o, const fp_storage_options *theirs,
                                fp_error *err)
{
    fp_status rc;

    *o = (fp_storage_options)FILEPROC_STORAGE_OPTIONS_INIT;
    rc = fpi_options_import(o, sizeof(*o), theirs, err);
    if (rc < 0)
        return rc;
    if (!o->max_bytes)
        o->max_bytes = DEFAULT_MAX_BYTES;
    if (!o->connect_timeout_ms)
        o->connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
    if (!o->max_attempts)
        o->max_attempts = DEFAULT_MAX_ATTEMPTS;
    return FILEPROC_OK;
}

/* A store behind a network is used through the decorator that repeats what fails for a while. */
static fp_status open_with_driver(fp_storage *st, const char *uri, const fp_storage_options *o,
                                  fp_error *err)
{
    const fp_storage_driver *drv = st->drv;
    void *self = NULL, *wrapped = NULL;
    fp_status rc = drv->open(st->ctx, uri, o, &self, err);

    if (rc < 0)
        return rc;
    st->scheme = drv->scheme;
    st->self = self;
    st->flags = drv->flags;
    st->copies = drv->part_copy != NULL;
    if (!(drv->flags & FILEPROC_STORAGE_DRIVER_NETWORK))
        return FILEPROC_OK;
    rc = fpi_storage_retry_wrap(st->ctx, drv, self, o->max_attempts, &wrapped, err);
    if (rc < 0)
        return rc;
    st->drv = &fpi_storage_retry_driver;
    st->self = wrapped;
    return FILEPROC_OK;
}

fp_status fp_storage_open(fp_context *ctx, const char *uri, const fp_storage_options *opts,
                          fp_storage **out, fp_error *err)
{
    FPI_CLEANUP(fp_storage) st = NULL;
    fp_storage_options o;
    char scheme[32];
    fp_status rc;

    if (!ctx || !uri || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (strnlen(uri, FPI_URI_MAX + 1) > FPI_URI_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI is longer than 4096 bytes");
    rc = import_options(&o, opts, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uri_scheme(uri, scheme, err);
    if (rc < 0)
        return rc;
    st = fpi_calloc(&ctx->a, 1, sizeof(*st));
    if (!st)
        return fpi_no_memory(err);
    st->ctx = ctx;
    st->drv = find_driver(ctx, scheme);
    if (!st->drv)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "no storage driver for the scheme %s",
                             scheme);
    rc = open_with_driver(st, uri, &o, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&st);
    return FILEPROC_OK;
}

void fp_storage_free(fp_storage *st)
{
    if (!st)
        return;
    if (st->self)
        st->drv->close(st->self);
    fpi_free(&st->ctx->a, st);
}

static fp_status write_one_part(fp_assembly *a, const void *data, size_t size, fp_error *err)
{
    FPI_CLEANUP(fp_part) part = NULL;
    fp_status rc = fp_part_begin(a, 0, size, &part, err);

    if (rc == FILEPROC_OK)
        rc = fp_part_write(part, data, size, err);
    if (rc == FILEPROC_OK)
        rc = fp_part_commit(part, NULL, 0, err);
    return rc;
}

fp_status fp_storage_put(fp_storage *st, const char *key, const void *data, size_t size,
                         uint32_t flags, fp_error *err)
{
    FPI_CLEANUP(fp_assembly) a = NULL;
    char id[FPI_UUID_SIZE];
    fp_status rc;

    if (!st || (!data && size) || (flags & ~FILEPROC_STORAGE_EXCLUSIVE))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    rc = fpi_key_check(key, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uuid7(st->ctx, id, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_open(st, id, FILEPROC_ASSEMBLY_CREATE | FILEPROC_ASSEMBLY_TRANSIENT, &a,
                              err);
    if (rc == FILEPROC_OK && size)
        rc = write_one_part(a, data, size, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_publish(a, key, size, flags, err);
    return rc;
}

fp_status fp_storage_read(fp_storage *st, const char *key, uint64_t offset, void *buf, size_t cap,
                          size_t *got, fp_error *err)
{
    size_t n = 0;
    fp_status rc;

    if (!st || (!buf && cap) || !got)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_key_check(key, err);
    if (rc == FILEPROC_OK)
        rc = st->drv->read(st->self, key, offset, buf, cap, &n, 0, err);
    if (rc == FILEPROC_OK)
        *got = n;
    return rc;
}

fp_status fp_storage_open_fd(fp_storage *st, const char *key, int32_t *fd, fp_error *err)
{
    int32_t opened = -1;
    fp_status rc;

    if (!st || !fd)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_key_check(key, err);
    if (rc < 0)
        return rc;
    if (st->drv->open_fd)
        rc = st->drv->open_fd(st->self, key, &opened, 0, err);
    else
        rc = fpi_object_copy_to_file(st, key, &opened, err);
    if (rc == FILEPROC_OK)
        *fd = opened;
    return rc;
}

fp_status fp_storage_stat(fp_storage *st, const char *key, fp_storage_info *info, fp_error *err)
{
    fp_storage_info ours = FILEPROC_STORAGE_INFO_INIT;
    fp_status rc;

    if (!st || !info)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_key_check(key, err);
    if (rc == FILEPROC_OK)
        rc = st->drv->stat(st->self, key, &ours, 0, err);
    if (rc == FILEPROC_OK)
        rc = fpi_options_export(info, &ours, sizeof(ours), err);
    return rc;
}

fp_status fp_storage_remove(fp_storage *st, const char *key, fp_error *err)
{
    fp_status rc;

    if (!st)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the store is NULL");
    rc = fpi_key_check(key, err);
    return rc < 0 ? rc : st->drv->remove(st->self, key, 0, err);
}

const char *fp_storage_scheme(const fp_storage *st)
{
    return st ? st->scheme : "";
}

fp_status fp_storage_discard(fp_storage *st, const char *id, fp_error *err)
{
    fp_status rc;

    if (!st)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the store is NULL");
    rc = fpi_key_check_id(id, err);
    return rc < 0 ? rc : st->drv->discard(st->self, id, 0, err);
}

fp_status fp_storage_presign(fp_storage *st, const char *key, uint32_t method, uint32_t expires_s,
                             fp_buf *url, fp_error *err)
{
    fp_status rc;

    if (!st || !url || (method != FILEPROC_PRESIGN_GET && method != FILEPROC_PRESIGN_PUT) ||
        expires_s < 1 || expires_s > FPI_PRESIGN_MAX_S)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    rc = fpi_key_check(key, err);
    if (rc < 0)
        return rc;
    if (!st->drv->presign)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this store signs no addresses");
    return st->drv->presign(st->self, key, method, expires_s, url, err);
}

fp_status fp_storage_reap(fp_storage *st, int64_t older_than_ms, uint64_t *count, fp_error *err)
{
    uint64_t removed = 0;
    fp_status rc = FILEPROC_OK;

    if (!st || older_than_ms < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    if (st->drv->reap)
        rc = st->drv->reap(st->self, older_than_ms, &removed, err);
    if (rc == FILEPROC_OK && count)
        *count = removed;
    return rc;
}

fp_status fp_storage_room(fp_storage *st, uint64_t *bytes, fp_error *err)
{
    if (!st || !bytes)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!st->drv->room)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the store can't know how much room it has");
    return st->drv->room(st->self, bytes, err);
}
