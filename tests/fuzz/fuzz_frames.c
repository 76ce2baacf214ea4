/* Owns: frames of WebSockets as a client sends them. Input: how many bytes come at once, then they. */
#include "frames.h"
#include "fuzz.h"

/* What an event tells of must be there, and well-formed. */
static void judge(const fpd_frames *f, fpd_frame_event event)
{
    MUST(f->message.size <= FPD_FRAMES_MESSAGE_MAX && f->control_size <= sizeof(f->control));
    if (event == FPD_FRAME_BAD)
        MUST(f->close_code >= FPD_CLOSE_PROTOCOL && f->close_code <= FPD_CLOSE_TOO_BIG);
    for (size_t at = 0, n; event == FPD_FRAME_TEXT && at < f->message.size; at += n) {
        n = fpd_utf8_length(f->message.data + at, f->message.size - at);
        MUST(n > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fpd_frames f = FPD_FRAMES_INIT;
    fpd_frame_event event = FPD_FRAME_NONE;
    size_t step = size > 0 ? data[0] + 1u : 1, used;

    for (size_t at = 1; at < size && event != FPD_FRAME_BAD; at += used) {
        size_t n = size - at < step ? size - at : step;

        event = fpd_frames_feed(&f, (const char *)data + at, n, &used);
        MUST(used <= n && (event != FPD_FRAME_NONE || used == n));
        judge(&f, event);
    }
    fpd_frames_dispose(&f);
    return 0;
}
