/* Takes a file in and prints what came of it: facts and derivatives. No daemon, no other server.
 *
 *   cc upload_and_process.c -o upload_and_process $(pkg-config --cflags --libs fileproc)
 *   ./upload_and_process /tmp/fileproc-data photo.jpg image/jpeg
 *
 * Everything is kept in the folder: run it again and the files of before are still there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fileproc/fileproc.h>

/* The handles of an embedded libfileproc, in the order in which they stand on each other. */
typedef struct embedded {
    fp_context *ctx;
    fp_storage *storage;
    fp_database *database;
    fp_queue *queue;
    fp_catalog *catalog;
    fp_pipelines *pipelines;
    fp_jobs *jobs;
    fp_uploads *uploads;
    fp_worker *worker;
} embedded;

static fp_status open_all(embedded *e, const char *folder, fp_error *err)
{
    fp_queue_options queue = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_jobs_options jobs = FILEPROC_JOBS_OPTIONS_INIT;
    fp_uploads_options uploads = FILEPROC_UPLOADS_OPTIONS_INIT;
    char storage_uri[1024], database_uri[1024];
    fp_status rc;

    snprintf(storage_uri, sizeof(storage_uri), "file://%s/objects", folder);
    snprintf(database_uri, sizeof(database_uri), "sqlite://%s/fileproc.db", folder);
    if ((rc = fp_context_new(NULL, &e->ctx, err)) < 0 ||
        (rc = fp_storage_open(e->ctx, storage_uri, NULL, &e->storage, err)) < 0 ||
        (rc = fp_database_open(e->ctx, database_uri, NULL, &e->database, err)) < 0 ||
        (rc = fp_database_migrate(e->database, err)) < 0 ||
        (rc = fp_catalog_open(e->ctx, e->database, e->storage, &e->catalog, err)) < 0 ||
        (rc = fp_pipelines_open(e->ctx, NULL, &e->pipelines, err)) < 0)
        return rc;
    queue.database = e->database;
    if ((rc = fp_queue_open(e->ctx, "database:", &queue, &e->queue, err)) < 0)
        return rc;
    jobs.database = e->database;
    jobs.queue = e->queue;
    jobs.storage = e->storage;
    jobs.catalog = e->catalog;
    jobs.pipelines = e->pipelines;
    if ((rc = fp_jobs_open(e->ctx, &jobs, &e->jobs, err)) < 0)
        return rc;
    uploads.database = e->database;
    uploads.storage = e->storage;
    uploads.catalog = e->catalog;
    uploads.jobs = e->jobs;
    if ((rc = fp_uploads_open(e->ctx, &uploads, &e->uploads, err)) < 0)
        return rc;
    return fp_worker_new(e->jobs, &e->worker, err);
}

static void close_all(embedded *e)
{
    fp_worker_free(e->worker);
    fp_uploads_free(e->uploads);
    fp_jobs_free(e->jobs);
    fp_pipelines_free(e->pipelines);
    fp_catalog_free(e->catalog);
    fp_queue_free(e->queue);
    fp_database_free(e->database);
    fp_storage_free(e->storage);
    fp_context_free(e->ctx);
}

static fp_status send_chunk(embedded *e, FILE *in, const char *upload_id, uint64_t index,
                            fp_error *err)
{
    char buf[65536];
    fp_chunk *chunk;
    uint64_t left;
    fp_status rc;

    rc = fp_chunk_begin(e->uploads, upload_id, index, NULL, &chunk, err);
    if (rc < 0)
        return rc;
    for (left = fp_chunk_length(chunk); left > 0 && rc == FILEPROC_OK;) {
        size_t n = fread(buf, 1, left < sizeof(buf) ? (size_t)left : sizeof(buf), in);

        if (n == 0)
            rc = fp_error_setf(err, FILEPROC_ERR_IO, "the file is shorter than it was");
        else
            rc = fp_chunk_write(chunk, buf, n, err);
        left -= n;
    }
    if (rc == FILEPROC_OK)
        rc = fp_chunk_commit(chunk, NULL, err); /* now it is on disk */
    fp_chunk_free(chunk);
    return rc;
}

/* Uploads the file and gives back its id in the catalog and the id of its job ("" when its type has none). */
static fp_status upload(embedded *e, const char *path, const char *mime_type, char file_id[64],
                        char job_id[64], fp_error *err)
{
    fp_upload_request req = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *up = NULL, *done = NULL;
    FILE *in = fopen(path, "rb");
    fp_status rc;
    long size;

    if (!in)
        return fp_error_setf(err, FILEPROC_ERR_IO, "%s can't be opened", path);
    if (fseek(in, 0, SEEK_END) != 0 || (size = ftell(in)) < 0 || fseek(in, 0, SEEK_SET) != 0) {
        fclose(in);
        return fp_error_setf(err, FILEPROC_ERR_IO, "%s can't be read", path);
    }
    req.filename = path; /* folders are cut off */
    req.mime_type = mime_type;
    req.size = (uint64_t)size;
    rc = fp_upload_create(e->uploads, &req, &up, err);
    for (uint64_t i = 0; rc == FILEPROC_OK && i < up->total_chunks; i++)
        rc = send_chunk(e, in, up->id, i, err);
    if (rc == FILEPROC_OK)
        rc = fp_upload_complete(e->uploads, up->id, &done, err);
    if (rc == FILEPROC_OK) {
        snprintf(file_id, 64, "%s", done->file_id);
        snprintf(job_id, 64, "%s", done->job_id ? done->job_id : "");
    }
    fp_upload_free(done);
    fp_upload_free(up);
    fclose(in);
    return rc;
}

/* Runs queued jobs until this one has ended. */
static fp_status work_until_done(embedded *e, const char *job_id, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    int ended = 0;

    while (rc == FILEPROC_OK && !ended) {
        fp_job *job = NULL;

        rc = fp_worker_run(e->worker, 1000, NULL, err);
        if (rc == FILEPROC_OK)
            rc = fp_job_get(e->jobs, job_id, &job, err);
        if (rc == FILEPROC_OK && job->finished_at_ms) {
            ended = 1;
            if (job->error_code)
                fprintf(stderr, "job %s: %s: %s\n", job->state, job->error_code, job->error_detail);
        }
        fp_job_free(job);
    }
    return rc;
}

static fp_status print_file(embedded *e, const fp_file *file, fp_error *err)
{
    fp_buf text = FILEPROC_BUF_INIT;
    fp_status rc = fp_file_to_json(e->ctx, file, &text, err);

    if (rc == FILEPROC_OK)
        puts(text.data);
    fp_buf_dispose(&text);
    return rc;
}

static fp_status print_results(embedded *e, const char *file_id, fp_error *err)
{
    fp_file_query query = FILEPROC_FILE_QUERY_INIT;
    fp_file_page *derivatives = NULL;
    fp_file *file = NULL;
    fp_status rc;

    rc = fp_catalog_get(e->catalog, file_id, &file, err);
    if (rc == FILEPROC_OK)
        rc = print_file(e, file, err);
    query.parent_id = file_id;
    if (rc == FILEPROC_OK)
        rc = fp_catalog_list(e->catalog, &query, &derivatives, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < derivatives->count; i++)
        rc = print_file(e, derivatives->items[i], err);
    fp_file_page_free(derivatives);
    fp_file_free(file);
    return rc;
}

int main(int argc, char **argv)
{
    char file_id[64], job_id[64];
    fp_error err = { 0 };
    embedded e = { 0 };
    fp_status rc;

    if (argc != 4 || argv[1][0] != '/') {
        fprintf(stderr, "usage: upload_and_process /ABSOLUTE/DATA/FOLDER FILE MIME-TYPE\n");
        return 2;
    }
    rc = open_all(&e, argv[1], &err);
    if (rc == FILEPROC_OK)
        rc = upload(&e, argv[2], argv[3], file_id, job_id, &err);
    if (rc == FILEPROC_OK && job_id[0])
        rc = work_until_done(&e, job_id, &err);
    if (rc == FILEPROC_OK)
        rc = print_results(&e, file_id, &err);
    if (rc < 0)
        fprintf(stderr, "upload_and_process: %s (%s)\n", err.message, fp_error_reason(&err));
    close_all(&e);
    return rc == FILEPROC_OK ? 0 : 1;
}
