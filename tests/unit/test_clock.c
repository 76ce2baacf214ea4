/* Owns: the tests of daemons/common/clock.c. */
#include "clock.h"
#include "runner.h"

START_TEST(times_are_written_as_the_standards_say)
{
    char text[FPD_RFC3339_SIZE], date[FPD_HTTP_DATE_SIZE];

    fpd_rfc3339(1795429230123, text);
    ck_assert_str_eq(text, "2026-11-23T10:20:30.123Z");
    fpd_http_date(784111777000, date);
    ck_assert_str_eq(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    fpd_rfc3339(0, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
    fpd_rfc3339(-1, text);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
}
END_TEST

START_TEST(clocks_go_on)
{
    int64_t before = fpd_monotonic_ns();

    ck_assert(fpd_now_ms() > INT64_C(1600000000000));
    ck_assert(fpd_monotonic_ns() >= before);
}
END_TEST

RUN_TESTS("clock", times_are_written_as_the_standards_say, clocks_go_on)
