/* Owns: the check that no statement of the library looks at a whole table or sorts one: SQLite is asked for the plan of each that
 * a life of uploads, jobs and files runs.
 * Must not know: the statements. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <fileproc/driver/database_driver.h>
#include <fileproc/driver/operation_driver.h>

#include "database/database_private.h"
#include "runner.h"
#include "scratch.h"
#include "upload_world.h"

/* The test's own. */
static const char all_detected[] = "UPDATE files SET detected_mime_type = mime_type";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char complaints[4096];
static int asked;

/* Jobs that run are never more than there are workers; "t" is the tree of one file and what was made of it. */
static bool is_bad(const char *sql, const char *step)
{
    if (strcmp(sql, all_detected) == 0 || strcmp(step, "SCAN t") == 0 ||
        strcmp(step, "SCAN tree") == 0)
        return false;
    if (strstr(step, "SCAN ") && !strstr(step, " USING ") && !strstr(step, "CONSTANT ROW"))
        return true;
    return strstr(step, "TEMP B-TREE FOR ORDER BY") && !strstr(sql, "state = 'running'");
}

static void ask(void *t, const char *sql, const fp_value *params, size_t count)
{
    char text[2048];
    fp_error err = { 0 };
    int32_t more = 0;
    void *r = NULL;

    snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
    if (fpi_database_sqlite_driver.query(t, text, params, count, &r, &err) < 0)
        return; /* a pragma, or the like */
    pthread_mutex_lock(&lock);
    asked++;
    while (fpi_database_sqlite_driver.next(r, &more, &err) == FILEPROC_OK && more) {
        const char *step = fpi_database_sqlite_driver.column_text(r, 3);
        size_t size = strlen(complaints);

        if (is_bad(sql, step) && !strstr(complaints, sql))
            snprintf(complaints + size, sizeof(complaints) - size, "\n%s\n   %s", sql, step);
    }
    pthread_mutex_unlock(&lock);
    fpi_database_sqlite_driver.rows_free(r);
}

static fp_status spy_exec(void *t, const char *sql, const fp_value *params, size_t count,
                          uint64_t *changed, fp_error *err)
{
    ask(t, sql, params, count);
    return fpi_database_sqlite_driver.exec(t, sql, params, count, changed, err);
}

static fp_status spy_query(void *t, const char *sql, const fp_value *params, size_t count, void **r,
                           fp_error *err)
{
    ask(t, sql, params, count);
    return fpi_database_sqlite_driver.query(t, sql, params, count, r, err);
}

static fp_status work(const fp_operation_call *call, void *user_data, fp_buf *result, fp_error *err)
{
    int32_t fd = -1;
    fp_status rc = call->output(call->handle, "text/plain", "txt", "{}", &fd, err);

    if (rc == FILEPROC_OK && write(fd, "x", 1) != 1)
        return FILEPROC_ERR_IO;
    if (rc == FILEPROC_OK)
        rc = call->tick(call->handle, err);
    return rc < 0 ? rc : fp_buf_append(user_data, result, "{}", 2, err);
}

static void live(upload_world *w)
{
    char id[FPI_UUID_SIZE];
    fp_error err = { 0 };
    int32_t ran = 0;
    fp_worker *worker = NULL;
    fp_upload *u;
    fp_job *job = NULL;

    must_create(w, 10, id);
    ck_status(fp_upload_cancel(w->ups, id, &err), FILEPROC_OK, &err);
    must_create(w, 10, id);
    must_chunk(w, id, 0, 1);
    u = must_complete(w, id);
    must_sql(w->db, all_detected); /* no helper */
    ck_status(fp_job_create(w->jobs, u->file_id, "{\"steps\":[{\"operation\":\"test.works\"}]}",
                            &job, &err),
              FILEPROC_OK, &err);
    ck_status(fp_worker_new(w->jobs, &worker, &err), FILEPROC_OK, &err);
    ck_status(fp_worker_run(worker, 0, &ran, &err), FILEPROC_OK, &err);
    fp_worker_free(worker);
    ck_assert_int_eq(ran, 1);
    ck_assert_int_eq(fp_job_cancel(w->jobs, job->id, &err), FILEPROC_ERR_CONFLICT);
    ck_status(fp_catalog_delete(w->cat, u->file_id, &err), FILEPROC_OK, &err);
    fp_job_free(job);
    fp_upload_free(u);
}

/* What only settings ask for. */
static void live_limited(upload_world *w)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_append *a = NULL;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.owner = "alice";
    r.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    r.flags = FILEPROC_UPLOAD_REUSE;
    r.size = 10;
    ck_status(fp_upload_create(w->ups, &r, &u, &err), FILEPROC_OK, &err);
    fp_upload_free(u);
    u = NULL;
    r.sha256 = NULL;
    r.size = 0;
    r.size_unknown = 1;
    ck_status(fp_upload_create(w->ups, &r, &u, &err), FILEPROC_OK, &err);
    atomic_fetch_add(&w->now_ms, 30000);
    ck_status(fp_append_begin(w->ups, u->id, 0, NULL, &a, &err), FILEPROC_OK, &err);
    ck_status(fp_append_write(a, "x", 1, &err), FILEPROC_OK, &err);
    ck_status(fp_append_commit(a, NULL, &err), FILEPROC_OK, &err);
    fp_append_free(a);
    ck_status(fp_upload_set_size(w->ups, u->id, 2, &err), FILEPROC_OK, &err);
    atomic_fetch_add(&w->now_ms, 3600000);
    ck_status(fp_uploads_reap_dry_run(w->ups, 0, NULL, NULL, NULL, &err), FILEPROC_OK, &err);
    fp_upload_free(u);
}

static void keep_house(upload_world *w)
{
    fp_jobs_maintenance did = FILEPROC_JOBS_MAINTENANCE_INIT;
    fp_reaped reaped = FILEPROC_REAPED_INIT;
    fp_error err = { 0 };

    ck_status(fp_jobs_maintain(w->jobs, &did, &err), FILEPROC_OK, &err);
    ck_status(fp_uploads_reap(w->ups, 0, &reaped, &err), FILEPROC_OK, &err);
    ck_status(fp_catalog_sweep(w->cat, NULL, &err), FILEPROC_OK, &err);
}

#define ID "01900000-0000-7000-8000-000000000000"

static void list_jobs(upload_world *w)
{
    static const char *const states[] = { NULL,     "queued",    "running", "succeeded",
                                          "failed", "cancelled", "dead" };
    fp_error err = { 0 };

    for (int bits = 0; bits < 7 * 8; bits++) {
        fp_job_query q = FILEPROC_JOB_QUERY_INIT;
        fp_job_page *page = NULL;

        q.state = states[bits / 8];
        q.owner = bits & 1 ? "alice" : NULL;
        q.file_id = bits & 2 ? ID : NULL;
        q.cursor = bits & 4 ? ID : NULL;
        ck_status(fp_job_list(w->jobs, &q, &page, &err), FILEPROC_OK, &err);
        fp_job_page_free(page);
    }
}

static void list_files(upload_world *w)
{
    fp_error err = { 0 };

    for (int bits = 0; bits < 16; bits++) {
        fp_file_query q = FILEPROC_FILE_QUERY_INIT;
        fp_file_page *page = NULL;

        q.owner = bits & 1 ? "alice" : NULL;
        q.parent_id = bits & 2 ? ID : NULL;
        q.cursor = bits & 4 ? ID : NULL;
        q.mime_type = bits & 8 ? "image/*" : NULL;
        ck_status(fp_catalog_list(w->cat, &q, &page, &err), FILEPROC_OK, &err);
        fp_file_page_free(page);
    }
}

START_TEST(nothing_looks_at_a_whole_table)
{
    fp_operation op = { FILEPROC_OPERATION_INIT("test.works"), .accepts = "*", .run = work };
    fp_database_driver spy = fpi_database_sqlite_driver;
    fp_error err = { 0 };
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    upload_world w;

    spy.exec = spy_exec;
    spy.query = spy_query;
    o.owner_max_bytes = o.owner_max_uploads = 1000000;
    o.idle_timeout_ms = 60000;
    upload_world_open(&w, true, &o);
    ck_status(fp_context_add_database_driver(w.ctx, &spy, &err), FILEPROC_OK, &err);
    op.user_data = w.ctx;
    ck_status(fp_context_add_operation(w.ctx, &op, &err), FILEPROC_OK, &err);
    fp_uploads_free(w.ups);
    upload_world_restart(&w);
    upload_world_add_jobs(&w);
    live(&w);
    live_limited(&w);
    keep_house(&w);
    list_jobs(&w);
    list_files(&w);
    ck_assert_int_gt(asked, 50);
    ck_assert_msg(!complaints[0], "%s", complaints);
    upload_world_close(&w);
}
END_TEST

RUN_TESTS("query_plans", nothing_looks_at_a_whole_table)
