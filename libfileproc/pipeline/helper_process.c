/* Owns: one child process: started with one socket and nothing else, ended, reaped.
 * Must not know: what is said over the socket; pipelines. */
#include "pipeline/helper_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/context_private.h"
#include "core/error_private.h"
#include "media/protocol.h"

/* How often an end is looked for where there is no pidfd to wait on. */
#define LOOK_AGAIN_MS 1

/* The order matters: the socket goes to its place first, because it may be any number above 2, and the rest is closed last. */
static int describe_files(posix_spawn_file_actions_t *files, const char *path, int socket)
{
    int stderr_flags = fcntl(STDERR_FILENO, F_GETFD);
    int failed = posix_spawn_file_actions_adddup2(files, socket, FPI_MEDIA_FD);

    if (!failed)
        failed = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    /* Without a 2 the first file that the helper opens would become it. */
    if (!failed && (stderr_flags < 0 || (stderr_flags & FD_CLOEXEC)))
        failed = posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(files, FPI_MEDIA_FD + 1);
    /* Lest it keeps a folder of ours from being unmounted; a relative path must still be found. */
    if (!failed && path[0] == '/')
        failed = posix_spawn_file_actions_addchdir_np(files, "/");
    return failed;
}

static int describe_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, none;
    int failed;

    sigfillset(&all);
    sigemptyset(&none);
    failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setsigmask(attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    return failed;
}

/* The C library's spawn does what must be done with care in a program with threads: signals blocked, memory shared until exec (so no page
 * table of a large program is copied), and the errno of a failed exec comes back. */
static int spawn(char *const argv[], int socket, pid_t *pid)
{
    static char *const empty_environment[] = { NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&files);

    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = describe_files(&files, argv[0], socket);
        if (!failed)
            failed = describe_attributes(&attributes);
        if (!failed)
            failed = posix_spawn(pid, argv[0], &files, &attributes, argv, empty_environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

fp_status fpi_process_start(char *const argv[], int socket, fpi_process *p, fp_error *err)
{
    /* 0 to 2 are opened anew in the child before it could be moved out of the way. */
    FPI_FD moved = socket <= STDERR_FILENO ? fcntl(socket, F_DUPFD_CLOEXEC, FPI_MEDIA_FD) : -1;
    int failed;

    if (socket <= STDERR_FILENO && moved < 0)
        return fpi_error_errno(err, errno, "starting the helper");
    failed = spawn(argv, moved >= 0 ? moved : socket, &p->pid);
    if (failed == ENOMEM)
        return fpi_no_memory(err);
    if (failed)
        return fp_error_reasonf(err, FILEPROC_ERR_IO, FILEPROC_REASON_HELPER_UNAVAILABLE,
                                "the helper program %.120s can't be started: %s", argv[0],
                                strerrordesc_np(failed) ? strerrordesc_np(failed)
                                                        : "unknown error");
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return FILEPROC_OK;
}

/* Where SIGCHLD is ignored, or somebody waits for any child, our pid may be a stranger's by now; a pidfd never is. */
static void kill_process(const fpi_process *p)
{
    if (p->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
    else
        (void)kill(p->pid, SIGKILL);
}

/* Reaps it if it has ended; true also when somebody else did. */
static bool reap(const fpi_process *p, fpi_process_exit *end)
{
    siginfo_t info = { 0 };
    int rc;

    do
        rc = p->pidfd >= 0 ? waitid((idtype_t)P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG)
                           : waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return true;
    if (info.si_pid == 0)
        return false;
    if (info.si_code == CLD_EXITED)
        *end = (fpi_process_exit){ 0, info.si_status, false };
    else
        *end = (fpi_process_exit){ info.si_status, 0, false };
    return true;
}

/* timeout_ms < 0: as long as it takes. */
static bool wait_and_reap(const fpi_process *p, int timeout_ms, fpi_process_exit *end)
{
    int64_t until = fpi_monotonic_ms() + timeout_ms;

    while (!reap(p, end)) {
        struct pollfd ended = { .fd = p->pidfd, .events = POLLIN };
        int64_t left = until - fpi_monotonic_ms();

        if (timeout_ms >= 0 && left <= 0)
            return false;
        (void)poll(&ended, 1, p->pidfd < 0 ? LOOK_AGAIN_MS : timeout_ms < 0 ? -1 : (int)left);
    }
    return true;
}

fpi_process_exit fpi_process_end(fpi_process *p, int grace_ms)
{
    fpi_process_exit end = { 0, -1, false };

    if (p->pid == 0)
        return end;
    if (grace_ms <= 0 || !wait_and_reap(p, grace_ms, &end)) {
        kill_process(p);
        wait_and_reap(p, -1, &end);
        end.killed = true;
    }
    if (p->pidfd >= 0)
        close(p->pidfd);
    *p = (fpi_process)FPI_PROCESS_INIT;
    return end;
}
