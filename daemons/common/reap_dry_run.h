/* Owns: the command that shows what the reaper would remove.
 * Must not know: how it is removed. */
#ifndef FPD_REAP_DRY_RUN_H
#define FPD_REAP_DRY_RUN_H

#include "app.h"

/** Prints it to stdout; nothing is changed, and a daemon that is at work on the same data is not disturbed. */
fp_status fpd_reap_dry_run(fp_context *ctx, const fp_config *config, const char *service,
                           unsigned needs, fp_error *err);

#endif
