/* Owns: the tests of job/jobs.c: jobs being queued, read, cancelled.
 * Must not know: how they run. */
#include <string.h>

#include "fault.h"
#include "job/job_claim.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define UNKNOWN "0198c000-0000-7000-8000-000000000001"

START_TEST(created_job_is_queued_with_its_steps)
{
    char file_id[FPI_UUID_SIZE], id[FPI_UUID_SIZE];
    fp_message *bell = NULL;
    fp_error err = { 0 };
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "hello", file_id);
    jobs_add_job(&w, file_id, 2, id);
    job = must_get_job(&w, id);
    ck_assert_uint_eq(job->struct_size, sizeof(*job));
    ck_assert_str_eq(job->file_id, file_id);
    ck_assert_str_eq(job->owner, "alice");
    ck_assert_str_eq(job->pipeline, "inline");
    ck_assert_str_eq(job->state, "queued");
    ck_assert_str_eq(
        job->steps,
        "[{\"name\":\"s1\",\"operation\":\"test.work\",\"state\":\"pending\",\"outputs\":[]},"
        "{\"name\":\"s2\",\"operation\":\"test.work\",\"state\":\"pending\",\"outputs\":[]}]");
    ck_assert_ptr_null(job->error_code);
    ck_assert_ptr_null(job->error_detail);
    ck_assert_ptr_null(job->result);
    ck_assert_double_eq(job->progress, 0.0);
    ck_assert_int_gt(job->created_at_ms, 1600000000000);
    ck_assert_int_eq(job->started_at_ms, 0);
    ck_assert_int_eq(job->finished_at_ms, 0);
    ck_assert_uint_eq(job->attempt, 0);
    ck_assert_uint_eq(job->max_attempts, 3);
    ck_assert_int_eq(job->error_permanent, 0);
    fp_job_free(job);
    ck_assert_str_eq(w.changes, "queued:0.00 ");
    ck_status(fp_queue_receive(w.q, FPI_JOB_TOPIC, 0, &bell, &err), FILEPROC_OK, &err);
    ck_assert_ptr_nonnull(bell);
    ck_assert_str_eq(fp_message_body(bell, NULL), id);
    fp_message_free(bell);
    jobs_world_close(&w);
}
END_TEST

START_TEST(wrong_requests_queue_nothing)
{
    static const struct {
        const char *pipeline;
        fp_status rc;
        const char *reason;
    } cases[] = {
        { NULL, FILEPROC_ERR_INVALID, "pipeline_unknown" }, /* no default for octet-stream */
        { "nobody-knows", FILEPROC_ERR_NOTFOUND, "pipeline_unknown" },
        { "{\"steps\":[]}", FILEPROC_ERR_INVALID, "pipeline_invalid" },
        { "{\"steps\":[{\"operation\":\"test.none\"}]}", FILEPROC_ERR_INVALID,
          "operation_unknown" },
        { "{\"steps\":[{\"operation\":\"test.work\",\"params\":{\"x\":1}}]}", FILEPROC_ERR_INVALID,
          "parameter_invalid" },
    };
    char file_id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    fp_job *job = NULL;
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "hello", file_id);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        ck_reason(fp_job_create(w.jobs, file_id, cases[i].pipeline, &job, &err), cases[i].rc,
                  cases[i].reason, &err);
    ck_reason(fp_job_create(w.jobs, UNKNOWN, "inline", &job, &err), FILEPROC_ERR_NOTFOUND,
              "file_not_found", &err);
    ck_reason(fp_job_create(w.jobs, "../x", "inline", &job, &err), FILEPROC_ERR_NOTFOUND,
              "file_not_found", &err);
    ck_status(fp_catalog_delete(w.cat, file_id, &err), FILEPROC_OK, &err);
    ck_reason(fp_job_create(w.jobs, file_id, cases[0].pipeline, &job, &err), FILEPROC_ERR_NOTFOUND,
              "file_not_found", &err);
    ck_assert_ptr_null(job);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs"), 0);
    ck_assert_str_eq(w.changes, "");
    jobs_world_close(&w);
}
END_TEST

typedef struct insert_call {
    jobs_world *w;
    const char *file_id, *definition;
    char id[FPI_UUID_SIZE];
    bool fail;
} insert_call;

static fp_status insert_body(fp_tx *tx, void *user_data, fp_error *err)
{
    insert_call *c = user_data;
    fp_status rc =
        fpi_job_insert(c->w->jobs, tx, c->id, c->file_id, NULL, c->definition, false, err);

    return rc == FILEPROC_OK && c->fail ? fp_error_setf(err, FILEPROC_ERR_USER, "as told") : rc;
}

START_TEST(default_job_belongs_to_the_transaction_that_makes_it)
{
    fp_buf definition = FILEPROC_BUF_INIT, none = FILEPROC_BUF_INIT;
    insert_call c = { .file_id = UNKNOWN, .fail = true };
    fp_error err = { 0 };
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    c.w = &w;
    ck_status(fpi_job_default_definition(w.jobs, "x-nobody/knows", &none, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(none.size, 0);
    ck_status(fpi_job_default_definition(w.jobs, "image/png", &definition, &err), FILEPROC_OK,
              &err);
    c.definition = definition.data;
    ck_status(fpi_uuid7(w.ctx, c.id, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w.db, 0, insert_body, &c, &err), FILEPROC_ERR_USER, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs"), 0);
    c.fail = false;
    ck_status(fp_database_transact(w.db, 0, insert_body, &c, &err), FILEPROC_OK, &err);
    job = must_get_job(&w, c.id);
    ck_assert_str_eq(job->state, "queued");
    ck_assert_str_ne(job->pipeline, "inline");
    ck_assert_ptr_null(job->owner);
    fp_job_free(job);
    fp_buf_dispose(&definition);
    jobs_world_close(&w);
}
END_TEST

START_TEST(unknown_job_is_not_found)
{
    static const char *const ids[] = { UNKNOWN, "", "x", "../../etc" };
    fp_error err = { 0 };
    fp_job *job = NULL;
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        ck_reason(fp_job_get(w.jobs, ids[i], &job, &err), FILEPROC_ERR_NOTFOUND, "job_not_found",
                  &err);
        ck_reason(fp_job_cancel(w.jobs, ids[i], &err), FILEPROC_ERR_NOTFOUND, "job_not_found",
                  &err);
    }
    ck_assert_ptr_null(job);
    jobs_world_close(&w);
}
END_TEST

START_TEST(cancelled_job_is_never_claimed)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    jobs_world w;
    fp_job *job;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    ck_status(fp_job_cancel(w.jobs, id, &err), FILEPROC_OK, &err);
    job = must_get_job(&w, id);
    ck_assert_str_eq(job->state, "cancelled");
    ck_assert_int_gt(job->finished_at_ms, 0);
    fp_job_free(job);
    ck_reason(fp_job_cancel(w.jobs, id, &err), FILEPROC_ERR_CONFLICT, "job_finished", &err);
    ck_assert(!work_once(&w));
    ck_assert_int_eq(w.script.runs, 0);
    ck_assert_str_eq(w.changes, "queued:0.00 cancelled:0.00 ");
    ck_assert_int_eq(
        sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.job.finished'"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(cancelling_takes_the_job_from_its_worker)
{
    fpi_claim claim = { .worker = "me" };
    fpi_claim_commit m = { .fate = FPI_FATE_SUCCEEDED, .result = "{}", .progress = 1.0 };
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    bool taken = false;
    jobs_world w;

    jobs_world_open(&w, NULL);
    jobs_add(&w, 1, id);
    claim.jobs = w.jobs;
    ck_status(fpi_claim_take(&claim, &taken, &err), FILEPROC_OK, &err);
    ck_assert(taken);
    ck_status(fp_job_cancel(w.jobs, id, &err), FILEPROC_OK, &err);
    ck_reason(fpi_claim_check(&claim, &err), FILEPROC_ERR_CONFLICT, "lease_lost", &err);
    ck_reason(fpi_claim_renew(&claim, &err), FILEPROC_ERR_CONFLICT, "lease_lost", &err);
    ck_reason(fpi_claim_write(&claim, &m, NULL, &taken, &err), FILEPROC_ERR_CONFLICT, "lease_lost",
              &err);
    must_be_job(&w, id, "cancelled", NULL);
    fpi_claim_dispose(&claim);
    jobs_world_close(&w);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    fp_jobs_options o = FILEPROC_JOBS_OPTIONS_INIT;
    fp_jobs *jobs = NULL;
    fp_job *job = NULL;
    jobs_world w;

    jobs_world_open(&w, NULL);
    ck_assert_int_eq(fp_jobs_open(w.ctx, NULL, &jobs, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_jobs_open(w.ctx, &o, &jobs, NULL), FILEPROC_ERR_INVALID);
    o.database = w.db;
    o.queue = w.q;
    o.storage = w.st;
    o.catalog = w.cat;
    ck_assert_int_eq(fp_jobs_open(w.ctx, &o, &jobs, NULL), FILEPROC_ERR_INVALID);
    o.pipelines = w.pls;
    ck_assert_int_eq(fp_jobs_open(NULL, &o, &jobs, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_jobs_open(w.ctx, &o, NULL, NULL), FILEPROC_ERR_INVALID);
    o.struct_size = 2;
    ck_assert_int_eq(fp_jobs_open(w.ctx, &o, &jobs, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(jobs);
    ck_assert_int_eq(fp_job_create(NULL, UNKNOWN, NULL, &job, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_create(w.jobs, NULL, NULL, &job, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_create(w.jobs, UNKNOWN, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_get(NULL, UNKNOWN, &job, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_get(w.jobs, NULL, &job, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_get(w.jobs, UNKNOWN, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_cancel(NULL, UNKNOWN, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_cancel(w.jobs, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(job);
    fp_jobs_free(NULL);
    fp_job_free(NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(open_create_get_and_cancel_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_jobs_options o = FILEPROC_JOBS_OPTIONS_INIT;
        fp_job *made = NULL, *got = NULL;
        char file_id[FPI_UUID_SIZE];
        fp_jobs *jobs = NULL;
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        jobs_add_file(&w, "hello", file_id);
        o.database = w.db;
        o.queue = w.q;
        o.storage = w.st;
        o.catalog = w.cat;
        o.pipelines = w.pls;
        fault_arm(&f);
        rc = fp_jobs_open(w.ctx, &o, &jobs, &err);
        if (rc == FILEPROC_OK)
            rc = fp_job_create(jobs, file_id, "{\"steps\":[{\"operation\":\"test.work\"}]}", &made,
                               &err);
        ck_assert_int_eq(made != NULL, rc == FILEPROC_OK);
        if (rc == FILEPROC_OK)
            rc = fp_job_get(jobs, made->id, &got, &err);
        ck_assert_int_eq(got != NULL, rc == FILEPROC_OK);
        if (rc == FILEPROC_OK)
            rc = fp_job_cancel(jobs, made->id, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs"), made != NULL);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'cancelled'"),
                         rc == FILEPROC_OK);
        fp_job_free(made);
        fp_job_free(got);
        fp_jobs_free(jobs);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("jobs", created_job_is_queued_with_its_steps, wrong_requests_queue_nothing,
          default_job_belongs_to_the_transaction_that_makes_it, unknown_job_is_not_found,
          cancelled_job_is_never_claimed, cancelling_takes_the_job_from_its_worker,
          wrong_arguments_are_refused, open_create_get_and_cancel_survive_every_allocation_failure)
