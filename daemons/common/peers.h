/* Owns: asking the other services how they are: all at the same time, and never for longer than a limit.
 * Must not know: what they say, or HTTP's server side. */
#ifndef FPD_PEERS_H
#define FPD_PEERS_H

#include <fileproc/config.h>

#include "service.h"

/** What one of them answered. Start from zero; fpd_peer_answer_dispose(). */
typedef struct fpd_peer_answer {
    const fpd_service *service; /* NULL = is not asked */
    int status;                 /* HTTP's; 0 = there was no answer */
    int64_t latency_ns;
    const char *problem; /* static: why there was none */
    fpd_text body;
    void *request; /* libcurl's, while it is under way */
} fpd_peer_answer;

void fpd_peer_answer_dispose(fpd_peer_answer *answer);

/** To be called once, before there are threads. False: it can't work. */
bool fpd_peers_init(void);

/** GETs /health of every service that is named in `answers`, at the addresses that the settings tell. False when out of memory. */
bool fpd_peers_ask(const fp_config *config, int64_t timeout_ms, fpd_peer_answer *answers,
                   size_t count);

#endif
