/* Owns: the command that shows what the reaper would remove.
 * Must not know: how it is removed. */
#include "reap_dry_run.h"

#include <stdio.h>

#include "clock.h"

/* What the upload engine stands on, and nothing else. */
#define NEEDS                                                                                      \
    (FPD_NEEDS_STORAGE | FPD_NEEDS_DATABASE | FPD_NEEDS_CATALOG | FPD_NEEDS_UPLOADS | FPD_BESIDE)

static void show(void *user_data, const fp_reap_item *item)
{
    char time[FPD_RFC3339_SIZE];

    (void)user_data;
    fpd_rfc3339(item->time_ms, time);
    printf("%s %s %s %llu\n", item->kind == FILEPROC_REAP_EXPIRED ? "expired" : "staged", item->id,
           time, (unsigned long long)item->bytes);
}

static void show_sum(const fp_reaped *would)
{
    printf("# %llu uploads would expire, %llu staged objects be removed (%llu bytes), %llu "
           "tombstones be forgotten; %llu unfinished uploads stay\n",
           (unsigned long long)would->expired, (unsigned long long)would->discarded,
           (unsigned long long)would->bytes, (unsigned long long)would->forgotten,
           (unsigned long long)would->open);
}

fp_status fpd_reap_dry_run(fp_context *ctx, const fp_config *config, const char *service,
                           unsigned needs, fp_error *err)
{
    fp_reaped would = FILEPROC_REAPED_INIT;
    fpd_app app;
    fp_status rc;

    if (!(needs & FPD_NEEDS_UPLOADS))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "--reap-dry-run: this program looks after no uploads");
    rc = fpd_app_open(&app, ctx, config, service, NEEDS, err);
    if (rc < 0)
        return rc;
    printf("# what is removed, id, since when, bytes\n");
    rc = fp_uploads_reap_dry_run(app.uploads, fp_config_int(config, "FILEPROC_REAP_GRACE"), show,
                                 NULL, &would, err);
    if (rc == FILEPROC_OK)
        show_sum(&would);
    fpd_app_close(&app);
    if (rc == FILEPROC_OK && fflush(stdout) != 0)
        rc = fp_error_setf(err, FILEPROC_ERR_IO, "can't write to stdout");
    return rc;
}
