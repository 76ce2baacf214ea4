/* Owns: taking apart header values of the form "token; name=value" (RFC 9110 section 5.6.6).
 * Must not know: which headers have it. */
#ifndef FPD_HEADER_VALUE_H
#define FPD_HEADER_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/** Whether the value begins with `token` (compared without case) and goes on with nothing or a parameter. */
bool fpd_value_is(const char *value, const char *token);

/** Copies the parameter `name` (compared without case) unquoted. False when absent, given twice, malformed or longer than
 *  the buffer. */
bool fpd_value_parameter(const char *value, const char *name, char *out, size_t capacity);

/** Whether the comma-separated list has `token`, compared without case. */
bool fpd_list_has(const char *list, const char *token);

/** Whether `type` is a plain "type/subtype" made of tokens, safe to put into a header. */
bool fpd_media_type_valid(const char *type);

#endif
