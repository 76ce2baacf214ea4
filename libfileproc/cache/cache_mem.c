/* Owns: the driver "mem": values, leases and limits of one process, bounded, the least lately used first to go.
 * Must not know: other drivers. */
#include <string.h>

#include "cache/cache_mem.h"
#include "core/buf_private.h"

#define BUCKETS_FIRST 256u
/* What an entry costs beside its bytes. */
#define OVERHEAD 64u

typedef enum entry_kind { KIND_VALUE, KIND_LEASE, KIND_RATE } entry_kind;

typedef struct lease_state {
    uint64_t epoch;
    int64_t ends_ms; /* 0 = given back */
    char holder[FILEPROC_LEASE_HOLDER_MAX + 1];
    char waiter[FILEPROC_LEASE_HOLDER_MAX + 1];
    int64_t waited_ms; /* when the waiter asked last */
    size_t note_size;
    unsigned char note[FILEPROC_LEASE_NOTE_MAX];
} lease_state;

typedef struct entry {
    struct entry *next; /* of the same bucket */
    struct entry *newer, *older;
    entry_kind kind;
    uint32_t hash;
    size_t bytes;
    int64_t expires_ms; /* monotonic; 0 = never */
    union {
        struct {
            char *data;
            size_t size;
        } value;
        lease_state lease;
        fpi_rate_state rate;
    } u;
    char key[];
} entry;

typedef struct mem_cache {
    fp_context *ctx;
    pthread_mutex_t lock; /* of what stands here */
    entry **buckets;
    size_t bucket_count, count, bytes, max_bytes;
    entry *newest, *oldest;
    uint64_t epoch; /* the last that was given out */
    fpi_mem_listeners listeners;
} mem_cache;

/* ---- the table; all with the lock ---- */

/* FNV-1a */
static uint32_t hash_of(entry_kind kind, const char *key)
{
    uint32_t hash = 2166136261u ^ (uint32_t)kind;

    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash;
}

static void unlink_entry(mem_cache *c, entry *e)
{
    entry **at = &c->buckets[e->hash % c->bucket_count];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    if (e->newer)
        e->newer->older = e->older;
    else
        c->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        c->oldest = e->newer;
    c->count--;
    c->bytes -= e->bytes;
}

static void link_entry(mem_cache *c, entry *e)
{
    entry **bucket = &c->buckets[e->hash % c->bucket_count];

    e->next = *bucket;
    *bucket = e;
    e->newer = NULL;
    e->older = c->newest;
    if (e->older)
        e->older->newer = e;
    else
        c->oldest = e;
    c->newest = e;
    c->count++;
    c->bytes += e->bytes;
}

static void drop(mem_cache *c, entry *e)
{
    unlink_entry(c, e);
    if (e->kind == KIND_VALUE)
        fpi_free(&c->ctx->a, e->u.value.data);
    fpi_free(&c->ctx->a, e);
}

/* Finding makes it the newest. */
static entry *find(mem_cache *c, entry_kind kind, const char *key)
{
    uint32_t hash = hash_of(kind, key);
    entry *e = c->buckets[hash % c->bucket_count];

    while (e && (e->hash != hash || e->kind != kind || strcmp(e->key, key) != 0))
        e = e->next;
    if (!e)
        return NULL;
    if (e->expires_ms && e->expires_ms <= fpi_monotonic_ms()) {
        drop(c, e);
        return NULL;
    }
    unlink_entry(c, e);
    link_entry(c, e);
    return e;
}

static bool is_held(const entry *e)
{
    return e->kind == KIND_LEASE && e->u.lease.ends_ms > fpi_monotonic_ms();
}

static fp_status make_room(mem_cache *c, size_t bytes, fp_error *err)
{
    entry *e = c->oldest;

    while (e && (bytes > c->max_bytes || c->bytes > c->max_bytes - bytes)) {
        entry *newer = e->newer;

        if (!is_held(e))
            drop(c, e);
        e = newer;
    }
    if (bytes > c->max_bytes || c->bytes > c->max_bytes - bytes)
        return fp_error_setf(err, FILEPROC_ERR_QUOTA, "there is no room in the cache");
    return FILEPROC_OK;
}

/* Without memory the buckets only get longer. */
static void grow(mem_cache *c)
{
    size_t count = c->bucket_count * 2;
    entry **buckets, **old = c->buckets;

    if (c->count < c->bucket_count)
        return;
    buckets = fpi_calloc(&c->ctx->a, count, sizeof(*buckets));
    if (!buckets)
        return;
    for (size_t i = 0; i < c->bucket_count; i++)
        while (old[i]) {
            entry *e = old[i];

            old[i] = e->next;
            e->next = buckets[e->hash % count];
            buckets[e->hash % count] = e;
        }
    c->buckets = buckets;
    c->bucket_count = count;
    fpi_free(&c->ctx->a, old);
}

/* `extra` is what its value takes. */
static entry *insert(mem_cache *c, entry_kind kind, const char *key, size_t extra, fp_error *err)
{
    size_t size = strlen(key) + 1, bytes = sizeof(entry) + size + extra + OVERHEAD;
    entry *e;

    if (make_room(c, bytes, err) < 0)
        return NULL;
    e = fpi_calloc(&c->ctx->a, 1, sizeof(*e) + size);
    if (!e) {
        (void)fpi_no_memory(err);
        return NULL;
    }
    memcpy(e->key, key, size);
    e->kind = kind;
    e->hash = hash_of(kind, key);
    e->bytes = bytes;
    grow(c);
    link_entry(c, e);
    return e;
}

/* ---- open and close ---- */

static void mem_close(void *self)
{
    mem_cache *c = self;

    while (c->oldest)
        drop(c, c->oldest);
    fpi_free(&c->ctx->a, c->buckets);
    fpi_mem_listeners_dispose(&c->listeners);
    pthread_mutex_destroy(&c->lock);
    fpi_free(&c->ctx->a, c);
}

static fp_status mem_open(fp_context *ctx, const char *uri, const fp_cache_options *opts,
                          void **self, fp_error *err)
{
    mem_cache *c;

    if (strcmp(uri, "mem:") != 0 && strcmp(uri, "mem://") != 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI of a cache in memory is mem:");
    c = fpi_calloc(&ctx->a, 1, sizeof(*c));
    if (!c)
        return fpi_no_memory(err);
    c->ctx = ctx;
    c->max_bytes = opts->max_bytes < SIZE_MAX ? (size_t)opts->max_bytes : SIZE_MAX;
    c->bucket_count = BUCKETS_FIRST;
    c->buckets = fpi_calloc(&ctx->a, BUCKETS_FIRST, sizeof(*c->buckets));
    if (!c->buckets) {
        fpi_free(&ctx->a, c);
        return fpi_no_memory(err);
    }
    c->epoch = (uint64_t)fpi_now_ms(ctx) * 1000;
    pthread_mutex_init(&c->lock, NULL);
    fpi_mem_listeners_init(&c->listeners, ctx);
    *self = c;
    return FILEPROC_OK;
}

static fp_status mem_ping(void *self, fp_error *err)
{
    (void)self;
    (void)err;
    return FILEPROC_OK;
}

/* ---- values ---- */

static fp_status mem_get(void *self, const char *key, fp_buf *value, int32_t *found, uint32_t flags,
                         fp_error *err)
{
    mem_cache *c = self;
    fp_status rc = FILEPROC_OK;
    const entry *e;

    (void)flags;
    pthread_mutex_lock(&c->lock);
    e = find(c, KIND_VALUE, key);
    if (e)
        rc = fpi_buf_append(c->ctx, value, e->u.value.data, e->u.value.size, err);
    if (rc == FILEPROC_OK)
        *found = e != NULL;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

static fp_status mem_set(void *self, const char *key, const void *value, size_t size,
                         int64_t ttl_ms, fp_error *err)
{
    mem_cache *c = self;
    char *copy = fpi_alloc(&c->ctx->a, size + 1);
    fp_error why = { 0 };
    entry *e, *old;

    if (!copy)
        return fpi_no_memory(err);
    memcpy(copy, value, size);
    pthread_mutex_lock(&c->lock);
    old = find(c, KIND_VALUE, key);
    if (old) /* it goes in any case: an old value must not be found after a new one was to be kept */
        drop(c, old);
    e = insert(c, KIND_VALUE, key, size, &why);
    if (e) {
        e->u.value.data = fpi_steal(&copy);
        e->u.value.size = size;
        e->expires_ms = ttl_ms ? fpi_monotonic_ms() + ttl_ms : 0;
    } else if (err) {
        *err = why;
    }
    pthread_mutex_unlock(&c->lock);
    fpi_free(&c->ctx->a, copy);
    return why.code;
}

static fp_status mem_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    mem_cache *c = self;
    entry *e;

    (void)flags;
    (void)err;
    pthread_mutex_lock(&c->lock);
    e = find(c, KIND_VALUE, key);
    if (e)
        drop(c, e);
    pthread_mutex_unlock(&c->lock);
    return FILEPROC_OK;
}

/* ---- leases ---- */

static bool others_wait(const lease_state *s, const char *holder, int64_t now)
{
    return *s->waiter && strcmp(s->waiter, holder) != 0 && now - s->waited_ms < FPI_LEASE_WAIT_MS;
}

static void copy_name(char to[FILEPROC_LEASE_HOLDER_MAX + 1], const char *from)
{
    memcpy(to, from, strlen(from) + 1);
}

/* Whether somebody else must be left in front: the holder, or who waits for it already. */
static bool must_wait(lease_state *s, const fp_lease *lease, int64_t now)
{
    bool mine = strcmp(s->holder, lease->holder) == 0;
    bool waits = others_wait(s, lease->holder, now), held = s->ends_ms > now;

    if (held ? mine : !waits)
        return false;
    if (!waits) {
        copy_name(s->waiter, lease->holder);
        s->waited_ms = now;
    }
    return true;
}

static void give(mem_cache *c, entry *e, fp_lease *lease, int64_t now)
{
    lease_state *s = &e->u.lease;

    if (strcmp(s->holder, lease->holder) != 0) {
        uint64_t most = c->epoch > lease->epoch ? c->epoch : lease->epoch;

        s->epoch = c->epoch = most + 1;
        copy_name(s->holder, lease->holder);
        s->note_size = 0;
    }
    lease->wanted = others_wait(s, lease->holder, now);
    if (!lease->wanted)
        *s->waiter = '\0';
    lease->epoch = s->epoch;
    s->ends_ms = now + lease->ttl_ms;
    e->expires_ms = s->ends_ms + FPI_LEASE_MEMORY_MS;
}

static fp_status mem_lease_acquire(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    mem_cache *c = self;
    int64_t now = fpi_monotonic_ms();
    fp_error e = { 0 };
    fp_status rc = FILEPROC_OK;
    entry *found;

    pthread_mutex_lock(&c->lock);
    found = find(c, KIND_LEASE, lease->name);
    if (!found)
        found = insert(c, KIND_LEASE, lease->name, 0, &e);
    if (!found)
        rc = e.code;
    else if (!(flags & FILEPROC_LEASE_TAKE_OVER) && must_wait(&found->u.lease, lease, now))
        rc = fpi_lease_held(found->u.lease.ends_ms - now, &e);
    else
        give(c, found, lease, now);
    pthread_mutex_unlock(&c->lock);
    if (rc < 0 && err)
        *err = e;
    return rc;
}

/* With the lock. NULL: another has it, or nobody. */
static entry *find_mine(mem_cache *c, const fp_lease *lease)
{
    entry *e = find(c, KIND_LEASE, lease->name);

    if (!e || e->u.lease.epoch != lease->epoch || strcmp(e->u.lease.holder, lease->holder) != 0)
        return NULL;
    return e;
}

static void note(lease_state *s, const fp_lease *lease)
{
    if (!lease->note)
        return;
    memcpy(s->note, lease->note, lease->note_size);
    s->note_size = lease->note_size;
}

static fp_status mem_lease_renew(void *self, fp_lease *lease, uint32_t flags, fp_error *err)
{
    mem_cache *c = self;
    int64_t now = fpi_monotonic_ms();
    bool held;
    entry *e;

    (void)flags;
    pthread_mutex_lock(&c->lock);
    e = find_mine(c, lease);
    held = e && e->u.lease.ends_ms > now;
    if (held && lease->ttl_ms) {
        e->u.lease.ends_ms = now + lease->ttl_ms;
        e->expires_ms = e->u.lease.ends_ms + FPI_LEASE_MEMORY_MS;
        note(&e->u.lease, lease);
        lease->wanted = others_wait(&e->u.lease, lease->holder, now);
    }
    pthread_mutex_unlock(&c->lock);
    return held ? FILEPROC_OK : fpi_lease_lost(err);
}

static fp_status mem_lease_release(void *self, const fp_lease *lease, uint32_t flags, fp_error *err)
{
    mem_cache *c = self;
    entry *e;

    (void)flags;
    pthread_mutex_lock(&c->lock);
    e = find_mine(c, lease);
    if (e) {
        e->u.lease.ends_ms = 0;
        note(&e->u.lease, lease);
    }
    pthread_mutex_unlock(&c->lock);
    return e ? FILEPROC_OK : fpi_lease_lost(err);
}

static fp_status mem_lease_look(void *self, const char *name, fp_lease_info *info, uint32_t flags,
                                fp_error *err)
{
    mem_cache *c = self;
    const entry *e;

    (void)flags;
    (void)err;
    pthread_mutex_lock(&c->lock);
    e = find(c, KIND_LEASE, name);
    if (e) {
        const lease_state *s = &e->u.lease;
        int64_t left = s->ends_ms - fpi_monotonic_ms();

        info->epoch = s->epoch;
        info->left_ms = left > 0 ? left : 0;
        info->released = s->ends_ms == 0;
        info->note_size = (uint32_t)s->note_size;
        memcpy(info->note, s->note, s->note_size);
        copy_name(info->holder, s->holder);
    }
    pthread_mutex_unlock(&c->lock);
    return FILEPROC_OK;
}

/* ---- limits and messages ---- */

static fp_status mem_count(void *self, const char *key, fp_rate *rate, uint32_t flags,
                           fp_error *err)
{
    mem_cache *c = self;
    int64_t now = fpi_monotonic_ms();
    fp_error e = { 0 };
    entry *found;

    (void)flags;
    pthread_mutex_lock(&c->lock);
    found = find(c, KIND_RATE, key);
    if (!found)
        found = insert(c, KIND_RATE, key, 0, &e);
    if (found) {
        fpi_rate_step(&found->u.rate, rate, now);
        found->expires_ms = now + 2 * (int64_t)rate->window_ms;
    }
    pthread_mutex_unlock(&c->lock);
    if (!found && err)
        *err = e;
    return found ? FILEPROC_OK : e.code;
}

static fp_status mem_publish(void *self, const char *channel, const void *data, size_t size,
                             uint32_t flags, fp_error *err)
{
    mem_cache *c = self;

    (void)flags;
    return fpi_mem_listeners_tell(&c->listeners, channel, data, size, err);
}

static fp_status mem_subscribe(void *self, void **sub, fp_error *err)
{
    mem_cache *c = self;

    return fpi_mem_subscription_new(&c->listeners, sub, err);
}

const fp_cache_driver fpi_cache_mem_driver = {
    FILEPROC_CACHE_DRIVER_INIT("mem"),
    .open = mem_open,
    .close = mem_close,
    .ping = mem_ping,
    .get = mem_get,
    .set = mem_set,
    .remove = mem_remove,
    .lease_acquire = mem_lease_acquire,
    .lease_renew = mem_lease_renew,
    .lease_release = mem_lease_release,
    .lease_look = mem_lease_look,
    .count = mem_count,
    .publish = mem_publish,
    .subscribe = mem_subscribe,
    .subscription_add = fpi_mem_subscription_add,
    .subscription_remove = fpi_mem_subscription_remove,
    .subscription_receive = fpi_mem_subscription_receive,
    .subscription_wake = fpi_mem_subscription_wake,
    .subscription_free = fpi_mem_subscription_free,
};
