/* Owns: the check that no public function can be made to crash with NULL, or with a struct_size that is wrong; what calls there are
 * says nulls.py, which reads the headers.
 * Must not know: which functions there are. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fileproc/driver/cache_driver.h>
#include <fileproc/driver/database_driver.h>
#include <fileproc/driver/operation_driver.h>
#include <fileproc/driver/queue_driver.h>
#include <fileproc/driver/storage_driver.h>
#include <fileproc/fileproc.h>

typedef struct world {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fp_catalog *cat;
    fp_queue *q;
    fp_cache *cache;
    fp_subscription *sub;
    fp_pipelines *pls;
    fp_jobs *jobs;
    fp_uploads *ups;
    fp_config *cfg;
    fp_runner *runner;
    fp_assembly *assembly;
    fp_part *part;
    fp_chunk *chunk;
    fp_append *append;
    fp_chunk_map *map;
    fp_upload *upload;
    const fp_file *file;
    const fp_job *job;
    unsigned char bytes[256];
    const char *texts[2];
    void *out; /* what no refused call may set */
    fp_buf *buf;
    fp_error *err;
} world;

#define PIPELINE "{\"steps\":[{\"operation\":\"test.nothing\"}]}"

static const char *called = "";
static int failures;

static void refuse(fp_status rc, const char *call, const world *w)
{
    if (rc != FILEPROC_ERR_INVALID) {
        fprintf(stderr, "%s answers %s\n", call, fp_status_name(rc));
        failures++;
    }
    if (w->out) {
        fprintf(stderr, "%s sets its output\n", call);
        failures++;
    }
}

#define REFUSED(call) refuse(call, #call, w)
#define ALIVE(call) (void)!(call)
#define ALIVE_VOID(call) call

/* The struct with another struct_size, and no zeros behind it. */
static void *resize(const void *good, size_t size, size_t struct_size)
{
    static _Alignas(16) unsigned char copy[8192];

    memset(copy, 0x5A, sizeof(copy));
    memcpy(copy, good, size);
    memcpy(copy, &struct_size, sizeof(struct_size));
    return copy;
}

#define SIZED(type, size, call)                                                                    \
    do {                                                                                           \
        type *sized = resize(GOOD_##type, sizeof(type), size);                                     \
        REFUSED(call);                                                                             \
    } while (0)

#define GOOD_PIPELINE PIPELINE
#define OUT(type) ((type **)(void *)&w->out)
#define GOOD_fp_error w->err
#define GOOD_fp_context w->ctx
#define GOOD_fp_context_out OUT(fp_context)
#define GOOD_fp_context_options (&(fp_context_options)FILEPROC_CONTEXT_OPTIONS_INIT)
#define GOOD_fp_buf w->buf
#define GOOD_fp_cache w->cache
#define GOOD_fp_cache_out OUT(fp_cache)
#define GOOD_fp_cache_options (&(fp_cache_options)FILEPROC_CACHE_OPTIONS_INIT)
#define GOOD_fp_cache_driver (&good_cache_driver)
#define GOOD_fp_lease (&(fp_lease){ sizeof(fp_lease), .name = "a", .holder = "b", .ttl_ms = 1000 })
#define GOOD_fp_lease_info (&(fp_lease_info)FILEPROC_LEASE_INFO_INIT)
#define GOOD_fp_rate (&(fp_rate){ sizeof(fp_rate), .limit = 1, .window_ms = 1000 })
#define GOOD_fp_subscription w->sub
#define GOOD_fp_subscription_out OUT(fp_subscription)
#define GOOD_fp_news (&(fp_news)FILEPROC_NEWS_INIT)
#define GOOD_fp_catalog w->cat
#define GOOD_fp_catalog_out OUT(fp_catalog)
#define GOOD_fp_file w->file
#define GOOD_fp_file_out OUT(fp_file)
#define GOOD_fp_file_page_out OUT(fp_file_page)
#define GOOD_fp_file_query (&(fp_file_query)FILEPROC_FILE_QUERY_INIT)
#define GOOD_fp_config w->cfg
#define GOOD_fp_config_out OUT(fp_config)
#define GOOD_fp_database w->db
#define GOOD_fp_database_out OUT(fp_database)
#define GOOD_fp_database_options (&(fp_database_options)FILEPROC_DATABASE_OPTIONS_INIT)
#define GOOD_fp_database_driver (&good_database_driver)
#define GOOD_fp_tx tx
#define GOOD_fp_tx_fn nothing_body
#define GOOD_fp_value (&(fp_value)FILEPROC_V_INT(1))
#define GOOD_fp_rows rows
#define GOOD_fp_rows_out OUT(fp_rows)
#define GOOD_fp_relay_out OUT(fp_relay)
#define GOOD_fp_relay_options                                                                      \
    (&(fp_relay_options){ sizeof(fp_relay_options), .database = w->db, .queue = w->q })
#define GOOD_fp_jobs w->jobs
#define GOOD_fp_jobs_out OUT(fp_jobs)
#define GOOD_fp_jobs_options                                                                       \
    (&(fp_jobs_options){ sizeof(fp_jobs_options), .database = w->db, .queue = w->q,                \
                         .storage = w->st, .catalog = w->cat, .pipelines = w->pls })
#define GOOD_fp_jobs_maintenance (&(fp_jobs_maintenance)FILEPROC_JOBS_MAINTENANCE_INIT)
#define GOOD_fp_job w->job
#define GOOD_fp_job_out OUT(fp_job)
#define GOOD_fp_job_page_out OUT(fp_job_page)
#define GOOD_fp_quarantine (&(fp_quarantine){ sizeof(fp_quarantine), .file_id = "a" })
#define GOOD_fp_quarantine_out OUT(fp_quarantine)
#define GOOD_fp_quarantine_page NULL
#define GOOD_fp_quarantine_page_out OUT(fp_quarantine_page)
#define GOOD_fp_quarantine_query (&(fp_quarantine_query)FILEPROC_QUARANTINE_QUERY_INIT)
#define GOOD_fp_quarantine_counts (&(fp_quarantine_counts)FILEPROC_QUARANTINE_COUNTS_INIT)
#define GOOD_fp_job_query (&(fp_job_query)FILEPROC_JOB_QUERY_INIT)
#define GOOD_fp_worker_out OUT(fp_worker)
#define GOOD_fp_operation (&good_operation)
#define GOOD_fp_pipelines w->pls
#define GOOD_fp_pipelines_out OUT(fp_pipelines)
#define GOOD_fp_pipelines_options (&(fp_pipelines_options)FILEPROC_PIPELINES_OPTIONS_INIT)
#define GOOD_fp_pipeline_input                                                                     \
    (&(fp_pipeline_input){ sizeof(fp_pipeline_input), .filename = "a", .mime_type = "text/plain",  \
                           .fd = 0 })
#define GOOD_fp_pipeline_sink (&(fp_pipeline_sink)FILEPROC_PIPELINE_SINK_INIT)
#define GOOD_fp_runner w->runner
#define GOOD_fp_runner_out OUT(fp_runner)
#define GOOD_fp_queue w->q
#define GOOD_fp_queue_out OUT(fp_queue)
#define GOOD_fp_queue_options (&(fp_queue_options){ sizeof(fp_queue_options), .database = w->db })
#define GOOD_fp_queue_driver (&good_queue_driver)
#define GOOD_fp_message_out OUT(fp_message)
#define GOOD_fp_storage w->st
#define GOOD_fp_storage_out OUT(fp_storage)
#define GOOD_fp_storage_options (&(fp_storage_options)FILEPROC_STORAGE_OPTIONS_INIT)
#define GOOD_fp_storage_driver (&good_storage_driver)
#define GOOD_fp_storage_info (&(fp_storage_info)FILEPROC_STORAGE_INFO_INIT)
#define GOOD_fp_storage_list_page_out OUT(fp_storage_list_page)
#define GOOD_fp_assembly w->assembly
#define GOOD_fp_assembly_out OUT(fp_assembly)
#define GOOD_fp_part w->part
#define GOOD_fp_part_out OUT(fp_part)
#define GOOD_fp_adoption (&(fp_adoption)FILEPROC_ADOPTION_INIT)
#define GOOD_fp_written_fn nothing_written
#define GOOD_fp_direct_part_fn no_direct_part
#define GOOD_fp_direct_part (&(fp_direct_part){ .number = 1, .etag = "x" })
#define GOOD_fp_reap_fn nothing_reaped
#define GOOD_fp_part_info (&(fp_part_info)FILEPROC_PART_INFO_INIT)
#define GOOD_fp_uploads w->ups
#define GOOD_fp_uploads_out OUT(fp_uploads)
#define GOOD_fp_uploads_options                                                                    \
    (&(fp_uploads_options){ sizeof(fp_uploads_options), .database = w->db, .storage = w->st,       \
                            .catalog = w->cat })
#define GOOD_fp_upload w->upload
#define GOOD_fp_upload_out OUT(fp_upload)
#define GOOD_fp_upload_request                                                                     \
    (&(fp_upload_request){ sizeof(fp_upload_request), .filename = "a", .mime_type = "text/plain" })
#define GOOD_fp_append w->append
#define GOOD_fp_append_out OUT(fp_append)
#define GOOD_fp_append_options (&(fp_append_options)FILEPROC_APPEND_OPTIONS_INIT)
#define GOOD_fp_chunk w->chunk
#define GOOD_fp_chunk_map w->map
#define GOOD_fp_chunk_map_out OUT(fp_chunk_map)
#define GOOD_fp_chunk_out OUT(fp_chunk)
#define GOOD_fp_chunk_options (&(fp_chunk_options)FILEPROC_CHUNK_OPTIONS_INIT)
#define GOOD_fp_reaped (&(fp_reaped)FILEPROC_REAPED_INIT)

/* Slots that are there and never called. */
static void absent(void)
{
    abort();
}

#define SLOT(driver, name) .name = (__typeof__(((driver *)0)->name))(void *)absent

static const fp_storage_driver good_storage_driver = {
    FILEPROC_STORAGE_DRIVER_INIT("absent"),
    SLOT(fp_storage_driver, open),
    SLOT(fp_storage_driver, close),
    SLOT(fp_storage_driver, read),
    SLOT(fp_storage_driver, stat),
    SLOT(fp_storage_driver, remove),
    SLOT(fp_storage_driver, list),
    SLOT(fp_storage_driver, assembly_open),
    SLOT(fp_storage_driver, assembly_close),
    SLOT(fp_storage_driver, assembly_read),
    SLOT(fp_storage_driver, assembly_publish),
    SLOT(fp_storage_driver, part_begin),
    SLOT(fp_storage_driver, part_write),
    SLOT(fp_storage_driver, part_commit),
    SLOT(fp_storage_driver, part_free),
    SLOT(fp_storage_driver, discard),
    SLOT(fp_storage_driver, list_staged),
};
static const fp_database_driver good_database_driver = {
    FILEPROC_DATABASE_DRIVER_INIT("absent"), SLOT(fp_database_driver, open),
    SLOT(fp_database_driver, close),         SLOT(fp_database_driver, transact),
    SLOT(fp_database_driver, exec),          SLOT(fp_database_driver, query),
    SLOT(fp_database_driver, next),          SLOT(fp_database_driver, column_int64),
    SLOT(fp_database_driver, column_double), SLOT(fp_database_driver, column_text),
    SLOT(fp_database_driver, rows_free),     SLOT(fp_database_driver, change_counter),
};
static const fp_cache_driver good_cache_driver = {
    FILEPROC_CACHE_DRIVER_INIT("absent"),
    SLOT(fp_cache_driver, open),
    SLOT(fp_cache_driver, close),
    SLOT(fp_cache_driver, ping),
    SLOT(fp_cache_driver, get),
    SLOT(fp_cache_driver, set),
    SLOT(fp_cache_driver, remove),
    SLOT(fp_cache_driver, lease_acquire),
    SLOT(fp_cache_driver, lease_renew),
    SLOT(fp_cache_driver, lease_release),
    SLOT(fp_cache_driver, lease_look),
    SLOT(fp_cache_driver, count),
    SLOT(fp_cache_driver, publish),
    SLOT(fp_cache_driver, subscribe),
    SLOT(fp_cache_driver, subscription_add),
    SLOT(fp_cache_driver, subscription_remove),
    SLOT(fp_cache_driver, subscription_receive),
    SLOT(fp_cache_driver, subscription_wake),
    SLOT(fp_cache_driver, subscription_free),
};
static const fp_queue_driver good_queue_driver = {
    FILEPROC_QUEUE_DRIVER_INIT("absent"), SLOT(fp_queue_driver, open),
    SLOT(fp_queue_driver, close),         SLOT(fp_queue_driver, send),
    SLOT(fp_queue_driver, receive),       SLOT(fp_queue_driver, wake),
    SLOT(fp_queue_driver, ack),           SLOT(fp_queue_driver, message_free),
};
static const fp_operation good_operation = { FILEPROC_OPERATION_INIT("test.nothing"),
                                             .accepts = "*", SLOT(fp_operation, run) };

static fp_status no_direct_part(void *user_data, const fp_direct_part *part, fp_error *err)
{
    (void)user_data;
    (void)part;
    (void)err;
    return FILEPROC_OK;
}

static fp_status nothing_written(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                                 fp_error *err)
{
    (void)user_data;
    (void)offset;
    (void)size;
    (void)etag;
    (void)err;
    return FILEPROC_OK;
}

static void nothing_reaped(void *user_data, const fp_reap_item *item)
{
    (void)user_data;
    (void)item;
}

static fp_status nothing_body(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)tx;
    (void)user_data;
    (void)err;
    return FILEPROC_OK;
}

#include "nulls_calls.h"

#define MUST(call)                                                                                 \
    do                                                                                             \
        if ((call) != FILEPROC_OK) {                                                               \
            fprintf(stderr, "%s: %s\n", #call, w->err->message);                                   \
            exit(1);                                                                               \
        }                                                                                          \
    while (0)

static void open_world(world *w)
{
    MUST(fp_context_new(NULL, &w->ctx, w->err));
    MUST(fp_context_add_operation(w->ctx, &good_operation, w->err));
    MUST(fp_database_open(w->ctx, "sqlite::memory:", NULL, &w->db, w->err));
    MUST(fp_database_migrate(w->db, w->err));
    MUST(fp_storage_open(w->ctx, "mem:", NULL, &w->st, w->err));
    MUST(fp_storage_put(w->st, "text", "x", 1, 0, w->err));
    MUST(fp_catalog_open(w->ctx, w->db, w->st, &w->cat, w->err));
    MUST(fp_queue_open(w->ctx, "database:", GOOD_fp_queue_options, &w->q, w->err));
    MUST(fp_cache_open(w->ctx, "mem:", NULL, &w->cache, w->err));
    MUST(fp_cache_subscribe(w->cache, &w->sub, w->err));
    MUST(fp_pipelines_open(w->ctx, NULL, &w->pls, w->err));
    MUST(fp_jobs_open(w->ctx, GOOD_fp_jobs_options, &w->jobs, w->err));
    MUST(fp_uploads_open(w->ctx, GOOD_fp_uploads_options, &w->ups, w->err));
    MUST(fp_config_new(w->ctx, &w->cfg, w->err));
    MUST(fp_runner_new(w->pls, &w->runner, w->err));
    MUST(fp_assembly_open(w->st, "00000000-0000-7000-8000-000000000001", FILEPROC_ASSEMBLY_CREATE,
                          &w->assembly, w->err));
    MUST(fp_part_begin(w->assembly, 0, 100, &w->part, w->err));
}

static void open_chunk(world *w)
{
    fp_upload_request r = *GOOD_fp_upload_request;

    r.size = 100;
    r.mime_type = "image/png";
    MUST(fp_upload_create(w->ups, &r, &w->upload, w->err));
    MUST(fp_chunk_begin(w->ups, w->upload->id, 0, NULL, &w->chunk, w->err));
    MUST(fp_append_begin(w->ups, w->upload->id, 0, NULL, &w->append, w->err));
    MUST(fp_upload_map(w->ups, w->upload->id, 0, 1, &w->map, w->err));
}

static void close_world(world *w)
{
    fp_chunk_map_free(w->map);
    fp_chunk_free(w->chunk);
    fp_append_free(w->append);
    fp_upload_free(w->upload);
    fp_part_free(w->part);
    fp_assembly_close(w->assembly);
    fp_runner_free(w->runner);
    fp_config_free(w->cfg);
    fp_uploads_free(w->ups);
    fp_jobs_free(w->jobs);
    fp_pipelines_free(w->pls);
    fp_queue_free(w->q);
    fp_subscription_free(w->sub);
    fp_cache_free(w->cache);
    fp_catalog_free(w->cat);
    fp_storage_free(w->st);
    fp_database_free(w->db);
    fp_buf_dispose(w->buf);
    fp_context_free(w->ctx);
}

static fp_status inside_body(fp_tx *tx, void *user_data, fp_error *err)
{
    fp_rows *rows = NULL;
    fp_status rc = fp_tx_query(tx, "SELECT 2", NULL, 0, &rows, err);

    if (rc == FILEPROC_OK)
        call_inside(user_data, tx, rows);
    fp_rows_free(rows);
    return rc;
}

/* Made by the library as a rule; a binding may hand over anything. */
static void write_empty_records(world *w)
{
    fp_file file = { .struct_size = sizeof(file) };
    fp_job job = { .struct_size = sizeof(job) };
    fp_upload upload = { .struct_size = sizeof(upload) };

    called = "to_json";
    ALIVE(fp_file_to_json(w->ctx, &file, w->buf, w->err));
    ALIVE(fp_job_to_json(w->ctx, &job, w->buf, w->err));
    ALIVE(fp_upload_to_json(w->ctx, &upload, w->buf, w->err));
}

static void crashed(int number)
{
    (void)number;
    fprintf(stderr, "%s crashes\n", called);
    _Exit(1);
}

int main(void)
{
    fp_error err = { 0 };
    fp_buf buf = FILEPROC_BUF_INIT;
    fp_file file = { .struct_size = sizeof(file) };
    fp_job job = { .struct_size = sizeof(job) };
    world w = { .texts = { "text" }, .file = &file, .job = &job, .buf = &buf, .err = &err };
    const char *volatile no_format = NULL;

    open_world(&w);
    open_chunk(&w);
    signal(SIGSEGV, crashed);
    signal(SIGABRT, crashed);
    call_outside(&w);
    if (fp_database_transact(w.db, FILEPROC_TX_READONLY, inside_body, &w, &err) < 0)
        failures++;
    write_empty_records(&w);
    called = "fp_error_setf";
    ALIVE(fp_error_setf(&err, FILEPROC_ERR_IO, no_format));
    ALIVE(fp_error_reasonf(&err, FILEPROC_ERR_IO, 1, no_format));
    close_world(&w);
    if (failures)
        fprintf(stderr, "%d calls failed\n", failures);
    return failures > 0;
}
