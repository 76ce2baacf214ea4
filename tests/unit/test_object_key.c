/* Owns: the tests of daemons/storage/object_key.c. */
#include "fake_http.h"
#include "object_key.h"
#include "runner.h"

START_TEST(what_the_other_services_write_is_reserved)
{
    static const char *const keys[] = { "files",  "files/",      "files/0193",       "derivatives",
                                        "health", "health/0193", "derivatives/a/b.c" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        ck_assert_msg(fpd_object_reserved(keys[i]), "%s", keys[i]);
}
END_TEST

START_TEST(what_only_looks_alike_is_free)
{
    static const char *const keys[] = { "file",      "filesystem", "files.txt",
                                        "a/files/b", "Files/a",    "" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        ck_assert_msg(!fpd_object_reserved(keys[i]), "%s", keys[i]);
}
END_TEST

START_TEST(an_object_that_is_not_there_is_the_client_s_affair)
{
    fp_error err = { 0 };
    fake_http f;

    (void)fp_error_reasonf(&err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_OBJECT_NOT_FOUND, "gone");
    fake_init(&f, "GET", "/v1/objects/a", "");
    fpd_object_problem(fake_request(&f), &err);
    ck_assert_int_eq(f.rq.status, 404);
    ck_assert_ptr_nonnull(strstr(f.sent.data, "object_not_found"));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("object_key", what_the_other_services_write_is_reserved, what_only_looks_alike_is_free,
          an_object_that_is_not_there_is_the_client_s_affair)
