/* Owns: the promises of catalog/file_cache.h.
 * Must not know: the catalog. */
#include "catalog/file_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/uuid.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

#define A "0198c000-0000-7000-8000-00000000000a"
#define B "0198c000-0000-7000-8000-00000000000b"
#define LONG_MS 600000

typedef struct world {
    fp_context *ctx;
    fpi_file_cache *cache;
} world;

static void world_open(world *w, size_t max_bytes, uint32_t max_age_ms)
{
    fp_error err = { 0 };

    *w = (world){ .cache = NULL };
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fpi_file_cache_new(w->ctx, max_bytes, max_age_ms, &w->cache, &err), FILEPROC_OK,
              &err);
}

static void world_close(world *w)
{
    fpi_file_cache_free(w->cache);
    fp_context_free(w->ctx);
}

/* What is found; "" when nothing is. */
static bool is_there(world *w, const char *id, const char *text, uint64_t tag,
                     fpi_file_cache_moment *moment)
{
    FPI_DISPOSE(fp_buf) buf = FILEPROC_BUF_INIT;
    uint64_t found_tag = 0;
    fp_error err = { 0 };
    bool found = false;

    ck_status(fpi_file_cache_find(w->cache, id, &buf, &found_tag, moment, &found, &err),
              FILEPROC_OK, &err);
    if (found) {
        ck_assert_str_eq(buf.data, text);
        ck_assert_uint_eq(found_tag, tag);
    }
    return found;
}

static void keep(world *w, const char *id, const char *text, uint64_t tag)
{
    fpi_file_cache_moment moment = { 0, 0 };

    (void)is_there(w, id, text, tag, &moment);
    fpi_file_cache_keep(w->cache, id, text, strlen(text), tag, &moment);
}

START_TEST(what_was_kept_is_found_until_it_is_too_old)
{
    fpi_file_cache_moment moment;
    world w;

    world_open(&w, 1 << 20, 80);
    ck_assert(!is_there(&w, A, "", 0, &moment));
    keep(&w, A, "{\"a\":1}", 7);
    ck_assert(is_there(&w, A, "{\"a\":1}", 7, &moment));
    ck_assert(!is_there(&w, B, "", 0, &moment));
    nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
    ck_assert(!is_there(&w, A, "", 0, &moment));
    world_close(&w);
}
END_TEST

START_TEST(what_was_forgotten_is_gone_and_others_stay)
{
    fpi_file_cache_moment moment;
    world w;

    world_open(&w, 1 << 20, LONG_MS);
    keep(&w, A, "a", 1);
    keep(&w, B, "b", 2);
    fpi_file_cache_forget(w.cache, A);
    ck_assert(!is_there(&w, A, "", 0, &moment));
    ck_assert(is_there(&w, B, "b", 2, &moment));
    fpi_file_cache_forget_all(w.cache);
    ck_assert(!is_there(&w, B, "", 0, &moment));
    world_close(&w);
}
END_TEST

/* A reader that was overtaken by a change must not bring the old text back. */
START_TEST(what_was_read_before_a_change_is_not_kept_after_it)
{
    fpi_file_cache_moment before, moment;
    world w;

    world_open(&w, 1 << 20, LONG_MS);
    ck_assert(!is_there(&w, A, "", 0, &before));
    fpi_file_cache_forget(w.cache, A);
    fpi_file_cache_keep(w.cache, A, "old", 3, 1, &before);
    ck_assert(!is_there(&w, A, "", 0, &moment));
    ck_assert(!is_there(&w, A, "", 0, &before));
    fpi_file_cache_forget_all(w.cache);
    fpi_file_cache_keep(w.cache, A, "old", 3, 1, &before);
    ck_assert(!is_there(&w, A, "", 0, &moment));
    keep(&w, A, "new", 2);
    ck_assert(is_there(&w, A, "new", 2, &moment));
    world_close(&w);
}
END_TEST

/* Somebody may have seen the change in the database before its maker hears of his commit. */
START_TEST(nothing_is_found_while_a_change_is_under_way)
{
    static const char *const held[] = { A, NULL };
    fpi_file_cache_moment before, moment;
    world w;

    world_open(&w, 1 << 20, LONG_MS);
    for (size_t i = 0; i < 2; i++) {
        keep(&w, A, "old", 1);
        fpi_file_cache_hold(w.cache, held[i]);
        ck_assert(!is_there(&w, A, "", 0, &before));
        fpi_file_cache_hold(w.cache, held[i]);
        fpi_file_cache_keep(w.cache, A, "old", 3, 1, &before);
        fpi_file_cache_release(w.cache, held[i]);
        ck_assert(!is_there(&w, A, "", 0, &moment));
        fpi_file_cache_keep(w.cache, A, "old", 3, 1, &before);
        if (held[i])
            fpi_file_cache_forget(w.cache, A);
        else
            fpi_file_cache_forget_all(w.cache);
        fpi_file_cache_keep(w.cache, A, "old", 3, 1, &before);
        fpi_file_cache_release(w.cache, held[i]);
        ck_assert(!is_there(&w, A, "", 0, &moment));
        keep(&w, A, "new", 2);
        ck_assert(is_there(&w, A, "new", 2, &moment));
        fpi_file_cache_forget(w.cache, A);
    }
    world_close(&w);
}
END_TEST

START_TEST(no_more_is_kept_than_allowed)
{
    static char text[9000];
    fpi_file_cache_moment moment;
    char id[FPI_UUID_SIZE];
    size_t kept = 0;
    world w;

    world_open(&w, 100000, LONG_MS);
    memset(text, 'x', sizeof(text) - 1);
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "0198c000-0000-7000-8000-0000000%05d", i);
        keep(&w, id, text, 1);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "0198c000-0000-7000-8000-0000000%05d", i);
        kept += is_there(&w, id, text, 1, &moment);
    }
    ck_assert_uint_ge(kept, 1);
    ck_assert_uint_le(kept, 100000 / sizeof(text));
    world_close(&w);
}
END_TEST

/* Also in the sets that nobody looks into any more. */
START_TEST(what_is_too_old_makes_room)
{
    static char text[9000];
    fpi_file_cache_moment moment;
    char id[FPI_UUID_SIZE];
    world w;

    world_open(&w, 100000, 2000);
    memset(text, 'x', sizeof(text) - 1);
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "0198c000-0000-7000-8000-0000000%05d", i);
        keep(&w, id, text, 1);
    }
    nanosleep(&(struct timespec){ 2, 100000000 }, NULL);
    for (int i = 200; i < 208; i++) {
        snprintf(id, sizeof(id), "0198c000-0000-7000-8000-0000000%05d", i);
        keep(&w, id, text, 1);
        ck_assert(is_there(&w, id, text, 1, &moment));
    }
    world_close(&w);
}
END_TEST

typedef struct visitor {
    world *w;
    int n;
} visitor;

static void *come_and_go(void *arg)
{
    const visitor *v = arg;
    char id[FPI_UUID_SIZE];
    fpi_file_cache_moment moment;

    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof(id), "0198c000-0000-7000-8000-0000000%05d", i % 50);
        if (!is_there(v->w, id, id, 9, &moment))
            fpi_file_cache_keep(v->w->cache, id, id, strlen(id), 9, &moment);
        if (i % 97 == v->n)
            fpi_file_cache_forget(v->w->cache, id);
        if (i % 1009 == v->n)
            fpi_file_cache_forget_all(v->w->cache);
    }
    return NULL;
}

START_TEST(many_threads_see_what_was_kept)
{
    pthread_t threads[4];
    visitor visitors[4];
    world w;

    world_open(&w, 20000, LONG_MS);
    for (int i = 0; i < 4; i++) {
        visitors[i] = (visitor){ &w, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &visitors[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    world_close(&w);
}
END_TEST

/* Keeping is not a must, so only finding may fail. */
START_TEST(cache_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fpi_file_cache_moment moment = { 0, 0 };
        FPI_CLEANUP(fpi_file_cache) cache = NULL;
        fp_buf buf = FILEPROC_BUF_INIT;
        fp_context *ctx = NULL;
        fp_error err = { 0 };
        bool found = false;
        uint64_t tag = 0;
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fpi_file_cache_new(ctx, 10000, LONG_MS, &cache, &err);
        if (rc == FILEPROC_OK) {
            fpi_file_cache_keep(cache, A, "a", 1, 1, &moment);
            rc = fpi_file_cache_find(cache, A, &buf, &tag, &moment, &found, &err);
        }
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_uint_eq(buf.size, 0);
        fp_buf_dispose(&buf);
        fpi_file_cache_free(fpi_steal(&cache));
        fp_context_free(ctx);
    }
}
END_TEST

RUN_TESTS("file_cache", what_was_kept_is_found_until_it_is_too_old,
          what_was_forgotten_is_gone_and_others_stay,
          what_was_read_before_a_change_is_not_kept_after_it,
          nothing_is_found_while_a_change_is_under_way, no_more_is_kept_than_allowed,
          what_is_too_old_makes_room, many_threads_see_what_was_kept,
          cache_survives_every_allocation_failure)
