/* Owns: the rule by which option structs of older and newer callers are read.
 * Must not know: any option. */
#ifndef FPI_OPTIONS_H
#define FPI_OPTIONS_H

#include <stddef.h>

#include <fileproc/error.h>

/**
 * Copy the caller's options over ours, which hold the defaults. Every options struct begins with its
 * size. An older caller's is shorter: what it lacks keeps our default. A newer caller's is longer: bytes
 * that we don't know must be 0, else the caller asks for what this library can't do.
 * `theirs` may be NULL.
 */
fp_status fpi_options_import(void *ours, size_t our_size, const void *theirs, fp_error *err);

/** For structs that are used where they are, such as drivers: the first `least` bytes are there, and what we don't know is 0. */
fp_status fpi_options_check(size_t least, size_t our_size, const void *theirs, fp_error *err);

/** As import in the other direction: fill a caller's result struct of his size. */
fp_status fpi_options_export(void *theirs, const void *ours, size_t our_size, fp_error *err);

#endif
