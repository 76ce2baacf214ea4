/* Owns: the two clocks, and times as text: RFC 3339 for JSON, IMF-fixdate for HTTP.
 * Must not know: what is timed. */
#ifndef FPD_CLOCK_H
#define FPD_CLOCK_H

#include <stdint.h>

/** "2026-11-23T10:20:30.123Z" and the NUL. */
#define FPD_RFC3339_SIZE 32u
/** "Mon, 23 Nov 2026 10:20:30 GMT" and the NUL. */
#define FPD_HTTP_DATE_SIZE 32u

/** Nanoseconds of a clock that never jumps. */
int64_t fpd_monotonic_ns(void);

/** Milliseconds since 1970 UTC. */
int64_t fpd_now_ms(void);

void fpd_rfc3339(int64_t ms, char out[FPD_RFC3339_SIZE]);
void fpd_http_date(int64_t ms, char out[FPD_HTTP_DATE_SIZE]);

#endif
