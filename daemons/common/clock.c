/* Owns: the two clocks, and times as text: RFC 3339 for JSON, IMF-fixdate for HTTP.
 * Must not know: what is timed. */
#include "clock.h"

#include <stdio.h>
#include <time.h>

int64_t fpd_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t fpd_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The year is cut to four digits so that the result has a fixed size, whatever the clock says. */
static struct tm utc(int64_t ms, int *millisecond)
{
    int64_t rest = ms % 1000;
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm = { 0 };

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    gmtime_r(&seconds, &tm);
    *millisecond = (int)rest;
    return tm;
}

void fpd_rfc3339(int64_t ms, char out[FPD_RFC3339_SIZE])
{
    int millisecond;
    struct tm tm = utc(ms, &millisecond);
    unsigned year = (unsigned)(tm.tm_year + 1900) % 10000;

    snprintf(out, FPD_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year,
             (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
             (unsigned)millisecond % 1000);
}

void fpd_http_date(int64_t ms, char out[FPD_HTTP_DATE_SIZE])
{
    /* not strftime(): its names depend on the locale */
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int millisecond;
    struct tm tm = utc(ms, &millisecond);

    snprintf(out, FPD_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             days[(unsigned)tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
             months[(unsigned)tm.tm_mon % 12], (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
