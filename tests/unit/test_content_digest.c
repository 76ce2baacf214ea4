/* Owns: the tests of daemons/common/content_digest.c. */
#include "content_digest.h"
#include "runner.h"

#define SHA256_OF_NOTHING "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
#define MD5_OF_NOTHING "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"

START_TEST(the_strongest_known_digest_is_taken)
{
    fpd_digest d;

    ck_assert_int_eq(fpd_content_digest_parse(SHA256_OF_NOTHING, &d), FPD_DIGEST_OK);
    ck_assert_str_eq(d.algorithm, "sha-256");
    ck_assert_uint_eq(d.size, 32);
    ck_assert_uint_eq(d.bytes[0], 0xe3);
    ck_assert_uint_eq(d.bytes[31], 0x55);
    ck_assert_int_eq(fpd_content_digest_parse(
                         " " MD5_OF_NOTHING " , unknown=:AAAA:,\t" SHA256_OF_NOTHING " ", &d),
                     FPD_DIGEST_OK);
    ck_assert_str_eq(d.algorithm, "sha-256");
    ck_assert_int_eq(fpd_content_digest_parse("crc32c=:AAAAAA==:", &d), FPD_DIGEST_OK);
    ck_assert_uint_eq(d.size, 4);
}
END_TEST

START_TEST(only_unknown_digests_are_unsupported)
{
    fpd_digest d;

    ck_assert_int_eq(fpd_content_digest_parse("sha-512=:AAAA:", &d), FPD_DIGEST_UNSUPPORTED);
}
END_TEST

START_TEST(malformed_values_are_refused)
{
    static const char *const bad[] = { "",
                                       "sha-256",
                                       "sha-256=",
                                       "sha-256=:",
                                       "sha-256=::",
                                       "sha-256=47DE",
                                       "sha-256=:AAAA:",
                                       "sha-256=:!!!!:",
                                       "md5=:1B2M2Y8AsgTpgAmY7PhCfg=:",
                                       MD5_OF_NOTHING " x",
                                       MD5_OF_NOTHING ",",
                                       "SHA-256=:AAAA:",
                                       "md5=:=B2M2Y8AsgTpgAmY7PhCfg==:",
                                       "crc32c=:AA=AAA==:" };
    fpd_digest d;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(fpd_content_digest_parse(bad[i], &d) == FPD_DIGEST_MALFORMED, "%s", bad[i]);
}
END_TEST

START_TEST(base64_needs_room_and_padding)
{
    unsigned char out[3];
    size_t got;

    ck_assert(fpd_base64_decode("TWFu", 4, out, 3, &got));
    ck_assert_mem_eq(out, "Man", 3);
    ck_assert(fpd_base64_decode("TWE=", 4, out, 2, &got));
    ck_assert_uint_eq(got, 2);
    ck_assert(fpd_base64_decode("TQ==", 4, out, 1, &got));
    ck_assert_uint_eq(got, 1);
    ck_assert(!fpd_base64_decode("TWFu", 4, out, 2, &got));
    ck_assert(!fpd_base64_decode("TWF", 3, out, 3, &got));
    ck_assert(!fpd_base64_decode("T===", 4, out, 3, &got));
    ck_assert(fpd_base64_decode("", 0, out, 0, &got));
}
END_TEST

RUN_TESTS("content_digest", the_strongest_known_digest_is_taken,
          only_unknown_digests_are_unsupported, malformed_values_are_refused,
          base64_needs_room_and_padding)
