/* Owns: one child process: started with one socket and nothing else, ended, reaped.
 * Must not know: what is said over the socket; pipelines. */
#ifndef FPI_HELPER_PROCESS_H
#define FPI_HELPER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include <fileproc/error.h>

/** Ours from start to end; nobody else's child is ever waited for. */
typedef struct fpi_process {
    pid_t pid; /* 0 = none */
    int pidfd; /* -1 = none, or a kernel without them */
} fpi_process;

#define FPI_PROCESS_INIT                                                                           \
    {                                                                                              \
        0, -1                                                                                      \
    }

/** How a process ended. */
typedef struct fpi_process_exit {
    int signal;  /* 0 = none */
    int status;  /* its own; -1 = somebody else took it (SIGCHLD ignored, a wait for any child) */
    bool killed; /* by us */
} fpi_process_exit;

/** Runs argv[0] with an empty environment. Its descriptors: FPI_MEDIA_FD is `socket`, 0 and 1 are /dev/null, 2 is ours. Its signals are
 *  all as in a fresh process, and it is a process group of its own, so that a terminal's Ctrl-C doesn't reach it. IO with the reason
 *  helper_unavailable names the path. */
fp_status fpi_process_start(char *const argv[], int socket, fpi_process *p, fp_error *err);

/** Ends and reaps it. It gets grace_ms to end by itself, so that it can be seen why it does. */
fpi_process_exit fpi_process_end(fpi_process *p, int grace_ms);

#endif
