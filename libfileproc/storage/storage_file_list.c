/* Owns: listing the file driver's objects and assemblies in byte order.
 * Must not know: how pages are made of it. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* A segment, for a folder a '/' behind it, and the NUL. */
#define NAME_SIZE (FPI_KEY_SEGMENT_MAX + 2u)

/* The first names of a folder behind a given one, sorted. However many names a folder has, only so many are
 * kept: what does not fit is found by reading the folder again. A folder's name carries its '/', so that comparing
 * names gives the order of whole keys: "a-b" < "a.b" < "a/x" < "a0". */
typedef struct selection {
    const fp_context *ctx;
    char (*slots)[NAME_SIZE];
    char **sorted; /* pointers into slots */
    size_t count, capacity;
    bool cut; /* there are more */
} selection;

static void selection_dispose(selection *s)
{
    fpi_free(&s->ctx->a, s->slots);
    fpi_free(&s->ctx->a, s->sorted);
    s->slots = NULL;
    s->sorted = NULL;
}
FPI_DEFINE_DISPOSE(selection, selection_dispose)

static fp_status selection_init(selection *s, const fp_context *ctx, size_t capacity, fp_error *err)
{
    *s = (selection){ .ctx = ctx, .capacity = capacity };
    s->slots = fpi_calloc(&ctx->a, capacity, sizeof(*s->slots));
    s->sorted = fpi_calloc(&ctx->a, capacity, sizeof(*s->sorted));
    if (!s->slots || !s->sorted) {
        selection_dispose(s);
        return fpi_no_memory(err);
    }
    return FILEPROC_OK;
}

/* Where name stands or would stand; *found when it is there. */
static size_t selection_place(const selection *s, const char *name, bool *found)
{
    size_t low = 0, high = s->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->sorted[middle], name);

        if (order == 0)
            *found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* name is shorter than NAME_SIZE. A full selection drops its last name, or this one. */
static void selection_add(selection *s, const char *name)
{
    bool found;
    size_t place = selection_place(s, name, &found);
    char *slot;

    if (found)
        return;
    s->cut = s->cut || s->count == s->capacity;
    if (place == s->capacity)
        return;
    slot = s->count < s->capacity ? s->slots[s->count++] : s->sorted[s->count - 1];
    memmove(s->sorted + place + 1, s->sorted + place, (s->count - 1 - place) * sizeof(*s->sorted));
    memcpy(slot, name, strlen(name) + 1);
    s->sorted[place] = slot;
}

/* One listing under way. */
typedef struct walk {
    fpi_file_store *store;
    const char *prefix;
    const char *after;
    size_t left; /* names that are still wanted */
    fp_storage_list_fn fn;
    void *user_data;
    char key[FPI_KEY_MAX + NAME_SIZE];
} walk;

/* A stream of the folder's names that takes fd over. */
static fp_status open_stream(int fd, DIR **out, fp_error *err)
{
    *out = fd < 0 ? NULL : fdopendir(fd);
    if (!*out) {
        int error = errno;

        fpi_cleanup_fd(&fd);
        return fpi_error_errno(err, error, "list");
    }
    return FILEPROC_OK;
}

static void stream_close(DIR *dir)
{
    if (dir)
        closedir(dir);
}
FPI_DEFINE_CLEANUP(DIR, stream_close)

static mode_t entry_type(int folder, const struct dirent *e)
{
    struct stat st;

    if (e->d_type == DT_REG)
        return S_IFREG;
    if (e->d_type == DT_DIR)
        return S_IFDIR;
    if (e->d_type != DT_UNKNOWN || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return st.st_mode & S_IFMT;
}

/* Whether any key that a name stands for (with '/': all keys below) is wanted. w->key ends with the name. */
static bool is_wanted(const walk *w, bool folder)
{
    size_t size = strlen(w->key), prefix_size = strlen(w->prefix);

    if (size > FPI_KEY_MAX ||
        strncmp(w->key, w->prefix, size < prefix_size ? size : prefix_size) != 0)
        return false;
    if (!folder)
        return size >= prefix_size && strcmp(w->key, w->after) > 0;
    return strcmp(w->key, w->after) > 0 || strncmp(w->key, w->after, size) == 0;
}

/* The names of the folder that are wanted and come behind `last`. w->key is the folder's key, of key_size bytes. */
static fp_status select_names(walk *w, DIR *dir, size_t key_size, const char *last, selection *s,
                              fp_error *err)
{
    struct dirent *e;

    rewinddir(dir);
    s->count = 0;
    s->cut = false;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has dir */
    while (errno = 0, (e = readdir(dir)) != NULL) {
        size_t size = strlen(e->d_name);
        mode_t type;

        if (!fpi_key_segment_valid(e->d_name, size) || key_size + size >= sizeof(w->key) - 1)
            continue;
        type = entry_type(dirfd(dir), e);
        memcpy(w->key + key_size, e->d_name, size);
        memcpy(w->key + key_size + size, S_ISDIR(type) ? "/" : "", S_ISDIR(type) ? 2 : 1);
        if ((S_ISREG(type) || S_ISDIR(type)) && is_wanted(w, S_ISDIR(type)) &&
            strcmp(w->key + key_size, last) > 0)
            selection_add(s, w->key + key_size);
    }
    w->key[key_size] = '\0';
    return errno ? fpi_error_errno(err, errno, "list") : FILEPROC_OK;
}

static fp_status list_folder(walk *w, int fd, size_t key_size, fp_error *err);

static fp_status list_name(walk *w, int folder, size_t key_size, const char *name, fp_error *err)
{
    size_t size = strlen(name);
    struct stat st;
    fp_status rc = FILEPROC_OK;
    int fd;

    memcpy(w->key + key_size, name, size + 1);
    if (name[size - 1] == '/') {
        w->key[key_size + size - 1] = '\0';
        fd = openat(folder, w->key + key_size, FPI_OPEN_FOLDER);
        w->key[key_size + size - 1] = '/';
        if (fd >= 0)
            rc = list_folder(w, fd, key_size + size, err);
        else if (!fpi_file_is_absence(errno))
            rc = fpi_error_errno(err, errno, "list");
    } else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
        w->left--;
        rc = w->fn(w->user_data, w->key, (uint64_t)st.st_size, fpi_file_modified_ms(&st), err);
    }
    w->key[key_size] = '\0';
    return rc;
}

/* Takes fd over. */
static fp_status list_folder(walk *w, int fd, size_t key_size, fp_error *err)
{
    FPI_DISPOSE(selection) s = { .ctx = w->store->ctx };
    FPI_CLEANUP(DIR) dir = NULL;
    char last[NAME_SIZE] = "";
    fp_status rc;

    rc = open_stream(fd, &dir, err);
    if (rc == FILEPROC_OK)
        rc = selection_init(&s, w->store->ctx, w->left, err);
    do {
        if (rc == FILEPROC_OK)
            rc = select_names(w, dir, key_size, last, &s, err);
        for (size_t i = 0; rc == FILEPROC_OK && i < s.count && w->left; i++)
            rc = list_name(w, dirfd(dir), key_size, s.sorted[i], err);
        if (rc == FILEPROC_OK && s.count)
            memcpy(last, s.sorted[s.count - 1], NAME_SIZE);
    } while (rc == FILEPROC_OK && s.cut && w->left);
    return rc;
}

fp_status fpi_file_list(void *self, const char *prefix, const char *after, size_t limit,
                        fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err)
{
    walk w = { .store = self,
               .prefix = prefix,
               .after = after,
               .left = limit,
               .fn = fn,
               .user_data = user_data };
    const char *slash = strrchr(prefix, '/');
    size_t size = slash ? (size_t)(slash - prefix) : 0;
    int fd;

    (void)flags;
    memcpy(w.key, prefix, size);
    fd = fpi_file_open_folder(self, w.key);
    if (fd < 0)
        return fpi_file_is_absence(errno) ? FILEPROC_OK : fpi_error_errno(err, errno, "list");
    memcpy(w.key, prefix, slash ? size + 1 : 0);
    return list_folder(&w, fd, slash ? size + 1 : 0, err);
}

/* The id of "<id>.data" or "<id>.parts"; false for what is neither. */
static bool staged_id(const char *name, char id[NAME_SIZE])
{
    const char *dot = strrchr(name, '.');
    size_t size = dot ? (size_t)(dot - name) : 0;

    if (!dot || (strcmp(dot, ".data") != 0 && strcmp(dot, ".parts") != 0) ||
        !fpi_key_segment_valid(name, size))
        return false;
    memcpy(id, name, size);
    id[size] = '\0';
    return true;
}

static fp_status select_ids(DIR *dir, const char *after, selection *s, fp_error *err)
{
    struct dirent *e;
    char id[NAME_SIZE];

    assert(dir);
    rewinddir(dir);
    s->count = 0;
    s->cut = false;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has dir */
    while (errno = 0, (e = readdir(dir)) != NULL)
        if (staged_id(e->d_name, id) && strcmp(id, after) > 0)
            selection_add(s, id);
    return errno ? fpi_error_errno(err, errno, "list") : FILEPROC_OK;
}

/* Adds up both files of an assembly; false when neither is there any more. */
static bool stat_staged(int folder, const char *id, uint64_t *bytes, int64_t *modified_ms)
{
    static const char *const suffixes[] = { ".data", ".parts" };
    bool found = false;

    *bytes = 0;
    *modified_ms = 0;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        char name[FPI_STAGED_NAME_SIZE];
        size_t size = strlen(id);
        struct stat st;

        memcpy(name, id, size);
        memcpy(name + size, suffixes[i], strlen(suffixes[i]) + 1);
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        found = true;
        *bytes += (uint64_t)st.st_blocks * 512;
        if (fpi_file_modified_ms(&st) > *modified_ms)
            *modified_ms = fpi_file_modified_ms(&st);
    }
    return found;
}

static fp_status list_ids(walk *w, DIR *dir, const selection *s, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < s->count && w->left; i++) {
        uint64_t bytes;
        int64_t modified_ms;

        if (!stat_staged(dirfd(dir), s->sorted[i], &bytes, &modified_ms))
            continue;
        w->left--;
        rc = w->fn(w->user_data, s->sorted[i], bytes, modified_ms, err);
    }
    return rc;
}

fp_status fpi_file_list_staged(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                               void *user_data, uint32_t flags, fp_error *err)
{
    walk w = { .store = self, .left = limit, .fn = fn, .user_data = user_data };
    FPI_DISPOSE(selection) s = { .ctx = w.store->ctx };
    FPI_CLEANUP(DIR) dir = NULL;
    char last[NAME_SIZE];
    fp_status rc;

    (void)flags;
    if (!*after) /* whoever clears away shall find nothing left; under load it costs a few new files now and then */
        fpi_spares_drop(&w.store->spares);
    memcpy(last, after, strlen(after) + 1);
    rc = open_stream(openat(w.store->staging_fd, ".", FPI_OPEN_FOLDER), &dir, err);
    if (rc == FILEPROC_OK)
        rc = selection_init(&s, w.store->ctx, limit, err);
    do {
        if (rc == FILEPROC_OK)
            rc = select_ids(dir, last, &s, err);
        if (rc == FILEPROC_OK)
            rc = list_ids(&w, dir, &s, err);
        if (rc == FILEPROC_OK && s.count)
            memcpy(last, s.sorted[s.count - 1], NAME_SIZE);
    } while (rc == FILEPROC_OK && s.cut && w.left);
    return rc;
}
