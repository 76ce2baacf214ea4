/* Owns: the tests of media/media_param.c. */
#include "media/media_param.h"

#include <string.h>

#include "runner.h"

static json_t *params_of(const char *text)
{
    json_t *params = json_loads(text, 0, NULL);

    ck_assert_ptr_nonnull(params);
    return params;
}

/* Names the parameter, is the caller's fault, and for good. */
static void is_refused(fp_status rc, const fp_error *err, const char *name)
{
    ck_assert_int_eq(rc, FILEPROC_ERR_INVALID);
    ck_assert_str_eq(fp_error_reason(err), "parameter_invalid");
    ck_assert_ptr_nonnull(strstr(err->message, name));
    ck_assert(err->flags & FILEPROC_ERROR_PERMANENT);
}

START_TEST(absent_parameters_keep_their_defaults)
{
    static const char *const choices[] = { "a", "b", NULL };
    FPI_CLEANUP(json_t) none = params_of("{}");
    const json_t *both[] = { none, NULL };

    for (size_t i = 0; i < 2; i++) {
        int number = 7, choice = 1;
        bool flag = true;
        const char *text = "x";
        unsigned char colour[3] = { 1, 2, 3 };

        ck_assert_int_eq(fpi_media_param_integer(both[i], "p", 0, 9, &number, NULL), FILEPROC_OK);
        ck_assert_int_eq(fpi_media_param_boolean(both[i], "p", &flag, NULL), FILEPROC_OK);
        ck_assert_int_eq(fpi_media_param_choice(both[i], "p", choices, &choice, NULL), FILEPROC_OK);
        ck_assert_int_eq(fpi_media_param_text(both[i], "p", 9, &text, NULL), FILEPROC_OK);
        ck_assert_int_eq(fpi_media_param_colour(both[i], "p", colour, NULL), FILEPROC_OK);
        ck_assert(number == 7 && choice == 1 && flag && strcmp(text, "x") == 0 && colour[2] == 3);
    }
}
END_TEST

START_TEST(integers_are_within_their_bounds)
{
    static const char *const wrong[] = { "{\"p\":0}",         "{\"p\":11}",   "{\"p\":1.0}",
                                         "{\"p\":\"5\"}",     "{\"p\":null}", "{\"p\":true}",
                                         "{\"p\":4294967297}" };
    FPI_CLEANUP(json_t) low = params_of("{\"p\":1}");
    FPI_CLEANUP(json_t) high = params_of("{\"p\":10}");
    int value = 5;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        FPI_CLEANUP(json_t) params = params_of(wrong[i]);
        fp_error err = { 0 };

        is_refused(fpi_media_param_integer(params, "p", 1, 10, &value, &err), &err, "p");
        ck_assert_int_eq(value, 5);
    }
    ck_assert_int_eq(fpi_media_param_integer(low, "p", 1, 10, &value, NULL), FILEPROC_OK);
    ck_assert_int_eq(value, 1);
    ck_assert_int_eq(fpi_media_param_integer(high, "p", 1, 10, &value, NULL), FILEPROC_OK);
    ck_assert_int_eq(value, 10);
}
END_TEST

START_TEST(booleans_are_nothing_else)
{
    static const char *const wrong[] = { "{\"p\":0}", "{\"p\":\"true\"}", "{\"p\":null}" };
    FPI_CLEANUP(json_t) yes = params_of("{\"p\":true}");
    FPI_CLEANUP(json_t) no = params_of("{\"p\":false}");
    bool value = true;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        FPI_CLEANUP(json_t) params = params_of(wrong[i]);
        fp_error err = { 0 };

        is_refused(fpi_media_param_boolean(params, "p", &value, &err), &err, "p");
        ck_assert(value);
    }
    ck_assert_int_eq(fpi_media_param_boolean(no, "p", &value, NULL), FILEPROC_OK);
    ck_assert(!value);
    ck_assert_int_eq(fpi_media_param_boolean(yes, "p", &value, NULL), FILEPROC_OK);
    ck_assert(value);
}
END_TEST

START_TEST(choices_are_those_listed)
{
    static const char *const choices[] = { "inside", "cover", NULL };
    static const char *const wrong[] = { "{\"p\":\"Cover\"}", "{\"p\":\"\"}", "{\"p\":1}",
                                         "{\"p\":\"cover \"}" };
    FPI_CLEANUP(json_t) good = params_of("{\"p\":\"cover\"}");
    int value = 0;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        FPI_CLEANUP(json_t) params = params_of(wrong[i]);
        fp_error err = { 0 };

        is_refused(fpi_media_param_choice(params, "p", choices, &value, &err), &err, "p");
        ck_assert_int_eq(value, 0);
    }
    ck_assert_int_eq(fpi_media_param_choice(good, "p", choices, &value, NULL), FILEPROC_OK);
    ck_assert_int_eq(value, 1);
}
END_TEST

START_TEST(texts_are_neither_empty_nor_too_long)
{
    static const char *const wrong[] = { "{\"p\":\"\"}", "{\"p\":\"123456\"}", "{\"p\":[]}" };
    FPI_CLEANUP(json_t) good = params_of("{\"p\":\"12345\"}");
    const char *value = NULL;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        FPI_CLEANUP(json_t) params = params_of(wrong[i]);
        fp_error err = { 0 };

        is_refused(fpi_media_param_text(params, "p", 5, &value, &err), &err, "p");
        ck_assert_ptr_null(value);
    }
    ck_assert_int_eq(fpi_media_param_text(good, "p", 5, &value, NULL), FILEPROC_OK);
    ck_assert_str_eq(value, "12345");
}
END_TEST

START_TEST(colours_have_three_or_six_digits)
{
    static const char *const wrong[] = { "fff",   "#ff",     "#ffff", "#fffffff", "#ggg",
                                         "white", "#12345 ", "#-12",  "##fff",    "#" };
    static const struct {
        const char *text;
        unsigned char value[3];
    } good[] = { { "#fff", { 255, 255, 255 } },
                 { "#a1B", { 0xAA, 0x11, 0xBB } },
                 { "#20b2aa", { 0x20, 0xB2, 0xAA } },
                 { "#000000", { 0, 0, 0 } } };
    unsigned char value[3] = { 9, 9, 9 };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        FPI_CLEANUP(json_t) params = json_pack("{s:s}", "p", wrong[i]);
        fp_error err = { 0 };

        is_refused(fpi_media_param_colour(params, "p", value, &err), &err, "p");
        ck_assert(value[0] == 9 && value[1] == 9 && value[2] == 9);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        FPI_CLEANUP(json_t) params = json_pack("{s:s}", "p", good[i].text);

        ck_assert_int_eq(fpi_media_param_colour(params, "p", value, NULL), FILEPROC_OK);
        ck_assert_mem_eq(value, good[i].value, 3);
    }
}
END_TEST

RUN_TESTS("media_param", absent_parameters_keep_their_defaults, integers_are_within_their_bounds,
          booleans_are_nothing_else, choices_are_those_listed, texts_are_neither_empty_nor_too_long,
          colours_have_three_or_six_digits)
