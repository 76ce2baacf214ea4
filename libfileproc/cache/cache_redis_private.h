/* Owns: what the files of the driver for Redis share: where to connect, answers, one connection, the pool, scripts.
 * Must not know: what the values, leases and messages mean. */
#ifndef FPI_CACHE_REDIS_PRIVATE_H
#define FPI_CACHE_REDIS_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include <hiredis.h>

#include "cache/cache_private.h"
#include "core/buf_private.h"
#include "core/uri.h"

/* ---- where to connect ---- */

/** The longest prefix of names. */
#define FPI_REDIS_PREFIX_MAX 100u

typedef struct fpi_redis_settings {
    fpi_uri uri;
    const char *host, *user, *password; /* borrowed from uri; user and password may be NULL */
    char *prefix;
    uint32_t port, database, timeout_ms, pool_size;
} fpi_redis_settings;

/** Fills *s, to be released with fpi_redis_settings_dispose(). INVALID never shows the password. */
fp_status fpi_redis_settings_parse(fp_context *ctx, const char *uri, fpi_redis_settings *s,
                                   fp_error *err);
void fpi_redis_settings_dispose(fpi_redis_settings *s);
FPI_DEFINE_DISPOSE(fpi_redis_settings, fpi_redis_settings_dispose)

/* ---- answers ---- */

/** A part of an answer, made by hiredis' parser with our allocator. */
typedef struct fpi_redis_reply {
    const fp_allocator *a;
    int type; /* REDIS_REPLY_... */
    int64_t integer;
    size_t size;
    char *text; /* of size bytes and a NUL; NULL for what has none */
    size_t count;
    struct fpi_redis_reply **items;
} fpi_redis_reply;

void fpi_redis_reply_free(fpi_redis_reply *r);
FPI_DEFINE_CLEANUP(fpi_redis_reply, fpi_redis_reply_free)

/** What hiredis hands to those who make the parts. */
typedef struct fpi_redis_maker {
    const fp_allocator *a;
    bool out_of_memory;
} fpi_redis_maker;
extern redisReplyObjectFunctions fpi_redis_reply_functions;

/** The number in an integer, or in a text of digits; 0 for anything else, and for NULL. */
int64_t fpi_redis_number(const fpi_redis_reply *r);
/** An item of an array; NULL when there is none. */
const fpi_redis_reply *fpi_redis_item(const fpi_redis_reply *r, size_t index);
/** Fills err from an answer that is an error. */
fp_status fpi_redis_error(const fpi_redis_reply *r, fp_error *err);
bool fpi_redis_is_error(const fpi_redis_reply *r, const char *word);
/** PROTOCOL: the answer is none that makes sense here. */
fp_status fpi_redis_nonsense(fp_error *err);

/* ---- one connection ---- */

/** A word of a command. */
typedef struct fpi_redis_word {
    const void *data;
    size_t size;
} fpi_redis_word;
/** From a text. */
#define FPI_REDIS_TEXT(t) ((fpi_redis_word){ (t), strlen(t) })

typedef struct fpi_redis_link {
    fp_context *ctx;
    int fd;
    redisReader *reader;
    fpi_redis_maker maker;
    fp_buf out;  /* what is still to be sent */
    bool broken; /* to be closed: nobody knows what comes next on it */
    bool silent; /* ... because the time ran out */
} fpi_redis_link;

/** Connects, logs in, chooses the database, and hears an answer. deadline_ms is monotonic. */
fp_status fpi_redis_link_open(fp_context *ctx, const fpi_redis_settings *s, int64_t deadline_ms,
                              fpi_redis_link **out, fp_error *err);
void fpi_redis_link_close(fpi_redis_link *link);
FPI_DEFINE_CLEANUP(fpi_redis_link, fpi_redis_link_close)

/** Whether nothing tells that it has ended. */
bool fpi_redis_link_is_up(const fpi_redis_link *link);

/** Adds a command to what is to be sent. */
fp_status fpi_redis_link_add(fpi_redis_link *link, const fpi_redis_word *words, size_t count,
                             fp_error *err);
/** Sends all of it. */
fp_status fpi_redis_link_flush(fpi_redis_link *link, int64_t deadline_ms, fp_error *err);
/** The next answer that has arrived; *out is NULL when none has. Waits for nothing. */
fp_status fpi_redis_link_next(fpi_redis_link *link, fpi_redis_reply **out, fp_error *err);
/** Takes what the socket has. */
fp_status fpi_redis_link_fill(fpi_redis_link *link, fp_error *err);
/** Sends a command, waits for its answer. An answer that is an error is an answer. */
fp_status fpi_redis_link_ask(fpi_redis_link *link, const fpi_redis_word *words, size_t count,
                             int64_t deadline_ms, fpi_redis_reply **out, fp_error *err);

/* ---- the pool ---- */

typedef struct fpi_redis_pool fpi_redis_pool;

/** s is borrowed. */
fp_status fpi_redis_pool_new(fp_context *ctx, const fpi_redis_settings *s, fpi_redis_pool **out,
                             fp_error *err);
void fpi_redis_pool_free(fpi_redis_pool *pool);
FPI_DEFINE_CLEANUP(fpi_redis_pool, fpi_redis_pool_free)

/** A connection for one call. BUSY at once while the server is away and it is too early to try again. */
fp_status fpi_redis_pool_take(fpi_redis_pool *pool, int64_t deadline_ms, fpi_redis_link **out,
                              fp_error *err);
/** Gives it back; why is what went wrong when it is broken. */
void fpi_redis_pool_give(fpi_redis_pool *pool, fpi_redis_link *link, const fp_error *why);

/** Half of the bound is certain, so that a server that comes up is not met by all at once, nor by anybody in a tight loop. */
int64_t fpi_redis_backoff_ms(const fp_context *ctx, uint32_t failures);
/** What a caller is told of a server that is away because of `why`: BUSY, or what is wrong with our credentials. */
fp_status fpi_redis_away(const fp_error *why, int64_t retry_in_ms, fp_error *err);

/* ---- the driver ---- */

/** Scripts run atomically at the server; docs/internals/cache-redis.md. */
typedef enum fpi_redis_script {
    FPI_REDIS_ACQUIRE,
    FPI_REDIS_RENEW,
    FPI_REDIS_RELEASE,
    FPI_REDIS_LOOK,
    FPI_REDIS_COUNT,
    FPI_REDIS_SCRIPTS
} fpi_redis_script;
extern const char *const fpi_redis_script_texts[FPI_REDIS_SCRIPTS];

typedef struct fpi_redis_cache {
    fp_context *ctx;
    fpi_redis_settings s;
    fpi_redis_pool *pool;
    char hashes[FPI_REDIS_SCRIPTS][41]; /* by which the server knows the scripts */
} fpi_redis_cache;

/** A name at the server: the prefix, what it is (one letter), the key. */
#define FPI_REDIS_NAME_MAX (FPI_REDIS_PREFIX_MAX + 16u + FILEPROC_CACHE_KEY_MAX)
size_t fpi_redis_name(const fpi_redis_settings *s, char kind, const char *key,
                      char name[FPI_REDIS_NAME_MAX + 1]);

/** One command on a connection of the pool. An answer that is an error is an error. */
fp_status fpi_redis_command(fpi_redis_cache *c, const fpi_redis_word *words, size_t count,
                            fpi_redis_reply **out, fp_error *err);
/** The most words of a script beside its key. */
#define FPI_REDIS_ARGUMENTS_MAX 5u
/** A script on one key, sent whole only when the server has forgotten it. */
fp_status fpi_redis_run(fpi_redis_cache *c, fpi_redis_script script, const char *name,
                        const fpi_redis_word *arguments, size_t count, fpi_redis_reply **out,
                        fp_error *err);

/* Slots of the driver. */
fp_status fpi_redis_lease_acquire(void *self, fp_lease *lease, uint32_t flags, fp_error *err);
fp_status fpi_redis_lease_renew(void *self, fp_lease *lease, uint32_t flags, fp_error *err);
fp_status fpi_redis_lease_release(void *self, const fp_lease *lease, uint32_t flags, fp_error *err);
fp_status fpi_redis_lease_look(void *self, const char *name, fp_lease_info *info, uint32_t flags,
                               fp_error *err);
fp_status fpi_redis_count(void *self, const char *key, fp_rate *rate, uint32_t flags,
                          fp_error *err);
fp_status fpi_redis_subscribe(void *self, void **sub, fp_error *err);
fp_status fpi_redis_subscription_add(void *sub, const char *channel, fp_error *err);
void fpi_redis_subscription_remove(void *sub, const char *channel);
fp_status fpi_redis_subscription_receive(void *sub, uint32_t timeout_ms, fp_news *news,
                                         fp_error *err);
void fpi_redis_subscription_wake(void *sub);
void fpi_redis_subscription_free(void *sub);

#endif
