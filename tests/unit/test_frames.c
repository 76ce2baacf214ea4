/* Owns: the tests of daemons/common/frames.c. */
#include <string.h>

#include "frames.h"
#include "runner.h"

static const unsigned char key[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* A masked frame, as a client sends it; its size. */
static size_t frame(char *out, unsigned first, const char *text, size_t size)
{
    unsigned char head[FPD_FRAMES_HEAD_MAX];
    size_t at = fpd_frame_head(head, first & 0x0F, size);

    head[0] = (unsigned char)first;
    head[1] |= 0x80;
    memcpy(out, head, at);
    memcpy(out + at, key, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        out[at + i] = (char)((unsigned char)text[i] ^ key[i % 4]);
    return at + size;
}

static bool is_message(const fpd_frames *f, const char *text)
{
    return f->message.size == strlen(text) &&
           (f->message.size == 0 || memcmp(f->message.data, text, f->message.size) == 0);
}

START_TEST(texts_come_whole_however_their_bytes_come)
{
    char bytes[1024];
    size_t size = frame(bytes, 0x81, "first", 5);

    size += frame(bytes + size, 0x81, "", 0);
    size += frame(bytes + size, 0x81, "\xc3\xa5, and so on", 13);
    for (size_t step = 1; step <= size; step++) {
        fpd_frames f = FPD_FRAMES_INIT;
        const char *expected[] = { "first", "", "\xc3\xa5, and so on" };
        size_t seen = 0;

        for (size_t at = 0, used; at < size; at += used) {
            size_t n = size - at < step ? size - at : step;
            fpd_frame_event event = fpd_frames_feed(&f, bytes + at, n, &used);

            ck_assert_uint_le(used, n);
            if (event == FPD_FRAME_NONE) {
                ck_assert_uint_eq(used, n);
                continue;
            }
            ck_assert_int_eq(event, FPD_FRAME_TEXT);
            ck_assert(is_message(&f, expected[seen++]));
        }
        ck_assert_uint_eq(seen, 3);
        fpd_frames_dispose(&f);
    }
}
END_TEST

START_TEST(controls_may_come_between_the_fragments_of_a_text)
{
    fpd_frames f = FPD_FRAMES_INIT;
    char bytes[256];
    size_t size = frame(bytes, 0x01, "one ", 4), used, at = 0;

    size += frame(bytes + size, 0x89, "ping", 4);
    size += frame(bytes + size, 0x00, "two ", 4);
    size += frame(bytes + size, 0x8A, "", 0);
    size += frame(bytes + size, 0x80, "three", 5);
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, size, &used), FPD_FRAME_PING);
    ck_assert_uint_eq(f.control_size, 4);
    ck_assert_mem_eq(f.control, "ping", 4);
    at += used;
    ck_assert_int_eq(fpd_frames_feed(&f, bytes + at, size - at, &used), FPD_FRAME_PONG);
    at += used;
    ck_assert_int_eq(fpd_frames_feed(&f, bytes + at, size - at, &used), FPD_FRAME_TEXT);
    ck_assert(is_message(&f, "one two three"));
    ck_assert_uint_eq(at + used, size);
    fpd_frames_dispose(&f);
}
END_TEST

START_TEST(longest_text_is_taken_and_one_byte_more_is_refused_by_its_head)
{
    fpd_frames f = FPD_FRAMES_INIT;
    static char text[FPD_FRAMES_MESSAGE_MAX + 1], bytes[FPD_FRAMES_MESSAGE_MAX + 32];
    size_t used, size;

    memset(text, 'x', sizeof(text));
    size = frame(bytes, 0x81, text, FPD_FRAMES_MESSAGE_MAX);
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, size, &used), FPD_FRAME_TEXT);
    ck_assert_uint_eq(f.message.size, FPD_FRAMES_MESSAGE_MAX);
    (void)frame(bytes, 0x81, text, sizeof(text));
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, 14, &used), FPD_FRAME_BAD);
    ck_assert_uint_eq(f.close_code, FPD_CLOSE_TOO_BIG);
    fpd_frames_dispose(&f);
    /* Also in fragments. */
    f = (fpd_frames)FPD_FRAMES_INIT;
    size = frame(bytes, 0x01, text, FPD_FRAMES_MESSAGE_MAX);
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, size, &used), FPD_FRAME_NONE);
    size = frame(bytes, 0x80, "y", 1);
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, size, &used), FPD_FRAME_BAD);
    ck_assert_uint_eq(f.close_code, FPD_CLOSE_TOO_BIG);
    fpd_frames_dispose(&f);
}
END_TEST

START_TEST(what_is_wrong_has_its_code)
{
    static const struct {
        unsigned first;
        const char *text;
        size_t size;
        unsigned code;
    } cases[] = {
        { 0x82, "data", 4, FPD_CLOSE_UNSUPPORTED },  /* binary */
        { 0xC1, "data", 4, FPD_CLOSE_PROTOCOL },     /* an extension that nobody has agreed on */
        { 0x83, "data", 4, FPD_CLOSE_PROTOCOL },     /* no opcode */
        { 0x8B, "", 0, FPD_CLOSE_PROTOCOL },         /* none either */
        { 0x80, "data", 4, FPD_CLOSE_PROTOCOL },     /* goes on with nothing */
        { 0x09, "", 0, FPD_CLOSE_PROTOCOL },         /* a ping in fragments */
        { 0x88, "x", 1, FPD_CLOSE_PROTOCOL },        /* half a code */
        { 0x88, "\x03\xe7", 2, FPD_CLOSE_PROTOCOL }, /* 999 */
        { 0x88, "\x03\xed", 2, FPD_CLOSE_PROTOCOL }, /* 1005, which is never sent */
        { 0x88, "\x03\xf7", 2, FPD_CLOSE_PROTOCOL }, /* 1015 */
        { 0x88, "\x13\x88", 2, FPD_CLOSE_PROTOCOL }, /* 5000 */
        { 0x81, "\xc3\x28", 2, FPD_CLOSE_NOT_TEXT }, { 0x81, "\xc3", 1, FPD_CLOSE_NOT_TEXT },
    };
    char bytes[256], long_ping[126] = { 0 };
    fpd_frames f;
    size_t used;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f = (fpd_frames)FPD_FRAMES_INIT;
        ck_assert_int_eq(fpd_frames_feed(&f, bytes,
                                         frame(bytes, cases[i].first, cases[i].text, cases[i].size),
                                         &used),
                         FPD_FRAME_BAD);
        ck_assert_uint_eq(f.close_code, cases[i].code);
        fpd_frames_dispose(&f);
    }
    f = (fpd_frames)
        FPD_FRAMES_INIT; /* a client that does not mask, and has said all that it has to say */
    ck_assert_int_eq(fpd_frames_feed(&f, "\x81\x01x", 3, &used), FPD_FRAME_BAD);
    ck_assert_uint_eq(f.close_code, FPD_CLOSE_PROTOCOL);
    fpd_frames_dispose(&f);
    f = (fpd_frames)FPD_FRAMES_INIT;
    ck_assert_int_eq(
        fpd_frames_feed(&f, bytes, frame(bytes, 0x89, long_ping, sizeof(long_ping)), &used),
        FPD_FRAME_BAD);
    fpd_frames_dispose(&f);
    f = (fpd_frames)FPD_FRAMES_INIT; /* a text within a text */
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, frame(bytes, 0x01, "a", 1), &used), FPD_FRAME_NONE);
    ck_assert_int_eq(fpd_frames_feed(&f, bytes, frame(bytes, 0x81, "b", 1), &used), FPD_FRAME_BAD);
    fpd_frames_dispose(&f);
}
END_TEST

START_TEST(heads_have_the_shortest_length)
{
    unsigned char head[FPD_FRAMES_HEAD_MAX];

    ck_assert_uint_eq(fpd_frame_head(head, FPD_OPCODE_TEXT, 125), 2);
    ck_assert_mem_eq(head, "\x81\x7d", 2);
    ck_assert_uint_eq(fpd_frame_head(head, FPD_OPCODE_TEXT, 126), 4);
    ck_assert_mem_eq(head, "\x81\x7e\x00\x7e", 4);
    ck_assert_uint_eq(fpd_frame_head(head, FPD_OPCODE_CLOSE, 65536), 10);
    ck_assert_mem_eq(head, "\x88\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}
END_TEST

RUN_TESTS("frames", texts_come_whole_however_their_bytes_come,
          controls_may_come_between_the_fragments_of_a_text,
          longest_text_is_taken_and_one_byte_more_is_refused_by_its_head,
          what_is_wrong_has_its_code, heads_have_the_shortest_length)
