/* Owns: the threads of replies that go on for hours, so that they hold none of the server's.
 * Must not know: what is sent. docs/internals/uploads.md tells why they are threads. */
#include "streams.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

/* By itself it would be megabytes of addresses for each. A reply is put together on the heap; the deepest that is called is a
 * database's client. */
#define STACK_SIZE ((size_t)256 * 1024)

struct fpd_streams {
    pthread_mutex_t lock;
    pthread_cond_t none;
    size_t count;
};

typedef struct stream {
    fpd_streams *streams;
    void (*serve)(void *self);
    void *self;
} stream;

fpd_streams *fpd_streams_new(void)
{
    fpd_streams *streams = calloc(1, sizeof(*streams));

    if (!streams)
        return NULL;
    pthread_mutex_init(&streams->lock, NULL);
    pthread_cond_init(&streams->none, NULL);
    return streams;
}

static void leave(fpd_streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    if (--streams->count == 0)
        pthread_cond_broadcast(&streams->none);
    pthread_mutex_unlock(&streams->lock);
}

static void enter(fpd_streams *streams)
{
    pthread_mutex_lock(&streams->lock);
    streams->count++;
    pthread_mutex_unlock(&streams->lock);
}

void fpd_streams_free(fpd_streams *streams)
{
    if (!streams)
        return;
    pthread_mutex_lock(&streams->lock);
    while (streams->count > 0)
        pthread_cond_wait(&streams->none, &streams->lock);
    pthread_mutex_unlock(&streams->lock);
    pthread_cond_destroy(&streams->none);
    pthread_mutex_destroy(&streams->lock);
    free(streams);
}

static void *run(void *arg)
{
    stream s = *(stream *)arg;

    free(arg);
    s.serve(s.self);
    leave(s.streams);
    return NULL;
}

static bool start(stream *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool ok;

    if (pthread_attr_init(&attr) != 0)
        return false;
    ok = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
         pthread_attr_setstacksize(&attr, STACK_SIZE) == 0 &&
         pthread_create(&thread, &attr, run, s) == 0;
    pthread_attr_destroy(&attr);
    return ok;
}

bool fpd_streams_run(fpd_streams *streams, void (*serve)(void *self), void *self)
{
    stream *s = malloc(sizeof(*s));

    if (!s)
        return false;
    *s = (stream){ streams, serve, self };
    enter(streams);
    if (start(s))
        return true;
    leave(streams);
    free(s);
    return false;
}
