/* Owns: a queue driver "sink" that publishes into memory, and fails when told to.
 * Must not know: what is published. */
#ifndef TESTS_FAKE_SINK_H
#define TESTS_FAKE_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include <fileproc/driver/queue_driver.h>

#define SINK_EVENTS 4096

/* One at a time in a program. */
typedef struct fake_sink {
    char ids[SINK_EVENTS][40];
    char types[SINK_EVENTS][64];
    char first_body[1024]; /* of the first event */
    size_t count;
    size_t calls;
    size_t
        fail_after; /* so many events of the next call are taken, then it answers BUSY; SIZE_MAX = never */
    long pause_ms;                      /* in each call */
    void (*meanwhile)(void *user_data); /* called in each call */
    void *user_data;
} fake_sink;

extern fake_sink sink;
extern const fp_queue_driver fake_sink_driver;
/* The same without publish. */
extern const fp_queue_driver deaf_sink_driver;

void sink_clear(void);
/* How often the event is there. */
size_t sink_seen(const char *id);

#endif
