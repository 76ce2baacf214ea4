/* Owns: the tests of job/job_steps.c. */
#include <string.h>

#include "job/job_steps.h"
#include "runner.h"

static const char *const pipeline =
    "{\"name\":\"p\",\"steps\":[{\"name\":\"info\",\"operation\":\"image.info\"},"
    "{\"operation\":\"image.resize\"},{\"name\":\"last\",\"operation\":\"image.resize\"}]}";

static fp_context *ctx;

static json_t *new_steps(void)
{
    json_t *definition = NULL, *steps = NULL;

    if (!ctx)
        ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_json_parse(pipeline, strlen(pipeline), "test", &definition, NULL),
                     FILEPROC_OK);
    ck_assert_int_eq(fpi_steps_new(definition, &steps, NULL), FILEPROC_OK);
    json_decref(definition);
    return steps;
}

static void done_with(json_t *steps)
{
    json_decref(steps);
    fp_context_free(ctx);
    ctx = NULL;
}

typedef fp_status (*steps_writer)(const fp_context *, const json_t *, fp_buf *, fp_error *);

static fp_status write_steps(const fp_context *c, const json_t *steps, fp_buf *out, fp_error *err)
{
    return fpi_json_dump(c, steps, out, err);
}

static void assert_text(steps_writer write, const json_t *steps, const char *expected)
{
    fp_buf text = FILEPROC_BUF_INIT;

    ck_assert_int_eq(write(ctx, steps, &text, NULL), FILEPROC_OK);
    ck_assert_str_eq(text.data, expected);
    fp_buf_dispose(&text);
}

START_TEST(new_steps_are_pending_and_named)
{
    json_t *steps = new_steps();

    assert_text(
        write_steps, steps,
        "[{\"name\":\"info\",\"operation\":\"image.info\",\"state\":\"pending\",\"outputs\":[]},"
        "{\"name\":\"image.resize\",\"operation\":\"image.resize\",\"state\":\"pending\",\"outputs\":[]},"
        "{\"name\":\"last\",\"operation\":\"image.resize\",\"state\":\"pending\",\"outputs\":[]}]");
    ck_assert_uint_eq(fpi_steps_left(steps), 3);
    ck_assert_double_eq(fpi_steps_progress(steps), 0.0);
    assert_text(fpi_steps_done_names, steps, "[]");
    assert_text(fpi_steps_result, steps, "{}");
    done_with(steps);
}
END_TEST

START_TEST(succeeded_steps_carry_result_and_outputs)
{
    json_t *steps = new_steps();

    ck_assert_int_eq(fpi_steps_succeed(steps, "info", "{\"width\":3}", json_pack("[s]", "x"), NULL),
                     FILEPROC_OK);
    ck_assert_int_eq(fpi_steps_succeed(steps, "last", "{}", json_array(), NULL), FILEPROC_OK);
    ck_assert_uint_eq(fpi_steps_left(steps), 1);
    ck_assert_double_eq_tol(fpi_steps_progress(steps), 2.0 / 3.0, 1e-9);
    assert_text(fpi_steps_done_names, steps, "[\"info\",\"last\"]");
    assert_text(fpi_steps_result, steps, "{\"info\":{\"width\":3},\"last\":{}}");
    assert_text(
        write_steps, steps,
        "[{\"name\":\"info\",\"operation\":\"image.info\",\"state\":\"succeeded\",\"outputs\":[\"x\"],"
        "\"result\":{\"width\":3}},"
        "{\"name\":\"image.resize\",\"operation\":\"image.resize\",\"state\":\"pending\",\"outputs\":[]},"
        "{\"name\":\"last\",\"operation\":\"image.resize\",\"state\":\"succeeded\",\"outputs\":[],"
        "\"result\":{}}]");
    done_with(steps);
}
END_TEST

START_TEST(undone_step_is_as_before)
{
    json_t *steps = new_steps(), *before = json_deep_copy(steps);

    ck_assert_int_eq(fpi_steps_succeed(steps, "info", "{\"width\":3}", json_pack("[s]", "x"), NULL),
                     FILEPROC_OK);
    fpi_steps_undo(steps, "info");
    ck_assert(json_equal(steps, before));
    fpi_steps_undo(steps, "unknown");
    ck_assert(json_equal(steps, before));
    json_decref(before);
    done_with(steps);
}
END_TEST

START_TEST(only_the_first_unfinished_step_fails)
{
    json_t *steps = new_steps();

    ck_assert_int_eq(fpi_steps_succeed(steps, "info", "{}", json_array(), NULL), FILEPROC_OK);
    fpi_steps_fail(steps);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(steps, 0), "state")),
                     "succeeded");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(steps, 1), "state")),
                     "failed");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(steps, 2), "state")),
                     "pending");
    ck_assert_uint_eq(fpi_steps_left(steps), 2);
    done_with(steps);
}
END_TEST

START_TEST(unknown_step_and_bad_result_change_nothing)
{
    json_t *steps = new_steps(), *before = json_deep_copy(steps);

    ck_assert_int_eq(fpi_steps_succeed(steps, "nope", "{}", json_array(), NULL),
                     FILEPROC_ERR_PROTOCOL);
    ck_assert_int_eq(fpi_steps_succeed(steps, "info", "{", json_array(), NULL),
                     FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fpi_steps_succeed(steps, "info", "{}", NULL, NULL), FILEPROC_ERR_NOMEM);
    ck_assert(json_equal(steps, before));
    json_decref(before);
    done_with(steps);
}
END_TEST

START_TEST(definitions_without_steps_are_refused)
{
    static const char *const wrong[] = { "{}", "{\"steps\":{}}", "{\"steps\":[{\"name\":\"x\"}]}",
                                         "{\"steps\":[7]}" };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        json_t *definition = json_loads(wrong[i], 0, NULL), *steps = NULL;
        fp_error err = { 0 };

        ck_assert_int_eq(fpi_steps_new(definition, &steps, &err), FILEPROC_ERR_INVALID);
        ck_assert_str_eq(fp_error_reason(&err), "pipeline_invalid");
        ck_assert_ptr_null(steps);
        json_decref(definition);
    }
}
END_TEST

START_TEST(damaged_rows_are_corrupt)
{
    static const char *const wrong[] = { "", "{", "{}", "7" };
    json_t *steps = NULL;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        ck_assert_int_eq(fpi_steps_parse(wrong[i], &steps, NULL), FILEPROC_ERR_CORRUPT);
    ck_assert_int_eq(fpi_steps_parse(NULL, &steps, NULL), FILEPROC_ERR_CORRUPT);
    ck_assert_ptr_null(steps);
    ck_assert_int_eq(fpi_steps_parse("[]", &steps, NULL), FILEPROC_OK);
    ck_assert_double_eq(fpi_steps_progress(steps), 1.0);
    json_decref(steps);
}
END_TEST

RUN_TESTS("job_steps", new_steps_are_pending_and_named, succeeded_steps_carry_result_and_outputs,
          undone_step_is_as_before, only_the_first_unfinished_step_fails,
          unknown_step_and_bad_result_change_nothing, definitions_without_steps_are_refused,
          damaged_rows_are_corrupt)
