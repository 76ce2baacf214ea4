/* Owns: the promises of what a person asks for: lists, release, rejection, another check; and of the records as JSON.
 * Must not know: how files are checked (test_quarantine.c). */
#include <stdio.h>
#include <string.h>

#include <fileproc/quarantine.h>

#include "fault.h"
#include "fresh_database.h"
#include "jobs_world.h"
#include "runner.h"
#include "scratch.h"
#include "storage_steps.h"

static jobs_world w;
static char file_id[FPI_UUID_SIZE], job_id[FPI_UUID_SIZE], scan_id[FPI_UUID_SIZE];

static void open_with(uint32_t keep_rejected, const fp_allocator *allocator)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    o.checks = "test.work";
    o.keep_rejected = keep_rejected;
    jobs_world_open(&w, allocator);
    jobs_set_quarantine(&w, &o);
}

static void add(const char *result)
{
    jobs_add_quarantined(&w, "hello", file_id, job_id, scan_id);
    w.script.result = result;
    if (result)
        ck_assert(work_once(&w));
}

#define HELD "{\"verdict\":\"unscannable\",\"reason\":\"encrypted\"}"
#define INFECTED "{\"verdict\":\"infected\",\"reason\":\"Eicar\"}"
#define CLEAN "{\"verdict\":\"clean\"}"

static void ck_state(const char *file_state, const char *state)
{
    fp_error err = { 0 };
    fp_quarantine *q = NULL;
    fp_file *file = NULL;

    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_status(fp_quarantine_get(w.jobs, file_id, &q, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(file->state, file_state);
    ck_assert_str_eq(q->state, state);
    fp_quarantine_free(q);
    fp_file_free(file);
}

static void ck_refused(fp_status rc, fp_status code, const char *reason, const fp_error *err)
{
    ck_assert_int_eq(rc, code);
    ck_assert_str_eq(fp_error_reason(err), reason);
}

static void release(void)
{
    fp_error err = { 0 };

    ck_status(fp_quarantine_release(w.jobs, file_id, "carol", "known sender", &err), FILEPROC_OK,
              &err);
}

START_TEST(a_held_file_is_released_with_name_and_reason)
{
    fp_error err = { 0 };
    fp_quarantine *q = NULL;

    open_with(0, NULL);
    add(HELD);
    w.script.result = NULL;
    release();
    ck_state("available", "released");
    ck_status(fp_quarantine_get(w.jobs, file_id, &q, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(q->decided_by, "carol");
    ck_assert_str_eq(q->note, "known sender");
    ck_assert_str_eq(q->verdict, "unscannable");
    ck_assert_str_eq(q->reason, "encrypted");
    ck_assert_int_gt(q->decided_at_ms, 0);
    fp_quarantine_free(q);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox WHERE type ="
                                      " 'fileproc.file.released' AND data LIKE"
                                      " '%\"decided_by\":\"carol\",\"note\":\"known sender\"%'"),
                     1);
    ck_assert(work_once(&w));
    must_be_job(&w, job_id, "succeeded", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(who_does_not_wait_for_the_check_ends_it)
{
    open_with(0, NULL);
    add(NULL);
    release();
    ck_state("available", "released");
    must_be_job(&w, scan_id, "cancelled", NULL);
    ck_assert(work_once(&w));
    must_be_job(&w, job_id, "succeeded", NULL);
    ck_assert(!work_once(&w));
    jobs_world_close(&w);
}
END_TEST

static void release_inside(void *user_data)
{
    (void)user_data;
    release();
}

START_TEST(a_check_that_ends_after_a_person_has_decided_changes_nothing)
{
    open_with(0, NULL);
    jobs_add_quarantined(&w, "hello", file_id, job_id, scan_id);
    w.script.result = INFECTED;
    w.script.inside = release_inside;
    ck_assert(work_once(&w));
    ck_state("available", "released");
    must_be_job(&w, scan_id, "cancelled", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_file_is_rejected_by_a_person)
{
    fp_error err = { 0 };

    open_with(0, NULL);
    add(HELD);
    ck_status(fp_quarantine_reject(w.jobs, file_id, "carol", "not ours", &err), FILEPROC_OK, &err);
    ck_state("rejected", "rejected");
    must_be_job(&w, job_id, "cancelled", NULL);
    ck_refused(fp_quarantine_reject(w.jobs, file_id, "carol", "again", &err), FILEPROC_ERR_CONFLICT,
               "file_rejected", &err);
    ck_refused(fp_quarantine_release(w.jobs, file_id, "carol", "oh", &err), FILEPROC_ERR_CONFLICT,
               "file_rejected", &err);
    ck_state("rejected", "rejected");
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_rejection_is_taken_back_while_the_bytes_are_there)
{
    fp_error err = { 0 };

    open_with(1, NULL);
    add(INFECTED);
    ck_status(fp_jobs_maintain(w.jobs, NULL, &err), FILEPROC_OK, &err);
    ck_state("rejected", "rejected");
    release();
    ck_state("available", "released");
    ck_assert_uint_eq(count_objects(&w, "files/"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(what_is_decided_is_not_decided_again)
{
    fp_error err = { 0 };

    open_with(0, NULL);
    add(CLEAN);
    ck_refused(fp_quarantine_release(w.jobs, file_id, "carol", "x", &err), FILEPROC_ERR_CONFLICT,
               "not_quarantined", &err);
    ck_refused(fp_quarantine_reject(w.jobs, file_id, "carol", "x", &err), FILEPROC_ERR_CONFLICT,
               "not_quarantined", &err);
    ck_refused(fp_quarantine_rescan(w.jobs, file_id, &err), FILEPROC_ERR_CONFLICT,
               "not_quarantined", &err);
    ck_state("available", "released");
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_held_file_is_checked_again_and_a_rejected_one_never)
{
    fp_error err = { 0 };
    fp_quarantine *q = NULL;

    open_with(1, NULL);
    add(HELD);
    ck_status(fp_quarantine_rescan(w.jobs, file_id, &err), FILEPROC_OK, &err);
    ck_state("quarantined", "scanning");
    ck_refused(fp_quarantine_rescan(w.jobs, file_id, &err), FILEPROC_ERR_CONFLICT,
               "file_quarantined", &err);
    ck_status(fp_quarantine_get(w.jobs, file_id, &q, &err), FILEPROC_OK, &err);
    ck_assert_str_ne(q->scan_job_id, scan_id);
    ck_assert_ptr_null(q->verdict);
    fp_quarantine_free(q);
    w.script.result = CLEAN;
    ck_assert(work_once(&w));
    ck_state("available", "released");
    ck_assert(work_once(&w)); /* its own job */
    add(INFECTED);
    ck_refused(fp_quarantine_rescan(w.jobs, file_id, &err), FILEPROC_ERR_CONFLICT, "file_rejected",
               &err);
    jobs_set_quarantine(&w, NULL);
    ck_assert_int_eq(fp_quarantine_rescan(w.jobs, file_id, &err), FILEPROC_ERR_NOTSUP);
    jobs_world_close(&w);
}
END_TEST

START_TEST(without_a_name_or_a_reason_nothing_is_decided)
{
    char long_name[300], long_note[1100];
    const char *const names[] = { "", "a\nb", "\xff", long_name };
    const char *const notes[] = { "", "a\tb", "\xc3", long_note };
    fp_error err = { 0 };

    memset(long_name, 'n', sizeof(long_name));
    long_name[256] = '\0';
    memset(long_note, 'n', sizeof(long_note));
    long_note[1001] = '\0';
    open_with(0, NULL);
    add(HELD);
    for (size_t i = 0; i < 4; i++) {
        ck_refused(fp_quarantine_release(w.jobs, file_id, names[i], "why", &err),
                   FILEPROC_ERR_INVALID, "parameter_invalid", &err);
        ck_refused(fp_quarantine_reject(w.jobs, file_id, "who", notes[i], &err),
                   FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    }
    ck_state("quarantined", "held");
    jobs_world_close(&w);
}
END_TEST

START_TEST(files_that_never_were_in_quarantine_are_told_apart)
{
    static const char unknown[] = "01890000-0000-7000-8000-000000000000";
    fp_quarantine *q = NULL;
    fp_error err = { 0 };

    open_with(0, NULL);
    jobs_add_file(&w, "hello", file_id);
    ck_refused(fp_quarantine_get(w.jobs, file_id, &q, &err), FILEPROC_ERR_NOTFOUND,
               "not_quarantined", &err);
    ck_refused(fp_quarantine_release(w.jobs, file_id, "a", "b", &err), FILEPROC_ERR_NOTFOUND,
               "not_quarantined", &err);
    ck_refused(fp_quarantine_get(w.jobs, unknown, &q, &err), FILEPROC_ERR_NOTFOUND,
               "file_not_found", &err);
    ck_refused(fp_quarantine_rescan(w.jobs, "x", &err), FILEPROC_ERR_NOTFOUND, "file_not_found",
               &err);
    ck_assert_ptr_null(q);
    jobs_world_close(&w);
}
END_TEST

START_TEST(pages_show_each_file_once_newest_first)
{
    fp_quarantine_query query = FILEPROC_QUARANTINE_QUERY_INIT;
    fp_quarantine_counts counts = FILEPROC_QUARANTINE_COUNTS_INIT;
    char last[FPI_UUID_SIZE] = "g", cursor[FPI_UUID_SIZE] = "";
    fp_error err = { 0 };
    size_t seen = 0;

    open_with(0, NULL);
    for (int i = 0; i < 7; i++)
        add(HELD);
    add(INFECTED);
    add(CLEAN);
    add(NULL);
    query.limit = 3;
    for (;;) {
        fp_quarantine_page *page = NULL;

        ck_status(fp_quarantine_list(w.jobs, &query, &page, &err), FILEPROC_OK, &err);
        for (size_t i = 0; i < page->count; i++, seen++) {
            ck_assert_int_lt(strcmp(page->items[i]->file_id, last), 0);
            ck_assert_str_eq(page->items[i]->state, "held");
            snprintf(last, sizeof(last), "%s", page->items[i]->file_id);
        }
        if (page->next)
            snprintf(cursor, sizeof(cursor), "%s", page->next);
        query.cursor = page->next ? cursor : NULL;
        fp_quarantine_page_free(page);
        if (!query.cursor)
            break;
    }
    ck_assert_uint_eq(seen, 7);
    ck_status(fp_quarantine_count(w.jobs, &counts, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(counts.scanning, 1);
    ck_assert_uint_eq(counts.held, 7);
    ck_assert_uint_eq(counts.rejected, 1);
    query.state = "released";
    ck_refused(fp_quarantine_list(w.jobs, &query, &(fp_quarantine_page *){ NULL }, &err),
               FILEPROC_ERR_INVALID, "parameter_invalid", &err);
    query.state = NULL;
    query.cursor = "x";
    ck_refused(fp_quarantine_list(w.jobs, &query, &(fp_quarantine_page *){ NULL }, &err),
               FILEPROC_ERR_INVALID, "cursor_invalid", &err);
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_record_as_json_has_all_there_is)
{
    const fp_quarantine q = { .struct_size = sizeof(q),
                              .file_id = "f",
                              .state = "held",
                              .scan_job_id = "j",
                              .verdict = "unscannable",
                              .reason = "a \"quoted\" one",
                              .created_at_ms = 1000,
                              .bytes_removed = 1 };
    fp_buf out = FILEPROC_BUF_INIT;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_quarantine_to_json(ctx, &q, &out, NULL), FILEPROC_OK);
    ck_assert_str_eq(out.data,
                     "{\"file_id\":\"f\",\"state\":\"held\",\"scan_job_id\":\"j\",\"verdict\":"
                     "\"unscannable\",\"reason\":\"a \\\"quoted\\\" one\",\"step\":null,"
                     "\"decided_by\":null,\"note\":null,\"bytes_removed\":true,\"created_at\":"
                     "\"1970-01-01T00:00:01.000Z\",\"decided_at\":null}");
    fp_buf_dispose(&out);
    fp_context_free(ctx);
}
END_TEST

START_TEST(deciding_and_listing_survive_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_quarantine_page *page = NULL;
        fp_buf json = FILEPROC_BUF_INIT;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        open_with(0, &f.allocator);
        add(HELD);
        fault_arm(&f);
        rc = fp_quarantine_rescan(w.jobs, file_id, &err);
        if (rc == FILEPROC_OK)
            rc = fp_quarantine_reject(w.jobs, file_id, "who", "why", &err);
        if (rc == FILEPROC_OK)
            rc = fp_quarantine_list(
                w.jobs, &(fp_quarantine_query){ sizeof(fp_quarantine_query), "rejected", NULL, 0 },
                &page, &err);
        if (rc == FILEPROC_OK)
            rc = fp_quarantine_to_json(w.ctx, page->items[0], &json, &err);
        if (rc == FILEPROC_OK)
            rc = fp_quarantine_sweep(w.jobs, NULL, &err);
        fault_judge(&f, rc, &err);
        fp_buf_dispose(&json);
        fp_quarantine_page_free(page);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("quarantine_desk", a_held_file_is_released_with_name_and_reason,
          who_does_not_wait_for_the_check_ends_it,
          a_check_that_ends_after_a_person_has_decided_changes_nothing,
          a_file_is_rejected_by_a_person, a_rejection_is_taken_back_while_the_bytes_are_there,
          what_is_decided_is_not_decided_again,
          a_held_file_is_checked_again_and_a_rejected_one_never,
          without_a_name_or_a_reason_nothing_is_decided,
          files_that_never_were_in_quarantine_are_told_apart,
          pages_show_each_file_once_newest_first, a_record_as_json_has_all_there_is,
          deciding_and_listing_survive_every_allocation_failure)
