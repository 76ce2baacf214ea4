/* Owns: the promises of job/job_batch.h.
 * Must not know: who waits for a batch (test_job_desk.c). */
#include "job/job_batch.h"

#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "fresh_database.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define STEPS                                                                                      \
    "[{\"name\":\"s1\",\"operation\":\"test.work\",\"state\":\"succeeded\",\"outputs\":[]}]"

static const fpi_claim_commit good = {
    .fate = FPI_FATE_SUCCEEDED, .steps = STEPS, .result = "{\"s1\":{}}", .progress = 1.0
};

/* Some visits at once: each may hand in a claim, and may want another. */
typedef struct crowd {
    fpi_claim claims[FPI_DESK_MAX], next[FPI_DESK_MAX];
    fpi_visit visits[FPI_DESK_MAX];
    fpi_visit *list[FPI_DESK_MAX];
    size_t count;
} crowd;

/* Each of them wants a job, and hands in nothing. */
static void crowd_want(crowd *c, jobs_world *w, size_t count)
{
    *c = (crowd){ .count = count };
    for (size_t i = 0; i < count; i++) {
        c->next[i] = (fpi_claim){ .jobs = w->jobs, .worker = "me" };
        c->visits[i].next = &c->next[i];
        c->list[i] = &c->visits[i];
    }
}

/* Each hands in what it got, as `commit`. */
static void crowd_end(crowd *c, jobs_world *w, const fpi_claim_commit *commit, bool more)
{
    for (size_t i = 0; i < c->count; i++) {
        c->claims[i] = c->next[i];
        c->next[i] = (fpi_claim){ .jobs = w->jobs, .worker = "me" };
        c->visits[i] = (fpi_visit){ .ended = &c->claims[i],
                                    .commit = commit,
                                    .next = more ? &c->next[i] : NULL };
    }
}

static void must_write(crowd *c, jobs_world *w)
{
    fp_error err = { 0 };

    ck_status(fpi_batch_write(w->jobs, c->list, c->count, &err), FILEPROC_OK, &err);
}

static void crowd_dispose(crowd *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->claims[i].jobs)
            fpi_claim_dispose(&c->claims[i]);
        if (c->next[i].jobs)
            fpi_claim_dispose(&c->next[i]);
    }
}

static int64_t count_jobs(jobs_world *w, const char *condition)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM jobs WHERE %s", condition);
    return sql_number(w->db, sql);
}

static void claim_and_end(size_t size)
{
    char id[FPI_UUID_SIZE], file_id[FPI_UUID_SIZE];
    jobs_world w;
    crowd c;

    jobs_world_open(&w, NULL);
    jobs_add_file(&w, "hello", file_id);
    for (size_t i = 0; i < 2 * size; i++)
        if (i % 2)
            jobs_add_job(&w, file_id, 1, id);
        else
            jobs_add(&w, 1, id);
    crowd_want(&c, &w, size);
    must_write(&c, &w);
    for (size_t i = 0; i < size; i++) {
        ck_assert(c.visits[i].taken);
        ck_assert_str_eq(c.next[i].file->id, c.next[i].file_id);
        ck_assert_int_eq(c.next[i].attempt, 1);
        ck_assert_int_eq(c.next[i].fence, 1);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(c.next[i].id, c.next[j].id);
    }
    ck_assert_int_eq(count_jobs(&w, "state = 'running' AND attempt = 1 AND worker = 'me'"),
                     (int64_t)size);
    crowd_end(&c, &w, &good, true);
    must_write(&c, &w);
    for (size_t i = 0; i < size; i++)
        ck_assert(c.visits[i].kept && c.visits[i].taken);
    ck_assert_int_eq(count_jobs(&w, "state = 'running'"), (int64_t)size);
    ck_assert_int_eq(count_jobs(&w, "state = 'succeeded' AND worker IS NULL AND progress = 1 AND"
                                    " lease_until IS NULL AND result = '{\"s1\":{}}' AND"
                                    " finished_at >= started_at AND steps LIKE '%succeeded%'"),
                     (int64_t)size);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                      " 'fileproc.job.finished'"),
                     (int64_t)size);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(DISTINCT subject) FROM outbox WHERE type ="
                                      " 'fileproc.job.finished'"),
                     (int64_t)size);
    crowd_dispose(&c);
    jobs_world_close(&w);
}

START_TEST(each_gets_a_job_of_its_own_and_all_end)
{
    static const size_t sizes[] = { 1, 2, 5, 17, FPI_DESK_MAX };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        claim_and_end(sizes[i]);
}
END_TEST

START_TEST(what_was_taken_away_is_not_written_and_its_neighbours_are)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    jobs_world w;
    crowd c;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < 5; i++)
        jobs_add(&w, 1, id);
    crowd_want(&c, &w, 5);
    must_write(&c, &w);
    ck_status(fp_job_cancel(w.jobs, c.next[2].id, &err), FILEPROC_OK, &err);
    must_sql(w.db, "UPDATE jobs SET fence = fence + 1 WHERE id = (SELECT MAX(id) FROM jobs)");
    crowd_end(&c, &w, &good, true);
    must_write(&c, &w);
    for (size_t i = 0; i < 5; i++) {
        bool lost = i == 2 || strcmp(c.claims[i].id, id) == 0;

        ck_assert_int_eq(c.visits[i].kept, !lost);
        ck_assert(!c.visits[i].taken);
        ck_assert_ptr_null(c.next[i].definition);
    }
    must_be_job(&w, c.claims[2].id, "cancelled", NULL);
    must_be_job(&w, id, "running", NULL);
    ck_assert_int_eq(count_jobs(&w, "state = 'succeeded'"), 3);
    /* the cancellation's own, and three */
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                      " 'fileproc.job.finished'"),
                     4);
    crowd_dispose(&c);
    jobs_world_close(&w);
}
END_TEST

START_TEST(ends_of_every_kind_share_a_transaction)
{
    const fpi_claim_commit ends[] = {
        good,
        { .fate = FPI_FATE_FAILED, .steps = STEPS, .error_code = "bad", .error_detail = "d" },
        { .fate = FPI_FATE_DEAD, .steps = STEPS, .error_code = "bad", .error_detail = "d" },
        { .fate = FPI_FATE_RETRY,
          .error_code = "bad",
          .error_detail = "d",
          .run_at_ms = INT64_MAX },
        { .fate = FPI_FATE_RETURNED, .run_at_ms = INT64_MAX },
        good,
        { .fate = FPI_FATE_SUCCEEDED,
          .steps = STEPS,
          .result = "{}",
          .progress = 1,
          .dirty = true },
    };
    static const char *const states[] = { "succeeded", "failed",    "dead",     "queued",
                                          "queued",    "succeeded", "succeeded" };
    size_t count = sizeof(ends) / sizeof(*ends);
    char id[FPI_UUID_SIZE];
    jobs_world w;
    crowd c;

    jobs_world_open(&w, NULL);
    for (size_t i = 0; i < count; i++)
        jobs_add(&w, 1, id);
    crowd_want(&c, &w, count);
    must_write(&c, &w);
    crowd_end(&c, &w, NULL, false);
    for (size_t i = 0; i < count; i++)
        c.visits[i].commit = &ends[i];
    must_write(&c, &w);
    for (size_t i = 0; i < count; i++) {
        fp_job *job = must_get_job(&w, c.claims[i].id);

        ck_assert(c.visits[i].kept);
        ck_assert_str_eq(job->state, states[i]);
        ck_assert_pstr_eq(job->error_code, ends[i].error_code);
        ck_assert_int_eq(job->error_permanent, ends[i].fate == FPI_FATE_FAILED);
        ck_assert_uint_eq(job->attempt, ends[i].fate == FPI_FATE_RETURNED ? 0 : 1);
        fp_job_free(job);
    }
    ck_assert_int_eq(count_jobs(&w, "state <> 'running' AND lease_until IS NOT NULL"), 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                      " 'fileproc.job.finished'"),
                     5);
    crowd_dispose(&c);
    jobs_world_close(&w);
}
END_TEST

START_TEST(jobs_without_a_file_are_cancelled_and_others_taken)
{
    char gone[3][FPI_UUID_SIZE], id[2][FPI_UUID_SIZE];
    jobs_world w;
    crowd c;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < 3; i++)
        jobs_add(&w, 1, gone[i]);
    must_sql(w.db, "DELETE FROM files");
    for (int i = 0; i < 2; i++)
        jobs_add(&w, 1, id[i]);
    crowd_want(&c, &w, 4);
    must_write(&c, &w);
    ck_assert_int_eq(c.visits[0].taken + c.visits[1].taken + c.visits[2].taken + c.visits[3].taken,
                     2);
    for (int i = 0; i < 3; i++)
        must_be_job(&w, gone[i], "cancelled", NULL);
    for (int i = 0; i < 2; i++)
        must_be_job(&w, id[i], "running", NULL);
    ck_assert_int_eq(count_jobs(&w, "state = 'cancelled' AND attempt = 0"), 3);
    crowd_dispose(&c);
    jobs_world_close(&w);
}
END_TEST

/* All or nothing. */
START_TEST(batch_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        char id[FPI_UUID_SIZE];
        fp_error err = { 0 };
        fp_status rc;
        jobs_world w;
        crowd c;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        for (int i = 0; i < 4; i++)
            jobs_add(&w, 1, id);
        crowd_want(&c, &w, 2);
        must_write(&c, &w);
        crowd_end(&c, &w, &good, true);
        fault_arm(&f);
        rc = fpi_batch_write(w.jobs, c.list, c.count, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(count_jobs(&w, "state = 'succeeded'"), rc < 0 ? 0 : 2);
        ck_assert_int_eq(count_jobs(&w, "state = 'running'"), 2);
        for (int i = 0; i < 2; i++)
            ck_assert_int_eq(c.next[i].definition != NULL, rc == FILEPROC_OK);
        crowd_dispose(&c);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("job_batch", each_gets_a_job_of_its_own_and_all_end,
          what_was_taken_away_is_not_written_and_its_neighbours_are,
          ends_of_every_kind_share_a_transaction,
          jobs_without_a_file_are_cancelled_and_others_taken,
          batch_survives_every_allocation_failure)
