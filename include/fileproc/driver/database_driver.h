/* Owns: the table of functions behind fileproc/database.h, for those who write a backend.
 * Must not know: any driver or table. Less stable than the other headers: a minor release may extend it. */
#ifndef FILEPROC_DRIVER_DATABASE_DRIVER_H
#define FILEPROC_DRIVER_DATABASE_DRIVER_H

#include <fileproc/database.h>

FILEPROC_BEGIN_DECLS

/** A database backend. The core validates arguments and wraps the driver's transaction (`t`) and rows (`r`)
 *  into fp_tx and fp_rows. Slots return the codes that fileproc/database.h lists. */
typedef struct fp_database_driver {
    size_t struct_size; /**< Filled by FILEPROC_DATABASE_DRIVER_INIT. */
    const char *scheme; /**< Filled by FILEPROC_DATABASE_DRIVER_INIT. */

    /** Required. Sets *self on success. */
    fp_status (*open)(fp_context *ctx, const char *uri, const fp_database_options *opts, void **self,
                      fp_error *err);
    /** Required. Frees self; never NULL. */
    void (*close)(void *self);
    /** Required. Calls body(t, body_data, err) inside a transaction, as fp_database_transact(). Any thread. A driver that
     *  runs one writing transaction at a time may ignore FILEPROC_TX_READ_COMMITTED. */
    fp_status (*transact)(void *self, uint32_t flags,
                          fp_status (*body)(void *t, void *body_data, fp_error *err),
                          void *body_data, fp_error *err);
    /** Required. As fp_tx_exec(). */
    fp_status (*exec)(void *t, const char *sql, const fp_value *params, size_t count,
                      uint64_t *changed, fp_error *err);
    /** Required. As fp_tx_query(); sets *r. */
    fp_status (*query)(void *t, const char *sql, const fp_value *params, size_t count, void **r,
                       fp_error *err);
    /** Required. As fp_rows_next(). */
    fp_status (*next)(void *r, int32_t *more, fp_error *err);
    /** Required. As fp_rows_int64(). */
    int64_t (*column_int64)(void *r, uint32_t column);
    /** Required. As fp_rows_double(). */
    double (*column_double)(void *r, uint32_t column);
    /** Required. As fp_rows_text(). */
    const char *(*column_text)(void *r, uint32_t column);
    /** Required. Frees r; never NULL. */
    void (*rows_free)(void *r);
    /** Required. A number that changes when another process or connection has committed something; used by the
     *  `database` queue to notice work without a message. */
    fp_status (*change_counter)(void *self, int64_t *counter, fp_error *err);

    /* From here on NULL, or a struct_size that ends before, means that the driver does without. */

    /** Optional. Where writing transactions run side by side: what the SELECT ends with that picks a row to work on, so that
     *  each picks another one, such as " FOR UPDATE SKIP LOCKED". A literal. NULL is the same as "". */
    const char *skip_locked;
    /** Optional. Where writing transactions run side by side: called first in the transaction of a migration
     *  (FILEPROC_TX_READ_COMMITTED); returns when no other one migrates, and keeps it so until the transaction ends. */
    fp_status (*lock_migrations)(void *t, fp_error *err);
    /** Optional. Wakes who is in wait_change() on another handle, in other processes too. Nothing waits for it to arrive, and
     *  it may be lost; a failure need not be looked at. Any thread. */
    fp_status (*ring_change)(void *self, fp_error *err);
    /** Optional. Waits until another handle called ring_change() (*changed is 1, also when that may have been missed), wake_fd
     *  can be read, or the time ran out. wake_fd is Borrowed; -1 = none. At a failure, which comes at once, the
     *  caller has to wait by itself. One thread at a time; for a second one there are only wake_fd and the time. */
    fp_status (*wait_change)(void *self, int32_t wake_fd, uint32_t timeout_ms, int32_t *changed,
                             fp_error *err);
    /** Optional. As exec(), so many times, with width values each, one set behind the other; changed[i] is set for each of them. For
     *  drivers to whom a statement's way to the server costs more than the statement. */
    fp_status (*exec_each)(void *t, const char *sql, const fp_value *params, size_t width,
                           size_t times, uint64_t *changed, fp_error *err);
    /** Optional. Where a row has a faster name than its id: what a condition begins with, so that it holds for the rows that a SELECT
     *  of the same table picks, such as "ctid = ANY (ARRAY(SELECT ctid". What is left of the SELECT follows, then skip_locked,
     *  then pick_end. Literals. NULL is the same as "id IN (SELECT id" and ")". */
    const char *pick_begin;
    /** Optional, with pick_begin. */
    const char *pick_end;
    /** Optional. An expression for the database's own clock, in milliseconds since 1970, a BIGINT that goes on within a transaction. A
     *  literal. NULL: nothing can be agreed on between processes by time. */
    const char *now_ms;
    /** Optional. How a table is made whose rows need not survive a crash, such as "CREATE UNLOGGED TABLE". A literal. NULL is the same
     *  as "CREATE TABLE". */
    const char *create_unlogged;
} fp_database_driver;
/** The first two members; designated initialisers for the slots follow. */
#define FILEPROC_DATABASE_DRIVER_INIT(name) .struct_size = sizeof(fp_database_driver), .scheme = (name)

FILEPROC_END_DECLS
#endif
