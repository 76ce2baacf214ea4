/* Owns: the tests of pipeline/schema.c, schema_check.c and place.c. */
#include <string.h>

#include "pipeline/schema.h"
#include "runner.h"

static json_t *parse(const char *text)
{
    json_t *json = NULL;
    fp_error err = { 0 };

    ck_assert_msg(fpi_json_parse(text, strlen(text), "test", &json, &err) == FILEPROC_OK, "%s: %s",
                  text, err.message);
    return json;
}

/* Both as text; expected is the completed value, or the message. */
static void check_value(const char *schema_text, const char *value_text, fp_status status,
                        const char *expected)
{
    const fpi_place root = FPI_PLACE_ROOT, params = fpi_place_member(&root, "params");
    FPI_CLEANUP(json_t) schema = parse(schema_text);
    FPI_CLEANUP(json_t) value = parse(value_text);
    char got[1024] = "";
    fp_error err = { 0 };
    fp_status rc;

    rc = fpi_schema_check(schema, &root, &err);
    ck_assert_msg(rc == FILEPROC_OK, "%s: %s", schema_text, err.message);
    rc = fpi_schema_apply(schema, value, &params, &err);
    ck_assert_msg(rc == status, "%s with %s: %d %s", schema_text, value_text, rc, err.message);
    if (rc == FILEPROC_OK) {
        ck_assert_uint_lt(json_dumpb(value, got, sizeof(got) - 1, JSON_COMPACT | JSON_ENCODE_ANY),
                          sizeof(got) - 1);
        ck_assert_str_eq(got, expected);
    } else {
        ck_assert_str_eq(err.message, expected);
        ck_assert_str_eq(fp_error_reason(&err), "parameter_invalid");
    }
}

static void good(const char *schema, const char *value, const char *completed)
{
    check_value(schema, value, FILEPROC_OK, completed);
}

static void bad(const char *schema, const char *value, const char *message)
{
    check_value(schema, value, FILEPROC_ERR_INVALID, message);
}

static void bad_schema(const char *text, const char *message)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t) schema = parse(text);
    fp_error err = { 0 };

    ck_assert_msg(fpi_schema_check(schema, &root, &err) == FILEPROC_ERR_INVALID, "%s", text);
    ck_assert_str_eq(err.message, message);
    ck_assert_int_eq(fpi_schema_check(schema, &root, NULL), FILEPROC_ERR_INVALID);
}

#define OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"

START_TEST(types_are_checked_one_by_one_and_in_lists)
{
    static const char *const types[] = { "object", "array",   "string", "integer",
                                         "number", "boolean", "null" };
    static const char *const values[] = { "{}", "[]", "\"x\"", "1", "1.5", "true", "null" };
    static const char *const names[] = { "an object", "an array",  "a string", "an integer",
                                         "a number",  "a boolean", "null" };
    char schema[64], message[64];

    for (size_t i = 0; i < 7; i++) {
        for (size_t k = 0; k < 7; k++) {
            snprintf(schema, sizeof(schema), "{\"type\":\"%s\"}", types[i]);
            snprintf(message, sizeof(message), "params: must be %s", names[i]);
            if (i == k || (i == 4 && k == 3))
                good(schema, values[k], values[k]);
            else
                bad(schema, values[k], message);
        }
    }
    good("{\"type\":[\"integer\",\"null\"]}", "null", "null");
    bad("{\"type\":[\"integer\",\"null\"]}", "\"1\"", "params: must be an integer or null");
    good("{}", "\"anything\"", "\"anything\"");
}
END_TEST

START_TEST(whole_numbers_become_integers_where_integers_are_asked_for)
{
    good(OBJECT("\"n\":{\"type\":\"integer\",\"maximum\":9}"), "{\"n\":2.0}", "{\"n\":2}");
    good(OBJECT("\"n\":{\"type\":[\"null\",\"integer\"]}"), "{\"n\":-2e3}", "{\"n\":-2000}");
    good(OBJECT("\"n\":{\"type\":[\"integer\",\"number\"]}"), "{\"n\":2.0}", "{\"n\":2.0}");
    good("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1.0,2]", "[1,2]");
    bad(OBJECT("\"n\":{\"type\":\"integer\"}"), "{\"n\":2.5}", "params.n: must be an integer");
    bad(OBJECT("\"n\":{\"type\":\"integer\"}"), "{\"n\":1e300}", "params.n: must be an integer");
}
END_TEST

START_TEST(numbers_keep_within_their_limits)
{
    const char *s = OBJECT("\"width\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":16384}");
    const char *r = OBJECT("\"x\":{\"type\":\"number\",\"minimum\":0.5,\"maximum\":2}");
    const char *big = OBJECT("\"x\":{\"type\":\"integer\",\"maximum\":9007199254740992}");

    good(s, "{\"width\":1}", "{\"width\":1}");
    good(s, "{\"width\":16384}", "{\"width\":16384}");
    bad(s, "{\"width\":0}", "params.width: must be at least 1");
    bad(s, "{\"width\":16385}", "params.width: must be at most 16384");
    good(r, "{\"x\":2}", "{\"x\":2}");
    bad(r, "{\"x\":2.25}", "params.x: must be at most 2");
    bad(r, "{\"x\":0}", "params.x: must be at least 0.5");
    /* A double could not tell these two apart. */
    bad(big, "{\"x\":9007199254740993}", "params.x: must be at most 9007199254740992");
}
END_TEST

START_TEST(lengths_count_characters)
{
    const char *s = OBJECT("\"t\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}");

    good(s, "{\"t\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}",
         "{\"t\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}");
    bad(s, "{\"t\":\"\xc3\xa4\"}", "params.t: must have at least 2 characters");
    bad(s, "{\"t\":\"abcd\"}", "params.t: must have at most 3 characters");
}
END_TEST

START_TEST(texts_match_their_pattern)
{
    const char *schema =
        "{\"type\":[\"string\",\"integer\"],\"pattern\":\"^[a-c]+(,[0-9]{1,2})?$\"}";

    good(schema, "\"abc\"", "\"abc\"");
    good(schema, "\"a,12\"", "\"a,12\"");
    good(schema, "7", "7");
    bad(schema, "\"\"", "params: must match ^[a-c]+(,[0-9]{1,2})?$");
    bad(schema, "\"a,123\"", "params: must match ^[a-c]+(,[0-9]{1,2})?$");
    bad(schema, "\"x\\na\"", "params: must match ^[a-c]+(,[0-9]{1,2})?$");
    good("{\"pattern\":\"b\"}", "\"abc\"", "\"abc\"");
}
END_TEST

START_TEST(one_of_several_members_must_be_there)
{
    const char *schema =
        "{\"type\":\"object\",\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\","
        "\"c\"]}],\"properties\":{\"a\":{},\"b\":{},\"c\":{\"default\":1}}}";

    good(schema, "{\"a\":1}", "{\"a\":1,\"c\":1}");
    good(schema, "{\"b\":1,\"c\":2}", "{\"b\":1,\"c\":2}");
    bad(schema, "{}", "params: must have a or b and c");
    bad(schema, "{\"b\":1}", "params: must have a or b and c");
}
END_TEST

START_TEST(choices_and_constants_are_compared_by_value)
{
    const char *s = OBJECT("\"fit\":{\"type\":\"string\",\"enum\":[\"inside\",\"cover\"]}");

    good(s, "{\"fit\":\"cover\"}", "{\"fit\":\"cover\"}");
    bad(s, "{\"fit\":\"Cover\"}", "params.fit: must be one of \"inside\", \"cover\"");
    good("{\"enum\":[1,[\"a\"],null]}", "[\"a\"]", "[\"a\"]");
    good("{\"enum\":[1,2]}", "2.0", "2.0");
    bad("{\"const\":7}", "8", "params: must be 7");
    good("{\"const\":7}", "7", "7");
    bad("{\"const\":\"a text that is much longer than a message has room for it\"}", "1",
        "params: must be a certain value");
}
END_TEST

START_TEST(arrays_keep_their_size_and_check_their_items)
{
    const char *s = OBJECT("\"list\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,"
                           "\"items\":{\"type\":\"integer\"}}");

    good(s, "{\"list\":[1,2]}", "{\"list\":[1,2]}");
    bad(s, "{\"list\":[]}", "params.list: must have at least 1 items");
    bad(s, "{\"list\":[1,2,3]}", "params.list: must have at most 2 items");
    bad(s, "{\"list\":[1,\"2\"]}", "params.list[1]: must be an integer");
}
END_TEST

START_TEST(members_that_the_schema_lacks_are_refused_unless_it_allows_them)
{
    bad("{\"type\":\"object\"}", "{\"a\":1}", "params.a: is not known here");
    bad("{\"type\":\"object\",\"additionalProperties\":false}", "{\"a\":1}",
        "params.a: is not known here");
    good("{\"type\":\"object\",\"additionalProperties\":true}", "{\"a\":1}", "{\"a\":1}");
    good("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
         "{\"a\":1,\"b\":2.0}", "{\"a\":1,\"b\":2}");
    bad("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":\"1\"}",
        "params.a: must be an integer");
}
END_TEST

START_TEST(required_members_must_be_given_though_they_have_a_default)
{
    const char *s = "{\"type\":\"object\",\"required\":[\"a\",\"b\"],\"properties\":{"
                    "\"a\":{\"default\":1},\"b\":{}}}";

    good(s, "{\"a\":5,\"b\":6}", "{\"a\":5,\"b\":6}");
    bad(s, "{\"a\":5}", "params.b: is required");
    bad(s, "{\"b\":5}", "params.a: is required");
}
END_TEST

START_TEST(defaults_are_written_out_at_every_depth)
{
    const char *s = OBJECT(
        "\"quality\":{\"type\":\"integer\",\"default\":80},"
        "\"box\":{\"type\":\"object\",\"properties\":{\"w\":{\"default\":1}},\"default\":{}},"
        "\"other\":{\"type\":\"object\",\"properties\":{\"w\":{\"default\":1}}}");

    good(s, "{}", "{\"quality\":80,\"box\":{\"w\":1}}");
    good(s, "{\"quality\":5,\"other\":{}}",
         "{\"quality\":5,\"other\":{\"w\":1},\"box\":{\"w\":1}}");
}
END_TEST

START_TEST(one_schema_completes_many_values_without_sharing)
{
    const fpi_place root = FPI_PLACE_ROOT;
    FPI_CLEANUP(json_t)
    schema = parse(OBJECT("\"list\":{\"type\":\"array\",\"items\":{},\"default\":[]}"));
    FPI_CLEANUP(json_t) one = parse("{}");
    FPI_CLEANUP(json_t) two = parse("{}");

    ck_assert_int_eq(fpi_schema_apply(schema, one, &root, NULL), FILEPROC_OK);
    json_array_append_new(json_object_get(one, "list"), json_integer(1));
    ck_assert_int_eq(fpi_schema_apply(schema, two, &root, NULL), FILEPROC_OK);
    ck_assert_uint_eq(json_array_size(json_object_get(two, "list")), 0);
}
END_TEST

START_TEST(misspelt_schemas_are_refused_with_the_place)
{
    bad_schema("[]", "must be a schema, that is, an object");
    bad_schema("{\"maximun\":1}", "maximun: is not among the supported words of JSON Schema");
    bad_schema(OBJECT("\"a\":{\"format\":\"x\"}"),
               "properties.a.format: is not among the supported words of JSON Schema");
    bad_schema(OBJECT("\"a\":{\"items\":{\"type\":\"int\"}}"),
               "properties.a.items.type: must be the name of a type, or a list of 1 to 4 of them");
    bad_schema("{\"type\":[]}", "type: must be the name of a type, or a list of 1 to 4 of them");
    bad_schema("{\"type\":[\"null\",1]}",
               "type: must be the name of a type, or a list of 1 to 4 of them");
    bad_schema("{\"properties\":[]}", "properties: must be an object of schemas");
    bad_schema("{\"properties\":{\"a\":1}}", "properties.a: must be a schema, that is, an object");
    bad_schema("{\"additionalProperties\":1}",
               "additionalProperties: must be a schema, that is, an object");
    bad_schema("{\"required\":\"a\"}", "required: must be an array of strings");
    bad_schema("{\"required\":[1]}", "required: must be an array of strings");
    bad_schema("{\"enum\":[]}", "enum: must be an array of values");
    bad_schema("{\"minimum\":\"1\"}", "minimum: must be a number");
    bad_schema("{\"maxLength\":-1}", "maxLength: must be an integer of 0 or more");
    bad_schema("{\"minItems\":1.5}", "minItems: must be an integer of 0 or more");
    bad_schema("{\"pattern\":1}", "pattern: must be a string");
    bad_schema("{\"pattern\":\"(a\"}", "pattern: must be a POSIX extended regular expression");
    bad_schema("{\"pattern\":\"^a$\",\"default\":\"b\"}", "default: must match ^a$");
    bad_schema("{\"anyOf\":{}}", "anyOf: must be an array of {\"required\": [names]}");
    bad_schema("{\"anyOf\":[]}", "anyOf: must be an array of {\"required\": [names]}");
    bad_schema("{\"anyOf\":[{\"required\":[]}]}",
               "anyOf: must be an array of {\"required\": [names]}");
    bad_schema("{\"anyOf\":[{\"required\":[\"a\"]},{\"type\":\"object\"}]}",
               "anyOf: must be an array of {\"required\": [names]}");
    bad_schema("{\"anyOf\":[{\"required\":[1]}]}", "anyOf[0]: must be an array of strings");
    bad_schema(OBJECT("\"a\":{\"type\":\"integer\",\"default\":\"x\"}"),
               "properties.a.default: must be an integer");
}
END_TEST

START_TEST(places_are_written_as_people_write_them)
{
    const fpi_place root = FPI_PLACE_ROOT, steps = fpi_place_member(&root, "steps");
    const fpi_place second = fpi_place_element(&steps, 1),
                    params = fpi_place_member(&second, "params");
    fpi_place long_key = fpi_place_member(
        &params, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
                 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x\xc3\xa4");
    fpi_place chain[40];
    char text[FPI_PLACE_SIZE];

    fpi_place_text(&root, text);
    ck_assert_str_eq(text, "");
    fpi_place_text(&params, text);
    ck_assert_str_eq(text, "steps[1].params");
    fpi_place_text(&long_key, text);
    ck_assert_str_eq(
        text, "steps[1].params.\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
              "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4x..");
    chain[0] = root;
    for (size_t i = 1; i < 40; i++)
        chain[i] =
            i % 2 ? fpi_place_member(&chain[i - 1], "member") : fpi_place_element(&chain[i - 1], i);
    fpi_place_text(&chain[39], text);
    ck_assert_uint_lt(strlen(text), sizeof(text));
    ck_assert_str_eq(text + strlen(text) - 3, "...");
}
END_TEST

RUN_TESTS("schema", types_are_checked_one_by_one_and_in_lists,
          whole_numbers_become_integers_where_integers_are_asked_for,
          numbers_keep_within_their_limits, lengths_count_characters, texts_match_their_pattern,
          one_of_several_members_must_be_there, choices_and_constants_are_compared_by_value,
          arrays_keep_their_size_and_check_their_items,
          members_that_the_schema_lacks_are_refused_unless_it_allows_them,
          required_members_must_be_given_though_they_have_a_default,
          defaults_are_written_out_at_every_depth, one_schema_completes_many_values_without_sharing,
          misspelt_schemas_are_refused_with_the_place, places_are_written_as_people_write_them)
