/* Owns: what the files of the file driver share. docs/internals/storage-file.md explains the whole.
 * Must not know: any other driver. */
#ifndef FPI_STORAGE_FILE_PRIVATE_H
#define FPI_STORAGE_FILE_PRIVATE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "core/error_private.h"
#include "storage/storage_file_direct.h"
#include "storage/storage_private.h"
#include "storage/sync_group.h"

#define FPI_FILE_MODE 0600
#define FPI_FOLDER_MODE 0700
#define FPI_OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/** A folder of objects that is kept open, because publications need it. Counted; shared. */
typedef struct fpi_folder {
    struct fpi_folder *next;
    size_t refs; /* one is the table's, while it is in there */
    const fp_allocator *a;
    fpi_sync_group sync;
    int fd;
    char path[]; /* "" is the root of all keys; no '/' at the end */
} fpi_folder;

/** The folders that were used last. */
typedef struct fpi_folder_table {
    pthread_mutex_t lock;
    fpi_folder *newest;
    size_t count;
} fpi_folder_table;

#define FPI_SPARES_MAX 64u

/** Record files to be used again; shared. */
typedef struct fpi_spares {
    pthread_mutex_t lock;
    int staging_fd; /* borrowed */
    unsigned full[FPI_SPARES_MAX],
        empty[FPI_SPARES_MAX]; /* numbers of those that are there, and that are not */
    size_t full_count, empty_count;
} fpi_spares;

typedef struct fpi_file_store {
    fp_context *ctx;
    int objects_fd;
    int staging_fd;
    fpi_sync_group staging_sync;
    fpi_spares spares;
    fpi_direct_pool direct;
    bool no_unnamed; /* files can't be made without a name, or get none later */
    fpi_folder_table folders;
} fpi_file_store;

/* storage_file_folder.c: the way from a key to a folder, never through a symbolic link. */

/** The folder in which key's object has its place, and its name there. Whoever made the folders above, they are on
 *  disk when this returns. create = false: NOTFOUND with object_not_found when there is none; with true: CONFLICT
 *  when an object stands where a folder must be. */
fp_status fpi_folder_open(fpi_file_store *s, const char *key, bool create, fpi_folder **out,
                          const char **leaf, fp_error *err);
void fpi_folder_unref(fpi_folder *folder);
FPI_DEFINE_CLEANUP(fpi_folder, fpi_folder_unref)
/** For a folder that turned out to be removed from the disk: it and those below leave the table. */
void fpi_folder_forget(fpi_file_store *s, const char *path);
void fpi_folder_table_init(fpi_folder_table *t);
void fpi_folder_table_dispose(fpi_folder_table *t);
fp_status fpi_folder_sync(fpi_folder *folder, fp_error *err);
/** Removes the folder `name` when there is no file in it or below. */
bool fpi_folder_prune(int parent_fd, const char *name);

/** Opens an object to read, a plain file; else NOTFOUND. *st is filled. */
fp_status fpi_file_open_object(fpi_file_store *s, const char *key, int *fd, struct stat *st,
                               fp_error *err);
/** A folder of keys, without its '/' at the end ("" = all keys), for listing; -1 and errno when there is none. */
int fpi_file_open_folder(fpi_file_store *s, const char *path);

/** Whether this errno of an open says that nothing of ours is there: not even a link is followed. */
bool fpi_file_is_absence(int error);
int64_t fpi_file_modified_ms(const struct stat *st);

/* storage_file_list.c */
fp_status fpi_file_list(void *self, const char *prefix, const char *after, size_t limit,
                        fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err);
fp_status fpi_file_list_staged(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                               void *user_data, uint32_t flags, fp_error *err);

/* storage_file_record.c: the file that tells which parts are committed. */

#define FPI_RECORD_SIZE 256u

/** What goes into the checksum of every entry, so that one of another assembly is none of ours: record files are used
 *  again. */
uint32_t fpi_record_seed(const char *id);
void fpi_record_encode(const fp_part_info *part, uint32_t seed, uint64_t index,
                       unsigned char out[FPI_RECORD_SIZE]);
/** False when these bytes are no whole record of this assembly and index. */
bool fpi_record_decode(const unsigned char in[FPI_RECORD_SIZE], uint32_t seed, uint64_t index,
                       fp_part_info *part);

/** Who wants to know of the parts, and what fpi_records_load() found. */
typedef struct fpi_records {
    fp_status (*on_part)(void *user_data, const fp_part_info *part, fp_error *err);
    void *user_data;
    uint32_t seed;
    uint64_t count;
    uint64_t end;  /* behind the last byte of any part */
    bool damaged;  /* something that is no record stands behind the last one */
    bool followed; /* and whole records behind that */
} fpi_records;

/** Calls on_part for each record up to the first that is damaged. */
fp_status fpi_records_load(int fd, fpi_records *found, fp_error *err);

/* storage_file_staging.c: an assembly's two files. */

#define FPI_STAGED_NAME_SIZE (FPI_KEY_SEGMENT_MAX + 8u)

/** A part being written. */
typedef struct fpi_file_part {
    struct fpi_file_part *next; /* of those that write directly */
    uint64_t offset, length;
    uint64_t started;   /* up to here the kernel was told to write */
    fpi_direct *direct; /* or NULL: through the page cache */
} fpi_file_part;

typedef struct fpi_staged_file {
    fpi_file_store *store;
    char data_name[FPI_STAGED_NAME_SIZE];
    char parts_name[FPI_STAGED_NAME_SIZE];
    uint32_t seed; /* of its records */
    bool transient;
    bool empty_record; /* was there when it was opened, without any entry */
    fpi_sync_group data_sync;
    fpi_sync_group parts_sync;
    char *key; /* fp_assembly_set_target(); or NULL */
    uint64_t size;
    pthread_mutex_t lock; /* of all below */
    int data_fd;          /* -1 until it is needed */
    int parts_fd;
    fpi_file_part *direct; /* those that write directly */
    bool data_exists;
    bool unnamed; /* the data are in no folder yet */
    bool parts_exist;
    bool names_synced; /* the two names are in the folder on disk */
    bool published;    /* data_name has become an object's name */
    bool whole;        /* by the commit of its only part, and that is on disk */
    bool broken;       /* a sync failed: nothing more is committed by this handle */
    uint64_t written;  /* records in the file */
    uint64_t durable;  /* of those, known to be on disk */
} fpi_staged_file;

/** With the lock held: the descriptor of the data, or of the record; makes the file when it may and must. The data of
 *  a published assembly answer NOTFOUND. */
fp_status fpi_staged_open_data(fpi_staged_file *f, bool create, fp_error *err);
fp_status fpi_staged_open_parts(fpi_staged_file *f, fp_error *err);
/** The names of both files reach the disk. */
fp_status fpi_staged_sync_names(fpi_staged_file *f, fp_error *err);
void fpi_staged_close_files(fpi_staged_file *f);

fp_status fpi_file_assembly_open(void *self, const char *id, uint32_t flags,
                                 fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                      fp_error *err),
                                 void *user_data, void **assembly, fp_error *err);
void fpi_file_assembly_close(void *self, void *assembly);
fp_status fpi_file_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                                 size_t *got, uint32_t flags, fp_error *err);
fp_status fpi_file_discard(void *self, const char *id, uint32_t flags, fp_error *err);

/** Reads until cap or the end of the file. */
fp_status fpi_file_read_at(int fd, uint64_t offset, void *buf, size_t cap, size_t *got,
                           fp_error *err);
fp_status fpi_file_write_at(int fd, uint64_t offset, const void *data, size_t size, fp_error *err);

/* storage_file_spare.c */
void fpi_spares_init(fpi_spares *s, int staging_fd);
void fpi_spares_dispose(fpi_spares *s);
/** Removes all there are. */
void fpi_spares_drop(fpi_spares *s);
/** The record file `name` becomes a spare one; false when it can't be kept: then it is as it was. */
bool fpi_spare_give(fpi_spares *s, const char *name);
/** A spare file becomes the record `name`; false when there is none. */
bool fpi_spare_take(fpi_spares *s, const char *name);

/* storage_file_part.c */
fp_status fpi_file_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                              void **part, fp_error *err);
fp_status fpi_file_part_write(void *self, void *assembly, void *part, uint64_t offset,
                              const void *data, size_t size, fp_error *err);
fp_status fpi_file_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                               fp_error *err);
void fpi_file_part_free(void *self, void *assembly, void *part);
/** Nothing more of this part is written past the page cache. */
void fpi_file_part_end_direct(fpi_file_store *s, fpi_staged_file *f, fpi_file_part *p);
/** No part writes into this range any more: none has leave to, but what was under way may still have been. */
void fpi_staged_drain(fpi_staged_file *f, uint64_t offset, uint64_t length);

/* storage_file_copy.c */
fp_status fpi_file_part_copy(void *self, void *assembly, void *part, uint64_t offset,
                             void *from_assembly, uint64_t from_offset, uint64_t length,
                             fp_error *err);

/* storage_file_publish.c */
fp_status fpi_file_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                    uint32_t flags, fp_error *err);
/** Cuts the data to `size` bytes and syncs them. */
fp_status fpi_staged_settle_data(fpi_staged_file *f, uint64_t size, fp_error *err);
/** The data become the object, on disk when this returns; they must be there before. */
fp_status fpi_staged_move(fpi_staged_file *f, const char *key, uint64_t size, uint32_t flags,
                          fp_error *err);

/* storage_file_whole.c */
fp_status fpi_file_assembly_set_target(void *self, void *assembly, const char *key, uint64_t size,
                                       fp_part_info *whole, fp_error *err);
/** With the lock held, when the next part is expected to be all of the object: its data need no name before they get the
 *  object's. Where that can't be they are opened with one, as always. */
void fpi_staged_open_unnamed(fpi_staged_file *f);
/** Otherwise they need one. */
fp_status fpi_staged_name_data(fpi_staged_file *f, fp_error *err);
/** Whether this part is all of the object. */
bool fpi_staged_is_whole(const fpi_staged_file *f, const fp_part_info *part);
/** Its commit. */
fp_status fpi_staged_commit_whole(fpi_staged_file *f, fp_error *err);

#endif
