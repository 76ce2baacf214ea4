/* Owns: record files that nobody needs any more, kept to be used again.
 * Must not know: what stands in them: an entry counts only in the record of the assembly it was written for.
 *
 * With small files a record would be made and removed for each: two changes of the folder, an inode, its blocks, and on some
 * file systems a search for an inode that was not used lately, which grows with the rate. A rename is all that is needed
 * instead, and a file whose blocks are there syncs faster. Measured in docs/internals/storage-file.md. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "storage/storage_file_private.h"

/* A larger record is removed: the blocks would be held for nothing. */
#define SIZE_MAX_KEPT (16 * 1024)

static void spare_name(unsigned number, char name[FPI_STAGED_NAME_SIZE])
{
    snprintf(name, FPI_STAGED_NAME_SIZE, "spare-%u", number); /* list_staged passes it by */
}

/* What another process left is no use to us: it may be using it still. */
void fpi_spares_init(fpi_spares *s, int staging_fd)
{
    char name[FPI_STAGED_NAME_SIZE];

    pthread_mutex_init(&s->lock, NULL);
    s->staging_fd = staging_fd;
    for (unsigned i = 0; i < FPI_SPARES_MAX; i++) {
        spare_name(i, name);
        (void)unlinkat(staging_fd, name, 0);
        s->empty[s->empty_count++] = i;
    }
}

static bool pop(fpi_spares *s, unsigned *stack, size_t *count, unsigned *number)
{
    bool found;

    pthread_mutex_lock(&s->lock);
    found = *count > 0;
    if (found)
        *number = stack[--*count];
    pthread_mutex_unlock(&s->lock);
    return found;
}

static void push(fpi_spares *s, unsigned *stack, size_t *count, unsigned number)
{
    pthread_mutex_lock(&s->lock);
    stack[(*count)++] = number;
    pthread_mutex_unlock(&s->lock);
}

void fpi_spares_drop(fpi_spares *s)
{
    char name[FPI_STAGED_NAME_SIZE];
    unsigned number;

    while (pop(s, s->full, &s->full_count, &number)) {
        spare_name(number, name);
        (void)unlinkat(s->staging_fd, name, 0);
        push(s, s->empty, &s->empty_count, number);
    }
}

void fpi_spares_dispose(fpi_spares *s)
{
    fpi_spares_drop(s);
    pthread_mutex_destroy(&s->lock);
}

bool fpi_spare_give(fpi_spares *s, const char *name)
{
    char spare[FPI_STAGED_NAME_SIZE];
    struct stat st;
    unsigned number;
    bool kept;

    if (fstatat(s->staging_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
        st.st_nlink != 1 || st.st_size > SIZE_MAX_KEPT ||
        !pop(s, s->empty, &s->empty_count, &number))
        return false;
    spare_name(number, spare);
    kept = renameat(s->staging_fd, name, s->staging_fd, spare) == 0;
    if (kept)
        push(s, s->full, &s->full_count, number);
    else
        push(s, s->empty, &s->empty_count, number);
    return kept;
}

bool fpi_spare_take(fpi_spares *s, const char *name)
{
    char spare[FPI_STAGED_NAME_SIZE];
    unsigned number;
    bool taken;

    if (!pop(s, s->full, &s->full_count, &number))
        return false;
    spare_name(number, spare);
    taken = renameat2(s->staging_fd, spare, s->staging_fd, name, RENAME_NOREPLACE) == 0;
    push(s, s->empty, &s->empty_count, number);
    return taken;
}
