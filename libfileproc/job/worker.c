/* Owns: the worker: waiting for a job, claiming it, running it, writing down how it ended.
 * Must not know: uploads; what a step does. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/error_private.h"
#include "database/database_private.h"
#include "job/job_retry.h"
#include "job/job_steps.h"
#include "job/worker_private.h"
#include "pipeline/pipeline_private.h"
#include "queue/queue_private.h"

/* A worker that waits looks this often whether it is to stop and whether a job's time has come. */
#define LOOK_INTERVAL_MS 200
/* A queue that answers at once so often, with nothing, was woken by its owner. */
#define EMPTY_ANSWERS 3

fp_status fp_worker_new(fp_jobs *jobs, fp_worker **out, fp_error *err)
{
    FPI_CLEANUP(fp_worker) w = NULL;
    fp_status rc;

    if (!jobs || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    w = fpi_calloc(&jobs->ctx->a, 1, sizeof(*w));
    if (!w)
        return fpi_no_memory(err);
    w->jobs = jobs;
    w->busy = true;
    atomic_init(&w->stopping, false);
    w->buffer = fpi_alloc(&jobs->ctx->a, FPI_JOB_OUTPUT_BUFFER_SIZE);
    if (!w->buffer)
        return fpi_no_memory(err);
    rc = fpi_worker_name(jobs->ctx, w->name, err);
    if (rc == FILEPROC_OK)
        rc = fp_runner_new(jobs->o.pipelines, &w->runner, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&w);
    return rc;
}

void fp_worker_free(fp_worker *w)
{
    if (!w)
        return;
    fp_runner_free(w->runner);
    fpi_free(&w->jobs->ctx->a, w->buffer);
    fpi_free(&w->jobs->ctx->a, w);
}

void fp_worker_stop(fp_worker *w)
{
    if (!w)
        return;
    atomic_store(&w->stopping, true);
    fp_runner_cancel(w->runner);
}

static fp_status stopped(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "the worker was stopped");
}

static void dispose_run(fpi_work *run)
{
    fpi_work_drop_outputs(run);
    json_decref(run->steps);
    fpi_claim_dispose(&run->claim);
}
FPI_DEFINE_DISPOSE(fpi_work, dispose_run)

static fp_status run_pipeline(fpi_work *run, int fd, fp_error *err)
{
    fp_jobs *jobs = run->w->jobs;
    FPI_DISPOSE(fp_buf) done = FILEPROC_BUF_INIT;
    fp_pipeline_input input = FILEPROC_PIPELINE_INPUT_INIT;
    fp_pipeline_sink sink = FILEPROC_PIPELINE_SINK_INIT;
    fp_status rc = fpi_steps_done_names(jobs->ctx, run->steps, &done, err);

    if (rc < 0)
        return rc;
    input.filename = run->claim.file->filename;
    input.mime_type = run->claim.file->mime_type;
    input.detected_mime_type = run->claim.file->detected_mime_type;
    input.skip_steps = done.data;
    input.fd = fd;
    sink.user_data = run;
    sink.detected = fpi_work_detected;
    sink.output = fpi_work_output_made;
    sink.step_done = fpi_work_step_done;
    sink.tick = fpi_work_tick;
    return fp_runner_run(run->w->runner, run->claim.definition, &input, &sink, err);
}

static fp_status process(fpi_work *run, fp_error *err)
{
    FPI_FD fd = -1;
    fp_status rc = fpi_steps_parse(run->claim.steps, &run->steps, err);

    if (rc == FILEPROC_ERR_CORRUPT)
        err->flags |= FILEPROC_ERROR_PERMANENT;
    if (rc == FILEPROC_OK)
        rc = fp_storage_open_fd(run->w->jobs->o.storage, run->claim.file->storage_key, &fd, err);
    if (rc == FILEPROC_OK)
        rc = fpi_work_digest(run, fd, err);
    if (rc == FILEPROC_OK)
        rc = run_pipeline(run, fd, err);
    if (rc == FILEPROC_OK && fpi_steps_left(run->steps) > 0)
        rc = fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "the run ended before its last step");
    return rc;
}

/* Whether the same input can't ever succeed. What the library calls INVALID is about the request or the input; all
 * else may be about the machine. */
static bool is_permanent(const fp_error *e)
{
    if (e->flags & (FILEPROC_ERROR_PERMANENT | FILEPROC_ERROR_RETRYABLE))
        return (e->flags & FILEPROC_ERROR_PERMANENT) != 0;
    return e->code == FILEPROC_ERR_INVALID || e->code == FILEPROC_ERR_NOTSUP ||
           (e->code == FILEPROC_ERR_QUOTA && e->cause == FILEPROC_REASON_OUTPUT_TOO_LARGE);
}

static int64_t retry_time(const fpi_work *run, const fp_error *e)
{
    const fp_jobs *jobs = run->w->jobs;
    int64_t wait = fpi_backoff_ms(jobs->ctx, jobs->o.backoff_base_ms, jobs->o.backoff_cap_ms,
                                  run->claim.attempt);

    return fpi_now_ms(jobs->ctx) + (wait > e->retry_after_ms ? wait : e->retry_after_ms);
}

static void choose_fate(const fpi_work *run, const fp_error *e, fpi_claim_commit *m)
{
    m->error_code = fp_error_reason(e);
    m->error_detail = e->message;
    if (is_permanent(e))
        m->fate = FPI_FATE_FAILED;
    else if (run->claim.attempt >= run->claim.max_attempts &&
             !(run->claim.gate && fpi_quarantine_waits(run->w->jobs, m->error_code)))
        m->fate = FPI_FATE_DEAD;
    else
        m->fate = FPI_FATE_RETRY;
    if (m->fate == FPI_FATE_RETRY)
        m->run_at_ms = retry_time(run, e);
}

/* Steps that can't be read stay as they are. */
static fp_status write_failure(fpi_work *run, const fp_error *e, fp_error *err)
{
    const fp_context *ctx = run->w->jobs->ctx;
    FPI_DISPOSE(fp_buf) steps = FILEPROC_BUF_INIT;
    fpi_claim_commit m = { .progress = run->claim.progress };
    fp_status rc = FILEPROC_OK;

    fpi_work_drop_outputs(run);
    choose_fate(run, e, &m);
    if (run->steps && m.fate != FPI_FATE_RETRY) {
        fpi_steps_fail(run->steps);
        rc = fpi_json_dump(ctx, run->steps, &steps, err);
    }
    m.steps = steps.data;
    return rc < 0 ? rc : fpi_work_write(run, &m, err);
}

static fp_status write_success(fpi_work *run, fp_error *err)
{
    FPI_DISPOSE(fp_buf) result = FILEPROC_BUF_INIT;
    fpi_claim_commit m = { .fate = FPI_FATE_SUCCEEDED, .progress = 1.0 };
    fp_status rc = fpi_steps_result(run->w->jobs->ctx, run->steps, &result, err);

    m.result = result.data;
    return rc < 0 ? rc : fpi_work_write(run, &m, err);
}

static fp_status give_back(fpi_work *run, fp_error *err)
{
    fpi_claim_commit m = { .fate = FPI_FATE_RETURNED, .progress = run->claim.progress };
    fp_status rc;

    fpi_work_drop_outputs(run);
    m.run_at_ms = fpi_now_ms(run->w->jobs->ctx);
    rc = fpi_work_write(run, &m, err);
    return rc < 0 ? rc : stopped(err);
}

/* Most jobs have ended with their last step. One that was taken away is none of our business any more, and that is no failure
 * of this worker. */
static fp_status settle(fpi_work *run, fp_status rc, const fp_error *e, fp_error *err)
{
    fp_error written = { 0 };

    if (run->ended)
        return FILEPROC_OK;
    if (run->lost)
        rc = FILEPROC_OK;
    else if (rc == FILEPROC_OK)
        rc = write_success(run, &written);
    else if (atomic_load(&run->w->stopping) && !(e->flags & FILEPROC_ERROR_PERMANENT))
        rc = give_back(run, &written);
    else
        rc = write_failure(run, e, &written);
    if (run->lost) {
        fpi_log(run->w->jobs->ctx, FILEPROC_LOG_DEBUG, "job", "%s was taken away", run->claim.id);
        return FILEPROC_OK;
    }
    if (rc < 0 && err)
        *err = written;
    return rc;
}

static fp_status run_claimed(fpi_work *run, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc;

    run->checked_ms = fpi_monotonic_ms(); /* the row was ours a moment ago */
    rc = process(run, &e);
    return settle(run, rc, &e, err);
}

/* The doorbells of other jobs are taken at the desk. Trouble with the queue is no trouble: the database knows what there is to do. */
static void ring_off(const fp_worker *w, fp_message **bell)
{
    fp_error e = { 0 };

    if (*bell && fp_message_ack(*bell, &e) < 0)
        fpi_log(w->jobs->ctx, FILEPROC_LOG_DEBUG, "job", "doorbell: %s", e.message);
    if (*bell)
        fpi_desk_heard(w->jobs);
    fp_message_free(fpi_steal(bell));
}

/* Where a worker stands that waits for a job. */
typedef struct vigil {
    fp_worker *w;
    int64_t end_ms; /* monotonic */
    int64_t due_ms; /* of the context's clock: when the next job may run */
    int empty;      /* answers of the queue that came at once */
    fp_message *bell;
} vigil;

static fp_status hear(const vigil *v, uint32_t timeout_ms, fp_message **bell)
{
    fp_jobs *jobs = v->w->jobs;
    fp_error e = { 0 };
    fp_status rc = fp_queue_receive(jobs->o.queue, FPI_JOB_TOPIC, timeout_ms, bell, &e);

    if (rc < 0)
        fpi_log(jobs->ctx, FILEPROC_LOG_DEBUG, "job", "doorbell: %s", e.message);
    return rc;
}

static void pause_ms(int64_t ms)
{
    (void)nanosleep(&(struct timespec){ (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) }, NULL);
}

/* Waits for a doorbell, the time of the next job, or the end; false when there is nothing more to wait for. */
static bool wait_for_bell(vigil *v)
{
    fp_jobs *jobs = v->w->jobs;
    int64_t began = fpi_monotonic_ms(), left = v->end_ms - began, due = LOOK_INTERVAL_MS;

    if (v->due_ms != INT64_MAX)
        due = v->due_ms - fpi_now_ms(jobs->ctx);
    if (due > LOOK_INTERVAL_MS)
        due = LOOK_INTERVAL_MS;
    if (left <= 0)
        return false;
    left = due < 1 ? 1 : due < left ? due : left;
    if (hear(v, (uint32_t)left, &v->bell) < 0)
        pause_ms(left);
    if (v->bell || left <= 1 || fpi_monotonic_ms() - began > 1)
        v->empty = 0;
    else
        v->empty++;
    return v->empty < EMPTY_ANSWERS;
}

/* Looking is cheap, claiming takes the writer's turn: so a worker looks first, unless it has just found a job, or heard a bell. */
static fp_status try_claim(vigil *v, fpi_claim *claim, bool *taken, fp_error *err)
{
    fp_jobs *jobs = v->w->jobs;
    bool sure = v->w->busy || v->bell;
    fp_status rc = FILEPROC_OK;

    if (!sure)
        rc = fpi_claim_due(jobs, &v->due_ms, err);
    if (rc == FILEPROC_OK && (sure || v->due_ms <= fpi_now_ms(jobs->ctx)))
        rc = fpi_claim_take(claim, taken, err);
    return rc;
}

static fp_status next_job(vigil *v, fpi_claim *claim, bool *taken, fp_error *err)
{
    fp_worker *w = v->w;
    fp_status rc = FILEPROC_OK;
    bool look_again;

    do {
        if (atomic_load(&w->stopping))
            return stopped(err);
        look_again = w->busy || v->bell;
        rc = try_claim(v, claim, taken, err);
        if (rc < 0)
            return rc;
        w->busy = *taken;
        ring_off(w, &v->bell);
    } while (!*taken && (look_again || wait_for_bell(v)));
    return FILEPROC_OK;
}

static fp_status find_job(fp_worker *w, uint32_t timeout_ms, fpi_claim *claim, bool *taken,
                          fp_error *err)
{
    vigil v = { .w = w, .end_ms = fpi_monotonic_ms() + timeout_ms, .due_ms = INT64_MAX };
    fp_status rc = next_job(&v, claim, taken, err);

    fp_message_free(v.bell);
    return rc;
}

static fp_status run_one(fp_worker *w, uint32_t timeout_ms, bool *taken, fp_error *err)
{
    FPI_DISPOSE(fpi_work) run = { .w = w, .claim = { .jobs = w->jobs, .worker = w->name } };
    fp_status rc = find_job(w, timeout_ms, &run.claim, taken, err);

    return rc == FILEPROC_OK && *taken ? run_claimed(&run, err) : rc;
}

fp_status fp_worker_run(fp_worker *w, uint32_t timeout_ms, int32_t *ran, fp_error *err)
{
    bool taken = false;
    fp_status rc;

    if (!w)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the worker is NULL");
    rc = run_one(w, timeout_ms, &taken, err);
    if (rc == FILEPROC_OK && ran)
        *ran = taken;
    return rc;
}

/* Runs the job in *claim, and leaves there the one that was taken with its end; *taken says whether there is one. */
static fp_status run_and_take(fp_worker *w, fpi_claim *claim, bool *taken, fp_error *err)
{
    fpi_claim next = { .jobs = w->jobs, .worker = w->name };
    FPI_DISPOSE(fpi_work) run = { .w = w, .claim = *claim, .next = &next };
    fp_status rc = run_claimed(&run, err);

    *taken = run.next_taken;
    *claim = next;
    return rc;
}

/* Without a job to run nothing is held: one that is taken with the end of another is run whatever comes, be it to be given back at
 * once, as the worker is to stop. */
static fp_status serve(fp_worker *w, uint32_t timeout_ms, uint64_t *ran, fp_error *err)
{
    fpi_claim claim = { .jobs = w->jobs, .worker = w->name };
    bool taken = false;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK) {
        if (!taken)
            rc = find_job(w, timeout_ms, &claim, &taken, err);
        if (rc < 0 || !taken)
            return rc;
        rc = run_and_take(w, &claim, &taken, err);
        *ran += rc == FILEPROC_OK;
    }
    return rc;
}

fp_status fp_worker_serve(fp_worker *w, uint32_t timeout_ms, uint64_t *ran, fp_error *err)
{
    uint64_t count = 0;
    fp_status rc;

    if (!w)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the worker is NULL");
    rc = serve(w, timeout_ms, &count, err);
    if (ran)
        *ran = count;
    return rc;
}
