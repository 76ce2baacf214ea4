/* Owns: the bytes of an assembly's record: one entry of fixed size per committed part.
 * Must not know: when they are written and synced. docs/internals/storage-file.md has the layout. */
#include <string.h>

#include "core/digest.h"
#include "storage/storage_file_private.h"

#define MAGIC "fppr"
#define VERSION 1u

/* Where each member stands; numbers are little-endian. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_NOTE_SIZE = 6,
    AT_CRC = 8, /* of the part's bytes; 4 bytes of 0 follow */
    AT_OFFSET = 16,
    AT_LENGTH = 24,
    AT_COMMITTED = 32,
    AT_INDEX = 40,
    AT_NOTE = 48,                     /* and zeros up to the checksum */
    AT_CHECKSUM = FPI_RECORD_SIZE - 4 /* CRC-32C of the id and all before it */
};
_Static_assert(AT_NOTE + FILEPROC_PART_NOTE_MAX <= AT_CHECKSUM, "the note fits");

/* Entries are read in blocks of this many. */
#define BLOCK 64u

static void put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *at, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

uint32_t fpi_record_seed(const char *id)
{
    return fpi_crc32c(0, id, strlen(id));
}

void fpi_record_encode(const fp_part_info *part, uint32_t seed, uint64_t index,
                       unsigned char out[FPI_RECORD_SIZE])
{
    memset(out, 0, FPI_RECORD_SIZE);
    memcpy(out + AT_MAGIC, MAGIC, 4); /* NOLINT(bugprone-not-null-terminated-result) */
    put(out + AT_VERSION, VERSION, 2);
    put(out + AT_NOTE_SIZE, part->note_size, 2);
    put(out + AT_CRC, part->crc32c, 4);
    put(out + AT_OFFSET, part->offset, 8);
    put(out + AT_LENGTH, part->length, 8);
    put(out + AT_COMMITTED, (uint64_t)part->committed_ms, 8);
    put(out + AT_INDEX, index, 8);
    memcpy(out + AT_NOTE, part->note, part->note_size);
    put(out + AT_CHECKSUM, fpi_crc32c(seed, out, AT_CHECKSUM), 4);
}

bool fpi_record_decode(const unsigned char in[FPI_RECORD_SIZE], uint32_t seed, uint64_t index,
                       fp_part_info *part)
{
    if (memcmp(in + AT_MAGIC, MAGIC, 4) != 0 || get(in + AT_VERSION, 2) != VERSION ||
        get(in + AT_CHECKSUM, 4) != fpi_crc32c(seed, in, AT_CHECKSUM) ||
        get(in + AT_INDEX, 8) != index || get(in + AT_NOTE_SIZE, 2) > FILEPROC_PART_NOTE_MAX)
        return false;
    *part = (fp_part_info)FILEPROC_PART_INFO_INIT;
    part->offset = get(in + AT_OFFSET, 8);
    part->length = get(in + AT_LENGTH, 8);
    part->committed_ms = (int64_t)get(in + AT_COMMITTED, 8);
    part->note_size = (uint32_t)get(in + AT_NOTE_SIZE, 2);
    part->crc32c = (uint32_t)get(in + AT_CRC, 4);
    memcpy(part->note, in + AT_NOTE, part->note_size);
    return true;
}

/* A block of entries, the first of which has this index. */
static fp_status load_block(const unsigned char *block, size_t count, uint64_t index,
                            fpi_records *found, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fp_part_info part;
        bool valid = fpi_record_decode(block + i * FPI_RECORD_SIZE, found->seed, index + i, &part);

        if (found->damaged) {
            found->followed = found->followed || valid;
        } else if (!valid) {
            found->damaged = true;
        } else {
            rc = found->on_part(found->user_data, &part, err);
            found->count++;
            if (part.offset + part.length > found->end)
                found->end = part.offset + part.length;
        }
    }
    return rc;
}

fp_status fpi_records_load(int fd, fpi_records *found, fp_error *err)
{
    unsigned char block[BLOCK * FPI_RECORD_SIZE];
    uint64_t index = 0;
    size_t got;
    fp_status rc;

    do {
        rc = fpi_file_read_at(fd, index * FPI_RECORD_SIZE, block, sizeof(block), &got, err);
        if (rc == FILEPROC_OK)
            rc = load_block(block, got / FPI_RECORD_SIZE, index, found, err);
        if (rc == FILEPROC_OK && got % FPI_RECORD_SIZE)
            found->damaged = true;
        index += BLOCK;
    } while (rc == FILEPROC_OK && got == sizeof(block));
    return rc;
}
