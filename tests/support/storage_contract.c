/* Owns: the promises on whole objects and on lists.
 * Must not know: any driver. */
#include "storage_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage_steps.h"

static const storage_contract *drivers;

static int64_t world_clock(void *user_data)
{
    const storage_world *w = user_data;

    return w->now_ms;
}

static void open_store(storage_world *w)
{
    const fp_storage_options *options = w->driver->options ? w->driver->options() : NULL;
    fp_error err = { 0 };

    ck_status(fp_storage_open(w->ctx, w->uri, options, &w->st, &err), FILEPROC_OK, &err);
}

bool storage_world_time_is(const storage_world *w, int64_t told_ms, int64_t world_ms)
{
    int64_t off = told_ms - (int64_t)time(NULL) * 1000;

    return w->driver->server_clock ? off > -60000 && off < 60000 : told_ms == world_ms;
}

void storage_world_open(storage_world *w, const storage_contract *driver)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (storage_world){ .driver = driver, .now_ms = 1700000000123 };
    o.clock_ms = world_clock;
    o.user_data = w;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    driver->fresh(w->uri);
    open_store(w);
}

void storage_world_close(storage_world *w)
{
    fp_storage_free(w->st);
    w->driver->gone(w->uri);
    fp_context_free(w->ctx);
}

void storage_world_restart(storage_world *w)
{
    if (!w->driver->keeps)
        return;
    fp_storage_free(w->st);
    open_store(w);
}

void run_threads(size_t count, void *(*fn)(void *), void *args, size_t size)
{
    pthread_t threads[32];

    ck_assert_uint_le(count, 32);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, fn, (char *)args + i * size), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

static const size_t sizes[] = {
    0, 1, 4095, 4096, 65535, 65536, 65537, 131072, 3 * 1024 * 1024 + 7
};
#define SIZE_COUNT (sizeof(sizes) / sizeof(*sizes))

START_TEST(bytes_put_are_the_bytes_read)
{
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        char key[32];

        snprintf(key, sizeof(key), "objects/%zu", sizes[i]);
        must_put(w.st, key, (unsigned)i, sizes[i]);
    }
    storage_world_restart(&w);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        char key[32];

        snprintf(key, sizeof(key), "objects/%zu", sizes[i]);
        ck_assert(object_is(w.st, key, (unsigned)i, sizes[i]));
    }
    ck_assert_uint_eq(staged_count(w.st), 0);
    storage_world_close(&w);
}
END_TEST

static void must_range_be(fp_storage *st, uint64_t size, uint64_t offset, size_t cap)
{
    unsigned char *bytes = malloc(cap + 1);
    size_t got = 99, expected = offset >= size        ? 0
                                : size - offset < cap ? (size_t)(size - offset)
                                                      : cap;
    fp_error err = { 0 };

    bytes[cap] = 0xAA;
    ck_status(fp_storage_read(st, "k", offset, bytes, cap, &got, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(got, expected);
    ck_assert_uint_eq(bytes[cap], 0xAA);
    for (size_t i = 0; i < got; i++)
        ck_assert_uint_eq(bytes[i], content_at(5, offset + i));
    free(bytes);
}

START_TEST(any_range_can_be_read)
{
    const uint64_t size = 200001;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "k", 5, (size_t)size);
    must_range_be(w.st, size, 0, 0);
    must_range_be(w.st, size, 0, 1);
    must_range_be(w.st, size, 65535, 2);
    must_range_be(w.st, size, 65536, 65536);
    must_range_be(w.st, size, 1000, 150000);
    must_range_be(w.st, size, size - 1, 10);
    must_range_be(w.st, size, size, 10);
    must_range_be(w.st, size, size + 1, 10);
    must_range_be(w.st, size, UINT64_MAX, 10);
    must_range_be(w.st, size, INT64_MAX, 10);
    must_range_be(w.st, size, INT64_MAX - 3, 10);
    storage_world_close(&w);
}
END_TEST

typedef struct swapper {
    storage_world *w;
    atomic_bool *stop;
    bool swaps;
} swapper;

static void *swap_objects(void *arg)
{
    const swapper *s = arg;

    for (unsigned i = 0; i < 60; i++)
        must_put(s->w->st, "swapped", i % 2, i % 2 ? 70000 : 90000);
    atomic_store(s->stop, true);
    return NULL;
}

/* Reads through a descriptor: one version, whatever happens to the key. */
static bool descriptor_shows_one_version(const storage_world *w)
{
    unsigned char bytes[100001];
    fp_error err = { 0 };
    int32_t fd = -1;
    unsigned seed;
    ssize_t n;
    fp_status rc = fp_storage_open_fd(w->st, "swapped", &fd, &err);

    if (rc == FILEPROC_ERR_NOTFOUND && w->driver->eventual)
        return true;
    ck_status(rc, FILEPROC_OK, &err);
    n = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);
    seed = n == 70000;
    for (ssize_t i = 0; i < n; i += 997)
        if (bytes[i] != content_at(seed, (uint64_t)i))
            return false;
    return n == 70000 || n == 90000;
}

static void *watch_objects(void *arg)
{
    const swapper *s = arg;

    while (!atomic_load(s->stop)) {
        unsigned char bytes[100001];
        size_t got = 0;
        fp_error err = { 0 };
        unsigned seed;
        fp_status rc = fp_storage_read(s->w->st, "swapped", 0, bytes, sizeof(bytes), &got, &err);

        if (rc == FILEPROC_ERR_NOTFOUND && s->w->driver->eventual)
            continue;
        ck_status(rc, FILEPROC_OK, &err);
        ck_assert(got == 70000 || got == 90000);
        seed = got == 70000;
        for (size_t i = 0; i < got; i += 997)
            ck_assert_uint_eq(bytes[i], content_at(seed, i));
        ck_assert(descriptor_shows_one_version(s->w));
    }
    return NULL;
}

static void *swap_or_watch(void *arg)
{
    const swapper *s = arg;

    return s->swaps ? swap_objects(arg) : watch_objects(arg);
}

START_TEST(readers_see_the_old_object_or_the_new_one)
{
    atomic_bool stop = false;
    storage_world w;
    swapper threads[] = { { &w, &stop, true }, { &w, &stop, false }, { &w, &stop, false } };

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "swapped", 0, 90000);
    run_threads(3, swap_or_watch, threads, sizeof(*threads));
    ck_assert_uint_eq(object_count(w.st), 1);
    ck_assert_uint_eq(staged_count(w.st), 0);
    storage_world_close(&w);
}
END_TEST

START_TEST(exclusive_put_leaves_the_old_object_alone)
{
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    ck_status(try_put(w.st, "a/b", 1, 100, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_OK, &err);
    ck_reason(try_put(w.st, "a/b", 2, 100, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_ERR_EXISTS,
              "exists", &err);
    ck_assert(object_is(w.st, "a/b", 1, 100));
    ck_assert_uint_eq(staged_count(w.st), 0);
    must_put(w.st, "a/b", 2, 50);
    ck_assert(object_is(w.st, "a/b", 2, 50));
    storage_world_close(&w);
}
END_TEST

typedef struct racer {
    storage_world *w;
    unsigned seed;
    fp_status rc;
} racer;

static void *race_to_put(void *arg)
{
    racer *r = arg;

    r->rc = try_put(r->w->st, "new/folder/key", r->seed, 1000, FILEPROC_STORAGE_EXCLUSIVE, NULL);
    return NULL;
}

START_TEST(of_many_exclusive_puts_one_wins)
{
    for (int round = 0; round < 10; round++) {
        racer racers[8];
        storage_world w;
        size_t winners = 0, stored = 0;

        storage_world_open(&w, &drivers[_i]);
        for (unsigned i = 0; i < 8; i++)
            racers[i] = (racer){ &w, i, 0 };
        run_threads(8, race_to_put, racers, sizeof(*racers));
        for (unsigned i = 0; i < 8; i++) {
            if (racers[i].rc == FILEPROC_OK) {
                winners++;
                stored += object_is(w.st, "new/folder/key", i, 1000);
            } else {
                ck_assert_int_eq(racers[i].rc, FILEPROC_ERR_EXISTS);
            }
        }
        ck_assert_uint_eq(stored, 1);
        ck_assert(winners == 1 || (winners > 1 && drivers[_i].eventual));
        ck_assert_uint_eq(staged_count(w.st), 0);
        storage_world_close(&w);
    }
}
END_TEST

START_TEST(the_etag_changes_with_the_bytes_and_only_then)
{
    fp_storage_info first = FILEPROC_STORAGE_INFO_INIT, again = FILEPROC_STORAGE_INFO_INIT;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "k", 1, 100);
    ck_status(fp_storage_stat(w.st, "k", &first, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_stat(w.st, "k", &again, &err), FILEPROC_OK, &err);
    ck_assert(first.etag[0]);
    ck_assert_str_eq(first.etag, again.etag);
    ck_assert_uint_eq(
        strspn(first.etag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
        strlen(first.etag));
    for (unsigned char seed = 2; seed < 30; seed++) { /* the clock stands still */
        must_put(w.st, "k", seed, 100);
        ck_status(fp_storage_stat(w.st, "k", &again, &err), FILEPROC_OK, &err);
        ck_assert_str_ne(first.etag, again.etag);
        first = again;
    }
    storage_world_close(&w);
}
END_TEST

START_TEST(stat_tells_size_and_time_of_publication)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "k", 1, 12345);
    ck_status(fp_storage_stat(w.st, "k", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.size, 12345);
    ck_assert(storage_world_time_is(&w, info.modified_ms, 1700000000123));
    w.now_ms = 1700000999456;
    must_put(w.st, "k", 1, 0);
    ck_status(fp_storage_stat(w.st, "k", &info, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(info.size, 0);
    ck_assert(storage_world_time_is(&w, info.modified_ms, 1700000999456));
    storage_world_close(&w);
}
END_TEST

START_TEST(removing_can_be_repeated)
{
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "a/b", 1, 10);
    must_put(w.st, "a/c", 1, 10);
    for (int i = 0; i < 3; i++) {
        ck_status(fp_storage_remove(w.st, "a/b", &err), FILEPROC_OK, &err);
        ck_status(fp_storage_remove(w.st, "never/was/here", &err), FILEPROC_OK, &err);
        ck_status(fp_storage_remove(w.st, "a", &err), FILEPROC_OK,
                  &err); /* a folder is no object */
        ck_status(fp_storage_remove(w.st, "a/c/d", &err), FILEPROC_OK, &err);
        ck_assert(!object_exists(w.st, "a/b"));
        ck_assert(object_is(w.st, "a/c", 1, 10));
        storage_world_restart(&w);
    }
    ck_assert_int_eq(err.code, 0);
    must_put(w.st, "a/b", 2, 20);
    ck_assert(object_is(w.st, "a/b", 2, 20));
    storage_world_close(&w);
}
END_TEST

START_TEST(descriptor_outlives_the_object)
{
    unsigned char bytes[300000];
    fp_error err = { 0 };
    int32_t fd = -1;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "a/b", 3, 299999);
    ck_status(fp_storage_open_fd(w.st, "a/b", &fd, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_remove(w.st, "a/b", &err), FILEPROC_OK, &err);
    fp_storage_free(w.st);
    w.st = NULL;
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
    ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), 299999);
    for (size_t i = 0; i < 299999; i++)
        ck_assert_uint_eq(bytes[i], content_at(3, i));
    ck_assert_int_eq(write(fd, "x", 1), -1);
    close(fd);
    storage_world_close(&w);
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    static const char *const keys[] = { "b", "a", "a/b/c", "a/b/c/d", "x/y" };
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "a/b", 3, 10);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        fp_error err = { 0 };
        int32_t fd = 77;
        size_t got = 77;
        char byte;

        ck_reason(fp_storage_read(w.st, keys[i], 0, &byte, 1, &got, &err), FILEPROC_ERR_NOTFOUND,
                  "object_not_found", &err);
        ck_reason(fp_storage_stat(w.st, keys[i], &info, &err), FILEPROC_ERR_NOTFOUND,
                  "object_not_found", &err);
        ck_reason(fp_storage_open_fd(w.st, keys[i], &fd, &err), FILEPROC_ERR_NOTFOUND,
                  "object_not_found", &err);
        ck_assert_uint_eq(got, 77);
        ck_assert_int_eq(fd, 77);
        ck_assert_uint_eq(info.size, 0);
    }
    storage_world_close(&w);
}
END_TEST

static char *repeated(char c, size_t count)
{
    char *text = calloc(1, count + 1);

    memset(text, c, count);
    return text;
}

static void must_refuse_key(fp_storage *st, const char *key)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_error err = { 0 };
    int32_t fd;
    size_t got;
    char byte;

    ck_reason(fp_storage_put(st, key, "x", 1, 0, &err), FILEPROC_ERR_INVALID, "key_invalid", &err);
    ck_reason(fp_storage_read(st, key, 0, &byte, 1, &got, &err), FILEPROC_ERR_INVALID,
              "key_invalid", &err);
    ck_reason(fp_storage_stat(st, key, &info, &err), FILEPROC_ERR_INVALID, "key_invalid", &err);
    ck_reason(fp_storage_open_fd(st, key, &fd, &err), FILEPROC_ERR_INVALID, "key_invalid", &err);
    ck_reason(fp_storage_remove(st, key, &err), FILEPROC_ERR_INVALID, "key_invalid", &err);
}

START_TEST(bad_keys_are_refused)
{
    static const char *const bad[] = { "",       "/",    "/a",   "a/",     "a//b",     ".",
                                       "..",     "a/..", "../a", "a/../b", "./a",      "a/./b",
                                       "a b",    "a\nb", "a:b",  "a\\b",   "\xC3\xA4", "a/b\x7F",
                                       "%2e%2e", "a*",   NULL };
    char *long_segment = repeated('s', 201), *long_key = repeated('k', 1025);
    storage_world w;

    for (size_t i = 100; i < 1025; i += 100)
        long_key[i] = '/';
    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        must_refuse_key(w.st, bad[i]);
    must_refuse_key(w.st, long_segment);
    must_refuse_key(w.st, long_key);
    ck_assert_uint_eq(object_count(w.st), 0);
    storage_world_close(&w);
    free(long_segment);
    free(long_key);
}
END_TEST

START_TEST(the_longest_keys_work)
{
    char *segment = repeated('s', 200), *key = repeated('k', 1024), *deep = repeated('d', 1023);
    storage_world w;

    for (size_t i = 200; i < 1024; i += 201)
        key[i] = '/';
    for (size_t i = 1; i < 1023; i += 2)
        deep[i] = '/';
    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, segment, 1, 1);
    must_put(w.st, key, 2, 2);
    must_put(w.st, deep, 3, 3);
    must_put(w.st, "...", 4, 4);
    must_put(w.st, ".hidden/..b", 5, 5);
    ck_assert(object_is(w.st, segment, 1, 1));
    ck_assert(object_is(w.st, key, 2, 2));
    ck_assert(object_is(w.st, deep, 3, 3));
    ck_assert(object_is(w.st, "...", 4, 4));
    ck_assert(object_is(w.st, ".hidden/..b", 5, 5));
    ck_assert_uint_eq(object_count(w.st), 5);
    storage_world_close(&w);
    free(segment);
    free(key);
    free(deep);
}
END_TEST

START_TEST(a_key_is_never_the_folder_of_another)
{
    fp_error err = { 0 };
    storage_world w;

    if (drivers[_i].flat)
        return;
    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "a/b/c", 1, 10);
    must_put(w.st, "f", 1, 10);
    ck_reason(try_put(w.st, "a/b", 2, 20, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(try_put(w.st, "a", 2, 20, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_ERR_CONFLICT,
              "conflict", &err);
    ck_reason(try_put(w.st, "f/g", 2, 20, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_reason(try_put(w.st, "f/g/h", 2, 20, 0, &err), FILEPROC_ERR_CONFLICT, "conflict", &err);
    ck_assert(object_is(w.st, "a/b/c", 1, 10));
    ck_assert(object_is(w.st, "f", 1, 10));
    ck_assert_uint_eq(object_count(w.st), 2);
    ck_assert_uint_eq(staged_count(w.st), 0);
    must_put(w.st, "a/b-", 3, 30); /* a neighbour, no folder */
    storage_world_close(&w);
}
END_TEST

START_TEST(a_removed_key_leaves_no_folder_in_the_way)
{
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    must_put(w.st, "a/b/c/d", 1, 10);
    must_put(w.st, "a/b/e", 1, 10);
    ck_status(fp_storage_remove(w.st, "a/b/c/d", &err), FILEPROC_OK, &err);
    ck_status(fp_storage_remove(w.st, "a/b/e", &err), FILEPROC_OK, &err);
    must_put(w.st, "a", 2, 20);
    ck_assert(object_is(w.st, "a", 2, 20));
    ck_status(fp_storage_remove(w.st, "a", &err), FILEPROC_OK, &err);
    must_put(w.st, "a/b/c/d", 3, 30);
    ck_assert(object_is(w.st, "a/b/c/d", 3, 30));
    ck_status(fp_storage_remove(w.st, "a/b/c/d", &err), FILEPROC_OK, &err);
    ck_status(try_put(w.st, "a/b", 4, 40, FILEPROC_STORAGE_EXCLUSIVE, &err), FILEPROC_OK, &err);
    ck_assert(object_is(w.st, "a/b", 4, 40));
    ck_assert_uint_eq(object_count(w.st), 1);
    storage_world_close(&w);
}
END_TEST

/* In byte order, which is what lists promise. */
static const char *const listed[] = {
    "a",       "b-",    "b-a/x", "b.", "b.c",   "b/a",    "b/a-b",   "b/a.b", "b/a0",
    "b/b/a/c", "b/b/b", "b0",    "b_", "ba",    "c/a-/x", "c/a./x",  "c/a/x", "c/a0",
    "c/aa/x",  "d.e",   "d/e",   "d0", "e-f/g", "e/f",    "e/f.g/h", "e/f0",  "z",
};
#define LISTED (sizeof(listed) / sizeof(*listed))

/* What a list with this prefix must give, `limit` at a time. */
static void must_list(const storage_world *w, const char *prefix, size_t limit)
{
    fp_storage_list_page *page = NULL;
    char cursor[1025];
    const char *from = NULL;
    size_t next = 0;
    fp_error err = { 0 };

    do {
        ck_status(fp_storage_list(w->st, prefix, from, limit, &page, &err), FILEPROC_OK, &err);
        ck_assert_uint_le(page->count, limit);
        for (size_t i = 0; i < page->count; i++, next++) {
            while (next < LISTED && strncmp(listed[next], prefix, strlen(prefix)) != 0)
                next++;
            ck_assert_uint_lt(next, LISTED);
            ck_assert_str_eq(page->names[i], listed[next]);
            ck_assert_uint_eq(page->sizes[i], next);
            ck_assert(storage_world_time_is(w, page->modified_ms[i], 1700000000123));
        }
        from = NULL;
        if (page->next) {
            ck_assert_uint_eq(page->count, limit);
            snprintf(cursor, sizeof(cursor), "%s", page->next);
            from = cursor;
        }
        fp_storage_list_free(page);
    } while (from);
    while (next < LISTED)
        ck_assert_int_ne(strncmp(listed[next++], prefix, strlen(prefix)), 0);
}

START_TEST(lists_are_in_byte_order_of_whole_keys)
{
    static const char *const prefixes[] = { "",    "a",   "b",   "b/",   "b/a", "b/b/",
                                            "b/b", "b.",  "c/a", "c/a/", "e/",  "e/f.",
                                            "nix", "b/n", ".",   "c/a-", "d",   "zz" };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < LISTED; i++) { /* not in their order */
        size_t n = (i * 10) % LISTED;

        must_put(w.st, listed[n], 1, n);
    }
    ck_assert_uint_eq(object_count(w.st), LISTED);
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        for (size_t limit = 1; limit <= LISTED + 1; limit++)
            must_list(&w, prefixes[i], limit);
    storage_world_close(&w);
}
END_TEST

START_TEST(a_list_goes_on_behind_any_key)
{
    static const char *const cursors[] = { "a",   "a0",  "b/a",  "b/a/zzz", "b",
                                           "b/b", "b/c", "c/a-", "zz",      "A" };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < LISTED; i++)
        must_put(w.st, listed[i], 1, i);
    for (size_t i = 0; i < sizeof(cursors) / sizeof(*cursors); i++) {
        fp_storage_list_page *page = NULL;
        fp_error err = { 0 };
        size_t first = 0;

        while (first < LISTED && strcmp(listed[first], cursors[i]) <= 0)
            first++;
        ck_status(fp_storage_list(w.st, NULL, cursors[i], 1000, &page, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(page->count, LISTED - first);
        for (size_t n = 0; n < page->count; n++)
            ck_assert_str_eq(page->names[n], listed[first + n]);
        ck_assert_ptr_null(page->next);
        fp_storage_list_free(page);
    }
    storage_world_close(&w);
}
END_TEST

START_TEST(removed_objects_leave_lists_empty)
{
    fp_storage_list_page *page = NULL;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    for (size_t i = 0; i < LISTED; i++)
        must_put(w.st, listed[i], 1, i);
    for (size_t i = 0; i < LISTED; i++)
        if (strcmp(listed[i], "e/f0") != 0)
            ck_status(fp_storage_remove(w.st, listed[i], &err), FILEPROC_OK, &err);
    ck_status(fp_storage_list(w.st, NULL, NULL, 1, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 1); /* found behind all the folders that are empty now */
    ck_assert_str_eq(page->names[0], "e/f0");
    ck_assert_ptr_null(page->next);
    fp_storage_list_free(page);
    ck_status(fp_storage_remove(w.st, "e/f0", &err), FILEPROC_OK, &err);
    ck_status(fp_storage_list(w.st, NULL, NULL, 1, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 0);
    ck_assert_ptr_null(page->next);
    fp_storage_list_free(page);
    storage_world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    static const char *const prefixes[] = { "/", "a//b", "../", "a/../b", "a b" };
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_storage_list_page *page = NULL;
    fp_storage *st = NULL;
    fp_error err = { 0 };
    storage_world w;
    int32_t fd;
    size_t got;
    char byte;

    storage_world_open(&w, &drivers[_i]);
    ck_status(fp_storage_open(NULL, w.uri, NULL, &st, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_open(w.ctx, NULL, NULL, &st, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_open(w.ctx, w.uri, NULL, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_assert_ptr_null(st);
    ck_status(fp_storage_put(NULL, "k", "x", 1, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_put(w.st, "k", NULL, 1, 0, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_put(w.st, "k", "x", 1, 2, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_read(NULL, "k", 0, &byte, 1, &got, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_read(w.st, "k", 0, NULL, 1, &got, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_read(w.st, "k", 0, &byte, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_open_fd(NULL, "k", &fd, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_open_fd(w.st, "k", NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_stat(NULL, "k", &info, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_stat(w.st, "k", NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_remove(NULL, "k", &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list(NULL, NULL, NULL, 1, &page, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list(w.st, NULL, NULL, 1, NULL, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list(w.st, NULL, NULL, 0, &page, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_list(w.st, NULL, NULL, 1001, &page, &err), FILEPROC_ERR_INVALID, &err);
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        ck_reason(fp_storage_list(w.st, prefixes[i], NULL, 1, &page, &err), FILEPROC_ERR_INVALID,
                  "key_invalid", &err);
    ck_reason(fp_storage_list(w.st, NULL, "d/", 1, &page, &err), FILEPROC_ERR_INVALID,
              "cursor_invalid", &err);
    ck_reason(fp_storage_list_staged(w.st, "a/b", 1, &page, &err), FILEPROC_ERR_INVALID,
              "cursor_invalid", &err);
    ck_assert_ptr_null(page);
    fp_storage_free(NULL);
    fp_storage_list_free(NULL);
    ck_assert_str_eq(fp_storage_scheme(w.st), drivers[_i].scheme);
    ck_assert_str_eq(fp_storage_scheme(NULL), "");
    storage_world_close(&w);
}
END_TEST

START_TEST(room_is_told_where_it_is_known)
{
    bool known = strcmp(drivers[_i].scheme, "file") == 0;
    uint64_t bytes = 7;
    fp_error err = { 0 };
    storage_world w;

    storage_world_open(&w, &drivers[_i]);
    ck_status(fp_storage_room(w.st, &bytes, &err), known ? FILEPROC_OK : FILEPROC_ERR_NOTSUP, &err);
    ck_assert(known ? bytes > 1000000 : bytes == 7);
    ck_status(fp_storage_room(NULL, &bytes, &err), FILEPROC_ERR_INVALID, &err);
    ck_status(fp_storage_room(w.st, NULL, &err), FILEPROC_ERR_INVALID, &err);
    storage_world_close(&w);
}
END_TEST

START_TEST(success_leaves_the_error_alone)
{
    fp_storage_info info = FILEPROC_STORAGE_INFO_INIT;
    fp_storage_list_page *page = NULL;
    fp_error err = { .code = 42 };
    fp_assembly *a = NULL;
    storage_world w;
    int32_t fd = -1;
    size_t got;
    char byte;

    storage_world_open(&w, &drivers[_i]);
    ck_status(fp_storage_put(w.st, "a/k", "x", 1, 0, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_read(w.st, "a/k", 0, &byte, 1, &got, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_stat(w.st, "a/k", &info, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open_fd(w.st, "a/k", &fd, &err), FILEPROC_OK, &err);
    close(fd);
    ck_status(fp_storage_list(w.st, "b/", NULL, 1, &page, &err), FILEPROC_OK, &err);
    fp_storage_list_free(page);
    ck_status(fp_storage_remove(w.st, "a/k", &err), FILEPROC_OK, &err);
    ck_status(fp_storage_remove(w.st, "b/k", &err), FILEPROC_OK, &err);
    ck_status(fp_storage_discard(w.st, "b", &err), FILEPROC_OK, &err);
    ck_status(fp_assembly_open(w.st, "id", FILEPROC_ASSEMBLY_CREATE, &a, &err), FILEPROC_OK, &err);
    ck_status(try_part(a, 1, 0, 10, &err), FILEPROC_OK, &err);
    for (int i = 0; i < 2; i++)
        ck_status(fp_assembly_publish(a, "c/d", 10, 0, &err), FILEPROC_OK, &err);
    fp_assembly_close(a);
    ck_assert_int_eq(err.code, 42);
    storage_world_close(&w);
}
END_TEST

void storage_contract_add(Suite *suite, const storage_contract *list, int count)
{
    const TTest *const tests[] = {
        bytes_put_are_the_bytes_read,
        any_range_can_be_read,
        readers_see_the_old_object_or_the_new_one,
        exclusive_put_leaves_the_old_object_alone,
        of_many_exclusive_puts_one_wins,
        stat_tells_size_and_time_of_publication,
        the_etag_changes_with_the_bytes_and_only_then,
        removing_can_be_repeated,
        room_is_told_where_it_is_known,
        descriptor_outlives_the_object,
        what_is_not_there_is_not_found,
        bad_keys_are_refused,
        the_longest_keys_work,
        a_key_is_never_the_folder_of_another,
        a_removed_key_leaves_no_folder_in_the_way,
        lists_are_in_byte_order_of_whole_keys,
        a_list_goes_on_behind_any_key,
        removed_objects_leave_lists_empty,
        wrong_arguments_are_refused,
        success_leaves_the_error_alone,
    };
    TCase *tcase = tcase_create("storage contract");

    drivers = list;
    tcase_set_timeout(tcase, 100);
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tcase_add_loop_test(tcase, tests[i], 0, count);
    suite_add_tcase(suite, tcase);
}
