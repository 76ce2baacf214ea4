/* Owns: the promise that bytes hashed by another thread give the same digest, whoever else wants that thread.
 * Must not know: uploads; test_uploads.c has them. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/context_private.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "upload/hasher.h"

#define DATA ((size_t)3 << 20)

static fpi_hasher hasher;
static unsigned char data[DATA];
static atomic_size_t taken, refused;

static const fp_allocator *allocator(void)
{
    static fp_context *ctx;
    fp_error err = { 0 };

    if (!ctx)
        ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    return &ctx->a;
}

static void *lend(void *arg)
{
    fp_error err = { 0 };

    (void)arg;
    ck_status(fpi_hasher_run(&hasher, allocator(), &err), FILEPROC_OK, &err);
    return NULL;
}

static bool is_lent(void)
{
    bool lent;

    pthread_mutex_lock(&hasher.lock);
    lent = hasher.ring != NULL;
    pthread_mutex_unlock(&hasher.lock);
    return lent;
}

static pthread_t begin(void)
{
    pthread_t thread;

    for (size_t i = 0; i < DATA; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    fpi_hasher_init(&hasher);
    (void)allocator();
    ck_assert_int_eq(pthread_create(&thread, NULL, lend, NULL), 0);
    while (!is_lent())
        sched_yield();
    return thread;
}

static void end(pthread_t thread)
{
    fpi_hasher_stop(&hasher);
    pthread_join(thread, NULL);
    fpi_hasher_dispose(&hasher);
}

/* Of the first `size` bytes, in steps of changing lengths, by the thread or by ourselves. */
static void hash(size_t size, unsigned seed)
{
    unsigned char got[FPI_DIGEST_MAX], wanted[FPI_DIGEST_MAX];
    fpi_digest beside, plain;

    fpi_digest_init(&beside, FPI_DIGEST_SHA256);
    fpi_digest_init(&plain, FPI_DIGEST_SHA256);
    fpi_digest_update(&plain, data, size);
    for (size_t at = 0, n; at < size; at += n) {
        n = seed % (200 * 1024) + 1;
        n = n < size - at ? n : size - at;
        seed = seed * 1103515245u + 12345u;
        if (fpi_hasher_add(&hasher, &beside, data + at, n)) {
            taken++;
        } else {
            refused++;
            fpi_digest_update(&beside, data + at, n);
        }
    }
    fpi_hasher_finish(&hasher, &beside);
    fpi_digest_value(&beside, got);
    fpi_digest_value(&plain, wanted);
    ck_assert_mem_eq(got, wanted, sizeof(got));
}

START_TEST(one_writer_is_always_served)
{
    pthread_t thread = begin();

    hash(0, 1);
    hash(1, 1);
    for (unsigned i = 1; i <= 20; i++)
        hash(DATA - i, i);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_gt(taken, 20);
    end(thread);
}
END_TEST

static void *hash_many(void *arg)
{
    unsigned first = *(unsigned *)arg;

    for (unsigned i = 0; i < 30; i++)
        hash(DATA / (i % 3 + 1), first + i);
    return NULL;
}

START_TEST(writers_side_by_side_do_not_mix)
{
    unsigned seeds[4] = { 1, 1000, 2000, 3000 };
    pthread_t thread = begin(), writers[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&writers[i], NULL, hash_many, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(writers[i], NULL);
    ck_assert_uint_gt(taken, 0);
    end(thread);
}
END_TEST

START_TEST(bytes_taken_before_the_stop_are_hashed)
{
    unsigned char got[FPI_DIGEST_MAX], wanted[FPI_DIGEST_MAX];

    for (int i = 0; i < 50; i++) {
        pthread_t thread = begin();
        fpi_digest beside, plain;

        fpi_digest_init(&beside, FPI_DIGEST_SHA256);
        fpi_digest_init(&plain, FPI_DIGEST_SHA256);
        ck_assert(fpi_hasher_add(&hasher, &beside, data, DATA));
        fpi_hasher_stop(&hasher);
        if (!fpi_hasher_add(&hasher, &beside, data, 1000))
            fpi_digest_update(&beside, data, 1000);
        fpi_hasher_finish(&hasher, &beside);
        pthread_join(thread, NULL);
        ck_assert(!fpi_hasher_add(&hasher, &beside, data, 1));
        fpi_digest_update(&plain, data, DATA);
        fpi_digest_update(&plain, data, 1000);
        fpi_digest_value(&beside, got);
        fpi_digest_value(&plain, wanted);
        ck_assert_mem_eq(got, wanted, sizeof(got));
        fpi_hasher_dispose(&hasher);
    }
}
END_TEST

START_TEST(one_thread_is_lent_at_a_time)
{
    pthread_t thread = begin();
    fp_error err = { 0 };

    ck_assert_int_eq(fpi_hasher_run(&hasher, allocator(), &err), FILEPROC_ERR_CONFLICT);
    fpi_hasher_stop(&hasher);
    pthread_join(thread, NULL);
    fpi_hasher_stop(&hasher); /* before its begin */
    ck_status(fpi_hasher_run(&hasher, allocator(), &err), FILEPROC_OK, &err);
    ck_assert_int_eq(pthread_create(&thread, NULL, lend, NULL), 0);
    while (!is_lent())
        sched_yield();
    hash(DATA, 5);
    end(thread);
}
END_TEST

START_TEST(without_memory_there_is_no_thread)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_error err = { 0 };
        fp_status rc;

        fpi_hasher_init(&hasher);
        fpi_hasher_stop(&hasher);
        fault_arm(&f);
        rc = fpi_hasher_run(&hasher, &f.allocator, &err);
        fault_judge(&f, rc, &err);
        fpi_hasher_dispose(&hasher);
    }
}
END_TEST

RUN_TESTS("hasher", one_writer_is_always_served, writers_side_by_side_do_not_mix,
          bytes_taken_before_the_stop_are_hashed, one_thread_is_lent_at_a_time,
          without_memory_there_is_no_thread)
