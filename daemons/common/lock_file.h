/* Owns: the data folder: making it, and the lock that keeps a second daemon out.
 * Must not know: what is in it. */
#ifndef FPD_LOCK_FILE_H
#define FPD_LOCK_FILE_H

#include <fileproc/error.h>

#include "text.h"

/** Makes the folder (mode 0700, parents too) when it is missing and appends its absolute path, without symbolic links. */
fp_status fpd_folder_make(const char *path, fpd_text *absolute, fp_error *err);

/** Locks FOLDER/lock; the lock ends with the process at the latest. BUSY: another process has it. *fd is the caller's. */
fp_status fpd_folder_lock(const char *folder, int *fd, fp_error *err);

/** The same for one file: locks FILE.lock. */
fp_status fpd_file_lock(const char *file, int *fd, fp_error *err);

/** Appends "scheme://" and the path, percent-encoded, then the name behind a slash. */
void fpd_folder_uri(fpd_text *out, const char *scheme, const char *folder, const char *name);

#endif
