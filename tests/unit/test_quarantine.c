/* Owns: the promises of quarantine as a job: what is checked before it is published, what becomes of it, whatever comes between.
 * Must not know: what a person asks for (test_quarantine_desk.c), how verdicts are weighed (test_quarantine_judge.c). */
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
static char told[1024]; /* "released:clean: held:unscannable:encrypted " ... */
static char file_id[FPI_UUID_SIZE], job_id[FPI_UUID_SIZE], scan_id[FPI_UUID_SIZE];

static void note(void *user_data, const fp_quarantine_notice *n)
{
    size_t size = strlen(told);

    (void)user_data;
    ck_assert_str_eq(n->file_id, file_id);
    ck_assert_int_ge(n->waited_ms, 0);
    snprintf(told + size, sizeof(told) - size, "%s:%s:%s ", n->outcome,
             n->verdict ? n->verdict : "", n->reason ? n->reason : "");
}

static fp_quarantine_options settings(void)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    o.checks = "test.work";
    o.on_outcome = note;
    return o;
}

static void open_with(fp_quarantine_options o)
{
    told[0] = '\0';
    jobs_world_open(&w, NULL);
    jobs_set_quarantine(&w, &o);
    jobs_add_quarantined(&w, "hello", file_id, job_id, scan_id);
}

static void ck_file(const char *state)
{
    fp_error err = { 0 };
    fp_file *file = NULL;

    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(file->state, state);
    fp_file_free(file);
}

static void ck_record(const char *state, const char *verdict, const char *reason)
{
    fp_error err = { 0 };
    fp_quarantine *q = NULL;

    ck_status(fp_quarantine_get(w.jobs, file_id, &q, &err), FILEPROC_OK, &err);
    ck_assert_str_eq(q->state, state);
    ck_assert_pstr_eq(q->verdict, verdict);
    ck_assert_pstr_eq(q->reason, reason);
    ck_assert_ptr_null(q->decided_by);
    fp_quarantine_free(q);
}

static int64_t event_count(const char *type)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM outbox WHERE type = 'fileproc.file.%s'", type);
    return sql_number(w.db, sql);
}

static void sweep(void)
{
    fp_error err = { 0 };

    ck_status(fp_jobs_maintain(w.jobs, NULL, &err), FILEPROC_OK, &err);
}

START_TEST(a_clean_file_is_released_and_its_own_job_runs)
{
    open_with(settings());
    ck_file("quarantined");
    ck_assert_int_eq(event_count("quarantined"), 1);
    ck_assert_int_eq(event_count("created"), 0);
    ck_assert(work_once(&w));
    must_be_job(&w, scan_id, "succeeded", NULL);
    ck_file("available");
    ck_record("released", "clean", NULL);
    ck_assert_int_eq(event_count("created"), 1);
    ck_assert_int_eq(event_count("released"), 1);
    ck_assert_str_eq(told, "released:clean: ");
    must_be_job(&w, job_id, "queued", NULL);
    ck_assert(work_once(&w));
    must_be_job(&w, job_id, "succeeded", NULL);
    ck_assert(!work_once(&w));
    ck_assert_int_eq(atomic_load(&w.script.runs), 2);
    jobs_world_close(&w);
}
END_TEST

START_TEST(nothing_but_the_check_runs_on_a_file_in_quarantine)
{
    fp_error err = { 0 };
    fp_job *job = NULL;

    open_with(settings());
    ck_assert_int_eq(
        fp_job_create(w.jobs, file_id, "{\"steps\":[{\"operation\":\"test.work\"}]}", &job, &err),
        FILEPROC_ERR_CONFLICT);
    ck_assert_str_eq(fp_error_reason(&err), "file_quarantined");
    /* a job that was made due by whatever mistake is not run either */
    must_sql(w.db, "UPDATE jobs SET run_at = 0 WHERE gate = 0");
    ck_assert(work_once(&w));
    must_be_job(&w, job_id, "cancelled", NULL);
    must_be_job(&w, scan_id, "succeeded", NULL);
    ck_assert_int_eq(atomic_load(&w.script.runs), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(an_infected_file_is_rejected_and_its_bytes_go)
{
    fp_error err = { 0 };
    fp_file *file = NULL;

    open_with(settings());
    w.script.result = "{\"verdict\":\"infected\",\"reason\":\"Eicar\"}";
    ck_assert(work_once(&w));
    must_be_job(&w, scan_id, "succeeded", NULL);
    must_be_job(&w, job_id, "cancelled", NULL);
    ck_file("rejected");
    ck_record("rejected", "infected", "Eicar");
    ck_assert_int_eq(event_count("rejected"), 1);
    ck_assert_int_eq(event_count("created"), 0);
    ck_assert_str_eq(told, "rejected:infected:Eicar ");
    ck_status(fp_catalog_get(w.cat, file_id, &file, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(fp_file_check(file, &err), FILEPROC_ERR_AUTH);
    ck_assert_str_eq(fp_error_reason(&err), "file_rejected");
    fp_file_free(file);
    ck_assert_uint_eq(count_objects(&w, "files/"), 1);
    sweep();
    ck_assert_uint_eq(count_objects(&w, "files/"), 0);
    ck_file("rejected");
    ck_status(fp_catalog_delete(w.cat, file_id, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM quarantine"), 0);
    jobs_world_close(&w);
}
END_TEST

START_TEST(bytes_of_a_rejected_file_are_kept_when_that_is_said)
{
    fp_quarantine_options o = settings();

    o.keep_rejected = 1;
    open_with(o);
    w.script.result = "{\"verdict\":\"infected\",\"reason\":\"Eicar\"}";
    ck_assert(work_once(&w));
    sweep();
    ck_file("rejected");
    ck_assert_uint_eq(count_objects(&w, "files/"), 1);
    jobs_world_close(&w);
}
END_TEST

START_TEST(bytes_that_cant_be_removed_now_are_removed_later)
{
    open_with(settings());
    w.script.result = "{\"verdict\":\"infected\"}";
    ck_assert(work_once(&w));
    ck_assert_int_eq(sql_number(w.db, "SELECT removal FROM quarantine"), 1);
    sweep();
    ck_assert_int_eq(sql_number(w.db, "SELECT removal FROM quarantine"), 2);
    sweep();
    jobs_world_close(&w);
}
END_TEST

START_TEST(an_unscannable_file_is_held)
{
    open_with(settings());
    w.script.result = "{\"verdict\":\"unscannable\",\"reason\":\"encrypted\"}";
    ck_assert(work_once(&w));
    ck_file("quarantined");
    ck_record("held", "unscannable", "encrypted");
    ck_assert_int_eq(event_count("held"), 1);
    ck_assert_str_eq(told, "held:unscannable:encrypted ");
    must_be_job(&w, job_id, "queued", NULL);
    ck_assert(!work_once(&w));
    jobs_world_close(&w);
}
END_TEST

static fp_error scanner_down(void)
{
    fp_error e = { 0 };

    (void)!fp_error_reasonf(&e, FILEPROC_ERR_BUSY, FILEPROC_REASON_SCANNER_UNAVAILABLE, "away");
    e.flags = FILEPROC_ERROR_RETRYABLE;
    return e;
}

START_TEST(while_the_scanner_is_down_a_file_waits_for_it)
{
    open_with(settings());
    w.script.failure = scanner_down();
    w.script.failures = 7; /* more than there are attempts */
    for (int i = 0; i < 7; i++) {
        ck_assert(work_once(&w));
        must_be_job(&w, scan_id, "queued", "scanner_unavailable");
        ck_file("quarantined");
        atomic_fetch_add(&w.shift_ms, 10);
    }
    ck_assert(work_once(&w));
    ck_file("available");
    ck_assert_str_eq(told + 7 * strlen("retried::scanner_unavailable "), "released:clean: ");
    jobs_world_close(&w);
}
END_TEST

static void ck_down(uint32_t action, const char *state, const char *record)
{
    fp_quarantine_options o = settings();

    o.on_scanner_down = action;
    open_with(o);
    w.script.failure = scanner_down();
    w.script.failures = 99;
    for (int i = 0; i < 3; i++) {
        ck_file("quarantined");
        ck_assert(work_once(&w));
        atomic_fetch_add(&w.shift_ms, 10);
    }
    must_be_job(&w, scan_id, "dead", "scanner_unavailable");
    ck_file(state);
    ck_record(record, "unscannable", "scanner_unavailable");
    jobs_world_close(&w);
}

START_TEST(or_for_a_person_or_nobody_after_the_last_attempt)
{
    ck_down(FILEPROC_QUARANTINE_HOLD, "quarantined", "held");
    ck_down(FILEPROC_QUARANTINE_ACCEPT, "available", "released");
    ck_down(FILEPROC_QUARANTINE_REJECT, "rejected", "rejected");
}
END_TEST

START_TEST(a_check_that_kills_its_workers_releases_nothing)
{
    fp_quarantine_options o = settings();

    open_with(o);
    must_sql(w.db, "UPDATE jobs SET state = 'running', attempt = 3, fence = 3, lease_until = 0,"
                   " worker = 'gone' WHERE gate = 1");
    sweep();
    must_be_job(&w, scan_id, "dead", "worker_lost");
    ck_file("quarantined");
    ck_record("held", "unscannable", "worker_lost");
    ck_assert_str_eq(told, "held:unscannable:worker_lost ");
    jobs_world_close(&w);
}
END_TEST

static void steal(void *user_data)
{
    (void)user_data;
    must_sql(w.db, "UPDATE jobs SET fence = fence + 1, state = 'queued', run_at = 0"
                   " WHERE gate = 1");
}

START_TEST(a_worker_that_lost_its_check_releases_nothing)
{
    open_with(settings());
    w.script.inside = steal;
    ck_assert(work_once(&w));
    ck_file("quarantined");
    ck_assert_str_eq(told, "");
    w.script.inside = NULL;
    ck_assert(work_once(&w)); /* scanned again */
    ck_file("available");
    ck_assert_int_eq(atomic_load(&w.script.runs), 2);
    jobs_world_close(&w);
}
END_TEST

static void delete (void *user_data)
{
    (void)user_data;
    ck_assert_int_eq(fp_catalog_delete(w.cat, file_id, NULL), FILEPROC_OK);
}

START_TEST(a_file_that_is_deleted_meanwhile_stays_deleted)
{
    open_with(settings());
    w.script.inside = delete;
    ck_assert(work_once(&w));
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files"), 0);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM jobs WHERE state = 'cancelled'"), 2);
    ck_assert_str_eq(told, "");
    jobs_world_close(&w);
}
END_TEST

START_TEST(the_check_can_t_be_cancelled_by_whoever_sent_the_file)
{
    fp_error err = { 0 };

    open_with(settings());
    ck_assert_int_eq(fp_job_cancel(w.jobs, scan_id, &err), FILEPROC_ERR_CONFLICT);
    ck_assert_str_eq(fp_error_reason(&err), "file_quarantined");
    must_be_job(&w, scan_id, "queued", NULL);
    ck_status(fp_job_cancel(w.jobs, job_id, &err), FILEPROC_OK, &err);
    ck_assert(work_once(&w));
    ck_file("available");
    must_be_job(&w, job_id, "cancelled", NULL);
    jobs_world_close(&w);
}
END_TEST

START_TEST(lists_show_what_state_a_file_is_in)
{
    fp_file_page *page = NULL;
    fp_error err = { 0 };

    open_with(settings());
    ck_status(fp_catalog_list(w.cat, NULL, &page, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(page->count, 1);
    ck_assert_str_eq(page->items[0]->state, "quarantined");
    ck_assert_int_eq(fp_file_check(page->items[0], &err), FILEPROC_ERR_CONFLICT);
    ck_assert_str_eq(fp_error_reason(&err), "file_quarantined");
    fp_file_page_free(page);
    jobs_world_close(&w);
}
END_TEST

static void ck_settings(const char *checks, const char *message)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;
    fp_jobs_options jo = FILEPROC_JOBS_OPTIONS_INIT;
    fp_error err = { 0 };
    fp_jobs *jobs = NULL;
    fp_status rc;

    o.checks = checks;
    jo.database = w.db;
    jo.queue = w.q;
    jo.storage = w.st;
    jo.catalog = w.cat;
    jo.pipelines = w.pls;
    jo.quarantine = &o;
    rc = fp_jobs_open(w.ctx, &jo, &jobs, &err);
    ck_assert_msg((rc == FILEPROC_OK) == !message, "%s: %s", checks, err.message);
    if (message)
        ck_assert_msg(rc == FILEPROC_ERR_INVALID && strstr(err.message, message), "%s",
                      err.message);
    fp_jobs_free(jobs);
}

START_TEST(wrong_settings_are_refused)
{
    fp_quarantine_options o = settings();
    fp_jobs_options jo = FILEPROC_JOBS_OPTIONS_INIT;
    fp_jobs *jobs = NULL;

    jobs_world_open(&w, NULL);
    ck_settings("test.work", NULL);
    ck_settings("type.check, test.work", NULL);
    ck_settings("", NULL);
    ck_settings("clamav.scan", "clamav.scan without a clamd");
    ck_settings("no.such", "no operation no.such");
    ck_settings("pdf.info", "does not take every type");
    ck_settings("type.check,,test.work", "with commas between");
    ck_settings(",", "with commas between");
    o.on_mismatch = FILEPROC_QUARANTINE_RETRY;
    jo.database = w.db;
    jo.queue = w.q;
    jo.storage = w.st;
    jo.catalog = w.cat;
    jo.pipelines = w.pls;
    jo.quarantine = &o;
    ck_assert_int_eq(fp_jobs_open(w.ctx, &jo, &jobs, NULL), FILEPROC_ERR_INVALID);
    jobs_world_close(&w);
}
END_TEST

START_TEST(a_check_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_quarantine_options o = settings();
        fp_worker *worker = NULL;
        fp_error err = { 0 };
        int32_t ran = 0;
        fp_status rc;

        fault_disarm(&f);
        jobs_world_open(&w, &f.allocator);
        jobs_set_quarantine(&w, &o);
        told[0] = '\0';
        w.script.result = "{\"verdict\":\"infected\"}";
        jobs_add_quarantined(&w, "hello", file_id, job_id, scan_id);
        fault_arm(&f);
        rc = fp_worker_new(w.jobs, &worker, &err);
        if (rc == FILEPROC_OK)
            rc = fp_worker_run(worker, 0, &ran, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM files WHERE state = 'available'"),
                         0);
        fp_worker_free(worker);
        jobs_world_close(&w);
    }
}
END_TEST

RUN_TESTS("quarantine", a_clean_file_is_released_and_its_own_job_runs,
          nothing_but_the_check_runs_on_a_file_in_quarantine,
          an_infected_file_is_rejected_and_its_bytes_go,
          bytes_of_a_rejected_file_are_kept_when_that_is_said,
          bytes_that_cant_be_removed_now_are_removed_later, an_unscannable_file_is_held,
          while_the_scanner_is_down_a_file_waits_for_it,
          or_for_a_person_or_nobody_after_the_last_attempt,
          a_check_that_kills_its_workers_releases_nothing,
          a_worker_that_lost_its_check_releases_nothing,
          a_file_that_is_deleted_meanwhile_stays_deleted,
          the_check_can_t_be_cancelled_by_whoever_sent_the_file, lists_show_what_state_a_file_is_in,
          wrong_settings_are_refused, a_check_survives_every_allocation_failure)
