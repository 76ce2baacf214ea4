/* Owns: the version of the library and the list of features it was built with.
 * Must not know: what the features do. */
#include <fileproc/version.h>

#include <string.h>

#include "fileproc_config.h"

uint32_t fp_version_number(void)
{
    return FILEPROC_VERSION_NUMBER;
}

const char *fp_version_string(void)
{
    return FILEPROC_VERSION_STRING;
}

int32_t fp_feature(const char *name)
{
    static const char *const features[] = { FPI_FEATURES };

    if (name)
        for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++)
            if (strcmp(features[i], name) == 0)
                return 1;
    return 0;
}
