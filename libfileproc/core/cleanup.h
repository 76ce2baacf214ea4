/* Owns: the cleanup attribute: a local that owns something is released on every return.
 * Must not know: the types that use it; each declares its own destructor here by FPI_DEFINE_CLEANUP. */
#ifndef FPI_CLEANUP_H
#define FPI_CLEANUP_H

#include <stddef.h>
#include <unistd.h>

/** Declares `FPI_CLEANUP(type) p = NULL;` for a pointer type whose destructor accepts NULL. */
#define FPI_DEFINE_CLEANUP(type, destructor)                                                       \
    static inline void fpi_cleanup_##type(type **p)                                                \
    {                                                                                              \
        destructor(*p);                                                                            \
    }
#define FPI_CLEANUP(type) __attribute__((cleanup(fpi_cleanup_##type))) type *

/** For a struct on the stack with a dispose function. */
#define FPI_DEFINE_DISPOSE(type, dispose)                                                          \
    static inline void fpi_dispose_##type(type *p)                                                 \
    {                                                                                              \
        dispose(p);                                                                                \
    }
#define FPI_DISPOSE(type) __attribute__((cleanup(fpi_dispose_##type))) type

/** Hands the value over: the local is NULL afterwards, so its cleanup does nothing. */
#define fpi_steal(p)                                                                               \
    __extension__({                                                                                \
        __typeof__(*(p)) fpi_stolen = *(p);                                                        \
        *(p) = NULL;                                                                               \
        fpi_stolen;                                                                                \
    })

/** A descriptor that is closed on every return; -1 = none. */
static inline void fpi_cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define FPI_FD __attribute__((cleanup(fpi_cleanup_fd))) int
static inline int fpi_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

#endif
