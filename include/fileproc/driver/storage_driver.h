/* Owns: the table of functions behind fileproc/storage.h, for those who write a backend.
 * Must not know: any driver. Less stable than the other headers: a minor release may extend it. */
#ifndef FILEPROC_DRIVER_STORAGE_DRIVER_H
#define FILEPROC_DRIVER_STORAGE_DRIVER_H

#include <fileproc/storage.h>

FILEPROC_BEGIN_DECLS

/** Called once per name by the two list slots, in byte order; a failure stops the listing and is returned. */
typedef fp_status (*fp_storage_list_fn)(void *user_data, const char *name, uint64_t size,
                                        int64_t modified_ms, fp_error *err);

/** A storage backend. Start from FILEPROC_STORAGE_DRIVER_INIT and designated initialisers. The core has
 *  validated keys, ids, ranges and pointers before it calls a slot, and every slot may be called
 *  from many threads at once, except on one part. `self` is what open gave. Slots return the codes
 *  that fileproc/storage.h lists for the call of the same name, and never retry. With FILEPROC_STORAGE_DRIVER_NETWORK the
 *  core repeats a call that has failed with FILEPROC_ERROR_RETRYABLE: with the same arguments, also part_write and
 *  part_commit, which must not take twice what they have taken. */
typedef struct fp_storage_driver {
    size_t struct_size; /**< Filled by FILEPROC_STORAGE_DRIVER_INIT. */
    const char *scheme; /**< Filled by FILEPROC_STORAGE_DRIVER_INIT. */

    /** Required. Sets *self on success. */
    fp_status (*open)(fp_context *ctx, const char *uri, const fp_storage_options *opts, void **self,
                      fp_error *err);
    /** Required. Frees self; never NULL. */
    void (*close)(void *self);
    /** Required. As fp_storage_read(). */
    fp_status (*read)(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                      size_t *got, uint32_t flags, fp_error *err);
    /** Required. As fp_storage_stat(). */
    fp_status (*stat)(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                      fp_error *err);
    /** Required. As fp_storage_remove(). */
    fp_status (*remove)(void *self, const char *key, uint32_t flags, fp_error *err);
    /** Required. Calls fn for up to limit names that start with prefix ("" = all) and are greater than
     *  after ("" = from the start). */
    fp_status (*list)(void *self, const char *prefix, const char *after, size_t limit,
                      fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err);
    /** Optional; NULL lets the core copy into an unnamed file. As fp_storage_open_fd(). */
    fp_status (*open_fd)(void *self, const char *key, int32_t *fd, uint32_t flags, fp_error *err);

    /** Required. Opens what is staged under id. Calls on_part for each committed part in commit order (the
     *  core keeps the list; a failure of on_part is returned), then sets *assembly. A transient one is new: there is
     *  nothing to look for, and no part of it need be durable before assembly_publish. */
    fp_status (*assembly_open)(void *self, const char *id, uint32_t flags,
                               fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                    fp_error *err),
                               void *user_data, void **assembly, fp_error *err);
    /** Required. Frees the handle, keeps what is committed; drops a transient one that is not published. */
    void (*assembly_close)(void *self, void *assembly);
    /** Required. As fp_assembly_read(). */
    fp_status (*assembly_read)(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                               size_t *got, uint32_t flags, fp_error *err);
    /** Required. As fp_assembly_publish(); the core has checked that the parts cover size. One at a time per
     *  assembly, and no slot of a part runs beside it; may be called again after it succeeded or failed. */
    fp_status (*assembly_publish)(void *self, void *assembly, const char *key, uint64_t size,
                                  uint32_t flags, fp_error *err);
    /** Required. As fp_part_begin(). The range overlaps no committed part, and the core lets no other open part
     *  write there. When this assembly was published, before a crash perhaps: CONFLICT. */
    fp_status (*part_begin)(void *self, void *assembly, uint64_t offset, uint64_t length,
                            void **part, fp_error *err);
    /** Required. Writes size bytes at offset, which is always where the write before ended. */
    fp_status (*part_write)(void *self, void *assembly, void *part, uint64_t offset,
                            const void *data, size_t size, fp_error *err);
    /** Required. Makes the part durable, then its record. info is complete (crc32c and note included). */
    fp_status (*part_commit)(void *self, void *assembly, void *part, const fp_part_info *info,
                             fp_error *err);
    /** Required. Frees the part's handle; drops it when it was not committed. */
    void (*part_free)(void *self, void *assembly, void *part);
    /** Required. As fp_storage_discard(). */
    fp_status (*discard)(void *self, const char *id, uint32_t flags, fp_error *err);
    /** Required. As list, over the ids of assemblies. */
    fp_status (*list_staged)(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                             void *user_data, uint32_t flags, fp_error *err);

    uint64_t flags; /**< 0, or an or-combination of FILEPROC_STORAGE_DRIVER_*. */
    /** Optional; NULL ignores it. As fp_assembly_set_target(); fills *whole with the part that has become the object, if there is
     *  one and assembly_open has not told of it. */
    fp_status (*assembly_set_target)(void *self, void *assembly, const char *key, uint64_t size,
                                     fp_part_info *whole, fp_error *err);
    /** Optional; NULL answers NOTSUP. As fp_storage_presign(). */
    fp_status (*presign)(void *self, const char *key, uint32_t method, uint32_t expires_s, fp_buf *url,
                         fp_error *err);
    /** Optional; NULL answers NOTSUP. As fp_assembly_presign(). */
    fp_status (*assembly_presign)(void *self, void *assembly, uint64_t offset, uint32_t expires_s,
                                  fp_buf *url, fp_error *err);
    /** Optional; NULL has nothing to remove. As fp_storage_reap(); count is never NULL. */
    fp_status (*reap)(void *self, int64_t older_than_ms, uint64_t *count, fp_error *err);
    /** Optional; NULL answers NOTSUP. As fp_assembly_written(). */
    fp_status (*assembly_written)(void *self, void *assembly, fp_written_fn fn, void *user_data,
                                  fp_error *err);
    /** Optional; NULL answers NOTSUP. As fp_assembly_adopt(): info is what is to be committed, note and all. What part_begin
     *  says of the range holds. */
    fp_status (*assembly_adopt)(void *self, void *assembly, const char *const *etags, size_t etag_count,
                                const fp_part_info *info, fp_error *err);
    /** Optional; NULL answers NOTSUP. As fp_storage_room(). */
    fp_status (*room)(void *self, uint64_t *bytes, fp_error *err);
    /** Optional; NULL answers 0. As fp_assembly_part_size(). */
    uint64_t (*assembly_part_size)(void *self, void *assembly);
    /** Optional; NULL answers NOTSUP. Writes length bytes at offset, where the write before ended, as part_write does; they are those at
     *  from_offset of another assembly of the store, of which they are committed and which is not published. They need not
     *  pass through this process. NOTSUP when that can't be done with these two; then none are written. */
    fp_status (*part_copy)(void *self, void *assembly, void *part, uint64_t offset, void *from_assembly,
                           uint64_t from_offset, uint64_t length, fp_error *err);
} fp_storage_driver;
/** fp_storage_driver.flags: calls can fail for a while, and are repeated. */
#define FILEPROC_STORAGE_DRIVER_NETWORK 1u
/** fp_storage_driver.flags: assembly_read may answer NOTSUP when the key was told with assembly_set_target. */
#define FILEPROC_STORAGE_DRIVER_UNREADABLE 2u
/** The first two members; designated initialisers for the slots follow. */
#define FILEPROC_STORAGE_DRIVER_INIT(name) .struct_size = sizeof(fp_storage_driver), .scheme = (name)

FILEPROC_END_DECLS
#endif
