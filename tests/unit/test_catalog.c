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

/* The file as JSON, which goes into buf. */
static fp_status show(catalog_world *w, const char *id, fp_buf *buf, uint64_t *tag)
{
    fp_error err = { 0 };

    buf->size = 0;
    return fp_catalog_get_json(w->cat, id, buf, tag, &err);
}

static void must_show(catalog_world *w, const char *id, const char *part, uint64_t *tag)
{
    fp_buf buf = FILEPROC_BUF_INIT;

    ck_assert_int_eq(show(w, id, &buf, tag), FILEPROC_OK);
    ck_assert_msg(strstr(buf.data, part) != NULL, "%s not in %s", part, buf.data);
    fp_buf_dispose(&buf);
}

START_TEST(json_has_a_tag_that_changes_with_it)
{
    char a[FPI_UUID_SIZE], b[FPI_UUID_SIZE];
    uint64_t tag = 0, again = 0, other = 0;
    fp_buf buf = FILEPROC_BUF_INIT, whole = FILEPROC_BUF_INIT;
    fp_file *file = NULL;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    catalog_add(&w, NULL, a);
    catalog_add(&w, NULL, b);
    ck_status(fp_catalog_get(w.cat, a, &file, &err), FILEPROC_OK, &err);
    ck_status(fp_file_to_json(w.ctx, file, &whole, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(show(&w, a, &buf, &tag), FILEPROC_OK);
    ck_assert_str_eq(buf.data, whole.data);
    ck_status(fp_catalog_get_json(w.cat, a, &buf, NULL, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(buf.size, 2 * whole.size); /* appended */
    must_show(&w, a, a, &again);
    ck_assert_uint_eq(tag, again);
    must_show(&w, b, b, &other);
    ck_assert_uint_ne(tag, other);
    ck_status(catalog_learn(&w, a, "image/png", NULL, NULL, NULL, &err), FILEPROC_OK, &err);
    must_show(&w, a, "image/png", &other);
    ck_assert_uint_ne(tag, other);
    ck_assert_int_eq(show(&w, "nonsense", &buf, &tag), FILEPROC_ERR_NOTFOUND);
    fp_buf_dispose(&buf);
    fp_buf_dispose(&whole);
    fp_file_free(file);
    catalog_world_close(&w);
}
END_TEST

/* What somebody else writes is not seen before its time; what goes through this catalog is, at once. */
START_TEST(what_is_kept_in_memory_is_never_older_than_what_was_done_here)
{
    char parent[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_buf buf = FILEPROC_BUF_INIT;
    uint64_t tag = 0, kept = 0;
    fp_error err = { 0 };
    catalog_world w;

    catalog_world_open(&w, NULL);
    ck_status(fp_catalog_set_cache(w.cat, 1 << 20, 600000, &err), FILEPROC_OK, &err);
    catalog_add(&w, NULL, parent);
    catalog_add(&w, parent, id);
    must_show(&w, id, "\"detected_mime_type\":null", &tag);
    must_sql(w.db, "UPDATE files SET detected_mime_type = 'x/y'");
    must_show(&w, id, "\"detected_mime_type\":null", &kept);
    ck_assert_uint_eq(tag, kept);
    fpi_catalog_changing(w.cat, id);
    must_show(&w, id, "\"detected_mime_type\":\"x/y\"", &kept);
    ck_assert_uint_ne(tag, kept);
    must_sql(w.db, "UPDATE files SET detected_mime_type = 'x/z'");
    must_show(&w, id, "\"detected_mime_type\":\"x/z\"", &kept);
    fpi_catalog_changed(w.cat, id);
    must_show(&w, id, "\"detected_mime_type\":\"x/z\"", &kept);
    must_sql(w.db, "UPDATE files SET detected_mime_type = 'x/y'");
    must_show(&w, id, "\"detected_mime_type\":\"x/z\"", &kept);
    ck_status(fp_catalog_delete(w.cat, parent, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(show(&w, id, &buf, &tag), FILEPROC_ERR_NOTFOUND);
    ck_assert_int_eq(show(&w, parent, &buf, &tag), FILEPROC_ERR_NOTFOUND);
    ck_status(fp_catalog_set_cache(w.cat, 0, 0, &err), FILEPROC_OK, &err);
    fp_buf_dispose(&buf);
    catalog_world_close(&w);
}
END_TEST

START_TEST(json_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_buf buf = FILEPROC_BUF_INIT;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        catalog_world w;
        fp_status rc;

        fault_disarm(&f);
        catalog_world_open(&w, &f.allocator);
        catalog_add(&w, NULL, id);
        fault_arm(&f);
        rc = fp_catalog_set_cache(w.cat, 1 << 20, 600000, &err);
        if (rc == FILEPROC_OK)
            rc = fp_catalog_get_json(w.cat, id, &buf, NULL, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(buf.size > 0, rc == FILEPROC_OK);
        fp_buf_dispose(&buf);
        ck_assert_int_eq(show(&w, id, &buf, NULL), FILEPROC_OK);
        fp_buf_dispose(&buf);
        catalog_world_close(&w);
    }
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
    fp_buf buf = FILEPROC_BUF_INIT;
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
    ck_assert_int_eq(fp_catalog_get_json(NULL, ID(1), &buf, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_get_json(w.cat, NULL, &buf, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_get_json(w.cat, ID(1), NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_catalog_set_cache(NULL, 1, 1, NULL), FILEPROC_ERR_INVALID);
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
          list_shows_what_the_query_asks_for, json_has_a_tag_that_changes_with_it,
          what_is_kept_in_memory_is_never_older_than_what_was_done_here,
          json_survives_every_allocation_failure, wrong_queries_are_refused,
          pages_are_stable_while_files_come_and_go, page_that_ends_exactly_has_no_next,
          wrong_arguments_are_refused, open_get_and_list_survive_every_allocation_failure)
