/* Owns: the routes that operators and machines ask: health, probes, metrics, the index.
 * Must not know: any service. */
#include "health_routes.h"

#include <string.h>

#include "clock.h"
#include "health_all.h"
#include "reply.h"

#define METRICS_MAX (4u * 1024u * 1024u)

void fpd_health_state_init(fpd_health_state *state, fpd_app *app, fpd_health *health)
{
    state->app = app;
    state->health = health;
    state->all = (fpd_text)FPD_TEXT_INIT(METRICS_MAX);
    pthread_mutex_init(&state->all_lock, NULL);
}

void fpd_health_state_dispose(fpd_health_state *state)
{
    if (!state->app)
        return;
    fpd_text_dispose(&state->all);
    pthread_mutex_destroy(&state->all_lock);
}

static void get_health(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);
    bool draining = fpd_dispatcher_draining(state->dispatcher);
    fpd_health_report report;
    char now[FPD_RFC3339_SIZE];

    fpd_health_check(state->health, &report);
    fpd_rfc3339(fpd_now_ms(), now);
    fpd_text_printf(&json, "{\"status\":\"%s\",\"service\":\"%s\",\"timestamp\":\"%s\",",
                    draining      ? "draining"
                    : report.well ? "healthy"
                                  : "unhealthy",
                    state->app->service, now);
    fpd_health_dependencies(&json, &report, ~0u);
    if (report.has_disk)
        fpd_text_printf(&json, ",\"disk_free_bytes\":%llu", (unsigned long long)report.free_bytes);
    fpd_text_printf(&json, ",\"version\":\"%s\",\"environment\":", fp_version_string());
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

/* What the index leads to, as far as this service has it. */
static const struct {
    const char *name, *path;
} links[] = {
    { "initiate_upload", "/v1/uploads/initiate" },
    { "files", "/v1/files" },
    { "jobs", "/v1/jobs" },
    { "operations", "/v1/operations" },
    { "objects", "/v1/objects" },
};

static bool has_route(const fpd_health_state *state, const char *path)
{
    const fpd_router *router = state->router;

    for (size_t i = 0; i < router->count; i++)
        if (strcmp(router->entries[i].route->pattern, path) == 0)
            return true;
    return false;
}

static void get_index(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(4096);

    fpd_text_printf(&json, "{\"service\":\"%s\",\"version\":\"%s\",\"links\":{",
                    state->app->service, fp_version_string());
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        if (has_route(state, links[i].path))
            fpd_text_printf(&json, "\"%s\":\"%s\",", links[i].name, links[i].path);
    fpd_text_string(&json, "\"health\":\"/health\",\"metrics\":\"/metrics\"}}");
    fpd_reply_json(rq, 200, &json);
}

static const fpd_route routes[] = {
    { FPD_METHOD_GET, "/", get_index, 0 },
    { FPD_METHOD_GET, "/health", get_health, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/health/all", fpd_get_health_all, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/livez", get_livez, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/readyz", get_readyz, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/startupz", get_startupz, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
    { FPD_METHOD_GET, "/metrics", get_metrics, FPD_ROUTE_ALWAYS | FPD_ROUTE_QUIET },
};

bool fpd_health_routes_add(fpd_router *router, fpd_health_state *state)
{
    state->router = router;
    return fpd_router_add(router, routes, sizeof(routes) / sizeof(*routes), state);
}
