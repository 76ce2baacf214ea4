/* Owns: what a run of a pipeline gives to the worker: signs of life, outputs, results of steps.
 * Must not know: how the run began, how it ends. */
#include <stdio.h>
#include <string.h>

#include "job/job_steps.h"
#include "job/worker_private.h"

/* Ticks may come after every block that is copied; the row need not be read for each. */
#define CHECK_INTERVAL_MS 100

fp_status fpi_work_detected(void *user_data, const char *mime_type, fp_error *err)
{
    fpi_work *run = user_data;

    (void)err;
    if (strlen(mime_type) < sizeof(run->detected))
        memcpy(run->detected, mime_type, strlen(mime_type) + 1);
    return FILEPROC_OK;
}

/* The context's clock may jump, backwards, too. */
static bool lease_is_older(const fpi_work *run, int64_t age_ms)
{
    int64_t age = fpi_now_ms(run->w->jobs->ctx) - run->claim.renewed_ms;

    return age < 0 || age >= age_ms;
}

/* A database that is away for a moment is no reason to throw the work away: the lease lasts, and the next tick tries again. */
static fp_status judge(fpi_work *run, fp_status rc, const fp_error *e, fp_error *err)
{
    if (rc == FILEPROC_OK)
        return rc;
    run->lost = run->lost || fpi_claim_is_lost(e);
    if (!run->lost && !lease_is_older(run, run->w->jobs->o.lease_ms)) {
        fpi_log(run->w->jobs->ctx, FILEPROC_LOG_DEBUG, "job", "a tick: %s", e->message);
        return FILEPROC_OK;
    }
    if (err)
        *err = *e;
    return rc;
}

fp_status fpi_work_tick(void *user_data, fp_error *err)
{
    fpi_work *run = user_data;
    int64_t now = fpi_monotonic_ms();
    fp_error e = { 0 };
    fp_status rc;
    bool renew;

    if (atomic_load(&run->w->stopping))
        return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "the worker was stopped");
    renew = lease_is_older(run, run->w->jobs->o.lease_ms / 3);
    if (!renew && !run->lost && now - run->checked_ms < CHECK_INTERVAL_MS)
        return FILEPROC_OK;
    run->checked_ms = now;
    if (renew)
        rc = fpi_claim_renew(&run->claim, &e);
    else
        rc = fpi_claim_check(&run->claim, &e);
    return judge(run, rc, &e, err);
}

fp_status fpi_work_digest(fpi_work *run, int fd, fp_error *err)
{
    const fpi_job_output_copy copy = { run->w->buffer, fpi_work_tick, run };
    char sha256[sizeof(run->sha256)];
    fp_status rc;

    if (run->claim.file->sha256)
        return FILEPROC_OK;
    rc = fpi_job_output_digest(&copy, fd, sha256, err);
    if (rc == FILEPROC_OK)
        memcpy(run->sha256, sha256, sizeof(sha256));
    return rc;
}

static const char *pack(char **end, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = *end;

    memcpy(copy, text, size);
    *end += size;
    return copy;
}

static fpi_work_output *new_output(const fpi_work *run, const fp_pipeline_output *o)
{
    size_t size = strlen(o->step) + strlen(o->operation) + strlen(o->filename) +
                  strlen(o->mime_type) + strlen(o->info ? o->info : "") + 5;
    fpi_work_output *made = fpi_calloc(&run->w->jobs->ctx->a, 1, sizeof(*made) + size);
    char *end = (char *)(made + 1);

    if (!made)
        return NULL;
    made->step = pack(&end, o->step);
    made->file = (fpi_new_file){
        .id = made->id,
        .owner = run->claim.file->owner,
        .filename = pack(&end, o->filename),
        .mime_type = pack(&end, o->mime_type),
        .sha256 = made->sha256,
        .parent_id = run->claim.file_id,
        .operation = pack(&end, o->operation),
        .job_id = run->claim.id,
        .storage_key = made->key,
        .info = o->info ? pack(&end, o->info) : NULL,
        .size = o->size,
    };
    return made;
}

/* The object becomes durable here, its row with its step. It is in the list before it is stored, so that it is removed when the
 * storage could not tell whether it was. */
fp_status fpi_work_output_made(void *user_data, const fp_pipeline_output *output, fp_error *err)
{
    fpi_work *run = user_data;
    const fpi_job_output_copy copy = { run->w->buffer, fpi_work_tick, run };
    fpi_work_output **last = &run->outputs;
    fpi_work_output *made = new_output(run, output);
    fp_status rc;

    if (!made)
        return fpi_no_memory(err);
    while (*last)
        last = &(*last)->next;
    *last = made;
    fpi_job_output_key(run->claim.id, run->claim.fence, run->output_count++, made->key);
    rc = fpi_uuid7(run->w->jobs->ctx, made->id, err);
    if (rc == FILEPROC_OK)
        rc = fpi_job_output_store(run->w->jobs, &copy, output->fd, output->size, made->key,
                                  made->sha256, err);
    return rc;
}

void fpi_work_drop_outputs(fpi_work *run)
{
    const fp_context *ctx = run->w->jobs->ctx;
    fpi_work_output *o;

    while ((o = run->outputs) != NULL) {
        fp_error e = { 0 };

        if (fpi_job_output_remove(run->w->jobs, o->key, &e) < 0) {
            run->dirty = true;
            fpi_log(ctx, FILEPROC_LOG_DEBUG, "job", "%s is removed later: %s", o->key, e.message);
        }
        run->outputs = o->next;
        fpi_free(&ctx->a, o);
    }
}

/* Consecutive steps share one decode, so outputs of several may be waiting. */
static size_t count_outputs(const fpi_work *run, const char *step)
{
    size_t count = 0;

    for (const fpi_work_output *o = run->outputs; o; o = o->next)
        count += strcmp(o->step, step) == 0;
    return count;
}

/* The rows of a step's outputs, and their ids for the steps. */
static fp_status collect_outputs(const fpi_work *run, const char *step, fpi_new_file *files,
                                 json_t *ids, fp_error *err)
{
    size_t count = 0;

    for (const fpi_work_output *o = run->outputs; o; o = o->next) {
        if (strcmp(o->step, step) != 0)
            continue;
        files[count++] = o->file;
        if (json_array_append_new(ids, json_string(o->id)) != 0)
            return fpi_no_memory(err);
    }
    return FILEPROC_OK;
}

static void forget_outputs(fpi_work *run, const char *step)
{
    fpi_work_output **at = &run->outputs;

    while (*at) {
        fpi_work_output *o = *at;

        if (strcmp(o->step, step) != 0) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        fpi_free(&run->w->jobs->ctx->a, o);
    }
}

fp_status fpi_work_write(fpi_work *run, fpi_claim_commit *m, fp_error *err)
{
    fpi_claim *next = m->fate == FPI_FATE_RETURNED ? NULL : run->next;
    fp_error e = { 0 };
    fp_status rc;

    m->detected_mime_type = run->detected[0] ? run->detected : NULL;
    m->sha256 = run->sha256[0] ? run->sha256 : NULL;
    m->dirty = run->dirty;
    rc = fpi_claim_write(&run->claim, m, next, &run->next_taken, &e);
    if (rc < 0) {
        run->lost = run->lost || fpi_claim_is_lost(&e);
        if (err)
            *err = e;
        return rc;
    }
    run->detected[0] = '\0';
    run->sha256[0] = '\0';
    run->claim.progress = m->progress;
    run->ended = m->fate != FPI_FATE_RUNNING;
    return FILEPROC_OK;
}

/* The step is marked in run->steps. With the last one the job has succeeded: one transaction for both. */
static fp_status commit_step(fpi_work *run, fpi_claim_commit *m, fp_error *err)
{
    const fp_context *ctx = run->w->jobs->ctx;
    FPI_DISPOSE(fp_buf) steps = FILEPROC_BUF_INIT;
    FPI_DISPOSE(fp_buf) result = FILEPROC_BUF_INIT;
    bool last = fpi_steps_left(run->steps) == 0;
    fp_status rc = fpi_json_dump(ctx, run->steps, &steps, err);

    if (rc == FILEPROC_OK && last)
        rc = fpi_steps_result(ctx, run->steps, &result, err);
    if (rc < 0)
        return rc;
    m->fate = last ? FPI_FATE_SUCCEEDED : FPI_FATE_RUNNING;
    m->steps = steps.data;
    m->result = result.data;
    m->progress = fpi_steps_progress(run->steps);
    return fpi_work_write(run, m, err);
}

/* Marks the step, commits it, and takes the mark back when that failed. */
static fp_status finish_step(fpi_work *run, const char *step, json_t *ids, fpi_claim_commit *m,
                             fp_error *err)
{
    fp_status rc = fpi_steps_succeed(run->steps, step, m->info_member, ids, err);

    if (rc < 0)
        return rc;
    rc = commit_step(run, m, err);
    if (rc < 0)
        fpi_steps_undo(run->steps, step);
    else
        forget_outputs(run, step);
    return rc;
}

fp_status fpi_work_step_done(void *user_data, const char *step, const char *operation,
                             const char *info_key, const char *result, fp_error *err)
{
    fpi_work *run = user_data;
    const fp_allocator *a = &run->w->jobs->ctx->a;
    size_t count = count_outputs(run, step);
    fpi_new_file *files = fpi_calloc(a, count + 1, sizeof(*files));
    FPI_CLEANUP(json_t) ids = json_array();
    fpi_claim_commit m = { .output_count = count };
    fp_status rc;

    (void)operation;
    if (!files || !ids) {
        fpi_free(a, files);
        return fpi_no_memory(err);
    }
    m.outputs = files;
    m.info_key = info_key;
    m.info_member = result;
    rc = collect_outputs(run, step, files, ids, err);
    if (rc == FILEPROC_OK)
        rc = finish_step(run, step, fpi_steal(&ids), &m, err);
    fpi_free(a, files);
    return rc;
}
