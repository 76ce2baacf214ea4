/* Owns: the rule by which option structs of older and newer callers are read.
 * Must not know: any option. */
#include "core/options.h"

#include <string.h>

#define LARGEST_STRUCT 4096u

static fp_status check_size(size_t size, fp_error *err)
{
    if (size < sizeof(size_t) || size > LARGEST_STRUCT)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "struct_size is not set; start from the INIT macro");
    return FILEPROC_OK;
}

static fp_status check_rest(size_t our_size, const void *theirs, fp_error *err)
{
    const unsigned char *bytes = theirs;
    size_t size;

    memcpy(&size, theirs, sizeof(size));
    if (check_size(size, err) < 0)
        return FILEPROC_ERR_INVALID;
    for (size_t i = our_size; i < size; i++)
        if (bytes[i])
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "an option is newer than this library");
    return FILEPROC_OK;
}

fp_status fpi_options_import(void *ours, size_t our_size, const void *theirs, fp_error *err)
{
    size_t size;

    if (!theirs)
        return FILEPROC_OK;
    if (check_rest(our_size, theirs, err) < 0)
        return FILEPROC_ERR_INVALID;
    memcpy(&size, theirs, sizeof(size));
    memcpy(ours, theirs, size < our_size ? size : our_size);
    memcpy(ours, &our_size, sizeof(our_size));
    return FILEPROC_OK;
}

fp_status fpi_options_check(size_t least, size_t our_size, const void *theirs, fp_error *err)
{
    size_t size;

    if (check_rest(our_size, theirs, err) < 0)
        return FILEPROC_ERR_INVALID;
    memcpy(&size, theirs, sizeof(size));
    if (size < least)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "made for an older library");
    return FILEPROC_OK;
}

fp_status fpi_options_export(void *theirs, const void *ours, size_t our_size, fp_error *err)
{
    size_t size;

    memcpy(&size, theirs, sizeof(size));
    if (check_size(size, err) < 0)
        return FILEPROC_ERR_INVALID;
    memcpy((unsigned char *)theirs + sizeof(size), (const unsigned char *)ours + sizeof(size),
           (size < our_size ? size : our_size) - sizeof(size));
    return FILEPROC_OK;
}
