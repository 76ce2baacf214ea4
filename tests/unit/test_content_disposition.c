/* Owns: the tests of daemons/common/content_disposition.c. */
#include "content_disposition.h"
#include "runner.h"

static void expect(bool inline_safe, const char *filename, const char *value)
{
    fpd_text t = FPD_TEXT_INIT(4096);

    fpd_content_disposition(&t, inline_safe, filename);
    ck_assert_str_eq(t.data, value);
    fpd_text_dispose(&t);
}

START_TEST(names_come_in_both_forms)
{
    expect(true, "photo.jpg", "inline; filename=\"photo.jpg\"; filename*=UTF-8''photo.jpg");
    expect(false, "K\xc3\xb6ln \xf0\x9f\x9a\x80.pdf",
           "attachment; filename=\"K_ln _.pdf\"; filename*=UTF-8''K%C3%B6ln%20%F0%9F%9A%80.pdf");
}
END_TEST

START_TEST(no_name_breaks_out_of_its_quotes)
{
    expect(
        false, "a\"b\\c/d%e;f\r\nX: y\xff",
        "attachment; filename=\"a_b_c_d_e_f__X: y_\"; filename*=UTF-8''a%22b%5Cc%2Fd%25e%3Bf%0D%0AX%3A%20y%FF");
}
END_TEST

START_TEST(only_inert_types_are_shown_in_place)
{
    ck_assert(fpd_inline_safe("image/png"));
    ck_assert(fpd_inline_safe("IMAGE/JPEG"));
    ck_assert(!fpd_inline_safe("image/svg+xml"));
    ck_assert(!fpd_inline_safe("text/html"));
    ck_assert(!fpd_inline_safe("application/xhtml+xml"));
    ck_assert(!fpd_inline_safe("text/xml"));
    ck_assert(!fpd_inline_safe("application/octet-stream"));
}
END_TEST

RUN_TESTS("content_disposition", names_come_in_both_forms, no_name_breaks_out_of_its_quotes,
          only_inert_types_are_shown_in_place)
