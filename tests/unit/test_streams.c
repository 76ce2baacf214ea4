/* Owns: the tests of daemons/common/streams.c. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "runner.h"
#include "streams.h"

#define STREAMS 50

static atomic_int running, ended;
static atomic_bool over;

static void wait_a_bit(void)
{
    nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}

static void serve(void *self)
{
    ck_assert(!pthread_equal(pthread_self(), *(pthread_t *)self));
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&over))
        wait_a_bit();
    atomic_fetch_add(&ended, 1);
}

static void *end_soon(void *self)
{
    (void)self;
    for (int i = 0; i < 50; i++)
        wait_a_bit();
    atomic_store(&over, true);
    return NULL;
}

START_TEST(they_run_beside_each_other_and_the_end_waits_for_all)
{
    fpd_streams *streams = fpd_streams_new();
    pthread_t self = pthread_self(), other;

    ck_assert_ptr_nonnull(streams);
    for (int i = 0; i < STREAMS; i++)
        ck_assert(fpd_streams_run(streams, serve, &self));
    while (atomic_load(&running) < STREAMS)
        wait_a_bit();
    ck_assert_int_eq(atomic_load(&ended), 0);
    ck_assert_int_eq(pthread_create(&other, NULL, end_soon, NULL), 0);
    fpd_streams_free(streams);
    ck_assert_int_eq(atomic_load(&ended), STREAMS);
    pthread_join(other, NULL);
}
END_TEST

START_TEST(without_any_the_end_is_at_once)
{
    fpd_streams_free(fpd_streams_new());
    fpd_streams_free(NULL);
}
END_TEST

RUN_TESTS("streams", they_run_beside_each_other_and_the_end_waits_for_all,
          without_any_the_end_is_at_once)
