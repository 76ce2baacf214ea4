/* Owns: the promises of reading the catalog: one file, pages of files.
 * Must not know: deletion (test_catalog_delete.c), rows being written (test_catalog_row.c). */
#include <string.h>

#include "catalog_world.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

START_TEST(get_shows_all_that_was_inserted)
{
    const fpi_new_file parent = { .id = "0198c000-0000-7000-8000-000000000001",
                                  .owner = "alice",
                                  .filename = "h\xc3\xa4user.png",
                                  .mime_type = "image/png",
                                  .detected_mime_type = "image/jpeg",
                                  .sha256 = "abc123",
                                  .storage_key = "files/1",
                                  .info = "{\"width\":3}",
                                  .size = 9000000000 };
    const fpi_new_file child = { .id = "0198c000-0000-7000-8000-000000000002",
                                 .filename = "small.webp",
                                 .mime_type = "image/webp",
                                 .parent_id = "0198c000-0000-7000-8000-000000000001",
                                 .operation = "image.resize",
                                 .job_id = "0198c000-0000-7000-8000-000000000009",
                                 .storage_key = "files/2" };
    fp_error err = { 0 };
    fp_file *f = NULL;
    catalog_world w;

    catalog_world_open(&w, NULL);
    ck_status(catalog_insert(&w, &parent, &err), FILEPROC_OK, &err);
    ck_status(catalog_insert(&w, &child, &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_get(w.cat, parent.id, &f, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(f->struct_size, sizeof(*f));
    ck_assert_str_eq(f->id, parent.id);
    ck_assert_str_eq(f->owner, "alice");
    ck_assert_str_eq(f->filename, "h\xc3\xa4user.png");
    ck_assert_str_eq(f->mime_type, "image/png");
    ck_assert_str_eq(f->detected_mime_type, "image/jpeg");
    ck_assert_str_eq(f->sha256, "abc123");
    ck_assert_str_eq(f->state, "available");
    ck_assert_str_eq(f->storage_key, "files/1");
    ck_assert_str_eq(f->info, "{\"width\":3}");
    ck_assert_uint_eq(f->size, 9000000000);
    ck_assert_ptr_null(f->parent_id);
    ck_assert_ptr_null(f->operation);
    ck_assert_int_gt(f->created_at_ms, 1600000000000);
    fp_file_free(f);
    ck_status(fp_catalog_get(w.cat, child.id, &f, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(f->parent_id, parent.id);
    ck_assert_str_eq(f->operation, "image.resize");
    ck_assert_str_eq(f->info, "{}");
    ck_assert_ptr_null(f->owner);
    ck_assert_ptr_null(f->sha256);
    fp_file_free(f);
    catalog_world_close(&w);
}
END_TEST

START_TEST(unknown_file_is_not_found)
{
    static const char *const ids[] = { "0198c000-0000-7000-8000-000000000001", "", "x", "../../etc",
                                       "0198C000-0000-7000-8000-000000000001" };
    fp_file *f = NULL;
    catalog_world w;

    catalog_world_open(&w, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        fp_error err = { 0 };

        ck_reason(fp_catalog_get(w.cat, ids[i], &f, &err), FILEPROC_ERR_NOTFOUND, "file_not_found",
                  &err);
        ck_assert_ptr_null(f);
    }
    catalog_world_close(&w);
}
END_TEST

static void add_typed(catalog_world *w, const char *id, const char *owner, const char *mime_type,
                      const char *parent)
{
    fpi_new_file file = { .id = id,
                          .owner = owner,
                          .filename = "f",
                          .mime_type = mime_type,
                          .parent_id = parent,
                          .storage_key = id };
    fp_error err = { 0 };

    ck_status(catalog_insert(w, &file, &err), FILEPROC_OK, &err);
}

#define ID(n) "0198c000-0000-7000-8000-00000000000" #n

/* The last digits of the ids on the page. */
static void must_list(catalog_world *w, const fp_file_query *q, const char *expected)
{
    fp_file_page *page = NULL;
    fp_error err = { 0 };
    char digits[32] = "";

    ck_status(fp_catalog_list(w->cat, q, &page, &err), FILEPROC_OK, &err);
    for (size_t i = 0; i < page->count; i++)
        digits[i] = page->items[i]->id[35];
    ck_assert_str_eq(digits, expected);
    fp_file_page_free(page);
}

static void add_some(catalog_world *w)
{
    add_typed(w, ID(1), "alice", "image/png", NULL);
    add_typed(w, ID(2), "bob", "image/jpeg", NULL);
    add_typed(w, ID(3), "alice", "application/pdf", NULL);
    add_typed(w, ID(4), "alice", "image/webp", ID(1));
    add_typed(w, ID(5), "alice", "image/webp", ID(1));
    add_typed(w, ID(6), NULL, "imagination/x", NULL);
}

START_TEST(list_shows_what_the_query_asks_for)
{
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    catalog_world w;

    catalog_world_open(&w, NULL);
    must_list(&w, NULL, "");
    add_some(&w);
    must_list(&w, NULL, "6321"); /* uploads only, newest first */
    q.owner = "alice";
    must_list(&w, &q, "31");
    q.mime_type = "image/*";
    must_list(&w, &q, "1");
    q.owner = NULL;
    must_list(&w, &q, "21");
    q.mime_type = "IMAGE/*";
    must_list(&w, &q, "21");
    q.mime_type = "*";
    must_list(&w, &q, "6321");
    q.mime_type = "Image/PNG";
    must_list(&w, &q, "1");
    q.mime_type = NULL;
    q.parent_id = ID(1);
    must_list(&w, &q, "54");
    q.owner = "bob";
    must_list(&w, &q, "");
    q.owner = "alice";
    q.mime_type = "image/webp";
    q.cursor = ID(5);
    must_list(&w, &q, "4");
    catalog_world_close(&w);
}
END_TEST

START_TEST(wrong_queries_are_refused)
{
    static const char *const cursors[] = { "", "1", "0198c000-0000-7000-8000-00000000000'",
                                           "0198c000-0000-7000-8000-0000000000011" };
    static const char *const types[] = { "",        "image", "image/",
                                         "*/*",     "im*",   "image/png' OR 1=1",
                                         "image/*x" };
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    fp_file_page *page = NULL;
    catalog_world w;

    catalog_world_open(&w, NULL);
    for (size_t i = 0; i < sizeof(cursors) / sizeof(*cursors); i++) {
        fp_error err = { 0 };

        q.cursor = cursors[i];
        ck_reason(fp_catalog_list(w.cat, &q, &page, &err), FILEPROC_ERR_INVALID, "cursor_invalid",
                  &err);
    }
    q.cursor = NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        fp_error err = { 0 };

        q.mime_type = types[i];
        ck_status(fp_catalog_list(w.cat, &q, &page, &err), FILEPROC_ERR_INVALID, &err);
    }
    q.mime_type = NULL;
    q.limit = 1001;
    ck_assert_int_eq(fp_catalog_list(w.cat, &q, &page, NULL), FILEPROC_ERR_INVALID);
    q.struct_size = 3;
    ck_assert_int_eq(fp_catalog_list(w.cat, &q, &page, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(page);
    catalog_world_close(&w);
}
END_TEST

/* Walks all pages, inserting newer files meanwhile; each old file is seen once, in order, and nothing else. */
START_TEST(pages_are_stable_while_files_come_and_go)
{
    char ids[25][FPI_UUID_SIZE], other[FPI_UUID_SIZE], cursor[FPI_UUID_SIZE];
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    size_t seen = 0;
    catalog_world w;

    catalog_world_open(&w, NULL);
    for (size_t i = 0; i < 25; i++)
        catalog_add(&w, NULL, ids[i]);
    q.limit = 7;
    for (;;) {
        fp_file_page *page = NULL;
        fp_error err = { 0 };

        ck_status(fp_catalog_list(w.cat, &q, &page, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(page->count, seen < 21 ? 7 : 4);
        for (size_t i = 0; i < page->count; i++)
            ck_assert_str_eq(page->items[i]->id, ids[24 - seen++]);
        if (!page->next) {
            fp_file_page_free(page);
            break;
        }
        ck_assert_str_eq(page->next, page->items[6]->id);
        memcpy(cursor, page->next, sizeof(cursor));
        q.cursor = cursor;
        fp_file_page_free(page);
        catalog_add(&w, NULL, other);
        ck_status(fp_catalog_delete(w.cat, cursor, &err), FILEPROC_OK,
                  &err); /* even the cursor's own */
    }
    ck_assert_uint_eq(seen, 25);
    catalog_world_close(&w);
}
END_TEST

START_TEST(page_that_ends_exactly_has_no_next)
{
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    fp_file_page *page = NULL;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    add_some(&w);
    q.limit = 4;
    ck_status(fp_catalog_list(w.cat, &q, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 4);
    ck_assert_ptr_null(page->next);
    fp_file_page_free(page);
    catalog_world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_file_page *page = NULL;
    fp_catalog *cat = NULL;
    fp_file *f = NULL;
    catalog_world w;

    catalog_world_open(&w, NULL);
    ck_assert_int_eq(fp_catalog_open(NULL, w.db, w.st, &cat, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_open(w.ctx, NULL, w.st, &cat, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_open(w.ctx, w.db, NULL, &cat, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_open(w.ctx, w.db, w.st, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_get(NULL, ID(1), &f, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_get(w.cat, NULL, &f, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_get(w.cat, ID(1), NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_list(NULL, NULL, &page, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_list(w.cat, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_delete(NULL, ID(1), NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_delete(w.cat, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_sweep(NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    fp_catalog_free(NULL);
    fp_file_free(NULL);
    fp_file_page_free(NULL);
    catalog_world_close(&w);
}
END_TEST

START_TEST(open_get_and_list_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_file_query q = FILEPROC_FILE_QUERY_INIT;
        fp_file_page *page = NULL;
        fp_catalog *cat = NULL;
        fp_file *file = NULL;
        fp_error err = { 0 };
        catalog_world w;
        fp_status rc;

        fault_disarm(&f);
        catalog_world_open(&w, &f.allocator);
        add_some(&w);
        q.limit = 3;
        fault_arm(&f);
        rc = fp_catalog_open(w.ctx, w.db, w.st, &cat, &err);
        if (rc == FILEPROC_OK)
            rc = fp_catalog_get(cat, ID(1), &file, &err);
        if (rc == FILEPROC_OK)
            rc = fp_catalog_list(cat, &q, &page, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(page != NULL, rc == FILEPROC_OK);
        ck_assert(!page || (cat && file));
        fp_file_page_free(page);
        fp_file_free(file);
        fp_catalog_free(cat);
        catalog_world_close(&w);
    }
}
END_TEST

RUN_TESTS("catalog", get_shows_all_that_was_inserted, unknown_file_is_not_found,
          list_shows_what_the_query_asks_for, wrong_queries_are_refused,
          pages_are_stable_while_files_come_and_go, page_that_ends_exactly_has_no_next,
          wrong_arguments_are_refused, open_get_and_list_survive_every_allocation_failure)
