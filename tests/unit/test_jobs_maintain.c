/* Owns: the tests of job/jobs_maintain.c.
 * Must not know: how jobs run. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/outbox.h"
#include "fault.h"
#include "fresh_database.h"
#include "job/job_claim.h"
#include "job/job_output.h"
#include "job/job_process.h"
#include "job/jobs_private.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

static fp_jobs_maintenance maintain(jobs_world *w)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    fp_error err = { 0 };

    ck_status(fp_jobs_maintain(w->jobs, &did, &err), FILEPROC_OK, &err);
    return did;
}

/* Claims the next job for a worker of this name and forgets about it, as one that hangs or is gone would. */
static void claim_as(jobs_world *w, const char *worker)
{
    fpi_claim claim = { .jobs = w->jobs, .worker = worker };
    fp_error err = { 0 };
    bool taken = false;

    ck_status(fpi_claim_take(&claim, &taken, &err), FILEPROC_OK, &err);
    ck_assert(taken);
    fpi_claim_dispose(&claim);
}

/* The name of a worker whose process has ended. */
static void name_of_the_dead(jobs_world *w, char name[FPI_WORKER_NAME_SIZE])
{
    int status, ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char own[FPI_WORKER_NAME_SIZE] = "";

        if (fpi_worker_name(w->ctx, own, NULL) < 0 || write(ends[1], own, sizeof(own)) < 0)
            _exit(1);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(read(ends[0], name, FPI_WORKER_NAME_SIZE), FPI_WORKER_NAME_SIZE);
    close(ends[0]);
    close(ends[1]);
}

START_TEST(job_with_a_lease_is_left_alone)
{
    char id[FPI_UUID_SIZE], own[FPI_WORKER_NAME_SIZE];
    fp_jobs_maintenance did;
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    jobs_add(&w, 1, id);
    jobs_add(&w, 1, id);
    ck_assert_int_eq(fpi_worker_name(w.ctx, own, NULL), FILEPROC_OK);
    claim_as(&w, own);
    claim_as(&w, "a worker elsewhere");
    atomic_fetch_add(&w.shift_ms, 2500);
    did = maintain(&w);
    ck_assert_uint_eq(did.rescued, 0);
    ck_assert_uint_eq(did.dead, 0);
    ck_assert_uint_eq(did.queued, 1);
    ck_assert_uint_eq(did.running, 2);
    jobs_world_close(&w);
}
END_TEST

START_TEST(job_whose_lease_ran_out_is_queued_again)
{
    char id[FPI_UUID_SIZE];
    fp_jobs_maintenance did;
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    claim_as(&w, "a worker elsewhere");
    atomic_fetch_add(&w.shift_ms, 3001);
    did = maintain(&w);
    ck_assert_uint_eq(did.rescued, 1);
    ck_assert_uint_eq(did.dead, 0);
    ck_assert_uint_eq(did.queued, 1);
    ck_assert_uint_eq(did.running, 0);
    must_be_job(&w, id, "queued", "worker_lost");
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->attempt, 1); /* it was started */
    fp_job_free(job);
    ck_assert_str_eq(w.changes, "queued:0.00 running:0.00 queued:0.00 ");
    ck_assert_uint_eq(maintain(&w).rescued, 0);
    atomic_fetch_add(&w.shift_ms, 10);
    ck_assert(work_once(&w));
    must_be_job(&w, id, "succeeded", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(job_of_a_dead_process_need_not_wait_for_its_lease)
{
    char id[FPI_UUID_SIZE], name[FPI_WORKER_NAME_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    name_of_the_dead(&w, name);
    jobs_add(&w, 1, id);
    claim_as(&w, name);
    ck_assert_uint_eq(maintain(&w).rescued, 1);
    must_be_job(&w, id, "queued", "worker_lost");
    jobs_world_close(&w);
}
END_TEST

START_TEST(job_without_an_attempt_left_is_dead)
{
    char id[FPI_UUID_SIZE];
    fp_jobs_maintenance did;
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 2, id);
    for (int i = 0; i < 3; i++) {
        claim_as(&w, "a worker elsewhere");
        atomic_fetch_add(&w.shift_ms, 4000);
        did = maintain(&w);
        atomic_fetch_add(&w.shift_ms, 10);
    }
    ck_assert_uint_eq(did.rescued, 0);
    ck_assert_uint_eq(did.dead, 1);
    must_be_job(&w, id, "dead", "worker_lost");
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->attempt, 3);
    ck_assert_int_gt(job->finished_at_ms, 0);
    ck_assert_ptr_nonnull(strstr(job->steps, "\"failed\""));
    fp_job_free(job);
    ck_assert(!work_once(&w));
    ck_assert_int_eq(
        sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.job.finished'"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(any_number_of_lost_jobs_is_rescued)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < 150; i++) {
        jobs_add(&w, 1, id);
        claim_as(&w, "a worker elsewhere");
    }
    atomic_fetch_add(&w.shift_ms, 3001);
    ck_assert_uint_eq(maintain(&w).rescued, 150);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'queued'"), 150);
    jobs_world_close(&w);
}
END_TEST

static void put(jobs_world *w, const char *id, int64_t fence)
{
    char key[FPI_JOB_OUTPUT_KEY_SIZE];

    fpi_job_output_key(id, fence, 0, key);
    must_put(w->st, key, 1, 10);
}

typedef struct held {
    jobs_world *w;
    const char *id;
    fp_jobs_maintenance did;
} held;

/* A worker that is stopped in the middle of a transaction keeps the rows that it has changed. */
static fp_status hold_and_maintain(fp_tx *tx, void *user_data, fp_error *err)
{
    held *h = user_data;
    const fp_value params[] = { FILEPROC_V_TEXT(h->id) };
    fp_status rc =
        fp_tx_exec(tx, "UPDATE jobs SET progress = 0.5 WHERE id = $1", params, 1, NULL, err);

    if (rc == FILEPROC_OK)
        h->did = maintain(h->w);
    return rc;
}

START_TEST(job_that_a_hung_worker_holds_keeps_no_other_from_being_rescued)
{
    char ids[3][FPI_UUID_SIZE];
    fp_database *other = NULL;
    fp_error err = { 0 };
    held h = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    if (fresh_database_is_postgresql(w.db)) { /* the other one has one writer */
        for (size_t i = 0; i < 3; i++) {
            jobs_add(&w, 1, ids[i]);
            claim_as(&w, "a worker elsewhere");
        }
        atomic_fetch_add(&w.shift_ms, 3001);
        ck_status(fp_database_open(w.ctx, w.fresh_uri, NULL, &other, &err), FILEPROC_OK, &err);
        h = (held){ .w = &w, .id = ids[1], .did = FILEPROC_JOBS_MAINTENANCE_INIT };
        ck_status(
            fp_database_transact(other, FILEPROC_TX_READ_COMMITTED, hold_and_maintain, &h, &err),
            FILEPROC_OK, &err);
        ck_assert_uint_eq(h.did.rescued, 2);
        must_be_job(&w, ids[1], "running", NULL);
        ck_assert_uint_eq(maintain(&w).rescued, 1);
        fp_database_free(other);
    }
    jobs_world_close(&w);
}
END_TEST

START_TEST(what_a_dead_process_left_is_removed_at_once)
{
    char id[FPI_UUID_SIZE], name[FPI_WORKER_NAME_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    name_of_the_dead(&w, name);
    jobs_add(&w, 1, id);
    claim_as(&w, name);
    put(&w, id, 1);
    (void)maintain(&w);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE lease_until IS NULL"), 1);
    jobs_world_close(&w);
}
END_TEST

/* It may be slow instead of dead: then what it has just stored is still its own to remove. */
START_TEST(what_a_slow_worker_left_is_removed_later)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    claim_as(&w, "a worker elsewhere");
    put(&w, id, 1);
    atomic_fetch_add(&w.shift_ms, 3001);
    ck_assert_uint_eq(maintain(&w).rescued, 1);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 1);
    atomic_fetch_add(&w.shift_ms, 100);
    ck_assert(work_once(&w)); /* its end puts the time off */
    (void)maintain(&w);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 1);
    atomic_fetch_add(&w.shift_ms, 3001);
    (void)maintain(&w);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE lease_until IS NULL"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(leftovers_of_a_cancelled_job_are_removed)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    claim_as(&w, "a worker elsewhere");
    put(&w, id, 1);
    ck_status(fp_job_cancel(w.jobs, id, &err), FILEPROC_OK, &err);
    (void)maintain(&w);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 1);
    atomic_fetch_add(&w.shift_ms, 3001);
    (void)maintain(&w);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    must_be_job(&w, id, "cancelled", NULL);
    jobs_world_close(&w);
}
END_TEST

static bool take_bell(jobs_world *w)
{
    fp_message *bell = NULL;
    fp_error err = { 0 };

    ck_status(fp_queue_receive(w->q, FPI_JOB_TOPIC, 0, &bell, &err), FILEPROC_OK, &err);
    if (!bell)
        return false;
    ck_status(fp_message_ack(bell, &err), FILEPROC_OK, &err);
    fp_message_free(bell);
    return true;
}

START_TEST(doorbell_rings_for_a_job_that_nobody_rang_for)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    (void)maintain(&w);
    ck_assert(!take_bell(&w));
    for (int i = 0; i < 3; i++) {
        jobs_add(&w, 1, id);
        ck_assert(take_bell(&w));
    }
    (void)maintain(&w);
    ck_assert(take_bell(&w));
    ck_assert(!take_bell(&w)); /* one starts a worker, which goes on */
    must_sql(w.db, "UPDATE jobs SET run_at = run_at + 1000");
    (void)maintain(&w);
    ck_assert(!take_bell(&w));
    atomic_fetch_add(&w.shift_ms, 1000);
    (void)maintain(&w);
    ck_assert(take_bell(&w));
    jobs_world_close(&w);
}
END_TEST

static fp_status append_event(fp_tx *tx, void *user_data, fp_error *err)
{
    jobs_world *w = user_data;

    return fpi_outbox_append(w->ctx, tx, "test.event", "x", "{}", err);
}

START_TEST(events_are_kept_for_a_day)
{
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    ck_status(fp_database_transact(w.db, 0, append_event, &w, &err), FILEPROC_OK, &err);
    atomic_fetch_add(&w.shift_ms, 86300 * 1000);
    (void)maintain(&w);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 1);
    atomic_fetch_add(&w.shift_ms, 200 * 1000);
    (void)maintain(&w);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 0);
    jobs_world_close(&w);
}
END_TEST

#define DAY_MS (INT64_C(24) * 3600 * 1000)

START_TEST(ended_jobs_are_forgotten_when_their_time_is_over)
{
    char waiting[FPI_UUID_SIZE], done[FPI_UUID_SIZE], dirty[FPI_UUID_SIZE];
    fp_jobs_maintenance did;
    fp_error err = { 0 };
    fp_job *job = NULL;
    jobs_world w;

    jobs_world_open(&w, NULL);
    w.jobs->o.retention_ms = 30 * DAY_MS;
    w.script.outputs = 1;
    jobs_add(&w, 1, done);
    ck_assert(work_once(&w));
    jobs_add(&w, 1, dirty);
    jobs_add(&w, 1, waiting);
    ck_status(fp_job_cancel(w.jobs, dirty, &err), FILEPROC_OK, &err);
    atomic_fetch_add(&w.shift_ms, 29 * DAY_MS);
    ck_assert_uint_eq(maintain(&w).forgotten, 0);
    /* Something may be left of this one, and it can't be looked for yet. */
    must_sql(w.db, "UPDATE jobs SET lease_until = 9000000000000000 WHERE state = 'cancelled'");
    atomic_fetch_add(&w.shift_ms, 2 * DAY_MS);
    did = maintain(&w);
    ck_assert_uint_eq(did.forgotten, 1);
    ck_assert_uint_eq(did.queued, 1);
    ck_reason(fp_job_get(w.jobs, done, &job, &err), FILEPROC_ERR_NOTFOUND, "job_not_found", &err);
    must_be_job(&w, dirty, "cancelled", NULL);
    must_be_job(&w, waiting, "queued", NULL);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files WHERE parent_id IS NOT NULL"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(without_a_retention_jobs_are_kept)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    ck_assert(work_once(&w));
    atomic_fetch_add(&w.shift_ms, 36500 * DAY_MS);
    ck_assert_uint_eq(maintain(&w).forgotten, 0);
    must_be_job(&w, id, "succeeded", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_backlog_of_ended_jobs_is_forgotten_bit_by_bit)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open(&w, NULL);
    w.jobs->o.retention_ms = 1000;
    jobs_add(&w, 1, id);
    ck_assert(work_once(&w));
    must_sql(w.db,
             "UPDATE jobs SET id = '00-0'"); /* ids never go back in a process, its clock did */
    must_sql(w.db,
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1499)"
             " INSERT INTO jobs SELECT '00-' || i, file_id, owner, pipeline, definition, state,"
             " attempt, max_attempts, fence, worker, lease_until, run_at, progress, steps,"
             " error_code, error_detail, error_permanent, result, created_at, started_at,"
             " finished_at, gate FROM jobs, n");
    atomic_fetch_add(&w.shift_ms, 2000);
    ck_assert_uint_eq(maintain(&w).forgotten, 1000);
    ck_assert_uint_eq(maintain(&w).forgotten, 500);
    ck_assert_uint_eq(maintain(&w).forgotten, 0);
    jobs_world_close(&w);
}
END_TEST

START_TEST(maintain_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char id[FPI_UUID_SIZE], last[FPI_UUID_SIZE];
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        jobs_add(&w, 1, last);
        jobs_add(&w, 1, id);
        must_sql(w.db, "UPDATE jobs SET max_attempts = 1 WHERE id = (SELECT MIN(id) FROM jobs)");
        claim_as(&w, "a worker elsewhere");
        claim_as(&w, "a worker elsewhere");
        put(&w, id, 1);
        atomic_fetch_add(&w.shift_ms, 3001);
        fault_arm(&f);
        rc = fp_jobs_maintain(w.jobs, NULL, &err);
        fault_judge(&f, rc, &err);
        (void)maintain(&w);
        must_be_job(&w, last, "dead", "worker_lost");
        must_be_job(&w, id, "queued", "worker_lost");
        jobs_world_close(&w);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    jobs_world w;

    jobs_world_open(&w, NULL);
    ck_assert_int_eq(fp_jobs_maintain(NULL, &did, NULL), FILEPROC_ERR_INVALID);
    did.struct_size = 1;
    ck_assert_int_eq(fp_jobs_maintain(w.jobs, &did, NULL), FILEPROC_ERR_INVALID);
    jobs_world_close(&w);
}
END_TEST

RUN_TESTS("jobs_maintain", job_with_a_lease_is_left_alone, job_whose_lease_ran_out_is_queued_again,
          job_of_a_dead_process_need_not_wait_for_its_lease, job_without_an_attempt_left_is_dead,
          any_number_of_lost_jobs_is_rescued,
          job_that_a_hung_worker_holds_keeps_no_other_from_being_rescued,
          what_a_dead_process_left_is_removed_at_once, what_a_slow_worker_left_is_removed_later,
          leftovers_of_a_cancelled_job_are_removed, doorbell_rings_for_a_job_that_nobody_rang_for,
          events_are_kept_for_a_day, ended_jobs_are_forgotten_when_their_time_is_over,
          without_a_retention_jobs_are_kept, a_backlog_of_ended_jobs_is_forgotten_bit_by_bit,
          maintain_survives_every_allocation_failure, wrong_arguments_are_refused)
