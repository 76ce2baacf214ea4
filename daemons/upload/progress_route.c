/* Owns: the WebSocket on which people watch an upload.
 * Must not know: frames. */
#include "problem.h"
#include "upload_routes.h"
#include "websocket.h"

typedef struct progress_socket {
    fpd_socket base; /* first: a pointer to it is a pointer to this */
    fpd_socket_link link;
    fpd_watcher *watcher;
    fp_upload *first;
} progress_socket;

static bool opened(fpd_socket *socket, const fpd_socket_link *link)
{
    progress_socket *s = (progress_socket *)socket;

    s->link = *link;
    fpd_watcher_start(s->watcher, link, s->first);
    fp_upload_free(s->first);
    s->first = NULL;
    return true;
}

static size_t more(fpd_socket *socket, char *text)
{
    return fpd_watcher_take(((progress_socket *)socket)->watcher, text);
}

/* The starter kit's heartbeat: what comes goes back. */
static bool echo(fpd_socket *socket, const char *text, size_t size)
{
    progress_socket *s = (progress_socket *)socket;

    return s->link.send(s->link.self, text, size);
}

static void closed(fpd_socket *socket)
{
    progress_socket *s = (progress_socket *)socket;

    fpd_watcher_free(s->watcher);
    fp_upload_free(s->first);
    free(s);
}

static bool exists(fpd_request *rq, fpd_app *app)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error err = { 0 };

    if (fp_upload_get(app->uploads, rq->parameters[0], &upload, &err) == FILEPROC_OK)
        return true;
    fpd_problem_error(rq, &err);
    return false;
}

void fpd_watch_upload(fpd_request *rq, void *user_data)
{
    fpd_app *app = user_data;
    progress_socket *s;
    fp_error err = { 0 };

    if (!fpd_websocket_check(rq) || !exists(rq, app))
        return;
    s = calloc(1, sizeof(*s));
    if (!s) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
        return;
    }
    s->base = (fpd_socket){ opened, echo, more, closed };
    /* The place first, then the state: what changes in between is published to the place. */
    s->watcher = fpd_watcher_new(app->hub, rq->parameters[0]);
    if (!s->watcher) {
        closed(&s->base);
        fpd_problem(rq, 503, "busy", "There are too many watchers at the moment.");
    } else if (fp_upload_get(app->uploads, rq->parameters[0], &s->first, &err) < 0) {
        closed(&s->base);
        fpd_problem_error(rq, &err);
    } else {
        rq->upgrade = &s->base;
    }
}
