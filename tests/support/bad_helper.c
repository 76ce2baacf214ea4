/* Owns: a helper that has been taken over, as a program: it misbehaves as its own name says ("bad_helper-hangs").
 * Must not know: the library. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL 3
#define PACKET_MAX (96 * 1024)
#define READY "{\"type\":\"ready\",\"version\":\"0.1.0\"}"

static char packet[PACKET_MAX + 1];
static long long id;
static int last_fd = -1;

static void send_text(const char *fmt, ...)
{
    static char text[4 * PACKET_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    send(CHANNEL, text, strlen(text), MSG_NOSIGNAL);
}

/* Keeps the last descriptor that came, and the id of the run. */
static void receive(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { packet, PACKET_MAX };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    ssize_t size = recvmsg(CHANNEL, &m, 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    const char *at;

    if (size <= 0)
        _exit(0);
    packet[size] = '\0';
    if (c)
        memcpy(&last_fd, CMSG_DATA(c), sizeof(int));
    at = strstr(packet, "\"id\":");
    if (at)
        id = strtoll(at + 5, NULL, 10);
}

static void send_step(int step)
{
    send_text(
        "{\"type\":\"step\",\"id\":%lld,\"step\":%d,\"result\":{\"mime_type\":\"text/plain\"}}", id,
        step);
}

static void send_done(void)
{
    send_text("{\"type\":\"done\",\"id\":%lld,\"rss_bytes\":1000}", id);
}

static void ask_output(int step)
{
    send_text("{\"type\":\"need_output\",\"id\":%lld,\"step\":%d}", id, step);
}

static void send_output(int step, const char *type, const char *extension, const char *info)
{
    send_text(
        "{\"type\":\"output\",\"id\":%lld,\"step\":%d,\"mime_type\":\"%s\",\"extension\":\"%s\","
        "\"info\":%s}",
        id, step, type, extension, info);
}

static void send_error(const char *code, int step, const char *permanent)
{
    send_text("{\"type\":\"error\",\"id\":%lld,\"step\":%d,\"code\":\"%s\",\"detail\":\"so it is\","
              "\"permanent\":%s}",
              id, step, code, permanent);
}

static void hang(void)
{
    for (;;)
        pause();
}

/* ---- before "ready" ---- */

static void exits_at_once(void)
{
    _exit(5);
}

static void ready_of_another_version(void)
{
    send_text("{\"type\":\"ready\",\"version\":\"9.7.3\"}");
    hang();
}

static void never_ready(void)
{
    hang();
}

static void never_reads(void)
{
    send_text(READY);
    hang();
}

static void babbles(void)
{
    send_text("good morning");
    hang();
}

/* ---- after the run came; steps are 0 (file.type), 1, 2 ---- */

static void exits_86(void)
{
    _exit(86);
}

static void exits_7(void)
{
    _exit(7);
}

static void segfaults(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void out_of_cpu(void)
{
    raise(SIGXCPU);
}

static void closes_and_stays(void)
{
    close(CHANNEL);
    hang();
}

static void empty_packet(void)
{
    send(CHANNEL, "", 0, MSG_NOSIGNAL);
    hang();
}

static void wrong_id(void)
{
    id++;
    send_step(0);
}

static void step_out_of_order(void)
{
    send_step(1);
}

static void step_twice(void)
{
    send_step(0);
    send_step(0);
}

static void one_step_too_many(void)
{
    for (int i = 0; i < 4; i++)
        send_step(i);
}

static void done_too_early(void)
{
    send_done();
}

static void oversize_packet(void)
{
    static char much[2 * PACKET_MAX];

    memset(much, ' ', sizeof(much));
    send(CHANNEL, much, sizeof(much), MSG_NOSIGNAL);
}

static void no_json(void)
{
    send_text("\"step\"");
}

static void too_deep(void)
{
    static char deep[2000];

    memset(deep, '[', sizeof(deep));
    send(CHANNEL, deep, sizeof(deep), MSG_NOSIGNAL);
}

static void no_type(void)
{
    send_text("{\"id\":%lld}", id);
}

static void unknown_type(void)
{
    send_text("{\"type\":\"party\",\"id\":%lld,\"step\":0}", id);
}

static void result_is_no_object(void)
{
    send_text("{\"type\":\"step\",\"id\":%lld,\"step\":0,\"result\":[]}", id);
}

static void type_is_no_type(void)
{
    send_text("{\"type\":\"step\",\"id\":%lld,\"step\":0,\"result\":{\"mime_type\":\"<b>\"}}", id);
}

static void sends_descriptors(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = { 0 };
    char text[100];
    struct iovec part = { text, 0 };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    const int fds[] = { 0, 1, 2 };

    part.iov_len =
        (size_t)snprintf(text, sizeof(text), "{\"type\":\"done\",\"id\":%lld,\"rss_bytes\":1}", id);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    sendmsg(CHANNEL, &m, MSG_NOSIGNAL);
}

static void output_of_the_detection(void)
{
    ask_output(0);
}

static void output_unasked(void)
{
    send_step(0);
    send_output(1, "image/webp", "webp", "{}");
}

static void two_outputs_at_a_time(void)
{
    send_step(0);
    ask_output(1);
    ask_output(1);
}

static void step_without_its_output(void)
{
    send_step(0);
    ask_output(1);
    send_step(1);
}

static void output_type_is_none(void)
{
    send_step(0);
    ask_output(1);
    send_output(1, "image/webp\\r\\nX: y", "webp", "{}");
}

static void extension_climbs(void)
{
    send_step(0);
    ask_output(1);
    send_output(1, "image/webp", "/../x", "{}");
}

static void info_is_no_object(void)
{
    send_step(0);
    ask_output(1);
    send_output(1, "image/webp", "webp", "7");
}

static void floods_need_output(void)
{
    send_step(0);
    for (;;) {
        ask_output(1);
        send_output(1, "image/webp", "webp", "{}");
    }
}

static void output_too_large(void)
{
    send_step(0);
    ask_output(1);
    receive();
    if (ftruncate(last_fd, 1 << 20) != 0)
        _exit(9);
    send_output(1, "image/webp", "webp", "{}");
    send_step(1);
}

static void unknown_error(void)
{
    send_error("all_is_lost", 0, "true");
}

static void error_of_the_library(void)
{
    send_error("file_not_found", 0, "true");
}

static void error_of_a_step_before(void)
{
    send_step(0);
    send_error("media_damaged", 0, "true");
}

static void permanent_is_a_number(void)
{
    send_error("media_damaged", 0, "1");
}

static void hangs(void)
{
    hang();
}

static void hangs_after_a_step(void)
{
    send_step(0);
    send_step(1);
    hang();
}

static void works_slowly_but_steadily(void)
{
    send_step(0);
    for (int i = 0; i < 300; i++) {
        ask_output(1);
        receive();
        usleep(5000);
        send_output(1, "image/webp", "webp", "{}");
    }
    send_step(1);
    send_step(2);
    send_done();
}

/* An error that a step of the real helper may give, then a good run: the process is the same. */
static void fails_then_works(void)
{
    static int runs;

    if (runs++ == 0) {
        send_error("media_damaged", 0, "true");
        return;
    }
    send_step(0);
    send_step(1);
    send_step(2);
    send_done();
}

static void grows(void)
{
    send_step(0);
    send_step(1);
    send_step(2);
    send_text("{\"type\":\"done\",\"id\":%lld,\"rss_bytes\":900000000}", id);
}

static void works(void)
{
    send_step(0);
    send_step(1);
    send_step(2);
    send_done();
}

static void works_with_an_output(void)
{
    send_step(0);
    ask_output(1);
    receive();
    send_output(1, "image/webp", "webp", "{}");
    send_step(1);
    send_step(2);
    send_done();
}

/* Says a word too many between two runs. */
static void chats_while_idle(void)
{
    works();
    send_done();
}

#define ROW(name)                                                                                  \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct {
    const char *name;
    void (*play)(void);
} before_ready[] = { ROW(exits_at_once), ROW(ready_of_another_version), ROW(never_ready),
                     ROW(never_reads), ROW(babbles) },
  in_run[] = {
      ROW(chats_while_idle),
      ROW(closes_and_stays),
      ROW(done_too_early),
      ROW(empty_packet),
      ROW(error_of_a_step_before),
      ROW(error_of_the_library),
      ROW(exits_7),
      ROW(exits_86),
      ROW(extension_climbs),
      ROW(fails_then_works),
      ROW(floods_need_output),
      ROW(grows),
      ROW(hangs),
      ROW(hangs_after_a_step),
      ROW(info_is_no_object),
      ROW(no_json),
      ROW(no_type),
      ROW(one_step_too_many),
      ROW(out_of_cpu),
      ROW(output_of_the_detection),
      ROW(output_too_large),
      ROW(output_type_is_none),
      ROW(output_unasked),
      ROW(oversize_packet),
      ROW(permanent_is_a_number),
      ROW(result_is_no_object),
      ROW(segfaults),
      ROW(sends_descriptors),
      ROW(step_out_of_order),
      ROW(step_twice),
      ROW(step_without_its_output),
      ROW(too_deep),
      ROW(two_outputs_at_a_time),
      ROW(type_is_no_type),
      ROW(unknown_error),
      ROW(unknown_type),
      ROW(works),
      ROW(works_slowly_but_steadily),
      ROW(works_with_an_output),
      ROW(wrong_id),
  };

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? strrchr(argv[0], '-') : NULL;

    /* Not even it outlives a test that failed. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    name = name ? name + 1 : "";
    for (size_t i = 0; i < sizeof(before_ready) / sizeof(*before_ready); i++)
        if (strcmp(before_ready[i].name, name) == 0)
            before_ready[i].play();
    send_text(READY);
    for (size_t i = 0; i < sizeof(in_run) / sizeof(*in_run); i++)
        while (strcmp(in_run[i].name, name) == 0) {
            receive();
            in_run[i].play();
        }
    fprintf(stderr, "bad_helper: \"%s\" is nothing that it can play\n", name);
    return 2;
}
