/* Owns: what tells a process of this machine from every other: boot, pid namespace, pid, start time.
 * Must not know: jobs. */
#include "job/job_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* "<boot id>/<namespace>": 36 digits, a number, and what is between. */
#define HOST_SIZE 72u

static bool read_small(const char *path, char *text, size_t cap)
{
    FPI_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    do
        n = read(fd, text, cap - 1);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

/* Containers of one machine share the boot id but count pids apart, so the namespace is part of it. Its number may be used
 * again, but not while it is ours: a name with our number is of our namespace, or of one that has ended. */
static bool this_host(char host[HOST_SIZE])
{
    char boot[64], link[64];
    unsigned long long space;
    ssize_t n;

    if (!read_small("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)))
        return false;
    boot[strcspn(boot, "\n")] = '\0';
    if (strlen(boot) != 36)
        return false;
    n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
    if (n < 0)
        return false;
    link[n] = '\0';
    if (sscanf(link, "pid:[%llu]", &space) != 1)
        return false;
    snprintf(host, HOST_SIZE, "%s/%llu", boot, space);
    return true;
}

typedef struct process_stat {
    unsigned long long start_time; /* clock ticks after boot */
    long threads;
    char state;
} process_stat;

/* The program's name is in brackets and may hold anything, so the fields are counted from the last bracket. */
static bool read_stat(const char *path, process_stat *stat)
{
    char text[1024], *at;

    if (!read_small(path, text, sizeof(text)))
        return false;
    at = strrchr(text, ')');
    return at &&
           sscanf(
               at + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %*s %llu",
               &stat->state, &stat->threads, &stat->start_time) == 3;
}

fp_status fpi_worker_name(const fp_context *ctx, char name[FPI_WORKER_NAME_SIZE], fp_error *err)
{
    char host[HOST_SIZE] = "unknown/0";
    process_stat stat = { 0 };
    uint64_t random;
    fp_status rc;

    rc = fpi_random(ctx, &random, sizeof(random), err);
    if (rc < 0)
        return rc;
    /* Without /proc the name is still unique; only the quick rescue doesn't work. */
    if (!read_stat("/proc/self/stat", &stat) || !this_host(host))
        snprintf(host, sizeof(host), "unknown/0");
    snprintf(name, FPI_WORKER_NAME_SIZE, "%s/%ld/%llu/%016llx", host, (long)getpid(),
             stat.start_time, (unsigned long long)random);
    return FILEPROC_OK;
}

/* The pid exists, but a zombie works no more (unless only its first thread has ended), and a pid may be used again. */
static bool is_another(pid_t pid, unsigned long long start_time)
{
    process_stat stat;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    if (!read_stat(path, &stat))
        return false;
    if ((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1)
        return true;
    return stat.start_time != start_time;
}

bool fpi_worker_gone(const char *name)
{
    unsigned long long start_time;
    char host[HOST_SIZE];
    size_t size;
    long pid;

    if (!name || !this_host(host))
        return false;
    size = strlen(host);
    if (strncmp(name, host, size) != 0 ||
        sscanf(name + size, "/%ld/%llu/", &pid, &start_time) != 2 || pid <= 0 || !start_time)
        return false;
    /* kill() sees processes that a /proc mounted with hidepid does not show. */
    if (kill((pid_t)pid, 0) != 0)
        return errno == ESRCH;
    return is_another((pid_t)pid, start_time);
}
