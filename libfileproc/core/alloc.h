/* Owns: every allocation of the library, through the context's allocator.
 * Must not know: what is allocated. */
#ifndef FPI_ALLOC_H
#define FPI_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include <fileproc/context.h>

/** All answer NULL when out of memory and leave what they were given untouched. */
void *fpi_alloc(const fp_allocator *a, size_t size);
void *fpi_calloc(const fp_allocator *a, size_t count, size_t size);
void *fpi_realloc(const fp_allocator *a, void *ptr, size_t count, size_t size);
void fpi_free(const fp_allocator *a, void *ptr);
/** NULL text answers NULL: check the text first when that matters. */
char *fpi_strdup(const fp_allocator *a, const char *text);
char *fpi_strndup(const fp_allocator *a, const char *text, size_t size);
char *fpi_printf(const fp_allocator *a, const char *fmt, ...) FILEPROC_PRINTF(2, 3);

/** malloc and friends: what a context uses when it is given nothing else. */
extern const fp_allocator fpi_default_allocator;

/** The one sentence for all of them. Its code can be seen by those who check what follows a failure. */
static inline fp_status fpi_no_memory(fp_error *err)
{
    (void)fp_error_setf(err, FILEPROC_ERR_NOMEM, "out of memory");
    return FILEPROC_ERR_NOMEM;
}

#endif
