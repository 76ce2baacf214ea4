/* Owns: reading Upload-Concat of tus 1.0.0.
 * Must not know: what uploads there are. */
#ifndef FPD_TUS_CONCAT_H
#define FPD_TUS_CONCAT_H

#include <stdbool.h>
#include <stddef.h>

/** Bytes of the header, which comes back with every HEAD: about 80 addresses of 100 bytes. */
#define FPD_TUS_CONCAT_MAX 8192u
/** No more addresses can be in it. */
#define FPD_TUS_CONCAT_IDS 1024u
#define FPD_TUS_ID_SIZE 37u

typedef enum fpd_tus_concat_kind {
    FPD_TUS_CONCAT_PARTIAL,
    FPD_TUS_CONCAT_FINAL,
    FPD_TUS_CONCAT_MALFORMED,
    FPD_TUS_CONCAT_TOO_LONG
} fpd_tus_concat_kind;

/** The ids at the ends of the addresses. */
typedef struct fpd_tus_concat {
    size_t count;
    char ids[FPD_TUS_CONCAT_IDS][FPD_TUS_ID_SIZE];
} fpd_tus_concat;

/** Takes the header apart. An address is absolute or relative, and what stands before its last segment is not looked at: a proxy may
 *  have put it there, and does not change this header. */
fpd_tus_concat_kind fpd_tus_concat_parse(const char *header, fpd_tus_concat *out);

#endif
