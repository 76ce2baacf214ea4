/* Owns: the tests of daemons/common/lifecycle.c. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lifecycle.h"
#include "runner.h"

/* Each in a process of its own: signals are the whole process's. Answers its wait status. */
static int run(int (*body)(void))
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(body());
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static int one_signal(void)
{
    if (!fpd_lifecycle_install() || fpd_lifecycle_wait(0) != 0)
        return 1;
    raise(SIGTERM);
    return fpd_lifecycle_wait(10000) == SIGTERM ? 0 : 2;
}

static int two_signals(void)
{
    if (!fpd_lifecycle_install())
        return 1;
    raise(SIGINT);
    raise(SIGTERM);
    return 2;
}

static int broken_pipe(void)
{
    int ends[2];

    if (!fpd_lifecycle_install() || pipe(ends) < 0)
        return 1;
    close(ends[0]);
    return write(ends[1], "x", 1) < 0 ? 0 : 2;
}

START_TEST(the_first_signal_is_noted)
{
    ck_assert_int_eq(run(one_signal), 0);
}
END_TEST

START_TEST(the_second_signal_ends_the_process_at_once)
{
    int status = run(two_signals);

    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
}
END_TEST

START_TEST(a_broken_pipe_does_not_kill)
{
    ck_assert_int_eq(run(broken_pipe), 0);
}
END_TEST

RUN_TESTS("lifecycle", the_first_signal_is_noted, the_second_signal_ends_the_process_at_once,
          a_broken_pipe_does_not_kill)
