/* Owns: the promises of event/outbox.h.
 * Must not know: how events are sent. */
#include "event/outbox.h"

#include <stdio.h>
#include <string.h>

#include "core/uuid.h"
#include "database/database_private.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"
#include "fresh_database.h"

typedef struct world {
    fp_context *ctx;
    fp_database *db;
    int64_t now;
    int fail;
    char uri[128];
} world;

static int64_t world_clock(void *user_data)
{
    return ((world *)user_data)->now;
}

static void world_open(world *w, const fp_allocator *allocator)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    *w = (world){ .now = 1700000000000 };
    o.clock_ms = world_clock;
    o.user_data = w;
    o.allocator = allocator;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    fresh_database_open(w->ctx, w->uri, &w->db);
    ck_status(fp_database_migrate(w->db, &err), FILEPROC_OK, &err);
}

static void world_close(world *w)
{
    fresh_database_close(w->db, w->uri);
    fp_context_free(w->ctx);
}

static fp_status append_two(fp_tx *tx, void *user_data, fp_error *err)
{
    world *w = user_data;
    fp_status rc;

    rc = fpi_outbox_append(w->ctx, tx, FPI_EVENT_FILE_CREATED, "subject", "{\"n\":1}", err);
    if (rc == FILEPROC_OK)
        rc = fpi_outbox_append(w->ctx, tx, FPI_EVENT_FILE_DELETED, "subject", "{\"n\":2}", err);
    if (rc == FILEPROC_OK && w->fail)
        rc = fp_error_setf(err, FILEPROC_ERR_USER, "as the test wants it");
    return rc;
}

static fp_status prune(fp_tx *tx, void *user_data, fp_error *err)
{
    return fpi_outbox_prune(tx, *(int64_t *)user_data, err);
}

static void must_prune(world *w, int64_t before_ms)
{
    fp_error err = { 0 };

    ck_status(fp_database_transact(w->db, 0, prune, &before_ms, &err), FILEPROC_OK, &err);
}

static fp_status read_first(fp_tx *tx, void *user_data, fp_error *err)
{
    const world *w = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;

    ck_status(fp_tx_query(
                  tx, "SELECT id, type, subject, data, created_at, sent_at FROM outbox ORDER BY id",
                  NULL, 0, &rows, err),
              FILEPROC_OK, err);
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert(fpi_uuid_valid(fp_rows_text(rows, 0)));
    ck_assert_str_eq(fp_rows_text(rows, 1), "fileproc.file.created");
    ck_assert_str_eq(fp_rows_text(rows, 2), "subject");
    ck_assert_str_eq(fp_rows_text(rows, 3), "{\"n\":1}");
    ck_assert_int_eq(fp_rows_int64(rows, 4), w->now);
    ck_assert_ptr_null(fp_rows_text(rows, 5));
    ck_status(fp_rows_next(rows, &more, err), FILEPROC_OK, err);
    ck_assert_str_eq(fp_rows_text(rows, 1),
                     "fileproc.file.deleted"); /* in the order of appending */
    return FILEPROC_OK;
}

START_TEST(event_shares_the_fate_of_its_transaction)
{
    fp_error err = { 0 };
    world w;

    world_open(&w, NULL);
    w.fail = 1;
    ck_status(fp_database_transact(w.db, 0, append_two, &w, &err), FILEPROC_ERR_USER, &err);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 0);
    w.fail = 0;
    ck_status(fp_database_transact(w.db, 0, append_two, &w, &err), FILEPROC_OK, &err);
    ck_status(fp_database_transact(w.db, FILEPROC_TX_READONLY, read_first, &w, &err), FILEPROC_OK,
              &err);
    world_close(&w);
}
END_TEST

START_TEST(prune_forgets_only_what_is_older)
{
    fp_error err = { 0 };
    int64_t first;
    world w;

    world_open(&w, NULL);
    first = w.now;
    ck_status(fp_database_transact(w.db, 0, append_two, &w, &err), FILEPROC_OK, &err);
    w.now += 60000;
    ck_status(fp_database_transact(w.db, 0, append_two, &w, &err), FILEPROC_OK, &err);
    must_prune(&w, first);
    must_prune(&w, 0);
    must_prune(&w, -1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 4);
    must_prune(&w, first + 1);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 2);
    must_prune(&w, w.now + 1000);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"), 0);
    world_close(&w);
}
END_TEST

START_TEST(append_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_error err = { 0 };
        fp_status rc;
        world w;

        fault_disarm(&f);
        world_open(&w, &f.allocator);
        fault_arm(&f);
        rc = fp_database_transact(w.db, 0, append_two, &w, &err);
        fault_judge(&f, rc, &err);
        ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM outbox"),
                         rc == FILEPROC_OK ? 2 : 0);
        world_close(&w);
    }
}
END_TEST

RUN_TESTS("outbox", event_shares_the_fate_of_its_transaction, prune_forgets_only_what_is_older,
          append_survives_every_allocation_failure)
