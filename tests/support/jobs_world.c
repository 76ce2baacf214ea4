/* Owns: a ledger of jobs with all it needs, and operations that do as they are told, for tests of jobs and workers.
 * Must not know: what is tested. */
#include "jobs_world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include <fileproc/fileproc.h>
#include <fileproc/driver/operation_driver.h>

#include "fresh_database.h"
#include "scratch.h"

static jobs_world *world;

static int64_t shifted_clock(void *user_data)
{
    const jobs_world *w = user_data;
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + atomic_load(&w->shift_ms);
}

static fp_status make_output(const fp_operation_call *call, int number, fp_error *err)
{
    size_t size = world->script.output_size;
    char info[32];
    int32_t fd = -1;
    fp_status rc;

    snprintf(info, sizeof(info), "{\"number\":%d}", number);
    rc = call->output(call->handle, "text/plain", "txt", info, &fd, err);
    if (rc < 0)
        return rc;
    while (size) {
        char block[4096];
        size_t n = size < sizeof(block) ? size : sizeof(block);

        memset(block, 'a' + number, n);
        ck_assert_int_eq(write(fd, block, n), (ssize_t)n);
        size -= n;
    }
    return FILEPROC_OK;
}

static fp_status tick_on(const fp_operation_call *call, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (int i = 0; rc == FILEPROC_OK && i < world->script.ticks; i++) {
        rc = call->tick(call->handle, err);
        atomic_store(&world->script.tick_rc, rc);
        nanosleep(&(struct timespec){ 0, 10 * 1000000 }, NULL);
    }
    return rc;
}

static fp_status work(const fp_operation_call *call, void *user_data, fp_buf *result, fp_error *err)
{
    jobs_script *s = &world->script;
    const char *text = s->result ? s->result : "{\"n\":1}";
    fp_status rc = FILEPROC_OK;

    (void)user_data;
    atomic_fetch_add(&s->runs, 1);
    for (int i = 0; rc == FILEPROC_OK && i < s->outputs; i++)
        rc = make_output(call, i, err);
    if (rc < 0)
        return rc;
    atomic_store(&s->running, true);
    if (s->inside)
        s->inside(s->ud);
    rc = tick_on(call, err);
    atomic_store(&s->running, false);
    if (rc < 0)
        return rc;
    if (s->failure.code && s->failures > 0) {
        s->failures--;
        *err = s->failure;
        return s->failure.code;
    }
    return fp_buf_append(world->ctx, result, text, strlen(text), err);
}

static const fp_operation operation = { FILEPROC_OPERATION_INIT("test.work"), .accepts = "*",
                                        .parameters = NULL, .info_key = "test", .run = work };

static void note_change(void *user_data, const char *job_id, const char *file_id, const char *state,
                        double progress)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    jobs_world *w = user_data;
    size_t size;

    ck_assert(fpi_uuid_valid(job_id) && fpi_uuid_valid(file_id));
    pthread_mutex_lock(&lock);
    size = strlen(w->changes);
    if (size + 64 < sizeof(w->changes))
        snprintf(w->changes + size, sizeof(w->changes) - size, "%s:%.2f ", state, progress);
    pthread_mutex_unlock(&lock);
}

static void open_jobs(jobs_world *w, const fp_quarantine_options *quarantine)
{
    fp_jobs_options o = FILEPROC_JOBS_OPTIONS_INIT;
    fp_error err = { 0 };

    o.database = w->db;
    o.queue = w->q;
    o.storage = w->st;
    o.catalog = w->cat;
    o.pipelines = w->pls;
    o.lease_ms = 3000;
    o.max_attempts = 3;
    o.backoff_base_ms = 1;
    o.backoff_cap_ms = 1;
    o.on_change = note_change;
    o.user_data = w;
    o.quarantine = quarantine;
    ck_status(fp_jobs_open(w->ctx, &o, &w->jobs, &err), FILEPROC_OK, &err);
}

static void open_ledger(jobs_world *w)
{
    fp_pipelines_options po = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_queue_options qo = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_error err = { 0 };

    qo.database = w->db;
    qo.poll_interval_ms = 50;
    ck_status(fp_queue_open(w->ctx, "database:", &qo, &w->q, &err), FILEPROC_OK, &err);
    po.helper_path = HELPER_PATH;
    ck_status(fp_pipelines_open(w->ctx, &po, &w->pls, &err), FILEPROC_OK, &err);
    open_jobs(w, NULL);
}

void jobs_set_quarantine(jobs_world *w, const fp_quarantine_options *quarantine)
{
    fp_jobs_free(w->jobs);
    open_jobs(w, quarantine);
}

/* database_uri may be NULL: a fresh database. */
static void open_all(jobs_world *w, const fp_allocator *allocator, const char *database_uri,
                     const char *storage_uri)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_storage_options so = FILEPROC_STORAGE_OPTIONS_INIT;
    fp_error err = { 0 };

    world = w;
    so.max_bytes = JOBS_STORAGE_BYTES;
    o.allocator = allocator;
    o.clock_ms = shifted_clock;
    o.user_data = w;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_operation(w->ctx, &operation, &err), FILEPROC_OK, &err);
    if (database_uri)
        ck_status(fp_database_open(w->ctx, database_uri, NULL, &w->db, &err), FILEPROC_OK, &err);
    else
        fresh_database_open(w->ctx, w->fresh_uri, &w->db);
    ck_status(fp_database_migrate(w->db, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open(w->ctx, storage_uri, &so, &w->st, &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_open(w->ctx, w->db, w->st, &w->cat, &err), FILEPROC_OK, &err);
    open_ledger(w);
}

void jobs_world_open(jobs_world *w, const fp_allocator *allocator)
{
    *w = (jobs_world){ .script = { .outputs = 0 } };
    open_all(w, allocator, NULL, "mem:");
}

void jobs_world_open_in(jobs_world *w, const char *folder)
{
    char database_uri[128], storage_uri[128];

    *w = (jobs_world){ .script = { .outputs = 0 } };
    snprintf(w->folder, sizeof(w->folder), "%s", folder);
    snprintf(database_uri, sizeof(database_uri), "sqlite://%s/file.db", folder);
    snprintf(storage_uri, sizeof(storage_uri), "file://%s/objects", folder);
    open_all(w, NULL, database_uri, storage_uri);
}

void jobs_world_close(jobs_world *w)
{
    fp_jobs_free(w->jobs);
    fp_pipelines_free(w->pls);
    fp_queue_free(w->q);
    fp_catalog_free(w->cat);
    fp_storage_free(w->st);
    if (w->fresh_uri[0])
        fresh_database_close(w->db, w->fresh_uri);
    else
        fp_database_free(w->db);
    fp_context_free(w->ctx);
}

typedef struct insert_call {
    jobs_world *w;
    const fpi_new_file *file;
} insert_call;

static fp_status insert_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const insert_call *call = user_data;

    return fpi_catalog_insert(call->w->cat, tx, call->file, err);
}

static void add_file(jobs_world *w, const char *content, bool quarantined, char id[FPI_UUID_SIZE])
{
    char key[64];
    const fpi_new_file file = { .id = id,
                                .owner = "alice",
                                .filename = "name.bin",
                                .mime_type = "application/octet-stream",
                                .detected_mime_type = "application/octet-stream", /* no helper */
                                .storage_key = key,
                                .size = strlen(content),
                                .quarantined = quarantined };
    insert_call call = { w, &file };
    fp_error err = { 0 };

    ck_status(fpi_uuid7(w->ctx, id, &err), FILEPROC_OK, &err);
    snprintf(key, sizeof(key), "files/%s", id);
    ck_status(fp_storage_put(w->st, key, content, strlen(content), 0, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w->db, 0, insert_body, &call, &err), FILEPROC_OK, &err);
}

void jobs_add_file(jobs_world *w, const char *content, char id[FPI_UUID_SIZE])
{
    add_file(w, content, false, id);
}

typedef struct begin_call {
    jobs_world *w;
    const char *file_id, *job_id, *scan_id;
} begin_call;

static fp_status begin_body(fp_tx *tx, void *user_data, fp_error *err)
{
    const begin_call *c = user_data;
    fp_status rc =
        fpi_job_insert(c->w->jobs, tx, c->job_id, c->file_id, "alice",
                       "{\"name\":\"own\",\"steps\":[{\"operation\":\"test.work\"}]}", true, err);

    return rc < 0 ? rc : fpi_quarantine_begin(c->w->jobs, tx, c->scan_id, c->file_id, "alice", err);
}

void jobs_add_quarantined(jobs_world *w, const char *content, char file_id[FPI_UUID_SIZE],
                          char job_id[FPI_UUID_SIZE], char scan_id[FPI_UUID_SIZE])
{
    begin_call call = { w, file_id, job_id, scan_id };
    fp_error err = { 0 };

    add_file(w, content, true, file_id);
    ck_status(fpi_uuid7(w->ctx, job_id, &err), FILEPROC_OK, &err);
    ck_status(fpi_uuid7(w->ctx, scan_id, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w->db, 0, begin_body, &call, &err), FILEPROC_OK, &err);
}

void jobs_add_job(jobs_world *w, const char *file_id, int steps, char id[FPI_UUID_SIZE])
{
    char pipeline[512] = "{\"steps\":[";
    fp_error err = { 0 };
    fp_job *job = NULL;

    for (int i = 0; i < steps; i++) {
        size_t size = strlen(pipeline);

        snprintf(pipeline + size, sizeof(pipeline) - size,
                 "%s{\"name\":\"s%d\",\"operation\":\"test.work\"}", i ? "," : "", i + 1);
    }
    ck_assert_uint_lt(strlen(pipeline) + 3, sizeof(pipeline));
    memcpy(pipeline + strlen(pipeline), "]}", 3);
    ck_status(fp_job_create(w->jobs, file_id, pipeline, &job, &err), FILEPROC_OK, &err);
    snprintf(id, FPI_UUID_SIZE, "%s", job->id);
    fp_job_free(job);
}

void jobs_add(jobs_world *w, int steps, char id[FPI_UUID_SIZE])
{
    char file_id[FPI_UUID_SIZE];

    jobs_add_file(w, "hello", file_id);
    jobs_add_job(w, file_id, steps, id);
}

fp_job *must_get_job(jobs_world *w, const char *id)
{
    fp_error err = { 0 };
    fp_job *job = NULL;

    ck_status(fp_job_get(w->jobs, id, &job, &err), FILEPROC_OK, &err);
    return job;
}

void must_be_job(jobs_world *w, const char *id, const char *state, const char *error_code)
{
    fp_job *job = must_get_job(w, id);

    ck_assert_msg(strcmp(job->state, state) == 0, "%s instead of %s: %s (%s)", job->state, state,
                  job->error_code ? job->error_code : "",
                  job->error_detail ? job->error_detail : "");
    ck_assert_pstr_eq(job->error_code, error_code);
    fp_job_free(job);
}

bool work_once(jobs_world *w)
{
    fp_worker *worker = NULL;
    fp_error err = { 0 };
    int32_t ran = -1;

    ck_status(fp_worker_new(w->jobs, &worker, &err), FILEPROC_OK, &err);
    ck_status(fp_worker_run(worker, 0, &ran, &err), FILEPROC_OK, &err);
    fp_worker_free(worker);
    return ran == 1;
}

size_t count_objects(jobs_world *w, const char *prefix)
{
    fp_storage_list_page *page = NULL;
    fp_error err = { 0 };
    size_t count;

    ck_status(fp_storage_list(w->st, prefix, NULL, 1000, &page, &err), FILEPROC_OK, &err);
    count = page->count;
    fp_storage_list_free(page);
    return count;
}
