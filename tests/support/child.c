/* Owns: a helper program of a test, spoken to by lines: its standard input and output are pipes.
 * Must not know: which program. */
#include "child.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

void child_start(child *c, const char *script, const char *argument)
{
    int in[2], out[2];

    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    c->pid = fork();
    ck_assert_int_ge(c->pid, 0);
    if (c->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/usr/bin/python3", "python3", script, argument, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

void child_line(child *c, char *out, size_t size)
{
    size_t n = 0;
    char byte = 0;

    while (byte != '\n') {
        ck_assert_int_eq(read(c->out, &byte, 1), 1);
        ck_assert_uint_lt(n + 1, size);
        out[n++] = byte;
    }
    out[n - 1] = '\0';
}

void child_tell(child *c, const char *line)
{
    char answer[64];

    ck_assert_int_eq(write(c->in, line, strlen(line)), (ssize_t)strlen(line));
    ck_assert_int_eq(write(c->in, "\n", 1), 1);
    child_line(c, answer, sizeof(answer));
}

void child_end(child *c)
{
    int status;

    close(c->in);
    close(c->out);
    waitpid(c->pid, &status, 0);
}
