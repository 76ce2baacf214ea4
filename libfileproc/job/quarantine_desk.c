/* Owns: what people ask of quarantine: who is in it, and that a file is released, rejected, checked again; and the removal of the bytes
 * of what was rejected.
 * Must not know: what a decision writes (quarantine.c). */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "core/utf8.h"
#include "job/jobs_private.h"

#define BY_MAX 255u
#define NOTE_MAX 1000u
#define SWEEP_BATCH 64

static fp_status not_quarantined(fp_status code, fp_error *err)
{
    return fp_error_reasonf(err, code, FILEPROC_REASON_NOT_QUARANTINED,
                            code == FILEPROC_ERR_CONFLICT ? "the file has been released already"
                                                          : "the file was never in quarantine");
}

static fp_status is_rejected(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_FILE_REJECTED,
                            "the file has been rejected already");
}

/* ---- reading ---- */

/* file_not_found, or the record's own NOTFOUND. */
static fp_status read_record(fp_jobs *jobs, fp_tx *tx, const char *file_id, fp_quarantine **out,
                             fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(file_id) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    FPI_CLEANUP(fp_file) file = NULL;
    int32_t more = 0;
    fp_status rc = fpi_catalog_read(jobs->o.catalog, tx, file_id, &file, err);

    if (rc == FILEPROC_OK && strcmp(file->state, "deleting") == 0)
        rc = fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_FILE_NOT_FOUND,
                              "there is no such file");
    if (rc == FILEPROC_OK)
        rc = fp_tx_query(tx, "SELECT " FPI_QUARANTINE_COLUMNS " FROM quarantine WHERE file_id = $1",
                         params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    if (rc < 0)
        return rc;
    return more ? fpi_quarantine_from_row(jobs->ctx, rows, out, err)
                : not_quarantined(FILEPROC_ERR_NOTFOUND, err);
}

typedef struct get_call {
    fp_jobs *jobs;
    const char *file_id;
    fp_quarantine *record;
} get_call;

static fp_status get_body(fp_tx *tx, void *user_data, fp_error *err)
{
    get_call *c = user_data;

    fp_quarantine_free(fpi_steal(&c->record));
    return read_record(c->jobs, tx, c->file_id, &c->record, err);
}

static fp_status check_id(const char *file_id, fp_error *err)
{
    if (fpi_uuid_valid(file_id))
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_NOTFOUND, FILEPROC_REASON_FILE_NOT_FOUND,
                            "there is no such file");
}

fp_status fp_quarantine_get(fp_jobs *jobs, const char *file_id, fp_quarantine **out, fp_error *err)
{
    get_call call = { jobs, file_id, NULL };
    fp_status rc;

    if (!jobs || !file_id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = check_id(file_id, err);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, get_body, &call, err);
    if (rc < 0)
        fp_quarantine_free(call.record);
    else
        *out = call.record;
    return rc;
}

static bool is_state(const char *state)
{
    return strcmp(state, "scanning") == 0 || strcmp(state, "held") == 0 ||
           strcmp(state, "rejected") == 0;
}

static void build(fpi_list *l, const char *state, const char *cursor)
{
    fpi_list_sql(l, "SELECT " FPI_QUARANTINE_COLUMNS " FROM quarantine WHERE state = $1"
                    " AND state <> 'released' AND file_id < $3 ORDER BY file_id DESC LIMIT $2");
    (void)fpi_list_text(l, state);
    (void)fpi_list_limit(l);
    (void)fpi_list_text(l, cursor ? cursor : "g");
}

fp_status fp_quarantine_list(fp_jobs *jobs, const fp_quarantine_query *query,
                             fp_quarantine_page **out, fp_error *err)
{
    fp_quarantine_query q = FILEPROC_QUARANTINE_QUERY_INIT;
    fpi_list list = { .kind = &fpi_quarantine_kind };
    const char *state;
    fp_status rc;

    if (!jobs || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&q, sizeof(q), query, err);
    if (rc < 0)
        return rc;
    state = q.state ? q.state : "held";
    if (!is_state(state))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID,
                                "state is held, scanning or rejected");
    rc = fpi_list_begin(&list, jobs->ctx, q.limit, q.cursor, err);
    if (rc < 0)
        return rc;
    build(&list, state, q.cursor);
    rc = fpi_list_read(&list, jobs->o.database, err);
    if (rc == FILEPROC_OK)
        *out = FPI_PAGE_SHOW(fp_quarantine_page, list.page);
    return rc;
}

static fp_status count_body(fp_tx *tx, void *user_data, fp_error *err)
{
    fp_quarantine_counts *c = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    c->scanning = c->held = c->rejected = 0;
    rc = fp_tx_query(tx,
                     "SELECT state, COUNT(*) FROM quarantine WHERE state <> 'released'"
                     " GROUP BY state",
                     NULL, 0, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more) {
        uint64_t count = (uint64_t)fp_rows_int64(rows, 1);
        char first = fp_rows_text(rows, 0)[0];

        if (first == 's')
            c->scanning = count;
        else if (first == 'h')
            c->held = count;
        else
            c->rejected = count;
    }
    return rc;
}

fp_status fp_quarantine_count(fp_jobs *jobs, fp_quarantine_counts *out, fp_error *err)
{
    fp_quarantine_counts ours = FILEPROC_QUARANTINE_COUNTS_INIT;
    fp_status rc;

    if (!jobs || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, count_body, &ours, err);
    return rc < 0 ? rc : fpi_options_export(out, &ours, sizeof(ours), err);
}

/* ---- deciding ---- */

/* It ends up in events and in JSON. */
static fp_status check_text(const char *name, const char *text, size_t most, fp_error *err)
{
    size_t size = strnlen(text, most + 1), step;
    bool good = size > 0 && size <= most;

    for (size_t i = 0; good && i < size; i += step) {
        uint32_t character = 0;

        step = fpi_utf8_decode(text + i, &character);
        good = step > 0 && character >= 0x20 && character != 0x7f;
    }
    if (good)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_PARAMETER_INVALID,
                            "%s must be 1 to %zu bytes of UTF-8 without control characters", name,
                            most);
}

typedef struct decide_call {
    fp_jobs *jobs;
    fpi_decision *decision;
} decide_call;

static fp_status refuse(const fp_quarantine *record, fp_error *err)
{
    return strcmp(record->state, "rejected") == 0 ? is_rejected(err)
                                                  : not_quarantined(FILEPROC_ERR_CONFLICT, err);
}

static fp_status decide_body(fp_tx *tx, void *user_data, fp_error *err)
{
    decide_call *c = user_data;
    FPI_CLEANUP(fp_quarantine) record = NULL;
    fp_status rc = read_record(c->jobs, tx, c->decision->file_id, &record, err);

    assert(rc < 0 || record);
    if (rc == FILEPROC_OK)
        rc = fpi_quarantine_decide(c->jobs, tx, c->decision, err);
    return rc == FILEPROC_OK && !c->decision->made ? refuse(record, err) : rc;
}

static fp_status decide(fp_jobs *jobs, fpi_decision *d, fp_error *err)
{
    decide_call call = { jobs, d };
    fp_status rc = check_id(d->file_id, err);

    if (rc == FILEPROC_OK)
        rc = check_text("by", d->by, BY_MAX, err);
    if (rc == FILEPROC_OK)
        rc = check_text("note", d->note, NOTE_MAX, err);
    if (rc < 0)
        return rc;
    fpi_catalog_changing(jobs->o.catalog, d->file_id);
    rc = fp_database_transact(jobs->o.database, 0, decide_body, &call, err);
    fpi_catalog_changed(jobs->o.catalog, d->file_id);
    if (rc == FILEPROC_OK)
        fpi_quarantine_tell(jobs, d);
    return rc;
}

fp_status fp_quarantine_release(fp_jobs *jobs, const char *file_id, const char *by,
                                const char *note, fp_error *err)
{
    fpi_decision d = {
        .file_id = file_id, .action = FPI_QUARANTINE_RELEASE, .by = by, .note = note
    };

    if (!jobs || !file_id || !by || !note)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return decide(jobs, &d, err);
}

fp_status fp_quarantine_reject(fp_jobs *jobs, const char *file_id, const char *by, const char *note,
                               fp_error *err)
{
    fpi_decision d = {
        .file_id = file_id, .action = FPI_QUARANTINE_REJECT, .by = by, .note = note
    };

    if (!jobs || !file_id || !by || !note)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return decide(jobs, &d, err);
}

typedef struct rescan_call {
    fp_jobs *jobs;
    const char *file_id;
    char job_id[FPI_UUID_SIZE];
} rescan_call;

static fp_status rescan_body(fp_tx *tx, void *user_data, fp_error *err)
{
    rescan_call *c = user_data;
    FPI_CLEANUP(fp_quarantine) record = NULL;
    FPI_CLEANUP(fp_file) file = NULL;
    fp_status rc = read_record(c->jobs, tx, c->file_id, &record, err);

    assert(rc < 0 || record);
    if (rc == FILEPROC_OK && strcmp(record->state, "scanning") == 0)
        rc = fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_FILE_QUARANTINED,
                              "the file is being checked");
    else if (rc == FILEPROC_OK && strcmp(record->state, "held") != 0)
        rc = refuse(record, err);
    if (rc == FILEPROC_OK)
        rc = fpi_catalog_read(c->jobs->o.catalog, tx, c->file_id, &file, err);
    if (rc == FILEPROC_OK)
        rc = fpi_quarantine_begin(c->jobs, tx, c->job_id, c->file_id, file->owner, err);
    return rc;
}

fp_status fp_quarantine_rescan(fp_jobs *jobs, const char *file_id, fp_error *err)
{
    rescan_call call = { .jobs = jobs, .file_id = file_id };
    fp_status rc;

    if (!jobs || !file_id)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!fpi_quarantine_is_on(jobs))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "there are no checks in the settings");
    rc = check_id(file_id, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uuid7(jobs->ctx, call.job_id, err);
    if (rc == FILEPROC_OK)
        rc = fp_database_transact(jobs->o.database, 0, rescan_body, &call, err);
    if (rc == FILEPROC_OK)
        fpi_job_ring(jobs, call.job_id, file_id);
    return rc;
}

/* ---- bytes of what was rejected ---- */

typedef struct remains {
    fp_jobs *jobs;
    size_t count;
    char ids[SWEEP_BATCH][FPI_UUID_SIZE];
    char *keys[SWEEP_BATCH];
    bool gone[SWEEP_BATCH];
} remains;

static void forget(remains *r)
{
    for (size_t i = 0; i < r->count; i++)
        fpi_free(&r->jobs->ctx->a, r->keys[i]);
    r->count = 0;
}

static fp_status find_body(fp_tx *tx, void *user_data, fp_error *err)
{
    remains *r = user_data;
    const fp_value params[] = { FILEPROC_V_INT(SWEEP_BATCH) };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc;

    forget(r);
    rc = fp_tx_query(tx,
                     "SELECT q.file_id, f.storage_key FROM quarantine q JOIN files f"
                     " ON f.id = q.file_id WHERE q.removal = 1 ORDER BY q.file_id LIMIT $1",
                     params, 1, &rows, err);
    while (rc == FILEPROC_OK && (rc = fp_rows_next(rows, &more, err)) == FILEPROC_OK && more &&
           r->count < SWEEP_BATCH) {
        size_t i = r->count;

        snprintf(r->ids[i], FPI_UUID_SIZE, "%s", fp_rows_text(rows, 0));
        r->keys[i] = fpi_strdup(&r->jobs->ctx->a, fp_rows_text(rows, 1));
        r->gone[i] = false;
        if (!r->keys[i])
            return fpi_no_memory(err);
        r->count++;
    }
    return rc;
}

static fp_status mark_body(fp_tx *tx, void *user_data, fp_error *err)
{
    remains *r = user_data;
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < r->count; i++) {
        const fp_value params[] = { FILEPROC_V_TEXT(r->ids[i]) };

        if (r->gone[i])
            rc = fp_tx_exec(tx,
                            "UPDATE quarantine SET removal = 2 WHERE file_id = $1 AND removal = 1",
                            params, 1, NULL, err);
    }
    return rc;
}

/* What can't be removed does not keep the others; the first failure is told. */
static fp_status remove_each(remains *r, uint64_t *removed, fp_error *err)
{
    fp_status first = FILEPROC_OK;

    for (size_t i = 0; i < r->count; i++) {
        fp_error e = { 0 };
        fp_status rc = fp_storage_remove(r->jobs->o.storage, r->keys[i], &e);

        r->gone[i] = rc == FILEPROC_OK;
        *removed += r->gone[i];
        if (rc < 0 && first == FILEPROC_OK) {
            first = rc;
            if (err)
                *err = e;
        }
    }
    return first;
}

fp_status fp_quarantine_sweep(fp_jobs *jobs, uint64_t *removed, fp_error *err)
{
    remains r = { .jobs = jobs };
    fp_status rc, failed = FILEPROC_OK;
    uint64_t count = 0;

    if (!jobs)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "jobs is NULL");
    rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, find_body, &r, err);
    if (rc == FILEPROC_OK && r.count) {
        failed = remove_each(&r, &count, err);
        rc = fp_database_transact(jobs->o.database, FILEPROC_TX_READ_COMMITTED, mark_body, &r,
                                  failed < 0 ? NULL : err);
    }
    forget(&r);
    if (rc == FILEPROC_OK && removed)
        *removed = count;
    return failed < 0 ? failed : rc;
}
