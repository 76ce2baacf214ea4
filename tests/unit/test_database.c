/* Owns: the contract of fileproc/database.h, run against the drivers in this build.
 * Must not know: what only one driver does. */
#include <stdio.h>
#include <string.h>

#include "database/database_private.h"
#include "database_contract.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static void fresh_memory(char uri[128])
{
    snprintf(uri, 128, "sqlite::memory:");
}

static void forget_memory(const char *uri)
{
    (void)uri;
}

static void fresh_file(char uri[128])
{
    char folder[64];

    scratch_make(folder);
    snprintf(uri, 128, "sqlite://%s/test.db", folder);
}

static void remove_file(const char *uri)
{
    char folder[128];

    snprintf(folder, sizeof(folder), "%s", uri + strlen("sqlite://"));
    *strrchr(folder, '/') = '\0';
    scratch_remove(folder);
}

static const database_contract drivers[] = { { fresh_memory, forget_memory },
                                             { fresh_file, remove_file } };

/* A driver that another library might bring: it answers one number to everything. */
static fp_status odd_open(fp_context *ctx, const char *uri, const fp_database_options *opts,
                          void **self, fp_error *err)
{
    (void)uri, (void)err;
    ck_assert_uint_eq(opts->max_readers, 4); /* defaults are filled in for the driver */
    ck_assert_uint_eq(opts->busy_timeout_ms, 5000);
    *self = ctx;
    return FILEPROC_OK;
}

static void odd_close(void *self)
{
    ck_assert_ptr_nonnull(self);
}

static fp_status odd_transact(void *self, uint32_t flags,
                              fp_status (*body)(void *t, void *body_data, fp_error *err),
                              void *body_data, fp_error *err)
{
    (void)flags;
    return body(self, body_data, err);
}

static fp_status odd_exec(void *t, const char *sql, const fp_value *params, size_t count,
                          uint64_t *changed, fp_error *err)
{
    (void)t, (void)sql, (void)params, (void)count, (void)err;
    *changed = 7;
    return FILEPROC_OK;
}

static fp_status odd_query(void *t, const char *sql, const fp_value *params, size_t count, void **r,
                           fp_error *err)
{
    (void)sql, (void)params, (void)count, (void)err;
    *r = t;
    return FILEPROC_OK;
}

static fp_status odd_next(void *r, int32_t *more, fp_error *err)
{
    (void)r, (void)err;
    *more = 1;
    return FILEPROC_OK;
}

static int64_t odd_int64(void *r, uint32_t column)
{
    (void)r;
    return (int64_t)column + 1000;
}

static double odd_double(void *r, uint32_t column)
{
    (void)r, (void)column;
    return 0.5;
}

static const char *odd_text(void *r, uint32_t column)
{
    (void)r, (void)column;
    return "odd";
}

static void odd_rows_free(void *r)
{
    ck_assert_ptr_nonnull(r);
}

static fp_status odd_counter(void *self, int64_t *counter, fp_error *err)
{
    (void)self, (void)err;
    *counter = 9;
    return FILEPROC_OK;
}

START_TEST(driver_of_the_embedder_is_used)
{
    static const fp_database_driver odd = {
        FILEPROC_DATABASE_DRIVER_INIT("sqlite"), /* it wins over the built-in one */
        .open = odd_open,
        .close = odd_close,
        .transact = odd_transact,
        .exec = odd_exec,
        .query = odd_query,
        .next = odd_next,
        .column_int64 = odd_int64,
        .column_double = odd_double,
        .column_text = odd_text,
        .rows_free = odd_rows_free,
        .change_counter = odd_counter,
    };
    fp_context *ctx = NULL;
    fp_database *db = NULL;
    fp_error err = { 0 };
    int64_t counter = 0;

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_context_add_database_driver(ctx, &odd, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(ctx, "SQLITE:whatever", NULL, &db, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(sql_number(db, "anything"), 1000);
    ck_status(fpi_database_change_counter(db, &counter, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(counter, 9);
    ck_status(fp_database_ping(db, &err), FILEPROC_OK, &err);
    fp_database_free(db);
    fp_context_free(ctx);
}
END_TEST

static fp_status everything(fp_tx *tx, void *user_data, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT("key") };
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t *more = user_data;
    fp_status rc;

    *more = 0;
    rc = fp_tx_exec(tx, "INSERT INTO t (id) VALUES ($1)", params, 1, NULL, err);
    if (rc == FILEPROC_OK)
        rc = fp_tx_query(tx, "SELECT id FROM t WHERE id = $1", params, 1, &rows, err);
    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, more, err);
    return rc;
}

START_TEST(open_and_transact_survive_every_allocation_failure)
{
    char uri[128];
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_database *db = NULL;
        fp_error err = { 0 };
        int32_t more = 0;
        int inserted = 0;
        fp_status rc;

        fault_disarm(&f);
        drivers[_i].fresh(uri);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_database_open(ctx, uri, NULL, &db, &err);
        if (rc < 0)
            ck_assert_ptr_null(db);
        if (rc == FILEPROC_OK) {
            rc = run_sql(db, "CREATE TABLE t (id TEXT PRIMARY KEY)", &err);
            if (rc == FILEPROC_OK)
                rc = fp_database_transact(db, 0, everything, &more, &err);
            inserted = rc == FILEPROC_OK;
            if (rc == FILEPROC_OK)
                rc = fp_database_ping(db, &err);
        }
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert_int_eq(inserted, 1);
        if (db) { /* a failed transaction left nothing behind, and did no harm */
            must_sql(db, "CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY)");
            ck_assert_int_eq(sql_number(db, "SELECT COUNT(*) FROM t"), inserted);
            ck_status(fp_database_transact(db, 0, everything, &more, &err),
                      inserted ? FILEPROC_ERR_EXISTS : FILEPROC_OK, &err);
        }
        fp_database_free(db);
        fp_context_free(ctx);
        drivers[_i].gone(uri);
    }
}
END_TEST

START_TEST(migrate_survives_every_allocation_failure)
{
    char uri[128];
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_database *db = NULL;
        fp_error err = { 0 };
        fp_status rc;

        fault_disarm(&f);
        drivers[_i].fresh(uri);
        o.allocator = &f.allocator;
        ck_status(fp_context_new(&o, &ctx, &err), FILEPROC_OK, &err);
        ck_status(fp_database_open(ctx, uri, NULL, &db, &err), FILEPROC_OK, &err);
        fault_arm(&f);
        rc = fp_database_migrate(db, &err);
        fault_judge(&f, rc, &err);
        ck_status(fp_database_migrate(db, &err), FILEPROC_OK,
                  &err); /* what failed can be done again */
        ck_assert_int_eq(sql_number(db, "SELECT COUNT(*) FROM files"), 0);
        fp_database_free(db);
        fp_context_free(ctx);
        drivers[_i].gone(uri);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { driver_of_the_embedder_is_used };
    Suite *suite = suite_of("database", tests, 1);
    TCase *faults = tcase_create("faults");

    tcase_set_timeout(faults, 100);
    tcase_add_loop_test(faults, open_and_transact_survive_every_allocation_failure, 0, 2);
    tcase_add_loop_test(faults, migrate_survives_every_allocation_failure, 0, 2);
    suite_add_tcase(suite, faults);
    database_contract_add(suite, drivers, sizeof(drivers) / sizeof(*drivers));
    return run_suite(suite);
}
