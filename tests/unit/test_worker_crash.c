/* Owns: the proof that jobs survive their workers: processes are killed, processes race, every job has one effect.
 * Must not know: how. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define JOBS 60
#define STEPS 3
#define OUTPUTS 2

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static int64_t count_jobs(jobs_world *w, const char *condition)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM jobs WHERE %s", condition);
    return sql_number(w->db, sql);
}

/* Runs jobs on this thread until none is left, or for ever. */
static void work_on(jobs_world *w, bool for_ever)
{
    fp_worker *worker = NULL;
    fp_error err = { 0 };
    int32_t ran = 1;

    ck_status(fp_worker_new(w->jobs, &worker, &err), FILEPROC_OK, &err);
    while (for_ever || ran)
        ck_status(fp_worker_run(worker, for_ever ? 1000 : 0, &ran, &err), FILEPROC_OK, &err);
    fp_worker_free(worker);
}

static void *work_on_thread(void *arg)
{
    work_on(arg, true);
    return NULL;
}

/* A process of its own with two workers and a rescuer, which runs until it is killed. */
static pid_t start_process(const char *folder, void (*inside)(void *))
{
    pid_t pid = fork();
    pthread_t threads[2];
    jobs_world w;

    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no process behind */
    jobs_world_open_in(&w, folder);
    w.script.outputs = OUTPUTS;
    w.script.output_size = 1000;
    w.script.inside = inside;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, work_on_thread, &w) != 0)
            _exit(1);
    for (;;) {
        if (fp_jobs_maintain(w.jobs, NULL, NULL) < 0)
            _exit(1);
        pause_ms(20);
    }
}

static void kill_process(pid_t pid)
{
    int status = 0;

    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}

static void add_jobs(const char *folder, int count)
{
    char id[FPI_UUID_SIZE];
    jobs_world w;

    jobs_world_open_in(&w, folder);
    for (int i = 0; i < count; i++)
        jobs_add(&w, STEPS, id);
    must_sql(w.db, "UPDATE jobs SET max_attempts = 1000");
    jobs_world_close(&w);
}

/* Each derivative there is once, each object has its file, nothing else is there. */
static void must_have_one_effect(jobs_world *w, int jobs)
{
    ck_assert_int_eq(count_jobs(w, "state = 'succeeded'"), jobs);
    ck_assert_int_eq(count_jobs(w, "state <> 'succeeded'"), 0);
    ck_assert_int_eq(sql_number(w->db, "SELECT COUNT(*) FROM files WHERE parent_id IS NOT NULL"),
                     jobs * STEPS * OUTPUTS);
    ck_assert_int_eq(sql_number(w->db, "SELECT COUNT(*) FROM (SELECT 1 FROM files WHERE parent_id"
                                       " IS NOT NULL GROUP BY job_id HAVING COUNT(*) <> 6)"),
                     0);
    ck_assert_int_eq(sql_number(w->db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                       " 'fileproc.job.finished'"),
                     jobs);
    ck_assert_uint_eq(count_objects(w, "derivatives/"), (size_t)(jobs * STEPS * OUTPUTS));
    ck_assert_int_eq(sql_number(w->db, "SELECT COUNT(*) FROM files WHERE sha256 IS NULL"), 0);
}

static void die(void *user_data)
{
    (void)user_data;
    raise(SIGKILL);
}

START_TEST(job_of_a_killed_process_is_done_by_another)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    char folder[64];
    fp_error err = { 0 };
    int status;
    jobs_world w;
    pid_t pid;

    scratch_make(folder);
    add_jobs(folder, 1);
    pid = start_process(folder, die); /* one output is stored by then, and named by nobody */
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    jobs_world_open_in(&w, folder);
    ck_assert_int_eq(count_jobs(&w, "state = 'running' AND attempt = 1"), 1);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 1);
    ck_status(fp_jobs_maintain(w.jobs, &did, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(did.rescued, 1);
    ck_assert_uint_eq(count_objects(&w, "derivatives/"), 0);
    w.script.outputs = OUTPUTS;
    pause_ms(5);
    work_on(&w, false);
    must_have_one_effect(&w, 1);
    ck_assert_int_eq(count_jobs(&w, "attempt = 2"), 1);
    jobs_world_close(&w);
    scratch_remove(folder);
}
END_TEST

START_TEST(processes_killed_at_any_moment_lose_and_repeat_nothing)
{
    unsigned seed = (unsigned)getpid();
    char folder[64];
    jobs_world w;

    scratch_make(folder);
    add_jobs(folder, JOBS);
    for (int round = 0; round < 15; round++) {
        pid_t pid = start_process(folder, NULL);

        pause_ms(20 + rand_r(&seed) % 60);
        kill_process(pid);
    }
    jobs_world_open_in(&w, folder);
    w.script.outputs = OUTPUTS;
    w.script.output_size = 1000;
    for (int i = 0; i < 100 && count_jobs(&w, "state <> 'succeeded'"); i++) {
        ck_assert_int_eq(fp_jobs_maintain(w.jobs, NULL, NULL), FILEPROC_OK);
        pause_ms(2);
        work_on(&w, false);
    }
    atomic_fetch_add(&w.shift_ms, 4000);
    ck_assert_int_eq(fp_jobs_maintain(w.jobs, NULL, NULL), FILEPROC_OK);
    must_have_one_effect(&w, JOBS);
    ck_assert_int_gt(count_jobs(&w, "attempt > 1"), 0); /* some were hit */
    jobs_world_close(&w);
    scratch_remove(folder);
}
END_TEST

START_TEST(racing_processes_run_every_job_once)
{
    char folder[64];
    pid_t pids[2];
    jobs_world w;

    scratch_make(folder);
    add_jobs(folder, JOBS);
    for (int i = 0; i < 2; i++)
        pids[i] = start_process(folder, NULL);
    jobs_world_open_in(&w, folder);
    for (int i = 0; i < 600 && count_jobs(&w, "state IN ('queued', 'running')"); i++)
        pause_ms(50);
    for (int i = 0; i < 2; i++)
        kill_process(pids[i]);
    must_have_one_effect(&w, JOBS);
    ck_assert_int_eq(count_jobs(&w, "attempt <> 1"), 0);
    jobs_world_close(&w);
    scratch_remove(folder);
}
END_TEST

START_TEST(job_queued_by_another_process_is_noticed)
{
    char folder[64], id[FPI_UUID_SIZE];
    jobs_world w;
    pid_t pid;

    scratch_make(folder);
    jobs_world_open_in(&w, folder);
    jobs_world_close(&w);
    pid = start_process(folder, NULL);
    jobs_world_open_in(&w, folder);
    pause_ms(300);
    jobs_add(&w, STEPS, id);
    for (int i = 0; i < 100 && count_jobs(&w, "state IN ('queued', 'running')"); i++)
        pause_ms(20);
    kill_process(pid);
    must_be_job(&w, id, "succeeded", NULL);
    jobs_world_close(&w);
    scratch_remove(folder);
}
END_TEST

RUN_TESTS("worker_crash", job_of_a_killed_process_is_done_by_another,
          processes_killed_at_any_moment_lose_and_repeat_nothing,
          racing_processes_run_every_job_once, job_queued_by_another_process_is_noticed)
