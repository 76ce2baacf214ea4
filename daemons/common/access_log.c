/* Owns: the access log: one JSON line per request.
 * Must not know: any route. */
#include "access_log.h"

#include <string.h>

#include "log.h"
#include "route.h"

/* A path is shown up to here; escaped it is six times as long at the most. */
#define PATH_SHOWN 512u

void fpd_access_log(fpd_request *rq, int64_t duration_ns)
{
    int32_t level =
        rq->route && rq->route->flags & FPD_ROUTE_QUIET ? FILEPROC_LOG_DEBUG : FILEPROC_LOG_INFO;
    size_t path_size = strlen(rq->head->target);
    fpd_text *line = rq->scratch;

    if (!fpd_log_enabled(level))
        return;
    fpd_text_clear(line, line->limit);
    fpd_log_begin(line, level, "access");
    fpd_text_string(line, ",\"method\":");
    fpd_text_json(line, rq->head->method);
    fpd_text_string(line, ",\"path\":");
    fpd_text_json_bytes(line, rq->head->target, path_size < PATH_SHOWN ? path_size : PATH_SHOWN);
    fpd_text_printf(line, ",\"status\":%d,\"bytes\":%llu,\"received\":%llu,\"duration_ms\":%.3f",
                    rq->status, (unsigned long long)rq->bytes_sent,
                    (unsigned long long)rq->body_read, (double)duration_ns / 1e6);
    if (rq->broken)
        fpd_text_string(line, ",\"client_gone\":true");
    fpd_text_string(line, ",\"request_id\":");
    fpd_text_json(line, rq->id);
    fpd_text_string(line, ",\"remote\":");
    fpd_text_json(line, rq->head->remote);
    fpd_log_write(line);
}
