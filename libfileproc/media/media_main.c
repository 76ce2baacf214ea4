/* Owns: the helper process: its arguments, what it gives up before it sees a file, the loop over runs.
 * Must not know: what a run is. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fcntl.h>
#include <vips/vips.h>

#include <fileproc/version.h>

#include "media/media_error.h"
#include "media/media_sniff.h"
#include "media/protocol.h"

/* Descriptors that a run can have open at once: channel, input and its copies, output, libraries' own. */
#define DESCRIPTORS_MAX 64u

typedef struct arguments {
    uint64_t parent_pid;
    uint64_t memory;      /* bytes of address space; 0 = no limit */
    uint64_t cpu_seconds; /* per run; 0 = no limit */
    uint64_t file_size;   /* bytes of any file written; 0 = no limit */
} arguments;

static bool read_number(const char *text, uint64_t *value)
{
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool read_arguments(int argc, char **argv, arguments *a)
{
    const struct {
        const char *name;
        uint64_t *value;
    } all[] = {
        { "--parent-pid", &a->parent_pid },
        { "--memory", &a->memory },
        { "--cpu-seconds", &a->cpu_seconds },
        { "--file-size", &a->file_size },
    };
    unsigned seen = 0;

    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;

        while (k < sizeof(all) / sizeof(*all) && strcmp(argv[i], all[k].name) != 0)
            k++;
        if (k == sizeof(all) / sizeof(*all) || !read_number(argv[i + 1], all[k].value))
            return false;
        seen |= 1u << k;
    }
    return seen == 0xF;
}

static bool limit(int resource, uint64_t value)
{
    struct rlimit l = { value, value };

    return setrlimit((__rlimit_resource_t)resource, &l) == 0;
}

static bool limit_resources(const arguments *a)
{
    bool ok = limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);

    if (a->file_size)
        ok = ok && limit(RLIMIT_FSIZE, a->file_size);
/* The sanitizers reserve terabytes of address space. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (a->memory)
        ok = ok && limit(RLIMIT_AS, a->memory);
#endif
    return ok;
}

/* A library that gets no memory aborts: GLib, poppler and the C++ runtime leave no other way. The exit status then says why, when it can
 * be seen that memory was the cause. */
static void on_abort(int number)
{
    if (errno == ENOMEM || fpi_media_memory_is_out())
        _exit(FPI_MEDIA_EXIT_MEMORY);
    signal(number, SIG_DFL);
    raise(number);
}

static bool prepare_signals(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction at_abort = { .sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND };

    return sigaction(SIGPIPE, &ignore, NULL) == 0 && sigaction(SIGXFSZ, &ignore, NULL) == 0 &&
           sigaction(SIGABRT, &at_abort, NULL) == 0 && sigaction(SIGTRAP, &at_abort, NULL) == 0;
}

/* What a process that parses strangers' files has no use for. The parent is looked at after the death signal is set: it may have gone
 * before. */
static bool give_up_rights(const arguments *a)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && (uint64_t)getppid() == a->parent_pid &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           close_range(FPI_MEDIA_FD + 1, ~0u, 0) == 0 && prepare_signals() && limit_resources(a);
}

/* Libraries chatter about files; only what ends the process is worth a line. */
static void on_glib_log(const char *domain, GLogLevelFlags level, const char *message,
                        void *user_data)
{
    (void)user_data;
    if (!(level & G_LOG_FLAG_FATAL) && (level & G_LOG_LEVEL_MASK) != G_LOG_LEVEL_ERROR)
        return;
    fprintf(stderr, "fileproc-media: %s: %s\n", domain ? domain : "glib", message);
    if (strstr(message, "failed to allocate"))
        _exit(FPI_MEDIA_EXIT_MEMORY);
}

/* Everything that is read from disk for its own sake is read here, before the first stranger's file. */
static fp_status start_libraries(fpi_media_helper *helper, fp_error *err)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

    /* Names in archives are converted by the locale, on this thread. */
    if (!utf8)
        return fp_error_setf(err, FILEPROC_ERR_IO, "there is no locale C.UTF-8");
    uselocale(utf8);
    g_log_set_default_handler(on_glib_log, NULL);
    if (VIPS_INIT("fileproc-media") != 0)
        return fp_error_setf(err, FILEPROC_ERR_IO, "libvips can't start: %.100s",
                             vips_error_buffer());
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_block_untrusted_set(TRUE);
    helper->memory_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    return fpi_media_sniff_open(&helper->magic, err);
}

static fp_status handle(fpi_media_helper *helper, json_t *message, int fd, fp_error *err)
{
    const char *type = json_string_value(json_object_get(message, "type"));

    if (type && strcmp(type, "run") == 0)
        return fpi_media_run_request(helper, message, fd, err);
    json_decref(message);
    if (fd >= 0)
        close(fd);
    return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "a packet of unknown type");
}

static fp_status serve(fpi_media_helper *helper, fp_error *err)
{
    fp_status rc = fpi_media_send(
        &helper->channel, json_pack("{s:s,s:s}", "type", "ready", "version", fp_version_string()),
        err);

    while (rc == FILEPROC_OK) {
        json_t *message = NULL;
        int fd = -1;

        rc = fpi_media_receive(&helper->channel, &message, &fd, err);
        if (rc < 0 || !message)
            break;
        rc = handle(helper, message, fd, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    fpi_media_helper helper = { .memory_fd = -1 };
    arguments a = { 0 };
    fp_error err = { 0 };
    fp_status rc;

    if (!read_arguments(argc, argv, &a)) {
        fputs(
            "fileproc-media is started by libfileproc: --parent-pid N --memory BYTES --cpu-seconds N --file-size BYTES\n",
            stderr);
        return 2;
    }
    if (!give_up_rights(&a)) {
        fputs("fileproc-media: the process can't be confined, or its parent has gone\n", stderr);
        return 3;
    }
    helper.cpu_seconds = a.cpu_seconds;
    rc = fp_context_new(NULL, &helper.ctx, &err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_channel_init(&helper.channel, helper.ctx, FPI_MEDIA_FD, &err);
    if (rc == FILEPROC_OK)
        rc = start_libraries(&helper, &err);
    if (rc == FILEPROC_OK)
        rc = serve(&helper, &err);
    if (rc < 0 && !(helper.channel.broken && rc == FILEPROC_ERR_IO))
        fprintf(stderr, "fileproc-media: %s\n", err.message);
    /* No destructor of any library runs: the kernel takes back everything, and faster. */
    _exit(rc < 0 ? 1 : 0);
}
