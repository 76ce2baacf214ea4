/* Owns: the driver "redis": commands and scripts on a pool of connections; values and messages.
 * Must not know: how connections are made, kept and replaced. */
#include <stdio.h>
#include <string.h>

#include "cache/cache_redis.h"
#include "cache/cache_redis_private.h"
#include "core/digest.h"
#include "core/hex.h"

size_t fpi_redis_name(const fpi_redis_settings *s, char kind, const char *key,
                      char name[FPI_REDIS_NAME_MAX + 1])
{
    return (size_t)snprintf(name, FPI_REDIS_NAME_MAX + 1, "%s%c:%s", s->prefix, kind, key);
}

/* ---- commands ---- */

static int64_t deadline(const fpi_redis_cache *c)
{
    return fpi_monotonic_ms() + c->s.timeout_ms;
}

/* One exchange on a connection of one's own; what it answers may be an error of the server. */
static fp_status exchange(fpi_redis_cache *c, const fpi_redis_word *words, size_t count,
                          int64_t deadline_ms, fpi_redis_reply **out, fp_error *err)
{
    fpi_redis_link *link = NULL;
    fp_error e = { 0 };
    fp_status rc = fpi_redis_pool_take(c->pool, deadline_ms, &link, &e);

    if (rc == FILEPROC_OK) {
        rc = fpi_redis_link_ask(link, words, count, deadline_ms, out, &e);
        fpi_redis_pool_give(c->pool, link, &e);
    }
    if (rc < 0 && err)
        *err = e;
    return rc;
}

static fp_status refuse_errors(fp_status rc, fpi_redis_reply **reply, fp_error *err)
{
    if (rc == FILEPROC_OK && (*reply)->type == REDIS_REPLY_ERROR) {
        rc = fpi_redis_error(*reply, err);
        fpi_redis_reply_free(fpi_steal(reply));
    }
    return rc;
}

fp_status fpi_redis_command(fpi_redis_cache *c, const fpi_redis_word *words, size_t count,
                            fpi_redis_reply **out, fp_error *err)
{
    fpi_redis_reply *reply = NULL;
    fp_status rc = exchange(c, words, count, deadline(c), &reply, err);

    rc = refuse_errors(rc, &reply, err);
    if (rc == FILEPROC_OK)
        *out = reply;
    return rc;
}

/* A server that was started anew, or whose scripts were flushed, is sent the text; it keeps it from then on. */
fp_status fpi_redis_run(fpi_redis_cache *c, fpi_redis_script script, const char *name,
                        const fpi_redis_word *arguments, size_t count, fpi_redis_reply **out,
                        fp_error *err)
{
    fpi_redis_word words[4 + FPI_REDIS_ARGUMENTS_MAX] = {
        FPI_REDIS_TEXT("EVALSHA"),
        FPI_REDIS_TEXT(c->hashes[script]),
        FPI_REDIS_TEXT("1"),
        FPI_REDIS_TEXT(name),
    };
    fpi_redis_reply *reply = NULL;
    int64_t until = deadline(c);
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        words[4 + i] = arguments[i];
    rc = exchange(c, words, 4 + count, until, &reply, err);
    if (rc == FILEPROC_OK && fpi_redis_is_error(reply, "NOSCRIPT")) {
        fpi_redis_reply_free(fpi_steal(&reply));
        words[0] = FPI_REDIS_TEXT("EVAL");
        words[1] = FPI_REDIS_TEXT(fpi_redis_script_texts[script]);
        rc = exchange(c, words, 4 + count, until, &reply, err);
    }
    rc = refuse_errors(rc, &reply, err);
    if (rc == FILEPROC_OK)
        *out = reply;
    return rc;
}

/* ---- open and close ---- */

static void redis_close(void *self)
{
    fpi_redis_cache *c = self;

    fpi_redis_pool_free(c->pool);
    fpi_redis_settings_dispose(&c->s);
    fpi_free(&c->ctx->a, c);
}

static fp_status redis_ping(void *self, fp_error *err)
{
    const fpi_redis_word words[] = { FPI_REDIS_TEXT("PING") };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;

    return fpi_redis_command(self, words, 1, &reply, err);
}

static void hash_scripts(fpi_redis_cache *c)
{
    for (size_t i = 0; i < FPI_REDIS_SCRIPTS; i++) {
        unsigned char value[FPI_DIGEST_MAX];
        fpi_digest d;

        fpi_digest_init(&d, FPI_DIGEST_SHA1);
        fpi_digest_update(&d, fpi_redis_script_texts[i], strlen(fpi_redis_script_texts[i]));
        fpi_digest_value(&d, value);
        fpi_hex(value, 20, c->hashes[i]);
    }
}

/* A wrong password is told now, when somebody looks; a server that is away may come later. */
static fp_status try_server(fpi_redis_cache *c, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = redis_ping(c, &e);

    if (rc != FILEPROC_ERR_AUTH && rc != FILEPROC_ERR_INVALID && rc != FILEPROC_ERR_NOMEM)
        return FILEPROC_OK;
    if (err)
        *err = e;
    return rc;
}

static fp_status redis_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                            void **self, fp_error *err)
{
    fpi_redis_cache *c = fpi_calloc(&ctx->a, 1, sizeof(*c));
    fp_status rc;

    (void)opts;
    if (!c)
        return fpi_no_memory(err);
    c->ctx = ctx;
    hash_scripts(c);
    rc = fpi_redis_settings_parse(ctx, uri, &c->s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_redis_pool_new(ctx, &c->s, &c->pool, err);
    if (rc == FILEPROC_OK)
        rc = try_server(c, err);
    if (rc < 0)
        redis_close(c);
    else
        *self = c;
    return rc;
}

/* ---- values and messages ---- */

static fp_status redis_get(void *self, const char *key, fp_buf *value, int32_t *found,
                           uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1];
    const fpi_redis_word words[] = { FPI_REDIS_TEXT("GET"),
                                     { name, fpi_redis_name(&c->s, 'v', key, name) } };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;
    fp_status rc = fpi_redis_command(c, words, 2, &reply, err);

    (void)flags;
    if (rc < 0 || !reply)
        return rc;
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL)
        return fpi_redis_nonsense(err);
    if (reply->text)
        rc = fpi_buf_append(c->ctx, value, reply->text, reply->size, err);
    if (rc == FILEPROC_OK)
        *found = reply->text != NULL;
    return rc;
}

static fp_status redis_set(void *self, const char *key, const void *value, size_t size,
                           int64_t ttl_ms, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1], ttl[24];
    const fpi_redis_word words[] = { FPI_REDIS_TEXT("SET"),
                                     { name, fpi_redis_name(&c->s, 'v', key, name) },
                                     { value, size },
                                     FPI_REDIS_TEXT("PX"),
                                     { ttl, (size_t)snprintf(ttl, sizeof(ttl), "%lld",
                                                             (long long)ttl_ms) } };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;

    return fpi_redis_command(c, words, ttl_ms ? 5 : 3, &reply, err);
}

static fp_status redis_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1];
    const fpi_redis_word words[] = { FPI_REDIS_TEXT("DEL"),
                                     { name, fpi_redis_name(&c->s, 'v', key, name) } };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;

    (void)flags;
    return fpi_redis_command(c, words, 2, &reply, err);
}

static fp_status redis_publish(void *self, const char *channel, const void *data, size_t size,
                               uint32_t flags, fp_error *err)
{
    fpi_redis_cache *c = self;
    char name[FPI_REDIS_NAME_MAX + 1];
    const fpi_redis_word words[] = { FPI_REDIS_TEXT("PUBLISH"),
                                     { name, fpi_redis_name(&c->s, 'c', channel, name) },
                                     { data, size } };
    FPI_CLEANUP(fpi_redis_reply) reply = NULL;

    (void)flags;
    return fpi_redis_command(c, words, 3, &reply, err);
}

const fp_cache_driver fpi_cache_redis_driver = {
    FILEPROC_CACHE_DRIVER_INIT("redis"),
    .open = redis_open,
    .close = redis_close,
    .ping = redis_ping,
    .get = redis_get,
    .set = redis_set,
    .remove = redis_remove,
    .lease_acquire = fpi_redis_lease_acquire,
    .lease_renew = fpi_redis_lease_renew,
    .lease_release = fpi_redis_lease_release,
    .lease_look = fpi_redis_lease_look,
    .count = fpi_redis_count,
    .publish = redis_publish,
    .subscribe = fpi_redis_subscribe,
    .subscription_add = fpi_redis_subscription_add,
    .subscription_remove = fpi_redis_subscription_remove,
    .subscription_receive = fpi_redis_subscription_receive,
    .subscription_wake = fpi_redis_subscription_wake,
    .subscription_free = fpi_redis_subscription_free,
};
