/* Owns: what the files of the storage folder, and those who use storage, share beyond the public header.
 * Must not know: any driver's inside. */
#ifndef FPI_STORAGE_PRIVATE_H
#define FPI_STORAGE_PRIVATE_H

#include <stdbool.h>

#include <fileproc/driver/storage_driver.h>

#include "core/context_private.h"

FPI_DEFINE_CLEANUP(fp_storage, fp_storage_free)
FPI_DEFINE_CLEANUP(fp_storage_list_page, fp_storage_list_free)
FPI_DEFINE_CLEANUP(fp_assembly, fp_assembly_close)
FPI_DEFINE_CLEANUP(fp_part, fp_part_free)

#define FPI_KEY_MAX 1024u
#define FPI_KEY_SEGMENT_MAX 200u
/** The longest life of a signed address: a week. */
#define FPI_PRESIGN_MAX_S 604800u
/** The largest size and offset: what off_t holds. */
#define FPI_FD_PATH_SIZE 32u
#define FPI_OBJECT_SIZE_MAX ((uint64_t)INT64_MAX)

struct fp_storage {
    fp_context *ctx;
    const fp_storage_driver *drv; /* the decorator, when there is one */
    void *self;
    const char *scheme;
    uint64_t flags; /* of the driver behind the decorator */
    bool copies;    /* and it has part_copy */
};

/** The drivers of this build, NULL behind the last. */
extern const fp_storage_driver *const fpi_storage_drivers[];
extern const fp_storage_driver fpi_storage_file_driver;
extern const fp_storage_driver fpi_storage_mem_driver;
extern const fp_storage_driver fpi_storage_s3_driver;
/** The decorator around drivers behind a network; its self comes from fpi_storage_retry_wrap(). */
extern const fp_storage_driver fpi_storage_retry_driver;

/** Puts the decorator around an open store of a driver. Takes self on success. attempts: of each call, the first included. */
fp_status fpi_storage_retry_wrap(fp_context *ctx, const fp_storage_driver *drv, void *self,
                                 uint32_t attempts, void **out, fp_error *err);

/** INVALID with key_invalid; NULL too. */
fp_status fpi_key_check(const char *key, fp_error *err);
/** An id: one segment. */
fp_status fpi_key_check_id(const char *id, fp_error *err);
/** What some key can begin with; "" and NULL are good. */
fp_status fpi_key_check_prefix(const char *prefix, fp_error *err);
/** Whether these bytes can be a segment of a key; drivers use it to pass by what is not theirs. */
bool fpi_key_segment_valid(const char *text, size_t size);

fp_status fpi_object_not_found(fp_error *err);

/** Whether two ETags of a part are the same one. Some servers tell them without the quotes that belong to them, some clients drop
 *  those. */
bool fpi_etag_same(const char *a, const char *b);

/** The committed part that begins at offset; false when there is none. */
bool fpi_assembly_part_from(const fp_assembly *a, uint64_t offset, fp_part_info *info);

/** As fp_part_write() of the bytes of a committed part of another assembly, which do not pass through this process: NOTSUP, and
 *  nothing is written, where the store can't do that. Nobody publishes the other one meanwhile. */
fp_status fpi_part_copy(fp_part *part, fp_assembly *from, const fp_part_info *what, fp_error *err);

/** The path by which the kernel opens or links the file behind a descriptor; answers path. */
const char *fpi_fd_path(int fd, char path[FPI_FD_PATH_SIZE]);
/** A file without a name, open for reading and writing. */
fp_status fpi_unnamed_file(int *fd, fp_error *err);
/** The same file open for reading only, at offset 0. */
fp_status fpi_reopen_read_only(int fd, int *out, fp_error *err);
/** All of it, at the end of the file, whatever signals and short writes come between. */
fp_status fpi_write_fully(int fd, const void *data, size_t size, fp_error *err);
/** The core's part of fp_storage_open_fd() for drivers without local files. */
fp_status fpi_object_copy_to_file(fp_storage *st, const char *key, int *fd, fp_error *err);

#endif
