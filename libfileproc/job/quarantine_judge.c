/* Owns: what the checks of a file come to under the settings.
 * Must not know: the database. */
#include "job/quarantine_judge.h"

#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

/* What the program or its settings are to blame for is never taken for a property of the file, however lenient they are. */
static const char *const own_faults[] = { "operation_unknown", "pipeline_invalid",
                                          "parameter_invalid", "pipeline_unknown",
                                          "helper_unavailable" };

static bool is_among(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

bool fpi_quarantine_scanner_is_down(const char *error_code)
{
    return error_code && strcmp(error_code, "scanner_unavailable") == 0;
}

static fpi_quarantine_action action_of(uint32_t setting, uint32_t standard)
{
    switch (setting ? setting : standard) {
    case FILEPROC_QUARANTINE_ACCEPT:
        return FPI_QUARANTINE_RELEASE;
    case FILEPROC_QUARANTINE_REJECT:
        return FPI_QUARANTINE_REJECT;
    default:
        return FPI_QUARANTINE_HOLD;
    }
}

static void put(char out[FPI_QUARANTINE_TEXT_SIZE], const char *text)
{
    snprintf(out, FPI_QUARANTINE_TEXT_SIZE, "%s", text ? text : "");
    fpi_utf8_clean(out, text && strlen(text) >= FPI_QUARANTINE_TEXT_SIZE);
}

/* The first of those that are equally strong is told, but any before "clean". */
static void add(fpi_judgement *j, fpi_quarantine_action action, const char *verdict,
                const char *reason, const char *step)
{
    bool clean = !j->verdict || strcmp(j->verdict, "clean") == 0;

    if (action < j->action || (action == j->action && !clean))
        return;
    j->action = action;
    j->verdict = verdict;
    put(j->reason, reason);
    put(j->step, step);
}

static void judge_step(const fp_quarantine_options *o, const json_t *step, fpi_judgement *j)
{
    const json_t *result = json_object_get(step, "result");
    const json_t *given = json_object_get(result, "verdict");
    const char *verdict = json_string_value(given);
    const char *reason = json_string_value(json_object_get(result, "reason"));
    const char *name = json_string_value(json_object_get(step, "name"));

    if (!given || (verdict && strcmp(verdict, "clean") == 0))
        add(j, FPI_QUARANTINE_RELEASE, "clean", NULL, NULL);
    else if (verdict && strcmp(verdict, "infected") == 0)
        add(j, FPI_QUARANTINE_REJECT, "infected", reason, name);
    else if (verdict && strcmp(verdict, "mismatch") == 0)
        add(j, action_of(o->on_mismatch, FILEPROC_QUARANTINE_ACCEPT), "mismatch", reason, name);
    else
        add(j, action_of(o->on_unscannable, FILEPROC_QUARANTINE_HOLD), "unscannable",
            reason ? reason : verdict, name);
}

static bool has_succeeded(const json_t *step)
{
    const char *state = json_string_value(json_object_get(step, "state"));

    return state && strcmp(state, "succeeded") == 0;
}

/* How many of them have not been done; also 1 when that can't be told. */
static size_t judge_steps(const fp_quarantine_options *o, const json_t *steps, const char **failed,
                          fpi_judgement *j)
{
    const json_t *step;
    size_t i, left = 0;

    if (!json_is_array(steps) || json_array_size(steps) == 0)
        return 1;
    json_array_foreach(steps, i, step) {
        if (has_succeeded(step)) {
            judge_step(o, step, j);
            continue;
        }
        if (!left++)
            *failed = json_string_value(json_object_get(step, "name"));
    }
    return left;
}

static void judge_failure(const fp_quarantine_options *o, const char *error_code, const char *step,
                          fpi_judgement *j)
{
    const char *code = error_code ? error_code : "not_checked";

    if (fpi_quarantine_scanner_is_down(error_code))
        add(j, action_of(o->on_scanner_down, FILEPROC_QUARANTINE_HOLD), "unscannable", code, step);
    else if (!error_code || is_among(code, own_faults, sizeof(own_faults) / sizeof(*own_faults)))
        add(j, FPI_QUARANTINE_HOLD, "unscannable", code, step);
    else
        add(j, action_of(o->on_unscannable, FILEPROC_QUARANTINE_HOLD), "unscannable", code, step);
}

void fpi_quarantine_judge(const fp_quarantine_options *o, const char *text, const char *error_code,
                          fpi_judgement *out)
{
    FPI_CLEANUP(json_t) steps = NULL;
    const char *failed = NULL;
    size_t left;

    *out = (fpi_judgement){ .action = FPI_QUARANTINE_RELEASE };
    if (text && fpi_json_parse(text, strlen(text), "steps of the job", &steps, NULL) < 0)
        steps = NULL;
    left = judge_steps(o, steps, &failed, out);
    if (left || error_code)
        judge_failure(o, error_code, failed, out);
}
