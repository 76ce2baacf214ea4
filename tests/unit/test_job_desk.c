/* Owns: the promises of job/job_desk.h.
 * Must not know: what is written there (test_job_batch.c). */
#include "job/job_desk.h"

#include <pthread.h>
#include <stdatomic.h>

#include "fresh_database.h"
#include "job/job_claim.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define THREADS 8
#define JOBS 80

static const fpi_claim_commit good = {
    .fate = FPI_FATE_SUCCEEDED, .steps = "[]", .result = "{}", .progress = 1.0
};

typedef struct clerk {
    fp_jobs *jobs;
    const fpi_claim_commit *commit;
    int ended;
    fp_status rc;
    pthread_t thread;
} clerk;

/* Takes a job; then hands in what it has and takes another one, until there is none. */
static void *come_and_go(void *arg)
{
    clerk *c = arg;
    fpi_claim has = { .jobs = c->jobs, .worker = "me" };
    fpi_visit first = { .next = &has };

    c->rc = fpi_desk_visit(c->jobs, &first, NULL);
    for (bool taken = c->rc == FILEPROC_OK && first.taken; taken;) {
        fpi_claim next = { .jobs = c->jobs, .worker = "me" };
        fpi_visit visit = { .ended = &has, .commit = c->commit, .next = &next };

        c->rc = fpi_desk_visit(c->jobs, &visit, NULL);
        c->ended += c->rc == FILEPROC_OK && visit.kept;
        fpi_claim_dispose(&has);
        has = next;
        taken = c->rc == FILEPROC_OK && visit.taken;
    }
    fpi_claim_dispose(&has);
    return NULL;
}

static int run_clerks(jobs_world *w, clerk clerks[THREADS], const fpi_claim_commit *last)
{
    int ended = 0;

    for (int i = 0; i < THREADS; i++) {
        clerks[i] = (clerk){ .jobs = w->jobs, .commit = i == THREADS - 1 ? last : &good };
        ck_assert_int_eq(pthread_create(&clerks[i].thread, NULL, come_and_go, &clerks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(clerks[i].thread, NULL);
        ended += clerks[i].ended;
    }
    return ended;
}

START_TEST(each_job_is_taken_once_and_ends)
{
    char id[FPI_UUID_SIZE];
    clerk clerks[THREADS];
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < JOBS; i++)
        jobs_add(&w, 1, id);
    ck_assert_int_eq(run_clerks(&w, clerks, &good), JOBS);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(clerks[i].rc, FILEPROC_OK);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'succeeded' AND"
                                      " attempt = 1 AND fence = 1"),
                     JOBS);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                      " 'fileproc.job.finished'"),
                     JOBS);
    jobs_world_close(&w);
}
END_TEST

/* No database of PostgreSQL holds such a text; SQLite does not mind. */
START_TEST(who_cannot_be_served_is_alone_in_that)
{
    const fpi_claim_commit bad = {
        .fate = FPI_FATE_FAILED, .steps = "[]", .error_code = "x", .error_detail = "\xff"
    };
    char id[FPI_UUID_SIZE];
    clerk clerks[THREADS];
    jobs_world w;
    bool minds;

    jobs_world_open(&w, NULL);
    minds = fresh_database_is_postgresql(w.db);
    for (int i = 0; i < JOBS; i++)
        jobs_add(&w, 1, id);
    (void)run_clerks(&w, clerks, &bad);
    for (int i = 0; i < THREADS - 1; i++)
        ck_assert_int_eq(clerks[i].rc, FILEPROC_OK);
    if (minds)
        ck_assert_int_le(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'running'"), 1);
    else
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'running'"), 0);
    ck_assert_int_ge(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'succeeded'"),
                     minds ? JOBS - 1 : 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(doorbells_are_taken_with_the_jobs)
{
    char id[FPI_UUID_SIZE];
    clerk clerks[THREADS];
    fp_message *bell = NULL;
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    for (int i = 0; i < JOBS; i++)
        jobs_add(&w, 1, id);
    ck_assert_int_eq(run_clerks(&w, clerks, &good), JOBS);
    ck_status(fp_queue_receive(w.q, FPI_JOB_TOPIC, 0, &bell, &err), FILEPROC_OK, &err);
    ck_assert_ptr_null(bell);
    jobs_world_close(&w);
}
END_TEST

RUN_TESTS("job_desk", each_job_is_taken_once_and_ends, who_cannot_be_served_is_alone_in_that,
          doorbells_are_taken_with_the_jobs)
