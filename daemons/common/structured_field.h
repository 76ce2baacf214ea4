/* Owns: reading structured fields of HTTP (RFC 9651): items and dictionaries, exactly as its section 4.2 parses them.
 * Must not know: which headers are some. */
#ifndef FPD_STRUCTURED_FIELD_H
#define FPD_STRUCTURED_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fpd_field_type {
    FPD_FIELD_INTEGER,
    FPD_FIELD_DECIMAL,
    FPD_FIELD_STRING,
    FPD_FIELD_TOKEN,
    FPD_FIELD_BYTES,
    FPD_FIELD_BOOLEAN,
    FPD_FIELD_DATE,
    FPD_FIELD_DISPLAY,
    FPD_FIELD_INNER_LIST
} fpd_field_type;

/** A value without its parameters. */
typedef struct fpd_field {
    fpd_field_type type;
    int64_t number; /* of an integer, a boolean (0 or 1) or a date */
    const char *
        text; /* what stands in the header, without delimiters and not decoded: the base64 of bytes */
    size_t size;
} fpd_field;

/** Reads a whole header as one item. */
bool fpd_field_item(const char *header, fpd_field *out);
/** The same, of one type. */
bool fpd_field_boolean(const char *header, bool *out);
bool fpd_field_integer(const char *header, int64_t *out);

/** A member of a dictionary. */
typedef struct fpd_field_member {
    const char *key;
    size_t key_size;
    fpd_field value; /* a key that stands alone is true */
} fpd_field_member;

typedef enum fpd_field_result {
    FPD_FIELD_MEMBER,
    FPD_FIELD_END,
    FPD_FIELD_MALFORMED /* then the whole header is, members before included */
} fpd_field_result;

/** Reads the next member of a dictionary and moves *at behind it; *at is the header's begin at first. Of members with the same key
 *  the last one counts, which is the caller's to see to. */
fpd_field_result fpd_field_next(const char **at, fpd_field_member *out);

/** Whether the member has this key. */
bool fpd_field_is(const fpd_field_member *member, const char *key);

#endif
