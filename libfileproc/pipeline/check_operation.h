/* Owns: the operations that the library itself does in the caller's process: what a file is checked for before it is published.
 * Must not know: jobs, and what becomes of a file whose check fails.
 *
 * Neither of them parses the bytes: one compares two names, the other hands the bytes on to a scanner. */
#ifndef FPI_CHECK_OPERATION_H
#define FPI_CHECK_OPERATION_H

#include <fileproc/driver/operation_driver.h>

#include "pipeline/clamd.h"

#define FPI_CHECKS_MAX 2u

/** Their results have a member "verdict": "clean", "infected", "mismatch" or "unscannable", and "reason" with all but the first. */
typedef struct fpi_checks {
    fpi_clamd *clamd; /* NULL: there is no clamav.scan */
    size_t count;
    fp_operation operations[FPI_CHECKS_MAX];
} fpi_checks;

/** Takes clamd, which may be NULL. */
void fpi_checks_init(fpi_checks *checks, fpi_clamd *clamd);
void fpi_checks_dispose(fpi_checks *checks);

/** Whether no embedder may use this name, whichever checks there are. */
bool fpi_check_is_reserved(const char *name);

#endif
