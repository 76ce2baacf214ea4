/* Owns: the promise that nothing but the word of every check releases a file, unless a setting says so.
 * Must not know: the database. */
#include "job/quarantine_judge.h"

#include <stdio.h>
#include <string.h>

#include "runner.h"

#define STEP(name, state, result)                                                                  \
    "{\"name\":\"" name "\",\"operation\":\"a.b\",\"state\":\"" state "\",\"result\":" result "}"
#define DONE(name, result) STEP(name, "succeeded", result)

#define RELEASE FPI_QUARANTINE_RELEASE
#define HOLD FPI_QUARANTINE_HOLD
#define REJECT FPI_QUARANTINE_REJECT

static fp_quarantine_options lenient(void)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    o.on_mismatch = o.on_unscannable = o.on_scanner_down = FILEPROC_QUARANTINE_ACCEPT;
    return o;
}

static fp_quarantine_options strict(void)
{
    fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    o.on_mismatch = o.on_unscannable = o.on_scanner_down = FILEPROC_QUARANTINE_REJECT;
    return o;
}

static void ck_judged(fp_quarantine_options o, const char *steps, const char *code,
                      fpi_quarantine_action action, const char *verdict, const char *reason)
{
    fpi_judgement j;

    fpi_quarantine_judge(&o, steps, code, &j);
    ck_assert_msg(j.action == action, "%s %s: %d", steps, code ? code : "", j.action);
    ck_assert_pstr_eq(j.verdict, verdict);
    ck_assert_msg(strcmp(j.reason, reason) == 0, "%s: %s", steps, j.reason);
}

START_TEST(all_clean_is_released)
{
    const fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    ck_judged(o, "[" DONE("a", "{\"verdict\":\"clean\"}") "]", NULL, RELEASE, "clean", "");
    ck_judged(o, "[" DONE("a", "{\"verdict\":\"clean\"}") "," DONE("b", "{\"n\":1}") "]", NULL,
              RELEASE, "clean", "");
    ck_judged(strict(), "[" DONE("a", "{}") "]", NULL, RELEASE, "clean", "");
}
END_TEST

START_TEST(each_verdict_has_its_setting)
{
    const fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;
    static const char mismatch[] =
        "[" DONE("a", "{\"verdict\":\"mismatch\",\"reason\":\"text/html\"}") "]";
    static const char unscannable[] =
        "[" DONE("a", "{\"verdict\":\"unscannable\",\"reason\":\"encrypted\"}") "]";
    static const char infected[] = "[" DONE("a", "{\"verdict\":\"infected\",\"reason\":\"X\"}") "]";

    ck_judged(o, mismatch, NULL, RELEASE, "mismatch", "text/html");
    ck_judged(strict(), mismatch, NULL, REJECT, "mismatch", "text/html");
    ck_judged(o, unscannable, NULL, HOLD, "unscannable", "encrypted");
    ck_judged(lenient(), unscannable, NULL, RELEASE, "unscannable", "encrypted");
    ck_judged(strict(), unscannable, NULL, REJECT, "unscannable", "encrypted");
    ck_judged(o, infected, NULL, REJECT, "infected", "X");
    ck_judged(lenient(), infected, NULL, REJECT, "infected", "X");
}
END_TEST

START_TEST(the_strongest_of_several_counts)
{
    const fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;
#define M DONE("m", "{\"verdict\":\"mismatch\",\"reason\":\"r\"}")
#define U DONE("u", "{\"verdict\":\"unscannable\",\"reason\":\"s\"}")
#define I DONE("i", "{\"verdict\":\"infected\",\"reason\":\"t\"}")
#define C DONE("c", "{\"verdict\":\"clean\"}")

    ck_judged(o, "[" C "," M "," C "]", NULL, RELEASE, "mismatch", "r");
    ck_judged(o, "[" M "," U "]", NULL, HOLD, "unscannable", "s");
    ck_judged(o, "[" U "," I "," C "]", NULL, REJECT, "infected", "t");
    ck_judged(o, "[" I "," U "]", NULL, REJECT, "infected", "t");
    ck_judged(lenient(), "[" M "," U "]", NULL, RELEASE, "mismatch", "r");
    /* also when a later check could not be made */
    ck_judged(lenient(), "[" I "," STEP("z", "failed", "null") "]", "helper_crashed", REJECT,
              "infected", "t");
}
END_TEST

START_TEST(unknown_words_are_not_clean)
{
    const fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;

    ck_judged(o, "[" DONE("a", "{\"verdict\":\"Clean\"}") "]", NULL, HOLD, "unscannable", "Clean");
    ck_judged(o, "[" DONE("a", "{\"verdict\":true}") "]", NULL, HOLD, "unscannable", "");
    ck_judged(o, "[" DONE("a", "{\"verdict\":null}") "]", NULL, HOLD, "unscannable", "");
}
END_TEST

START_TEST(what_was_not_checked_is_never_released_by_leniency)
{
    static const char *const ours[] = { "operation_unknown", "pipeline_invalid",
                                        "parameter_invalid", "helper_unavailable" };

    ck_judged(lenient(), NULL, NULL, HOLD, "unscannable", "not_checked");
    ck_judged(lenient(), "nonsense", NULL, HOLD, "unscannable", "not_checked");
    ck_judged(lenient(), "{}", NULL, HOLD, "unscannable", "not_checked");
    ck_judged(lenient(), "[]", NULL, HOLD, "unscannable", "not_checked");
    ck_judged(lenient(), "[" C "," STEP("z", "pending", "null") "]", NULL, HOLD, "unscannable",
              "not_checked");
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        ck_judged(lenient(), "[" STEP("z", "failed", "null") "]", ours[i], HOLD, "unscannable",
                  ours[i]);
}
END_TEST

START_TEST(a_check_that_fails_for_good_is_unscannable_or_its_scanner_is_down)
{
    const fp_quarantine_options o = FILEPROC_QUARANTINE_OPTIONS_INIT;
    static const char failed[] = "[" C "," STEP("z", "failed", "null") "]";
    fp_quarantine_options down = strict();
    fpi_judgement j;

    ck_judged(o, failed, "helper_crashed", HOLD, "unscannable", "helper_crashed");
    ck_judged(lenient(), failed, "helper_crashed", RELEASE, "unscannable", "helper_crashed");
    ck_judged(o, failed, "scanner_unavailable", HOLD, "unscannable", "scanner_unavailable");
    down.on_scanner_down = FILEPROC_QUARANTINE_ACCEPT;
    ck_judged(down, failed, "scanner_unavailable", RELEASE, "unscannable", "scanner_unavailable");
    ck_judged(down, failed, "scanner_failed", REJECT, "unscannable", "scanner_failed");
    fpi_quarantine_judge(&o, failed, "worker_lost", &j);
    ck_assert_str_eq(j.step, "z");
    ck_assert(fpi_quarantine_scanner_is_down("scanner_unavailable"));
    ck_assert(!fpi_quarantine_scanner_is_down("scanner_failed"));
    ck_assert(!fpi_quarantine_scanner_is_down(NULL));
}
END_TEST

RUN_TESTS("quarantine_judge", all_clean_is_released, each_verdict_has_its_setting,
          the_strongest_of_several_counts, unknown_words_are_not_clean,
          what_was_not_checked_is_never_released_by_leniency,
          a_check_that_fails_for_good_is_unscannable_or_its_scanner_is_down)
