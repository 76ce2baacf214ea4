/* Owns: the frames of WebSockets (RFC 6455 section 5): reading them from bytes as they come, and their heads.
 * Must not know: connections. */
#ifndef FPD_FRAMES_H
#define FPD_FRAMES_H

#include <stdint.h>

#include "text.h"

/** Longest text message that is accepted. */
#define FPD_FRAMES_MESSAGE_MAX (64u * 1024u)
#define FPD_FRAMES_HEAD_MAX 14u

enum {
    FPD_OPCODE_CONTINUATION = 0,
    FPD_OPCODE_TEXT = 1,
    FPD_OPCODE_BINARY = 2,
    FPD_OPCODE_CLOSE = 8,
    FPD_OPCODE_PING = 9,
    FPD_OPCODE_PONG = 10
};

enum {
    FPD_CLOSE_GOING_AWAY = 1001,
    FPD_CLOSE_PROTOCOL = 1002,
    FPD_CLOSE_UNSUPPORTED = 1003,
    FPD_CLOSE_NOT_TEXT = 1007,
    FPD_CLOSE_TOO_BIG = 1009,
    FPD_CLOSE_LATER = 1013
};

typedef enum fpd_frame_event {
    FPD_FRAME_NONE,  /* more bytes are needed */
    FPD_FRAME_TEXT,  /* a whole message: message */
    FPD_FRAME_PING,  /* control */
    FPD_FRAME_PONG,  /* control */
    FPD_FRAME_CLOSE, /* control */
    FPD_FRAME_BAD /* the connection is to end with close_code; nothing behind this is looked at */
} fpd_frame_event;

/** What came of a peer's frames. Start from FPD_FRAMES_INIT. */
typedef struct fpd_frames {
    unsigned char head[FPD_FRAMES_HEAD_MAX];
    unsigned char control[125];
    uint8_t head_size, control_size;
    bool in_payload;
    bool in_message; /* a text in several frames has begun */
    uint8_t bits;    /* the first byte of the frame */
    unsigned close_code;
    uint64_t left, at; /* bytes of the payload to come; that came */
    fpd_text message;
} fpd_frames;
#define FPD_FRAMES_INIT                                                                            \
    {                                                                                              \
        .message = FPD_TEXT_INIT(FPD_FRAMES_MESSAGE_MAX)                                           \
    }

void fpd_frames_dispose(fpd_frames *f);

/** Takes bytes up to the next event; *used of them. What the event tells of lives until the next call. */
fpd_frame_event fpd_frames_feed(fpd_frames *f, const char *data, size_t size, size_t *used);

/** The head of an unmasked frame, as servers send them; its size. */
size_t fpd_frame_head(unsigned char head[FPD_FRAMES_HEAD_MAX], unsigned opcode, size_t size);

#endif
