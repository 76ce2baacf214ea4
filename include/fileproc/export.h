/* Owns: the words that every public declaration carries.
 * Must not know: any noun of the library. */
#ifndef FILEPROC_EXPORT_H
#define FILEPROC_EXPORT_H

/** Marks a function that the shared library exports. */
#if defined(__GNUC__)
#define FILEPROC_API __attribute__((visibility("default")))
/** The caller must look at the returned status. */
#define FILEPROC_NODISCARD __attribute__((warn_unused_result))
/** The compiler checks the arguments against the printf-style format. */
#define FILEPROC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define FILEPROC_API
#define FILEPROC_NODISCARD
#define FILEPROC_PRINTF(fmt, args)
#endif

/** Brackets C declarations for C++ callers. */
#ifdef __cplusplus
#define FILEPROC_BEGIN_DECLS extern "C" {
/** Ends what FILEPROC_BEGIN_DECLS began. */
#define FILEPROC_END_DECLS }
#else
#define FILEPROC_BEGIN_DECLS
/** Ends what FILEPROC_BEGIN_DECLS began. */
#define FILEPROC_END_DECLS
#endif

#endif
