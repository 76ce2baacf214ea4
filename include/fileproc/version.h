/* Owns: the version of the library and the list of features it was built with.
 * Must not know: what the features do. */
#ifndef FILEPROC_VERSION_H
#define FILEPROC_VERSION_H

#include <stdint.h>

#include <fileproc/export.h>

FILEPROC_BEGIN_DECLS

/** Version of these headers: major * 1000000 + minor * 1000 + patch. */
#define FILEPROC_VERSION_NUMBER 1000
/** The same as text. */
#define FILEPROC_VERSION_STRING "0.1.0"

/**
 * Version of the loaded library, in the form of FILEPROC_VERSION_NUMBER.
 *
 * @return  Compare with FILEPROC_VERSION_NUMBER to notice a mismatch.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API uint32_t fp_version_number(void);

/**
 * Version of the loaded library as text.
 *
 * @return  Borrowed, static; for instance "0.1.0".
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API const char *fp_version_string(void);

/**
 * Ask whether this build has an optional part.
 *
 * @param name  Borrowed. "storage.file", "storage.mem", "database.sqlite", "queue.database", "queue.amqp",
 *              "cache.mem", "cache.redis" or "media".
 * @return      1 when it is built in, 0 when not or when the name is unknown.
 * @par Blocking  Never.
 * @par Threads   Callable from any thread.
 * @since 0.1
 */
FILEPROC_API int32_t fp_feature(const char *name);

FILEPROC_END_DECLS
#endif
