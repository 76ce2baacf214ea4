/* Owns: the cleanup attribute for the daemons: a local that owns something is released on every return.
 * Must not know: what a type is; each line at the end names a type of the library and its destructor. */
#ifndef FPD_SCOPED_H
#define FPD_SCOPED_H

#include <stdlib.h>
#include <unistd.h>

#include <fileproc/catalog.h>
#include <fileproc/job.h>
#include <fileproc/queue.h>
#include <fileproc/upload.h>
#include <jansson.h>

#include "memory.h"

/** Declares `FPD_CLEANUP(type) p = NULL;` for a pointer type whose destructor accepts NULL. */
#define FPD_DEFINE_CLEANUP(type, destructor)                                                       \
    static inline void fpd_cleanup_##type(type **p)                                                \
    {                                                                                              \
        destructor(*p);                                                                            \
    }
#define FPD_CLEANUP(type) __attribute__((cleanup(fpd_cleanup_##type))) type *

/** For a struct on the stack with a dispose function. */
#define FPD_DEFINE_DISPOSE(type, dispose)                                                          \
    static inline void fpd_dispose_##type(type *p)                                                 \
    {                                                                                              \
        dispose(p);                                                                                \
    }
#define FPD_DISPOSE(type) __attribute__((cleanup(fpd_dispose_##type))) type

/** Hands the value over: the local is NULL afterwards, so its cleanup does nothing. */
#define fpd_steal(p)                                                                               \
    __extension__({                                                                                \
        __typeof__(*(p)) fpd_stolen = *(p);                                                        \
        *(p) = NULL;                                                                               \
        fpd_stolen;                                                                                \
    })

/** A descriptor that is closed on every return; -1 = none. */
static inline void fpd_cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define FPD_FD __attribute__((cleanup(fpd_cleanup_fd))) int

/** Memory of fpd_memory() or malloc(). */
static inline void fpd_cleanup_memory(char **p)
{
    free(*p);
}
#define FPD_MEMORY __attribute__((cleanup(fpd_cleanup_memory))) char *

FPD_DEFINE_CLEANUP(fp_upload, fp_upload_free)
FPD_DEFINE_CLEANUP(fp_chunk, fp_chunk_free)
FPD_DEFINE_CLEANUP(fp_file, fp_file_free)
FPD_DEFINE_CLEANUP(fp_file_page, fp_file_page_free)
FPD_DEFINE_CLEANUP(fp_job, fp_job_free)
FPD_DEFINE_CLEANUP(fp_job_page, fp_job_page_free)
FPD_DEFINE_CLEANUP(fp_message, fp_message_free)
FPD_DEFINE_CLEANUP(json_t, json_decref)
FPD_DEFINE_DISPOSE(fp_buf, fp_buf_dispose)

#endif
