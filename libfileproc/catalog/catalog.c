/* Owns: the catalog's handle, and reading from it: one file, or a page of them.
 * Must not know: how rows are written; that is catalog_row.c's, and catalog_delete.c's. */
#include <ctype.h>
#include <endian.h>
#include <string.h>

#include "catalog/catalog_rows.h"
#include "core/digest.h"
#include "core/media_type.h"
#include "core/options.h"

fp_status fp_catalog_open(fp_context *ctx, fp_database *db, fp_storage *st, fp_catalog **out,
                          fp_error *err)
{
    fp_catalog *cat;

    if (!ctx || !db || !st || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    cat = fpi_calloc(&ctx->a, 1, sizeof(*cat));
    if (!cat)
        return fpi_no_memory(err);
    *cat = (fp_catalog){ ctx, db, st, NULL };
    *out = cat;
    return FILEPROC_OK;
}

void fp_catalog_free(fp_catalog *cat)
{
    if (!cat)
        return;
    fpi_file_cache_free(cat->cache);
    fpi_free(&cat->ctx->a, cat);
}

fp_status fp_catalog_set_cache(fp_catalog *cat, size_t max_bytes, uint32_t max_age_ms,
                               fp_error *err)
{
    FPI_CLEANUP(fpi_file_cache) cache = NULL;
    fp_status rc = FILEPROC_OK;

    if (!cat)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the catalog is NULL");
    if (max_bytes && max_age_ms)
        rc = fpi_file_cache_new(cat->ctx, max_bytes, max_age_ms, &cache, err);
    if (rc < 0)
        return rc;
    fpi_file_cache_free(cat->cache);
    cat->cache = fpi_steal(&cache);
    return FILEPROC_OK;
}

void fpi_catalog_changing(fp_catalog *cat, const char *id)
{
    if (cat->cache)
        fpi_file_cache_hold(cat->cache, id);
}

void fpi_catalog_changed(fp_catalog *cat, const char *id)
{
    if (!cat->cache)
        return;
    if (id)
        fpi_file_cache_forget(cat->cache, id);
    else
        fpi_file_cache_forget_all(cat->cache);
    fpi_file_cache_release(cat->cache, id);
}

typedef struct get_call {
    fp_catalog *cat;
    const char *id;
    fp_file *file;
} get_call;

static fp_status get_body(fp_tx *tx, void *user_data, fp_error *err)
{
    get_call *c = user_data;
    fp_status rc;

    fp_file_free(fpi_steal(&c->file));
    rc = fpi_catalog_read(c->cat, tx, c->id, &c->file, err);
    if (rc == FILEPROC_OK && strcmp(c->file->state, "deleting") == 0)
        rc = fpi_file_not_found(err);
    return rc;
}

fp_status fp_file_check(const fp_file *file, fp_error *err)
{
    if (!file || !file->state)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the file is NULL");
    if (strcmp(file->state, "quarantined") == 0)
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_FILE_QUARANTINED,
                                "the file is in quarantine until it has been checked");
    if (strcmp(file->state, "rejected") == 0)
        return fp_error_reasonf(err, FILEPROC_ERR_AUTH, FILEPROC_REASON_FILE_REJECTED,
                                "the file was rejected by a check, or by a person");
    return strcmp(file->state, "available") == 0 ? FILEPROC_OK : fpi_file_not_found(err);
}

fp_status fp_catalog_get(fp_catalog *cat, const char *id, fp_file **out, fp_error *err)
{
    get_call call = { cat, id, NULL };
    fp_status rc;

    if (!cat || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_uuid_valid(id))
        return fpi_file_not_found(err);
    rc = fp_database_transact(cat->db, FILEPROC_TX_READONLY, get_body, &call, err);
    if (rc < 0)
        fp_file_free(call.file);
    else
        *out = call.file;
    return rc;
}

/* Of the text, so that it is the same in each process that reads the same row. */
static uint64_t tag_of(const fp_buf *json, size_t from)
{
    unsigned char value[FPI_DIGEST_MAX];
    uint64_t tag;
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, json->data + from, json->size - from);
    fpi_digest_value(&d, value);
    memcpy(&tag, value, sizeof(tag));
    return be64toh(tag);
}

static fp_status read_json(fp_catalog *cat, const char *id, fp_buf *out, uint64_t *tag,
                           fp_error *err)
{
    FPI_CLEANUP(fp_file) file = NULL;
    size_t from = out->size;
    fp_status rc = fp_catalog_get(cat, id, &file, err);

    if (rc == FILEPROC_OK)
        rc = fp_file_to_json(cat->ctx, file, out, err);
    if (rc == FILEPROC_OK)
        *tag = tag_of(out, from);
    return rc;
}

fp_status fp_catalog_get_json(fp_catalog *cat, const char *id, fp_buf *out, uint64_t *tag,
                              fp_error *err)
{
    fpi_file_cache_moment moment = { 0, 0 };
    uint64_t found_tag = 0;
    bool found = false;
    size_t from;
    fp_status rc;

    if (!cat || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_uuid_valid(id))
        return fpi_file_not_found(err);
    from = out->size;
    if (cat->cache) {
        rc = fpi_file_cache_find(cat->cache, id, out, &found_tag, &moment, &found, err);
        if (rc < 0)
            return rc;
    }
    if (!found) {
        rc = read_json(cat, id, out, &found_tag, err);
        if (rc < 0)
            return rc;
        if (cat->cache)
            fpi_file_cache_keep(cat->cache, id, out->data + from, out->size - from, found_tag,
                                &moment);
    }
    if (tag)
        *tag = found_tag;
    return FILEPROC_OK;
}

typedef struct list_call {
    fpi_list list;
    char type[FPI_MEDIA_TYPE_SIZE];
    char kind[FPI_MEDIA_TYPE_SIZE];
} list_call;

static fp_status add_type(list_call *c, const char *mime_type, fp_error *err)
{
    size_t size = strlen(mime_type);

    if (fpi_media_type_normalise(mime_type, c->type)) {
        fpi_list_sql(&c->list, " AND mime_type = $%zu", fpi_list_text(&c->list, c->type));
        return FILEPROC_OK;
    }
    for (size_t i = 0; i < size && i < sizeof(c->kind); i++)
        c->kind[i] = (char)tolower((unsigned char)mime_type[i]);
    if (size >= sizeof(c->kind) || !fpi_media_pattern_valid(c->kind, size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "this is no media type: %.100s", mime_type);
    if (size == 1) /* an asterisk */
        return FILEPROC_OK;
    c->kind[size - 1] = '\0';
    size = fpi_list_text(&c->list, c->kind);
    fpi_list_sql(&c->list, " AND substr(mime_type, 1, length($%zu)) = $%zu", size, size);
    return FILEPROC_OK;
}

/* The planner knows nothing of the rows, so it is led to the narrower of two indexes: a parent has few children, an owner may
 * have a million files, and most files have no parent. A condition on an expression offers no index. */
static fp_status build(list_call *c, const fp_file_query *q, fp_error *err)
{
    fpi_list *l = &c->list;
    fp_status rc = FILEPROC_OK;

    fpi_list_sql(l, "SELECT " FPI_FILE_COLUMNS " FROM files WHERE state <> 'deleting'");
    if (q->parent_id)
        fpi_list_sql(l, " AND parent_id = $%zu", fpi_list_text(l, q->parent_id));
    else
        fpi_list_sql(l, q->owner ? " AND COALESCE(parent_id, '') = ''" : " AND parent_id IS NULL");
    if (q->owner)
        fpi_list_sql(l, q->parent_id ? " AND owner || '' = $%zu" : " AND owner = $%zu",
                     fpi_list_text(l, q->owner));
    if (q->mime_type)
        rc = add_type(c, q->mime_type, err);
    if (q->cursor)
        fpi_list_sql(l, " AND id < $%zu", fpi_list_text(l, q->cursor));
    fpi_list_sql(l, " ORDER BY id DESC LIMIT $%zu", fpi_list_limit(l));
    return rc;
}

fp_status fp_catalog_list(fp_catalog *cat, const fp_file_query *query, fp_file_page **out,
                          fp_error *err)
{
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    list_call call = { .list = { .kind = &fpi_file_kind } };
    fp_status rc;

    if (!cat || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&q, sizeof(q), query, err);
    if (rc == FILEPROC_OK)
        rc = fpi_list_begin(&call.list, cat->ctx, q.limit, q.cursor, err);
    if (rc == FILEPROC_OK)
        rc = build(&call, &q, err);
    if (rc == FILEPROC_OK)
        rc = fpi_list_read(&call.list, cat->db, err);
    if (rc == FILEPROC_OK)
        *out = FPI_PAGE_SHOW(fp_file_page, call.list.page);
    return rc;
}
