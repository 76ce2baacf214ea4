/* Owns: the tests of pipeline/helper.c, helper_process.c and run_helper.c against helpers that misbehave (tests/support/bad_helper.c). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

#include "core/context_private.h"
#include "media/protocol.h"
#include "pipeline/helper_process.h"
#include "pipeline_world.h"
#include "runner.h"

#define PIPELINE                                                                                   \
    "{\"steps\":[{\"name\":\"a\",\"operation\":\"image.resize\",\"params\":{\"width\":10}},"       \
    "{\"name\":\"b\",\"operation\":\"image.info\"}]}"

/* A world whose helper plays `mode`. */
typedef struct bad_world {
    pipeline_world w;
    char folder[64], path[128];
    int fd;
    ran r;
    fp_error err;
} bad_world;

static bad_world *bad_open(const char *mode, fp_pipelines_options o)
{
    static bad_world b;

    b = (bad_world){ .fd = -1 };
    scratch_make(b.folder);
    snprintf(b.path, sizeof(b.path), "%s/bad_helper-%s", b.folder, mode);
    ck_assert_int_eq(symlink(BAD_HELPER, b.path), 0);
    o.helper_path = b.path;
    pipeline_world_open(&b.w, NULL, &o, NULL);
    b.fd = sample_file("hello", 5);
    return &b;
}

static void bad_close(bad_world *b)
{
    close(b->fd);
    pipeline_world_close(&b->w);
    scratch_remove(b->folder);
}

static fp_status bad_run(bad_world *b)
{
    return pipeline_run(&b->w, PIPELINE, "x.png", "image/png", b->fd, &b->r, &b->err);
}

#define OPTIONS(...) ((fp_pipelines_options){ sizeof(fp_pipelines_options), __VA_ARGS__ })

/* One run fails so, and no process is left of it. */
static void fails(const char *mode, fp_status code, const char *reason, const char *message)
{
    bad_world *b = bad_open(mode, OPTIONS(.wall_clock_ms = 20000, .max_output_bytes = 1000));
    fp_status rc = bad_run(b);

    ck_assert_msg(rc == code, "%s: %d, %s", mode, rc, b->err.message);
    ck_assert_msg(strcmp(fp_error_reason(&b->err), reason) == 0, "%s: %s", mode,
                  fp_error_reason(&b->err));
    ck_assert_msg(strstr(b->err.message, message), "%s: %s", mode, b->err.message);
    bad_close(b);
}

static void breaks_protocol(const char *mode, const char *message)
{
    bad_world *b = bad_open(mode, OPTIONS(.wall_clock_ms = 20000));

    ck_assert_msg(bad_run(b) == FILEPROC_ERR_IO, "%s: %s", mode, b->err.message);
    ck_assert_msg(strstr(b->err.message, "broke the protocol"), "%s: %s", mode, b->err.message);
    ck_assert_msg(strstr(b->err.message, message), "%s: %s", mode, b->err.message);
    ck_assert_str_eq(fp_error_reason(&b->err), "helper_crashed");
    ck_assert_uint_eq(b->err.flags & FILEPROC_ERROR_PERMANENT, 0);
    ck_assert_int_eq(only_child(), 0);
    bad_close(b);
}

START_TEST(what_can_not_be_started_is_named_by_its_path)
{
    fp_pipelines_options o = OPTIONS(.helper_path = "/nowhere/fileproc-media");
    pipeline_world w;
    fp_error err = { 0 };
    static ran r;
    int fd = sample_file("x", 1);

    pipeline_world_open(&w, NULL, &o, NULL);
    ck_status(pipeline_run(&w, "image", "x", "image/png", fd, &r, &err), FILEPROC_ERR_IO, &err);
    ck_assert_str_eq(fp_error_reason(&err), "helper_unavailable");
    ck_assert_str_eq(err.message, "the helper program /nowhere/fileproc-media can't be started: "
                                  "No such file or directory");
    ck_assert_uint_eq(err.flags & FILEPROC_ERROR_PERMANENT, 0);
    pipeline_world_close(&w);
    close(fd);
}
END_TEST

START_TEST(helper_that_does_not_get_ready_is_unavailable)
{
    fails("exits_at_once", FILEPROC_ERR_IO, "helper_unavailable", "exit status 5");
    fails("ready_of_another_version", FILEPROC_ERR_IO, "helper_unavailable", "is of version 9.7.3");
}
END_TEST

START_TEST(crash_is_an_error_that_names_the_signal_and_the_step)
{
    fails("segfaults", FILEPROC_ERR_IO, "helper_crashed",
          "the helper crashed in step file.type: SIGSEGV");
    fails("exits_7", FILEPROC_ERR_IO, "helper_crashed", "exit status 7");
    fails("exits_86", FILEPROC_ERR_IO, "helper_memory", "ran out of memory");
    fails("out_of_cpu", FILEPROC_ERR_TIMEOUT, "helper_timeout", "processor time");
    fails("closes_and_stays", FILEPROC_ERR_IO, "helper_crashed", "closed its connection");
    fails("empty_packet", FILEPROC_ERR_IO, "helper_crashed", "closed its connection");
}
END_TEST

START_TEST(every_breach_of_the_protocol_kills_the_helper)
{
    breaks_protocol("babbles", "no object with a type");
    breaks_protocol("done_too_early", "an end before the end");
    breaks_protocol("error_of_a_step_before", "an error that is none of its own");
    breaks_protocol("error_of_the_library", "an error that is none of its own");
    breaks_protocol("extension_climbs", "not well described");
    breaks_protocol("info_is_no_object", "not well described");
    breaks_protocol("no_json", "no object with a type");
    breaks_protocol("no_type", "no object with a type");
    breaks_protocol("one_step_too_many", "not its turn");
    breaks_protocol("output_of_the_detection", "an output of file.type");
    breaks_protocol("output_type_is_none", "not well described");
    breaks_protocol("output_unasked", "did not ask for");
    breaks_protocol("oversize_packet", "larger than 98304 bytes");
    breaks_protocol("permanent_is_a_number", "an error that is none of its own");
    breaks_protocol("result_is_no_object", "without a result");
    breaks_protocol("sends_descriptors", "it sent a descriptor");
    breaks_protocol("step_out_of_order", "not its turn");
    breaks_protocol("step_twice", "not its turn");
    breaks_protocol("step_without_its_output", "without the output");
    breaks_protocol("too_deep", "no object with a type");
    breaks_protocol("two_outputs_at_a_time", "two outputs at a time");
    breaks_protocol("type_is_no_type", "a type that is none");
    breaks_protocol("unknown_error", "an error that is none of its own");
    breaks_protocol("unknown_type", "unknown type");
    breaks_protocol("wrong_id", "what was not asked");
}
END_TEST

START_TEST(flood_of_outputs_ends_the_helper)
{
    bad_world *b = bad_open("floods_need_output", OPTIONS(.wall_clock_ms = 20000));

    ck_status(bad_run(b), FILEPROC_ERR_IO, &b->err);
    ck_assert_str_eq(fp_error_reason(&b->err), "helper_crashed");
    ck_assert_uint_le(b->r.output_count, 500);
    bad_close(b);
}
END_TEST

START_TEST(output_larger_than_allowed_fails_for_good)
{
    fails("output_too_large", FILEPROC_ERR_INVALID, "output_too_large", "more than 1000 bytes");
}
END_TEST

/* How long a run took is between the two. */
static void times_out(const char *mode, const char *order)
{
    bad_world *b = bad_open(mode, OPTIONS(.wall_clock_ms = 300));
    int64_t start = fpi_monotonic_ms(), took;

    ck_status(bad_run(b), FILEPROC_ERR_TIMEOUT, &b->err);
    took = fpi_monotonic_ms() - start;
    ck_assert_str_eq(fp_error_reason(&b->err), "helper_timeout");
    ck_assert_ptr_nonnull(strstr(b->err.message, "longer than 300 ms"));
    ck_assert_str_eq(b->r.order, order);
    ck_assert_msg(took >= 290 && took < 5000, "%s: %lld ms", mode, (long long)took);
    ck_assert_int_eq(only_child(), 0);
    bad_close(b);
}

START_TEST(wall_clock_kills_a_helper_that_hangs)
{
    times_out("never_ready", "");
    times_out("never_reads", "");
    times_out("hangs", "");
    times_out("hangs_after_a_step", "detected:text/plain step:a ");
}
END_TEST

START_TEST(ticks_come_while_packets_do)
{
    bad_world *b = bad_open("works_slowly_but_steadily", OPTIONS(.wall_clock_ms = 15000));

    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    ck_assert_uint_eq(b->r.output_count, 300);
    ck_assert_uint_ge(b->r.ticks, 2);
    bad_close(b);
}
END_TEST

START_TEST(ticks_come_at_least_once_a_second_while_the_helper_is_busy)
{
    bad_world *b = bad_open("hangs", OPTIONS(.wall_clock_ms = 2300));

    ck_status(bad_run(b), FILEPROC_ERR_TIMEOUT, &b->err);
    ck_assert_uint_ge(b->r.ticks, 2);
    bad_close(b);
}
END_TEST

START_TEST(time_that_the_sink_takes_is_not_the_helpers)
{
    bad_world *b = bad_open("works_with_an_output", OPTIONS(.wall_clock_ms = 1000));

    b->r.sink_delay_ms = 1500;
    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    ck_assert_str_eq(b->r.order, "detected:text/plain output:a step:a step:b ");
    bad_close(b);
}
END_TEST

START_TEST(error_of_a_step_leaves_the_helper_alive)
{
    bad_world *b = bad_open("fails_then_works", OPTIONS(.wall_clock_ms = 20000));
    pid_t pid;

    ck_status(bad_run(b), FILEPROC_ERR_INVALID, &b->err);
    ck_assert_str_eq(fp_error_reason(&b->err), "media_damaged");
    ck_assert_str_eq(b->err.message, "so it is");
    ck_assert_uint_eq(b->err.flags, FILEPROC_ERROR_PERMANENT);
    pid = only_child();
    ck_assert_int_ne(pid, 0);
    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    ck_assert_int_eq(only_child(), pid);
    bad_close(b);
}
END_TEST

START_TEST(helper_that_kept_much_memory_is_replaced)
{
    bad_world *b = bad_open("grows", OPTIONS(.wall_clock_ms = 20000));

    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    ck_assert_int_eq(only_child(), 0);
    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    bad_close(b);
}
END_TEST

START_TEST(helper_that_speaks_out_of_turn_between_runs_is_replaced)
{
    bad_world *b = bad_open("chats_while_idle", OPTIONS(.wall_clock_ms = 20000));
    struct timespec a_while = { 0, 50000000L };
    pid_t pid;

    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    pid = only_child();
    nanosleep(&a_while, NULL);
    ck_status(bad_run(b), FILEPROC_OK, &b->err);
    ck_assert_int_ne(only_child(), pid);
    bad_close(b);
}
END_TEST

/* ---- the process ---- */

static pid_t spawn_script(const char *script, fpi_process *p, int *ours)
{
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };
    fp_error err = { 0 };
    int ends[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ck_status(fpi_process_start(argv, ends[1], p, &err), FILEPROC_OK, &err);
    close(ends[1]);
    *ours = ends[0];
    return p->pid;
}

/* What the script writes to its socket, in one packet. */
static const char *script_says(const char *script)
{
    static char text[4096];
    fpi_process p = FPI_PROCESS_INIT;
    ssize_t size;
    int ours;

    spawn_script(script, &p, &ours);
    size = recv(ours, text, sizeof(text) - 1, 0);
    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    close(ours);
    fpi_process_end(&p, 1000);
    return text;
}

START_TEST(child_gets_one_socket_and_nothing_else)
{
    int leak = open("/dev/null", O_RDONLY); /* as an embedder's, without close-on-exec */

    ck_assert_int_ge(leak, 4);
    /* ls itself has the folder open as the lowest free number, which says that 4 is free. */
    ck_assert_str_eq(script_says("echo $(ls /proc/self/fd) >&3"), "0 1 2 3 4\n");
    ck_assert_str_eq(script_says("echo $(readlink /proc/$$/fd/0 /proc/$$/fd/1) >&3"),
                     "/dev/null /dev/null\n");
    ck_assert_str_eq(script_says("tr '\\0' ' ' </proc/$$/environ >&3; echo none >&3"), "none\n");
    ck_assert_str_eq(script_says("pwd >&3"), "/\n");
    close(leak);
}
END_TEST

START_TEST(child_starts_with_fresh_signals_in_a_group_of_its_own)
{
    sigset_t usr1;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    signal(SIGHUP, SIG_IGN);
    /* Of the ignored, the seven digits that hold signals 1 to 28: the C library keeps two of its own, 32 and 33, ignored. */
    ck_assert_str_eq(
        script_says("echo $(sed -n -e 's/^SigBlk:.//p' -e 's/^SigIgn:.*\\(.......\\)$/\\1/p'"
                    " /proc/$$/status) >&3"),
        "0000000000000000 0000000\n");
    signal(SIGHUP, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    ck_assert_str_eq(script_says("set -- $(cat /proc/$$/stat); [ $5 = $$ ] && echo own >&3"),
                     "own\n");
}
END_TEST

START_TEST(child_starts_even_when_the_program_has_closed_its_own_standard_files)
{
    int kept[3];

    for (int i = 0; i < 3; i++) {
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 20);
        close(i);
    }
    ck_assert_str_eq(script_says("echo $(readlink /proc/$$/fd/2) >&3"), "/dev/null\n");
    for (int i = 0; i < 3; i++) {
        dup2(kept[i], i);
        close(kept[i]);
    }
}
END_TEST

START_TEST(end_tells_how_and_reaps_only_its_own)
{
    pid_t other = fork();
    fpi_process p = FPI_PROCESS_INIT;
    fpi_process_exit end;
    int ours, status;

    if (other == 0)
        _exit(3);
    spawn_script("exit 9", &p, &ours);
    end = fpi_process_end(&p, 5000);
    close(ours);
    ck_assert(end.status == 9 && !end.signal && !end.killed);
    spawn_script("kill -TERM $$", &p, &ours);
    end = fpi_process_end(&p, 5000);
    close(ours);
    ck_assert(end.signal == SIGTERM && !end.killed);
    spawn_script("exec sleep 100", &p, &ours);
    end = fpi_process_end(&p, 10);
    close(ours);
    ck_assert(end.signal == SIGKILL && end.killed);
    ck_assert_int_eq(p.pid, 0);
    ck_assert_int_eq(p.pidfd, -1);
    ck_assert_int_eq(waitpid(other, &status, 0), other);
    ck_assert_int_eq(WEXITSTATUS(status), 3);
}
END_TEST

/* Programs that ignore SIGCHLD have their children reaped by the kernel: no status, but no hang either. */
START_TEST(end_does_not_wait_for_what_somebody_else_has_reaped)
{
    fpi_process p = FPI_PROCESS_INIT;
    fpi_process_exit end;
    int ours;

    signal(SIGCHLD, SIG_IGN);
    spawn_script("exit 9", &p, &ours);
    end = fpi_process_end(&p, 5000);
    close(ours);
    signal(SIGCHLD, SIG_DFL);
    ck_assert_int_eq(end.status, -1);
    ck_assert_int_eq(only_child(), 0);
}
END_TEST

RUN_TESTS("helper", what_can_not_be_started_is_named_by_its_path,
          helper_that_does_not_get_ready_is_unavailable,
          crash_is_an_error_that_names_the_signal_and_the_step,
          every_breach_of_the_protocol_kills_the_helper, flood_of_outputs_ends_the_helper,
          output_larger_than_allowed_fails_for_good, wall_clock_kills_a_helper_that_hangs,
          ticks_come_while_packets_do, ticks_come_at_least_once_a_second_while_the_helper_is_busy,
          time_that_the_sink_takes_is_not_the_helpers, error_of_a_step_leaves_the_helper_alive,
          helper_that_kept_much_memory_is_replaced,
          helper_that_speaks_out_of_turn_between_runs_is_replaced,
          child_gets_one_socket_and_nothing_else,
          child_starts_with_fresh_signals_in_a_group_of_its_own,
          child_starts_even_when_the_program_has_closed_its_own_standard_files,
          end_tells_how_and_reaps_only_its_own, end_does_not_wait_for_what_somebody_else_has_reaped)
