/* Owns: a disk that fails at the Nth change: preloaded into a daemon, it makes the call an error, or ends the process there, as
 * kill -9 does, or as a power cut does, after which what was never synced is gone.
 * Must not know: what is written. tests/e2e/faulty_disk.py drives it through a shared page.
 *
 * Every change of a file or folder inside the watched folder counts, in the order in which they are made. A power cut undoes, from
 * the newest on, all changes that no sync has covered: bytes until their file is synced, names until their folder is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What happens at the Nth change. */
enum { NOTHING, FAIL, FAIL_ALWAYS, KILL, KILL_TORN };
/* What a power cut takes. */
enum { LOSE_BYTES = 1, LOSE_NAMES = 2, LOSE_SOME = 4 };

/* The page shared with the test; the order is in faulty_disk.py, too. */
typedef struct control {
    atomic_uint what, at, count, error, lose, fired;
} control;

typedef struct inode {
    dev_t dev;
    ino_t ino;
} inode;

/* How a change is taken back. */
typedef struct undo {
    struct undo *older;
    enum { BYTES, NAME_MADE, FOLDER_MADE, NAME_GONE, FOLDER_GONE, NAME_MOVED } kind;
    inode where[2]; /* of the file; of the folder, the new one first */
    bool durable[2];
    int fd[2]; /* of the same; -1 = none */
    char name[2][128];
    off_t offset, old_size;
    size_t size;
    char bytes[];
} undo;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static control *state;
static undo *newest;
static int trash_fd = -1;
static unsigned trash_count;
static char root[4096];

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *page = getenv("FAULTY_DISK_PAGE"), *folder = getenv("FAULTY_DISK_FOLDER"),
               *trash = getenv("FAULTY_DISK_TRASH");
    int fd;

    if (!page || !folder || !trash || !realpath(folder, root))
        return;
    fd = REAL(open)(page, O_RDWR | O_CLOEXEC);
    trash_fd = REAL(open)(trash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || trash_fd < 0)
        abort();
    state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (state == MAP_FAILED)
        abort();
    close(fd);
}

/* ---- which changes count ---- */

static bool inside(int fd)
{
    char link[64], path[4096];
    ssize_t size;

    if (!state || !atomic_load(&state->what))
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, path, sizeof(path) - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    if (strncmp(path, root, strlen(root)) != 0)
        return false;
    /* SQLite's shared memory does not survive anything. */
    return size < 4 || strcmp(path + size - 4, "-shm") != 0;
}

static bool inside_path(const char *path)
{
    size_t size = strlen(path);

    return state && atomic_load(&state->what) && strncmp(path, root, strlen(root)) == 0 &&
           (size < 4 || strcmp(path + size - 4, "-shm") != 0);
}

/* ---- the power cut ---- */

static inode inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (inode){ st.st_dev, st.st_ino } : (inode){ 0, 0 };
}

static bool same(inode a, inode b)
{
    return a.dev == b.dev && a.ino == b.ino;
}

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 100);
}

static undo *push(int kind, size_t size)
{
    undo *u = calloc(1, sizeof(*u) + size);

    if (!u)
        abort();
    u->kind = kind;
    u->size = size;
    u->fd[0] = u->fd[1] = -1;
    u->durable[1] = true; /* most have one place */
    u->older = newest;
    newest = u;
    return u;
}

static void set_place(undo *u, int i, int fd, const char *name)
{
    u->fd[i] = duplicate(fd);
    u->where[i] = inode_of(fd);
    u->durable[i] = false;
    snprintf(u->name[i], sizeof(u->name[i]), "%s", name);
}

static void drop(undo *u)
{
    for (int i = 0; i < 2; i++)
        if (u->fd[i] >= 0)
            close(u->fd[i]);
    free(u);
}

static void note_sync(int fd)
{
    inode synced = inode_of(fd);

    for (undo **at = &newest; *at;) {
        undo *u = *at;

        for (int i = 0; i < 2; i++)
            if (u->fd[i] >= 0 && same(u->where[i], synced))
                u->durable[i] = true;
        if (u->durable[0] && u->durable[1]) {
            *at = u->older;
            drop(u);
        } else {
            at = &u->older;
        }
    }
}

/* Bytes that a write of `size` at `offset` replaces. */
static void note_write(int fd, off_t offset, size_t size)
{
    struct stat st;
    size_t old = 0;
    undo *u;

    if (fstat(fd, &st) != 0)
        return;
    if (offset < st.st_size)
        old = (size_t)(st.st_size - offset) < size ? (size_t)(st.st_size - offset) : size;
    u = push(BYTES, old);
    set_place(u, 0, fd, "");
    u->offset = offset;
    u->old_size = st.st_size;
    if (pread(fd, u->bytes, old, offset) != (ssize_t)old)
        u->size = 0;
}

/* A coin for each file and folder, the same for all its changes. */
static bool spared(inode where)
{
    uint64_t mixed = (uint64_t)where.ino * 0x9E3779B97F4A7C15u +
                     (uint64_t)atomic_load(&state->at) * 0xC2B2AE3D27D4EB4Fu;

    return (atomic_load(&state->lose) & LOSE_SOME) && ((mixed >> 40) & 1);
}

/* A rename is one step of the disk; but when only the new name's folder was synced, the old one may come back beside it. */
static void move_back(const undo *u)
{
    if (!u->durable[0] && !u->durable[1])
        REAL(renameat)(u->fd[0], u->name[0], u->fd[1], u->name[1]);
    else if (!u->durable[1])
        REAL(linkat)(u->fd[0], u->name[0], u->fd[1], u->name[1], 0);
}

static void take_back(const undo *u)
{
    switch (u->kind) {
    case BYTES:
        if (u->size)
            (void)!REAL(pwrite)(u->fd[0], u->bytes, u->size, u->offset);
        (void)!REAL(ftruncate)(u->fd[0], u->old_size);
        break;
    case NAME_MADE:
        REAL(unlinkat)(u->fd[0], u->name[0], 0);
        break;
    case FOLDER_MADE:
        REAL(unlinkat)(u->fd[0], u->name[0], AT_REMOVEDIR);
        break;
    case NAME_GONE:
        REAL(renameat2)(trash_fd, u->name[1], u->fd[0], u->name[0], RENAME_NOREPLACE);
        break;
    case FOLDER_GONE:
        REAL(mkdirat)(u->fd[0], u->name[0], 0700);
        break;
    case NAME_MOVED:
        move_back(u);
        break;
    }
}

static void cut_power(void)
{
    unsigned lose = atomic_load(&state->lose);

    for (const undo *u = newest; u; u = u->older)
        if ((lose & (u->kind == BYTES ? LOSE_BYTES : LOSE_NAMES)) && !spared(u->where[0]))
            take_back(u);
}

/* ---- the Nth change ---- */

static void end_here(void)
{
    cut_power();
    raise(SIGKILL);
    for (;;)
        pause();
}

/* With the lock held. True: the call fails with errno. *torn: it is done in part, and then the process ends. */
static bool meet_fate(bool *torn)
{
    unsigned what = atomic_load(&state->what), count = atomic_fetch_add(&state->count, 1) + 1,
             at = atomic_load(&state->at);

    if (count < at || (count > at && what != FAIL_ALWAYS))
        return false;
    atomic_store(&state->fired, 1);
    if (what == KILL || (what == KILL_TORN && !torn))
        end_here();
    if (what == KILL_TORN)
        *torn = true;
    if (what != FAIL && what != FAIL_ALWAYS)
        return false;
    errno = (int)atomic_load(&state->error);
    return true;
}

/* `plain` when the change is none of ours, else `noted`, which also remembers how to take it back. */
#define COUNTED(is_inside, plain, noted)                                                           \
    do {                                                                                           \
        int result_, error_;                                                                       \
        bool fails_;                                                                               \
        if (!(is_inside))                                                                          \
            return plain;                                                                          \
        pthread_mutex_lock(&lock);                                                                 \
        fails_ = meet_fate(NULL);                                                                  \
        result_ = fails_ ? -1 : (noted);                                                           \
        error_ = errno;                                                                            \
        pthread_mutex_unlock(&lock);                                                               \
        errno = error_;                                                                            \
        return result_;                                                                            \
    } while (0)

/* ---- calls that change bytes ---- */

ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
    bool torn = false;
    ssize_t result = -1;
    int error;

    if (!inside(fd))
        return REAL(pwrite64)(fd, buf, size, offset);
    pthread_mutex_lock(&lock);
    if (!meet_fate(&torn)) {
        note_write(fd, offset, size);
        result = REAL(pwrite64)(fd, buf, torn ? size / 2 : size, offset);
    }
    error = errno;
    if (torn)
        end_here();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    return pwrite64(fd, buf, size, offset);
}

static int truncate_noted(int fd, off_t size)
{
    struct stat st;

    if (fstat(fd, &st) == 0)
        note_write(fd, size < st.st_size ? size : st.st_size,
                   size < st.st_size ? (size_t)(st.st_size - size) : 0);
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    COUNTED(inside(fd), REAL(ftruncate)(fd, size), truncate_noted(fd, size));
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

static int note_synced(int fd, int rc)
{
    if (rc == 0)
        note_sync(fd);
    return rc;
}

int fdatasync(int fd)
{
    COUNTED(inside(fd), REAL(fdatasync)(fd), note_synced(fd, REAL(fdatasync)(fd)));
}

int fsync(int fd)
{
    COUNTED(inside(fd), REAL(fsync)(fd), note_synced(fd, REAL(fsync)(fd)));
}

/* ---- calls that change names ---- */

static void note_made(int kind, int folder, const char *name)
{
    set_place(push(kind, 0), 0, folder, name);
}

static int make_file(int folder, const char *name, int flags, mode_t mode)
{
    struct stat st;
    bool there = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = REAL(openat)(folder, name, flags, mode);

    if (fd >= 0 && !there)
        note_made(NAME_MADE, folder, name);
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

int openat64(int folder, const char *name, int flags, ...)
{
    mode_t mode;
    va_list args;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    COUNTED((flags & O_CREAT) && inside(folder), REAL(openat)(folder, name, flags, mode),
            make_file(folder, name, flags, mode));
}

/* SQLite's, by whole paths. */
static int make_path(const char *path, int flags, mode_t mode)
{
    const char *slash = strrchr(path, '/');
    char parent[4096];
    int folder, fd;

    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    folder = REAL(open)(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = make_file(folder, slash + 1, flags, mode);
    close(folder);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;
    va_list args;

    va_start(args, flags);
    mode = mode_of(flags, args);
    va_end(args);
    COUNTED((flags & O_CREAT) && inside_path(path), REAL(open)(path, flags, mode),
            make_path(path, flags, mode));
}

static int make_folder(int folder, const char *name, mode_t mode)
{
    int rc = REAL(mkdirat)(folder, name, mode);

    if (rc == 0)
        note_made(FOLDER_MADE, folder, name);
    return rc;
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    COUNTED(inside(folder), REAL(mkdirat)(folder, name, mode), make_folder(folder, name, mode));
}

static int remove_folder(int folder, const char *name)
{
    int rc = REAL(unlinkat)(folder, name, AT_REMOVEDIR);

    if (rc == 0)
        note_made(FOLDER_GONE, folder, name);
    return rc;
}

/* A name that may have to come back is kept. */
static int remove_name(int folder, const char *name, int flags)
{
    struct stat st;
    char kept[32];
    undo *u;

    if (flags & AT_REMOVEDIR)
        return remove_folder(folder, name);
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
        return REAL(unlinkat)(folder, name, flags);
    snprintf(kept, sizeof(kept), "%d-%u", (int)getpid(), trash_count);
    if (REAL(renameat)(folder, name, trash_fd, kept) != 0)
        return -1;
    trash_count++;
    u = push(NAME_GONE, 0);
    set_place(u, 0, folder, name);
    snprintf(u->name[1], sizeof(u->name[1]), "%s", kept);
    return 0;
}

int unlinkat(int folder, const char *name, int flags)
{
    COUNTED(inside(folder), REAL(unlinkat)(folder, name, flags), remove_name(folder, name, flags));
}

static int move(int from, const char *old, int to, const char *new, unsigned flags)
{
    int rc = REAL(renameat2)(from, old, to, new, flags);
    undo *u;

    if (rc != 0)
        return rc;
    u = push(NAME_MOVED, 0);
    set_place(u, 0, to, new);
    set_place(u, 1, from, old);
    return 0;
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    COUNTED(inside(from), REAL(renameat2)(from, old, to, new, flags),
            move(from, old, to, new, flags));
}

int renameat(int from, const char *old, int to, const char *new)
{
    return renameat2(from, old, to, new, 0);
}

static int link_noted(int from, const char *old, int to, const char *new, int flags)
{
    int rc = REAL(linkat)(from, old, to, new, flags);

    if (rc == 0)
        note_made(NAME_MADE, to, new);
    return rc;
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    COUNTED(inside(to), REAL(linkat)(from, old, to, new, flags),
            link_noted(from, old, to, new, flags));
}
