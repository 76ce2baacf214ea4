/* Owns: the tests of core/timestamp.c. */
#include <string.h>

#include "core/timestamp.h"
#include "runner.h"

static fp_error err;

static void expect_both(int64_t ms, const char *text)
{
    char out[FPI_TIMESTAMP_SIZE];
    int64_t back = 0;

    fpi_timestamp_format(ms, out);
    ck_assert_str_eq(out, text);
    ck_assert_int_eq(fpi_timestamp_parse(text, &back, &err), FILEPROC_OK);
    ck_assert_int_eq(back, ms);
}

START_TEST(known_moments_have_their_text)
{
    expect_both(0, "1970-01-01T00:00:00.000Z");
    expect_both(1, "1970-01-01T00:00:00.001Z");
    expect_both(-1, "1969-12-31T23:59:59.999Z");
    expect_both(-1000, "1969-12-31T23:59:59.000Z");
    expect_both(INT64_C(951782400000), "2000-02-29T00:00:00.000Z");
    expect_both(INT64_C(2147483648000), "2038-01-19T03:14:08.000Z");
    expect_both(INT64_C(4107542400000), "2100-03-01T00:00:00.000Z");
    expect_both(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
    expect_both(-INT64_C(62167219200000), "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(times_out_of_reach_are_clamped)
{
    char out[FPI_TIMESTAMP_SIZE];

    fpi_timestamp_format(INT64_MAX, out);
    ck_assert_str_eq(out, "9999-12-31T23:59:59.999Z");
    fpi_timestamp_format(INT64_MIN, out);
    ck_assert_str_eq(out, "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(every_form_of_rfc_3339_is_read)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        { "1985-04-12T23:20:50.52Z", INT64_C(482196050520) },
        { "1996-12-19T16:39:57-08:00", INT64_C(851042397000) },
        { "1996-12-20T00:39:57Z", INT64_C(851042397000) },
        { "1990-12-31T23:59:60Z", INT64_C(662688000000) },
        { "1990-12-31T15:59:60-08:00", INT64_C(662688000000) },
        { "1937-01-01T12:00:27.87+00:20", -INT64_C(1041337172130) },
        { "1970-01-01t00:00:00z", 0 },
        { "1970-01-01 00:00:00.0019999999999999999999999Z", 1 },
        { "1970-01-01T23:59:00+23:59", 0 },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int64_t ms = 0;

        ck_assert_msg(fpi_timestamp_parse(rows[i].text, &ms, &err) == FILEPROC_OK, "%s",
                      rows[i].text);
        ck_assert_msg(ms == rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
    }
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    static const char *const bad[] = { "",
                                       "2026",
                                       "2026-01-01",
                                       "2026-01-01T00:00:00",
                                       "2026-01-01T00:00:00ZZ",
                                       "2026-01-01T00:00:00Z ",
                                       " 2026-01-01T00:00:00Z",
                                       "2026-01-01T00:00Z",
                                       "2026-1-01T00:00:00Z",
                                       "+026-01-01T00:00:00Z",
                                       " 026-01-01T00:00:00Z",
                                       "2026-00-01T00:00:00Z",
                                       "2026-13-01T00:00:00Z",
                                       "2026-01-00T00:00:00Z",
                                       "2026-01-32T00:00:00Z",
                                       "2026-02-29T00:00:00Z",
                                       "2100-02-29T00:00:00Z",
                                       "2026-04-31T00:00:00Z",
                                       "2026-01-01T24:00:00Z",
                                       "2026-01-01T00:60:00Z",
                                       "2026-01-01T00:00:61Z",
                                       "2026-01-01T00:00:-1Z",
                                       "2026-01-01T00:00:00.Z",
                                       "2026-01-01T00:00:00,5Z",
                                       "2026-01-01T00:00:00+24:00",
                                       "2026-01-01T00:00:00+00:60",
                                       "2026-01-01T00:00:00+0000",
                                       "2026-01-01T00:00:00+00",
                                       "2026-01-01T00:00:00+-1:00",
                                       "2026-01-01X00:00:00Z" };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int64_t ms = 77;

        ck_assert_msg(fpi_timestamp_parse(bad[i], &ms, &err) == FILEPROC_ERR_INVALID, "%s", bad[i]);
        ck_assert_int_eq(ms, 77);
    }
}
END_TEST

START_TEST(format_and_parse_are_inverse_and_keep_the_order)
{
    uint64_t state = 42;
    char last[FPI_TIMESTAMP_SIZE] = "", now[FPI_TIMESTAMP_SIZE];

    for (int i = 0; i < 100000; i++) {
        int64_t ms, back = 0;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ms = (int64_t)(state >> 16) % INT64_C(253402300800000);
        ms = i % 2 ? ms : ms % INT64_C(62167219200000) - INT64_C(62167219200000);
        fpi_timestamp_format(ms, now);
        ck_assert_int_eq(fpi_timestamp_parse(now, &back, &err), FILEPROC_OK);
        ck_assert_int_eq(back, ms);
    }
    for (int64_t ms = -INT64_C(62167219200000); ms < INT64_C(253402300800000);
         ms += INT64_C(86400000) * 27 + 1234567) {
        fpi_timestamp_format(ms, now);
        ck_assert_int_lt(strcmp(last, now), 0);
        memcpy(last, now, sizeof(now));
    }
}
END_TEST

RUN_TESTS("timestamp", known_moments_have_their_text, times_out_of_reach_are_clamped,
          every_form_of_rfc_3339_is_read, what_is_no_time_is_refused,
          format_and_parse_are_inverse_and_keep_the_order)
