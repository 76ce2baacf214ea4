/* Owns: the tests of daemons/common/event_stream.c. */
#include <sys/socket.h>
#include <unistd.h>

#include "event_stream.h"
#include "fake_http.h"
#include "runner.h"

/* Ends of a connection; the stream is on the first. */
static int ends[2];

static int descriptor(void *self)
{
    (void)self;
    return ends[0];
}

static void begin(fake_http *f, fpd_event_stream *s)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fake_init(f, "GET", "/", "");
    f->wire.descriptor = descriptor;
    ck_assert(fpd_event_stream_begin(s, fake_request(f)));
}

static void end(fake_http *f)
{
    fake_dispose(f);
    close(ends[0]);
    close(ends[1]);
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
    end(&f);
    fake_init(&f, "HEAD", "/", "");
    ck_assert(!fpd_event_stream_begin(&s, fake_request(&f)));
    ck_assert_int_eq(fake_status(&f), 200);
    fake_dispose(&f);
}
END_TEST

START_TEST(an_event_is_one_write)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(100);
    fpd_event_stream s;
    fake_http f;
    size_t writes;

    begin(&f, &s);
    writes = f.writes;
    fpd_text_string(&data, "{\"a\":1}");
    ck_assert(fpd_event_stream_send(&s, "0-1", "upload", &data));
    ck_assert_uint_eq(f.writes, writes + 1);
    ck_assert(fake_sent(&f, "\r\n\r\nid: 0-1\nevent: upload\ndata: {\"a\":1}\n\n"));
    ck_assert(fpd_event_stream_heartbeat(&s));
    ck_assert(fake_sent(&f, "\n\n:\n\n"));
    data.failed = true; /* half an event would be worse than none */
    ck_assert(!fpd_event_stream_send(&s, "0-2", "upload", &data));
    ck_assert(!fake_sent(&f, "0-2"));
    end(&f);
}
END_TEST

START_TEST(a_peer_that_went_away_is_noticed)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(100);
    fpd_event_stream s;
    fake_http f;

    begin(&f, &s);
    ck_assert(!fpd_event_stream_is_gone(&s));
    ck_assert_int_eq(write(ends[1], "x", 1), 1); /* that it says something means nothing */
    ck_assert(!fpd_event_stream_is_gone(&s));
    shutdown(ends[1], SHUT_RDWR);
    ck_assert(fpd_event_stream_is_gone(&s));
    end(&f);
    begin(&f, &s);
    f.write_limit = f.sent.size;
    ck_assert(!fpd_event_stream_heartbeat(&s));
    ck_assert(fpd_event_stream_is_gone(&s));
    end(&f);
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
    end(&f);
}
END_TEST

START_TEST(without_a_descriptor_all_seems_well)
{
    fpd_event_stream s;
    fake_http f;

    fake_init(&f, "GET", "/", "");
    ck_assert(fpd_event_stream_begin(&s, fake_request(&f)));
    ck_assert(fpd_event_stream_has_room(&s, 0));
    ck_assert(!fpd_event_stream_is_gone(&s));
    fake_dispose(&f);
}
END_TEST

RUN_TESTS("event_stream", a_stream_has_no_length_and_ends_with_its_connection,
          an_event_is_one_write, a_peer_that_went_away_is_noticed,
          a_peer_that_does_not_read_has_no_room, without_a_descriptor_all_seems_well)
