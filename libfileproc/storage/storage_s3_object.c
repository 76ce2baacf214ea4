/* Owns: whole objects of the s3 driver: reading, writing, telling, removing.
 * Must not know: what is staged. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error_private.h"
#include "storage/storage_s3_private.h"

/* Beyond it no object has bytes, and servers stumble over the numbers. */
#define OFFSET_MAX (UINT64_C(1) << 60)

typedef struct sink {
    unsigned char *buf;
    size_t cap, got;
    uint64_t offset, skip; /* a server that ignores the range sends everything */
    bool begun;
    int fd;
} sink;

static fp_status take_bytes(void *user_data, int status, const void *data, size_t size,
                            fp_error *err)
{
    sink *k = user_data;
    const unsigned char *at = data;
    size_t n;

    (void)err;
    if (!k->begun && status == 200)
        k->skip = k->offset;
    k->begun = true;
    n = k->skip < size ? (size_t)k->skip : size;
    k->skip -= n;
    at += n;
    size -= n;
    n = size < k->cap - k->got ? size : k->cap - k->got;
    memcpy(k->buf + k->got, at, n);
    k->got += n;
    return n < size ? FPI_HTTP_ENOUGH : FILEPROC_OK;
}

fp_status fpi_s3_read_name(fpi_s3_store *s, const char *name, uint64_t offset, void *buf,
                           size_t cap, size_t *got, fp_error *err)
{
    sink k = { .buf = buf, .cap = cap, .offset = offset };
    fp_error ours = { 0 };
    char range[64];
    fpi_s3_call call = { .method = "GET",
                         .key = name,
                         .extra = { range },
                         .extra_count = 1,
                         .on_body = take_bytes,
                         .user_data = &k };
    fp_status rc;

    if (cap == 0 || offset > OFFSET_MAX) {
        rc = fpi_s3_head(s, name, &call, err);
        *got = 0;
        return rc;
    }
    snprintf(range, sizeof(range), "range:bytes=%llu-%llu", (unsigned long long)offset,
             (unsigned long long)(offset + cap - 1));
    rc = fpi_s3_not_there(&call, fpi_s3_run(s, &call, &ours), &ours);
    if (rc < 0 && call.status != 416) { /* which is: at or behind the end */
        if (err)
            *err = ours;
        return rc;
    }
    *got = rc < 0 ? 0 : k.got;
    return FILEPROC_OK;
}

fp_status fpi_s3_head(fpi_s3_store *s, const char *name, fpi_s3_call *call, fp_error *err)
{
    *call = (fpi_s3_call){ .method = "HEAD", .key = name };
    return fpi_s3_not_there(call, fpi_s3_run(s, call, err), err);
}

/* The answer to a first try may have been lost: then the object in the way is the one that was to be put. */
static fp_status is_it_ours(fpi_s3_store *s, const char *name, const char *assembly, fp_error *err)
{
    fpi_s3_call call = { 0 };
    fp_status rc = fpi_s3_head(s, name, &call, err);

    if (rc == FILEPROC_OK && assembly && strcmp(call.assembly, assembly) == 0)
        return FILEPROC_OK;
    if (rc < 0 && rc != FILEPROC_ERR_NOTFOUND)
        return rc;
    return fp_error_setf(err, FILEPROC_ERR_EXISTS, "an object has this key already");
}

fp_status fpi_s3_put(fpi_s3_store *s, const char *name, const fpi_http_piece *pieces, size_t count,
                     const char *assembly, bool exclusive, char etag[FPI_S3_ETAG_SIZE],
                     fp_error *err)
{
    char meta[sizeof(FPI_S3_META) + FPI_KEY_SEGMENT_MAX + 2];
    fpi_s3_call call = { .method = "PUT", .key = name, .has_body = true, .piece_count = count };
    bool conditional = false;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; i < count; i++)
        call.pieces[i] = pieces[i];
    if (exclusive)
        rc = fpi_s3_conditional(s, &conditional, err);
    if (rc == FILEPROC_OK && exclusive && !conditional) {
        fpi_s3_call head;

        rc = fpi_s3_head(s, name, &head, err);
        if (rc == FILEPROC_OK)
            return is_it_ours(s, name, assembly, err);
        rc = rc == FILEPROC_ERR_NOTFOUND ? FILEPROC_OK : rc;
    }
    if (rc < 0)
        return rc;
    if (conditional)
        call.extra[call.extra_count++] = "if-none-match:*";
    if (assembly) {
        snprintf(meta, sizeof(meta), FPI_S3_META ":%s", assembly);
        call.extra[call.extra_count++] = meta;
    }
    rc = fpi_s3_run(s, &call, err);
    if (rc < 0 && call.status == 412)
        return is_it_ours(s, name, assembly, err);
    if (rc == FILEPROC_OK && etag)
        memcpy(etag, call.etag, sizeof(call.etag));
    return rc;
}

fp_status fpi_s3_delete(fpi_s3_store *s, const char *name, fp_error *err)
{
    fpi_s3_call call = { .method = "DELETE", .key = name };
    fp_error ours = { 0 };
    fp_status rc = fpi_s3_run(s, &call, &ours);

    if (rc < 0 && call.status == 404 && strcmp(call.code, "NoSuchBucket") != 0)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = ours;
    return rc;
}

/* Some servers ignore the header, some refuse it: only trying tells. Two requests, once per store. */
static fp_status probe(fpi_s3_store *s, const char *name, bool *yes, fp_error *err)
{
    fpi_s3_call call = { .method = "PUT",
                         .key = name,
                         .has_body = true,
                         .extra = { "if-none-match:*" },
                         .extra_count = 1 };
    fp_error ours = { 0 };
    fp_status rc = fpi_s3_put(s, name, NULL, 0, NULL, false, NULL, err);

    if (rc < 0)
        return rc;
    rc = fpi_s3_run(s, &call, &ours);
    *yes = call.status == 412 || call.status == 409;
    if (*yes || rc == FILEPROC_OK || rc == FILEPROC_ERR_NOTSUP || call.status == 400)
        return FILEPROC_OK;
    if (err)
        *err = ours;
    return rc;
}

fp_status fpi_s3_conditional(fpi_s3_store *s, bool *yes, fp_error *err)
{
    int known = atomic_load(&s->conditional);
    char *name = NULL;
    fp_status rc;

    *yes = known == FPI_S3_CONDITIONAL_YES;
    if (known != FPI_S3_CONDITIONAL_UNKNOWN)
        return FILEPROC_OK;
    rc = fpi_s3_name(s, "~probe", "", &name, err);
    if (rc == FILEPROC_OK)
        rc = probe(s, name, yes, err);
    if (rc == FILEPROC_OK)
        atomic_store(&s->conditional, *yes ? FPI_S3_CONDITIONAL_YES : FPI_S3_CONDITIONAL_NO);
    fpi_free(&s->ctx->a, name);
    return rc;
}

fp_status fpi_s3_read(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                      size_t *got, uint32_t flags, fp_error *err)
{
    fpi_s3_store *s = self;
    char *name = NULL;
    fp_status rc = fpi_s3_name(s, key, "", &name, err);

    (void)flags;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_read_name(s, name, offset, buf, cap, got, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}

/* The server's, without its quotes, and without what would not belong into ours. */
static void plain_etag(const char *from, char out[FILEPROC_ETAG_SIZE])
{
    size_t n = 0;

    for (; *from && n + 1 < FILEPROC_ETAG_SIZE; from++)
        if (isalnum((unsigned char)*from) || strchr("._-", *from))
            out[n++] = *from;
    out[n] = '\0';
}

fp_status fpi_s3_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                      fp_error *err)
{
    fpi_s3_store *s = self;
    fpi_s3_call call = { 0 };
    char *name = NULL;
    fp_status rc = fpi_s3_name(s, key, "", &name, err);

    (void)flags;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_head(s, name, &call, err);
    fpi_free(&s->ctx->a, name);
    if (rc < 0)
        return rc;
    if (call.size < 0)
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the server tells no size");
    info->size = (uint64_t)call.size;
    info->modified_ms = call.modified_ms;
    plain_etag(call.etag, info->etag);
    return FILEPROC_OK;
}

fp_status fpi_s3_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    fpi_s3_store *s = self;
    char *name = NULL;
    fp_status rc = fpi_s3_name(s, key, "", &name, err);

    (void)flags;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_delete(s, name, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}

static fp_status write_bytes(void *user_data, int status, const void *data, size_t size,
                             fp_error *err)
{
    const sink *k = user_data;

    (void)status;
    return fpi_write_fully(k->fd, data, size, err);
}

/* One request, so one version of the object, whatever happens to the key meanwhile. */
fp_status fpi_s3_open_fd(void *self, const char *key, int32_t *out, uint32_t flags, fp_error *err)
{
    fpi_s3_store *s = self;
    FPI_FD fd = -1;
    char *name = NULL;
    sink k = { 0 };
    fpi_s3_call call = { .method = "GET", .on_body = write_bytes, .user_data = &k };
    fp_status rc = fpi_s3_name(s, key, "", &name, err);

    (void)flags;
    if (rc == FILEPROC_OK)
        rc = fpi_unnamed_file(&fd, err);
    if (rc == FILEPROC_OK) {
        k.fd = fd;
        call.key = name;
        rc = fpi_s3_not_there(&call, fpi_s3_run(s, &call, err), err);
    }
    if (rc == FILEPROC_OK)
        rc = fpi_reopen_read_only(fd, out, err);
    fpi_free(&s->ctx->a, name);
    return rc;
}
