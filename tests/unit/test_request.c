/* Owns: the tests of daemons/common/request.c. */
#include "fake_http.h"
#include "runner.h"

static const fpd_bad_request *begin(fake_http *f, const char *method, const char *lines)
{
    fake_init(f, method, "/x", lines);
    return fpd_request_init(&f->rq, &f->head, &f->wire, &f->scratch);
}

START_TEST(framing_that_can_be_read_in_two_ways_is_refused)
{
    static const char *const bad[] = {
        "Content-Length: 5\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\nContent-Length: 5",
        "Content-Length: 5\nContent-Length: 5",
        "Content-Length: 5\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 5 5",
        "Content-Length: 5, 5",
        "Content-Length: 0x5",
        "Content-Length: 5abc",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Content-Length: 0\nTransfer-Encoding: chunked",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fake_http f;
        const fpd_bad_request *why = begin(&f, "PUT", bad[i]);

        ck_assert_msg(why != NULL, "%s", bad[i]);
        ck_assert_int_eq(why->status, 400);
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(good_framing_is_understood)
{
    fake_http f;

    ck_assert_ptr_null(begin(&f, "PUT", "content-length: 17"));
    ck_assert_int_eq(f.rq.body_kind, FPD_BODY_LENGTH);
    ck_assert_uint_eq(f.rq.body_length, 17);
    fake_dispose(&f);
    ck_assert_ptr_null(begin(&f, "PUT", "Transfer-Encoding: Chunked"));
    ck_assert_int_eq(f.rq.body_kind, FPD_BODY_CHUNKED);
    fake_dispose(&f);
    ck_assert_ptr_null(begin(&f, "GET", ""));
    ck_assert_int_eq(f.rq.body_kind, FPD_BODY_NONE);
    ck_assert(f.rq.body_ended);
    fake_dispose(&f);
    ck_assert_ptr_null(begin(&f, "POST", "Content-Length: 0\nExpect: 100-continue"));
    ck_assert(f.rq.body_ended);
    ck_assert(!f.rq.expects_continue);
    fake_dispose(&f);
}
END_TEST

START_TEST(chunked_is_nothing_for_http_1_0)
{
    fake_http f;

    fake_init(&f, "PUT", "/x", "Transfer-Encoding: chunked");
    f.head.version = "1.0";
    ck_assert_ptr_nonnull(fpd_request_init(&f.rq, &f.head, &f.wire, &f.scratch));
    fake_dispose(&f);
}
END_TEST

START_TEST(http_1_1_has_one_host)
{
    fake_http f;

    ck_assert_ptr_nonnull(begin(&f, "GET", "Host: other"));
    fake_dispose(&f);
    fake_init(&f, "GET", "/x", "");
    f.head.header_count = 0;
    ck_assert_ptr_nonnull(fpd_request_init(&f.rq, &f.head, &f.wire, &f.scratch));
    fpd_request_dispose(&f.rq);
    f.head.version = "1.0";
    ck_assert_ptr_null(fpd_request_init(&f.rq, &f.head, &f.wire, &f.scratch));
    fake_dispose(&f);
}
END_TEST

START_TEST(long_targets_are_refused)
{
    char path[FPD_PATH_MAX + 10], query[FPD_QUERY_MAX + 10];
    fake_http f;

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    fake_init(&f, "GET", path, "");
    ck_assert_int_eq(fpd_request_init(&f.rq, &f.head, &f.wire, &f.scratch)->status, 414);
    fake_dispose(&f);
    memset(query, 'a', sizeof(query));
    query[sizeof(query) - 1] = '\0';
    fake_init(&f, "GET", "/", "");
    f.head.query = query;
    ck_assert_int_eq(fpd_request_init(&f.rq, &f.head, &f.wire, &f.scratch)->status, 414);
    fake_dispose(&f);
}
END_TEST

static bool keeps_alive(const char *version, const char *lines)
{
    fake_http f;
    bool keeps;

    fake_init(&f, "GET", "/", lines);
    f.head.version = version;
    keeps = fpd_request_keeps_alive(fake_request(&f));
    fake_dispose(&f);
    return keeps;
}

START_TEST(connections_go_on_as_the_client_wants)
{
    ck_assert(keeps_alive("1.1", ""));
    ck_assert(!keeps_alive("1.0", ""));
    ck_assert(keeps_alive("1.0", "Connection: Keep-Alive"));
    ck_assert(!keeps_alive("1.1", "Connection: close"));
    ck_assert(!keeps_alive("1.1", "Connection: Upgrade, HTTP2-Settings"));
    ck_assert(!keeps_alive("1.1", "Connection: keep-alive, close"));
}
END_TEST

START_TEST(a_sane_request_id_is_kept_and_a_strange_one_replaced)
{
    fake_http f;

    begin(&f, "GET", "X-Request-Id: abc-123_DEF.4:5");
    ck_assert_str_eq(f.rq.id, "abc-123_DEF.4:5");
    fake_dispose(&f);
    begin(&f, "GET", "X-Request-Id: \"quoted\" <script>");
    ck_assert_uint_eq(strlen(f.rq.id), 32);
    fake_dispose(&f);
    begin(&f, "GET", "");
    ck_assert_uint_eq(strlen(f.rq.id), 32);
    fake_dispose(&f);
}
END_TEST

static int query_status(const char *query, int64_t *out)
{
    fake_http f;
    int status;

    fake_init(&f, "GET", "/", "");
    f.head.query = query;
    *out = -7;
    if (fpd_request_query_integer(fake_request(&f), "limit", 1, 1000, out))
        ck_assert_int_eq(fake_status(&f), 0);
    status = fake_status(&f);
    fake_dispose(&f);
    return status;
}

START_TEST(integer_parameters_are_checked)
{
    int64_t n;

    ck_assert_int_eq(query_status("limit=1000&x=1", &n), 0);
    ck_assert_int_eq(n, 1000);
    ck_assert_int_eq(query_status(NULL, &n), 0);
    ck_assert_int_eq(n, -7);
    ck_assert_int_eq(query_status("limit=0", &n), 422);
    ck_assert_int_eq(query_status("limit=1001", &n), 422);
    ck_assert_int_eq(query_status("limit=abc", &n), 422);
    ck_assert_int_eq(query_status("limit=", &n), 422);
    ck_assert_int_eq(query_status("limit=5&limit=5", &n), 422);
    ck_assert_int_eq(query_status("limit=%zz", &n), 400);
    ck_assert_int_eq(n, -7);
}
END_TEST

START_TEST(a_header_that_may_stand_once_is_refused_when_it_stands_twice)
{
    fake_http f;

    ck_assert_ptr_null(begin(&f, "GET", "One: a\nTwo: b\ntwo: b"));
    ck_assert_uint_eq(fpd_request_header_count(&f.rq, "Zero"), 0);
    ck_assert_uint_eq(fpd_request_header_count(&f.rq, "one"), 1);
    ck_assert_uint_eq(fpd_request_header_count(&f.rq, "Two"), 2);
    ck_assert(fpd_request_header_once(&f.rq, "Zero"));
    ck_assert(fpd_request_header_once(&f.rq, "One"));
    ck_assert_int_eq(f.rq.status, 0);
    ck_assert(!fpd_request_header_once(&f.rq, "Two"));
    ck_assert_int_eq(f.rq.status, 400);
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("request", framing_that_can_be_read_in_two_ways_is_refused, good_framing_is_understood,
          chunked_is_nothing_for_http_1_0, http_1_1_has_one_host, long_targets_are_refused,
          connections_go_on_as_the_client_wants,
          a_sane_request_id_is_kept_and_a_strange_one_replaced, integer_parameters_are_checked,
          a_header_that_may_stand_once_is_refused_when_it_stands_twice)
