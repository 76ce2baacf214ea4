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

/** Answers with the problem for an error of the library. What the server itself got wrong goes to the log with all
 *  details, and to the client without. */
void fpd_problem_error(fpd_request *rq, const fp_error *err);

/** The table behind it. */
int fpd_problem_status(const fp_error *err);

#endif
