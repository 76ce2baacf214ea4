/* Owns: the data folder: making it, and the lock that keeps a second daemon out.
 * Must not know: what is in it. */
#include "lock_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Makes each folder on the way; what exists is fine. */
static int make_parents(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS) {
            *p = '/';
            return -1;
        }
        *p = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

fp_status fpd_folder_make(const char *path, fpd_text *absolute, fp_error *err)
{
    char copy[PATH_MAX], resolved[PATH_MAX];
    struct stat st;

    if (!*path || strlen(path) >= sizeof(copy))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the data folder's path is empty or too long");
    memcpy(copy, path, strlen(path) + 1);
    if (make_parents(copy) < 0 || !realpath(path, resolved))
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't make the data folder %.120s: %s", path,
                             strerrordesc_np(errno));
    if (stat(resolved, &st) < 0 || !S_ISDIR(st.st_mode))
        return fp_error_setf(err, FILEPROC_ERR_IO, "%.120s is no folder", path);
    fpd_text_string(absolute, resolved);
    return absolute->failed ? fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory") : FILEPROC_OK;
}

/* Locks the file FOLDER/lock or FILE.lock; `what` is shown. */
static fp_status lock(const char *of, const char *end, const char *what, int *fd, fp_error *err)
{
    FPD_DISPOSE(fpd_text) path = FPD_TEXT_INIT(PATH_MAX);
    int opened;

    fpd_text_string(&path, of);
    fpd_text_string(&path, end);
    if (path.failed)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the path of %s is too long", what);
    opened = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (opened < 0)
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't open %.120s: %s", path.data,
                             strerrordesc_np(errno));
    if (flock(opened, LOCK_EX | LOCK_NB) < 0) {
        int why = errno;

        close(opened);
        if (why == EWOULDBLOCK)
            return fp_error_setf(err, FILEPROC_ERR_BUSY,
                                 "another daemon uses %s %.80s; several at once need a database "
                                 "server and an S3 store",
                                 what, of);
        return fp_error_setf(err, FILEPROC_ERR_IO, "can't lock %.120s: %s", path.data,
                             strerrordesc_np(why));
    }
    *fd = opened;
    return FILEPROC_OK;
}

fp_status fpd_folder_lock(const char *folder, int *fd, fp_error *err)
{
    return lock(folder, "/lock", "the data folder", fd, err);
}

fp_status fpd_file_lock(const char *file, int *fd, fp_error *err)
{
    return lock(file, ".lock", "the database", fd, err);
}

void fpd_folder_uri(fpd_text *out, const char *scheme, const char *folder, const char *name)
{
    fpd_text_printf(out, "%s://", scheme);
    for (const char *p = folder; *p; p++)
        if (isalnum((unsigned char)*p) ? (unsigned char)*p < 0x80 : strchr("/-._~", *p) != NULL)
            fpd_text_append(out, p, 1);
        else
            fpd_text_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
    fpd_text_printf(out, "/%s", name);
}
