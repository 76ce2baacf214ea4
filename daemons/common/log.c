/* Owns: the daemons' log: JSON lines on stderr, one write(2) each, nothing shared but the level.
 * Must not know: what is logged. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"

static atomic_int lowest = FILEPROC_LOG_INFO;
static const char *service = "fileproc";

void fpd_log_set_level(int32_t level)
{
    atomic_store(&lowest, level);
}

void fpd_log_set_service(const char *name)
{
    service = name;
}

int32_t fpd_log_level_by_name(const char *name)
{
    if (strcasecmp(name, "DEBUG") == 0)
        return FILEPROC_LOG_DEBUG;
    if (strcasecmp(name, "WARNING") == 0 || strcasecmp(name, "WARN") == 0)
        return FILEPROC_LOG_WARN;
    if (strcasecmp(name, "ERROR") == 0 || strcasecmp(name, "CRITICAL") == 0)
        return FILEPROC_LOG_ERROR;
    return FILEPROC_LOG_INFO;
}

bool fpd_log_enabled(int32_t level)
{
    return level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

static const char *level_name(int32_t level)
{
    switch (level) {
    case FILEPROC_LOG_DEBUG:
        return "debug";
    case FILEPROC_LOG_INFO:
        return "info";
    case FILEPROC_LOG_WARN:
        return "warning";
    default:
        return "error";
    }
}

void fpd_log_begin(fpd_text *line, int32_t level, const char *component)
{
    char now[FPD_RFC3339_SIZE];

    fpd_rfc3339(fpd_now_ms(), now);
    fpd_text_printf(line,
                    "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"component\":", now,
                    level_name(level), service);
    fpd_text_json(line, component);
}

/* A log that can't be written must not stop the daemon: what fails is lost. */
void fpd_log_write(fpd_text *line)
{
    ssize_t n;

    fpd_text_append(line, "}\n", 2);
    if (line->failed)
        return;
    do
        n = write(STDERR_FILENO, line->data, line->size);
    while (n < 0 && errno == EINTR);
}

/* Escaping makes a byte six at the most; cut at a character's start. */
static size_t cut(const char *message)
{
    size_t size = strlen(message), most = (FPD_LOG_LINE_MAX - 512) / 6;

    if (size <= most)
        return size;
    while (most > 0 && ((unsigned char)message[most] & 0xC0) == 0x80)
        most--;
    return most;
}

void fpd_log_hook(void *user_data, int32_t level, const char *component, const char *message)
{
    FPD_DISPOSE(fpd_text) line = FPD_TEXT_INIT(FPD_LOG_LINE_MAX);

    (void)user_data;
    if (!fpd_log_enabled(level))
        return;
    fpd_log_begin(&line, level, component);
    fpd_text_string(&line, ",\"message\":");
    fpd_text_json_bytes(&line, message, cut(message));
    fpd_log_write(&line);
}

void fpd_log(int32_t level, const char *component, const char *fmt, ...)
{
    char message[1024];
    va_list args;

    if (!fpd_log_enabled(level))
        return;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    fpd_log_hook(NULL, level, component, message);
}
