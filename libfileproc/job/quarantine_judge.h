/* Owns: what the checks of a file come to under the settings.
 * Must not know: the database. */
#ifndef FPI_QUARANTINE_JUDGE_H
#define FPI_QUARANTINE_JUDGE_H

#include <stdbool.h>

#include <fileproc/quarantine.h>

#include "core/json.h"

/** In this order of strength: of several checks the strongest counts. */
typedef enum fpi_quarantine_action {
    FPI_QUARANTINE_RELEASE,
    FPI_QUARANTINE_HOLD,
    FPI_QUARANTINE_REJECT
} fpi_quarantine_action;

#define FPI_QUARANTINE_TEXT_SIZE 256u

typedef struct fpi_judgement {
    fpi_quarantine_action action;
    const char *verdict;                   /* static; NULL = nobody has judged */
    char reason[FPI_QUARANTINE_TEXT_SIZE]; /* "" = none */
    char step[FPI_QUARANTINE_TEXT_SIZE];   /* the same */
} fpi_judgement;

/** Of a job that has ended: steps as its row has them, error_code NULL when it succeeded. Whatever can't be read is not clean. */
void fpi_quarantine_judge(const fp_quarantine_options *settings, const char *steps,
                          const char *error_code, fpi_judgement *out);

/** Whether a failure with this reason says nothing of the file: it is the scanner that is away. */
bool fpi_quarantine_scanner_is_down(const char *error_code);

#endif
