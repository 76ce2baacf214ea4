/* Owns: the tests of core/digest.c. */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "runner.h"

static fp_error err;

static void expect_digest(fpi_digest_algorithm algorithm, const void *data, size_t size,
                          size_t step, const char *hex)
{
    unsigned char value[FPI_DIGEST_MAX];
    char text[2 * FPI_DIGEST_MAX + 1];
    fpi_digest d;

    fpi_digest_init(&d, algorithm);
    for (size_t at = 0; at < size; at += step)
        fpi_digest_update(&d, (const char *)data + at, size - at < step ? size - at : step);
    fpi_digest_value(&d, value);
    fpi_hex(value, fpi_digest_size(algorithm), text);
    ck_assert_str_eq(text, hex);
}

START_TEST(published_vectors_come_out)
{
    static const struct {
        fpi_digest_algorithm algorithm;
        const char *text, *hex;
    } rows[] = {
        /* FIPS 180-4 examples */
        { FPI_DIGEST_SHA256, "",
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { FPI_DIGEST_SHA256, "abc",
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { FPI_DIGEST_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { FPI_DIGEST_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { FPI_DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { FPI_DIGEST_SHA1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        /* RFC 1321 appendix A.5 */
        { FPI_DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e" },
        { FPI_DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { FPI_DIGEST_MD5,
          "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
          "57edf4a22be3c955ac49da2e2107b67a" },
        { FPI_DIGEST_CRC32C, "", "00000000" },
        { FPI_DIGEST_CRC32C, "123456789", "e3069283" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        for (size_t step = 1; step <= 100; step += 33)
            expect_digest(rows[i].algorithm, rows[i].text, strlen(rows[i].text), step, rows[i].hex);
}
END_TEST

START_TEST(a_million_letters_come_out)
{
    char *text = malloc(1000000);

    memset(text, 'a', 1000000);
    expect_digest(FPI_DIGEST_SHA256, text, 1000000, 4099,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    expect_digest(FPI_DIGEST_SHA1, text, 1000000, 4099, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    expect_digest(FPI_DIGEST_MD5, text, 1000000, 4099, "7707d6ae4e027c70eea2a935c2296f21");
    free(text);
}
END_TEST

START_TEST(names_are_those_of_rfc_9530)
{
    static const struct {
        const char *name;
        fpi_digest_algorithm algorithm;
        size_t size;
    } rows[] = { { "sha-256", FPI_DIGEST_SHA256, 32 }, { "md5", FPI_DIGEST_MD5, 16 },
                 { "sha", FPI_DIGEST_SHA1, 20 },       { "crc32c", FPI_DIGEST_CRC32C, 4 },
                 { "SHA-256", FPI_DIGEST_SHA256, 32 }, { "Md5", FPI_DIGEST_MD5, 16 } };
    static const char *const bad[] = { "",      "sha-25",  "sha-2566", "sha-512",
                                       "adler", "unixsum", "md5 " };
    fpi_digest_algorithm algorithm;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ck_assert_int_eq(fpi_digest_by_name(rows[i].name, &algorithm, &err), FILEPROC_OK);
        ck_assert_int_eq((int)algorithm, (int)rows[i].algorithm);
        ck_assert_uint_eq(fpi_digest_size(algorithm), rows[i].size);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_int_eq(fpi_digest_by_name(bad[i], &algorithm, &err), FILEPROC_ERR_INVALID);
        ck_assert_str_eq(fp_error_reason(&err), "digest_unsupported");
    }
}
END_TEST

START_TEST(asking_for_the_value_changes_nothing)
{
    for (int algorithm = FPI_DIGEST_SHA256; algorithm <= FPI_DIGEST_CRC32C; algorithm++) {
        unsigned char first[FPI_DIGEST_MAX] = { 0 }, again[FPI_DIGEST_MAX] = { 0 },
                      whole[FPI_DIGEST_MAX] = { 0 };
        fpi_digest d, fresh;

        fpi_digest_init(&d, (fpi_digest_algorithm)algorithm);
        fpi_digest_update(&d, "one ", 4);
        fpi_digest_value(&d, first);
        fpi_digest_value(&d, again);
        ck_assert_mem_eq(first, again, sizeof(first));
        fpi_digest_update(&d, "two", 3);
        fpi_digest_value(&d, again);
        fpi_digest_init(&fresh, (fpi_digest_algorithm)algorithm);
        fpi_digest_update(&fresh, "one two", 7);
        fpi_digest_value(&fresh, whole);
        ck_assert_mem_eq(again, whole, sizeof(whole));
    }
}
END_TEST

START_TEST(a_copy_goes_its_own_way)
{
    unsigned char value[FPI_DIGEST_MAX];
    char text[65];
    fpi_digest d, copy;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, "ab", 2);
    copy = d;
    fpi_digest_update(&copy, "x", 1);
    fpi_digest_update(&d, "c", 1);
    fpi_digest_value(&d, value);
    fpi_hex(value, 32, text);
    ck_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(a_state_can_be_kept_and_taken_up_at_every_byte)
{
    unsigned char data[300], saved[FPI_SHA256_STATE_SIZE], again[FPI_SHA256_STATE_SIZE];
    unsigned char wanted[FPI_DIGEST_MAX], got[FPI_DIGEST_MAX];
    fpi_digest d;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, data, sizeof(data));
    fpi_digest_value(&d, wanted);
    for (size_t split = 0; split <= sizeof(data); split++) {
        fpi_digest loaded;

        fpi_digest_init(&d, FPI_DIGEST_SHA256);
        fpi_digest_update(&d, data, split);
        fpi_sha256_save(&d, saved);
        memset(&loaded, 0xA5, sizeof(loaded));
        ck_assert_int_eq(fpi_sha256_load(&loaded, saved, &err), FILEPROC_OK);
        fpi_sha256_save(&loaded, again);
        ck_assert_mem_eq(saved, again, sizeof(saved));
        fpi_digest_update(&loaded, data + split, sizeof(data) - split);
        fpi_digest_value(&loaded, got);
        ck_assert_mem_eq(got, wanted, 32);
    }
}
END_TEST

START_TEST(the_length_may_pass_4_gigabytes)
{
    static const size_t step = 1 << 20;
    unsigned char saved[FPI_SHA256_STATE_SIZE], value[FPI_DIGEST_MAX];
    unsigned char *zeroes = calloc(1, step);
    char text[65];
    fpi_digest d;

    /* 512 MiB is where the count of bits leaves its low word. */
    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    for (int i = 0; i < 513; i++) {
        fpi_digest_update(&d, zeroes, step);
        fpi_sha256_save(&d, saved);
        ck_assert_int_eq(fpi_sha256_load(&d, saved, &err), FILEPROC_OK);
    }
    fpi_digest_value(&d, value);
    fpi_hex(value, 32, text);
    ck_assert_str_eq(text, "a3e2acbb469e4e59dde406f912e754c933c1ac0fb0092a3634d61d5073309c0c");
    free(zeroes);
}
END_TEST

START_TEST(damaged_states_are_refused)
{
    unsigned char saved[FPI_SHA256_STATE_SIZE], bad[FPI_SHA256_STATE_SIZE];
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    fpi_digest_update(&d, "abc", 3);
    fpi_sha256_save(&d, saved);
    for (size_t i = 0; i < 3; i++) {
        static const size_t at[] = { 32, 104, 111 }; /* bits, fill, fill's last byte */

        memcpy(bad, saved, sizeof(bad));
        bad[at[i]] ^= 1;
        ck_assert_int_eq(fpi_sha256_load(&d, bad, &err), FILEPROC_ERR_CORRUPT);
    }
    memset(bad, 0xFF, sizeof(bad));
    ck_assert_int_eq(fpi_sha256_load(&d, bad, &err), FILEPROC_ERR_CORRUPT);
}
END_TEST

START_TEST(base64_is_that_of_rfc_4648)
{
    static const char *const words[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "foobar", "Zm9vYmFy" },
                                            { "\xFB\xFF\xFE", "+//+" } };
    char out[16];

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        fpi_base64((const unsigned char *)words[i][0], strlen(words[i][0]), out);
        ck_assert_str_eq(out, words[i][1]);
    }
}
END_TEST

START_TEST(hmac_is_that_of_rfc_4231)
{
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    unsigned char key[131], out[FPI_DIGEST_MAX];
    char hex[2 * FPI_DIGEST_MAX + 1];

    fpi_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    fpi_hex(out, sizeof(out), hex);
    ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xAA, sizeof(key));
    fpi_hmac_sha256(key, sizeof(key), text, sizeof(text) - 1, out);
    fpi_hex(out, sizeof(out), hex);
    ck_assert_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    fpi_hmac_sha256(out, 32, "x", 1, out); /* a key may be where the result goes */
}
END_TEST

RUN_TESTS("digest", base64_is_that_of_rfc_4648, hmac_is_that_of_rfc_4231,
          published_vectors_come_out, a_million_letters_come_out, names_are_those_of_rfc_9530,
          asking_for_the_value_changes_nothing, a_copy_goes_its_own_way,
          a_state_can_be_kept_and_taken_up_at_every_byte, the_length_may_pass_4_gigabytes,
          damaged_states_are_refused)
