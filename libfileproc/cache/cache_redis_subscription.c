/* Owns: listening to channels of a Redis server on a connection of one's own, which is made anew when it breaks.
 * Must not know: what the messages mean.
 *
 * There is no thread: the connection lives by the one who receives. Whoever adds or removes a channel only writes that down and
 * wakes him. A connection on which nothing came for a while is asked whether it lives. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cache/cache_redis_private.h"
#include "core/error_private.h"

#define QUIET_MS 5000
/* A connection that lasted so long was a good one: when it ends, the next is tried at once. */
#define GOOD_MS 3000

typedef enum channel_state {
    WANTED, /* the server is still to be told */
    HEARD,  /* it was told */
    GONE    /* nobody wants it any more; the server is still to be told */
} channel_state;

typedef struct channel {
    struct channel *next;
    channel_state state;
    char name[]; /* as the server knows it */
} channel;

typedef struct redis_subscription {
    fp_context *ctx;
    const fpi_redis_settings *s;
    size_t skip; /* bytes of the prefix in front of a channel's own name */
    int kick_fd;
    pthread_mutex_t lock; /* guards the next three */
    channel *channels;
    bool changed;
    bool woken;
    /* Of the one who receives. */
    fpi_redis_link *link;
    int64_t opened_ms, heard_ms, retry_at_ms;
    bool asked; /* whether it lives */
    uint32_t failures;
    fp_error why; /* there is no connection */
    fpi_redis_reply *shown;
} redis_subscription;

/* ---- what is listened to ---- */

static void kick(const redis_subscription *s)
{
    (void)eventfd_write(s->kick_fd, 1);
}

static channel *find(redis_subscription *s, const char *name)
{
    channel *c = s->channels;

    while (c && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

fp_status fpi_redis_subscribe(void *self, void **sub, fp_error *err)
{
    fpi_redis_cache *cache = self;
    char name[FPI_REDIS_NAME_MAX + 1];
    redis_subscription *s = fpi_calloc(&cache->ctx->a, 1, sizeof(*s));

    if (!s)
        return fpi_no_memory(err);
    s->ctx = cache->ctx;
    s->s = &cache->s;
    s->skip = fpi_redis_name(s->s, 'c', "", name);
    s->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->kick_fd < 0) {
        fpi_free(&s->ctx->a, s);
        return fpi_error_errno(err, errno, "eventfd");
    }
    (void)fp_error_setf(&s->why, FILEPROC_ERR_BUSY, "redis: not connected yet");
    pthread_mutex_init(&s->lock, NULL);
    *sub = s;
    return FILEPROC_OK;
}

fp_status fpi_redis_subscription_add(void *sub, const char *key, fp_error *err)
{
    redis_subscription *s = sub;
    char name[FPI_REDIS_NAME_MAX + 1];
    size_t size = fpi_redis_name(s->s, 'c', key, name) + 1;
    channel *c = fpi_calloc(&s->ctx->a, 1, sizeof(*c) + size), *known;

    if (!c)
        return fpi_no_memory(err);
    memcpy(c->name, name, size);
    pthread_mutex_lock(&s->lock);
    known = find(s, name);
    if (!known) {
        c->next = s->channels;
        s->channels = fpi_steal(&c);
    } else if (known->state == GONE) {
        known->state = WANTED; /* so that its beginning is told anew */
    }
    s->changed = true;
    pthread_mutex_unlock(&s->lock);
    kick(s);
    fpi_free(&s->ctx->a, c);
    return FILEPROC_OK;
}

void fpi_redis_subscription_remove(void *sub, const char *key)
{
    redis_subscription *s = sub;
    char name[FPI_REDIS_NAME_MAX + 1];
    channel *c;

    (void)fpi_redis_name(s->s, 'c', key, name);
    pthread_mutex_lock(&s->lock);
    c = find(s, name);
    if (c) {
        c->state = GONE;
        s->changed = true;
    }
    pthread_mutex_unlock(&s->lock);
    kick(s);
}

void fpi_redis_subscription_wake(void *sub)
{
    redis_subscription *s = sub;

    pthread_mutex_lock(&s->lock);
    s->woken = true;
    pthread_mutex_unlock(&s->lock);
    kick(s);
}

void fpi_redis_subscription_free(void *sub)
{
    redis_subscription *s = sub;

    while (s->channels) {
        channel *c = s->channels;

        s->channels = c->next;
        fpi_free(&s->ctx->a, c);
    }
    fpi_redis_link_close(s->link);
    fpi_redis_reply_free(s->shown);
    close(s->kick_fd);
    pthread_mutex_destroy(&s->lock);
    fpi_free(&s->ctx->a, s);
}

/* ---- the connection ---- */

static bool is_woken(redis_subscription *s, bool *wants_connection)
{
    bool woken;

    pthread_mutex_lock(&s->lock);
    woken = s->woken;
    *wants_connection = s->channels != NULL;
    pthread_mutex_unlock(&s->lock);
    return woken;
}

/* Every channel is to be told to the next connection; those that nobody wants any more are forgotten. */
static void start_over(redis_subscription *s)
{
    channel **at = &s->channels;

    pthread_mutex_lock(&s->lock);
    while (*at) {
        channel *c = *at;

        if (c->state == GONE) {
            *at = c->next;
            fpi_free(&s->ctx->a, c);
        } else {
            c->state = WANTED;
            at = &c->next;
        }
    }
    s->changed = true;
    pthread_mutex_unlock(&s->lock);
}

static void lose(redis_subscription *s, const fp_error *why)
{
    int64_t now = fpi_monotonic_ms();

    if (s->link && now - s->opened_ms >= GOOD_MS)
        s->failures = 0;
    s->retry_at_ms = now + (s->failures ? fpi_redis_backoff_ms(s->ctx, s->failures) : 0);
    s->failures++;
    s->why = *why;
    fpi_redis_link_close(fpi_steal(&s->link));
    start_over(s);
    fpi_log(s->ctx, FILEPROC_LOG_DEBUG, "redis", "subscription lost: %s", why->message);
}

static fp_status open_link(redis_subscription *s, fp_error *err)
{
    int64_t now = fpi_monotonic_ms();
    fp_error e = { 0 };
    fp_status rc = fpi_redis_link_open(s->ctx, s->s, now + s->s->timeout_ms, &s->link, &e);

    if (rc == FILEPROC_ERR_NOMEM)
        return fpi_no_memory(err);
    if (rc < 0)
        lose(s, &e);
    s->opened_ms = s->heard_ms = fpi_monotonic_ms();
    s->asked = false;
    return FILEPROC_OK;
}

/* With the lock. Takes those out that were unsubscribed. */
static fp_status write_changes(redis_subscription *s, fp_error *err)
{
    channel **at = &s->channels;

    while (*at) {
        channel *c = *at;
        fpi_redis_word words[] = { FPI_REDIS_TEXT(c->state == GONE ? "UNSUBSCRIBE" : "SUBSCRIBE"),
                                   FPI_REDIS_TEXT(c->name) };
        fp_status rc = c->state == HEARD ? FILEPROC_OK : fpi_redis_link_add(s->link, words, 2, err);

        if (rc < 0)
            return rc;
        if (c->state == GONE) {
            *at = c->next;
            fpi_free(&s->ctx->a, c);
        } else {
            c->state = HEARD;
            at = &c->next;
        }
    }
    s->changed = false;
    return FILEPROC_OK;
}

static fp_status tell_changes(redis_subscription *s, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (s->changed)
        rc = write_changes(s, err);
    pthread_mutex_unlock(&s->lock);
    if (rc == FILEPROC_OK && s->link->out.size)
        rc = fpi_redis_link_flush(s->link, fpi_monotonic_ms() + s->s->timeout_ms, err);
    return rc;
}

static fp_status no_sign_of_life(fp_error *err)
{
    return fpi_error_causef(err, FILEPROC_ERR_BUSY, "errno", ETIMEDOUT,
                            "redis: subscription: no answer in time");
}

static fp_status look_after(redis_subscription *s, fp_error *err)
{
    const fpi_redis_word ping = FPI_REDIS_TEXT("PING");
    int64_t now = fpi_monotonic_ms();
    fp_status rc;

    if (now - s->heard_ms < QUIET_MS)
        return FILEPROC_OK;
    if (s->asked)
        return now - s->heard_ms < QUIET_MS + (int64_t)s->s->timeout_ms ? FILEPROC_OK
                                                                        : no_sign_of_life(err);
    rc = fpi_redis_link_add(s->link, &ping, 1, err);
    if (rc == FILEPROC_OK)
        rc = fpi_redis_link_flush(s->link, now + s->s->timeout_ms, err);
    s->asked = rc == FILEPROC_OK;
    return rc;
}

/* ---- what comes ---- */

static bool is_word(const fpi_redis_reply *r, const char *word)
{
    return r && r->text && strcmp(r->text, word) == 0;
}

static bool is_wanted(redis_subscription *s, const char *name)
{
    const channel *c;
    bool wanted;

    pthread_mutex_lock(&s->lock);
    c = find(s, name);
    wanted = c && c->state == HEARD;
    pthread_mutex_unlock(&s->lock);
    return wanted;
}

/* Takes the answer. */
static void show(redis_subscription *s, fpi_redis_reply *r, fp_news *news)
{
    const fpi_redis_reply *name = fpi_redis_item(r, 1), *data = fpi_redis_item(r, 2);
    uint32_t kind = FILEPROC_NEWS_NONE;

    if (name && name->text && name->size > s->skip && data) {
        if (is_word(r->items[0], "message") && data->text)
            kind = FILEPROC_NEWS_MESSAGE;
        else if (is_word(r->items[0], "subscribe"))
            kind = FILEPROC_NEWS_RESUMED;
    }
    if (kind == FILEPROC_NEWS_NONE || !is_wanted(s, name->text)) {
        fpi_redis_reply_free(r);
        return;
    }
    s->shown = r;
    news->kind = kind;
    news->channel = name->text + s->skip;
    news->data = data->text ? data->text : "";
    news->size = data->text ? data->size : 0;
}

/* All that can be done without waiting. news->kind says whether something came. */
static fp_status step(redis_subscription *s, fp_news *news, fp_error *err)
{
    fp_status rc = tell_changes(s, err);

    if (rc == FILEPROC_OK)
        rc = fpi_redis_link_fill(s->link, err);
    while (rc == FILEPROC_OK && news->kind == FILEPROC_NEWS_NONE) {
        fpi_redis_reply *r = NULL;

        rc = fpi_redis_link_next(s->link, &r, err);
        if (rc < 0 || !r)
            break;
        s->heard_ms = fpi_monotonic_ms();
        s->asked = false;
        if (r->type == REDIS_REPLY_ERROR) {
            rc = fpi_redis_error(r, err);
            fpi_redis_reply_free(r);
        } else {
            show(s, r, news);
        }
    }
    return rc == FILEPROC_OK && news->kind == FILEPROC_NEWS_NONE ? look_after(s, err) : rc;
}

/* When something is to be done although nothing comes. */
static int64_t next_step_ms(const redis_subscription *s, bool wants_connection)
{
    if (s->link)
        return s->heard_ms + QUIET_MS + (s->asked ? (int64_t)s->s->timeout_ms : 0);
    return wants_connection ? s->retry_at_ms : INT64_MAX;
}

static void rest(const redis_subscription *s, bool wants_connection, int64_t until)
{
    struct pollfd p[2] = { { s->kick_fd, POLLIN, 0 }, { s->link ? s->link->fd : -1, POLLIN, 0 } };
    int64_t now = fpi_monotonic_ms(), at = next_step_ms(s, wants_connection);
    eventfd_t kicks;

    at = at < until ? at : until;
    if (poll(p, 2, at > now ? (int)(at - now) : 0) > 0 && p[0].revents)
        (void)eventfd_read(s->kick_fd, &kicks);
}

/* One round. Without a connection nothing comes. */
static fp_status go_round(redis_subscription *s, bool connect, fp_news *news, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = FILEPROC_OK;

    if (!s->link && connect && fpi_monotonic_ms() >= s->retry_at_ms)
        rc = open_link(s, err);
    if (rc < 0 || !s->link)
        return rc;
    rc = step(s, news, &e);
    if (rc == FILEPROC_OK)
        return rc;
    lose(s, &e);
    return rc == FILEPROC_ERR_NOMEM ? fpi_no_memory(err) : FILEPROC_OK;
}

fp_status fpi_redis_subscription_receive(void *sub, uint32_t timeout_ms, fp_news *news,
                                         fp_error *err)
{
    redis_subscription *s = sub;
    int64_t until = fpi_monotonic_ms() + timeout_ms;
    bool wants_connection = false;

    fpi_redis_reply_free(fpi_steal(&s->shown));
    while (!is_woken(s, &wants_connection)) {
        fp_status rc = go_round(s, wants_connection && timeout_ms, news, err);

        if (rc < 0 || news->kind != FILEPROC_NEWS_NONE)
            return rc;
        if (fpi_monotonic_ms() >= until)
            return s->link || !wants_connection
                       ? FILEPROC_OK
                       : fpi_redis_away(&s->why, s->retry_at_ms - fpi_monotonic_ms(), err);
        rest(s, wants_connection, until);
    }
    return FILEPROC_OK;
}
