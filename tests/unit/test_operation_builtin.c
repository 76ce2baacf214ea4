/* Owns: the promises of the table of helper operations.
 * Must not know: how schemas are applied; what the helper does. */
#include "pipeline/operation_builtin.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/schema.h"
#include "runner.h"

START_TEST(table_is_sorted_by_name_without_repetition)
{
    for (size_t i = 1; i < fpi_builtin_operation_count; i++)
        ck_assert_int_lt(strcmp(fpi_builtin_operations[i - 1].name, fpi_builtin_operations[i].name),
                         0);
}
END_TEST

START_TEST(every_schema_is_a_closed_json_object)
{
    for (size_t i = 0; i < fpi_builtin_operation_count; i++) {
        const char *text = fpi_builtin_operations[i].parameters;
        FPI_CLEANUP(json_t) schema = NULL;
        fp_error err = { 0 };

        ck_assert_msg(fpi_json_parse(text, strlen(text), "schema", &schema, &err) == FILEPROC_OK,
                      "%s: %s", fpi_builtin_operations[i].name, err.message);
        ck_assert_str_eq(json_string_value(json_object_get(schema, "type")), "object");
        ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
        ck_assert(json_is_object(json_object_get(schema, "properties")));
    }
}
END_TEST

static void check_default(const char *operation, const char *name, const json_t *property)
{
    const json_t *standard = json_object_get(property, "default");
    const json_t *choices = json_object_get(property, "enum");
    const json_t *choice;
    size_t i;
    bool found = false;

    ck_assert_msg(json_is_string(json_object_get(property, "type")), "%s.%s has no type", operation,
                  name);
    if (!standard || !choices)
        return;
    json_array_foreach(choices, i, choice)
        found = found || json_equal(choice, standard);
    ck_assert_msg(found, "%s.%s: the default is none of the choices", operation, name);
}

START_TEST(every_property_has_a_type_and_a_default_that_is_allowed)
{
    for (size_t i = 0; i < fpi_builtin_operation_count; i++) {
        FPI_CLEANUP(json_t) schema = json_loads(fpi_builtin_operations[i].parameters, 0, NULL);
        json_t *property;
        const char *name;

        json_object_foreach(json_object_get(schema, "properties"), name, property)
            check_default(fpi_builtin_operations[i].name, name, property);
    }
}
END_TEST

static fp_status apply(const char *operation, const char *text, fp_error *err)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t) schema = NULL;
    FPI_CLEANUP(json_t) params = json_loads(text, 0, NULL);

    for (size_t i = 0; i < fpi_builtin_operation_count; i++)
        if (strcmp(fpi_builtin_operations[i].name, operation) == 0)
            schema = json_loads(fpi_builtin_operations[i].parameters, 0, NULL);
    ck_assert(schema && params);
    ck_assert_int_eq(fpi_schema_check(schema, &root, err), FILEPROC_OK);
    return fpi_schema_apply(schema, params, &root, err);
}

START_TEST(what_the_helper_would_refuse_is_refused_by_the_schema)
{
    static const struct {
        const char *operation, *params, *message; /* NULL: good */
    } cases[] = {
        { "image.resize", "{\"width\":1}", NULL },
        { "image.resize", "{\"height\":1}", NULL },
        { "image.resize", "{}", "must have width or height" },
        { "image.resize", "{\"width\":1,\"background\":\"#20B2aa\"}", NULL },
        { "image.resize", "{\"width\":1,\"background\":\"#fff\"}", NULL },
        { "image.resize", "{\"width\":1,\"background\":\"white\"}",
          "background: must match ^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$" },
        { "image.convert", "{\"format\":\"png\",\"background\":\"#ffff\"}",
          "background: must match ^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$" },
        { "pdf.text", "{\"pages\":\"all\"}", NULL },
        { "pdf.text", "{\"pages\":\"1-3,5,9-\"}", NULL },
        { "pdf.render", "{\"pages\":\"2\"}", NULL },
    };
    static const char *const bad_pages[] = { "",     "0",  "x",   "1,",   ",1",
                                             "1--2", "-3", "1 2", "allx", "1-2-3" };
    fp_error err = { 0 };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_status rc = apply(cases[i].operation, cases[i].params, &err);

        ck_assert_msg((rc == FILEPROC_OK) == !cases[i].message, "%s %s", cases[i].operation,
                      cases[i].params);
        if (cases[i].message)
            ck_assert_str_eq(err.message, cases[i].message);
    }
    for (size_t i = 0; i < sizeof(bad_pages) / sizeof(*bad_pages); i++) {
        char params[64];

        snprintf(params, sizeof(params), "{\"pages\":\"%s\"}", bad_pages[i]);
        ck_assert_msg(apply("pdf.text", params, &err) == FILEPROC_ERR_INVALID, "%s", bad_pages[i]);
        ck_assert_msg(apply("pdf.render", params, &err) == FILEPROC_ERR_INVALID, "%s",
                      bad_pages[i]);
    }
}
END_TEST

RUN_TESTS("operation_builtin", table_is_sorted_by_name_without_repetition,
          every_schema_is_a_closed_json_object,
          every_property_has_a_type_and_a_default_that_is_allowed,
          what_the_helper_would_refuse_is_refused_by_the_schema)
