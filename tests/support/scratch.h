/* Owns: temporary folders of tests, and the shortcuts that database tests share.
 * Must not know: what is tested. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <fileproc/database.h>

/* A fresh folder's path is written to path. */
void scratch_make(char path[64]);
/* Removes the folder and the files in it (folders in it too). */
void scratch_remove(const char *path);

/* One statement in a transaction of its own. */
fp_status run_sql(fp_database *db, const char *sql, fp_error *err);
/* run_sql() that must succeed. */
void must_sql(fp_database *db, const char *sql);
/* The number in the first column of the first row, which must be there. */
int64_t sql_number(fp_database *db, const char *sql);
/* The same inside a transaction. */
int64_t tx_number(fp_tx *tx, const char *sql);

/* Fails the test with the error's text unless rc is as expected. */
#define ck_status(rc, expected, err) check_status((rc), (expected), (err), __FILE__, __LINE__)
void check_status(fp_status rc, fp_status expected, const fp_error *err, const char *file,
                  int line);

#endif
