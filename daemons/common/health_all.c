/* Owns: /health/all: how all services are, asked of each, or of this process when it is all of them.
 * Must not know: any service. */
#include "health_all.h"

#include <pthread.h>
#include <string.h>

#include <jansson.h>

#include "clock.h"
#include "json_body.h"
#include "reply.h"

/* Whoever asks twice within this time gets the same answer: asking takes requests. */
#define FRESH_NS INT64_C(1000000000)
#define ANSWER_MAX (512u * 1024u)

void fpd_health_dependencies(fpd_text *json, const fpd_health_report *report, unsigned needs)
{
    const char *comma = "";

    fpd_text_string(json, "\"dependencies\":{");
    for (size_t i = 0; i < report->count; i++) {
        const fpd_health_probe *probe = &report->probes[i];

        if (probe->needs & needs) {
            fpd_text_printf(json, "%s\"%s\":\"%s\"", comma, probe->name, probe->answer);
            comma = ",";
        }
    }
    comma = "";
    fpd_text_string(json, "},\"latency_ms\":{");
    for (size_t i = 0; i < report->count; i++) {
        const fpd_health_probe *probe = &report->probes[i];

        if ((probe->needs & needs) && probe->latency_ns >= 0) {
            fpd_text_printf(json, "%s\"%s\":%.3f", comma, probe->name,
                            (double)probe->latency_ns / 1e6);
            comma = ",";
        }
    }
    fpd_text_string(json, "}");
}

static const char *word(const fpd_health_report *report, unsigned needs, bool draining)
{
    bool well = true;

    for (size_t i = 0; i < report->count; i++)
        if (report->probes[i].needs & needs)
            well = well && report->probes[i].well;
    return draining ? "draining" : well ? "healthy" : "unhealthy";
}

/* A service that this process is. */
static bool tell_own(fpd_health_state *state, const fpd_service *service,
                     const fpd_health_report *report, fpd_text *json)
{
    const char *status = word(report, service->needs, fpd_dispatcher_draining(state->dispatcher));

    fpd_text_printf(json, "{\"status\":\"%s\",", status);
    fpd_health_dependencies(json, report, service->needs);
    fpd_text_string(json, "}");
    return strcmp(status, "healthy") == 0;
}

static bool tell_unreachable(const char *why, fpd_text *json)
{
    fpd_text_string(json, "{\"status\":\"unreachable\",\"detail\":");
    fpd_text_json(json, why);
    fpd_text_string(json, "}");
    return false;
}

/* Members of another process's report, as far as they have the right type. */
static void copy_member(const json_t *report, const char *name, fpd_text *json)
{
    const json_t *member = json_object_get(report, name);
    FPD_MEMORY text =
        json_is_object(member) || json_is_string(member)
            ? json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))
            : NULL;

    if (text) {
        fpd_text_printf(json, ",\"%s\":", name);
        fpd_text_string(json, text);
    }
}

static bool tell_peer(const fpd_peer_answer *answer, fpd_text *json)
{
    FPD_CLEANUP(json_t) report = NULL;
    const char *status;

    if (answer->status == 0)
        return tell_unreachable(answer->problem, json);
    report = answer->body.size ? json_loadb(answer->body.data, answer->body.size, 0, NULL) : NULL;
    status = json_string_value(json_object_get(report, "status"));
    if (!status)
        return tell_unreachable("what answers there is no service of ours", json);
    fpd_text_string(json, "{\"status\":");
    fpd_text_json(json, status);
    fpd_text_printf(json, ",\"answered_in_ms\":%.3f", (double)answer->latency_ns / 1e6);
    copy_member(report, "version", json);
    copy_member(report, "dependencies", json);
    copy_member(report, "latency_ms", json);
    fpd_text_string(json, "}");
    return strcmp(status, "healthy") == 0;
}

static bool is_own(const fpd_health_state *state, const fpd_service *service)
{
    return state->app->needs == FPD_NEEDS_ALL || strcmp(state->app->service, service->program) == 0;
}

static bool tell_services(fpd_health_state *state, fpd_peer_answer *answers, fpd_text *json)
{
    fpd_health_report report;
    bool well = true;

    fpd_health_check(state->health, &report);
    for (size_t i = 0; i < FPD_SERVICES; i++) {
        const fpd_service *service = &fpd_services[i];
        bool this_well;

        fpd_text_printf(json, "%s\"%s\":", i ? "," : "", service->name);
        this_well = is_own(state, service) ? tell_own(state, service, &report, json)
                                           : tell_peer(&answers[i], json);
        well = well && this_well;
    }
    return well;
}

/* Builds the answer in state->all. */
static void ask(fpd_health_state *state)
{
    fpd_peer_answer answers[FPD_SERVICES] = { 0 };
    FPD_DISPOSE(fpd_text) services = FPD_TEXT_INIT(ANSWER_MAX);
    char now[FPD_RFC3339_SIZE];
    bool well;

    for (size_t i = 0; i < FPD_SERVICES; i++)
        if (!is_own(state, &fpd_services[i]))
            answers[i].service = &fpd_services[i];
    if (!fpd_peers_ask(state->app->config,
                       fp_config_int(state->app->config, "FILEPROC_PEER_TIMEOUT"), answers,
                       FPD_SERVICES))
        services.failed = true;
    well = tell_services(state, answers, &services);
    for (size_t i = 0; i < FPD_SERVICES; i++)
        fpd_peer_answer_dispose(&answers[i]);
    fpd_rfc3339(fpd_now_ms(), now);
    fpd_text_clear(&state->all, ANSWER_MAX);
    fpd_text_printf(&state->all,
                    "{\"status\":\"%s\",\"service\":\"%s\",\"timestamp\":\"%s\",\"services\":{",
                    well ? "healthy" : "unhealthy", state->app->service, now);
    fpd_text_append(&state->all, services.data, services.size);
    fpd_text_string(&state->all, "}}");
    state->all.failed = state->all.failed || services.failed;
    state->all_well = well;
}

void fpd_get_health_all(fpd_request *rq, void *user_data)
{
    fpd_health_state *state = user_data;
    FPD_DISPOSE(fpd_text) json = FPD_TEXT_INIT(ANSWER_MAX);
    bool well;

    pthread_mutex_lock(&state->all_lock);
    if (state->all_ns == 0 || state->all.failed || fpd_monotonic_ns() - state->all_ns > FRESH_NS) {
        ask(state);
        state->all_ns = fpd_monotonic_ns();
    }
    fpd_text_append(&json, state->all.data, state->all.size);
    json.failed = json.failed || state->all.failed;
    well = state->all_well;
    pthread_mutex_unlock(&state->all_lock);
    fpd_reply_header(rq, "Cache-Control", "no-store");
    fpd_reply_json(rq, well ? 200 : 503, &json);
}
