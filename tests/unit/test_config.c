/* Owns: the tests of core/config.c, config_value.c, config_text.c and of the table as a whole.
 * Must not know: what a setting does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf_private.h"
#include "core/config_private.h"
#include "fault.h"
#include "runner.h"

/* One row of each type, so that the tests don't depend on the real table. */
static const fpi_setting rows[] = {
    { "TEXT", FPI_SETTING_TEXT, FPI_GROUP_SERVER, "plain", 1, 20, NULL, "A text." },
    { "API_KEY", FPI_SETTING_SECRET, FPI_GROUP_SERVER, "", 0, 1000, NULL, "A secret." },
    { "FILEPROC_FOLDER", FPI_SETTING_PATH, FPI_GROUP_DATA, "./here", 1, 4000, NULL, "A path." },
    { "SERVER_URL", FPI_SETTING_URI, FPI_GROUP_DATA, "", 0, 4096, NULL, "A URI." },
    { "NUMBER", FPI_SETTING_INTEGER, FPI_GROUP_JOBS, "7", -5, 100, NULL, "A number." },
    { "WORKERS", FPI_SETTING_INTEGER, FPI_GROUP_JOBS, "auto", 0, 8, "auto", "A number or auto." },
    { "SIZE", FPI_SETTING_SIZE, FPI_GROUP_UPLOADS, "5MiB", 1, INT64_C(1) << 50, NULL, "A size." },
    { "DURATION", FPI_SETTING_DURATION, FPI_GROUP_UPLOADS, "1h", 500, 86400000, NULL, "A time." },
    { "SWITCH", FPI_SETTING_SWITCH, FPI_GROUP_SERVER, "false", 0, 1, NULL, "A switch." },
    { "LIST", FPI_SETTING_LIST, FPI_GROUP_UPLOADS, "a,b", 1, 4, NULL, "A list." },
    { "LEVEL", FPI_SETTING_CHOICE, FPI_GROUP_LOGGING, "INFO", 0, 0, "DEBUG INFO ERROR", "A word." },
    { "FILEPROC_HELP", FPI_SETTING_SWITCH, FPI_GROUP_COMMANDS, "false", 0, 1, NULL, "Help." },
};
static const fpi_setting_table table = { rows, sizeof(rows) / sizeof(*rows) };

static fp_context *ctx;
static fp_config *cfg;
static fp_error err;

static void open_config(void)
{
    memset(&err, 0, sizeof(err));
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_config_new(ctx, &table, &cfg, NULL), FILEPROC_OK);
}

static void close_config(void)
{
    fp_config_free(cfg);
    fp_context_free(ctx);
}

static void expect_number(const char *name, const char *text, int64_t number)
{
    ck_assert_msg(fp_config_set(cfg, name, text, &err) == FILEPROC_OK, "%s: %s", text, err.message);
    ck_assert_msg(fp_config_int(cfg, name) == number, "%s is %lld", text,
                  (long long)fp_config_int(cfg, name));
}

static void expect_text(const char *name, const char *text, const char *normal)
{
    ck_assert_msg(fp_config_set(cfg, name, text, &err) == FILEPROC_OK, "%s: %s", text, err.message);
    ck_assert_str_eq(fp_config_string(cfg, name), normal);
}

/* Refused, the setting named, the old value kept. */
static void expect_refusal(const char *name, const char *text)
{
    char before[128];
    int64_t number = fp_config_int(cfg, name);

    snprintf(before, sizeof(before), "%s", fp_config_string(cfg, name));
    ck_assert_msg(fp_config_set(cfg, name, text, &err) == FILEPROC_ERR_INVALID, "%s took '%s'",
                  name, text);
    ck_assert_int_eq(err.code, FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, name));
    ck_assert_str_eq(fp_config_string(cfg, name), before);
    ck_assert_int_eq(fp_config_int(cfg, name), number);
}

static fp_status load_env(const char *a, const char *b, const char *c)
{
    const char *env[] = { a, b, c, NULL };

    return fp_config_load_environment(cfg, env, &err);
}

static fp_status load_args(const char *a, const char *b, const char *c)
{
    const char *argv[] = { "program", a, b, c };
    int32_t argc = 1;

    while (argc < 4 && argv[argc])
        argc++;
    return fp_config_load_arguments(cfg, argc, argv, &err);
}

/* ---- values by type ---- */

START_TEST(defaults_are_in_force_at_first)
{
    open_config();
    ck_assert_str_eq(fp_config_string(cfg, "TEXT"), "plain");
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "");
    ck_assert_int_eq(fp_config_int(cfg, "TEXT"), 0);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 7);
    ck_assert_int_eq(fp_config_int(cfg, "SIZE"), 5242880);
    ck_assert_int_eq(fp_config_int(cfg, "DURATION"), 3600000);
    ck_assert_int_eq(fp_config_int(cfg, "LEVEL"), 1);
    ck_assert_ptr_null(fp_config_string(cfg, "MISSING"));
    ck_assert_int_eq(fp_config_int(cfg, "MISSING"), 0);
    close_config();
}
END_TEST

START_TEST(integers_are_read_and_kept_in_range)
{
    static const char *const bad[] = { "",
                                       "x",
                                       "1x",
                                       "0x10",
                                       "1.5",
                                       "101",
                                       "-6",
                                       "+1",
                                       "- 1",
                                       "1 2",
                                       "auto",
                                       "-",
                                       "99999999999999999999" };

    open_config();
    expect_number("NUMBER", "100", 100);
    expect_number("NUMBER", " -5\n", -5);
    expect_number("NUMBER", "007", 7);
    expect_number("WORKERS", "0", 0);
    expect_number("WORKERS", "AUTO", -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("NUMBER", bad[i]);
    expect_refusal("WORKERS", "-1");
    close_config();
}
END_TEST

START_TEST(sizes_know_their_units)
{
    static const char *const bad[] = { "",     "0",     "-1",  "5 MiBs",  "1.5GiB",
                                       "MiB",  "5MiB3", "5..", "2048TiB", "9223372036854775807TiB",
                                       "8EiB", "5m5" };

    open_config();
    expect_number("SIZE", "5242880", 5242880);
    expect_number("SIZE", "5MiB", 5242880);
    expect_number("SIZE", "5 mib", 5242880);
    expect_number("SIZE", "5M", 5242880);
    expect_number("SIZE", "100MB", 100000000);
    expect_number("SIZE", "3kb", 3000);
    expect_number("SIZE", "3KiB", 3072);
    expect_number("SIZE", "7B", 7);
    expect_number("SIZE", "2GiB", INT64_C(2147483648));
    expect_number("SIZE", "1TiB", INT64_C(1) << 40);
    expect_number("SIZE", "1GB", 1000000000);
    expect_number("SIZE", "1024TiB", INT64_C(1) << 50);
    expect_number("SIZE", "1PB", INT64_C(1000000000000000));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("SIZE", bad[i]);
    close_config();
}
END_TEST

START_TEST(durations_are_seconds_unless_a_unit_is_given)
{
    static const char *const bad[] = { "", "0", "499ms", "25h", "1 fortnight", "s", "1h30", "-1s" };

    open_config();
    expect_number("DURATION", "3600", 3600000);
    expect_number("DURATION", "1h", 3600000);
    expect_number("DURATION", "30s", 30000);
    expect_number("DURATION", "500ms", 500);
    expect_number("DURATION", "5m", 300000);
    expect_number("DURATION", "5 min", 300000);
    expect_number("DURATION", "1h30m", 5400000);
    expect_number("DURATION", "1h 30m", 5400000);
    expect_number("DURATION", "1d", 86400000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("DURATION", bad[i]);
    close_config();
}
END_TEST

START_TEST(switches_understand_the_usual_words)
{
    static const char *const on[] = { "true", "1", "yes", "on", "TRUE", " Yes " };
    static const char *const off[] = { "false", "0", "no", "off", "False" };
    static const char *const bad[] = { "", "2", "y", "enabled", "true false" };

    open_config();
    for (size_t i = 0; i < sizeof(on) / sizeof(*on); i++) {
        expect_number("SWITCH", on[i], 1);
        ck_assert_str_eq(fp_config_string(cfg, "SWITCH"), "true");
    }
    for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++) {
        expect_number("SWITCH", off[i], 0);
        ck_assert_str_eq(fp_config_string(cfg, "SWITCH"), "false");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("SWITCH", bad[i]);
    close_config();
}
END_TEST

START_TEST(lists_come_with_commas_or_as_json)
{
    static const char *const bad[] = { "",         ",",          "[]",        "a,b,c,d,e",
                                       "[\"a\"",   "[\"a\", 1]", "[[\"a\"]]", "[\"a,b\"]",
                                       "a,b\x01c", "[\"a\\nb\"]" };

    open_config();
    expect_text("LIST", "x", "x");
    expect_text("LIST", " x , y,,z ", "x,y,z");
    expect_text("LIST", "[\"x\", \"y\"]", "x,y");
    expect_text("LIST", " [\"image/png\"] ", "image/png");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("LIST", bad[i]);
    close_config();
}
END_TEST

START_TEST(choices_are_compared_without_case)
{
    static const char *const bad[] = { "", "INF", "INFOS", "DEBUG INFO", " " };

    open_config();
    expect_text("LEVEL", "error", "ERROR");
    ck_assert_int_eq(fp_config_int(cfg, "LEVEL"), 2);
    expect_text("LEVEL", "Debug", "DEBUG");
    ck_assert_int_eq(fp_config_int(cfg, "LEVEL"), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect_refusal("LEVEL", bad[i]);
    ck_assert_ptr_nonnull(strstr(err.message, "DEBUG INFO ERROR"));
    close_config();
}
END_TEST

START_TEST(texts_are_kept_as_they_are)
{
    char *huge = malloc(FPI_CONFIG_VALUE_MAX + 2);

    open_config();
    expect_text("TEXT", "  spaces stay ", "  spaces stay ");
    expect_text("API_KEY", "line\nline", "line\nline");
    expect_text("SERVER_URL", "", "");
    expect_text("SERVER_URL", "sqlite::memory:", "sqlite::memory:");
    expect_refusal("TEXT", "");
    expect_refusal("TEXT", "123456789012345678901");
    expect_refusal("TEXT", "a\nb");
    expect_refusal("SERVER_URL", "no scheme");
    expect_refusal("SERVER_URL", "http://host:99999/");
    memset(huge, 'x', FPI_CONFIG_VALUE_MAX + 1);
    huge[FPI_CONFIG_VALUE_MAX + 1] = '\0';
    expect_refusal("LIST", huge);
    free(huge);
    close_config();
}
END_TEST

START_TEST(errors_never_show_secrets)
{
    open_config();
    ck_assert_int_eq(fp_config_set(cfg, "SERVER_URL", "http://user:hunter2@host:port/", &err),
                     FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(strstr(err.message, "hunter2"));
    ck_assert_int_eq(load_env("API_KEY_FILE=/no/hunter2", NULL, NULL), FILEPROC_ERR_IO);
    ck_assert_ptr_null(strstr(err.message, "hunter2"));
    ck_assert_ptr_nonnull(strstr(err.message, "API_KEY_FILE"));
    close_config();
}
END_TEST

/* ---- sources ---- */

START_TEST(environment_names_are_exact)
{
    open_config();
    ck_assert_int_eq(load_env("NUMBER=9", "number=10", "NUMBERS=11"), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 9);
    ck_assert_int_eq(load_env("NUMBER=12", "NUMBER=13", "garbage"), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 12);
    ck_assert_int_eq(load_env("NUMBER=", "TEXT=", "=x"), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 12);
    close_config();
}
END_TEST

static void is_known(const char *variable)
{
    ck_assert_msg(fp_config_knows(cfg, variable) == 1, "%s", variable);
}

static void is_unknown(const char *variable, const char *expected)
{
    const char *nearest = fp_config_nearest(cfg, variable);

    ck_assert_int_eq(fp_config_knows(cfg, variable), 0);
    ck_assert_pstr_eq(nearest, expected);
}

START_TEST(a_mistyped_variable_can_be_told)
{
    char endless[10000];

    open_config();
    is_known("NUMBER");
    is_known("NUMBER=3");
    is_known("NUMBER_FILE=/x");
    is_known("API_KEY_FILE");
    is_unknown("NUMBR", "NUMBER");
    is_unknown("NUMBRE=API_KEY", "NUMBER");
    is_unknown("number", NULL);
    is_unknown("NUMB", "NUMBER");
    is_unknown("NUM", NULL);
    is_unknown("NUMBER_FILES=/x", NULL);
    is_unknown("FILEPROC_HELP=1", NULL); /* of the command line only */
    is_unknown("", NULL);
    is_unknown("=x", NULL);
    is_unknown(NULL, NULL);
    memset(endless, 'N', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    is_unknown(endless, NULL);
    ck_assert_int_eq(fp_config_knows(NULL, "NUMBER"), 0);
    ck_assert_ptr_null(fp_config_nearest(NULL, "NUMBR"));
    close_config();
}
END_TEST

START_TEST(commands_are_not_taken_from_the_environment)
{
    open_config();
    ck_assert_int_eq(load_env("FILEPROC_HELP=true", "FILEPROC_HELP_FILE=/x", NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "FILEPROC_HELP"), 0);
    ck_assert_int_eq(load_args("--help", NULL, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "FILEPROC_HELP"), 1);
    ck_assert_int_eq(load_args("--help-file", "/x", NULL), FILEPROC_ERR_INVALID);
    close_config();
}
END_TEST

START_TEST(h_is_short_for_help_and_the_only_short_option)
{
    open_config();
    ck_assert_int_eq(load_args("-h", NULL, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "FILEPROC_HELP"), 1);
    ck_assert_int_eq(load_args("-v", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("-h=1", NULL, NULL), FILEPROC_ERR_INVALID);
    close_config();
}
END_TEST

START_TEST(options_take_their_values_either_way)
{
    open_config();
    ck_assert_int_eq(load_args("--number", "9", "--switch"), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 9);
    ck_assert_int_eq(fp_config_int(cfg, "SWITCH"), 1);
    ck_assert_int_eq(load_args("--number=10", "--switch=off", "--folder=/a=b"), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 10);
    ck_assert_int_eq(fp_config_int(cfg, "SWITCH"), 0);
    ck_assert_str_eq(fp_config_string(cfg, "FILEPROC_FOLDER"), "/a=b");
    ck_assert_int_eq(load_args("--number=1", "--number=2", NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 2);
    ck_assert_int_eq(fp_config_load_arguments(cfg, 0, NULL, &err), FILEPROC_OK);
    close_config();
}
END_TEST

START_TEST(wrong_options_are_refused_with_a_hint)
{
    open_config();
    ck_assert_int_eq(load_args("--numbr", "9", NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean --number?"));
    ck_assert_int_eq(load_args("--completely-different=1", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "--help lists all"));
    ck_assert_int_eq(load_args("--number", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "--number: the value is missing"));
    ck_assert_int_eq(load_args("--switch", "false", NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("-n", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("number", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("--", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("--number=101", NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "--number: the value must be from -5 to 100"));
    close_config();
}
END_TEST

START_TEST(a_bad_value_leaves_everything_as_it_was)
{
    open_config();
    ck_assert_int_eq(load_env("NUMBER=9", "SIZE=x", NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "SIZE: 'x' is not a size"));
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 7);
    ck_assert_int_eq(load_args("--number=9", "--size=x", NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 7);
    close_config();
}
END_TEST

START_TEST(precedence_does_not_depend_on_the_order_of_loading)
{
    for (int order = 0; order < 2; order++) {
        open_config();
        ck_assert_int_eq(order ? load_args("--number=2", NULL, NULL)
                               : load_env("NUMBER=1", "SIZE=9", NULL),
                         FILEPROC_OK);
        ck_assert_int_eq(order ? load_env("NUMBER=1", "SIZE=9", NULL)
                               : load_args("--number=2", NULL, NULL),
                         FILEPROC_OK);
        ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 2);
        ck_assert_int_eq(fp_config_int(cfg, "SIZE"), 9);
        expect_number("NUMBER", "3", 3);
        ck_assert_int_eq(load_args("--number=2", NULL, NULL), FILEPROC_OK);
        ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 3);
        close_config();
    }
}
END_TEST

/* ---- values from files ---- */

static void write_file(char *path, const char *data, size_t size)
{
    int fd;

    memcpy(path, "/tmp/fileproc-config-XXXXXX", 28);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static fp_status load_file(const char *name, const char *data, size_t size)
{
    char path[64], variable[128];
    fp_status rc;

    write_file(path, data, size);
    snprintf(variable, sizeof(variable), "%s=%s", name, path);
    rc = load_env(variable, NULL, NULL);
    unlink(path);
    return rc;
}

START_TEST(a_file_may_hold_the_value)
{
    char path[64], option[128];

    open_config();
    ck_assert_int_eq(load_file("API_KEY_FILE", "sesame\n", 7), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "sesame");
    ck_assert_int_eq(load_file("API_KEY_FILE", "sesame\r\n", 8), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "sesame");
    ck_assert_int_eq(load_file("API_KEY_FILE", "two\n\n", 5), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "two\n");
    ck_assert_int_eq(load_file("API_KEY_FILE", "", 0), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "");
    write_file(path, "42", 2);
    snprintf(option, sizeof(option), "--number-file=%s", path);
    ck_assert_int_eq(load_args(option, NULL, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(cfg, "NUMBER"), 42);
    ck_assert_int_eq(load_args("--folder-file", path, NULL), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "FILEPROC_FOLDER"), "42");
    unlink(path);
    close_config();
}
END_TEST

START_TEST(bad_files_are_refused)
{
    size_t size = FPI_CONFIG_VALUE_MAX + 1;
    char *huge = malloc(size);

    memset(huge, 'a', size);
    open_config();
    ck_assert_int_eq(load_env("TEXT_FILE=/nonexistent/file", NULL, NULL), FILEPROC_ERR_IO);
    ck_assert_str_eq(err.domain, "errno");
    ck_assert_int_eq(load_env("TEXT_FILE=/tmp", NULL, NULL), FILEPROC_ERR_IO);
    ck_assert_int_eq(load_file("API_KEY_FILE", "a\0b", 3), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_file("API_KEY_FILE", huge, size), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "64 KiB"));
    ck_assert_int_eq(load_file("NUMBER_FILE", "x", 1), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "NUMBER_FILE"));
    free(huge);
    close_config();
}
END_TEST

START_TEST(value_and_file_together_are_refused)
{
    open_config();
    ck_assert_int_eq(load_env("TEXT=a", "TEXT_FILE=/dev/null", NULL), FILEPROC_ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "TEXT is given both"));
    ck_assert_int_eq(load_env("API_KEY_FILE=/dev/null", "API_KEY=a", NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_args("--text=a", "--text-file=/dev/null", NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(load_env("API_KEY=", "API_KEY_FILE=/dev/null", NULL), FILEPROC_OK);
    ck_assert_int_eq(load_args("--api-key=b", NULL, NULL), FILEPROC_OK);
    ck_assert_str_eq(fp_config_string(cfg, "API_KEY"), "b");
    close_config();
}
END_TEST

/* ---- showing ---- */

static void expect_printed(const char *line)
{
    fp_buf out = FILEPROC_BUF_INIT;

    ck_assert_int_eq(fp_config_print(cfg, &out, &err), FILEPROC_OK);
    ck_assert_msg(strstr(out.data, line) != NULL, "%s lacks %s", out.data, line);
    fp_buf_dispose(&out);
}

START_TEST(secrets_and_passwords_are_masked)
{
    static const char *const uris[][2] = {
        { "pg://user:hunter2@host:5432/db", "SERVER_URL=pg://user:********@host:5432/db\n" },
        { "pg://user:hunter2@@host/db", "SERVER_URL=pg://user:********@host/db\n" },
        { "pg://host/db?user=u&password=hunter2&x=1",
          "SERVER_URL=pg://host/db?user=u&password=********&x=1\n" },
        { "pg://:hunter2@host/db?sslPassword=hunter2",
          "SERVER_URL=pg://:********@host/db?sslPassword=********\n" },
        { "pg://u:123?hunter2@host/db", "SERVER_URL=pg://u:********@host/db\n" },
        { "pg://user@host:5432/db", "SERVER_URL=pg://user@host:5432/db\n" },
        { "sqlite:///var/lib/x.db", "SERVER_URL=sqlite:///var/lib/x.db\n" },
    };

    open_config();
    expect_printed("\nAPI_KEY=\n");
    ck_assert_int_eq(fp_config_set(cfg, "API_KEY", "hunter2", &err), FILEPROC_OK);
    expect_printed("\nAPI_KEY=********\n");
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        fp_buf out = FILEPROC_BUF_INIT;

        ck_assert_int_eq(fp_config_set(cfg, "SERVER_URL", uris[i][0], &err), FILEPROC_OK);
        expect_printed(uris[i][1]);
        ck_assert_int_eq(fp_config_print(cfg, &out, &err), FILEPROC_OK);
        ck_assert_ptr_null(strstr(out.data, "hunter2"));
        fp_buf_dispose(&out);
    }
    close_config();
}
END_TEST

START_TEST(what_is_printed_can_be_loaded_again)
{
    fp_buf out = FILEPROC_BUF_INIT;
    const char *env[64] = { NULL };
    char *first, *lines;
    size_t n = 0;

    open_config();
    ck_assert_int_eq(load_args("--size=3GiB", "--list=[\"x\", \"y\"]", "--level=debug"),
                     FILEPROC_OK);
    ck_assert_int_eq(fp_config_print(cfg, &out, &err), FILEPROC_OK);
    ck_assert_ptr_null(strstr(out.data, "FILEPROC_HELP"));
    first = strdup(out.data);
    lines = strdup(out.data);
    fp_buf_dispose(&out);
    close_config();
    for (char *save, *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        env[n++] = line;
    open_config();
    ck_assert_int_eq(fp_config_load_environment(cfg, env, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_print(cfg, &out, &err), FILEPROC_OK);
    ck_assert_str_eq(first, out.data);
    free(first);
    free(lines);
    fp_buf_dispose(&out);
    close_config();
}
END_TEST

START_TEST(help_names_every_setting_within_80_columns)
{
    fp_buf out = FILEPROC_BUF_INIT;
    fp_config *real;
    size_t column = 0;

    open_config();
    ck_assert_int_eq(fp_config_new(ctx, &real, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_help(real, &out, &err), FILEPROC_OK);
    for (size_t i = 0; i < out.size; i++) {
        column = out.data[i] == '\n' ? 0 : column + 1;
        ck_assert_msg(column <= 80, "too wide: ...%.60s", out.data + (i > 60 ? i - 60 : 0));
    }
    for (size_t i = 0; i < fpi_settings.count; i++) {
        char option[FPI_CONFIG_LABEL_SIZE];

        fpi_setting_option(&fpi_settings.rows[i], option);
        ck_assert_ptr_nonnull(strstr(out.data, option));
        if (fpi_settings.rows[i].group != FPI_GROUP_COMMANDS)
            ck_assert_ptr_nonnull(strstr(out.data, fpi_settings.rows[i].name));
    }
    fp_buf_dispose(&out);
    fp_config_free(real);
    close_config();
}
END_TEST

/* Update the page with UPDATE_DOCS=1 in the environment of this test. */
START_TEST(the_documentation_page_ends_with_the_table)
{
    static const char path[] = SOURCE_ROOT "/docs/configuration.md";
    static char page[65536];
    fp_buf out = FILEPROC_BUF_INIT;
    fp_config *real;
    FILE *file;
    char *table_start;

    open_config();
    ck_assert_int_eq(fp_config_new(ctx, &real, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_markdown(real, &out, &err), FILEPROC_OK);
    file = fopen(path, getenv("UPDATE_DOCS") ? "r+" : "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_lt(fread(page, 1, sizeof(page) - 1, file), sizeof(page) - 1);
    table_start = strstr(page, "\n## Server\n");
    ck_assert_ptr_nonnull(table_start);
    if (getenv("UPDATE_DOCS")) {
        ck_assert_int_eq(fseek(file, table_start + 1 - page, SEEK_SET), 0);
        ck_assert_uint_eq(fwrite(out.data, 1, out.size, file), out.size);
        ck_assert_int_eq(ftruncate(fileno(file), ftell(file)), 0);
    } else {
        ck_assert_msg(strcmp(table_start + 1, out.data) == 0,
                      "docs/configuration.md is out of date: run this test with UPDATE_DOCS=1");
    }
    fclose(file);
    fp_buf_dispose(&out);
    fp_config_free(real);
    close_config();
}
END_TEST

/* ---- the real table ---- */

START_TEST(the_table_is_sound)
{
    fp_config *real;

    open_config();
    ck_assert_int_eq(fp_config_new(ctx, &real, &err), FILEPROC_OK);
    for (size_t i = 0; i < fpi_settings.count; i++) {
        const fpi_setting *s = &fpi_settings.rows[i];
        size_t size = strlen(s->name);

        ck_assert_uint_le(size, 60);
        ck_assert_uint_eq(strspn(s->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), size);
        ck_assert_int_eq(s->help[strlen(s->help) - 1], '.');
        ck_assert_ptr_null(strpbrk(s->help, "|\n"));
        ck_assert_str_eq(fp_config_string(real, s->name), s->fallback);
        if (i > 0)
            ck_assert_msg(s->group >= s[-1].group, "%s is not with its group", s->name);
        for (size_t j = 0; j < fpi_settings.count; j++) {
            char a[FPI_CONFIG_LABEL_SIZE], b[FPI_CONFIG_LABEL_SIZE];
            const char *other = fpi_settings.rows[j].name;

            fpi_setting_option(s, a);
            fpi_setting_option(&fpi_settings.rows[j], b);
            ck_assert(i == j || strcmp(a, b) != 0);
            ck_assert(strncmp(other, s->name, size) != 0 || strcmp(other + size, "_FILE") != 0);
        }
    }
    fp_config_free(real);
    close_config();
}
END_TEST

START_TEST(the_starter_kit_s_environment_works)
{
    static const char *const env[] = {
        "MAX_FILE_SIZE=104857600",
        "CHUNK_SIZE=5242880",
        "SESSION_TIMEOUT=3600",
        "LOG_LEVEL=INFO",
        "ENVIRONMENT=development",
        "MINIO_BUCKET=uploads",
        "DATABASE_URL=postgresql://fileuser:filepass123@postgres:5432/fileprocessing",
        "ALLOWED_MIME_TYPES=[\"image/jpeg\", \"image/png\"]",
        "REDIS_URL=redis://redis:6379",
        NULL
    };
    fp_config *real;

    open_config();
    ck_assert_int_eq(fp_config_new(ctx, &real, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_load_environment(real, env, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_int(real, "MAX_FILE_SIZE"), 104857600);
    ck_assert_int_eq(fp_config_int(real, "CHUNK_SIZE"), 5242880);
    ck_assert_int_eq(fp_config_int(real, "SESSION_TIMEOUT"), 3600000);
    ck_assert_str_eq(fp_config_string(real, "ALLOWED_MIME_TYPES"), "image/jpeg,image/png");
    fp_config_free(real);
    close_config();
}
END_TEST

/* ---- misuse and faults ---- */

START_TEST(null_arguments_are_refused)
{
    static const char *const argv[] = { "program", NULL };
    fp_buf out = FILEPROC_BUF_INIT;

    open_config();
    ck_assert_int_eq(fp_config_new(NULL, &cfg, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_new(ctx, NULL, NULL), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_environment(NULL, argv, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_environment(cfg, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_arguments(NULL, 1, argv, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_arguments(cfg, 1, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_arguments(cfg, 2, argv, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_load_arguments(cfg, -1, argv, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_set(NULL, "TEXT", "a", &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_set(cfg, NULL, "a", &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_set(cfg, "TEXT", NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_set(cfg, "MISSING", "a", &err), FILEPROC_ERR_NOTFOUND);
    ck_assert_ptr_null(fp_config_string(NULL, "TEXT"));
    ck_assert_ptr_null(fp_config_string(cfg, NULL));
    ck_assert_int_eq(fp_config_int(NULL, "TEXT"), 0);
    ck_assert_int_eq(fp_config_help(NULL, &out, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_help(cfg, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_print(NULL, &out, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_print(cfg, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_markdown(NULL, &out, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_config_markdown(cfg, NULL, &err), FILEPROC_ERR_INVALID);
    fp_config_free(NULL);
    close_config();
}
END_TEST

typedef fp_status (*step_fn)(fp_config *config, fp_buf *out);

static fp_status step_environment(fp_config *config, fp_buf *out)
{
    static const char *const env[] = { "NUMBER=9", "LIST=[\"x\",\"y\"]",
                                       "SERVER_URL=pg://u:p@host/db", "API_KEY_FILE=/dev/null",
                                       NULL };
    fp_status rc = fp_config_load_environment(config, env, &err);

    (void)out;
    ck_assert_int_eq(fp_config_int(config, "NUMBER"), rc == FILEPROC_OK ? 9 : 7);
    return rc;
}

static fp_status step_arguments(fp_config *config, fp_buf *out)
{
    static const char *const argv[] = { "program", "--number=9", "--list", "x,y,z",
                                        "--level=debug" };
    fp_status rc = fp_config_load_arguments(config, 5, argv, &err);

    (void)out;
    ck_assert_int_eq(fp_config_int(config, "NUMBER"), rc == FILEPROC_OK ? 9 : 7);
    return rc;
}

static fp_status step_set(fp_config *config, fp_buf *out)
{
    fp_status rc = fp_config_set(config, "TEXT", "other", &err);

    (void)out;
    ck_assert_str_eq(fp_config_string(config, "TEXT"), rc == FILEPROC_OK ? "other" : "plain");
    return rc;
}

static fp_status step_help(fp_config *config, fp_buf *out)
{
    return fp_config_help(config, out, &err);
}

static fp_status step_print(fp_config *config, fp_buf *out)
{
    return fp_config_print(config, out, &err);
}

static fp_status step_markdown(fp_config *config, fp_buf *out)
{
    return fp_config_markdown(config, out, &err);
}

START_TEST(new_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *faulty = NULL;
        fp_config *out = NULL;
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &faulty, &err), FILEPROC_OK);
        fault_arm(&f);
        rc = fp_config_new(faulty, &out, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(out);
        fp_config_free(out);
        fp_context_free(faulty);
    }
}
END_TEST

START_TEST(every_step_survives_every_allocation_failure)
{
    static const step_fn steps[] = { step_environment, step_arguments, step_set,
                                     step_help,        step_print,     step_markdown };

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        fault f;

        FAULT_LOOP(&f)
        {
            fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
            fp_buf out = FILEPROC_BUF_INIT;
            fp_context *faulty = NULL;
            fp_config *config = NULL;
            fp_status rc;

            fault_disarm(&f);
            o.allocator = &f.allocator;
            ck_assert_int_eq(fp_context_new(&o, &faulty, &err), FILEPROC_OK);
            ck_assert_int_eq(fpi_config_new(faulty, &table, &config, &err), FILEPROC_OK);
            ck_assert_int_eq(fpi_buf_text(faulty, &out, "before", &err), FILEPROC_OK);
            fault_arm(&f);
            rc = steps[i](config, &out);
            fault_judge(&f, rc, &err);
            if (rc < 0)
                ck_assert_str_eq(out.data, "before");
            fp_buf_dispose(&out);
            fp_config_free(config);
            fp_context_free(faulty);
        }
    }
}
END_TEST

/* Remembers whether any freed block still held the secret. */
static bool secret_seen;

static void *spying_alloc(void *user_data, size_t size)
{
    size_t *p = calloc(1, size + sizeof(size_t));

    (void)user_data;
    *p = size;
    return p + 1;
}

static void spying_free(void *user_data, void *ptr)
{
    size_t *p = (size_t *)ptr - 1;

    (void)user_data;
    if (memmem(ptr, *p, "open sesame", 11))
        secret_seen = true;
    free(p);
}

static void *spying_realloc(void *user_data, void *ptr, size_t size)
{
    size_t *old = ptr ? (size_t *)ptr - 1 : NULL;
    void *p = spying_alloc(user_data, size);

    if (old) {
        memcpy(p, ptr, *old < size ? *old : size);
        spying_free(user_data, ptr);
    }
    return p;
}

START_TEST(secrets_are_overwritten_before_memory_is_freed)
{
    static const fp_allocator spy = { spying_alloc, spying_realloc, spying_free, NULL };
    static const char *const env[] = { "API_KEY=open sesame", NULL };
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    char path[64], variable[128];
    const char *from_file[] = { variable, NULL };

    o.allocator = &spy;
    ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_config_new(ctx, &table, &cfg, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_config_load_environment(cfg, env, &err), FILEPROC_OK);
    write_file(path, "open sesame\n", 12);
    snprintf(variable, sizeof(variable), "API_KEY_FILE=%s", path);
    ck_assert_int_eq(fp_config_load_environment(cfg, from_file, &err), FILEPROC_OK);
    unlink(path);
    ck_assert_int_eq(fp_config_set(cfg, "API_KEY", "open sesame", &err), FILEPROC_OK);
    close_config();
    ck_assert(!secret_seen);
}
END_TEST

RUN_TESTS("config", defaults_are_in_force_at_first, integers_are_read_and_kept_in_range,
          sizes_know_their_units, durations_are_seconds_unless_a_unit_is_given,
          switches_understand_the_usual_words, lists_come_with_commas_or_as_json,
          choices_are_compared_without_case, texts_are_kept_as_they_are, errors_never_show_secrets,
          environment_names_are_exact, a_mistyped_variable_can_be_told,
          commands_are_not_taken_from_the_environment,
          h_is_short_for_help_and_the_only_short_option, options_take_their_values_either_way,
          wrong_options_are_refused_with_a_hint, a_bad_value_leaves_everything_as_it_was,
          precedence_does_not_depend_on_the_order_of_loading, a_file_may_hold_the_value,
          bad_files_are_refused, value_and_file_together_are_refused,
          secrets_and_passwords_are_masked, what_is_printed_can_be_loaded_again,
          help_names_every_setting_within_80_columns, the_documentation_page_ends_with_the_table,
          the_table_is_sound, the_starter_kit_s_environment_works, null_arguments_are_refused,
          new_survives_every_allocation_failure, every_step_survives_every_allocation_failure,
          secrets_are_overwritten_before_memory_is_freed)
