/* Owns: the tests of daemons/upload/tus_checksum.c. */
#include <string.h>

#include "runner.h"
#include "tus_checksum.h"

START_TEST(every_algorithm_that_is_advertised_is_known)
{
    static const struct {
        const char *header, *algorithm;
        size_t size;
    } cases[] = {
        { "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha", 20 },
        { "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", "sha-256", 32 },
        { "md5 XrY7u+Ae7tCTyyK7j1rNww==", "md5", 16 },
        { "crc32c yZRlqg==", "crc32c", 4 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fpd_digest d = { 0 };

        ck_assert_int_eq(fpd_tus_checksum_parse(cases[i].header, &d), FPD_DIGEST_OK);
        ck_assert_str_eq(d.algorithm, cases[i].algorithm);
        ck_assert_uint_eq(d.size, cases[i].size);
    }
}
END_TEST

START_TEST(others_are_refused)
{
    static const char *const malformed[] = { "",
                                             "sha1",
                                             " ",
                                             "sha1 ",
                                             "sha1 Kq5=",
                                             "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                             "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= ",
                                             "md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
                                             " sha1 Kq5=" };
    static const char *const unsupported[] = { "sha512 YQ==", "SHA1 YQ==", "sha YQ==",
                                               "crc32 YQ==" };
    fpd_digest d = { 0 };

    for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++)
        ck_assert_msg(fpd_tus_checksum_parse(malformed[i], &d) == FPD_DIGEST_MALFORMED, "%s",
                      malformed[i]);
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++)
        ck_assert_int_eq(fpd_tus_checksum_parse(unsupported[i], &d), FPD_DIGEST_UNSUPPORTED);
}
END_TEST

RUN_TESTS("tus_checksum", every_algorithm_that_is_advertised_is_known, others_are_refused)
