/* Owns: how a committed part is told in the name of an object, and the small object about whole slots.
 * Must not know: requests. Names, because a list then tells everything: opening an assembly reads no record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hex.h"
#include "storage/storage_s3_private.h"

void fpi_s3_record_format(const fpi_s3_record *r, char out[FPI_S3_RECORD_SIZE])
{
    char note[2 * FILEPROC_PART_NOTE_MAX + 1];

    fpi_hex(r->info.note, r->info.note_size, note);
    snprintf(out, FPI_S3_RECORD_SIZE, "%08x.%016llx.%llx.%08x.%llx.%s%s.%s", r->seq,
             (unsigned long long)r->info.offset, (unsigned long long)r->info.length, r->info.crc32c,
             (unsigned long long)r->info.committed_ms,
             r->info.flags & FILEPROC_PART_ADOPTED ? "a" : "", r->check, note);
}

/* A number and the dot behind it. */
static bool read_number(const char **at, uint64_t max, uint64_t *value)
{
    size_t digits = strspn(*at, FPI_HEX_DIGITS);

    if (digits == 0 || (*at)[digits] != '.')
        return false;
    *value = 0;
    for (; digits; digits--) {
        if (*value > max >> 4)
            return false;
        *value = *value << 4 | (uint64_t)fpi_hex_digit(*(*at)++);
    }
    ++*at;
    return true;
}

static bool read_check(const char **at, uint32_t *flags, char check[33])
{
    size_t n = strspn(*at, FPI_HEX_DIGITS);

    *flags = n == 33 && **at == 'a' ? FILEPROC_PART_ADOPTED : 0;
    if (*flags) {
        ++*at;
        n--;
    }
    if ((n != 0 && n != 32) || (*at)[n] != '.')
        return false;
    memcpy(check, *at, n);
    check[n] = '\0';
    *at += n + 1;
    return true;
}

static bool read_note(const char *at, fp_part_info *info)
{
    size_t n = strlen(at);

    if (n % 2 || n > 2 * sizeof(info->note))
        return false;
    info->note_size = (uint32_t)(n / 2);
    return fpi_unhex(at, n / 2, info->note);
}

bool fpi_s3_record_parse(const char *text, fpi_s3_record *r)
{
    uint64_t seq, crc, ms;

    *r = (fpi_s3_record){ .info = FILEPROC_PART_INFO_INIT };
    if (!read_number(&text, UINT32_MAX, &seq) || !read_number(&text, UINT64_MAX, &r->info.offset) ||
        !read_number(&text, UINT64_MAX, &r->info.length) || !read_number(&text, UINT32_MAX, &crc) ||
        !read_number(&text, INT64_MAX, &ms) || !read_check(&text, &r->info.flags, r->check) ||
        !read_note(text, &r->info))
        return false;
    r->seq = (uint32_t)seq;
    r->info.crc32c = (uint32_t)crc;
    r->info.committed_ms = (int64_t)ms;
    return r->info.length > 0 && r->info.offset <= FPI_OBJECT_SIZE_MAX &&
           r->info.length <= FPI_OBJECT_SIZE_MAX - r->info.offset;
}

static const char head[] = "fileproc s3 1\n";

fp_status fpi_s3_state_format(const fp_context *ctx, const fpi_s3_state *st, fp_buf *out,
                              fp_error *err)
{
    return fpi_buf_printf(ctx, out, err, "%sunit=%llu\ncopying=%d\nkey=%s\nupload=%s\n", head,
                          (unsigned long long)st->unit, st->copying, st->key, st->upload);
}

/* "name=value\n"; then *at stands behind it. */
static bool read_line(const char **at, const char *end, const char *name, char *out, size_t size)
{
    size_t n = strlen(name), length;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));

    if (!stop || (size_t)(stop - *at) < n + 1 || strncmp(*at, name, n) != 0 || (*at)[n] != '=')
        return false;
    length = (size_t)(stop - *at) - n - 1;
    if (length >= size)
        return false;
    memcpy(out, *at + n + 1, length);
    out[length] = '\0';
    *at = stop + 1;
    return true;
}

fp_status fpi_s3_state_parse(const char *text, size_t size, fpi_s3_state *st, fp_error *err)
{
    const char *at = text + sizeof(head) - 1, *end = text + size;
    char unit[24], copying[2];

    *st = (fpi_s3_state){ 0 };
    if (size < sizeof(head) - 1 || memcmp(text, head, sizeof(head) - 1) != 0 ||
        !read_line(&at, end, "unit", unit, sizeof(unit)) ||
        !read_line(&at, end, "copying", copying, sizeof(copying)) ||
        !read_line(&at, end, "key", st->key, sizeof(st->key)) ||
        !read_line(&at, end, "upload", st->upload, sizeof(st->upload)))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the state of an assembly is damaged");
    st->unit = strtoull(unit, NULL, 10);
    st->copying = copying[0] == '1';
    if (st->unit == 0 || st->unit > FPI_S3_UNIT_MAX ||
        (st->key[0] && fpi_key_check(st->key, NULL) < 0))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the state of an assembly is damaged");
    return FILEPROC_OK;
}
