/* Owns: who listens to which channel within one process, and what waits for whom.
 * Must not know: values and leases. */
#include <string.h>
#include <time.h>

#include "cache/cache_mem.h"

typedef struct channel {
    struct channel *next;
    bool fresh; /* its FILEPROC_NEWS_RESUMED is still to come */
    char name[];
} channel;

typedef struct message {
    struct message *next;
    size_t size;
    char *data; /* behind the name */
    char name[];
} message;

struct fpi_mem_subscription {
    fpi_mem_listeners *l;
    fpi_mem_subscription *next;
    pthread_cond_t news;
    channel *channels;
    message *first, **last;
    size_t waiting;
    bool woken;
    message *shown; /* what the receiver was given last; only he touches it */
};

void fpi_mem_listeners_init(fpi_mem_listeners *l, fp_context *ctx)
{
    l->ctx = ctx;
    l->first = NULL;
    pthread_mutex_init(&l->lock, NULL);
}

void fpi_mem_listeners_dispose(fpi_mem_listeners *l)
{
    pthread_mutex_destroy(&l->lock);
}

static message *message_new(const fp_context *ctx, const char *name, const void *data, size_t size)
{
    size_t name_size = strlen(name) + 1;
    message *m = fpi_calloc(&ctx->a, 1, sizeof(*m) + name_size + size + 1);

    if (!m)
        return NULL;
    memcpy(m->name, name, name_size);
    m->data = m->name + name_size;
    m->size = size;
    if (size)
        memcpy(m->data, data, size);
    return m;
}

/* ---- with the lock ---- */

static channel *find_channel(fpi_mem_subscription *s, const char *name)
{
    channel *c = s->channels;

    while (c && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

static void forget_messages(fpi_mem_subscription *s)
{
    while (s->first) {
        message *m = s->first;

        s->first = m->next;
        fpi_free(&s->l->ctx->a, m);
    }
    s->last = &s->first;
    s->waiting = 0;
}

/* As when the connection to a server broke: what waits is lost, and the receiver is told so. */
static void start_over(fpi_mem_subscription *s)
{
    forget_messages(s);
    for (channel *c = s->channels; c; c = c->next)
        c->fresh = true;
}

static void enqueue(fpi_mem_subscription *s, message *m)
{
    if (s->waiting == FPI_CACHE_MEM_MESSAGES)
        start_over(s);
    *s->last = m;
    s->last = &m->next;
    s->waiting++;
    pthread_cond_signal(&s->news);
}

fp_status fpi_mem_listeners_tell(fpi_mem_listeners *l, const char *name, const void *data,
                                 size_t size, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&l->lock);
    for (fpi_mem_subscription *s = l->first; s; s = s->next) {
        message *m;

        if (!find_channel(s, name))
            continue;
        m = message_new(l->ctx, name, data, size);
        if (m)
            enqueue(s, m);
        else
            rc = fpi_no_memory(err);
    }
    pthread_mutex_unlock(&l->lock);
    return rc;
}

/* ---- slots ---- */

fp_status fpi_mem_subscription_new(fpi_mem_listeners *l, void **out, fp_error *err)
{
    fpi_mem_subscription *s = fpi_calloc(&l->ctx->a, 1, sizeof(*s));
    pthread_condattr_t attr;

    if (!s)
        return fpi_no_memory(err);
    s->l = l;
    s->last = &s->first;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->news, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&l->lock);
    s->next = l->first;
    l->first = s;
    pthread_mutex_unlock(&l->lock);
    *out = s;
    return FILEPROC_OK;
}

fp_status fpi_mem_subscription_add(void *sub, const char *name, fp_error *err)
{
    fpi_mem_subscription *s = sub;
    size_t size = strlen(name) + 1;
    channel *c = fpi_calloc(&s->l->ctx->a, 1, sizeof(*c) + size);

    if (!c)
        return fpi_no_memory(err);
    memcpy(c->name, name, size);
    c->fresh = true;
    pthread_mutex_lock(&s->l->lock);
    if (!find_channel(s, name)) {
        c->next = s->channels;
        s->channels = fpi_steal(&c);
        pthread_cond_signal(&s->news);
    }
    pthread_mutex_unlock(&s->l->lock);
    fpi_free(&s->l->ctx->a, c);
    return FILEPROC_OK;
}

void fpi_mem_subscription_remove(void *sub, const char *name)
{
    fpi_mem_subscription *s = sub;
    channel **at = &s->channels, *found;

    pthread_mutex_lock(&s->l->lock);
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    found = *at;
    if (found)
        *at = found->next;
    pthread_mutex_unlock(&s->l->lock);
    fpi_free(&s->l->ctx->a, found);
}

static bool has_news(const fpi_mem_subscription *s)
{
    for (const channel *c = s->channels; c; c = c->next)
        if (c->fresh)
            return true;
    return s->first || s->woken;
}

static void wait_for_news(fpi_mem_subscription *s, uint32_t timeout_ms)
{
    int64_t until = fpi_monotonic_ms() + timeout_ms;
    struct timespec at = { (time_t)(until / 1000), (long)(until % 1000 * 1000000) };

    while (timeout_ms && !has_news(s) && pthread_cond_timedwait(&s->news, &s->l->lock, &at) == 0)
        ;
}

/* With the lock. Beginnings come before messages: those that wait came after them. */
static fp_status take(fpi_mem_subscription *s, uint32_t *kind, fp_error *err)
{
    channel *c = s->channels;

    while (c && !c->fresh)
        c = c->next;
    if (c) {
        s->shown = message_new(s->l->ctx, c->name, NULL, 0);
        if (!s->shown)
            return fpi_no_memory(err);
        c->fresh = false;
        *kind = FILEPROC_NEWS_RESUMED;
    } else if (s->first) {
        s->shown = s->first;
        s->first = s->shown->next;
        if (!s->first)
            s->last = &s->first;
        s->waiting--;
        *kind = FILEPROC_NEWS_MESSAGE;
    }
    return FILEPROC_OK;
}

fp_status fpi_mem_subscription_receive(void *sub, uint32_t timeout_ms, fp_news *news, fp_error *err)
{
    fpi_mem_subscription *s = sub;
    fp_status rc = FILEPROC_OK;

    fpi_free(&s->l->ctx->a, fpi_steal(&s->shown));
    pthread_mutex_lock(&s->l->lock);
    wait_for_news(s, timeout_ms);
    if (!s->woken)
        rc = take(s, &news->kind, err);
    pthread_mutex_unlock(&s->l->lock);
    if (rc == FILEPROC_OK && s->shown) {
        news->channel = s->shown->name;
        news->data = s->shown->data;
        news->size = s->shown->size;
    }
    return rc;
}

void fpi_mem_subscription_wake(void *sub)
{
    fpi_mem_subscription *s = sub;

    pthread_mutex_lock(&s->l->lock);
    s->woken = true;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->l->lock);
}

void fpi_mem_subscription_free(void *sub)
{
    fpi_mem_subscription *s = sub;
    fpi_mem_subscription **at = &s->l->first;

    pthread_mutex_lock(&s->l->lock);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    pthread_mutex_unlock(&s->l->lock);
    forget_messages(s);
    while (s->channels) {
        channel *c = s->channels;

        s->channels = c->next;
        fpi_free(&s->l->ctx->a, c);
    }
    fpi_free(&s->l->ctx->a, s->shown);
    pthread_cond_destroy(&s->news);
    fpi_free(&s->l->ctx->a, s);
}
