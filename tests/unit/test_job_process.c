/* Owns: the tests of job/job_process.c. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job/job_process.h"
#include "runner.h"

static fp_context *ctx;

static void name_of_this_process(char name[FPI_WORKER_NAME_SIZE])
{
    if (!ctx)
        ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fpi_worker_name(ctx, name, NULL), FILEPROC_OK);
}

/* Without fork mode the next test finds what this one left. */
static void forget_context(void)
{
    fp_context_free(ctx);
    ctx = NULL;
}

/* A child that tells its name and then waits to be killed. */
static pid_t child_with_name(char name[FPI_WORKER_NAME_SIZE])
{
    int ends[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        memset(name, 0, FPI_WORKER_NAME_SIZE);
        if (fpi_worker_name(ctx, name, NULL) < 0 ||
            write(ends[1], name, FPI_WORKER_NAME_SIZE) != FPI_WORKER_NAME_SIZE)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], name, FPI_WORKER_NAME_SIZE), FPI_WORKER_NAME_SIZE);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

START_TEST(names_are_unique_and_their_process_is_here)
{
    char one[FPI_WORKER_NAME_SIZE], two[FPI_WORKER_NAME_SIZE], pid[32];

    name_of_this_process(one);
    name_of_this_process(two);
    ck_assert_str_ne(one, two);
    snprintf(pid, sizeof(pid), "/%ld/", (long)getpid());
    ck_assert_ptr_nonnull(strstr(one, pid));
    ck_assert_int_eq(strncmp(one, "unknown", 7) != 0, 1);
    ck_assert(!fpi_worker_gone(one));
    forget_context();
}
END_TEST

START_TEST(killed_process_is_gone_as_zombie_and_after_it)
{
    char name[FPI_WORKER_NAME_SIZE];
    siginfo_t info;
    pid_t pid;

    name_of_this_process(name);
    pid = child_with_name(name);
    ck_assert(!fpi_worker_gone(name));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert(fpi_worker_gone(name));
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert(fpi_worker_gone(name));
    forget_context();
}
END_TEST

/* Replaces field number `at` (from 0, between slashes) of a name. */
static void with_field(const char *name, int at, const char *value, char out[FPI_WORKER_NAME_SIZE])
{
    const char *begin = name;

    for (int i = 0; i < at; i++)
        begin = strchr(begin, '/') + 1;
    snprintf(out, FPI_WORKER_NAME_SIZE, "%.*s%s%s", (int)(begin - name), name, value,
             strchr(begin, '/'));
}

START_TEST(pid_used_again_by_another_process_is_gone)
{
    char name[FPI_WORKER_NAME_SIZE], other[FPI_WORKER_NAME_SIZE];

    name_of_this_process(name);
    with_field(name, 3, "12345", other);
    ck_assert(fpi_worker_gone(other));
    forget_context();
}
END_TEST

START_TEST(other_machines_boots_and_containers_are_never_judged)
{
    char name[FPI_WORKER_NAME_SIZE], dead[FPI_WORKER_NAME_SIZE], other[FPI_WORKER_NAME_SIZE];

    name_of_this_process(name);
    with_field(name, 3, "12345", dead);
    ck_assert(fpi_worker_gone(dead));
    with_field(dead, 0, "00000000-0000-4000-8000-000000000000", other);
    ck_assert(!fpi_worker_gone(other));
    with_field(dead, 1, "1", other);
    ck_assert(!fpi_worker_gone(other));
    forget_context();
}
END_TEST

START_TEST(unreadable_names_are_never_judged)
{
    static const char *const names[] = { "", "x", "unknown/0/1/2/3", "////", "a/b/c/d/e" };
    char name[FPI_WORKER_NAME_SIZE], broken[FPI_WORKER_NAME_SIZE];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        ck_assert(!fpi_worker_gone(names[i]));
    ck_assert(!fpi_worker_gone(NULL));
    name_of_this_process(name);
    with_field(name, 2, "0", broken);
    ck_assert(!fpi_worker_gone(broken));
    with_field(name, 2, "-1", broken);
    ck_assert(!fpi_worker_gone(broken));
    with_field(name, 3, "0", broken);
    ck_assert(!fpi_worker_gone(broken));
    forget_context();
}
END_TEST

RUN_TESTS("job_process", names_are_unique_and_their_process_is_here,
          killed_process_is_gone_as_zombie_and_after_it, pid_used_again_by_another_process_is_gone,
          other_machines_boots_and_containers_are_never_judged, unreadable_names_are_never_judged)
