/* Owns: the tests of daemons/common/event_stream.c. */
#include <sys/socket.h>
#include <unistd.h>

#include "event_stream.h"
#include "fake_http.h"
#include "runner.h"

/* Ends of a connection; the stream is on the first, which is its own. */
static int ends[2];

static int take(void *self)
{
    (void)self;
    return ends[0];
}

static void begin(fake_http *f, fpd_event_stream *s)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fake_init(f, "GET", "/", "");
    f->wire.take = take;
    ck_assert(fpd_event_stream_begin(s, fake_request(f)));
}

static void end(fake_http *f, fpd_event_stream *s)
{
    fpd_event_stream_end(s);
    fake_dispose(f);
    close(ends[1]);
}

/* What has come, which is little. */
static const char *come(void)
{
    static char text[4096];
    ssize_t n = recv(ends[1], text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

START_TEST(a_stream_has_no_length_and_ends_with_its_connection)
{
    fpd_event_stream s;
    fake_http f;

    begin(&f, &s);
    ck_assert(fake_sent(&f, "HTTP/1.1 200 OK\r\n"));
    ck_assert(fake_sent(&f, "\r\nContent-Type: text/event-stream\r\n"));
    ck_assert(fake_sent(&f, "\r\nCache-Control: no-store\r\n"));
    ck_assert(fake_sent(&f, "\r\nConnection: close\r\n\r\n"));
    ck_assert(!fake_sent(&f, "Content-Length"));
    ck_assert(f.rq.close);
    end(&f, &s);
    fake_init(&f, "HEAD", "/", "");
    ck_assert(!fpd_event_stream_begin(&s, fake_request(&f)));
    ck_assert_int_eq(fake_status(&f), 200);
    fake_dispose(&f);
}
END_TEST

START_TEST(an_event_is_an_id_a_name_and_a_line)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(100);
    fpd_event_stream s;
    fake_http f;

    begin(&f, &s);
    fpd_text_string(&data, "{\"a\":1}");
    ck_assert(fpd_event_stream_send(&s, "0-1", "upload", &data));
    ck_assert_str_eq(come(), "id: 0-1\nevent: upload\ndata: {\"a\":1}\n\n");
    ck_assert(fpd_event_stream_heartbeat(&s));
    ck_assert_str_eq(come(), ":\n\n");
    data.failed = true; /* half an event would be worse than none */
    ck_assert(!fpd_event_stream_send(&s, "0-2", "upload", &data));
    ck_assert_str_eq(come(), "");
    end(&f, &s);
}
END_TEST

START_TEST(a_peer_that_went_away_is_noticed)
{
    fpd_event_stream s;
    fake_http f;

    begin(&f, &s);
    ck_assert(!fpd_event_stream_is_gone(&s));
    ck_assert_int_eq(write(ends[1], "x", 1), 1); /* that it says something means nothing */
    ck_assert(!fpd_event_stream_is_gone(&s));
    shutdown(ends[1], SHUT_RDWR);
    ck_assert(fpd_event_stream_is_gone(&s));
    ck_assert(!fpd_event_stream_heartbeat(&s));
    end(&f, &s);
}
END_TEST

START_TEST(a_peer_that_does_not_read_has_no_room)
{
    static const char block[4096];
    fpd_event_stream s;
    fake_http f;

    begin(&f, &s);
    ck_assert(fpd_event_stream_has_room(&s, 0));
    while (send(ends[0], block, sizeof(block), MSG_DONTWAIT) > 0) {
    }
    ck_assert(!fpd_event_stream_has_room(&s, 10));
    ck_assert(!fpd_event_stream_heartbeat(&s)); /* after two seconds */
    ck_assert(fpd_event_stream_is_gone(&s));
    end(&f, &s);
}
END_TEST

START_TEST(a_connection_that_is_not_given_away_ends)
{
    fpd_event_stream s;
    fake_http f;

    fake_init(&f, "GET", "/", "");
    ck_assert(!fpd_event_stream_begin(&s, fake_request(&f)));
    ck_assert(f.rq.close);
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("event_stream", a_stream_has_no_length_and_ends_with_its_connection,
          an_event_is_an_id_a_name_and_a_line, a_peer_that_went_away_is_noticed,
          a_peer_that_does_not_read_has_no_room, a_connection_that_is_not_given_away_ends)
