/* Owns: the tests of daemons/common/body.c. */
#include <sys/socket.h>
#include <unistd.h>

#include "body.h"
#include "fake_http.h"
#include "runner.h"

static void begin(fake_http *f, const char *lines, const char *body)
{
    fake_init(f, "PUT", "/x", lines);
    fake_body(f, body, strlen(body));
    fake_request(f);
}

START_TEST(a_whole_body_ends_with_end)
{
    fake_http f;
    char buf[4];
    size_t got;

    begin(&f, "Content-Length: 6", "abcdefNEXT");
    ck_assert(fpd_body_open(&f.rq, 6));
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    ck_assert_uint_eq(got, 4);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    ck_assert_uint_eq(got, 2);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_END);
    ck_assert_uint_eq(f.body_at, 6);
    ck_assert(fpd_body_is_discardable(&f.rq));
    fake_dispose(&f);
}
END_TEST

/* The server says 0 for a time-out, and -1 for a broken connection. */
START_TEST(a_body_that_stops_is_told_from_its_end)
{
    for (int at_end = -1; at_end <= 0; at_end++) {
        fake_http f;
        char buf[4];
        size_t got;

        begin(&f, "Content-Length: 6", "abc");
        f.at_end = at_end;
        ck_assert(fpd_body_open(&f.rq, 6));
        ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_CUT);
        ck_assert_uint_eq(got, 3); /* what came is not lost */
        ck_assert_mem_eq(buf, "abc", 3);
        ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_CUT);
        ck_assert_uint_eq(got, 0);
        ck_assert(f.rq.close);
        ck_assert(!fpd_body_is_discardable(&f.rq));
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(too_long_is_refused_before_a_byte_is_read)
{
    fake_http f;

    begin(&f, "Content-Length: 7\nExpect: 100-continue", "abcdefg");
    ck_assert(!fpd_body_open(&f.rq, 6));
    ck_assert_int_eq(fake_status(&f), 413);
    ck_assert_uint_eq(f.body_at, 0);
    ck_assert(fake_sent(&f, "Connection: close"));
    ck_assert(!fake_sent(&f, "100 Continue"));
    fake_dispose(&f);
}
END_TEST

START_TEST(a_waiting_client_is_told_to_go_on_once)
{
    fake_http f;
    char buf[8];
    size_t got;

    begin(&f, "Content-Length: 3\nExpect: 100-Continue", "abc");
    ck_assert_uint_eq(f.writes, 0);
    ck_assert(fpd_body_open(&f.rq, 6));
    ck_assert_str_eq(f.sent.data, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert(fpd_body_open(&f.rq, 6));
    ck_assert_uint_eq(f.writes, 1);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    fake_dispose(&f);
}
END_TEST

START_TEST(a_chunked_body_has_its_limit_too)
{
    fake_http f;
    char buf[4];
    size_t got;

    begin(&f, "Transfer-Encoding: chunked", "abcdefgh");
    ck_assert(fpd_body_open(&f.rq, 6));
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_TOO_LARGE);
    fake_dispose(&f);
    begin(&f, "Transfer-Encoding: chunked", "abc");
    ck_assert(fpd_body_open(&f.rq, 3));
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_END);
    fake_dispose(&f);
    begin(&f, "Transfer-Encoding: chunked", "abc");
    f.at_end = -1; /* the coding is wrong, or the connection is gone */
    ck_assert(fpd_body_open(&f.rq, 3));
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_OK);
    ck_assert_int_eq(fpd_body_read(&f.rq, buf, sizeof(buf), &got), FPD_BODY_CUT);
    fake_dispose(&f);
}
END_TEST

static int read_all_status(const char *lines, const char *body, size_t limit, const char *wanted)
{
    fake_http f;
    size_t size = 0;
    char *text;
    int status;

    begin(&f, lines, body);
    text = fpd_body_read_all(&f.rq, limit, &size);
    status = fake_status(&f);
    if (wanted) {
        ck_assert_ptr_nonnull(text);
        ck_assert_uint_eq(size, strlen(wanted));
        ck_assert_str_eq(text, wanted);
    } else {
        ck_assert_ptr_null(text);
    }
    free(text);
    fake_dispose(&f);
    return status;
}

START_TEST(read_all_takes_exactly_what_fits)
{
    ck_assert_int_eq(read_all_status("Content-Length: 3", "abc", 3, "abc"), 0);
    ck_assert_int_eq(read_all_status("Content-Length: 3", "abc", 100, "abc"), 0);
    ck_assert_int_eq(read_all_status("", "", 100, ""), 0);
    ck_assert_int_eq(read_all_status("Transfer-Encoding: chunked", "abc", 3, "abc"), 0);
    ck_assert_int_eq(read_all_status("Transfer-Encoding: chunked", "", 3, ""), 0);
    ck_assert_int_eq(read_all_status("Content-Length: 4", "abcd", 3, NULL), 413);
    ck_assert_int_eq(read_all_status("Transfer-Encoding: chunked", "abcd", 3, NULL), 413);
    ck_assert_int_eq(read_all_status("Content-Length: 4", "abc", 100, NULL), 400);
}
END_TEST

START_TEST(only_a_small_rest_is_worth_reading_to_keep_the_connection)
{
    fake_http f;

    begin(&f, "Content-Length: 1000", "");
    ck_assert(fpd_body_is_discardable(&f.rq));
    fake_dispose(&f);
    begin(&f, "Content-Length: 10000000", "");
    ck_assert(!fpd_body_is_discardable(&f.rq));
    fake_dispose(&f);
    begin(&f, "Content-Length: 1000\nExpect: 100-continue", "");
    ck_assert(!fpd_body_is_discardable(&f.rq));
    fake_dispose(&f);
    begin(&f, "Transfer-Encoding: chunked", "");
    ck_assert(!fpd_body_is_discardable(&f.rq));
    fake_dispose(&f);
}
END_TEST

START_TEST(draining_reads_a_refused_body)
{
    fake_http f;
    char body[1000];

    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    begin(&f, "Content-Length: 10000000", body);
    ck_assert(!fpd_body_open(&f.rq, 6));
    fpd_body_drain(&f.rq);
    ck_assert_uint_eq(f.body_at, sizeof(body) - 1);
    fake_dispose(&f);
    begin(&f, "Content-Length: 10000000\nExpect: 100-continue", body);
    ck_assert(!fpd_body_open(&f.rq, 6));
    fpd_body_drain(&f.rq);
    ck_assert_uint_eq(f.body_at, 0);
    fake_dispose(&f);
}
END_TEST

/* A body of which the server has read some, and the rest comes over a socket. */
static fpd_raw raw_body;

static bool give_raw(void *self, fpd_raw *out)
{
    (void)self;
    *out = raw_body;
    return true;
}

/* Answers the result that ended it; what came stands in `body`. */
static fpd_body_result read_taken_over(fake_http *f, fpd_chunked *c, const char *ahead,
                                       const char *behind, uint64_t limit, char body[64])
{
    fpd_body_result result;
    size_t size = 0, got;
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(write(ends[1], behind, strlen(behind)), (ssize_t)strlen(behind));
    raw_body = (fpd_raw){ ahead, strlen(ahead), ends[0], 50 };
    begin(f, "Transfer-Encoding: chunked", "");
    f->rq.wire.raw = give_raw;
    *c = (fpd_chunked){ 0 };
    ck_assert(fpd_body_take_over(&f->rq, c));
    ck_assert(fpd_body_open(&f->rq, limit));
    while ((result = fpd_body_read(&f->rq, body + size, 63 - size, &got)) == FPD_BODY_OK) {
        ck_assert_uint_gt(got, 0);
        size += got;
    }
    body[size] = '\0';
    close(ends[0]);
    close(ends[1]);
    return result;
}

START_TEST(a_body_that_was_taken_over_has_its_trailer)
{
    static const char text[] = "5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n";

    for (size_t cut = 0; cut < sizeof(text); cut++) {
        char ahead[sizeof(text)], body[64], value[8];
        fpd_chunked c;
        fake_http f;

        memcpy(ahead, text, cut);
        ahead[cut] = '\0';
        ck_assert_int_eq(read_taken_over(&f, &c, ahead, text + cut, 11, body), FPD_BODY_END);
        ck_assert_str_eq(body, "hello world");
        ck_assert_int_eq(fpd_chunked_trailer(&c, "X", value, sizeof(value)), FPD_TRAILER_FOUND);
        ck_assert(f.rq.close);
        fpd_body_let_go(&f.rq);
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(a_body_that_was_taken_over_can_end_badly)
{
    static const struct {
        const char *ahead, *behind;
        fpd_body_result result;
    } cases[] = { { "5\r\nhel", "", FPD_BODY_CUT }, /* silence */
                  { "5\r\nhello", "X", FPD_BODY_CUT },
                  { "5\r\nhello\r\n7\r\n", "1234567\r\n0\r\n\r\n", FPD_BODY_TOO_LARGE },
                  { "0\r\nX: 1\r\n", "", FPD_BODY_CUT } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char body[64];
        fpd_chunked c;
        fake_http f;

        ck_assert_int_eq(read_taken_over(&f, &c, cases[i].ahead, cases[i].behind, 11, body),
                         cases[i].result);
        fpd_body_let_go(&f.rq);
        fpd_body_drain(&f.rq); /* reads nothing more */
        fake_dispose(&f);
    }
}
END_TEST

START_TEST(a_body_whose_beginning_nobody_knows_is_to_be_sent_again)
{
    fpd_chunked c = { 0 };
    fake_http f;

    begin(&f, "Transfer-Encoding: chunked", "0\r\n\r\n");
    ck_assert(!fpd_body_take_over(&f.rq, &c));
    ck_assert_int_eq(f.rq.status, 503);
    ck_assert(f.rq.close && fake_sent(&f, "\r\nRetry-After: 1\r\n"));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("body", a_body_that_was_taken_over_has_its_trailer,
          a_body_that_was_taken_over_can_end_badly,
          a_body_whose_beginning_nobody_knows_is_to_be_sent_again, a_whole_body_ends_with_end,
          a_body_that_stops_is_told_from_its_end, too_long_is_refused_before_a_byte_is_read,
          a_waiting_client_is_told_to_go_on_once, a_chunked_body_has_its_limit_too,
          read_all_takes_exactly_what_fits,
          only_a_small_rest_is_worth_reading_to_keep_the_connection, draining_reads_a_refused_body)
