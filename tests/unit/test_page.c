/* Owns: the tests of daemons/common/page.c. */
#include <fileproc/catalog.h>

#include "fake_http.h"
#include "page.h"
#include "runner.h"

static int read_page(const char *query, fpd_page_request *page)
{
    fake_http f;
    int status;

    fake_init(&f, "GET", "/", "");
    f.head.query = query;
    (void)fpd_page_request_read(fake_request(&f), page);
    status = fake_status(&f);
    fake_dispose(&f);
    return status;
}

START_TEST(cursor_and_limit_are_read)
{
    fpd_page_request page;

    ck_assert_int_eq(read_page(NULL, &page), 0);
    ck_assert_ptr_null(page.cursor);
    ck_assert_uint_eq(page.limit, 50);
    ck_assert_int_eq(read_page("limit=7&cursor=a%20b", &page), 0);
    ck_assert_str_eq(page.cursor, "a b");
    ck_assert_uint_eq(page.limit, 7);
    ck_assert_int_eq(read_page("cursor=", &page), 0);
    ck_assert_ptr_null(page.cursor);
    ck_assert_int_eq(read_page("limit=0", &page), 422);
    ck_assert_int_eq(read_page("limit=9999", &page), 422);
}
END_TEST

START_TEST(lists_have_the_one_shape)
{
    fpd_text t = FPD_TEXT_INIT(1000);
    fp_buf one = { .data = (char[]){ "{\"a\":1}" }, .size = 7 },
           two = { .data = (char[]){ "{}" }, .size = 2 };

    fpd_page_begin(&t);
    fpd_page_end(&t, NULL);
    ck_assert_str_eq(t.data, "{\"items\":[],\"next\":null}");
    fpd_text_clear(&t, 1000);
    fpd_page_begin(&t);
    fpd_text_append(&t, one.data, one.size);
    fpd_text_string(&t, ",");
    fpd_text_append(&t, two.data, two.size);
    fpd_page_end(&t, "c\"1");
    ck_assert_str_eq(t.data, "{\"items\":[{\"a\":1},{}],\"next\":\"c\\\"1\"}");
    fpd_text_dispose(&t);
}
END_TEST

static fp_status write_file(fp_context *ctx, const void *page, size_t index, fp_buf *json,
                            fp_error *err)
{
    return fp_file_to_json(ctx, ((const fp_file_page *)page)->items[index], json, err);
}

/* The body is the caller's. */
static char *answer_files(const fp_file *const *items, size_t count, int *status)
{
    const fp_file_page page = { sizeof(page), count, items, "c" };
    fp_context *ctx = NULL;
    fake_http f;
    char *body;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    fake_init(&f, "GET", "/", "");
    fpd_page_answer(fake_request(&f), ctx, &page, count, page.next, write_file);
    *status = fake_status(&f);
    body = strstr(f.sent.data, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    body = strdup(body + 4);
    fake_dispose(&f);
    fp_context_free(ctx);
    return body;
}

START_TEST(an_answer_has_every_item_or_is_a_problem)
{
    const fp_file a = { .id = "a", .info = "{}" }, b = { .id = "b", .info = "{}" }, bad = { 0 };
    const fp_file *const good[] = { &a, &b }, *const mixed[] = { &a, &bad };
    char *body;
    int status;

    body = answer_files(good, 2, &status);
    ck_assert_int_eq(status, 200);
    ck_assert_ptr_eq(strstr(body, "{\"items\":[{\"id\":\"a\","), body);
    ck_assert_ptr_nonnull(strstr(body, "\"info\":{}},{\"id\":\"b\","));
    ck_assert_ptr_nonnull(strstr(body, "\"info\":{}}],\"next\":\"c\"}"));
    free(body);
    body = answer_files(mixed, 2, &status);
    ck_assert_int_ge(status, 400);
    ck_assert_ptr_null(strstr(body, "items"));
    free(body);
}
END_TEST

RUN_TESTS("page", cursor_and_limit_are_read, lists_have_the_one_shape,
          an_answer_has_every_item_or_is_a_problem)
