/* Owns: what is inside a database handle, and the table of built-in drivers.
 * Must not know: any driver's insides. */
#ifndef FPI_DATABASE_PRIVATE_H
#define FPI_DATABASE_PRIVATE_H

#include <stdbool.h>

#include <fileproc/database.h>
#include <fileproc/driver/database_driver.h>

#include "core/context_private.h"

struct fp_database {
    fp_context *ctx;
    const fp_database_driver *drv;
    void *self;
};

FPI_DEFINE_CLEANUP(fp_database, fp_database_free)
FPI_DEFINE_CLEANUP(fp_rows, fp_rows_free)

/** Ends with NULL. */
extern const fp_database_driver *const fpi_database_drivers[];
extern const fp_database_driver fpi_database_sqlite_driver;
/** The same driver under two names; not in every build. */
extern const fp_database_driver fpi_database_postgresql_driver;
extern const fp_database_driver fpi_database_postgres_driver;

/** A number that changes when somebody else (another process, or another handle on the same database) has committed
 *  something. Never waits for a transaction; an answer given while one runs may be as old as that one's
 *  beginning. */
fp_status fpi_database_change_counter(fp_database *db, int64_t *counter, fp_error *err);

/** What the SELECT ends with that picks a row for a worker: " FOR UPDATE SKIP LOCKED", or "" where there is one writer
 *  at a time. */
const char *fpi_database_skip_locked(const fp_database *db);

/** A condition for the rows that a SELECT picks for a worker: fpi_database_pick_begin(), " FROM t WHERE ... LIMIT n", and
 *  fpi_database_pick_end(), which has fpi_database_skip_locked() in it. The table has a column id. */
const char *fpi_database_pick_begin(const fp_database *db);
const char *fpi_database_pick_end(const fp_database *db);

/** An expression for the database's clock in milliseconds; NULL when it has none. */
const char *fpi_database_now_ms(const fp_database *db);
/** What a table begins with whose rows need not survive a crash: "CREATE TABLE" or another. */
const char *fpi_database_create_unlogged(const fp_database *db);

/** As fp_tx_exec(), so many times, with width values each, one set behind the other; changed[i] is set for each of them, when
 *  all went well. One way to the server for many, where there is a server. */
fp_status fpi_tx_exec_each(fp_tx *tx, const char *sql, const fp_value *params, size_t width,
                           size_t times, uint64_t *changed, fp_error *err);

/** First in the transaction of a migration: waits for the migrations of others, and keeps them waiting. */
fp_status fpi_database_lock_migrations(fp_tx *tx, fp_error *err);

/** Whether fpi_database_wait_change() may be called; else there is only the counter to look at. */
bool fpi_database_can_wait(const fp_database *db);

/** Wakes who waits in fpi_database_wait_change() on another handle, in other processes too. Returns at once; a failure costs
 *  others a delay, no more. Does nothing where nobody can wait. */
fp_status fpi_database_ring(fp_database *db, fp_error *err);

/** Waits for a ring (*changed is 1, also when one may have been missed), for wake_fd (-1 = none) to be readable, or for the
 *  time. A failure comes at once: then the caller waits by itself. */
fp_status fpi_database_wait_change(fp_database *db, int32_t wake_fd, uint32_t timeout_ms,
                                   int32_t *changed, fp_error *err);

#endif
