/* Owns: records that are made of rows: each in one block of memory, what the caller sees before its texts.
 * Must not know: what they are records of, and which rows there are. */
#ifndef FPI_RECORD_H
#define FPI_RECORD_H

#include "database/database_private.h"

/** A kind of records: public structs that begin with their struct_size. */
typedef struct fpi_record_kind {
    size_t size;
    size_t
        texts[12]; /* offset of the pointer to each column's text, the id first; 0 = it is none */
    void (*read)(void *record, fp_rows *rows); /* sets what is no text and not 0 */
} fpi_record_kind;

/** A record of the present row; NULL when out of memory. */
void *fpi_record_new(const fp_context *ctx, const fpi_record_kind *kind, fp_rows *rows);
void fpi_record_free(void *record);

#endif
