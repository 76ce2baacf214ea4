/* Owns: the desk of a ledger, where the workers of a process hand in the ends of their jobs and take the next ones: who waits, who
 * leads, whose business shares a transaction.
 * Must not know: what is written. */
#ifndef FPI_JOB_DESK_H
#define FPI_JOB_DESK_H

#include <pthread.h>
#include <stdbool.h>

#include <fileproc/job.h>

/** Visits in one transaction. */
#define FPI_DESK_MAX 32

struct fpi_claim;
struct fpi_claim_commit;

/** What a worker wants at the desk; lives on its stack. */
typedef struct fpi_visit {
    /* What is handed in; NULL = nothing. */
    struct fpi_claim *ended;
    const struct fpi_claim_commit
        *commit; /* without outputs, with nothing learnt, and not FPI_FATE_RUNNING */
    /* Where the next job goes; NULL = none is wanted. */
    struct fpi_claim *next;
    /* What became of it, when rc is FILEPROC_OK: */
    bool kept;  /* the ended job was still ours; else nothing was written of it */
    bool taken; /* there was a next job */
    /* The desk's own. */
    bool lead, done;
    fp_status rc;
    fp_error err;
    struct fpi_visit *behind;
    pthread_cond_t wake;
} fpi_visit;

typedef struct fpi_desk {
    pthread_mutex_t lock; /* guards what follows */
    fpi_visit *first, **last;
    size_t waiting;
    size_t last_count;   /* visits in the last transaction ... */
    int64_t last_ns;     /* ... and how long it took */
    pthread_cond_t full; /* as many wait as the leader hopes for */
    size_t hoped_for;    /* 0 = nobody waits for full */
    bool led;            /* somebody leads or is about to */
    size_t owed; /* doorbells of jobs that were taken, and that are still to be taken, too */
} fpi_desk;

void fpi_desk_init(fpi_desk *desk);
void fpi_desk_dispose(fpi_desk *desk);

/** All of the visit in one transaction, shared with those of others, or nothing of it: then visit->next is empty. A job that was
 *  not ours any more is no failure. */
fp_status fpi_desk_visit(fp_jobs *jobs, fpi_visit *visit, fp_error *err);

/** A worker took a doorbell by itself. */
void fpi_desk_heard(fp_jobs *jobs);

#endif
