/* Owns: the event streams on which people watch one upload and its job, or everything that happens.
 * Must not know: how an event is written to a connection (event_stream.h), or kept (feed.h). */
#include <stdlib.h>
#include <string.h>

#include <fileproc/quarantine.h>

#include "clock.h"
#include "event_stream.h"
#include "page.h"
#include "percentage.h"
#include "problem.h"
#include "upload_routes.h"

/* A silent connection says so much that it is alive. */
#define HEARTBEAT_NS INT64_C(15000000000)
/* How long a watcher may take nothing at all. */
#define SLOW_NS INT64_C(10000000000)
/* A peer that went away, and an end, are noticed so soon. */
#define LOOK_MS 2000
#define ROOM_MS 200
/* Of how many uploads and jobs is remembered whose they are. */
#define OWNERS 16u

/* Somebody who watches; on a thread of its own once the head is sent. */
typedef struct watching {
    fpd_app *app;
    fpd_event_stream stream;
    fpd_feed_watcher place;
    int64_t wrote_ns;
    unsigned kinds;
    const char *upload_id; /* NULL: everything is watched */
    const char *owner;     /* NULL: anybody's */
    const char *last_seen; /* NULL: he comes for the first time */
    struct {
        char id[FPD_FEED_ID_SIZE];
        bool is_his;
    } owners[OWNERS];
    size_t owners_next;
    fpd_event upload, job,
        file; /* what was last sent of the one upload, its job, and its file; a kind of 0 = nothing */
} watching;

/* ---- sending ---- */

/* Whoever does not read is dropped as soon as he is so far behind that he can't be told everything, or after a while. */
static bool wait_for_room(watching *x)
{
    int64_t until = fpd_monotonic_ns() + SLOW_NS;

    while (!fpd_event_stream_has_room(&x->stream, ROOM_MS))
        if (fpd_monotonic_ns() > until || fpd_feed_is_over(&x->place)) {
            fpd_metric_count(x->app->streams_dropped, NULL, 1);
            return false;
        }
    return true;
}

static bool send_event(watching *x, uint64_t number, const char *name, const fpd_text *data)
{
    char id[FPD_FEED_NUMBER_SIZE];

    fpd_feed_number(x->app->feed, number, id);
    x->wrote_ns = fpd_monotonic_ns();
    return wait_for_room(x) && fpd_event_stream_send(&x->stream, id, name, data);
}

static bool send_reset(watching *x, uint64_t number, const char *reason)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(256);

    fpd_text_printf(&data, "{\"reason\":\"%s\"}", reason);
    return send_event(x, number, "reset", &data);
}

static void write_id(fpd_text *data, const char *name, const char *id)
{
    if (!id[0])
        return;
    fpd_text_printf(data, ",\"%s\":", name);
    fpd_text_json(data, id);
}

static bool send_upload(watching *x, const fpd_event *e)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(2048);
    double percentage = fpd_percentage(e->chunks, e->total, e->size_unknown);

    x->upload = *e;
    fpd_text_string(&data, "{\"upload_id\":");
    fpd_text_json(&data, e->upload_id);
    fpd_text_printf(&data,
                    ",\"chunks_uploaded\":%llu,\"total_chunks\":%llu,\"percentage\":%.2f,"
                    "\"status\":",
                    (unsigned long long)e->chunks, (unsigned long long)e->total, percentage);
    fpd_text_json(&data, e->state);
    write_id(&data, "file_id", e->file_id);
    write_id(&data, "job_id", e->job_id);
    fpd_text_string(&data, "}");
    return send_event(x, e->number, "upload", &data);
}

static bool send_job(watching *x, const fpd_event *e)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(2048);

    x->job = *e;
    fpd_text_string(&data, "{\"job_id\":");
    fpd_text_json(&data, e->job_id);
    write_id(&data, "file_id", e->file_id);
    fpd_text_string(&data, ",\"state\":");
    fpd_text_json(&data, e->state);
    fpd_text_printf(&data, ",\"progress\":%.4g}", e->progress);
    return send_event(x, e->number, "job", &data);
}

/* The file's state, and where in its checks that is. */
static bool send_file(watching *x, const fpd_event *e)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(512);
    const char *state = strcmp(e->state, "released") == 0   ? "available"
                        : strcmp(e->state, "rejected") == 0 ? "rejected"
                                                            : "quarantined";

    x->file = *e;
    fpd_text_string(&data, "{\"file_id\":");
    fpd_text_json(&data, e->file_id);
    fpd_text_printf(&data, ",\"state\":\"%s\",\"quarantine\":", state);
    fpd_text_json(&data, e->state);
    fpd_text_string(&data, "}");
    return send_event(x, e->number, "file", &data);
}

/* ---- the state of one upload ---- */

/* Of an upload or a job: what is so stays so. */
static bool is_final(const char *state)
{
    static const char *const final[] = { "completed", "cancelled", "failed", "succeeded", "dead" };

    for (size_t i = 0; i < sizeof(final) / sizeof(*final); i++)
        if (strcmp(final[i], state) == 0)
            return true;
    return false;
}

/* Who watches one upload never sees it go back, and nothing twice. */
static bool is_news(const watching *x, const fpd_event *e)
{
    const fpd_event *last = e->kind == FPD_EVENT_JOB    ? &x->job
                            : e->kind == FPD_EVENT_FILE ? &x->file
                                                        : &x->upload;

    if (!x->upload_id || !last->kind)
        return true;
    if (e->kind == FPD_EVENT_FILE)
        return strcmp(e->state, last->state) != 0;
    if (e->kind == FPD_EVENT_JOB)
        return strcmp(e->job_id, last->job_id) != 0 ||
               (!is_final(last->state) &&
                (strcmp(e->state, last->state) != 0 || e->progress != last->progress));
    return !is_final(last->state) && e->chunks >= last->chunks &&
           (e->chunks > last->chunks || strcmp(e->state, last->state) != 0);
}

static bool pass_on(watching *x, const fpd_event *e)
{
    if (!is_news(x, e))
        return true;
    if (e->kind == FPD_EVENT_FILE)
        return send_file(x, e);
    return e->kind == FPD_EVENT_JOB ? send_job(x, e) : send_upload(x, e);
}

static void copy(char *to, size_t capacity, const char *text)
{
    if (text && strlen(text) < capacity)
        memcpy(to, text, strlen(text) + 1);
}

static bool pass_on_upload(watching *x, const fp_upload *upload, uint64_t number)
{
    fpd_event e = { .number = number,
                    .kind = FPD_EVENT_UPLOAD,
                    .chunks = upload->chunks_uploaded,
                    .total = upload->total_chunks,
                    .size_unknown = upload->size_unknown };

    copy(e.upload_id, sizeof(e.upload_id), upload->id);
    copy(e.file_id, sizeof(e.file_id), upload->file_id);
    copy(e.job_id, sizeof(e.job_id), upload->job_id);
    copy(e.state, sizeof(e.state), upload->status);
    return pass_on(x, &e);
}

static bool pass_on_job(watching *x, const char *job_id, uint64_t number)
{
    fpd_event e = { .number = number, .kind = FPD_EVENT_JOB };
    FPD_CLEANUP(fp_job) job = NULL;
    fp_status rc = fp_job_get(x->app->jobs, job_id, &job, NULL);

    if (rc == FILEPROC_ERR_NOTFOUND) /* forgotten since */
        return true;
    if (rc < 0)
        return false;
    copy(e.job_id, sizeof(e.job_id), job->id);
    copy(e.file_id, sizeof(e.file_id), job->file_id);
    copy(e.state, sizeof(e.state), job->state);
    e.progress = job->progress;
    return pass_on(x, &e);
}

static bool pass_on_file(watching *x, const char *file_id, uint64_t number)
{
    fpd_event e = { .number = number, .kind = FPD_EVENT_FILE };
    fp_quarantine *record = NULL;
    fp_status rc = fp_quarantine_get(x->app->jobs, file_id, &record, NULL);

    if (rc == FILEPROC_ERR_NOTFOUND) /* it was there at once, or is deleted */
        return true;
    if (rc < 0)
        return false;
    copy(e.file_id, sizeof(e.file_id), file_id);
    copy(e.state, sizeof(e.state), record->state);
    fp_quarantine_free(record);
    return pass_on(x, &e);
}

static fp_status read_upload(watching *x, fp_upload **upload)
{
    fp_status rc = fp_upload_get(x->app->uploads, x->upload_id, upload, NULL);

    if (rc == FILEPROC_OK && (*upload)->file_id)
        fpd_feed_set_file(&x->place, (*upload)->file_id);
    return rc;
}

/* The truth, from where it is kept. What happens after `number` comes as events. */
static bool send_state(watching *x, uint64_t number)
{
    FPD_CLEANUP(fp_upload) upload = NULL;

    return read_upload(x, &upload) == FILEPROC_OK && pass_on_upload(x, upload, number) &&
           (!upload->job_id || pass_on_job(x, upload->job_id, number)) &&
           (!upload->file_id || !x->app->quarantine || pass_on_file(x, upload->file_id, number));
}

/* ---- owners ---- */

/* 1 = his, 0 = not his, -1 = it can't be found out. */
static int ask_owner(const watching *x, const fpd_event *e)
{
    FPD_CLEANUP(fp_upload) upload = NULL;
    FPD_CLEANUP(fp_file) file = NULL;
    FPD_CLEANUP(fp_job) job = NULL;
    fp_status rc = e->kind == FPD_EVENT_JOB ? fp_job_get(x->app->jobs, e->job_id, &job, NULL)
                   : e->kind == FPD_EVENT_FILE
                       ? fp_catalog_get(x->app->catalog, e->file_id, &file, NULL)
                       : fp_upload_get(x->app->uploads, e->upload_id, &upload, NULL);
    const char *owner = job ? job->owner : file ? file->owner : upload ? upload->owner : NULL;

    if (rc < 0)
        return rc == FILEPROC_ERR_NOTFOUND ? 0 : -1;
    return owner && strcmp(owner, x->owner) == 0;
}

/* Owners do not change, so each is asked for once while it is remembered. */
static int is_his(watching *x, const fpd_event *e)
{
    const char *id = e->kind == FPD_EVENT_JOB    ? e->job_id
                     : e->kind == FPD_EVENT_FILE ? e->file_id
                                                 : e->upload_id;
    int his;

    if (!x->owner)
        return 1;
    for (size_t i = 0; i < OWNERS; i++)
        if (strcmp(x->owners[i].id, id) == 0)
            return x->owners[i].is_his;
    his = ask_owner(x, e);
    if (his >= 0) {
        copy(x->owners[x->owners_next].id, FPD_FEED_ID_SIZE, id);
        x->owners[x->owners_next].is_his = his == 1;
        x->owners_next = (x->owners_next + 1) % OWNERS;
    }
    return his;
}

/* ---- watching ---- */

/* Something that other daemons told may be missing: of one upload the truth is read, of everything it can't be. */
static bool mend_gap(watching *x, uint64_t number)
{
    return x->upload_id ? send_state(x, number) : send_reset(x, number, "gap");
}

static bool obey(watching *x, const fpd_event *e)
{
    int his;

    if (e->kind == FPD_EVENT_GAP)
        return mend_gap(x, e->number);
    his = is_his(x, e);
    return his == 1 ? pass_on(x, e) : his == 0;
}

/* Another daemon may have died between a commit and the telling, so after a silence the truth is read; if that fails, the next time. */
static bool stay_alive(watching *x)
{
    if (fpd_event_stream_is_gone(&x->stream))
        return false;
    if (fpd_monotonic_ns() - x->wrote_ns < HEARTBEAT_NS)
        return true;
    if (x->app->bridge && x->upload_id)
        (void)send_state(x, x->place.taken);
    x->wrote_ns = fpd_monotonic_ns();
    return wait_for_room(x) && fpd_event_stream_heartbeat(&x->stream);
}

/* Answers false when it is time to end. */
static bool serve_next(watching *x, int64_t timeout_ms)
{
    fpd_event e;

    switch (fpd_feed_next(&x->place, timeout_ms, &e)) {
    case FPD_FEED_EVENT:
        return obey(x, &e);
    case FPD_FEED_NOTHING:
        return stay_alive(x);
    case FPD_FEED_BEHIND:
        fpd_metric_count(x->app->streams_dropped, NULL, 1);
        return false;
    default:
        return false;
    }
}

static bool send_ready(watching *x, uint64_t number)
{
    FPD_DISPOSE(fpd_text) data = FPD_TEXT_INIT(16);

    fpd_text_string(&data, "{}");
    return send_event(x, number, "ready", &data);
}

/* What was missed, or that it isn't known; and then what is the case. */
static bool catch_up(watching *x, fpd_feed_start start)
{
    uint64_t newest = x->place.entered;
    FPD_CLEANUP(fp_upload) upload = NULL;

    if (start == FPD_FEED_OLD && !send_reset(x, newest, "too_old"))
        return false;
    if (start == FPD_FEED_FOREIGN && !send_reset(x, newest, "other_process"))
        return false;
    if (x->upload_id && read_upload(x, &upload) < 0) /* its jobs are replayed, too */
        return false;
    while (start == FPD_FEED_REPLAY && x->place.taken < newest) {
        fpd_event e;
        fpd_feed_result result = fpd_feed_next(&x->place, 0, &e);

        if (result == FPD_FEED_NOTHING)
            break;
        if (result != FPD_FEED_EVENT || !obey(x, &e))
            return false;
    }
    return x->upload_id ? send_state(x, newest) : send_ready(x, newest);
}

static void watch(watching *x)
{
    fpd_feed_start start;

    if (x->app->bridge && x->app->has_redis)
        fpd_progress_bridge_follow(x->app->bridge);
    start = fpd_feed_enter(x->app->feed, &x->place, x->kinds, x->upload_id, x->last_seen);
    if (catch_up(x, start))
        while (serve_next(x, LOOK_MS)) {
        }
    fpd_feed_leave(&x->place);
}

static void release(watching *x)
{
    free((char *)x->upload_id);
    free((char *)x->owner);
    free((char *)x->last_seen);
    free(x);
}

/* The connection first: who counts the watchers then finds that it is closed. */
static void end(watching *x)
{
    fpd_event_stream_end(&x->stream);
    fpd_hub_give_place(x->app->hub);
    release(x);
}

static void serve(void *self)
{
    watch(self);
    end(self);
}

static bool keep(const char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

/* It outlives the request. NULL: out of memory. */
static watching *keep_for_long(const watching *asked)
{
    watching *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->app = asked->app;
    x->kinds = asked->kinds;
    x->wrote_ns = fpd_monotonic_ns();
    if (keep(&x->upload_id, asked->upload_id) && keep(&x->owner, asked->owner) &&
        keep(&x->last_seen, asked->last_seen))
        return x;
    release(x);
    return NULL;
}

/* Once the head is sent only the connection's end can tell that there is no thread; the peer then comes back by itself. */
static void begin(watching *x, fpd_request *rq)
{
    if (!fpd_event_stream_begin(&x->stream, rq)) {
        fpd_hub_give_place(x->app->hub);
        release(x);
    } else if (!fpd_streams_run(x->app->streams, serve, x)) {
        end(x);
    }
}

static void serve_stream(watching *asked, fpd_request *rq)
{
    watching *x;

    asked->last_seen = fpd_request_header(rq, "Last-Event-ID");
    x = keep_for_long(asked);
    if (!x) {
        fpd_problem(rq, 503, "busy", "The server is out of memory.");
    } else if (!fpd_hub_take_place(x->app->hub)) {
        release(x);
        fpd_problem(rq, 503, "busy", "There are too many watchers at the moment.");
    } else {
        begin(x, rq);
    }
}

void fpd_stream_upload(fpd_request *rq, void *user_data)
{
    watching x = { .app = user_data,
                   .upload_id = rq->parameters[0],
                   .kinds = FPD_EVENT_UPLOAD | FPD_EVENT_JOB | FPD_EVENT_FILE };
    FPD_CLEANUP(fp_upload) upload = NULL;
    fp_error err = { 0 };

    if (fp_upload_get(x.app->uploads, x.upload_id, &upload, &err) < 0)
        fpd_problem_error(rq, &err);
    else
        serve_stream(&x, rq);
}

/* ?type=upload, job or file; absent: all. */
static bool read_kinds(fpd_request *rq, unsigned *kinds)
{
    char text[32];
    const char *type;

    if (!fpd_page_filter(rq, "type", text, sizeof(text), &type))
        return false;
    *kinds = !type                         ? FPD_EVENT_UPLOAD | FPD_EVENT_JOB | FPD_EVENT_FILE
             : strcmp(type, "upload") == 0 ? FPD_EVENT_UPLOAD
             : strcmp(type, "job") == 0    ? FPD_EVENT_JOB
             : strcmp(type, "file") == 0   ? FPD_EVENT_FILE
                                           : 0u;
    if (!*kinds)
        fpd_problem(rq, 422, "parameter_invalid",
                    "There are events of the types upload, job and file.");
    return *kinds != 0;
}

void fpd_stream_events(fpd_request *rq, void *user_data)
{
    watching x = { .app = user_data };
    char owner[256];

    if (read_kinds(rq, &x.kinds) && fpd_page_filter(rq, "owner", owner, sizeof(owner), &x.owner))
        serve_stream(&x, rq);
}
