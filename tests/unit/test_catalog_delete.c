/* Owns: the promises of deleting files, whole, interrupted, and finished later.
 * Must not know: how files came to be. */
#include <stdio.h>
#include <string.h>

#include "catalog_world.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

/* A photo, two derivatives of it, one derivative of those, and another file that shall stay. */
typedef struct family {
    char root[FPI_UUID_SIZE], left[FPI_UUID_SIZE], right[FPI_UUID_SIZE], grandchild[FPI_UUID_SIZE];
    char other[FPI_UUID_SIZE];
} family;

static void add_family(catalog_world *w, family *f)
{
    catalog_add(w, NULL, f->root);
    catalog_add(w, NULL, f->other);
    catalog_add(w, f->root, f->left);
    catalog_add(w, f->root, f->right);
    catalog_add(w, f->left, f->grandchild);
}

static bool readable(catalog_world *w, const char *id)
{
    fp_error err = { 0 };
    fp_file *file = NULL;
    fp_status rc = fp_catalog_get(w->cat, id, &file, &err);

    if (rc < 0)
        ck_reason(rc, FILEPROC_ERR_NOTFOUND, "file_not_found", &err);
    fp_file_free(file);
    return rc == FILEPROC_OK;
}

static size_t listed(catalog_world *w, const char *parent)
{
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    fp_file_page *page = NULL;
    fp_error err = { 0 };
    size_t count;

    q.parent_id = parent;
    ck_status(fp_catalog_list(w->cat, &q, &page, &err), FILEPROC_OK, &err);
    count = page->count;
    fp_file_page_free(page);
    return count;
}

static void must_be_gone(catalog_world *w, const family *f)
{
    ck_assert(!readable(w, f->root));
    ck_assert(!readable(w, f->left));
    ck_assert(!readable(w, f->right));
    ck_assert(!readable(w, f->grandchild));
    ck_assert(readable(w, f->other));
    ck_assert_uint_eq(listed(w, NULL), 1);
    ck_assert_uint_eq(listed(w, f->root), 0);
}

START_TEST(deletion_takes_all_that_derives_from_the_file)
{
    fp_error err = { 0 };
    catalog_world w;
    char key[64];
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    ck_status(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_OK, &err);
    must_be_gone(&w, &f);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    ck_assert_uint_eq(object_count(w.st), 1);
    ck_assert(object_exists(w.st, catalog_key(f.other, key)));
    ck_assert_int_eq(
        sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.file.deleted'"), 1);
    ck_reason(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_ERR_NOTFOUND, "file_not_found",
              &err);
    ck_reason(fp_catalog_delete(w.cat, "no id", &err), FILEPROC_ERR_NOTFOUND, "file_not_found",
              &err);
    catalog_world_close(&w);
}
END_TEST

START_TEST(derivative_can_be_deleted_alone)
{
    fp_error err = { 0 };
    catalog_world w;
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    ck_status(fp_catalog_delete(w.cat, f.left, &err), FILEPROC_OK, &err);
    ck_assert(readable(&w, f.root));
    ck_assert(readable(&w, f.right));
    ck_assert(!readable(&w, f.grandchild));
    ck_assert_uint_eq(object_count(w.st), 3);
    catalog_world_close(&w);
}
END_TEST

static void add_job(catalog_world *w, const char *id, const char *file_id, const char *state)
{
    char sql[512];

    snprintf(
        sql, sizeof(sql),
        "INSERT INTO jobs (id, file_id, pipeline, definition, state, attempt, max_attempts, fence,"
        " lease_until, run_at, progress, steps, error_permanent, created_at)"
        " VALUES ('%s', '%s', 'p', '{}', '%s', 1, 5, 3, 77, 0, 0, '[]', 0, 0)",
        id, file_id, state);
    must_sql(w->db, sql);
}

START_TEST(deletion_cancels_the_jobs_that_wait_or_run)
{
    fp_error err = { 0 };
    catalog_world w;
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    add_job(&w, "a", f.root, "queued");
    add_job(&w, "b", f.grandchild, "running");
    add_job(&w, "c", f.root, "succeeded");
    add_job(&w, "d", f.other, "queued");
    ck_status(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE id IN ('a', 'b')"
                                      " AND state = 'cancelled' AND fence = 4 AND finished_at > 0"
                                      " AND lease_until = 77"),
                     2);
    ck_assert_int_eq(sql_number(w.db,
                                "SELECT COUNT(*) FROM jobs WHERE fence = 3 AND finished_at IS NULL"
                                " AND ((id = 'c' AND state = 'succeeded')"
                                " OR (id = 'd' AND state = 'queued'))"),
                     2);
    catalog_world_close(&w);
}
END_TEST

/* One object can't be removed: the file is gone for everybody, the rest is taken away, the sweep does what is left. */
START_TEST(what_could_not_be_removed_is_swept_later)
{
    uint64_t removed = 99;
    fp_error err = { 0 };
    catalog_world w;
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    w.broken = f.grandchild;
    ck_status(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_OK, &err);
    must_be_gone(&w, &f);
    ck_assert_uint_eq(object_count(w.st), 4); /* other, and what stands above the broken one */
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files WHERE state = 'deleting'"), 3);
    ck_status(fp_catalog_sweep(w.cat, &removed, &err), FILEPROC_ERR_IO, &err);
    ck_assert_uint_eq(removed, 99);
    w.broken = NULL;
    ck_status(fp_catalog_sweep(w.cat, &removed, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(removed, 3);
    ck_assert_uint_eq(object_count(w.st), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    ck_status(fp_catalog_sweep(w.cat, NULL, &err), FILEPROC_OK, &err);
    catalog_world_close(&w);
}
END_TEST

START_TEST(sweep_goes_on_after_a_crash_between_any_two_steps)
{
    uint64_t removed = 0;
    fp_error err = { 0 };
    catalog_world w;
    char key[64];
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    must_sql(w.db, "UPDATE files SET state = 'deleting' WHERE parent_id IS NOT NULL");
    /* an object is gone, its row is still there */
    ck_status(fp_storage_remove(w.st, catalog_key(f.grandchild, key), &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_sweep(w.cat, &removed, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(removed, 3);
    ck_assert(readable(&w, f.root));
    ck_assert_uint_eq(object_count(w.st), 2);
    catalog_world_close(&w);
}
END_TEST

START_TEST(sweep_is_not_stopped_by_broken_objects)
{
    char ids[200][FPI_UUID_SIZE];
    uint64_t removed = 0;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    for (size_t i = 0; i < 200; i++)
        catalog_add(&w, NULL, ids[i]);
    must_sql(w.db, "UPDATE files SET state = 'deleting'");
    w.broken = ids[150];
    ck_status(fp_catalog_sweep(w.cat, &removed, &err), FILEPROC_ERR_IO, &err);
    ck_assert_str_eq(err.message, "the test broke this object");
    ck_assert_uint_eq(object_count(w.st), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
    w.broken = NULL;
    ck_status(fp_catalog_sweep(w.cat, &removed, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(removed, 1);
    catalog_world_close(&w);
}
END_TEST

START_TEST(nothing_can_be_derived_from_a_file_that_goes)
{
    fpi_new_file child = { .id = "0198c000-0000-7000-8000-000000000002",
                           .filename = "f",
                           .mime_type = "a/b",
                           .storage_key = "k" };
    fp_error err = { 0 };
    catalog_world w;
    family f;

    catalog_world_open(&w, NULL);
    add_family(&w, &f);
    w.broken = f.root;
    ck_status(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_OK, &err);
    child.parent_id = f.root;
    ck_reason(catalog_insert(&w, &child, &err), FILEPROC_ERR_NOTFOUND, "file_not_found", &err);
    catalog_world_close(&w);
}
END_TEST

START_TEST(delete_survives_every_allocation_failure)
{
    fault ft;

    FAULT_LOOP(&ft)
    {
        fp_error err = { 0 };
        catalog_world w;
        fp_status rc;
        family f;

        fault_disarm(&ft);
        catalog_world_open(&w, &ft.allocator);
        add_family(&w, &f);
        fault_arm(&ft);
        rc = fp_catalog_delete(w.cat, f.root, &err);
        fault_judge(&ft, rc, &err);
        if (rc < 0) { /* nothing was changed */
            ck_assert_int_eq(
                sql_number(w.db, "SELECT COUNT(*) FROM files WHERE state = 'available'"), 5);
            ck_assert_uint_eq(object_count(w.st), 5);
            ck_status(fp_catalog_delete(w.cat, f.root, &err), FILEPROC_OK, &err);
        }
        must_be_gone(&w, &f);
        ck_status(fp_catalog_sweep(w.cat, NULL, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 1);
        ck_assert_uint_eq(object_count(w.st), 1);
        catalog_world_close(&w);
    }
}
END_TEST

START_TEST(sweep_survives_every_allocation_failure)
{
    fault ft;

    FAULT_LOOP(&ft)
    {
        uint64_t removed = 99;
        fp_error err = { 0 };
        catalog_world w;
        fp_status rc;
        family f;

        fault_disarm(&ft);
        catalog_world_open(&w, &ft.allocator);
        add_family(&w, &f);
        must_sql(w.db, "UPDATE files SET state = 'deleting' WHERE parent_id IS NOT NULL");
        fault_arm(&ft);
        rc = fp_catalog_sweep(w.cat, &removed, &err);
        fault_judge(&ft, rc, &err);
        ck_assert_uint_eq(removed, rc == FILEPROC_OK ? 3 : 99);
        ck_status(fp_catalog_sweep(w.cat, NULL, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 2);
        catalog_world_close(&w);
    }
}
END_TEST

RUN_TESTS("catalog_delete", deletion_takes_all_that_derives_from_the_file,
          derivative_can_be_deleted_alone, deletion_cancels_the_jobs_that_wait_or_run,
          what_could_not_be_removed_is_swept_later,
          sweep_goes_on_after_a_crash_between_any_two_steps, sweep_is_not_stopped_by_broken_objects,
          nothing_can_be_derived_from_a_file_that_goes, delete_survives_every_allocation_failure,
          sweep_survives_every_allocation_failure)
