/* Owns: the catalog's steps inside a transaction: a row is added, read, taught, looked for.
 * Must not know: who runs the transaction. */
#include <assert.h>
#include <string.h>

#include "catalog/catalog_rows.h"
#include "core/json.h"
#include "core/utf8.h"
#include "database/database_private.h"
#include "event/outbox.h"

/* All that pipelines may say about one file. */
#define INFO_MAX (1024u * 1024u)

#define READ_SQL "SELECT " FPI_FILE_COLUMNS " FROM files WHERE id IN ("
#define READ_FEW 8u

fp_status fpi_file_not_found(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_FILE_NOT_FOUND,
                            "there is no such file");
}

fp_status fpi_catalog_read(fp_catalog *cat, fp_tx *tx, const char *id, fp_file **out, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, "SELECT " FPI_FILE_COLUMNS " FROM files WHERE id = $1", params, 1, &rows,
                     err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc < 0)
        return rc;
    return more ? fpi_file_from_row(cat->ctx, rows, out, err) : fpi_file_not_found(err);
}

static bool is_among(const fp_value *ids, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i].text, id) == 0)
            return true;
    return false;
}

/* Each id once. Three texts of the statement are enough: one that is too long repeats its last id. Answers for how many it is. */
static size_t collect_ids(const char *const *ids, size_t count, fp_value *params)
{
    size_t n = 0, size;

    for (size_t i = 0; i < count; i++)
        if (!is_among(params, n, ids[i]))
            params[n++] = (fp_value)FILEPROC_V_TEXT(ids[i]);
    size = n == 1 ? 1 : n <= READ_FEW ? READ_FEW : FPI_CATALOG_READ_MAX;
    for (; n < size; n++)
        params[n] = params[n - 1];
    return size;
}

static const char *read_sql(size_t size)
{
    if (size == 1)
        return READ_SQL "$1)";
    if (size == READ_FEW)
        return READ_SQL "$1, $2, $3, $4, $5, $6, $7, $8)";
    return READ_SQL "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
                    " $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32)";
}

static fp_status spread_row(const fp_catalog *cat, fp_rows *rows, const char *const *ids,
                            size_t count, fp_file **files, fp_error *err)
{
    const char *id = fp_rows_text(rows, 0);
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++)
        if (strcmp(ids[i], id) == 0)
            rc = fpi_file_from_row(cat->ctx, rows, &files[i], err);
    return rc;
}

fp_status fpi_catalog_read_each(fp_catalog *cat, fp_tx *tx, const char *const *ids, size_t count,
                                fp_file **files, fp_error *err)
{
    fp_value params[FPI_CATALOG_READ_MAX];
    FPI_CLEANUP(fp_rows) rows = NULL;
    size_t size;
    int32_t more = 0;
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        files[i] = NULL;
    if (!count)
        return FILEPROC_OK;
    size = collect_ids(ids, count, params);
    rc = fp_tx_query(tx, read_sql(size), params, size, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more)
        rc = spread_row(cat, rows, ids, count, files, err);
    for (size_t i = 0; rc < 0 && i < count; i++)
        fp_file_free(fpi_steal(&files[i]));
    return rc;
}

/* One text in the first column; *found says whether there is a row. */
static fp_status row_exists(fp_tx *tx, const char *sql, const char *param, int *found,
                            fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(param) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    rc = fp_tx_query(tx, sql, params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc == FILEPROC_OK)
        *found = more;
    return rc;
}

fp_status fpi_catalog_has_key(fp_catalog *cat, fp_tx *tx, const char *storage_key, int *found,
                              fp_error *err)
{
    (void)cat;
    return row_exists(tx, "SELECT 1 FROM files WHERE storage_key = $1", storage_key, found, err);
}

/* A child that came while its parent is being deleted would never be found by the deletion. */
static fp_status check_parent(fp_tx *tx, const char *parent_id, fp_error *err)
{
    int found = 0;
    fp_status rc = row_exists(tx, "SELECT 1 FROM files WHERE id = $1 AND state = 'available'",
                              parent_id, &found, err);

    return rc == FILEPROC_OK && !found ? fpi_file_not_found(err) : rc;
}

static fp_status insert_row(fp_tx *tx, const fpi_new_file *f, int64_t now, fp_error *err)
{
    const fp_value row[] = {
        FILEPROC_V_TEXT(f->id),
        FILEPROC_V_TEXT(f->owner),
        FILEPROC_V_TEXT(f->filename),
        FILEPROC_V_INT(f->size),
        FILEPROC_V_TEXT(f->mime_type),
        FILEPROC_V_TEXT(f->detected_mime_type),
        FILEPROC_V_TEXT(f->sha256),
        FILEPROC_V_TEXT(f->parent_id),
        FILEPROC_V_TEXT(f->operation),
        FILEPROC_V_TEXT(f->job_id),
        FILEPROC_V_TEXT(f->storage_key),
        FILEPROC_V_TEXT(f->info ? f->info : "{}"),
        FILEPROC_V_INT(now),
        FILEPROC_V_TEXT(f->quarantined ? "quarantined" : "available"),
    };

    return fp_tx_exec(
        tx,
        "INSERT INTO files (id, owner, filename, size, mime_type, detected_mime_type, sha256,"
        " state, parent_id, operation, job_id, storage_key, info, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $14, $8, $9, $10, $11, $12, $13, $13)",
        row, sizeof(row) / sizeof(*row), NULL, err);
}

fp_status fpi_catalog_append_event(fp_catalog *cat, fp_tx *tx, const char *type,
                                   const fp_file *file, fp_error *err)
{
    FPI_DISPOSE(fp_buf) data = FILEPROC_BUF_INIT;
    fp_status rc = fpi_file_event_data(cat->ctx, file, &data, err);

    return rc < 0 ? rc : fpi_outbox_append(cat->ctx, tx, type, file->id, data.data, err);
}

static bool is_utf8(const char *text)
{
    size_t size;

    for (; text && *text; text += size) {
        size = fpi_utf8_decode(text, NULL);
        if (!size)
            return false;
    }
    return true;
}

fp_status fpi_catalog_insert(fp_catalog *cat, fp_tx *tx, const fpi_new_file *f, fp_error *err)
{
    int64_t now = fpi_now_ms(cat->ctx);
    const fp_file created = { .id = f->id,
                              .filename = f->filename,
                              .size = f->size,
                              .mime_type = f->mime_type,
                              .detected_mime_type = f->detected_mime_type,
                              .sha256 = f->sha256,
                              .owner = f->owner,
                              .created_at_ms = now };
    fp_status rc = FILEPROC_OK;

    if (!is_utf8(f->filename) || !is_utf8(f->owner))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the name or owner of a file is not UTF-8");
    if (f->parent_id)
        rc = check_parent(tx, f->parent_id, err);
    if (rc == FILEPROC_OK)
        rc = insert_row(tx, f, now, err);
    if (rc == FILEPROC_OK && !f->parent_id)
        rc = fpi_catalog_append_event(
            cat, tx, f->quarantined ? FPI_EVENT_FILE_QUARANTINED : FPI_EVENT_FILE_CREATED, &created,
            err);
    return rc;
}

fp_status fpi_catalog_move(fp_catalog *cat, fp_tx *tx, const char *id, const char *state,
                           fp_file **file, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_TEXT(state),
                                FILEPROC_V_INT(fpi_now_ms(cat->ctx)) };
    FPI_CLEANUP(fp_file) moved = NULL;
    uint64_t changed = 0;
    fp_status rc = fp_tx_exec(tx,
                              "UPDATE files SET state = $2, updated_at = $3"
                              " WHERE id = $1 AND state IN ('quarantined', 'rejected')",
                              params, 3, &changed, err);

    if (rc == FILEPROC_OK && changed)
        rc = fpi_catalog_read(cat, tx, id, &moved, err);
    assert(rc < 0 || !changed || moved);
    if (rc == FILEPROC_OK && changed && strcmp(state, "available") == 0)
        rc = fpi_catalog_append_event(cat, tx, FPI_EVENT_FILE_CREATED, moved, err);
    if (rc == FILEPROC_OK)
        *file = fpi_steal(&moved);
    return rc;
}

static fp_status parse_info(const char *info, json_t **out, fp_error *err)
{
    FPI_CLEANUP(json_t) parsed = NULL;
    fp_status rc = fpi_json_parse(info, strlen(info), "info", &parsed, err);

    if (rc == FILEPROC_ERR_INVALID || (rc == FILEPROC_OK && !json_is_object(parsed)))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the info of a file is no JSON object");
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&parsed);
    return rc;
}

/* What is written must be readable again: a member may be nested as deep as parsing allows, and one deeper inside info. */
static fp_status check_merged(const char *text, fp_error *err)
{
    FPI_CLEANUP(json_t) parsed = NULL;

    if (strlen(text) > INFO_MAX)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_OUTPUT_TOO_LARGE,
                                "what is known of the file takes more than %u bytes", INFO_MAX);
    return fpi_json_parse(text, strlen(text), "info", &parsed, err);
}

static fp_status merge_info(fp_catalog *cat, const char *old, const char *key, const char *member,
                            char **merged, fp_error *err)
{
    FPI_CLEANUP(json_t) info = NULL;
    json_t *value = NULL;
    fp_status rc;

    rc = parse_info(old, &info, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_parse(member, strlen(member), key, &value, err);
    if (rc == FILEPROC_OK)
        rc = fpi_json_set(info, key, value, err);
    if (rc < 0)
        return rc;
    *merged = fpi_json_text(cat->ctx, info);
    return *merged ? check_merged(*merged, err) : fpi_no_memory(err);
}

static fp_status write_learnt(fp_catalog *cat, fp_tx *tx, const char *id,
                              const char *detected_mime_type, const char *sha256, const char *info,
                              fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(id), FILEPROC_V_TEXT(detected_mime_type),
                                FILEPROC_V_TEXT(sha256), FILEPROC_V_TEXT(info),
                                FILEPROC_V_INT(fpi_now_ms(cat->ctx)) };

    return fp_tx_exec(tx,
                      "UPDATE files SET detected_mime_type = COALESCE($2, detected_mime_type),"
                      " sha256 = COALESCE($3, sha256), info = COALESCE($4, info), updated_at = $5"
                      " WHERE id = $1",
                      params, 5, NULL, err);
}

fp_status fpi_catalog_learn(fp_catalog *cat, fp_tx *tx, const char *id,
                            const char *detected_mime_type, const char *sha256,
                            const char *info_key, const char *info_member, fp_error *err)
{
    FPI_CLEANUP(fp_file) file = NULL;
    char *info = NULL;
    fp_status rc = fpi_catalog_read(cat, tx, id, &file, err);

    assert(rc < 0 || file);
    if (rc == FILEPROC_OK && info_key)
        rc = merge_info(cat, file->info, info_key, info_member, &info, err);
    if (rc == FILEPROC_OK)
        rc = write_learnt(cat, tx, id, detected_mime_type, sha256, info, err);
    fpi_free(&cat->ctx->a, info);
    return rc;
}
