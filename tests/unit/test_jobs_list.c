/* Owns: the tests of job/jobs_list.c.
 * Must not know: how jobs come and go. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

#define ID(n) "0198c000-0000-7000-8000-00000000000" #n
#define FILE_ID(n) "0198c000-0000-7000-9000-00000000000" #n

static void add(jobs_world *w, const char *id, const char *file_id, const char *owner,
                const char *state)
{
    char sql[512];

    snprintf(sql, sizeof(sql),
             "INSERT INTO jobs (id, file_id, owner, pipeline, definition, state, attempt,"
             " max_attempts, fence, run_at, progress, steps, error_permanent, created_at)"
             " VALUES ('%s', '%s', %s, 'p', '{}', '%s', 0, 3, 0, %d, 0, '[]', 0, 1)",
             id, file_id, owner, state, 100 - id[35]);
    must_sql(w->db, sql);
}

static void add_some(jobs_world *w)
{
    add(w, ID(1), FILE_ID(1), "'alice'", "succeeded");
    add(w, ID(2), FILE_ID(1), "'alice'", "failed");
    add(w, ID(3), FILE_ID(2), "'bob'", "queued");
    add(w, ID(4), FILE_ID(2), "'bob'", "cancelled");
    add(w, ID(5), FILE_ID(3), "NULL", "dead");
    add(w, ID(6), FILE_ID(3), "'alice'", "queued");
    add(w, ID(7), FILE_ID(1), "'alice'", "running");
    add(w, ID(8), FILE_ID(4), "'bob'", "queued");
}

/* The last digits of the ids on the page. */
static void must_list(jobs_world *w, const fp_job_query *q, const char *expected)
{
    fp_job_page *page = NULL;
    fp_error err = { 0 };
    char digits[32] = "";

    ck_status(fp_job_list(w->jobs, q, &page, &err), FILEPROC_OK, &err);
    for (size_t i = 0; i < page->count; i++)
        digits[i] = page->items[i]->id[35];
    ck_assert_str_eq(digits, expected);
    fp_job_page_free(page);
}

START_TEST(list_shows_what_the_query_asks_for)
{
    static const struct {
        fp_job_query q;
        const char *expected;
    } cases[] = {
        { FILEPROC_JOB_QUERY_INIT, "87654321" },
        { { sizeof(fp_job_query), "alice", NULL, NULL, NULL, 0 }, "7621" },
        { { sizeof(fp_job_query), "bob", NULL, NULL, NULL, 0 }, "843" },
        { { sizeof(fp_job_query), NULL, FILE_ID(1), NULL, NULL, 0 }, "721" },
        { { sizeof(fp_job_query), NULL, NULL, "queued", NULL, 0 }, "863" },
        { { sizeof(fp_job_query), NULL, NULL, "queued", ID(8), 0 }, "63" },
        { { sizeof(fp_job_query), NULL, NULL, "running", NULL, 0 }, "7" },
        { { sizeof(fp_job_query), NULL, NULL, "succeeded", NULL, 0 }, "1" },
        { { sizeof(fp_job_query), NULL, NULL, "failed", NULL, 0 }, "2" },
        { { sizeof(fp_job_query), NULL, NULL, "cancelled", NULL, 0 }, "4" },
        { { sizeof(fp_job_query), NULL, NULL, "dead", NULL, 0 }, "5" },
        { { sizeof(fp_job_query), "bob", NULL, "queued", NULL, 0 }, "83" },
        { { sizeof(fp_job_query), "bob", FILE_ID(2), NULL, NULL, 0 }, "43" },
        { { sizeof(fp_job_query), "bob", FILE_ID(2), "queued", NULL, 0 }, "3" },
        { { sizeof(fp_job_query), "bob", FILE_ID(2), "queued", ID(3), 0 }, "" },
        { { sizeof(fp_job_query), "alice", NULL, NULL, ID(6), 0 }, "21" },
        { { sizeof(fp_job_query), "alice", NULL, "succeeded", ID(6), 1 }, "1" },
    };
    jobs_world w;

    jobs_world_open(&w, NULL);
    must_list(&w, NULL, "");
    add_some(&w);
    must_list(&w, NULL, "87654321");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        must_list(&w, &cases[i].q, cases[i].expected);
    jobs_world_close(&w);
}
END_TEST

START_TEST(pages_follow_each_other)
{
    fp_job_query q = FILEPROC_JOB_QUERY_INIT;
    fp_job_page *page = NULL, *next = NULL;
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    add_some(&w);
    q.limit = 5;
    ck_status(fp_job_list(w.jobs, &q, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 5);
    ck_assert_str_eq(page->next, ID(4));
    q.cursor = page->next;
    q.limit = 3;
    ck_status(fp_job_list(w.jobs, &q, &next, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(next->count, 3);
    ck_assert_ptr_null(next->next);
    fp_job_page_free(page);
    fp_job_page_free(next);
    jobs_world_close(&w);
}
END_TEST

START_TEST(wrong_queries_are_refused)
{
    fp_job_query q = FILEPROC_JOB_QUERY_INIT;
    fp_job_page *page = NULL;
    fp_error err = { 0 };
    jobs_world w;

    jobs_world_open(&w, NULL);
    q.cursor = "1";
    ck_reason(fp_job_list(w.jobs, &q, &page, &err), FILEPROC_ERR_INVALID, "cursor_invalid", &err);
    q.cursor = NULL;
    q.state = "queued' OR 1=1";
    ck_status(fp_job_list(w.jobs, &q, &page, &err), FILEPROC_ERR_INVALID, &err);
    q.state = NULL;
    q.limit = 1001;
    ck_assert_int_eq(fp_job_list(w.jobs, &q, &page, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_list(NULL, NULL, &page, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_job_list(w.jobs, NULL, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(page);
    fp_job_page_free(NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(list_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_job_query q = FILEPROC_JOB_QUERY_INIT;
        fp_job_page *page = NULL;
        fp_error err = { 0 };
        jobs_world w;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        add_some(&w);
        q.limit = 3;
        fault_arm(&f);
        rc = fp_job_list(w.jobs, &q, &page, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(page != NULL, rc == FILEPROC_OK);
        fp_job_page_free(page);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("jobs_list", list_shows_what_the_query_asks_for, pages_follow_each_other,
          wrong_queries_are_refused, list_survives_every_allocation_failure)
