/* Owns: the frames of WebSockets (RFC 6455 section 5): reading them from bytes as they come, and their heads.
 * Must not know: connections. */
#include "frames.h"

#include <string.h>

enum { FINAL = 0x80, RESERVED_MASK = 0x70, OPCODE_MASK = 0x0F, MASKED = 0x80, LENGTH_MASK = 0x7F };
/* Of closing: those between the locals are never sent, those behind the last have no meaning yet. */
enum { CODE_MIN = 1000, CODE_LOCAL = 1004, CODE_LOCAL_LAST = 1006, CODE_LAST = 1014 };
enum { CODE_REGISTERED = 3000, CODE_END = 5000 };
enum { LENGTH_16 = 126, LENGTH_64 = 127, CONTROL_MAX = 125, KEY_SIZE = 4 };

void fpd_frames_dispose(fpd_frames *f)
{
    fpd_text_dispose(&f->message);
}

static fpd_frame_event bad(fpd_frames *f, unsigned code)
{
    f->close_code = code;
    return FPD_FRAME_BAD;
}

/* As far as the bytes that are there tell. */
static size_t head_length(const fpd_frames *f)
{
    unsigned length = f->head_size > 1 ? f->head[1] & LENGTH_MASK : 0;

    return 2 + (length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0) + KEY_SIZE;
}

static uint64_t payload_length(const fpd_frames *f)
{
    size_t bytes = head_length(f) - 2 - KEY_SIZE;
    uint64_t length = 0;

    if (bytes == 0)
        return f->head[1] & LENGTH_MASK;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | f->head[2 + i];
    return length;
}

/* What may be known to be wrong is refused before its payload is waited for. */
static fpd_frame_event check_head(fpd_frames *f)
{
    unsigned opcode = f->bits & OPCODE_MASK;
    bool control = opcode >= FPD_OPCODE_CLOSE;

    if (f->bits & RESERVED_MASK)
        return bad(f, FPD_CLOSE_PROTOCOL); /* no extension was agreed on */
    if (control && (opcode > FPD_OPCODE_PONG || !(f->bits & FINAL) || f->left > CONTROL_MAX))
        return bad(f, FPD_CLOSE_PROTOCOL);
    if (control)
        return FPD_FRAME_NONE;
    if (opcode == FPD_OPCODE_BINARY)
        return bad(f, FPD_CLOSE_UNSUPPORTED);
    if (opcode > FPD_OPCODE_BINARY || (opcode == FPD_OPCODE_CONTINUATION) != f->in_message)
        return bad(f, FPD_CLOSE_PROTOCOL);
    if (f->left > FPD_FRAMES_MESSAGE_MAX - (f->in_message ? f->message.size : 0))
        return bad(f, FPD_CLOSE_TOO_BIG);
    return FPD_FRAME_NONE;
}

static fpd_frame_event take_head(fpd_frames *f, const char *data, size_t size, size_t *used)
{
    while (f->head_size < 2 || f->head_size < head_length(f)) {
        if (*used == size)
            return FPD_FRAME_NONE;
        f->head[f->head_size++] = (unsigned char)data[(*used)++];
        if (f->head_size == 2 && !(f->head[1] & MASKED))
            return bad(f, FPD_CLOSE_PROTOCOL); /* clients mask; there is no key to wait for */
    }
    f->bits = f->head[0];
    f->left = payload_length(f);
    f->at = 0;
    f->in_payload = true;
    f->control_size = 0;
    if ((f->bits & OPCODE_MASK) == FPD_OPCODE_TEXT && !f->in_message)
        fpd_text_clear(&f->message, 0);
    return check_head(f);
}

static void take_payload(fpd_frames *f, const char *data, size_t size)
{
    const unsigned char *key = f->head + head_length(f) - KEY_SIZE;
    bool control = (f->bits & OPCODE_MASK) >= FPD_OPCODE_CLOSE;
    char piece[512];

    while (size > 0) {
        size_t n = size < sizeof(piece) ? size : sizeof(piece);

        for (size_t i = 0; i < n; i++)
            piece[i] = (char)((unsigned char)data[i] ^ key[(f->at + i) % KEY_SIZE]);
        if (control) {
            memcpy(f->control + f->control_size, piece, n);
            f->control_size = (uint8_t)(f->control_size + n);
        } else {
            fpd_text_append(&f->message, piece, n);
        }
        f->at += n;
        f->left -= n;
        data += n;
        size -= n;
    }
}

static bool is_text(const fpd_text *text)
{
    for (size_t at = 0, n; at < text->size; at += n) {
        n = fpd_utf8_length(text->data + at, text->size - at);
        if (n == 0)
            return false;
    }
    return true;
}

/* Nothing, or a code that may be sent (RFC 6455 section 7.4): it is sent back. */
static fpd_frame_event end_close(fpd_frames *f)
{
    unsigned code = (unsigned)f->control[0] << 8 | f->control[1];

    if (f->control_size == 0)
        return FPD_FRAME_CLOSE;
    if (f->control_size >= 2 && code >= CODE_MIN && code < CODE_END &&
        (code < CODE_LOCAL || code > CODE_LOCAL_LAST) &&
        (code <= CODE_LAST || code >= CODE_REGISTERED))
        return FPD_FRAME_CLOSE;
    return bad(f, FPD_CLOSE_PROTOCOL);
}

/* What was no text is not passed on: it would come back from us as one (RFC 6455 section 8.1). */
static fpd_frame_event end_frame(fpd_frames *f)
{
    unsigned opcode = f->bits & OPCODE_MASK;

    f->in_payload = false;
    f->head_size = 0;
    if (opcode >= FPD_OPCODE_CLOSE)
        return opcode == FPD_OPCODE_CLOSE  ? end_close(f)
               : opcode == FPD_OPCODE_PING ? FPD_FRAME_PING
                                           : FPD_FRAME_PONG;
    f->in_message = !(f->bits & FINAL);
    if (f->message.failed)
        return bad(f, FPD_CLOSE_TOO_BIG);
    if (f->in_message)
        return FPD_FRAME_NONE;
    return is_text(&f->message) ? FPD_FRAME_TEXT : bad(f, FPD_CLOSE_NOT_TEXT);
}

fpd_frame_event fpd_frames_feed(fpd_frames *f, const char *data, size_t size, size_t *used)
{
    fpd_frame_event event = FPD_FRAME_NONE;

    *used = 0;
    if (!f->in_payload && !f->in_message)
        fpd_text_clear(&f->message, 0); /* of the last event */
    while (event == FPD_FRAME_NONE) {
        size_t n;

        if (!f->in_payload)
            event = take_head(f, data, size, used);
        if (event != FPD_FRAME_NONE || !f->in_payload)
            return event;
        n = size - *used < f->left ? size - *used : (size_t)f->left;
        take_payload(f, data + *used, n);
        *used += n;
        if (f->left > 0)
            return FPD_FRAME_NONE;
        event = end_frame(f);
    }
    return event;
}

size_t fpd_frame_head(unsigned char head[FPD_FRAMES_HEAD_MAX], unsigned opcode, size_t size)
{
    unsigned bytes = size <= CONTROL_MAX ? 0 : size <= UINT16_MAX ? 2 : 8;

    head[0] = (unsigned char)(FINAL | opcode);
    head[1] = (unsigned char)(bytes == 0 ? size : bytes == 2 ? LENGTH_16 : LENGTH_64);
    for (unsigned i = 0; i < bytes; i++)
        head[2 + i] = (unsigned char)((uint64_t)size >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}
