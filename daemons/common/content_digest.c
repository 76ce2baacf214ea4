/* Owns: reading digests in headers: Content-Digest (RFC 9530), a dictionary of byte sequences; and base64.
 * Must not know: how a digest is computed. */
#include "content_digest.h"

#include <string.h>

#include "structured_field.h"

/* Strongest first. */
static const struct {
    const char *name;
    size_t size;
} algorithms[] = { { "sha-256", 32 }, { "sha", 20 }, { "md5", 16 }, { "crc32c", 4 } };
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(*algorithms))

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool fpd_base64_decode(const char *text, size_t size, unsigned char *out, size_t capacity,
                       size_t *got)
{
    unsigned bits = 0;
    size_t padding = 0;

    if (size % 4 != 0)
        return false;
    while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
        padding++;
    *got = size / 4 * 3 - padding;
    if (*got > capacity)
        return false;
    for (size_t i = 0, used = 0; i < size; i++) {
        int value = i < size - padding ? base64_value(text[i]) : 0;

        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
        if (i % 4 == 3)
            for (int shift = 16; shift >= 0 && used < *got; shift -= 8)
                out[used++] = (unsigned char)(bits >> shift);
    }
    return true;
}

static size_t rank_of(const fpd_field_member *member)
{
    size_t rank = 0;

    while (rank < ALGORITHM_COUNT && !fpd_field_is(member, algorithms[rank].name))
        rank++;
    return rank;
}

static bool read_digest(const fpd_field *value, size_t rank, fpd_digest *out)
{
    out->algorithm = algorithms[rank].name;
    return value->type == FPD_FIELD_BYTES &&
           fpd_base64_decode(value->text, value->size, out->bytes, sizeof(out->bytes),
                             &out->size) &&
           out->size == algorithms[rank].size;
}

/* Of one algorithm the last one counts, as in every dictionary. */
fpd_digest_result fpd_content_digest_parse(const char *value, fpd_digest *out)
{
    size_t best = ALGORITHM_COUNT, members = 0;
    fpd_field_member member;
    fpd_field_result result;

    for (; (result = fpd_field_next(&value, &member)) == FPD_FIELD_MEMBER; members++) {
        size_t rank = rank_of(&member);
        fpd_digest digest = { 0 };

        if (rank == ALGORITHM_COUNT)
            continue;
        if (!read_digest(&member.value, rank, &digest))
            return FPD_DIGEST_MALFORMED;
        if (rank <= best) {
            best = rank;
            *out = digest;
        }
    }
    if (result == FPD_FIELD_MALFORMED || members == 0)
        return FPD_DIGEST_MALFORMED;
    return best < ALGORITHM_COUNT ? FPD_DIGEST_OK : FPD_DIGEST_UNSUPPORTED;
}
