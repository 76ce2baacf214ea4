/* Owns: the tests of daemons/common/multipart.c. */
#include <stdlib.h>
#include <string.h>

#include "multipart.h"
#include "runner.h"
#include "text.h"

/* Everything that the parser said, as text. */
typedef struct record {
    fpd_text log;
    int stop_at; /* the event that answers false; -1 = none */
    int events;
    bool in_data;
} record;

static bool go_on(record *r)
{
    return r->events++ != r->stop_at;
}

static bool on_begin(void *user_data, const fpd_multipart_head *head)
{
    record *r = user_data;

    fpd_text_printf(&r->log, "[%s|%s|%s:", head->name, head->content_type, head->content_digest);
    return go_on(r);
}

static bool on_data(void *user_data, const char *data, size_t size)
{
    record *r = user_data;

    ck_assert_uint_gt(size, 0);
    fpd_text_append(&r->log, data, size);
    return r->stop_at < 0 || go_on(r);
}

static bool on_end(void *user_data)
{
    record *r = user_data;

    fpd_text_string(&r->log, "]");
    return go_on(r);
}

static const char type[] = "multipart/form-data; boundary=XX";

/* Feeds body in pieces: the size of each is drawn from seed, or `step` bytes when that is not 0. The bytes are copied to
 * memory of their exact size, so that a sanitizer sees a read beyond the piece. */
static fpd_multipart_result parse(record *r, const char *content_type, const char *body,
                                  size_t size, size_t step, unsigned seed, bool *done)
{
    fpd_multipart_events events = { on_begin, on_data, on_end, r };
    fpd_multipart_result result = FPD_MULTIPART_OK;
    fpd_multipart mp;

    r->log = (fpd_text)FPD_TEXT_INIT(1 << 24);
    fpd_text_append(&r->log, "", 0);
    r->events = 0;
    ck_assert(fpd_multipart_init(&mp, content_type, &events));
    srand(seed);
    for (size_t at = 0; at < size;) {
        size_t n = step ? step : 1 + (size_t)rand() % 40;
        char *piece;

        n = n < size - at ? n : size - at;
        piece = malloc(n);
        memcpy(piece, body + at, n);
        result = fpd_multipart_feed(&mp, piece, n);
        free(piece);
        at += n;
        if (result != FPD_MULTIPART_OK)
            break;
    }
    *done = fpd_multipart_done(&mp);
    return result;
}

static void expect(const char *body, size_t size, const char *log, size_t log_size)
{
    for (unsigned seed = 0; seed < 300; seed++) {
        record r = { .stop_at = -1 };
        bool done;

        ck_assert_int_eq(parse(&r, type, body, size,
                               seed < 40    ? seed + 1
                               : seed == 40 ? size
                                            : 0,
                               seed, &done),
                         FPD_MULTIPART_OK);
        ck_assert(done);
        ck_assert_uint_eq(r.log.size, log_size);
        ck_assert_mem_eq(r.log.data, log, log_size);
        fpd_text_dispose(&r.log);
    }
}

#define EXPECT(body, log) expect(body, sizeof(body) - 1, log, sizeof(log) - 1)

#define PART(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"

START_TEST(parts_come_out_whole_however_the_bytes_are_cut)
{
    EXPECT(
        "--XX\r\n" PART(
            "a") "hello\r\n--XX\r\nContent-Disposition: form-data; name=file; filename=\"x.png\"\r\n"
                 "content-TYPE: image/png\r\nContent-Digest: sha-256=:AA==:\r\nX-Other: 1\r\n\r\nDATA\r\n--XX--\r\n",
        "[a||:hello][file|image/png|sha-256=:AA==::DATA]");
}
END_TEST

START_TEST(data_that_looks_like_a_boundary_stays_data)
{
    EXPECT("--XX\r\n" PART("f") "\r\n--X\r\n--\r\n\r\r\n-\r\r\n--X\r\n--XY\r--XX\n--XX\r\n--XX--",
           "[f||:\r\n--X\r\n--\r\n\r\r\n-\r\r\n--X\r\n--XY\r--XX\n--XX]");
    EXPECT("--XX\r\n" PART("f") "--X--XX-\r\n--XX--", "[f||:--X--XX-]");
    EXPECT("--XX\r\n" PART("f") "\r\n\r\n--XX--", "[f||:\r\n]");
    EXPECT("--XX\r\n" PART("f") "\r\r\n--XX--", "[f||:\r]");
}
END_TEST

START_TEST(empty_parts_work)
{
    EXPECT("--XX\r\n" PART("f") "\r\n--XX--", "[f||:]");
    EXPECT("--XX\r\n" PART("f") "--XX--", "[f||:]");
    EXPECT("--XX\r\n" PART("f") "\r\n--XX\r\n" PART("g") "\r\n--XX--", "[f||:][g||:]");
}
END_TEST

START_TEST(preamble_epilogue_and_padding_are_ignored)
{
    EXPECT("Hello\r\n--XZ\r\n--XX \t \r\n" PART("f") "1\r\n--XX--\r\nbye\r\n--XX\r\n", "[f||:1]");
    EXPECT("\r\n--XX\r\n" PART("f") "1\r\n--XX--", "[f||:1]");
}
END_TEST

START_TEST(no_part_at_all_is_a_good_body)
{
    EXPECT("--XX--\r\n", "");
}
END_TEST

/* Random bytes, with many of the characters that a delimiter is made of. */
START_TEST(random_data_comes_through_unchanged)
{
    static const char letters[] = "\r\n-X\rab";

    for (unsigned seed = 0; seed < 2000; seed++) {
        char data[300], body[1024];
        record r = { .stop_at = -1 };
        size_t size = seed % sizeof(data);
        int head, tail;
        bool done;

        srand(seed);
        for (size_t i = 0; i < size; i++)
            data[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        if (memmem(data, size, "\r\n--XX", 6) || (size >= 4 && memcmp(data, "--XX", 4) == 0))
            continue;
        head = snprintf(body, sizeof(body), "--XX\r\n" PART("f"));
        memcpy(body + head, data, size);
        tail = snprintf(body + head + size, sizeof(body) - (size_t)head - size, "\r\n--XX--\r\n");
        ck_assert_int_eq(parse(&r, type, body, (size_t)(head + tail) + size, seed % 9, seed, &done),
                         FPD_MULTIPART_OK);
        ck_assert(done);
        ck_assert_uint_eq(r.log.size, size + 6);
        ck_assert_mem_eq(r.log.data + 5, data, size);
        fpd_text_dispose(&r.log);
    }
}
END_TEST

START_TEST(a_large_part_goes_through_in_few_spans)
{
    const size_t size = 1 << 20;
    char *body = malloc(size + 200);
    record r = { .stop_at = -1 };
    size_t head;
    bool done;

    ck_assert_ptr_nonnull(body);
    head = (size_t)snprintf(body, size + 200, "--XX\r\n" PART("f"));
    memset(body + head, 'z', size);
    memcpy(body + head + size, "\r\n--XX--", 8);
    ck_assert_int_eq(parse(&r, type, body, head + size + 8, 65536, 0, &done), FPD_MULTIPART_OK);
    ck_assert(done);
    ck_assert_uint_eq(r.log.size, size + 6);
    fpd_text_dispose(&r.log);
    free(body);
}
END_TEST

START_TEST(malformed_bodies_are_refused)
{
    static const char *const bad[] = {
        "--XX\r\n\r\ndata\r\n--XX--",                                /* no header line */
        "--XX\r\nContent-Type: text/plain\r\n\r\ndata\r\n--XX--",    /* no name */
        "--XX\r\nContent-Disposition: attachment; name=f\r\n\r\n",   /* no form-data */
        "--XX\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n", /* empty name */
        "--XX\r\n"
        "Content-Disposition: form-data; name=a\r\n" PART("b"), /* two names */
        "--XX\r\nno colon\r\n\r\n",
        "--XX\r\n: no name\r\n\r\n",
        "--XXY\r\n" PART("f"),
        "--XX-Y",
        "--XX\rX",
        "--XX \t X",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        record r = { .stop_at = -1 };
        bool done;

        ck_assert_msg(parse(&r, type, bad[i], strlen(bad[i]), 1, 0, &done) ==
                          FPD_MULTIPART_MALFORMED,
                      "%s", bad[i]);
        ck_assert(!done);
        fpd_text_dispose(&r.log);
    }
}
END_TEST

START_TEST(a_nul_in_a_header_line_is_refused)
{
    static const char body[] = "--XX\r\nContent-Disposition: form-data\0; name=f\r\n\r\n";
    record r = { .stop_at = -1 };
    bool done;

    ck_assert_int_eq(parse(&r, type, body, sizeof(body) - 1, 0, 1, &done), FPD_MULTIPART_MALFORMED);
    fpd_text_dispose(&r.log);
}
END_TEST

START_TEST(a_body_that_stops_is_not_done)
{
    static const char body[] = "--XX\r\n" PART("f") "data\r\n--XX--";

    for (size_t size = 0; size < sizeof(body) - 1; size++) {
        record r = { .stop_at = -1 };
        bool done;

        ck_assert_int_eq(parse(&r, type, body, size, 0, 1, &done), FPD_MULTIPART_OK);
        ck_assert_msg(!done, "%zu", size);
        fpd_text_dispose(&r.log);
    }
}
END_TEST

START_TEST(header_lines_and_parts_have_a_limit)
{
    fpd_text body = FPD_TEXT_INIT(1 << 20);
    record r = { .stop_at = -1 };
    bool done;

    fpd_text_string(&body, "--XX\r\n");
    for (int i = 0; i < 500; i++)
        fpd_text_printf(&body, "X-Line-%d: v\r\n", i);
    ck_assert_int_eq(parse(&r, type, body.data, body.size, 100, 0, &done), FPD_MULTIPART_TOO_LARGE);
    fpd_text_dispose(&r.log);
    fpd_text_clear(&body, SIZE_MAX);
    for (unsigned i = 0; i <= FPD_MULTIPART_PARTS_MAX; i++)
        fpd_text_string(&body, "\r\n--XX\r\n" PART("f") "x");
    ck_assert_int_eq(parse(&r, type, body.data, body.size, 100, 0, &done), FPD_MULTIPART_TOO_LARGE);
    fpd_text_dispose(&r.log);
    fpd_text_dispose(&body);
}
END_TEST

START_TEST(an_event_can_stop_it_and_it_stays_stopped)
{
    static const char body[] = "--XX\r\n" PART("f") "data\r\n--XX\r\n" PART("g") "more\r\n--XX--";

    for (int stop = 0; stop < 6; stop++) {
        record r = { .stop_at = stop };
        fpd_multipart_events events = { on_begin, on_data, on_end, &r };
        fpd_multipart mp;

        r.log = (fpd_text)FPD_TEXT_INIT(1000);
        ck_assert(fpd_multipart_init(&mp, type, &events));
        ck_assert_int_eq(fpd_multipart_feed(&mp, body, sizeof(body) - 1), FPD_MULTIPART_STOPPED);
        ck_assert_int_eq(r.events, stop + 1);
        ck_assert_int_eq(fpd_multipart_feed(&mp, body, sizeof(body) - 1), FPD_MULTIPART_STOPPED);
        ck_assert_int_eq(r.events, stop + 1);
        fpd_text_dispose(&r.log);
    }
}
END_TEST

START_TEST(the_boundary_is_checked)
{
    static const char *const bad[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=\"a\tb\"",
        "text/plain; boundary=x",
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901",
    };
    fpd_multipart_events events = { on_begin, on_data, on_end, NULL };
    fpd_multipart mp;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!fpd_multipart_init(&mp, bad[i], &events), "%s", bad[i]);
    ck_assert(
        fpd_multipart_init(&mp, "multipart/form-data; charset=utf-8; boundary=\"a b:c\"", &events));
    ck_assert(fpd_multipart_init(
        &mp,
        "Multipart/Form-Data; Boundary=1234567890123456789012345678901234567890123456789012345678901234567890",
        &events));
}
END_TEST

/* Nothing may read or write where it must not, whatever comes; the sanitizer builds look. */
START_TEST(nonsense_is_survived)
{
    static const char letters[] = "\r\n-X:; =\"nameContent-Disposition";

    for (unsigned seed = 0; seed < 3000; seed++) {
        char body[400] = "--XX\r\nContent-Disposition: form-data; name=f\r\n\r\n";
        size_t start = seed % 50;
        record r = { .stop_at = -1 };
        bool done;

        srand(seed);
        for (size_t i = start; i < sizeof(body); i++)
            body[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
        (void)parse(&r, type, body, sizeof(body), seed % 7, seed, &done);
        fpd_text_dispose(&r.log);
    }
}
END_TEST

RUN_TESTS("multipart", parts_come_out_whole_however_the_bytes_are_cut,
          data_that_looks_like_a_boundary_stays_data, empty_parts_work,
          preamble_epilogue_and_padding_are_ignored, no_part_at_all_is_a_good_body,
          random_data_comes_through_unchanged, a_large_part_goes_through_in_few_spans,
          malformed_bodies_are_refused, a_nul_in_a_header_line_is_refused,
          a_body_that_stops_is_not_done, header_lines_and_parts_have_a_limit,
          an_event_can_stop_it_and_it_stays_stopped, the_boundary_is_checked, nonsense_is_survived)
