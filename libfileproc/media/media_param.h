/* Owns: reading the parameters of a step. The library checked them against the schema; the helper trusts nothing and checks again.
 * Must not know: any operation. */
#ifndef FPI_MEDIA_PARAM_H
#define FPI_MEDIA_PARAM_H

#include <stdbool.h>

#include "core/json.h"

/** All leave *value as it is (the default) when the parameter is absent, and answer parameter_invalid when it is wrong. */
fp_status fpi_media_param_integer(const json_t *params, const char *name, int low, int high,
                                  int *value, fp_error *err);
fp_status fpi_media_param_boolean(const json_t *params, const char *name, bool *value,
                                  fp_error *err);
/** `choices` ends with NULL; *value is the index. */
fp_status fpi_media_param_choice(const json_t *params, const char *name, const char *const *choices,
                                 int *value, fp_error *err);
/** Borrowed from params; at most `max` bytes. */
fp_status fpi_media_param_text(const json_t *params, const char *name, size_t max,
                               const char **value, fp_error *err);
/** "#rgb" or "#rrggbb". */
fp_status fpi_media_param_colour(const json_t *params, const char *name, unsigned char value[3],
                                 fp_error *err);

#endif
