/* Owns: the tests of daemons/storage/object_conditions.c. */
#include "fake_http.h"
#include "object_conditions.h"
#include "runner.h"

static void expect(const char *method, const char *lines, const char *etag, fpd_conditions wanted)
{
    fake_http f;

    fake_init(&f, method, "/v1/objects/a", lines);
    ck_assert_msg(fpd_object_conditions(fake_request(&f), etag) == wanted, "%s %s on %s", method,
                  lines, etag ? etag : "nothing");
    fake_dispose(&f);
}

START_TEST(without_conditions_everything_goes)
{
    expect("PUT", "", NULL, FPD_CONDITIONS_MET);
    expect("GET", "", "\"a\"", FPD_CONDITIONS_MET);
}
END_TEST

START_TEST(if_match_wants_the_very_object)
{
    expect("PUT", "If-Match: \"a\"\n", "\"a\"", FPD_CONDITIONS_MET);
    expect("PUT", "If-Match: \"b\", \"a\"\n", "\"a\"", FPD_CONDITIONS_MET);
    expect("PUT", "If-Match: *\n", "\"a\"", FPD_CONDITIONS_MET);
    expect("PUT", "If-Match: *\n", NULL, FPD_CONDITIONS_FAILED);
    expect("PUT", "If-Match: \"a\"\n", NULL, FPD_CONDITIONS_FAILED);
    expect("DELETE", "If-Match: \"b\"\n", "\"a\"", FPD_CONDITIONS_FAILED);
    expect("GET", "If-Match: W/\"a\"\n", "\"a\"", FPD_CONDITIONS_FAILED);
}
END_TEST

START_TEST(if_none_match_wants_another_one_or_none)
{
    expect("PUT", "If-None-Match: *\n", NULL, FPD_CONDITIONS_MET);
    expect("PUT", "If-None-Match: *\n", "\"a\"", FPD_CONDITIONS_FAILED);
    expect("PUT", "If-None-Match: \"a\"\n", "\"a\"", FPD_CONDITIONS_FAILED);
    expect("PUT", "If-None-Match: \"b\"\n", "\"a\"", FPD_CONDITIONS_MET);
    expect("GET", "If-None-Match: W/\"a\"\n", "\"a\"", FPD_CONDITIONS_NOT_MODIFIED);
    expect("HEAD", "If-None-Match: *\n", "\"a\"", FPD_CONDITIONS_NOT_MODIFIED);
    expect("GET", "If-None-Match: *\n", NULL, FPD_CONDITIONS_MET);
}
END_TEST

START_TEST(if_match_comes_first)
{
    expect("GET", "If-Match: \"b\"\nIf-None-Match: \"a\"\n", "\"a\"", FPD_CONDITIONS_FAILED);
    expect("GET", "If-Match: \"a\"\nIf-None-Match: \"a\"\n", "\"a\"", FPD_CONDITIONS_NOT_MODIFIED);
}
END_TEST

START_TEST(only_the_star_is_exclusive)
{
    static const struct {
        const char *lines;
        bool exclusive;
    } cases[] = { { "If-None-Match: *\n", true },
                  { "If-None-Match: \"*\"\n", false },
                  { "", false } };

    for (size_t i = 0; i < 3; i++) {
        fake_http f;

        fake_init(&f, "PUT", "/v1/objects/a", cases[i].lines);
        ck_assert_int_eq(fpd_object_exclusive(fake_request(&f)), cases[i].exclusive);
        fake_dispose(&f);
    }
}
END_TEST

RUN_TESTS("object_conditions", without_conditions_everything_goes, if_match_wants_the_very_object,
          if_none_match_wants_another_one_or_none, if_match_comes_first, only_the_star_is_exclusive)
