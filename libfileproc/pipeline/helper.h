/* Owns: a fileproc-media process that is kept warm, and the packets to and from it.
 * Must not know: what a run asks for (helper_run.c). */
#ifndef FPI_HELPER_H
#define FPI_HELPER_H

#include <stdatomic.h>

#include "pipeline/helper_process.h"
#include "pipeline/pipeline_private.h"

/** Whoever waits for a helper. Only the time that passes while waiting counts against left_ms: a slow store is not the helper's fault. */
typedef struct fpi_helper_wait {
    const atomic_bool *cancelled;
    int cancel_fd; /* readable once it is cancelled */
    int reserved;
    int64_t left_ms;      /* of the wall clock */
    int64_t last_tick_ms; /* monotonic */
    fp_status (*tick)(void *user_data, fp_error *err);
    void *user_data;
    const char *step; /* for messages: what is being done */
} fpi_helper_wait;

/** No process runs before the first fpi_helper_request(). */
typedef struct fpi_helper {
    const fp_pipelines *pls;
    char *buffer; /* FPI_MEDIA_PACKET_MAX bytes */
    fpi_process process;
    fpi_process_exit end; /* of the last process that ended by itself */
    int fd;               /* our end; -1 = no process */
    uint32_t pipelines;   /* that this process was used for */
    bool ready;
    bool worn;     /* not to be used for another pipeline */
    bool answered; /* since the last fpi_helper_request() */
} fpi_helper;

fp_status fpi_helper_init(const fp_pipelines *pls, fpi_helper *h, fp_error *err);
void fpi_helper_dispose(fpi_helper *h);

/** Around each pipeline: begin lets go of a process that died while it was idle, finish of one that has done enough. */
void fpi_helper_begin(fpi_helper *h);
void fpi_helper_finish(fpi_helper *h);

/** Sends the first packet of a run to a helper that is ready, starting one when there is none. `fd` is borrowed. After any failure of
 *  this and the next two no process is left. */
fp_status fpi_helper_request(fpi_helper *h, fpi_helper_wait *w, const json_t *packet, int fd,
                             fp_error *err);

/** Sends a further packet; the helper is waiting for it. */
fp_status fpi_helper_send(fpi_helper *h, const json_t *packet, int fd, fp_error *err);

/** Waits for a packet, an object with a type. IO, TIMEOUT and CANCELLED as fp_runner_run() says; a failure of tick is passed on. */
fp_status fpi_helper_receive(fpi_helper *h, fpi_helper_wait *w, json_t **packet, fp_error *err);

/** Ends the process, whatever it does. */
void fpi_helper_kill(fpi_helper *h);

/** The same when a run ends without its last word; a process that has ended already keeps its end (fpi_helper_died_idle()). */
void fpi_helper_break_off(fpi_helper *h);

/** Kills it for saying what it must not: a hostile file may have taken it over. */
fp_status fpi_helper_violation(fpi_helper *h, fp_error *err, const char *fmt, ...)
    FILEPROC_PRINTF(3, 4);

/** Whether the process was killed from outside before it said a word about the run: nothing is known against the file then. */
bool fpi_helper_died_idle(const fpi_helper *h);

/** The helper told how much memory it keeps between runs. */
void fpi_helper_weigh(fpi_helper *h, uint64_t rss_bytes);

#endif
