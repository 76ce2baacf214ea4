/* Owns: the one language of errors: RFC 9457 problem+json, and which HTTP status an error of the library gets.
 * Must not know: any route. */
#ifndef FPD_PROBLEM_H
#define FPD_PROBLEM_H

#include <fileproc/error.h>

#include "request.h"

/** Answers with a problem: `code` is stable and for programs, the text is for people (what clients of the starter kit read
 *  as `detail`). */
void fpd_problem(fpd_request *rq, int status, const char *code, const char *fmt, ...)
    FILEPROC_PRINTF(4, 5);

/** A problem that a standard has given a type. */
typedef struct fpd_problem_kind {
    int status;
    const char *code;
    const char *type, *title; /* safe inside JSON; NULL: those of the status */
    const char *members;      /* further ones, as they stand in JSON; or NULL */
} fpd_problem_kind;
void fpd_problem_of_kind(fpd_request *rq, const fpd_problem_kind *kind, const char *fmt, ...)
    FILEPROC_PRINTF(3, 4);

/** Answers with the problem for an error of the library. What the server itself got wrong goes to the log with all
 *  details, and to the client without. */
void fpd_problem_error(fpd_request *rq, const fp_error *err);

/** The table behind it. */
int fpd_problem_status(const fp_error *err);

#endif
