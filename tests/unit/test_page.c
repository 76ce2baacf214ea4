/* Owns: the tests of daemons/common/page.c. */
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

RUN_TESTS("page", cursor_and_limit_are_read, lists_have_the_one_shape)
