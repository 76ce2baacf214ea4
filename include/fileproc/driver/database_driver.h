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
    /** Required. Calls body(t, body_data, err) inside a transaction, as fp_database_transact(). Any thread. */
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
} fp_database_driver;
/** The first two members; designated initialisers for the slots follow. */
#define FILEPROC_DATABASE_DRIVER_INIT(name) .struct_size = sizeof(fp_database_driver), .scheme = (name)

FILEPROC_END_DECLS
#endif
