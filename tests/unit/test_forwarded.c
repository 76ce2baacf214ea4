/* Owns: the tests of daemons/common/forwarded.c. */
#include <stdio.h>
#include <string.h>

#include "fake_http.h"
#include "forwarded.h"
#include "log.h"
#include "reply.h"
#include "runner.h"

/* What Location is when this peer sends these lines. */
static void ck_location(const char *remote, const char *lines, const char *location)
{
    char expected[512];
    fake_http f;

    fpd_log_set_level(FILEPROC_LOG_ERROR + 1);
    fake_init(&f, "POST", "/", lines);
    f.head.remote = remote;
    fpd_forwarded_location(fake_request(&f), "192.0.2.1, 192.0.2.2", "/v1/tus/1");
    fpd_reply_empty(&f.rq, 201);
    snprintf(expected, sizeof(expected), "\r\nLocation: %s\r\n", location);
    ck_assert_msg(fake_sent(&f, expected), "%s gives %.600s", lines, f.sent.data);
    fake_dispose(&f);
}

#define PROTO "X-Forwarded-Proto: https\n"
#define HOST "X-Forwarded-Host: files.example.org:8443\n"

START_TEST(location_is_relative_unless_a_proxy_that_is_believed_says_more)
{
    ck_location("192.0.2.1", "", "/v1/tus/1");
    ck_location("192.0.2.1", PROTO, "/v1/tus/1");
    ck_location("192.0.2.1", HOST, "/v1/tus/1");
    ck_location("192.0.2.1", PROTO HOST, "https://files.example.org:8443/v1/tus/1");
    ck_location("192.0.2.2", PROTO HOST "X-Forwarded-Prefix: /a/b\n",
                "https://files.example.org:8443/a/b/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Prefix: /files/\n", "/files/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Prefix: /\n", "/v1/tus/1");
    ck_location("192.0.2.1", "Forwarded: for=\"[2001:db8::1]\";Proto=https;host=\"a.example:1\"\n",
                "https://a.example:1/v1/tus/1");
    ck_location("192.0.2.1", "Forwarded: proto=http;host=a, proto=https; host=b\n" HOST,
                "https://b/v1/tus/1");
}
END_TEST

START_TEST(others_are_not_believed)
{
    ck_location("192.0.2.3", PROTO HOST "X-Forwarded-Prefix: /a\n", "/v1/tus/1");
    ck_location("127.0.0.1", "Forwarded: proto=https;host=evil\n", "/v1/tus/1");
}
END_TEST

START_TEST(nonsense_is_passed_over)
{
    ck_location("192.0.2.1", "X-Forwarded-Prefix: //evil.example\n", "/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Prefix: a\n", "/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Prefix: /a?b\n", "/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Prefix: /a\"b\n", "/v1/tus/1");
    ck_location("192.0.2.1", "X-Forwarded-Proto: gopher\n" HOST, "/v1/tus/1");
    ck_location("192.0.2.1", PROTO "X-Forwarded-Host: a/b\n", "/v1/tus/1");
    ck_location("192.0.2.1", PROTO "X-Forwarded-Host: a@b\n", "/v1/tus/1");
    ck_location("192.0.2.1", PROTO "X-Forwarded-Host: \n", "/v1/tus/1");
    ck_location("192.0.2.1", "Forwarded: nonsense\n" PROTO HOST, "/v1/tus/1");
}
END_TEST

/* What the absolute address is. */
static void ck_url(const char *remote, const char *lines, const char *expected)
{
    FPD_DISPOSE(fpd_text) url = FPD_TEXT_INIT(1024);
    fake_http f;

    fake_init(&f, "GET", "/", lines);
    f.head.remote = remote;
    fpd_forwarded_url(fake_request(&f), "192.0.2.1, 192.0.2.2", "/s3/post", &url);
    ck_assert_str_eq(url.data, expected);
    fpd_reply_empty(&f.rq, 204);
    fake_dispose(&f);
}

START_TEST(an_absolute_address_is_that_of_the_request_unless_a_believed_proxy_says_more)
{
    ck_url("192.0.2.3", "", "http://localhost/s3/post");
    ck_url("192.0.2.3", PROTO HOST "X-Forwarded-Prefix: /a\n", "http://localhost/s3/post");
    ck_url("192.0.2.3", "Origin: https://b.example\n", "https://localhost/s3/post");
    ck_url("192.0.2.3", "Origin: http://b.example\n", "http://localhost/s3/post");
    ck_url("192.0.2.3", "Referer: HTTPS://localhost/x\n", "https://localhost/s3/post");
    ck_url("192.0.2.1", PROTO, "https://localhost/s3/post");
    ck_url("192.0.2.1", "X-Forwarded-Proto: http\nOrigin: https://b.example\n",
           "http://localhost/s3/post");
    ck_url("192.0.2.1", PROTO HOST "X-Forwarded-Prefix: /a\n",
           "https://files.example.org:8443/a/s3/post");
    ck_url("192.0.2.1", "X-Forwarded-Proto: gopher\n" HOST, "http://localhost/s3/post");
    ck_url("192.0.2.1", PROTO "X-Forwarded-Host: a/b\n", "https://localhost/s3/post");
}
END_TEST

RUN_TESTS("forwarded", an_absolute_address_is_that_of_the_request_unless_a_believed_proxy_says_more,
          location_is_relative_unless_a_proxy_that_is_believed_says_more, others_are_not_believed,
          nonsense_is_passed_over)
