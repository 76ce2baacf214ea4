/* Owns: temporary folders of tests, and the shortcuts that database tests share.
 * Must not know: what is tested. */
#include "scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include <check.h>

void scratch_make(char path[64])
{
    snprintf(path, 64, "/tmp/fileproc-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info, (void)type, (void)place;
    return remove(path);
}

void scratch_remove(const char *path)
{
    ck_assert_int_eq(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void check_status(fp_status rc, fp_status expected, const fp_error *err, const char *file, int line)
{
    if (rc != expected)
        ck_abort_msg("%s:%d: %s instead of %s: %s", file, line, fp_status_name(rc),
                     fp_status_name(expected), err ? err->message : "");
}

static fp_status sql_body(fp_tx *tx, void *user_data, fp_error *err)
{
    return fp_tx_exec(tx, user_data, NULL, 0, NULL, err);
}

fp_status run_sql(fp_database *db, const char *sql, fp_error *err)
{
    return fp_database_transact(db, 0, sql_body, (void *)sql, err);
}

void must_sql(fp_database *db, const char *sql)
{
    fp_error err = { 0 };

    ck_status(run_sql(db, sql, &err), FILEPROC_OK, &err);
}

int64_t tx_number(fp_tx *tx, const char *sql)
{
    fp_error err = { 0 };
    fp_rows *rows = NULL;
    int32_t more = 0;
    int64_t number;

    ck_status(fp_tx_query(tx, sql, NULL, 0, &rows, &err), FILEPROC_OK, &err);
    ck_status(fp_rows_next(rows, &more, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(more, 1);
    number = fp_rows_int64(rows, 0);
    fp_rows_free(rows);
    return number;
}

typedef struct number_call {
    const char *sql;
    int64_t number;
} number_call;

static fp_status number_body(fp_tx *tx, void *user_data, fp_error *err)
{
    number_call *call = user_data;

    (void)err;
    call->number = tx_number(tx, call->sql);
    return FILEPROC_OK;
}

int64_t sql_number(fp_database *db, const char *sql)
{
    number_call call = { sql, 0 };
    fp_error err = { 0 };

    ck_status(fp_database_transact(db, FILEPROC_TX_READONLY, number_body, &call, &err), FILEPROC_OK,
              &err);
    return call.number;
}
