/* Owns: the arithmetic of a limit in a sliding window.
 * Must not know: where the counts are kept. cache_redis_lease.c says the same in Lua.
 *
 * Two counts are kept: of the window that the clock is in, and of the one before. The earlier one counts by the part of it that
 * lies within the last window_ms, as if what it counted had been spread evenly. */
#include "cache/cache_private.h"

static void turn(fpi_rate_state *s, int64_t window)
{
    if (s->window == window)
        return;
    s->previous = s->window == window - 1 ? s->current : 0;
    s->current = 0;
    s->window = window;
}

/* Milliseconds from the beginning of a window after which of `count` in the one before it no more than `room` are left. */
static int64_t until_room(uint64_t count, uint64_t room, uint32_t window_ms)
{
    if (room >= count)
        return 0;
    return (int64_t)((count - room) * window_ms / count) + 1;
}

static int64_t retry_after(const fpi_rate_state *s, const fp_rate *rate, int64_t elapsed)
{
    int64_t wait;

    if (rate->cost > rate->limit)
        return -1;
    if (s->current + rate->cost <= rate->limit)
        wait = until_room(s->previous, rate->limit - s->current - rate->cost, rate->window_ms);
    else
        wait = rate->window_ms + until_room(s->current, rate->limit - rate->cost, rate->window_ms);
    return wait > elapsed ? wait - elapsed : 1;
}

void fpi_rate_step(fpi_rate_state *s, fp_rate *rate, int64_t now_ms)
{
    int64_t window = now_ms / rate->window_ms, elapsed = now_ms % rate->window_ms;
    uint64_t used;

    turn(s, window);
    /* Rounded up: what still counts in part counts. */
    used =
        s->current + (s->previous * (uint64_t)(rate->window_ms - elapsed) + rate->window_ms - 1) /
                         rate->window_ms;
    rate->allowed = used + rate->cost <= rate->limit;
    rate->retry_after_ms = rate->allowed ? 0 : retry_after(s, rate, elapsed);
    if (rate->allowed) {
        s->current += rate->cost;
        used += rate->cost;
    }
    rate->remaining = used < rate->limit ? rate->limit - used : 0;
    if (s->current)
        rate->reset_ms = 2 * (int64_t)rate->window_ms - elapsed;
    else
        rate->reset_ms = s->previous ? rate->window_ms - elapsed : 0;
}
