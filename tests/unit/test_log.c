/* Owns: the tests of daemons/common/log.c and access_log.c. */
#include <unistd.h>

#include <jansson.h>

#include "access_log.h"
#include "fake_http.h"
#include "log.h"
#include "route.h"
#include "runner.h"

/* stderr into memory, from begin_capture() to end_capture(). */
static int saved, ends[2];
static char captured[16384];

static void begin_capture(void)
{
    saved = dup(2);
    ck_assert_int_eq(pipe(ends), 0);
    dup2(ends[1], 2);
}

static size_t end_capture(void)
{
    ssize_t n;

    dup2(saved, 2);
    close(saved);
    close(ends[1]);
    n = read(ends[0], captured, sizeof(captured) - 1);
    close(ends[0]);
    ck_assert_int_ge(n, 0);
    captured[n] = '\0';
    return (size_t)n;
}

/* The captured line: one, whole, JSON. */
static json_t *captured_line(void)
{
    size_t n = end_capture();
    json_t *json;

    ck_assert_uint_gt(n, 0);
    ck_assert_ptr_eq(strchr(captured, '\n'), captured + n - 1);
    json = json_loads(captured, 0, NULL);
    ck_assert_msg(json != NULL, "%s", captured);
    return json;
}

static const char *member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

START_TEST(a_line_is_json_and_says_who_and_when)
{
    json_t *json;

    fpd_log_set_service("testd");
    fpd_log_set_level(FILEPROC_LOG_INFO);
    begin_capture();
    fpd_log(FILEPROC_LOG_WARN, "part", "a \"quoted\"\n%s", "thing");
    json = captured_line();
    ck_assert_str_eq(member(json, "level"), "warning");
    ck_assert_str_eq(member(json, "service"), "testd");
    ck_assert_str_eq(member(json, "component"), "part");
    ck_assert_str_eq(member(json, "message"), "a \"quoted\"\nthing");
    ck_assert_ptr_nonnull(member(json, "time"));
    json_decref(json);
}
END_TEST

START_TEST(less_important_lines_are_left_out)
{
    fpd_log_set_level(fpd_log_level_by_name("error"));
    begin_capture();
    fpd_log(FILEPROC_LOG_WARN, "x", "not this");
    ck_assert_uint_eq(end_capture(), 0);
    ck_assert_int_eq(fpd_log_level_by_name("DEBUG"), FILEPROC_LOG_DEBUG);
    ck_assert_int_eq(fpd_log_level_by_name("INFO"), FILEPROC_LOG_INFO);
    ck_assert_int_eq(fpd_log_level_by_name("warning"), FILEPROC_LOG_WARN);
    ck_assert_int_eq(fpd_log_level_by_name("CRITICAL"), FILEPROC_LOG_ERROR);
}
END_TEST

START_TEST(a_long_message_is_cut_and_stays_json)
{
    char message[20000];

    fpd_log_set_level(FILEPROC_LOG_INFO);
    memset(message, '\x01', sizeof(message));
    message[sizeof(message) - 1] = '\0';
    begin_capture();
    fpd_log_hook(NULL, FILEPROC_LOG_ERROR, "x", message);
    json_decref(captured_line());
    ck_assert_uint_le(strlen(captured), FPD_LOG_LINE_MAX);
}
END_TEST

START_TEST(the_access_log_has_what_operators_ask_for)
{
    static const fpd_route route = { FPD_METHOD_GET, "/x", NULL, 0 };
    fake_http f;
    json_t *json;

    fpd_log_set_level(FILEPROC_LOG_INFO);
    fake_init(&f, "GET", "/x/\xff\"", "X-Request-Id: me");
    fake_request(&f)->status = 206;
    f.rq.bytes_sent = 12345;
    f.rq.body_read = 7;
    f.rq.route = &route;
    begin_capture();
    fpd_access_log(&f.rq, 1500000);
    json = captured_line();
    ck_assert_str_eq(member(json, "component"), "access");
    ck_assert_str_eq(member(json, "method"), "GET");
    ck_assert_str_eq(member(json, "path"), "/x/\xef\xbf\xbd\"");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), 206);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "bytes")), 12345);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "received")), 7);
    ck_assert(json_real_value(json_object_get(json, "duration_ms")) == 1.5);
    ck_assert_str_eq(member(json, "request_id"), "me");
    ck_assert_str_eq(member(json, "remote"), "127.0.0.1");
    json_decref(json);
    fake_dispose(&f);
}
END_TEST

START_TEST(machines_that_ask_every_second_are_logged_at_debug)
{
    static const fpd_route route = { FPD_METHOD_GET, "/livez", NULL, FPD_ROUTE_QUIET };
    fake_http f;

    fpd_log_set_level(FILEPROC_LOG_INFO);
    fake_init(&f, "GET", "/livez", "");
    fake_request(&f)->route = &route;
    begin_capture();
    fpd_access_log(&f.rq, 1);
    ck_assert_uint_eq(end_capture(), 0);
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("log", a_line_is_json_and_says_who_and_when, less_important_lines_are_left_out,
          a_long_message_is_cut_and_stays_json, the_access_log_has_what_operators_ask_for,
          machines_that_ask_every_second_are_logged_at_debug)
