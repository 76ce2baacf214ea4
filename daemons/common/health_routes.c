/* Owns: the routes that operators and machines ask: health, probes, metrics, the index.
 * Must not know: any service. */
#include "health_routes.h"

#include "clock.h"
#include "reply.h"

#define METRICS_MAX (4u * 1024u * 1024u)

static void get_health(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);
    bool draining = fpd_dispatcher_draining(state->dispatcher);
    fpd_health_report report;
    char now[FPD_RFC3339_SIZE];

    fpd_health_check(state->health, &report);
    fpd_rfc3339(fpd_now_ms(), now);
    fpd_text_printf(&json,
                    "{\"status\":\"%s\",\"service\":\"%s\",\"timestamp\":\"%s\",\"dependencies\":{",
                    draining      ? "draining"
                    : report.well ? "healthy"
                                  : "unhealthy",
                    state->app->service, now);
    for (size_t i = 0; i < report.count; i++)
        fpd_text_printf(&json, "%s\"%s\":\"%s\"", i ? "," : "", report.probes[i].name,
                        report.probes[i].answer);
    fpd_text_string(&json, "},\"latency_ms\":{");
    for (size_t i = 0; i < report.count; i++)
        if (report.probes[i].latency_ns >= 0)
            fpd_text_printf(&json, "%s\"%s\":%.3f", i ? "," : "", report.probes[i].name,
                            (double)report.probes[i].latency_ns / 1e6);
    fpd_text_printf(&json, "},\"disk_free_bytes\":%llu,\"version\":\"%s\",\"environment\":",
                    (unsigned long long)report.free_bytes, fp_version_string());
    fpd_text_json(&json, fp_config_string(state->app->config, "ENVIRONMENT"));
    fpd_text_string(&json, "}");
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, report.well && !draining ? 200 : 503, &json);
}

static void answer_probe(fpd_request *rq, bool well, const char *word)
{
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(128);

    fpd_text_printf(&json, "{\"status\":\"%s\"}", word);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, well ? 200 : 503, &json);
}

/* Only that the process answers: a restart helps against nothing else. */
static void get_livez(fpd_request *rq, void *user_data)
{
    (void)user_data;
    answer_probe(rq, true, "alive");
}

static void get_readyz(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    fpd_health_report report;

    if (fpd_dispatcher_draining(state->dispatcher)) {
        answer_probe(rq, false, "draining");
        return;
    }
    fpd_health_check(state->health, &report);
    answer_probe(rq, report.serving, report.serving ? "ready" : "not ready");
}

static void get_startupz(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    bool started = atomic_load(&state->started);

    answer_probe(rq, started, started ? "started" : "starting");
}

static void get_metrics(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) text = FPD_TEXT_INIT(METRICS_MAX);

    fpd_metrics_write(state->app->metrics, &text);
    if (text.failed)
        fpd_reply_empty(rq, 503);
    else
        fpd_reply(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.size);
}

static void get_index(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);

    fpd_text_printf(&json, "{\"service\":\"%s\",\"version\":\"%s\",\"links\":{",
                    state->app->service, fp_version_string());
    fpd_text_string(
        &json,
        "\"initiate_upload\":\"/v1/uploads/initiate\",\"files\":\"/v1/files\",\"jobs\":\"/v1/jobs\","
        "\"operations\":\"/v1/operations\",\"health\":\"/health\",\"metrics\":\"/metrics\"}}");
    fpd_reply_json(rq, 200, &json);
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/", get_index, 0 },
    { FPD_METHOD_GET, "/health", get_health, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/livez", get_livez, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/readyz", get_readyz, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/startupz", get_startupz, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/metrics", get_metrics, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
};

bool fpd_health_routes_add(fpd_router *router, fpd_health_state *state)
{
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), state);
}
