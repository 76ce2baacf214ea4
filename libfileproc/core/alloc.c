/* Owns: every allocation of the library, through the context's allocator.
 * Must not know: what is allocated. The only file that names malloc and free. */
#include "core/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *libc_alloc(void *user_data, size_t size)
{
    (void)user_data;
    return malloc(size);
}

static void *libc_realloc(void *user_data, void *ptr, size_t size)
{
    (void)user_data;
    return realloc(ptr, size);
}

static void libc_free(void *user_data, void *ptr)
{
    (void)user_data;
    free(ptr);
}

const fp_allocator fpi_default_allocator = { libc_alloc, libc_realloc, libc_free, NULL };

void *fpi_alloc(const fp_allocator *a, size_t size)
{
    return a->alloc(a->user_data, size ? size : 1);
}

void *fpi_calloc(const fp_allocator *a, size_t count, size_t size)
{
    void *p;

    if (size && count > SIZE_MAX / size)
        return NULL;
    p = fpi_alloc(a, count * size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

void *fpi_realloc(const fp_allocator *a, void *ptr, size_t count, size_t size)
{
    size_t total = count * size;

    if (size && count > SIZE_MAX / size)
        return NULL;
    return a->realloc(a->user_data, ptr, total ? total : 1);
}

void fpi_free(const fp_allocator *a, void *ptr)
{
    if (ptr)
        a->free(a->user_data, ptr);
}

char *fpi_strdup(const fp_allocator *a, const char *text)
{
    return text ? fpi_strndup(a, text, strlen(text)) : NULL;
}

char *fpi_strndup(const fp_allocator *a, const char *text, size_t size)
{
    char *copy = fpi_alloc(a, size + 1);

    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *fpi_printf(const fp_allocator *a, const char *fmt, ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, fmt);
    size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (size < 0)
        return NULL;
    text = fpi_alloc(a, (size_t)size + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)size + 1, fmt, args);
    va_end(args);
    return text;
}
