/* Owns: the promises of the table of helper operations.
 * Must not know: how schemas are applied. */
#include "pipeline/operation_builtin.h"

#include <stdbool.h>
#include <string.h>

#include "core/json.h"
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

RUN_TESTS("operation_builtin", table_is_sorted_by_name_without_repetition,
          every_schema_is_a_closed_json_object,
          every_property_has_a_type_and_a_default_that_is_allowed)
