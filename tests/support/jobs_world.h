/* Owns: a ledger of jobs with all it needs, and operations that do as they are told, for tests of jobs and workers.
 * Must not know: what is tested. */
#ifndef TESTS_JOBS_WORLD_H
#define TESTS_JOBS_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "catalog/catalog_private.h"
#include "core/uuid.h"
#include "job/job_private.h"
#include "job/quarantine_private.h"
#include "queue/queue_private.h"

/* What the store in memory holds. */
#define JOBS_STORAGE_BYTES (4u << 20)

/* What the last runs of operations saw, and what the next shall do. One world at a time; across fork() each process has
 * its own. */
typedef struct jobs_script {
    atomic_int runs;          /* of test.work */
    fp_error failure;         /* returned by it when code is not 0 */
    int failures;             /* how many times; then it succeeds */
    int outputs;              /* files that it makes */
    size_t output_size;       /* bytes of each */
    const char *result;       /* default {"n":1} */
    void (*inside)(void *ud); /* called while it runs, after its outputs */
    void *ud;
    int ticks;           /* tick so often, 10 ms apart, until one fails */
    atomic_int tick_rc;  /* of the last tick */
    atomic_bool running; /* it is at it */
} jobs_script;

typedef struct jobs_world {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fp_catalog *cat;
    fp_queue *q;
    fp_pipelines *pls;
    fp_jobs *jobs;
    _Atomic int64_t shift_ms; /* how far the clock is ahead of the system's */
    char fresh_uri[128];      /* of the database that goes with the world; "" when it stays */
    char folder[64];          /* "" when all is in memory */
    char changes[1024];       /* what on_change was told: "queued running 0.50 ..." */
    jobs_script script;
} jobs_world;

/* A fresh database and a store in memory; allocator may be NULL. lease 3 s, 3 attempts, no backoff to speak of. */
void jobs_world_open(jobs_world *w, const fp_allocator *allocator);
/* In a folder: a file database, a file store. An existing folder is opened again. */
void jobs_world_open_in(jobs_world *w, const char *folder);
void jobs_world_close(jobs_world *w);

/* A file of this content, whose default pipeline is none. */
void jobs_add_file(jobs_world *w, const char *content, char id[FPI_UUID_SIZE]);
/* Queues `steps` times test.work, named s1, s2, ... */
void jobs_add_job(jobs_world *w, const char *file_id, int steps, char id[FPI_UUID_SIZE]);
/* Both. */
void jobs_add(jobs_world *w, int steps, char id[FPI_UUID_SIZE]);

/* The ledger is opened again with these settings. */
void jobs_set_quarantine(jobs_world *w, const fp_quarantine_options *quarantine);
/* A file in quarantine, with a job of one step that waits for its release; the job that checks it is queued. */
void jobs_add_quarantined(jobs_world *w, const char *content, char file_id[FPI_UUID_SIZE],
                          char job_id[FPI_UUID_SIZE], char scan_id[FPI_UUID_SIZE]);

fp_job *must_get_job(jobs_world *w, const char *id);
/* The job's state is this, and the reason of its last failure; NULL = none. */
void must_be_job(jobs_world *w, const char *id, const char *state, const char *error_code);
/* Runs a worker of its own once, without waiting; whether it found a job. */
bool work_once(jobs_world *w);
/* Objects in the store. */
size_t count_objects(jobs_world *w, const char *prefix);

#endif
