/* Owns: how the writer's commits reach the write-ahead log: a VFS over SQLite's own that sends the frames of one commit as one
 * write. SQLite writes two pieces per page; a commit of 17 pages would be 34 system calls.
 * Must not know: transactions, and any table.
 *
 * Frames are only gathered between fpi_sqlite_log_gather(true) and (false), that is while COMMIT runs and this connection has the
 * write lock. SQLite syncs the log before it tells others of new frames (synchronous=FULL), and the sync writes what was gathered:
 * so nobody looks for a frame that is not in the file. What is left after a COMMIT that failed belongs to nobody and is dropped;
 * written later it could hit frames that another process has put there since. */
#include <pthread.h>
#include <string.h>

#include "database/database_sqlite.h"

/* More than a usual group of commits needs; a bigger one is written in several pieces. SQLite's VFS for Unix can't write 128 KiB or more
 * at once. */
#define GATHERED_MAX (120u << 10)

typedef struct log_file {
    sqlite3_file file; /* first: SQLite sees only this */
    sqlite3_int64 offset;
    size_t used;
    unsigned char *bytes;
    bool gathering;
    sqlite3_file *below; /* stands behind this struct */
} log_file;

static sqlite3_vfs vfs;
static bool usable;

static log_file *of(sqlite3_file *file)
{
    return (log_file *)(void *)file;
}

static sqlite3_vfs *vfs_below(void)
{
    return vfs.pAppData;
}

/* What could not be written is gone: the commit it belongs to fails. */
static int write_gathered(log_file *log)
{
    size_t used = log->used;

    log->used = 0;
    if (used == 0)
        return SQLITE_OK;
    return log->below->pMethods->xWrite(log->below, log->bytes, (int)used, log->offset);
}

static int log_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    log_file *log = of(file);
    size_t more = (size_t)size;

    if (log->used &&
        (offset != log->offset + (sqlite3_int64)log->used || log->used + more > GATHERED_MAX)) {
        int code = write_gathered(log);

        if (code != SQLITE_OK)
            return code;
    }
    if (!log->gathering || more > GATHERED_MAX)
        return log->below->pMethods->xWrite(log->below, bytes, size, offset);
    if (log->used == 0)
        log->offset = offset;
    memcpy(log->bytes + log->used, bytes, more);
    log->used += more;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    log_file *log = of(file);
    int code = write_gathered(log);

    return code != SQLITE_OK ? code : log->below->pMethods->xRead(log->below, bytes, size, offset);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    log_file *log = of(file);
    int code = write_gathered(log);

    return code != SQLITE_OK ? code : log->below->pMethods->xTruncate(log->below, size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    log_file *log = of(file);
    int code = write_gathered(log);

    return code != SQLITE_OK ? code : log->below->pMethods->xSync(log->below, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    log_file *log = of(file);
    int code = write_gathered(log);

    return code != SQLITE_OK ? code : log->below->pMethods->xFileSize(log->below, size);
}

static int log_lock(sqlite3_file *file, int level)
{
    return of(file)->below->pMethods->xLock(of(file)->below, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return of(file)->below->pMethods->xUnlock(of(file)->below, level);
}

static int log_check_lock(sqlite3_file *file, int *held)
{
    return of(file)->below->pMethods->xCheckReservedLock(of(file)->below, held);
}

static int log_control(sqlite3_file *file, int operation, void *argument)
{
    return of(file)->below->pMethods->xFileControl(of(file)->below, operation, argument);
}

static int log_sector_size(sqlite3_file *file)
{
    return of(file)->below->pMethods->xSectorSize(of(file)->below);
}

static int log_characteristics(sqlite3_file *file)
{
    return of(file)->below->pMethods->xDeviceCharacteristics(of(file)->below);
}

static int log_close(sqlite3_file *file)
{
    log_file *log = of(file);

    sqlite3_free(log->bytes);
    return log->below->pMethods->xClose(log->below);
}

static const sqlite3_io_methods log_methods = {
    .iVersion =
        1, /* shared memory and mapping belong to the database file, which SQLite's own VFS opens */
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int open_log(const char *name, log_file *log, int flags, int *flags_out)
{
    int code;

    *log = (log_file){ .below = (sqlite3_file *)(void *)(log + 1) };
    log->bytes = sqlite3_malloc(GATHERED_MAX);
    if (!log->bytes)
        return SQLITE_NOMEM;
    log->below->pMethods = NULL;
    code = vfs_below()->xOpen(vfs_below(), name, log->below, flags, flags_out);
    if (code != SQLITE_OK) {
        sqlite3_free(log->bytes);
        return code;
    }
    log->file.pMethods = &log_methods;
    return SQLITE_OK;
}

/* Every other file is opened by SQLite's own VFS, and is never seen here again. */
static int open_file(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                     int *flags_out)
{
    (void)self;
    if (flags & SQLITE_OPEN_WAL)
        return open_log(name, of(file), flags, flags_out);
    return vfs_below()->xOpen(vfs_below(), name, file, flags, flags_out);
}

static int forward_delete(sqlite3_vfs *self, const char *name, int sync_folder)
{
    (void)self;
    return vfs_below()->xDelete(vfs_below(), name, sync_folder);
}

static int forward_access(sqlite3_vfs *self, const char *name, int flags, int *answer)
{
    (void)self;
    return vfs_below()->xAccess(vfs_below(), name, flags, answer);
}

static int forward_full_name(sqlite3_vfs *self, const char *name, int size, char *out)
{
    (void)self;
    return vfs_below()->xFullPathname(vfs_below(), name, size, out);
}

static int forward_randomness(sqlite3_vfs *self, int size, char *out)
{
    (void)self;
    return vfs_below()->xRandomness(vfs_below(), size, out);
}

static int forward_sleep(sqlite3_vfs *self, int microseconds)
{
    (void)self;
    return vfs_below()->xSleep(vfs_below(), microseconds);
}

static int forward_time(sqlite3_vfs *self, double *days)
{
    (void)self;
    return vfs_below()->xCurrentTime(vfs_below(), days);
}

static int forward_last_error(sqlite3_vfs *self, int size, char *out)
{
    (void)self;
    return vfs_below()->xGetLastError(vfs_below(), size, out);
}

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .zName = "fileproc-log",
    .xOpen = open_file,
    .xDelete = forward_delete,
    .xAccess = forward_access,
    .xFullPathname = forward_full_name,
    .xRandomness = forward_randomness,
    .xSleep = forward_sleep,
    .xCurrentTime = forward_time,
    .xGetLastError = forward_last_error,
};

static void register_vfs(void)
{
    sqlite3_vfs *below = sqlite3_vfs_find(NULL);

    if (!below)
        return;
    vfs.szOsFile = below->szOsFile + (int)sizeof(log_file);
    vfs.mxPathname = below->mxPathname;
    vfs.pAppData = below;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        usable = true;
}

const char *fpi_sqlite_log_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_vfs);
    return usable ? vfs.zName : NULL;
}

void fpi_sqlite_log_gather(sqlite3 *db, bool gathering)
{
    sqlite3_file *file = NULL;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&file) !=
            SQLITE_OK ||
        !file || file->pMethods != &log_methods)
        return;
    of(file)->gathering = gathering;
    of(file)->used = 0;
}
