/* Owns: the daemons' log: JSON lines on stderr, one write(2) each, nothing shared but the level.
 * Must not know: what is logged. */
#ifndef FPD_LOG_H
#define FPD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <fileproc/context.h>

#include "text.h"

/** Longest line; a longer message is cut. One write of this size to a pipe is atomic. */
#define FPD_LOG_LINE_MAX 4096u

/** Both before threads start. The name is borrowed for ever. */
void fpd_log_set_level(int32_t level);
void fpd_log_set_service(const char *name);

/** "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL" as in the starter kit; anything else is INFO. */
int32_t fpd_log_level_by_name(const char *name);

bool fpd_log_enabled(int32_t level);

/** One line with time, level, service, component and message. */
void fpd_log(int32_t level, const char *component, const char *fmt, ...) FILEPROC_PRINTF(3, 4);

/** Begins a line up to the component; the caller adds `,"name":value` members and calls fpd_log_write(). */
void fpd_log_begin(fpd_text *line, int32_t level, const char *component);
void fpd_log_write(fpd_text *line);

/** The log hook for fp_context_options. */
void fpd_log_hook(void *user_data, int32_t level, const char *component, const char *message);

#endif
