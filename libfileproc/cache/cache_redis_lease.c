/* Owns: the scripts that run at a Redis server: leases and limits.
 * Must not know: connections.
 *
 * A lease is a hash: h who holds it or held it last, e his epoch, x when it ends (milliseconds by the server's clock; 0 = given
 * back), n his note, w who waits, t when he asked last. It stays for an hour after its end.
 *
 * Epochs are microseconds by the server's clock, or one more than the last one, whichever is greater: so they grow also when the
 * server has lost everything. Lua's numbers are doubles; they hold such numbers until 2255, but are to be written with %.0f. */
#include <stdio.h>
#include <string.h>

#include "cache/cache_redis_private.h"

const char *const fpi_redis_script_texts[FPI_REDIS_SCRIPTS] = {
    /* ARGV: holder, ttl, 1 = take over, epoch known. Answers 1, epoch, wanted; or 0, milliseconds left. */
    [FPI_REDIS_ACQUIRE] =
        "if redis.replicate_commands then redis.replicate_commands() end\n"
        "local t = redis.call('TIME')\n"
        "local us = t[1] * 1000000 + t[2]\n"
        "local now = math.floor(us / 1000)\n"
        "local r = redis.call('HMGET', KEYS[1], 'h', 'e', 'x', 'w', 't')\n"
        "local e, x = tonumber(r[2] or '0'), tonumber(r[3] or '0')\n"
        "local mine, held = r[1] == ARGV[1], x > now\n"
        "local waits = r[4] and r[4] ~= ARGV[1] and now - tonumber(r[5]) < 250\n"
        "local behind\n"
        "if held then behind = not mine else behind = waits end\n"
        "if behind and ARGV[3] == '0' then\n"
        "  if not waits then\n"
        "    redis.call('HSET', KEYS[1], 'w', ARGV[1], 't', string.format('%.0f', now))\n"
        "  end\n"
        "  return {0, x - now}\n"
        "end\n"
        "if not mine then\n"
        "  e = math.max(us, e + 1, tonumber(ARGV[4]) + 1)\n"
        "  redis.call('HDEL', KEYS[1], 'n')\n"
        "end\n"
        "if not waits then redis.call('HDEL', KEYS[1], 'w', 't') end\n"
        "local text = string.format('%.0f', e)\n"
        "redis.call('HSET', KEYS[1], 'h', ARGV[1], 'e', text, 'x', string.format('%.0f', now + ARGV[2]))\n"
        "redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[2] + 3600000))\n"
        "return {1, text, waits and 1 or 0}\n",

    /* ARGV: holder, epoch, ttl (0 = only look), 1 = there is a note, note. Answers 1, wanted; or 0. */
    [FPI_REDIS_RENEW] =
        "if redis.replicate_commands then redis.replicate_commands() end\n"
        "local t = redis.call('TIME')\n"
        "local now = math.floor((t[1] * 1000000 + t[2]) / 1000)\n"
        "local r = redis.call('HMGET', KEYS[1], 'h', 'e', 'x', 'w', 't')\n"
        "if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] or tonumber(r[3]) <= now then return {0} end\n"
        "if ARGV[3] ~= '0' then\n"
        "  redis.call('HSET', KEYS[1], 'x', string.format('%.0f', now + ARGV[3]))\n"
        "  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[3] + 3600000))\n"
        "  if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'n', ARGV[5]) end\n"
        "end\n"
        "local waits = r[4] and r[4] ~= ARGV[1] and now - tonumber(r[5]) < 250\n"
        "return {1, waits and 1 or 0}\n",

    /* ARGV: holder, epoch, 1 = there is a note, note. Answers 1 or 0. */
    [FPI_REDIS_RELEASE] = "local r = redis.call('HMGET', KEYS[1], 'h', 'e')\n"
                          "if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] then return 0 end\n"
                          "redis.call('HSET', KEYS[1], 'x', '0')\n"
                          "if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'n', ARGV[4]) end\n"
                          "return 1\n",

    /* Answers holder, epoch, milliseconds left, 1 = given back, note; or nothing. */
    [FPI_REDIS_LOOK] = "local t = redis.call('TIME')\n"
                       "local now = math.floor((t[1] * 1000000 + t[2]) / 1000)\n"
                       "local r = redis.call('HMGET', KEYS[1], 'h', 'e', 'x', 'n')\n"
                       "if not r[1] then return {} end\n"
                       "local x = tonumber(r[3])\n"
                       "return {r[1], r[2], math.max(x - now, 0), x == 0 and 1 or 0, r[4] or ''}\n",

    /* ARGV: limit, window, cost. As fpi_rate_step(). Answers allowed, remaining, reset, retry after. */
    [FPI_REDIS_COUNT] =
        "if redis.replicate_commands then redis.replicate_commands() end\n"
        "local t = redis.call('TIME')\n"
        "local now = math.floor((t[1] * 1000000 + t[2]) / 1000)\n"
        "local limit, size, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
        "local window, elapsed = math.floor(now / size), now % size\n"
        "local r = redis.call('HMGET', KEYS[1], 'i', 'c', 'p')\n"
        "local i, c, p = tonumber(r[1] or '-2'), tonumber(r[2] or '0'), tonumber(r[3] or '0')\n"
        "if i ~= window then\n"
        "  if i == window - 1 then p = c else p = 0 end\n"
        "  c = 0\n"
        "end\n"
        "local used = c + math.ceil(p * (size - elapsed) / size)\n"
        "local allowed, retry = used + cost <= limit, 0\n"
        "local function room(count, left)\n"
        "  if left >= count then return 0 end\n"
        "  return math.floor((count - left) * size / count) + 1\n"
        "end\n"
        "if allowed then\n"
        "  c = c + cost\n"
        "  used = used + cost\n"
        "  redis.call('HSET', KEYS[1], 'i', string.format('%.0f', window), 'c', string.format('%.0f', c),\n"
        "    'p', string.format('%.0f', p))\n"
        "  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * size))\n"
        "elseif cost > limit then\n"
        "  retry = -1\n"
        "else\n"
        "  if c + cost <= limit then retry = room(p, limit - c - cost) else retry = size + room(c, limit - cost) end\n"
        "  retry = math.max(retry - elapsed, 1)\n"
        "end\n"
        "local reset = 0\n"
        "if c > 0 then reset = 2 * size - elapsed elseif p > 0 then reset = size - elapsed end\n"
        "return {allowed and 1 or 0, math.max(limit - used, 0), reset, retry}\n",
};

static fpi_redis_word number_word(char text[24], uint64_t value)
{
    return (fpi_redis_word){ text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)value) };
}

fp_status fpi_redis_lease_acquire(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1], ttl[24], epoch[24];
    const fpi_redis_word arguments[] = {
        FPI_REDIS_TEXT(lease->holder),
        number_word(ttl, lease->ttl_ms),
        FPI_REDIS_TEXT(flags & FILEPROC_LEASE_TAKE_OVER ? "1" : "0"),
        number_word(epoch, lease->epoch),
    };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    fp_status rc;

    (void)fpi_redis_name(&c->s, 'l', lease->name, name);
    rc = fpi_redis_run(c, FPI_REDIS_ACQUIRE, name, arguments, 4, &reply, err);
    if (rc < 0)
        return rc;
    if (reply->count < 2)
        return fpi_redis_nonsense(err);
    if (!fpi_redis_number(reply->items[0]))
        return fpi_lease_held(fpi_redis_number(reply->items[1]), err);
    lease->epoch = (uint64_t)fpi_redis_number(reply->items[1]);
    lease->wanted = fpi_redis_number(fpi_redis_item(reply, 2)) != 0;
    return FILEPROC_OK;
}

fp_status fpi_redis_lease_renew(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1], ttl[24], epoch[24];
    const fpi_redis_word arguments[] = {
        FPI_REDIS_TEXT(lease->holder),     number_word(epoch, lease->epoch),
        number_word(ttl, lease->ttl_ms),   FPI_REDIS_TEXT(lease->note ? "1" : "0"),
        { lease->note, lease->note_size },
    };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    fp_status rc;

    (void)flags;
    (void)fpi_redis_name(&c->s, 'l', lease->name, name);
    rc = fpi_redis_run(c, FPI_REDIS_RENEW, name, arguments, 5, &reply, err);
    if (rc < 0)
        return rc;
    if (!fpi_redis_number(fpi_redis_item(reply, 0)))
        return fpi_lease_lost(err);
    lease->wanted = fpi_redis_number(fpi_redis_item(reply, 1)) != 0;
    return FILEPROC_OK;
}

fp_status fpi_redis_lease_release(void *self, const fp_lease *lease, uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1], epoch[24];
    const fpi_redis_word arguments[] = {
        FPI_REDIS_TEXT(lease->holder),
        number_word(epoch, lease->epoch),
        FPI_REDIS_TEXT(lease->note ? "1" : "0"),
        { lease->note, lease->note_size },
    };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    fp_status rc;

    (void)flags;
    (void)fpi_redis_name(&c->s, 'l', lease->name, name);
    rc = fpi_redis_run(c, FPI_REDIS_RELEASE, name, arguments, 4, &reply, err);
    if (rc < 0)
        return rc;
    return fpi_redis_number(reply) ? FILEPROC_OK : fpi_lease_lost(err);
}

fp_status fpi_redis_lease_look(void *self, const char *key, fp_lease_info *info, uint32_t flags,
                               fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1];
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    const fpi_redis_reply *holder, *note;
    fp_status rc;

    (void)flags;
    (void)fpi_redis_name(&c->s, 'l', key, name);
    rc = fpi_redis_run(c, FPI_REDIS_LOOK, name, NULL, 0, &reply, err);
    if (rc < 0 || reply->count == 0)
        return rc;
    holder = fpi_redis_item(reply, 0);
    note = fpi_redis_item(reply, 4);
    if (!note || !holder || !holder->text || holder->size > FILEPROC_LEASE_HOLDER_MAX ||
        !note->text || note->size > FILEPROC_LEASE_NOTE_MAX)
        return fpi_redis_nonsense(err);
    memcpy(info->holder, holder->text, holder->size + 1);
    info->epoch = (uint64_t)fpi_redis_number(reply->items[1]);
    info->left_ms = fpi_redis_number(reply->items[2]);
    info->released = fpi_redis_number(reply->items[3]) != 0;
    info->note_size = (uint32_t)note->size;
    memcpy(info->note, note->text, note->size);
    return FILEPROC_OK;
}

fp_status fpi_redis_count(void *self, const char *key, fp_rate *rate, uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1], limit[24], window[24], cost[24];
    const fpi_redis_word arguments[] = {
        number_word(limit, rate->limit),
        number_word(window, rate->window_ms),
        number_word(cost, rate->cost),
    };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    fp_status rc;

    (void)flags;
    (void)fpi_redis_name(&c->s, 'r', key, name);
    rc = fpi_redis_run(c, FPI_REDIS_COUNT, name, arguments, 3, &reply, err);
    if (rc < 0)
        return rc;
    if (reply->count != 4)
        return fpi_redis_nonsense(err);
    rate->allowed = fpi_redis_number(reply->items[0]) != 0;
    rate->remaining = (uint64_t)fpi_redis_number(reply->items[1]);
    rate->reset_ms = fpi_redis_number(reply->items[2]);
    rate->retry_after_ms = fpi_redis_number(reply->items[3]);
    return FILEPROC_OK;
}
