/* Owns: the image benchmark: jobs of an embedded libfileproc make three sizes of each photo, N workers, with everything a
 * job does: claim, helper process, durable derivatives, facts, commit.
 * Must not know: internals. Prints one JSON line. Usage: bench_images FOLDER HELPER THREADS ROUNDS PHOTO... */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

#define PIPELINE                                                                                                                      \
    "{\"steps\":["                                                                                                                    \
    "{\"name\":\"s\",\"operation\":\"image.resize\",\"params\":{\"width\":256,\"height\":256,\"format\":\"jpeg\",\"quality\":80}},"   \
    "{\"name\":\"m\",\"operation\":\"image.resize\",\"params\":{\"width\":1024,\"height\":1024,\"format\":\"webp\",\"quality\":80}}," \
    "{\"name\":\"l\",\"operation\":\"image.resize\",\"params\":{\"width\":1600,\"height\":1600,\"format\":\"jpeg\",\"quality\":80}}]}"

static fp_context *ctx;
static fp_storage *storage;
static fp_database *database;
static fp_queue *queue;
static fp_catalog *catalog;
static fp_pipelines *pipelines;
static fp_jobs *jobs;
static fp_uploads *uploads;

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

static void open_all(const char *folder, const char *helper)
{
    fp_pipelines_options po = FILEPROC_PIPELINES_OPTIONS_INIT;
    fp_queue_options qo = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_jobs_options jo = FILEPROC_JOBS_OPTIONS_INIT;
    fp_uploads_options uo = FILEPROC_UPLOADS_OPTIONS_INIT;
    char uri[1024];
    fp_error err = { 0 };

    must(fp_context_new(NULL, &ctx, &err), &err);
    snprintf(uri, sizeof(uri), "file://%s/objects", folder);
    must(fp_storage_open(ctx, uri, NULL, &storage, &err), &err);
    snprintf(uri, sizeof(uri), "sqlite://%s/fileproc.db", folder);
    must(fp_database_open(ctx, uri, NULL, &database, &err), &err);
    must(fp_database_migrate(database, &err), &err);
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

static void upload(const char *path, char file_id[64])
{
    static char data[1 << 20];
    fp_upload_request req = FILEPROC_UPLOAD_REQUEST_INIT;
    FILE *in = fopen(path, "rb");
    fp_error err = { 0 };
    fp_upload *up, *done;

    if (!in)
        exit(1);
    fseek(in, 0, SEEK_END);
    req.filename = path;
    req.mime_type = "image/jpeg";
    req.size = (uint64_t)ftell(in);
    rewind(in);
    must(fp_upload_create(uploads, &req, &up, &err), &err);
    for (uint64_t i = 0; i < up->total_chunks; i++) {
        fp_chunk *chunk;
        uint64_t left;

        must(fp_chunk_begin(uploads, up->id, i, NULL, &chunk, &err), &err);
        for (left = fp_chunk_length(chunk); left;) {
            size_t n = fread(data, 1, left < sizeof(data) ? (size_t)left : sizeof(data), in);

            must(fp_chunk_write(chunk, data, n, &err), &err);
            left -= n;
        }
        must(fp_chunk_commit(chunk, NULL, &err), &err);
        fp_chunk_free(chunk);
    }
    must(fp_upload_complete(uploads, up->id, &done, &err), &err);
    snprintf(file_id, 64, "%s", done->file_id);
    fp_upload_free(done);
    fp_upload_free(up);
    fclose(in);
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

static void queue_jobs(int rounds, int count, char **photos)
{
    fp_error err = { 0 };
    char file_id[64];
    fp_job *job;

    for (int p = 0; p < count; p++) {
        upload(photos[p], file_id);
        for (int r = 0; r < rounds; r++) {
            must(fp_job_create(jobs, file_id, PIPELINE, &job, &err), &err);
            fp_job_free(job);
        }
    }
}

static void check_all_succeeded(int wanted)
{
    fp_job_query query = FILEPROC_JOB_QUERY_INIT;
    fp_job_page *page;
    fp_error err = { 0 };

    query.state = "succeeded";
    query.limit = 1000;
    must(fp_job_list(jobs, &query, &page, &err), &err);
    if ((int)page->count != wanted) {
        fprintf(stderr, "%zu of %d jobs succeeded\n", page->count, wanted);
        exit(1);
    }
    fp_job_page_free(page);
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    pthread_t threads[64];
    int thread_count, rounds, count;
    double seconds;

    if (argc < 6)
        return 2;
    thread_count = (int)strtol(argv[3], NULL, 10);
    rounds = (int)strtol(argv[4], NULL, 10);
    count = argc - 5;
    open_all(argv[1], argv[2]);
    queue_jobs(rounds, count, argv + 5);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < thread_count; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    check_all_succeeded(rounds * count);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("{\"seconds\": %.3f, \"jobs_per_s\": %.2f}\n", seconds, rounds * count / seconds);
    return 0;
}
