/* Owns: the signals that end a daemon.
 * Must not know: what ending means. */
#include "lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* A handler may do next to nothing, so it writes the number into a pipe. Handlers, not a blocked mask with signalfd:
 * a mask would be inherited by the helper processes. */
static int pipe_ends[2] = { -1, -1 };
static volatile sig_atomic_t noted;

static void note(int number)
{
    unsigned char byte = (unsigned char)number;
    int saved = errno;
    ssize_t n;

    /* Whoever asks twice does not want to wait. Nothing is lost: what was acknowledged is on disk. */
    if (noted)
        _exit(128 + number);
    noted = 1;
    n = write(pipe_ends[1], &byte, 1);
    (void)n;
    errno = saved;
}

bool fpd_lifecycle_install(void)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    struct sigaction act = { .sa_handler = note, .sa_flags = SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    sigemptyset(&act.sa_mask);
    sigemptyset(&ignore.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        if (sigaction(numbers[i], &act, NULL) < 0)
            return false;
    return sigaction(SIGPIPE, &ignore, NULL) == 0;
}

int fpd_lifecycle_wait(int64_t timeout_ms)
{
    int64_t until = fpd_monotonic_ns() / 1000000 + timeout_ms;
    struct pollfd in = { .fd = pipe_ends[0], .events = POLLIN };

    for (;;) {
        int64_t left = timeout_ms < 0 ? -1 : until - fpd_monotonic_ns() / 1000000;
        unsigned char byte;

        if (timeout_ms >= 0 && left < 0)
            left = 0;
        if (poll(&in, 1, left > INT_MAX ? INT_MAX : (int)left) > 0 && read(in.fd, &byte, 1) == 1)
            return byte;
        if (timeout_ms >= 0 && left == 0)
            return 0;
    }
}
