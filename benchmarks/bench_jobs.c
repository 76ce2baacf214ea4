/* Owns: the job benchmark: jobs that do nothing, so that what is measured is the ledger: queueing, claiming, committing, on disk.
 * Must not know: internals. Prints one JSON line. Usage: bench_jobs FOLDER HELPER THREADS JOBS [DATABASE-URI] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/driver/operation_driver.h>
#include <fileproc/fileproc.h>

#define PIPELINE "{\"steps\":[{\"operation\":\"bench.nothing\"}]}"
#define MAX_THREADS 64

static fp_context *ctx;
static fp_storage *storage;
static fp_database *database;
static fp_queue *queue;
static fp_catalog *catalog;
static fp_pipelines *pipelines;
static fp_jobs *jobs;
static fp_uploads *uploads;
static char file_id[64];
static atomic_int left;

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

static fp_status do_nothing(const fp_operation_call *call, void *user_data, fp_buf *result,
                            fp_error *err)
{
    (void)call, (void)user_data;
    return fp_buf_append(ctx, result, "{}", 2, err);
}

static const fp_operation nothing = { FILEPROC_OPERATION_INIT("bench.nothing"), .accepts = "*",
                                      .run = do_nothing };

static void open_ledger(const char *helper)
{
    fp_pipelines_options po = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_queue_options qo = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_uploads_options uo = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_jobs_options jo = FILEPROC_JOBS_OPTIONS_INIT;
    fp_error err = { 0 };

    qo.database = database;
    must(fp_queue_open(ctx, "database:", &qo, &queue, &err), &err);
    must(fp_catalog_open(ctx, database, storage, &catalog, &err), &err);
    po.helper_path = helper;
    must(fp_pipelines_open(ctx, &po, &pipelines, &err), &err);
    jo.database = database;
    jo.queue = queue;
    jo.storage = storage;
    jo.catalog = catalog;
    jo.pipelines = pipelines;
    must(fp_jobs_open(ctx, &jo, &jobs, &err), &err);
    uo.database = database;
    uo.storage = storage;
    uo.catalog = catalog; /* no jobs: the bench queues its own */
    must(fp_uploads_open(ctx, &uo, &uploads, &err), &err);
}

/* database_uri may be NULL: SQLite in the folder. */
static void open_all(const char *folder, const char *helper, const char *database_uri)
{
    char uri[1024];
    fp_error err = { 0 };

    must(fp_context_new(NULL, &ctx, &err), &err);
    must(fp_context_add_operation(ctx, &nothing, &err), &err);
    snprintf(uri, sizeof(uri), "file://%s/objects", folder);
    must(fp_storage_open(ctx, uri, NULL, &storage, &err), &err);
    snprintf(uri, sizeof(uri), "sqlite://%s/fileproc.db", folder);
    must(fp_database_open(ctx, database_uri ? database_uri : uri, NULL, &database, &err), &err);
    must(fp_database_migrate(database, &err), &err);
    open_ledger(helper);
}

static void upload(void)
{
    fp_upload_request req = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *up, *done;
    fp_chunk *chunk;
    fp_error err = { 0 };

    req.filename = "nothing.txt";
    req.mime_type = "text/plain";
    req.size = 5;
    must(fp_upload_create(uploads, &req, &up, &err), &err);
    must(fp_chunk_begin(uploads, up->id, 0, NULL, &chunk, &err), &err);
    must(fp_chunk_write(chunk, "hello", 5, &err), &err);
    must(fp_chunk_commit(chunk, NULL, &err), &err);
    fp_chunk_free(chunk);
    must(fp_upload_complete(uploads, up->id, &done, &err), &err);
    snprintf(file_id, sizeof(file_id), "%s", done->file_id);
    fp_upload_free(done);
    fp_upload_free(up);
}

static void *create(void *unused)
{
    fp_error err = { 0 };
    fp_job *job;

    while (atomic_fetch_sub(&left, 1) > 0) {
        must(fp_job_create(jobs, file_id, PIPELINE, &job, &err), &err);
        fp_job_free(job);
    }
    return unused;
}

static void *work(void *unused)
{
    fp_error err = { 0 };
    fp_worker *worker;
    int32_t ran = 1;

    must(fp_worker_new(jobs, &worker, &err), &err);
    while (ran)
        must(fp_worker_run(worker, 0, &ran, &err), &err);
    fp_worker_free(worker);
    return unused;
}

static double run(int count, void *(*fn)(void *))
{
    struct timespec start, end;
    pthread_t threads[MAX_THREADS];

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, fn, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

/* Nothing may be left, and nothing may have gone wrong. */
static void check_states(void)
{
    static const char *const states[] = { "queued", "running", "failed", "dead", "cancelled" };
    fp_error err = { 0 };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        fp_job_query query = FILEPROC_JOB_QUERY_INIT;
        fp_job_page *page;

        query.state = states[i];
        must(fp_job_list(jobs, &query, &page, &err), &err);
        if (page->count) {
            fprintf(stderr, "there are jobs %s\n", states[i]);
            exit(1);
        }
        fp_job_page_free(page);
    }
}

int main(int argc, char **argv)
{
    double created, done;
    int threads, count;

    if (argc != 5 && argc != 6)
        return 2;
    threads = (int)strtol(argv[3], NULL, 10);
    count = (int)strtol(argv[4], NULL, 10);
    if (threads < 1 || threads > MAX_THREADS || count < 1)
        return 2;
    open_all(argv[1], argv[2], argc == 6 ? argv[5] : NULL);
    upload();
    atomic_store(&left, 1);
    (void)run(1, create); /* the first job learns the type of the file */
    (void)run(1, work);
    atomic_store(&left, count);
    created = run(threads, create);
    done = run(threads, work);
    check_states();
    printf("{\"threads\": %d, \"created_per_s\": %.0f, \"jobs_per_s\": %.0f}\n", threads,
           count / created, count / done);
    return 0;
}
