/* Owns: a fileproc-media process that is kept warm, and the packets to and from it.
 * Must not know: what a run asks for (helper_run.c). */
#include "pipeline/helper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <fileproc/version.h>

#include "core/error_private.h"
#include "media/protocol.h"

/* A process that closed its socket is given so long to end by itself, so that it can be told why it did. */
#define GRACE_MS 400
/* "At least once a second" is kept with room to spare. */
#define TICK_MS 500
/* What a helper may keep between runs: seven times what a fresh one does. */
#define KEEP_BYTES (UINT64_C(256) << 20)
/* The wall clock is the limit that counts. This one is for a process that nobody watches any more; it may use several cores. */
#define CPU_PER_WALL 4u

#define NUMBER_SIZE 24
#define END_SIZE 48

fp_status fpi_helper_init(const fp_pipelines *pls, fpi_helper *h, fp_error *err)
{
    *h = (fpi_helper){ .pls = pls, .process = FPI_PROCESS_INIT, .fd = -1 };
    h->buffer = fpi_alloc(&pls->ctx->a, FPI_MEDIA_PACKET_MAX);
    return h->buffer ? FILEPROC_OK : fpi_no_memory(err);
}

static void end_process(fpi_helper *h, int grace_ms)
{
    if (h->fd < 0)
        return;
    h->end = fpi_process_end(&h->process, grace_ms);
    /* Afterwards, lest a helper that is told to die complains of it on our stderr. */
    close(h->fd);
    h->fd = -1;
}

void fpi_helper_kill(fpi_helper *h)
{
    end_process(h, 0);
    h->end = (fpi_process_exit){ 0, -1, true };
}

void fpi_helper_break_off(fpi_helper *h)
{
    if (h->fd >= 0)
        fpi_helper_kill(h);
}

void fpi_helper_dispose(fpi_helper *h)
{
    if (!h->pls)
        return;
    fpi_helper_kill(h);
    fpi_free(&h->pls->ctx->a, h->buffer);
    h->pls = NULL;
}

fp_status fpi_helper_violation(fpi_helper *h, fp_error *err, const char *fmt, ...)
{
    char what[120];
    va_list args;

    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    fpi_helper_kill(h);
    return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_CRASHED,
                            "the helper was killed because it broke the protocol: %s", what);
}

static void describe_end(const fpi_process_exit *end, char how[END_SIZE])
{
    const char *name = end->signal ? sigabbrev_np(end->signal) : NULL;

    if (end->killed)
        snprintf(how, END_SIZE, "it closed its connection");
    else if (name)
        snprintf(how, END_SIZE, "SIG%s", name);
    else if (end->signal)
        snprintf(how, END_SIZE, "signal %d", end->signal);
    else if (end->status >= 0)
        snprintf(how, END_SIZE, "exit status %d", end->status);
    else
        snprintf(how, END_SIZE, "for an unknown reason");
}

static fp_status report_end(const fpi_helper *h, const fpi_helper_wait *w, fp_error *err)
{
    const char *path = h->pls->helper_path;
    char how[END_SIZE];

    describe_end(&h->end, how);
    if (!h->end.signal && h->end.status == FPI_MEDIA_EXIT_MEMORY)
        return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_MEMORY,
                                "the helper ran out of memory in step %.64s", w->step);
    if (!h->ready)
        return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_UNAVAILABLE,
                                "the helper program %.110s ended before it was ready: %s", path,
                                how);
    if (h->end.signal == SIGXCPU)
        return fp_error_reasonf(err, FILEPROC_ERR_TIMEOUT, FILEPROC_REASON_HELPER_TIMEOUT,
                                "the helper used up its processor time in step %.64s", w->step);
    return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_CRASHED,
                            "the helper crashed in step %.64s: %s", w->step, how);
}

/* The socket is closed at the other end. */
static fp_status ended(fpi_helper *h, const fpi_helper_wait *w, fp_error *err)
{
    end_process(h, GRACE_MS);
    return report_end(h, w, err);
}

bool fpi_helper_died_idle(const fpi_helper *h)
{
    int s = h->end.signal;

    return h->fd < 0 && !h->end.killed && !h->answered && h->pipelines > 1 &&
           (s == SIGKILL || s == SIGTERM || s == SIGINT || s == SIGHUP);
}

static fp_status start_process(fpi_helper *h, fp_error *err)
{
    const fp_pipelines_options *o = &h->pls->o;
    char parent[NUMBER_SIZE], memory[NUMBER_SIZE], cpu[NUMBER_SIZE], file[NUMBER_SIZE];
    char *argv[] = {
        h->pls->helper_path, "--parent-pid", parent, "--memory", memory, "--cpu-seconds", cpu,
        "--file-size",       file,           NULL
    };
    FPI_FD theirs = -1;
    int ends[2];
    fp_status rc;

    snprintf(parent, sizeof(parent), "%ld", (long)getpid());
    snprintf(memory, sizeof(memory), "%" PRIu64, o->helper_memory_bytes);
    snprintf(cpu, sizeof(cpu), "%u", (o->wall_clock_ms / 1000 + 1) * CPU_PER_WALL);
    snprintf(file, sizeof(file), "%" PRIu64, o->max_output_bytes);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return fpi_error_errno(err, errno, "starting the helper");
    theirs = ends[1];
    rc = fpi_process_start(argv, theirs, &h->process, err);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    h->fd = ends[0];
    h->pipelines = 1;
    h->ready = h->worn = false;
    return FILEPROC_OK;
}

/* Helper and library are installed together, but an upgrade can come between a program's start and its first run. */
static fp_status check_version(fpi_helper *h, const json_t *ready, fp_error *err)
{
    const char *type = json_string_value(json_object_get(ready, "type"));
    const char *theirs = json_string_value(json_object_get(ready, "version"));
    const char *ours = fp_version_string();
    size_t series = strcspn(ours, ".");

    series += 1 + strcspn(ours + series + 1, ".") + 1;
    if (strcmp(type, "ready") != 0 || !theirs)
        return fpi_helper_violation(h, err, "it did not say that it is ready");
    if (strncmp(theirs, ours, series) == 0)
        return FILEPROC_OK;
    fpi_helper_kill(h);
    return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_UNAVAILABLE,
                            "the helper program %.100s is of version %.20s, the library of %.20s",
                            h->pls->helper_path, theirs, ours);
}

static fp_status start(fpi_helper *h, fpi_helper_wait *w, fp_error *err)
{
    FPI_CLEANUP(json_t) packet = NULL;
    fp_status rc = start_process(h, err);

    if (rc == FILEPROC_OK)
        rc = fpi_helper_receive(h, w, &packet, err);
    if (rc == FILEPROC_OK)
        rc = check_version(h, packet, err);
    h->ready = rc == FILEPROC_OK;
    return rc;
}

/* An idle helper has nothing to say; that its socket is readable means that it is closed, or that the process is not what it was. */
static bool is_quiet(const fpi_helper *h)
{
    struct pollfd p = { .fd = h->fd, .events = POLLIN };

    return poll(&p, 1, 0) == 0;
}

void fpi_helper_begin(fpi_helper *h)
{
    if (h->fd < 0)
        return;
    if (is_quiet(h))
        h->pipelines++;
    else
        fpi_helper_kill(h);
}

void fpi_helper_finish(fpi_helper *h)
{
    if (h->worn || h->pipelines >= h->pls->o.jobs_per_helper)
        fpi_helper_kill(h);
}

void fpi_helper_weigh(fpi_helper *h, uint64_t rss_bytes)
{
    uint64_t most = h->pls->o.helper_memory_bytes / 2;

    if (rss_bytes > (most < KEEP_BYTES ? most : KEEP_BYTES))
        h->worn = true;
}

/* 0, or errno. Never waits: the helper reads whatever it has asked for, so a full socket is no honest one's. */
static int send_packet(int socket, const fp_buf *text, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec part = { text->data, text->size };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    ssize_t sent;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    do
        sent = sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

static bool is_gone(int failed)
{
    return failed == EPIPE || failed == ECONNRESET;
}

fp_status fpi_helper_request(fpi_helper *h, fpi_helper_wait *w, const json_t *packet, int fd,
                             fp_error *err)
{
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    bool warm = h->fd >= 0;
    fp_status rc = fpi_json_dump(h->pls->ctx, packet, &text, err);
    int failed;

    if (rc == FILEPROC_OK && !warm)
        rc = start(h, w, err);
    if (rc < 0)
        return rc;
    failed = send_packet(h->fd, &text, fd);
    /* It died while it was idle; a fresh one knows no more than it did. */
    if (warm && is_gone(failed)) {
        fpi_helper_kill(h);
        rc = start(h, w, err);
        if (rc < 0)
            return rc;
        failed = send_packet(h->fd, &text, fd);
    }
    h->answered = false;
    if (is_gone(failed))
        return ended(h, w, err);
    if (failed) {
        fpi_helper_kill(h);
        return fpi_error_errno(err, failed, "sending to the helper");
    }
    return FILEPROC_OK;
}

fp_status fpi_helper_send(fpi_helper *h, const json_t *packet, int fd, fp_error *err)
{
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    fp_status rc = fpi_json_dump(h->pls->ctx, packet, &text, err);
    int failed = rc < 0 ? 0 : send_packet(h->fd, &text, fd);

    if (failed == EAGAIN)
        return fpi_helper_violation(h, err, "it asks without reading the answers");
    /* When it has gone, the next fpi_helper_receive() says so, and how. */
    if (rc == FILEPROC_OK && (!failed || is_gone(failed)))
        return FILEPROC_OK;
    fpi_helper_kill(h);
    return rc < 0 ? rc : fpi_error_errno(err, failed, "sending to the helper");
}

static fp_status timed_out(fpi_helper *h, const fpi_helper_wait *w, fp_error *err)
{
    fpi_helper_kill(h);
    return fp_error_reasonf(
        err, FILEPROC_ERR_TIMEOUT, FILEPROC_REASON_HELPER_TIMEOUT,
        "the helper was killed in step %.64s: the pipeline took longer than %u ms", w->step,
        h->pls->o.wall_clock_ms);
}

static fp_status tick_if_due(fpi_helper *h, fpi_helper_wait *w, fp_error *err)
{
    int64_t now = fpi_monotonic_ms();
    fp_status rc;

    if (atomic_load(w->cancelled)) {
        fpi_helper_kill(h);
        return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "the run was cancelled");
    }
    if (now - w->last_tick_ms < TICK_MS)
        return FILEPROC_OK;
    rc = w->tick(w->user_data, err);
    w->last_tick_ms = fpi_monotonic_ms();
    if (rc < 0)
        fpi_helper_kill(h);
    return rc;
}

/* Until the socket can be read. */
static fp_status wait_readable(fpi_helper *h, fpi_helper_wait *w, fp_error *err)
{
    struct pollfd p[] = { { .fd = h->fd, .events = POLLIN },
                          { .fd = w->cancel_fd, .events = POLLIN } };

    for (;;) {
        fp_status rc = tick_if_due(h, w, err);
        int64_t start = fpi_monotonic_ms(), tick_in = TICK_MS - (start - w->last_tick_ms);
        int found;

        if (rc < 0)
            return rc;
        if (w->left_ms <= 0)
            return timed_out(h, w, err);
        tick_in = tick_in < 1 ? 1 : tick_in;
        found = poll(p, 2, (int)(tick_in < w->left_ms ? tick_in : w->left_ms));
        w->left_ms -= fpi_monotonic_ms() - start;
        if (found > 0 && p[0].revents)
            return FILEPROC_OK;
        if (found < 0 && errno != EINTR) {
            rc = fpi_error_errno(err, errno, "waiting for the helper");
            fpi_helper_kill(h);
            return rc;
        }
    }
}

/* No room for control data: descriptors that come along are never installed in this process, the kernel drops them and says so. */
static ssize_t receive_bytes(const fpi_helper *h, int *flags)
{
    struct iovec part = { h->buffer, FPI_MEDIA_PACKET_MAX };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t size;

    do
        size = recvmsg(h->fd, &m, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    *flags = m.msg_flags;
    return size;
}

static fp_status parse_packet(fpi_helper *h, size_t size, json_t **packet, fp_error *err)
{
    FPI_CLEANUP(json_t) json = NULL;
    fp_status rc = fpi_json_parse(h->buffer, size, "packet", &json, err);

    if (rc == FILEPROC_ERR_NOMEM) {
        fpi_helper_kill(h);
        return rc;
    }
    if (rc < 0 || !json_is_string(json_object_get(json, "type")))
        return fpi_helper_violation(h, err, "a packet is no object with a type");
    *packet = fpi_steal(&json);
    return FILEPROC_OK;
}

fp_status fpi_helper_receive(fpi_helper *h, fpi_helper_wait *w, json_t **packet, fp_error *err)
{
    ssize_t size;
    int flags;

    do {
        fp_status rc = wait_readable(h, w, err);

        if (rc < 0)
            return rc;
        size = receive_bytes(h, &flags);
    } while (size < 0 && errno == EAGAIN);
    /* ECONNRESET: it ended before it read all that it was sent. */
    if (size == 0 || (size < 0 && errno == ECONNRESET))
        return ended(h, w, err);
    if (size < 0) {
        int failed = errno;

        fpi_helper_kill(h);
        return fpi_error_errno(err, failed, "receiving from the helper");
    }
    h->answered = true;
    if (flags & MSG_CTRUNC)
        return fpi_helper_violation(h, err, "it sent a descriptor");
    if (flags & MSG_TRUNC)
        return fpi_helper_violation(h, err, "a packet is larger than %u bytes",
                                    FPI_MEDIA_PACKET_MAX);
    return parse_packet(h, (size_t)size, packet, err);
}
