/* Owns: the tests of daemons/common/reply.c. */
#include "fake_http.h"
#include "reply.h"
#include "runner.h"

START_TEST(head_and_body_go_in_one_write)
{
    fake_http f;

    fake_init(&f, "GET", "/", "X-Request-Id: me");
    fpd_reply(fake_request(&f), 200, "text/plain", "hello", 5);
    ck_assert_uint_eq(f.writes, 1);
    ck_assert_int_eq(fake_status(&f), 200);
    ck_assert(fake_sent(&f, "\r\nContent-Length: 5\r\n"));
    ck_assert(fake_sent(&f, "\r\nContent-Type: text/plain\r\n"));
    ck_assert(fake_sent(&f, "\r\nX-Request-Id: me\r\n"));
    ck_assert(fake_sent(&f, "\r\nDate: "));
    ck_assert(fake_sent(&f, "\r\nConnection: keep-alive\r\n\r\nhello"));
    ck_assert_uint_eq(f.rq.bytes_sent, 5);
    fake_dispose(&f);
}
END_TEST

START_TEST(a_large_body_is_not_copied)
{
    const size_t size = 1000000;
    char *body = calloc(1, size);
    fake_http f;

    fake_init(&f, "GET", "/", "");
    fpd_reply(fake_request(&f), 200, "text/plain", body, size);
    ck_assert_uint_eq(f.writes, 2);
    ck_assert_uint_eq(f.rq.bytes_sent, size);
    ck_assert_uint_lt(f.scratch.capacity, 100000);
    fake_dispose(&f);
    free(body);
}
END_TEST

START_TEST(json_ends_with_a_newline_that_its_length_counts)
{
    const size_t size = 200000;
    char *body = malloc(size);
    fake_http f;

    memset(body, ' ', size);
    fake_init(&f, "GET", "/", "");
    fpd_reply(fake_request(&f), 200, "application/json", "{}", 2);
    ck_assert(fake_sent(&f, "Content-Length: 3\r\n") && fake_sent(&f, "\r\n\r\n{}\n"));
    ck_assert_uint_eq(f.writes, 1);
    ck_assert_uint_eq(f.rq.bytes_sent, 3);
    fake_dispose(&f);
    fake_init(&f, "GET", "/", "");
    fpd_reply(fake_request(&f), 200, "application/json", body, size);
    ck_assert(fake_sent(&f, "Content-Length: 200001\r\n"));
    ck_assert_uint_eq(f.rq.bytes_sent, size + 1);
    fake_dispose(&f);
    fake_init(&f, "HEAD", "/", "");
    fpd_reply(fake_request(&f), 404, "application/problem+json", "{}", 2);
    ck_assert(fake_sent(&f, "Content-Length: 3\r\n") && !fake_sent(&f, "{}"));
    ck_assert_uint_eq(f.rq.bytes_sent, 0);
    fake_dispose(&f);
    free(body);
}
END_TEST

START_TEST(head_gets_the_headers_of_get)
{
    fake_http f;

    fake_init(&f, "HEAD", "/", "");
    fpd_reply(fake_request(&f), 200, "text/plain", "hello", 5);
    ck_assert(fake_sent(&f, "Content-Length: 5\r\n"));
    ck_assert(!fake_sent(&f, "hello"));
    ck_assert_uint_eq(f.rq.bytes_sent, 0);
    fake_dispose(&f);
    fake_init(&f, "HEAD", "/", "");
    ck_assert(!fpd_reply_begin(fake_request(&f), 200, "text/plain", 1000));
    ck_assert(fake_sent(&f, "Content-Length: 1000\r\n"));
    ck_assert(!f.rq.close);
    fake_dispose(&f);
}
END_TEST

START_TEST(a_reply_without_a_body_has_no_length)
{
    fake_http f;

    fake_init(&f, "DELETE", "/", "");
    fpd_reply_empty(fake_request(&f), 204);
    ck_assert_int_eq(fake_status(&f), 204);
    ck_assert(!fake_sent(&f, "Content-Length"));
    ck_assert(!fake_sent(&f, "Content-Type:"));
    fake_dispose(&f);
}
END_TEST

START_TEST(nobody_injects_a_header)
{
    fake_http f;

    fake_init(&f, "GET", "/", "");
    fake_request(&f);
    fpd_reply_header(&f.rq, "Location", "/x\r\nSet-Cookie: a=b\x7f");
    fpd_reply(&f.rq, 200, "text/plain", "", 0);
    ck_assert(fake_sent(&f, "\r\nLocation: /x  Set-Cookie: a=b \r\n"));
    fake_dispose(&f);
}
END_TEST

START_TEST(there_is_one_reply)
{
    fake_http f;

    fake_init(&f, "GET", "/", "");
    fake_request(&f);
    fpd_reply(&f.rq, 200, "text/plain", "one", 3);
    fpd_reply(&f.rq, 500, "text/plain", "two", 3);
    ck_assert(!fpd_reply_begin(&f.rq, 500, "text/plain", 3));
    ck_assert_uint_eq(f.writes, 1);
    ck_assert(!fake_sent(&f, "two"));
    fake_dispose(&f);
}
END_TEST

START_TEST(the_connection_ends_when_it_must)
{
    static const struct {
        const char *lines;
        bool close;
    } cases[] = {
        { "", false },
        { "Connection: close", true },
        { "Content-Length: 100", false },
        { "Content-Length: 100000000", true },
        { "Content-Length: 100\nExpect: 100-continue", true },
        { "Transfer-Encoding: chunked", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fake_http f;

        fake_init(&f, "PUT", "/", cases[i].lines);
        fpd_reply(fake_request(&f), 404, "text/plain", "", 0);
        ck_assert_msg(f.rq.close == cases[i].close, "%s", cases[i].lines);
        ck_assert(
            fake_sent(&f, cases[i].close ? "Connection: close\r\n" : "Connection: keep-alive\r\n"));
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(a_peer_that_went_away_is_noticed)
{
    fake_http f;

    fake_init(&f, "GET", "/", "");
    f.write_limit = 10;
    fpd_reply(fake_request(&f), 200, "text/plain", "hello", 5);
    ck_assert(f.rq.broken && f.rq.close);
    fake_dispose(&f);
    fake_init(&f, "GET", "/", "");
    f.write_limit = 600;
    ck_assert(fpd_reply_begin(fake_request(&f), 200, "text/plain", 1000));
    ck_assert(!fpd_reply_write(&f.rq, f.lines, 1000));
    ck_assert(f.rq.broken && f.rq.close);
    fake_dispose(&f);
}
END_TEST

START_TEST(a_text_that_failed_is_no_success)
{
    fake_http f;
    fpd_text t = FPD_TEXT_INIT(3);

    fpd_text_string(&t, "{\"a\":1}");
    fake_init(&f, "GET", "/", "");
    fpd_reply_json(fake_request(&f), 200, &t);
    ck_assert_int_eq(fake_status(&f), 503);
    fake_dispose(&f);
    fpd_text_dispose(&t);
}
END_TEST

START_TEST(allowed_pages_may_read_the_reply)
{
    fake_http f;

    fake_init(&f, "GET", "/", "");
    fake_request(&f)->origin = "https://app.example";
    fpd_reply(&f.rq, 200, "text/plain", "", 0);
    ck_assert(
        fake_sent(&f, "\r\nAccess-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n"));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("reply", head_and_body_go_in_one_write, a_large_body_is_not_copied,
          json_ends_with_a_newline_that_its_length_counts, head_gets_the_headers_of_get,
          a_reply_without_a_body_has_no_length, nobody_injects_a_header, there_is_one_reply,
          the_connection_ends_when_it_must, a_peer_that_went_away_is_noticed,
          a_text_that_failed_is_no_success, allowed_pages_may_read_the_reply)
