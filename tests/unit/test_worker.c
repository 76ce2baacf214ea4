/* Owns: the tests of job/worker.c and job/worker_sink.c in one process, and of job/job_claim.c through them.
 * Must not know: what a crash does (test_worker_crash.c). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/version.h>

#include "fault.h"
#include "jobs_world.h"
#include "runner.h"
#include "fresh_database.h"
#include "scratch.h"
#include "storage_steps.h"

#define HELLO_SHA256 "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static fp_error failure(fp_status code, int32_t reason, uint32_t flags)
{
    fp_error e = { 0 };

    (void)!fp_error_reasonf(&e, code, reason, "as the test wants it");
    e.flags = flags;
    return e;
}

static int64_t file_count(jobs_world *w)
{
    return sql_number(w->db, "SELECT COUNT(*) FROM files WHERE parent_id IS NOT NULL");
}

START_TEST(job_runs_to_its_end)
{
    char file_id[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_file_query q = FILEPROC_FILE_QUERY_INIT;
    fp_file_page *page = NULL;
    fp_file *file = NULL;
    fp_error err = { 0 };
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    w.script.outputs = 1;
    w.script.output_size = 5000;
    jobs_add_file(&w, "hello", file_id);
    jobs_add_job(&w, file_id, 2, id);
    ck_assert(work_once(&w));
    job = must_get_job(&w, id);
    ck_assert_str_eq(job->state, "succeeded");
    ck_assert_str_eq(job->result, "{\"s1\":{\"n\":1},\"s2\":{\"n\":1}}");
    ck_assert_double_eq(job->progress, 1.0);
    ck_assert_uint_eq(job->attempt, 1);
    ck_assert_int_gt(job->started_at_ms, 0);
    ck_assert_int_ge(job->finished_at_ms, job->started_at_ms);
    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(file->sha256, HELLO_SHA256);
    ck_assert_str_eq(file->info, "{\"test\":{\"n\":1}}");
    q.parent_id = file_id;
    ck_status(fp_catalog_list(w.cat, &q, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 2);
    for (size_t i = 0; i < 2; i++) {
        const fp_file *made = page->items[i];

        ck_assert_ptr_nonnull(strstr(job->steps, made->id));
        ck_assert_str_eq(made->owner, "alice");
        ck_assert_str_eq(made->operation, "test.work");
        ck_assert_str_eq(made->mime_type, "text/plain");
        ck_assert_str_eq(made->info, "{\"number\":0}");
        ck_assert_uint_eq(made->size, 5000);
        ck_assert_uint_eq(strlen(made->sha256), 64);
        ck_assert(object_exists(w.st, made->storage_key));
    }
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(DISTINCT job_id) FROM files"), 1);
    ck_assert_int_eq(
        sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.job.finished'"), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE lease_until IS NULL"), 1);
    ck_assert_str_eq(w.changes, "queued:0.00 running:0.00 running:0.50 succeeded:1.00 ");
    ck_assert_uint_eq(staged_count(w.st), 0);
    ck_assert(!work_once(&w));
    fp_file_page_free(page);
    fp_file_free(file);
    fp_job_free(job);
    jobs_world_close(&w);
}
END_TEST

START_TEST(detected_type_is_learnt)
{
    char file_id[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_file *file = NULL;
    fp_error err = { 0 };
    jobs_world w;

    if (!fp_feature("media"))
        return;
    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "%PDF-1.4 and so on", file_id);
    must_sql(w.db, "UPDATE files SET detected_mime_type = NULL");
    jobs_add_job(&w, file_id, 1, id);
    ck_assert(work_once(&w));
    must_be_job(&w, id, "succeeded", NULL);
    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(file->detected_mime_type, "application/pdf");
    fp_file_free(file);
    jobs_world_close(&w);
}
END_TEST

START_TEST(known_digest_is_not_computed_again)
{
    char file_id[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_file *file = NULL;
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "hello", file_id);
    must_sql(w.db, "UPDATE files SET sha256 = 'known'");
    jobs_add_job(&w, file_id, 1, id);
    ck_assert(work_once(&w));
    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(file->sha256, "known");
    fp_file_free(file);
    jobs_world_close(&w);
}
END_TEST

START_TEST(what_may_pass_is_tried_again)
{
    static const int32_t reasons[] = { FILEPROC_REASON_HELPER_CRASHED, FILEPROC_REASON_STORAGE_FULL,
                                       FILEPROC_REASON_HELPER_TIMEOUT };
    static const fp_status codes[] = { FILEPROC_ERR_IO, FILEPROC_ERR_QUOTA, FILEPROC_ERR_TIMEOUT };

    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        char id[FPI_UUID_SIZE];
        jobs_world w;
        fp_job *job;

        jobs_world_open(&w, NULL);
        jobs_add(&w, 1, id);
        w.script.failure = failure(codes[i], reasons[i], 0);
        w.script.failures = 1;
        ck_assert(work_once(&w));
        must_be_job(&w, id, "queued", fp_error_reason(&w.script.failure));
        atomic_fetch_add(&w.shift_ms, 10);
        ck_assert(work_once(&w));
        must_be_job(&w, id, "succeeded", NULL);
        job = must_get_job(&w, id);
        ck_assert_uint_eq(job->attempt, 2);
        fp_job_free(job);
        jobs_world_close(&w);
    }
}
END_TEST

START_TEST(what_cannot_succeed_fails_at_once)
{
    const fp_error failures[] = {
        failure(FILEPROC_ERR_IO, FILEPROC_REASON_MEDIA_DAMAGED, FILEPROC_ERROR_PERMANENT),
        failure(FILEPROC_ERR_INVALID, FILEPROC_REASON_MEDIA_ENCRYPTED, 0),
        failure(FILEPROC_ERR_QUOTA, FILEPROC_REASON_OUTPUT_TOO_LARGE, 0),
    };

    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
        char id[FPI_UUID_SIZE];
        jobs_world w;
        fp_job *job;

        jobs_world_open(&w, NULL);
        jobs_add(&w, 2, id);
        w.script.failure = failures[i];
        w.script.failures = 1;
        ck_assert(work_once(&w));
        must_be_job(&w, id, "failed", fp_error_reason(&failures[i]));
        job = must_get_job(&w, id);
        ck_assert_str_eq(job->error_detail, "as the test wants it");
        ck_assert_int_eq(job->error_permanent, 1);
        ck_assert_int_gt(job->finished_at_ms, 0);
        ck_assert_ptr_nonnull(strstr(job->steps, "\"failed\""));
        ck_assert_ptr_nonnull(strstr(job->steps, "\"pending\""));
        fp_job_free(job);
        ck_assert(!work_once(&w));
        ck_assert_int_eq(
            sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.job.finished'"),
            1);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files WHERE sha256 IS NOT NULL"),
                         1);
        jobs_world_close(&w);
    }
}
END_TEST

START_TEST(after_the_last_attempt_it_is_dead)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.failure = failure(FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_CRASHED, 0);
    w.script.failures = 100;
    for (int i = 0; i < 3; i++) {
        ck_assert(work_once(&w));
        atomic_fetch_add(&w.shift_ms, 10);
    }
    must_be_job(&w, id, "dead", "helper_crashed");
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->attempt, 3);
    ck_assert_int_eq(job->error_permanent, 0);
    fp_job_free(job);
    ck_assert(!work_once(&w));
    ck_assert_int_eq(w.script.runs, 3);
    jobs_world_close(&w);
}
END_TEST

/* The second step fails after the first has succeeded. */
static void fail_from_now_on(void *user_data)
{
    jobs_world *w = user_data;

    if (w->script.runs == 2)
        w->script.failures = 1;
}

START_TEST(finished_steps_are_not_run_again)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 2, id);
    w.script.outputs = 2;
    w.script.failure = failure(FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_CRASHED, 0);
    w.script.inside = fail_from_now_on;
    w.script.ud = &w;
    ck_assert(work_once(&w));
    must_be_job(&w, id, "queued", "helper_crashed");
    job = must_get_job(&w, id);
    ck_assert_double_eq(job->progress, 0.5);
    fp_job_free(job);
    ck_assert_int_eq(file_count(&w), 2);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 2); /* not those of the step that failed */
    atomic_fetch_add(&w.shift_ms, 10);
    ck_assert(work_once(&w));
    must_be_job(&w, id, "succeeded", NULL);
    ck_assert_int_eq(w.script.runs, 3);
    ck_assert_int_eq(file_count(&w), 4);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 4);
    jobs_world_close(&w);
}
END_TEST

START_TEST(full_storage_is_tried_again)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.outputs = 1;
    w.script.output_size = JOBS_STORAGE_BYTES + 1;
    ck_assert(work_once(&w));
    must_be_job(&w, id, "queued", "storage_full");
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    ck_assert_uint_eq(staged_count(w.st), 0);
    w.script.output_size = 0;
    atomic_fetch_add(&w.shift_ms, 10);
    ck_assert(work_once(&w));
    must_be_job(&w, id, "succeeded", NULL);
    jobs_world_close(&w);
}
END_TEST

static void cancel_all(void *user_data)
{
    jobs_world *w = user_data;
    fp_job_page *page = NULL;
    fp_error err = { 0 };

    ck_status(fp_job_list(w->jobs, NULL, &page, &err), FILEPROC_OK, &err);
    ck_status(fp_job_cancel(w->jobs, page->items[0]->id, &err), FILEPROC_OK, &err);
    fp_job_page_free(page);
    nanosleep(&(struct timespec){ 0, 150 * 1000000 }, NULL);
}

START_TEST(cancelled_job_stops_at_its_next_tick)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 2, id);
    w.script.outputs = 2;
    w.script.inside = cancel_all;
    w.script.ud = &w;
    w.script.ticks = 1;
    ck_assert(work_once(&w));
    ck_assert_int_eq(w.script.tick_rc, FILEPROC_ERR_CONFLICT);
    ck_assert_int_eq(w.script.runs, 1);
    must_be_job(&w, id, "cancelled", NULL);
    ck_assert_int_eq(file_count(&w), 0);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    ck_assert_str_eq(w.changes, "queued:0.00 running:0.00 cancelled:0.00 ");
    jobs_world_close(&w);
}
END_TEST

static void delete_the_file(void *user_data)
{
    jobs_world *w = user_data;
    fp_file_page *page = NULL;
    fp_error err = { 0 };

    ck_status(fp_catalog_list(w->cat, NULL, &page, &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_delete(w->cat, page->items[0]->id, &err), FILEPROC_OK, &err);
    fp_file_page_free(page);
}

START_TEST(file_deleted_meanwhile_ends_the_job_quietly)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.outputs = 2;
    w.script.inside = delete_the_file;
    w.script.ud = &w;
    ck_assert(work_once(&w));
    must_be_job(&w, id, "cancelled", NULL);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 0);
    ck_assert_uint_eq(count_objects(&w, ""), 0);
    jobs_world_close(&w);
}
END_TEST

START_TEST(job_of_a_file_that_is_gone_is_cancelled)
{
    char gone[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, gone);
    must_sql(w.db, "DELETE FROM files");
    jobs_add(&w, 1, id);
    ck_assert(work_once(&w)); /* goes on to the next one */
    must_be_job(&w, gone, "cancelled", NULL);
    must_be_job(&w, id, "succeeded", NULL);
    job = must_get_job(&w, gone);
    ck_assert_uint_eq(job->attempt, 0);
    ck_assert_int_gt(job->finished_at_ms, 0);
    fp_job_free(job);
    jobs_world_close(&w);
}
END_TEST

/* The clock goes on by two thirds of the lease, and a tick comes. */
static void let_time_pass(void *user_data)
{
    jobs_world *w = user_data;

    atomic_fetch_add(&w->shift_ms, 2000);
}

static void count_renewals(jobs_world *w)
{
    must_sql(w->db, "CREATE TABLE renewals (n BIGINT)");
    if (!fresh_database_is_postgresql(w->db)) {
        must_sql(w->db, "CREATE TRIGGER t AFTER UPDATE OF lease_until ON jobs WHEN new.state ="
                        " 'running' AND old.state = 'running' BEGIN INSERT INTO renewals VALUES"
                        " (new.lease_until - old.lease_until); END");
        return;
    }
    must_sql(w->db,
             "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO"
             " renewals VALUES (new.lease_until - old.lease_until); RETURN NULL; END $$");
    must_sql(w->db, "CREATE TRIGGER t AFTER UPDATE OF lease_until ON jobs FOR EACH ROW WHEN"
                    " (new.state = 'running' AND old.state = 'running') EXECUTE FUNCTION note()");
}

START_TEST(ticks_renew_the_lease)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 3, id);
    count_renewals(&w);
    w.script.inside = let_time_pass;
    w.script.ud = &w;
    w.script.ticks = 20;
    ck_assert(work_once(&w)); /* 6 s of the clock, with a lease of 3 */
    must_be_job(&w, id, "succeeded", NULL);
    ck_status(fp_jobs_maintain(w.jobs, &did, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(did.rescued, 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM renewals"), 3); /* not each tick */
    ck_assert_int_ge(sql_number(w.db, "SELECT MIN(n) FROM renewals"), 2000);
    jobs_world_close(&w);
}
END_TEST

/* The lease runs out, the rescuer takes the job, and another worker does it: all while the first is still at it. */
static void be_overtaken(void *user_data)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    jobs_world *w = user_data;
    fp_error err = { 0 };

    w->script.inside = NULL;
    atomic_fetch_add(&w->shift_ms, 4000);
    ck_status(fp_jobs_maintain(w->jobs, &did, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(did.rescued, 1);
    atomic_fetch_add(&w->shift_ms, 10);
    ck_assert(work_once(w));
}

START_TEST(results_without_the_fence_are_not_committed)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.outputs = 2;
    w.script.inside = be_overtaken;
    w.script.ud = &w;
    ck_assert(work_once(&w));
    ck_assert_int_eq(w.script.runs, 2);
    must_be_job(&w, id, "succeeded", NULL);
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->attempt, 2);
    fp_job_free(job);
    ck_assert_int_eq(file_count(&w), 2);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 2);
    jobs_world_close(&w);
}
END_TEST

static void *bring_the_jobs_back(void *arg)
{
    nanosleep(&(struct timespec){ 0, 250 * 1000000 }, NULL);
    must_sql(arg, "ALTER TABLE elsewhere RENAME TO jobs");
    return NULL;
}

static pthread_t helper;

static void take_the_jobs_away(void *user_data)
{
    jobs_world *w = user_data;

    must_sql(w->db, "ALTER TABLE jobs RENAME TO elsewhere");
    ck_assert_int_eq(pthread_create(&helper, NULL, bring_the_jobs_back, w->db), 0);
}

START_TEST(database_that_is_away_for_a_moment_costs_no_work)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.inside = take_the_jobs_away;
    w.script.ud = &w;
    w.script.ticks = 40;
    ck_assert(work_once(&w));
    pthread_join(helper, NULL);
    ck_assert_int_eq(w.script.tick_rc, FILEPROC_OK);
    must_be_job(&w, id, "succeeded", NULL);
    ck_assert_int_eq(w.script.runs, 1);
    jobs_world_close(&w);
}
END_TEST

static void break_the_outbox(void *user_data)
{
    jobs_world *w = user_data;

    w->script.inside = NULL;
    must_sql(w->db, "ALTER TABLE outbox RENAME TO elsewhere");
}

START_TEST(job_whose_end_could_not_be_written_is_rescued)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    char id[FPI_UUID_SIZE];
    fp_worker *worker = NULL;
    fp_error err = { 0 };
    int32_t ran = -1;
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.outputs = 1;
    w.script.inside = break_the_outbox;
    w.script.ud = &w;
    ck_status(fp_worker_new(w.jobs, &worker, &err), FILEPROC_OK, &err);
    ck_assert_int_lt(fp_worker_run(worker, 0, &ran, &err), 0);
    ck_assert_int_eq(ran, -1);
    ck_assert_int_ne(err.message[0], 0);
    must_sql(w.db, "ALTER TABLE elsewhere RENAME TO outbox");
    must_be_job(&w, id, "running", NULL);
    ck_assert_int_eq(file_count(&w), 0);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    atomic_fetch_add(&w.shift_ms, 4000);
    ck_status(fp_jobs_maintain(w.jobs, &did, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(did.rescued, 1);
    atomic_fetch_add(&w.shift_ms, 10);
    ck_status(fp_worker_run(worker, 0, &ran, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(ran, 1);
    must_be_job(&w, id, "succeeded", NULL);
    ck_assert_int_eq(file_count(&w), 1);
    fp_worker_free(worker);
    jobs_world_close(&w);
}
END_TEST

/* A worker on a thread of its own. */
typedef struct labourer {
    fp_jobs *jobs;
    fp_worker *worker;
    uint32_t timeout_ms;
    int32_t ran;
    fp_status rc;
    int64_t took_ms;
    pthread_t thread;
} labourer;

static void *labour(void *arg)
{
    labourer *l = arg;
    int64_t began = fpi_monotonic_ms();

    l->rc = fp_worker_run(l->worker, l->timeout_ms, &l->ran, NULL);
    l->took_ms = fpi_monotonic_ms() - began;
    return NULL;
}

static void start(labourer *l, jobs_world *w, uint32_t timeout_ms)
{
    fp_error err = { 0 };

    *l = (labourer){ .jobs = w->jobs, .timeout_ms = timeout_ms, .ran = -1 };
    ck_status(fp_worker_new(w->jobs, &l->worker, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(pthread_create(&l->thread, NULL, labour, l), 0);
}

static void finish(labourer *l)
{
    pthread_join(l->thread, NULL);
    fp_worker_free(l->worker);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

START_TEST(stopped_worker_gives_its_job_back)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;
    fp_job *job;
    labourer l;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    w.script.outputs = 2;
    w.script.ticks = 10000;
    start(&l, &w, 0);
    while (!w.script.running)
        pause_ms(5);
    fp_worker_stop(l.worker);
    finish(&l);
    ck_assert_int_eq(l.rc, FILEPROC_ERR_CANCELLED);
    ck_assert_int_eq(l.ran, -1);
    ck_assert_int_lt(l.took_ms, 5000);
    must_be_job(&w, id, "queued", NULL);
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->attempt, 0);
    fp_job_free(job);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    w.script.ticks = 0;
    ck_assert(work_once(&w));
    must_be_job(&w, id, "succeeded", NULL);
    ck_assert_int_eq(file_count(&w), 2);
    jobs_world_close(&w);
}
END_TEST

START_TEST(stopped_worker_takes_no_job)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    jobs_world w;
    labourer l;

    jobs_world_open(&w, NULL);
    start(&l, &w, 60000);
    pause_ms(100);
    fp_worker_stop(l.worker);
    pthread_join(l.thread, NULL);
    ck_assert_int_eq(l.rc, FILEPROC_ERR_CANCELLED);
    ck_assert_int_lt(l.took_ms, 2000);
    jobs_add(&w, 1, id);
    ck_status(fp_worker_run(l.worker, 0, &l.ran, &err), FILEPROC_ERR_CANCELLED, &err);
    must_be_job(&w, id, "queued", NULL);
    fp_worker_free(l.worker);
    fp_worker_stop(NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(waiting_worker_hears_of_a_new_job)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;
    labourer l;

    jobs_world_open(&w, NULL);
    start(&l, &w, 20000);
    pause_ms(100);
    jobs_add(&w, 1, id);
    finish(&l);
    ck_assert_int_eq(l.rc, FILEPROC_OK);
    ck_assert_int_eq(l.ran, 1);
    ck_assert_int_lt(l.took_ms, 2000);
    must_be_job(&w, id, "succeeded", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(waiting_worker_wakes_when_a_retry_is_due)
{
    char id[FPI_UUID_SIZE];
    fp_message *bell = NULL;
    fp_error err = { 0 };
    jobs_world w;
    labourer l;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    ck_status(fp_queue_receive(w.q, FPI_JOB_TOPIC, 0, &bell, &err), FILEPROC_OK, &err);
    ck_status(fp_message_ack(bell, &err), FILEPROC_OK, &err);
    fp_message_free(bell);
    must_sql(w.db, "UPDATE jobs SET run_at = run_at + 450");
    start(&l, &w, 20000);
    finish(&l);
    ck_assert_int_eq(l.ran, 1);
    ck_assert_int_ge(l.took_ms, 300);
    ck_assert_int_lt(l.took_ms, 2000);
    jobs_world_close(&w);
}
END_TEST

START_TEST(waiting_ends_with_its_time_or_when_the_queue_is_woken)
{
    jobs_world w;
    labourer l;

    jobs_world_open(&w, NULL);
    start(&l, &w, 300);
    finish(&l);
    ck_assert_int_eq(l.rc, FILEPROC_OK);
    ck_assert_int_eq(l.ran, 0);
    ck_assert_int_ge(l.took_ms, 299);
    start(&l, &w, 60000);
    pause_ms(50);
    fp_queue_wake(w.q);
    finish(&l);
    ck_assert_int_eq(l.rc, FILEPROC_OK);
    ck_assert_int_eq(l.ran, 0);
    ck_assert_int_lt(l.took_ms, 2000);
    jobs_world_close(&w);
}
END_TEST

START_TEST(doorbells_are_taken_with_their_jobs)
{
    char id[FPI_UUID_SIZE];
    fp_message *bell = NULL;
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < 5; i++)
        jobs_add(&w, 1, id);
    for (int i = 0; i < 5; i++)
        ck_assert(work_once(&w));
    ck_status(fp_queue_receive(w.q, FPI_JOB_TOPIC, 0, &bell, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(bell);
    jobs_world_close(&w);
}
END_TEST

START_TEST(serving_runs_all_jobs_and_ends_with_none_in_hand)
{
    fp_worker *worker = NULL;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    uint64_t ran = 0;
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < 7; i++)
        jobs_add(&w, i % 3 + 1, id);
    ck_status(fp_worker_new(w.jobs, &worker, &err), FILEPROC_OK, &err);
    ck_status(fp_worker_serve(worker, 0, &ran, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(ran, 7);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'succeeded' AND"
                                      " attempt = 1 AND fence = 1"),
                     7);
    ck_status(fp_worker_serve(worker, 0, &ran, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(ran, 0);
    fp_worker_free(worker);
    jobs_world_close(&w);
}
END_TEST

START_TEST(failing_jobs_do_not_end_serving)
{
    fp_worker *worker = NULL;
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    uint64_t ran = 0;
    jobs_world w;

    jobs_world_open(&w, NULL);
    w.script.failure =
        failure(FILEPROC_ERR_INVALID, FILEPROC_REASON_FILE_NOT_FOUND, FILEPROC_ERROR_PERMANENT);
    w.script.failures = 2;
    for (int i = 0; i < 4; i++)
        jobs_add(&w, 1, id);
    ck_status(fp_worker_new(w.jobs, &worker, &err), FILEPROC_OK, &err);
    ck_status(fp_worker_serve(worker, 0, &ran, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(ran, 4);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'failed'"), 2);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'succeeded'"), 2);
    fp_worker_free(worker);
    jobs_world_close(&w);
}
END_TEST

static void stop_worker(void *user_data)
{
    fp_worker_stop(*(fp_worker **)user_data);
}

/* The one in progress comes to its end, as it does not tick; the next, which was taken with that end, goes back. */
START_TEST(stopped_while_serving_gives_the_next_job_back)
{
    fp_worker *worker = NULL;
    char id[2][FPI_UUID_SIZE], file_id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    uint64_t ran = 0;
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "hello", file_id);
    jobs_add_job(&w, file_id, 1, id[0]);
    ck_assert(work_once(&w)); /* all is known of the file */
    for (int i = 0; i < 2; i++)
        jobs_add_job(&w, file_id, 1, id[i]);
    ck_status(fp_worker_new(w.jobs, &worker, &err), FILEPROC_OK, &err);
    w.script.inside = stop_worker;
    w.script.ud = &worker;
    ck_status(fp_worker_serve(worker, 0, &ran, &err), FILEPROC_ERR_CANCELLED, &err);
    ck_assert_uint_eq(ran, 1);
    must_be_job(&w, id[0], "succeeded", NULL);
    must_be_job(&w, id[1], "queued", NULL);
    job = must_get_job(&w, id[1]);
    ck_assert_uint_eq(job->attempt, 0);
    fp_job_free(job);
    fp_worker_free(worker);
    jobs_world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_worker *worker = NULL;
    jobs_world w;

    jobs_world_open(&w, NULL);
    ck_assert_int_eq(fp_worker_new(NULL, &worker, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_worker_new(w.jobs, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_worker_run(NULL, 0, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_worker_serve(NULL, 0, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(worker);
    fp_worker_free(NULL);
    jobs_world_close(&w);
}
END_TEST

/* What a failure leaves must be finished by the next worker, with every derivative once. */
START_TEST(new_and_run_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_worker *worker = NULL;
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        jobs_add(&w, 2, id);
        w.script.outputs = 1;
        w.script.output_size = 10;
        fault_arm(&f);
        rc = fp_worker_new(w.jobs, &worker, &err);
        if (rc == FILEPROC_OK)
            rc = fp_worker_run(worker, 0, NULL, &err);
        fault_judge(&f, rc, &err);
        fp_worker_free(worker);
        atomic_fetch_add(&w.shift_ms, 4000);
        ck_status(fp_jobs_maintain(w.jobs, NULL, &err), FILEPROC_OK, &err);
        atomic_fetch_add(&w.shift_ms, 4000);
        (void)work_once(&w);
        must_be_job(&w, id, "succeeded", NULL);
        ck_assert_int_eq(file_count(&w), 2);
        atomic_fetch_add(&w.shift_ms, 4000); /* then is looked for what could not be removed */
        ck_status(fp_jobs_maintain(w.jobs, NULL, &err), FILEPROC_OK, &err);
        ck_assert_uint_eq(count_objects(&w, "derivatives/"), 2);
        ck_assert_uint_eq(staged_count(w.st), 0);
        jobs_world_close(&w);
    }
}
END_TEST

/* Serving two jobs: what a failure leaves is finished by the next worker. */
START_TEST(serving_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_worker *worker = NULL;
        char id[2][FPI_UUID_SIZE];
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        for (int i = 0; i < 2; i++)
            jobs_add(&w, 1, id[i]);
        ck_status(fp_worker_new(w.jobs, &worker, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_worker_serve(worker, 0, NULL, &err);
        fault_judge(&f, rc, &err);
        fp_worker_free(worker);
        for (int i = 0; i < 4; i++) {
            atomic_fetch_add(&w.shift_ms, 4000);
            ck_status(fp_jobs_maintain(w.jobs, NULL, &err), FILEPROC_OK, &err);
            (void)work_once(&w);
        }
        for (int i = 0; i < 2; i++)
            must_be_job(&w, id[i], "succeeded", NULL);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("worker", job_runs_to_its_end, detected_type_is_learnt,
          known_digest_is_not_computed_again, what_may_pass_is_tried_again,
          what_cannot_succeed_fails_at_once, after_the_last_attempt_it_is_dead,
          finished_steps_are_not_run_again, full_storage_is_tried_again,
          cancelled_job_stops_at_its_next_tick, file_deleted_meanwhile_ends_the_job_quietly,
          job_of_a_file_that_is_gone_is_cancelled, ticks_renew_the_lease,
          results_without_the_fence_are_not_committed,
          database_that_is_away_for_a_moment_costs_no_work,
          job_whose_end_could_not_be_written_is_rescued, stopped_worker_gives_its_job_back,
          stopped_worker_takes_no_job, waiting_worker_hears_of_a_new_job,
          waiting_worker_wakes_when_a_retry_is_due,
          waiting_ends_with_its_time_or_when_the_queue_is_woken,
          doorbells_are_taken_with_their_jobs, serving_runs_all_jobs_and_ends_with_none_in_hand,
          failing_jobs_do_not_end_serving, stopped_while_serving_gives_the_next_job_back,
          wrong_arguments_are_refused, new_and_run_survive_every_allocation_failure,
          serving_survives_every_allocation_failure)
