/* Owns: files as JSON, kept in memory for a moment: what is found, what is forgotten, how much there may be.
 * Must not know: the database.
 *
 * A table of sets with a few places each. Who reads a file and finds nothing remembers the counters of the set and of the whole, before
 * asking the database. Who changes a file raises one of them after the commit. So what was read before a change is not kept after it.
 * Until then he holds the set, or the whole: what stands in it may be old already. */
#include "catalog/file_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "core/uuid.h"

#define WAYS 4u
#define LOCKS 16u
/* Larger ones are read each time; the sets are so many that texts of a usual size fill what is allowed. */
#define TEXT_MAX 16384u
#define TEXT_USUAL 1024u
#define SETS_MAX 65536u
/* Sets in which one who finds no room looks for texts that are too old; the next one goes on behind them. */
#define SWEEP 64u

typedef struct entry {
    char id[FPI_UUID_SIZE];
    uint64_t tag;
    uint64_t all; /* of the moment */
    int64_t until_ms;
    size_t size;
    char json[];
} entry;

typedef struct set {
    uint64_t changes;
    size_t held; /* by changes that are under way */
    entry *ways[WAYS];
} set;

struct fpi_file_cache {
    const fp_context *ctx;
    size_t max_bytes;
    uint32_t max_age_ms;
    size_t set_count;
    atomic_size_t bytes;
    atomic_size_t hand; /* the set that is swept next */
    _Atomic uint64_t all;
    atomic_size_t all_held;
    pthread_mutex_t locks[LOCKS]; /* each guards every 16th set */
    set sets[];
};

fp_status fpi_file_cache_new(const fp_context *ctx, size_t max_bytes, uint32_t max_age_ms,
                             fpi_file_cache **out, fp_error *err)
{
    size_t sets = max_bytes / (WAYS * TEXT_USUAL);
    fpi_file_cache *cache;

    sets = sets < 1 ? 1 : sets > SETS_MAX ? SETS_MAX : sets;
    cache = fpi_calloc(&ctx->a, 1, sizeof(*cache) + sets * sizeof(set));
    if (!cache)
        return fpi_no_memory(err);
    cache->ctx = ctx;
    cache->max_bytes = max_bytes;
    cache->max_age_ms = max_age_ms;
    cache->set_count = sets;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->locks[i], NULL);
    *out = cache;
    return FILEPROC_OK;
}

static size_t footprint(size_t json_size)
{
    return sizeof(entry) + json_size + 1;
}

static void drop(fpi_file_cache *cache, entry **at)
{
    if (*at)
        atomic_fetch_sub(&cache->bytes, footprint((*at)->size));
    fpi_free(&cache->ctx->a, *at);
    *at = NULL;
}

void fpi_file_cache_free(fpi_file_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->set_count; i++)
        for (size_t j = 0; j < WAYS; j++)
            drop(cache, &cache->sets[i].ways[j]);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    fpi_free(&cache->ctx->a, cache);
}

/* Locks it. */
static set *open_set(fpi_file_cache *cache, const char *id, pthread_mutex_t **lock)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    size_t n;

    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 1099511628211u;
    n = (size_t)((h ^ h >> 32) % cache->set_count);
    *lock = &cache->locks[n % LOCKS];
    pthread_mutex_lock(*lock);
    return &cache->sets[n];
}

static entry **find(set *s, const char *id)
{
    for (size_t i = 0; i < WAYS; i++)
        if (s->ways[i] && strcmp(s->ways[i]->id, id) == 0)
            return &s->ways[i];
    return NULL;
}

static bool is_fresh(fpi_file_cache *cache, const entry *e)
{
    return e->all == atomic_load(&cache->all) && fpi_monotonic_ms() < e->until_ms;
}

fp_status fpi_file_cache_find(fpi_file_cache *cache, const char *id, fp_buf *out, uint64_t *tag,
                              fpi_file_cache_moment *moment, bool *found, fp_error *err)
{
    pthread_mutex_t *lock;
    set *s = open_set(cache, id, &lock);
    entry **at = find(s, id);
    fp_status rc = FILEPROC_OK;

    *found = at && !s->held && !atomic_load(&cache->all_held) && is_fresh(cache, *at);
    if (*found) {
        *tag = (*at)->tag;
        rc = fpi_buf_append(cache->ctx, out, (*at)->json, (*at)->size, err);
    } else {
        if (at)
            drop(cache, at);
        moment->all = atomic_load(&cache->all);
        moment->some = s->changes;
    }
    pthread_mutex_unlock(lock);
    return rc;
}

/* A free place, or that of the one that ends first. */
static entry **choose(set *s, const char *id)
{
    entry **best = find(s, id);

    for (size_t i = 0; !best && i < WAYS; i++)
        if (!s->ways[i])
            best = &s->ways[i];
    if (best)
        return best;
    best = &s->ways[0];
    for (size_t i = 1; i < WAYS; i++)
        if (s->ways[i]->until_ms < (*best)->until_ms)
            best = &s->ways[i];
    return best;
}

static entry *make(const fpi_file_cache *cache, const char *id, const char *json, size_t size)
{
    entry *e = fpi_alloc(&cache->ctx->a, footprint(size));

    if (!e)
        return NULL;
    *e = (entry){ .until_ms = fpi_monotonic_ms() + cache->max_age_ms, .size = size };
    memcpy(e->id, id, strlen(id) + 1);
    memcpy(e->json, json, size);
    e->json[size] = '\0';
    return e;
}

static bool take_room(fpi_file_cache *cache, size_t size)
{
    if (atomic_fetch_add(&cache->bytes, size) + size <= cache->max_bytes)
        return true;
    atomic_fetch_sub(&cache->bytes, size);
    return false;
}

/* Takes *made over, unless its file has changed; false when there is no room for it. */
static bool put(fpi_file_cache *cache, entry **made, uint64_t changes)
{
    pthread_mutex_t *lock;
    set *s = open_set(cache, (*made)->id, &lock);
    entry **at = choose(s, (*made)->id);
    bool roomy = true;

    drop(cache, at);
    if (s->changes == changes) {
        roomy = take_room(cache, footprint((*made)->size));
        if (roomy)
            *at = fpi_steal(made);
    }
    pthread_mutex_unlock(lock);
    return roomy;
}

/* Nobody may ever look again into the sets that what is too old stands in. */
static void sweep(fpi_file_cache *cache)
{
    for (unsigned i = 0; i < SWEEP; i++) {
        size_t n = atomic_fetch_add(&cache->hand, 1) % cache->set_count;
        pthread_mutex_t *lock = &cache->locks[n % LOCKS];

        pthread_mutex_lock(lock);
        for (size_t j = 0; j < WAYS; j++)
            if (cache->sets[n].ways[j] && !is_fresh(cache, cache->sets[n].ways[j]))
                drop(cache, &cache->sets[n].ways[j]);
        pthread_mutex_unlock(lock);
    }
}

void fpi_file_cache_keep(fpi_file_cache *cache, const char *id, const char *json, size_t size,
                         uint64_t tag, const fpi_file_cache_moment *moment)
{
    entry *made;

    if (size > TEXT_MAX || strlen(id) >= FPI_UUID_SIZE)
        return;
    made = make(cache, id, json, size);
    if (!made)
        return;
    made->tag = tag;
    made->all = moment->all;
    if (!put(cache, &made, moment->some)) {
        sweep(cache);
        (void)put(cache, &made, moment->some);
    }
    fpi_free(&cache->ctx->a, made);
}

static void add_holds(fpi_file_cache *cache, const char *id, size_t n)
{
    pthread_mutex_t *lock;

    if (!id) {
        atomic_fetch_add(&cache->all_held, n);
        return;
    }
    open_set(cache, id, &lock)->held += n;
    pthread_mutex_unlock(lock);
}

void fpi_file_cache_hold(fpi_file_cache *cache, const char *id)
{
    add_holds(cache, id, 1);
}

void fpi_file_cache_release(fpi_file_cache *cache, const char *id)
{
    add_holds(cache, id, (size_t)-1);
}

void fpi_file_cache_forget(fpi_file_cache *cache, const char *id)
{
    pthread_mutex_t *lock;
    set *s = open_set(cache, id, &lock);
    entry **at = find(s, id);

    s->changes++;
    if (at)
        drop(cache, at);
    pthread_mutex_unlock(lock);
}

void fpi_file_cache_forget_all(fpi_file_cache *cache)
{
    atomic_fetch_add(&cache->all, 1);
}
