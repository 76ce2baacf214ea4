/* Owns: asking a clamd what it thinks of a file: its address, the INSTREAM conversation, what its answer means.
 * Must not know: pipelines, jobs, and what becomes of a file. */
#ifndef FPI_CLAMD_H
#define FPI_CLAMD_H

#include <stdbool.h>

#include "core/context_private.h"

/** One clamd. Immutable once made, so any thread may ask: each question has a connection of its own. */
typedef struct fpi_clamd fpi_clamd;

/** Longest name of a signature that is passed on, with the NUL. */
#define FPI_CLAMD_NAME_SIZE 160u

typedef enum fpi_clamd_verdict {
    FPI_CLAMD_CLEAN,
    FPI_CLAMD_INFECTED,   /* name is the signature's */
    FPI_CLAMD_UNSCANNABLE /* name says why: "too_large", "encrypted", "limits_exceeded" */
} fpi_clamd_verdict;

typedef struct fpi_clamd_answer {
    fpi_clamd_verdict verdict;
    char name[FPI_CLAMD_NAME_SIZE]; /* "" when clean */
} fpi_clamd_answer;

/** Called at least once a second; a failure ends the conversation. */
typedef fp_status (*fpi_clamd_tick)(void *handle, fp_error *err);

/** uri is tcp://host:port or unix:///path. INVALID when it is neither. No connection is made. */
fp_status fpi_clamd_new(const fp_context *ctx, const char *uri, uint64_t max_bytes,
                        uint32_t timeout_ms, fpi_clamd **out, fp_error *err);
void fpi_clamd_free(fpi_clamd *clamd);
FPI_DEFINE_CLEANUP(fpi_clamd, fpi_clamd_free)

/** Streams what fd has from offset 0 on, size bytes, in pieces of fixed size. Whatever clamd says without having seen all of it is no
 *  verdict, unless it is that it found something. BUSY with scanner_unavailable, retryable: nobody answers, or not in time.
 *  PROTOCOL with scanner_failed, retryable: it answered that it can't, or nonsense. */
fp_status fpi_clamd_scan(const fpi_clamd *clamd, int fd, uint64_t size, fpi_clamd_tick tick,
                         void *handle, fpi_clamd_answer *answer, fp_error *err);

/** What a reply (without its NUL) means; `whole` says that clamd had been sent everything. */
fp_status fpi_clamd_read_reply(const char *reply, bool whole, fpi_clamd_answer *answer,
                               fp_error *err);

#endif
