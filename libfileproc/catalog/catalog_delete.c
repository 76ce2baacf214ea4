/* Owns: the deletion of files: marked in one transaction, then taken away piece by piece.
 * Must not know: how objects are stored.
 *
 * The mark makes a file and all that derives from it invisible at once. What follows can be interrupted anywhere and is
 * begun again by fp_catalog_sweep(): an object is removed before the row that names it, a child before its parent. */
#include <stdio.h>
#include <string.h>

#include "catalog/catalog_rows.h"
#include "database/database_private.h"
#include "event/outbox.h"

/* Objects removed between two transactions. */
enum { BATCH = 64 };
/* Greater than every id. */
#define END_OF_IDS "g"

/* The file $1 and all that derives from it. */
#define TREE                                                                                       \
    "WITH RECURSIVE tree (id) AS (SELECT id FROM files WHERE id = $1"                              \
    " UNION SELECT f.id FROM files f JOIN tree t ON f.parent_id = t.id)"
/* Rows to be taken away now: nothing derives from them any more. */
#define LEAF                                                                                       \
    " f.state = 'deleting' AND f.id < $2"                                                          \
    " AND NOT EXISTS (SELECT 1 FROM files c WHERE c.parent_id = f.id) ORDER BY f.id DESC LIMIT $3"

static const char leaves_of_tree[] = TREE " SELECT f.id, f.storage_key FROM files f"
                                          " JOIN tree t ON f.id = t.id WHERE" LEAF;
static const char all_leaves[] = "SELECT f.id, f.storage_key FROM files f WHERE $1 = $1 AND" LEAF;

typedef struct mark_call {
    fp_catalog *cat;
    const char *id;
} mark_call;

static fp_status mark_tree(fp_tx *tx, const fp_value *params, fp_error *err)
{
    return fp_tx_exec(
        tx,
        "UPDATE files SET state = 'deleting', updated_at = $2 WHERE state <> 'deleting'"
        " AND id IN (" TREE " SELECT id FROM tree)",
        params, 2, NULL, err);
}

/* Plain SQL on the table of jobs, whose folder this one may not use: a job of a file that goes must end in the same
 * transaction. The fence moves on, so that a worker that is at it can't commit; lease_until stays, as it says when to look
 * for what that worker leaves in the storage. */
static fp_status cancel_jobs(fp_tx *tx, const fp_value *params, fp_error *err)
{
    return fp_tx_exec(tx,
                      "UPDATE jobs SET state = 'cancelled', fence = fence + 1, finished_at = $2"
                      " WHERE state IN ('queued', 'running')"
                      " AND file_id IN (" TREE " SELECT id FROM tree)",
                      params, 2, NULL, err);
}

static fp_status mark_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const mark_call *c = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(c->id), FILEPROC_V_INT(fpi_now_ms(c->cat->ctx)) };
    FPI_CLEANUP(fp_file) file = NULL;
    fp_status rc;

    rc = fpi_catalog_read(c->cat, tx, c->id, &file, err);
    if (rc == FILEPROC_OK && strcmp(file->state, "deleting") == 0)
        rc = fpi_file_not_found(err);
    if (rc == FILEPROC_OK)
        rc = mark_tree(tx, params, err);
    if (rc == FILEPROC_OK)
        rc = cancel_jobs(tx, params, err);
    if (rc == FILEPROC_OK)
        rc = fpi_catalog_append_event(c->cat, tx, FPI_EVENT_FILE_DELETED, file, err);
    return rc;
}

typedef struct leaf {
    char id[FPI_UUID_SIZE];
    char *key;
    int gone; /* its object is */
} leaf;

typedef struct leaf_batch {
    fp_catalog *cat;
    const char *root;         /* NULL: of all deletions */
    char last[FPI_UUID_SIZE]; /* where the next batch begins */
    size_t count;
    leaf leaves[BATCH];
    uint64_t deleted; /* rows */
} leaf_batch;

static void forget_leaves(leaf_batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        fpi_free(&b->cat->ctx->a, b->leaves[i].key);
    b->count = 0;
}

static fp_status add_leaf(leaf_batch *b, fp_rows *rows, fp_error *err)
{
    const char *id = fp_rows_text(rows, 0), *key = fp_rows_text(rows, 1);
    leaf *l = &b->leaves[b->count++];

    *l = (leaf){ .key = fpi_strdup(&b->cat->ctx->a, key) };
    if (!id || !l->key)
        return fpi_no_memory(err);
    snprintf(l->id, sizeof(l->id), "%s", id);
    return FILEPROC_OK;
}

static fp_status read_leaves(fp_tx *tx, void *user_data, fp_error *err)
{
    leaf_batch *b = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(b->root ? b->root : ""), FILEPROC_V_TEXT(b->last),
                                FILEPROC_V_INT(BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    forget_leaves(b);
    rc = fp_tx_query(tx, b->root ? leaves_of_tree : all_leaves, params, 3, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    while (rc == FILEPROC_OK && more && b->count < BATCH) {
        rc = add_leaf(b, rows, err);
        if (rc == FILEPROC_OK)
            rc = fp_rows_next(rows, &more, err);
    }
    return rc;
}

static fp_status delete_rows(fp_tx *tx, void *user_data, fp_error *err)
{
    leaf_batch *b = user_data;
    fp_status rc = FILEPROC_OK;

    b->deleted = 0;
    for (size_t i = 0; rc == FILEPROC_OK && i < b->count; i++) {
        const fp_value params[] = { FILEPROC_V_TEXT(b->leaves[i].id) };
        uint64_t changed = 0;

        if (!b->leaves[i].gone)
            continue;
        rc = fp_tx_exec(tx, "DELETE FROM files WHERE id = $1 AND state = 'deleting'", params, 1,
                        &changed, err);
        b->deleted += changed;
    }
    return rc;
}

/* An object that can't be removed does not keep the others; the first failure is told. */
static fp_status remove_objects(leaf_batch *b, fp_error *err)
{
    fp_status first = FILEPROC_OK;

    for (size_t i = 0; i < b->count; i++) {
        fp_error e = { 0 };
        fp_status rc = fp_storage_remove(b->cat->st, b->leaves[i].key, &e);

        b->leaves[i].gone = rc == FILEPROC_OK;
        if (rc < 0 && first == FILEPROC_OK) {
            first = rc;
            if (err)
                *err = e;
        }
    }
    return first;
}

/* *failed keeps the first failure of the storage; a failure of the database ends it. */
static fp_status remove_batch(leaf_batch *b, fp_status *failed, fp_error *err)
{
    fp_database *db = b->cat->db;
    fp_error ignored;
    fp_status rc;

    b->deleted = 0;
    rc = fp_database_transact(db, FILEPROC_TX_READONLY, read_leaves, b, err);
    if (rc < 0 || b->count == 0)
        return rc;
    memcpy(b->last, b->leaves[b->count - 1].id, sizeof(b->last));
    rc = remove_objects(b, *failed == FILEPROC_OK ? err : &ignored);
    if (*failed == FILEPROC_OK)
        *failed = rc;
    return fp_database_transact(db, 0, delete_rows, b, err);
}

/* Each pass takes the leaves from the newest on; what they were derived from are the leaves of the next pass. */
static fp_status remove_marked(fp_catalog *cat, const char *root, uint64_t *removed, fp_error *err)
{
    leaf_batch b = { .cat = cat, .root = root };
    fp_status rc = FILEPROC_OK, failed = FILEPROC_OK;
    uint64_t before;

    do {
        before = *removed;
        snprintf(b.last, sizeof(b.last), END_OF_IDS);
        do {
            rc = remove_batch(&b, &failed, err);
            *removed += rc == FILEPROC_OK ? b.deleted : 0;
        } while (rc == FILEPROC_OK && b.count == BATCH);
    } while (rc == FILEPROC_OK && *removed != before);
    forget_leaves(&b);
    return rc < 0 ? rc : failed;
}

/* After the mark nothing that fails is the caller's concern. */
fp_status fp_catalog_delete(fp_catalog *cat, const char *id, fp_error *err)
{
    mark_call call = { cat, id };
    uint64_t removed = 0;
    fp_error e = { 0 };
    fp_status rc;

    if (!cat || !id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_uuid_valid(id))
        return fpi_file_not_found(err);
    fpi_catalog_changing(cat, NULL); /* what derives from it goes, too */
    rc = fp_database_transact(cat->db, 0, mark_body, &call, err);
    fpi_catalog_changed(cat, NULL);
    if (rc < 0)
        return rc;
    if (remove_marked(cat, id, &removed, &e) < 0)
        fpi_log(cat->ctx, FILEPROC_LOG_DEBUG, "catalog", "%s is deleted, its objects later: %s", id,
                e.message);
    return FILEPROC_OK;
}

fp_status fp_catalog_sweep(fp_catalog *cat, uint64_t *removed, fp_error *err)
{
    uint64_t n = 0;
    fp_status rc;

    if (!cat)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "cat is NULL");
    rc = remove_marked(cat, NULL, &n, err);
    if (rc == FILEPROC_OK && removed)
        *removed = n;
    return rc;
}
