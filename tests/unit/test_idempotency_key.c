/* Owns: the tests of daemons/common/idempotency_key.c. */
#include "fake_http.h"
#include "idempotency_key.h"
#include "runner.h"

/* The key of these lines; "" = there is none, NULL = refused. */
static const char *key_of(const char *lines)
{
    static char text[FPD_IDEMPOTENCY_KEY_MAX + 1];
    const char *key = NULL;
    fake_http f;
    bool taken;

    fake_init(&f, "POST", "/", lines);
    taken = fpd_idempotency_key(fake_request(&f), text, &key);
    ck_assert_int_eq(fake_status(&f), taken ? 0 : 400);
    if (!taken)
        ck_assert(fake_sent(&f, "\"idempotency_key_invalid\""));
    fake_dispose(&f);
    if (!taken)
        return NULL;
    return key ? key : "";
}

START_TEST(keys_are_strings_with_or_without_quotes)
{
    ck_assert_str_eq(key_of("Accept: x"), "");
    ck_assert_str_eq(key_of("Idempotency-Key: \"8e03978e-40d5-43dd\""), "8e03978e-40d5-43dd");
    ck_assert_str_eq(key_of("idempotency-key:8e03978e-40d5-43dd"), "8e03978e-40d5-43dd");
    ck_assert_str_eq(key_of("Idempotency-Key: \t\"a b\" \t"), "a b");
    ck_assert_str_eq(key_of("Idempotency-Key: \"a\\\"b\\\\c,;\""), "a\"b\\c,;");
    ck_assert_str_eq(key_of("Idempotency-Key: \"a\";v=1"), "a");
    ck_assert_str_eq(key_of("Idempotency-Key: a ; v=1"), "a");
}
END_TEST

START_TEST(anything_else_is_refused)
{
    static const char *const bad[] = { "",         "\"",     "\"\"",
                                       "\"a",      "\"a\"b", "a b",
                                       "a, b",     "a\"b",   "\"a\", \"b\"",
                                       "\"a\\b\"", "\"a\\",  "\"\xc3\xa4\"",
                                       "\xc3\xa4", ";a",     "\"a\tb\"" };
    char lines[600];

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(lines, sizeof(lines), "Idempotency-Key: %s", bad[i]);
        ck_assert_msg(key_of(lines) == NULL, "%s", bad[i]);
    }
    ck_assert_ptr_null(key_of("Idempotency-Key: a\nIdempotency-Key: a"));
}
END_TEST

START_TEST(longest_key_is_taken_and_no_longer_one)
{
    char lines[600], key[FPD_IDEMPOTENCY_KEY_MAX + 2];

    memset(key, 'k', sizeof(key));
    for (int quoted = 0; quoted < 2; quoted++) {
        const char *quote = quoted ? "\"" : "";

        snprintf(lines, sizeof(lines), "Idempotency-Key: %s%.255s%s", quote, key, quote);
        ck_assert_uint_eq(strlen(key_of(lines)), 255);
        snprintf(lines, sizeof(lines), "Idempotency-Key: %s%.256s%s", quote, key, quote);
        ck_assert_ptr_null(key_of(lines));
    }
}
END_TEST

RUN_TESTS("idempotency_key", keys_are_strings_with_or_without_quotes, anything_else_is_refused,
          longest_key_is_taken_and_no_longer_one)
