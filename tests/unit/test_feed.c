/* Owns: the tests of daemons/common/feed.c. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "feed.h"
#include "runner.h"

#define BOTH (FPD_EVENT_UPLOAD | FPD_EVENT_JOB)

static void tell(fpd_feed *feed, const char *id, uint64_t chunks, const char *status)
{
    fpd_feed_upload(feed, &(fp_upload){ .struct_size = sizeof(fp_upload),
                                        .id = id,
                                        .status = status,
                                        .chunks_uploaded = chunks,
                                        .total_chunks = 4 });
}

static void tell_completed(fpd_feed *feed, const char *id, const char *file_id, const char *job_id)
{
    fpd_feed_upload(feed, &(fp_upload){ .struct_size = sizeof(fp_upload),
                                        .id = id,
                                        .status = "completed",
                                        .file_id = file_id,
                                        .job_id = job_id });
}

/* The next event has this state; it is answered. */
static fpd_event must_see(fpd_feed_watcher *w, const char *state)
{
    fpd_event e = { 0 };

    ck_assert_int_eq(fpd_feed_next(w, 20000, &e), FPD_FEED_EVENT);
    ck_assert_str_eq(e.state, state);
    return e;
}

static void must_see_nothing(fpd_feed_watcher *w)
{
    fpd_event e;

    ck_assert_int_eq(fpd_feed_next(w, 0, &e), FPD_FEED_NOTHING);
}

START_TEST(events_come_in_order_from_the_moment_of_entering)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher w;
    fpd_event e;

    tell(feed, "u1", 1, "uploading");
    ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, NULL), FPD_FEED_NOW);
    ck_assert_uint_eq(w.entered, 1);
    must_see_nothing(&w);
    tell(feed, "u1", 2, "uploading");
    fpd_feed_job(feed, "j1", "f1", "running", 0.5);
    e = must_see(&w, "uploading");
    ck_assert_uint_eq(e.number, 2);
    ck_assert_uint_eq(e.chunks, 2);
    ck_assert_str_eq(e.upload_id, "u1");
    e = must_see(&w, "running");
    ck_assert_uint_eq(e.number, 3);
    ck_assert_str_eq(e.job_id, "j1");
    ck_assert(e.progress == 0.5);
    must_see_nothing(&w);
    fpd_feed_leave(&w);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(a_watcher_gets_the_kinds_that_he_wants)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher uploads, jobs;

    fpd_feed_enter(feed, &uploads, FPD_EVENT_UPLOAD, NULL, NULL);
    fpd_feed_enter(feed, &jobs, FPD_EVENT_JOB, NULL, NULL);
    tell(feed, "u1", 1, "uploading");
    fpd_feed_job(feed, "j1", "f1", "queued", 0);
    must_see(&uploads, "uploading");
    must_see_nothing(&uploads);
    must_see(&jobs, "queued");
    must_see_nothing(&jobs);
    fpd_feed_gap(feed); /* concerns everybody */
    must_see(&uploads, "");
    must_see(&jobs, "");
    fpd_feed_leave(&uploads);
    fpd_feed_leave(&jobs);
    fpd_feed_free(feed);
}
END_TEST

/* The job was rung for before the upload was told to be complete: the watcher must hear of it all the same. */
START_TEST(one_upload_is_watched_with_the_jobs_of_its_file)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher w;

    fpd_feed_enter(feed, &w, BOTH, "u1", NULL);
    tell(feed, "u2", 1, "uploading");
    fpd_feed_job(feed, "j1", "f1", "queued", 0);
    fpd_feed_job(feed, "j2", "f2", "queued", 0);
    fpd_feed_job(feed, "j1", "f1", "running", 0);
    tell_completed(feed, "u1", "f1", "j1");
    fpd_feed_job(feed, "j2", "f2", "running", 0);
    fpd_feed_job(feed, "j1", "f1", "succeeded", 1);
    ck_assert_str_eq(must_see(&w, "completed").file_id, "f1");
    ck_assert_str_eq(must_see(&w, "running").job_id, "j1");
    ck_assert_str_eq(must_see(&w, "succeeded").job_id, "j1");
    must_see_nothing(&w);
    fpd_feed_leave(&w);
    fpd_feed_enter(feed, &w, BOTH, "u1", NULL); /* a late one knows the file from elsewhere */
    fpd_feed_set_file(&w, "f1");
    fpd_feed_job(feed, "j3", "f1", "queued", 0);
    ck_assert_str_eq(must_see(&w, "queued").job_id, "j3");
    fpd_feed_leave(&w);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(one_upload_is_watched_with_what_becomes_of_its_file)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher w, jobs;

    fpd_feed_enter(feed, &w, BOTH | FPD_EVENT_FILE, "u1", NULL);
    fpd_feed_enter(feed, &jobs, BOTH, NULL, NULL);
    fpd_feed_set_file(&w, "f1");
    fpd_feed_file(feed, "f2", "released");
    fpd_feed_file(feed, "f1", "held");
    fpd_feed_file(feed, "f1", "rejected");
    ck_assert_str_eq(must_see(&w, "held").file_id, "f1");
    ck_assert_int_eq(must_see(&w, "rejected").kind, FPD_EVENT_FILE);
    must_see_nothing(&w);
    must_see_nothing(&jobs);
    fpd_feed_leave(&w);
    fpd_feed_leave(&jobs);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(who_comes_back_goes_on_where_he_was)
{
    fpd_feed *feed = fpd_feed_new();
    char number[FPD_FEED_NUMBER_SIZE];
    fpd_feed_watcher w;

    for (uint64_t i = 1; i <= 3; i++)
        tell(feed, "u1", i, "uploading");
    fpd_feed_number(feed, 1, number);
    ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, number), FPD_FEED_REPLAY);
    ck_assert_uint_eq(w.entered, 3);
    ck_assert_uint_eq(must_see(&w, "uploading").number, 2);
    ck_assert_uint_eq(must_see(&w, "uploading").number, 3);
    must_see_nothing(&w);
    fpd_feed_leave(&w);
    fpd_feed_number(feed, 0, number); /* of a state that was told before anything happened */
    ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, number), FPD_FEED_REPLAY);
    ck_assert_uint_eq(must_see(&w, "uploading").number, 1);
    fpd_feed_leave(&w);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(a_number_that_is_none_of_ours_is_told_so)
{
    fpd_feed *feed = fpd_feed_new(), *other = fpd_feed_new();
    char own[FPD_FEED_NUMBER_SIZE], foreign[FPD_FEED_NUMBER_SIZE], future[FPD_FEED_NUMBER_SIZE];
    char longer[FPD_FEED_NUMBER_SIZE + 1], upper[FPD_FEED_NUMBER_SIZE];
    const char *wrong[] = { foreign, future, longer, "", "1", "-1", "nonsense", "-", upper };
    fpd_feed_watcher w;

    tell(feed, "u1", 1, "uploading");
    fpd_feed_number(other, 1, foreign);
    fpd_feed_number(feed, 2, future);
    fpd_feed_number(feed, 1, own);
    snprintf(longer, sizeof(longer), "%sx", own);
    snprintf(upper, sizeof(upper), " %.30s", own);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, wrong[i]), FPD_FEED_FOREIGN);
        must_see_nothing(&w);
        fpd_feed_leave(&w);
    }
    fpd_feed_free(other);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(what_is_not_kept_any_more_is_told_so)
{
    fpd_feed *feed = fpd_feed_new();
    char first[FPD_FEED_NUMBER_SIZE], kept[FPD_FEED_NUMBER_SIZE];
    fpd_feed_watcher slow, w;
    fpd_event e;

    fpd_feed_enter(feed, &slow, BOTH, NULL, NULL);
    for (uint64_t i = 0; i < FPD_FEED_EVENTS; i++)
        tell(feed, "u1", i, "uploading");
    ck_assert(!fpd_feed_is_over(&slow));
    tell(feed, "u1", 0, "uploading");
    ck_assert(fpd_feed_is_over(&slow));
    ck_assert_int_eq(fpd_feed_next(&slow, 0, &e), FPD_FEED_BEHIND);
    fpd_feed_leave(&slow);
    fpd_feed_number(feed, 0, first);
    fpd_feed_number(feed, 1, kept);
    ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, first), FPD_FEED_OLD);
    must_see_nothing(&w);
    fpd_feed_leave(&w);
    ck_assert_int_eq(fpd_feed_enter(feed, &w, BOTH, NULL, kept), FPD_FEED_REPLAY);
    ck_assert_uint_eq(must_see(&w, "uploading").number, 2);
    fpd_feed_leave(&w);
    fpd_feed_free(feed);
}
END_TEST

typedef struct waiter {
    fpd_feed_watcher *watcher;
    fpd_feed_result result;
    fpd_event event;
} waiter;

static void *wait_for_event(void *arg)
{
    waiter *w = arg;

    w->result = fpd_feed_next(w->watcher, 20000, &w->event);
    return NULL;
}

static pthread_t begin_to_wait(waiter *w)
{
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_event, w), 0);
    nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
    return thread;
}

/* He is not woken for what does not concern him, and must not be behind when at last something does. */
START_TEST(who_waits_is_never_behind)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher watcher;
    waiter w = { &watcher, FPD_FEED_NOTHING, { 0 } };
    pthread_t thread;

    fpd_feed_enter(feed, &watcher, BOTH, "u1", NULL);
    thread = begin_to_wait(&w);
    for (uint64_t i = 0; i < 3 * (uint64_t)FPD_FEED_EVENTS; i++)
        tell(feed, "u2", i, "uploading");
    tell(feed, "u1", 1, "uploading");
    pthread_join(thread, NULL);
    ck_assert_int_eq(w.result, FPD_FEED_EVENT);
    ck_assert_str_eq(w.event.upload_id, "u1");
    fpd_feed_leave(&watcher);
    fpd_feed_free(feed);
}
END_TEST

START_TEST(closing_ends_all_waiting)
{
    fpd_feed *feed = fpd_feed_new();
    fpd_feed_watcher watcher;
    waiter w = { &watcher, FPD_FEED_NOTHING, { 0 } };
    pthread_t thread;
    fpd_event e;

    fpd_feed_enter(feed, &watcher, BOTH, NULL, NULL);
    thread = begin_to_wait(&w);
    fpd_feed_close(feed);
    pthread_join(thread, NULL);
    ck_assert_int_eq(w.result, FPD_FEED_CLOSED);
    ck_assert(fpd_feed_is_over(&watcher));
    ck_assert_int_eq(fpd_feed_next(&watcher, 20000, &e), FPD_FEED_CLOSED);
    fpd_feed_leave(&watcher);
    fpd_feed_free(feed);
}
END_TEST

static atomic_bool stop;

static void *tell_many(void *feed)
{
    for (uint64_t i = 0; !atomic_load(&stop); i++) {
        tell(feed, "u1", i, "uploading");
        fpd_feed_job(feed, "j1", "f1", "running", 0.5);
    }
    return NULL;
}

static void *come_and_go(void *feed)
{
    for (int i = 0; i < 300; i++) {
        fpd_feed_watcher w;
        fpd_event e;

        fpd_feed_enter(feed, &w, BOTH, i % 2 ? "u1" : NULL, NULL);
        for (int j = 0; j < 5; j++)
            (void)fpd_feed_next(&w, 1, &e);
        fpd_feed_leave(&w);
    }
    return NULL;
}

START_TEST(watchers_come_and_go_while_others_tell)
{
    fpd_feed *feed = fpd_feed_new();
    pthread_t tellers[2], watchers[3];

    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&tellers[i], NULL, tell_many, feed), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&watchers[i], NULL, come_and_go, feed), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(watchers[i], NULL);
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(tellers[i], NULL);
    fpd_feed_free(feed);
}
END_TEST

RUN_TESTS("feed", events_come_in_order_from_the_moment_of_entering,
          a_watcher_gets_the_kinds_that_he_wants, one_upload_is_watched_with_the_jobs_of_its_file,
          one_upload_is_watched_with_what_becomes_of_its_file, who_comes_back_goes_on_where_he_was,
          a_number_that_is_none_of_ours_is_told_so, what_is_not_kept_any_more_is_told_so,
          who_waits_is_never_behind, closing_ends_all_waiting,
          watchers_come_and_go_while_others_tell)
