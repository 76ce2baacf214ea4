/* Owns: the tests of daemons/storage/object_digest.c. */
#include "fake_http.h"
#include "object_digest.h"
#include "runner.h"

/* Whether the bytes "abc" in two pieces are what the header says; -1 when the header is refused. */
static int matches(const char *header, uint32_t crc32c)
{
    fpd_object_digest d;
    fake_http f;
    int result = -1;

    fake_init(&f, "PUT", "/v1/objects/a", header);
    if (fpd_object_digest_init(&d, fake_request(&f))) {
        ck_assert(fpd_object_digest_update(&d, "a", 1));
        ck_assert(fpd_object_digest_update(&d, "bc", 2));
        result = fpd_object_digest_matches(&d, crc32c);
    } else {
        ck_assert_int_eq(f.rq.status, 400);
    }
    fpd_object_digest_dispose(&d);
    fake_dispose(&f);
    return result;
}

START_TEST(each_algorithm_is_checked)
{
    ck_assert_int_eq(matches("", 0), 1);
    ck_assert_int_eq(
        matches("Content-Digest: sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:\n", 0), 1);
    ck_assert_int_eq(
        matches("Content-Digest: sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFb0=:\n", 0), 0);
    ck_assert_int_eq(matches("Content-Digest: sha=:qZk+NkcGgWq6PiVxeFDCbJzQ2J0=:\n", 0), 1);
    ck_assert_int_eq(matches("Content-Digest: md5=:kAFQmDzST7DWlj99KOF/cg==:\n", 0), 1);
    ck_assert_int_eq(matches("Content-Digest: md5=:kAFQmDzST7DWlj99KOF/cw==:\n", 0), 0);
    ck_assert_int_eq(matches("Content-Digest: crc32c=:NksvtQ==:\n", 0x364b2fb5u), 1);
    ck_assert_int_eq(matches("Content-Digest: crc32c=:NksvtQ==:\n", 0x364b2fb4u), 0);
}
END_TEST

START_TEST(what_can_not_be_checked_is_refused)
{
    ck_assert_int_eq(matches("Content-Digest: sha-512=:AA==:\n", 0), -1);
    ck_assert_int_eq(matches("Content-Digest: sha-256=:AA==:\n", 0), -1);
    ck_assert_int_eq(matches("Content-Digest: nonsense\n", 0), -1);
}
END_TEST

RUN_TESTS("object_digest", each_algorithm_is_checked, what_can_not_be_checked_is_refused)
