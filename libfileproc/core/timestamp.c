/* Owns: times as text: RFC 3339 in UTC with milliseconds.
 * Must not know: clocks; the context has one. */
#include "core/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/ascii.h"

#define YEAR_0000_MS (-INT64_C(62167219200000))
#define YEAR_9999_MS INT64_C(253402300799999)

void fpi_timestamp_format(int64_t ms, char out[FPI_TIMESTAMP_SIZE])
{
    time_t seconds;
    int64_t rest;
    struct tm t;

    /* RFC 3339 knows four digits of a year, no more. */
    ms = ms < YEAR_0000_MS ? YEAR_0000_MS : ms > YEAR_9999_MS ? YEAR_9999_MS : ms;
    rest = ms % 1000;
    rest += rest < 0 ? 1000 : 0;
    seconds = (time_t)((ms - rest) / 1000);
    gmtime_r(&seconds, &t);
    snprintf(out, FPI_TIMESTAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(t.tm_year + 1900) % 10000u, (unsigned)(t.tm_mon + 1) % 100u,
             (unsigned)t.tm_mday % 100u, (unsigned)t.tm_hour % 100u, (unsigned)t.tm_min % 100u,
             (unsigned)t.tm_sec % 100u, (unsigned)rest % 1000u);
}

/* Exactly `count` digits, of a value within the range; then *at stands behind them. */
static bool read_number(const char **at, int count, int least, int most, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, ++*at) {
        if (!fpi_ascii_is_digit(**at))
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return *value >= least && *value <= most;
}

static bool read_character(const char **at, const char *allowed)
{
    if (!**at || !strchr(allowed, **at))
        return false;
    ++*at;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_date(const char **at, struct tm *t)
{
    int year, month, day;

    if (!read_number(at, 4, 0, 9999, &year) || !read_character(at, "-") ||
        !read_number(at, 2, 1, 12, &month) || !read_character(at, "-") ||
        !read_number(at, 2, 1, days_of_month(year, month), &day))
        return false;
    t->tm_year = year - 1900;
    t->tm_mon = month - 1;
    t->tm_mday = day;
    return true;
}

/* Second 60 is a leap second; it counts as the first of the next minute, as in every system without leap seconds. */
static bool read_time(const char **at, struct tm *t)
{
    return read_number(at, 2, 0, 23, &t->tm_hour) && read_character(at, ":") &&
           read_number(at, 2, 0, 59, &t->tm_min) && read_character(at, ":") &&
           read_number(at, 2, 0, 60, &t->tm_sec);
}

static bool read_fraction(const char **at, int64_t *ms)
{
    int64_t scale = 100;

    if (**at != '.')
        return true;
    ++*at;
    if (!fpi_ascii_is_digit(**at))
        return false;
    for (; fpi_ascii_is_digit(**at); ++*at, scale /= 10)
        *ms += (**at - '0') * scale;
    return true;
}

static bool read_offset(const char **at, int64_t *ms)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;

    if (read_character(at, "Zz"))
        return true;
    if (!read_character(at, "+-") || !read_number(at, 2, 0, 23, &hours) ||
        !read_character(at, ":") || !read_number(at, 2, 0, 59, &minutes))
        return false;
    *ms -= sign * (hours * INT64_C(3600000) + minutes * INT64_C(60000));
    return true;
}

fp_status fpi_timestamp_parse(const char *text, int64_t *ms, fp_error *err)
{
    struct tm t = { 0 };
    int64_t rest = 0;

    if (!read_date(&text, &t) || !read_character(&text, "Tt ") || !read_time(&text, &t) ||
        !read_fraction(&text, &rest) || !read_offset(&text, &rest) || *text)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "not an RFC 3339 time");
    *ms = (int64_t)timegm(&t) * 1000 + rest;
    return FILEPROC_OK;
}
