/* Owns: giving a new upload the bytes of a file that its owner has already.
 * Must not know: how an upload begins.
 *
 * The server does what the client would have done: it appends the bytes and completes. So a crash leaves an upload that its client can go
 * on with, the copy is a file as any other that lives and dies for itself, and its digest is that of what was read: a file whose bytes are
 * damaged does not multiply. */
#include "upload/upload_reuse.h"

#include <string.h>

#include "core/digest.h"
#include "core/hex.h"

#define READ_SIZE ((size_t)1024 * 1024)

typedef struct source {
    const fp_upload *upload;
    char id[FPI_UUID_SIZE]; /* empty: there is none */
    char key[FPI_KEY_MAX + 1];
} source;

static fp_status take_source(fp_rows *rows, source *src, fp_error *err)
{
    const char *id = fp_rows_text(rows, 0), *key = fp_rows_text(rows, 1);

    if (!fpi_uuid_valid(id) || !key || strlen(key) > FPI_KEY_MAX)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the row of a file makes no sense");
    memcpy(src->id, id, sizeof(src->id));
    memcpy(src->key, key, strlen(key) + 1);
    return FILEPROC_OK;
}

/* The owner's, and nobody else's: what others have must not be found out by asking. */
static fp_status find_body(fp_tx *tx, void *user_data, fp_error *err)
{
    source *src = user_data;
    const fp_upload *u = src->upload;
    const fp_value params[] = { FILEPROC_V_TEXT(u->owner), FILEPROC_V_TEXT(u->expected_sha256),
                                FILEPROC_V_INT(u->size) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    src->id[0] = '\0';
    rc = fp_tx_query(tx,
                     "SELECT id, storage_key FROM files WHERE owner = $1 AND sha256 = $2"
                     " AND size = $3 AND state = 'available' LIMIT 1",
                     params, 3, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    return rc < 0 || !more ? rc : take_source(rows, src, err);
}

static fp_status mark_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const source *src = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(src->upload->id), FILEPROC_V_TEXT(src->id) };

    return fp_tx_exec(tx, "UPDATE uploads SET copied_from = $2 WHERE id = $1", params, 2, NULL,
                      err);
}

/* Nothing of it is durable before the digest was right. */
static fp_status begin(fp_uploads *ups, const fp_upload *u, fp_append **append, fp_error *err)
{
    fp_append_options o = FILEPROC_APPEND_OPTIONS_INIT;
    unsigned char digest[FPI_DIGEST_MAX];

    if (!fpi_unhex(u->expected_sha256, sizeof(digest), digest))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the upload's digest makes no sense");
    o.digest_algorithm = "sha-256";
    o.digest = digest;
    o.digest_size = sizeof(digest);
    o.length = u->size;
    return fp_append_begin(ups, u->id, 0, &o, append, err);
}

static fp_status copy_bytes(fp_uploads *ups, const source *src, fp_append *append, void *buffer,
                            fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    size_t got = 1;

    for (uint64_t at = 0; rc == FILEPROC_OK && got; at += got) {
        rc = fp_storage_read(ups->st, src->key, at, buffer, READ_SIZE, &got, err);
        if (rc == FILEPROC_OK && got)
            rc = fp_append_write(append, buffer, got, err);
    }
    return rc == FILEPROC_OK ? fp_append_commit(append, NULL, err) : rc;
}

static fp_status copy(fp_uploads *ups, const source *src, fp_error *err)
{
    fp_append *append = NULL;
    void *buffer;
    fp_status rc;

    if (src->upload->size == 0)
        return FILEPROC_OK;
    buffer = fpi_alloc(&ups->ctx->a, READ_SIZE);
    if (!buffer)
        return fpi_no_memory(err);
    rc = begin(ups, src->upload, &append, err);
    if (rc == FILEPROC_OK)
        rc = copy_bytes(ups, src, append, buffer, err);
    fp_append_free(append);
    fpi_free(&ups->ctx->a, buffer);
    return rc;
}

void fpi_upload_reuse(fp_uploads *ups, fp_upload **upload)
{
    fp_upload *done = NULL;
    source src = { .upload = *upload };
    fp_error e = { 0 };
    fp_status rc;

    if (!src.upload->owner || !src.upload->expected_sha256 || src.upload->size_unknown)
        return;
    rc = fp_database_transact(ups->db, FILEPROC_TX_READONLY, find_body, &src, &e);
    if (rc == FILEPROC_OK && !*src.id)
        return;
    if (rc == FILEPROC_OK)
        rc = copy(ups, &src, &e);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(ups->db, 0, mark_body, &src, &e);
    if (rc == FILEPROC_OK)
        rc = fp_upload_complete(ups, src.upload->id, &done, &e);
    if (rc < 0) {
        fpi_log(ups->ctx, FILEPROC_LOG_INFO, "upload",
                "%s: the bytes of file %s can't be taken: %s", src.upload->id, src.id, e.message);
        return;
    }
    fp_upload_free(*upload);
    *upload = done;
}
