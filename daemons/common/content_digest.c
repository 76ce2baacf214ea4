/* Owns: reading Content-Digest (RFC 9530), a dictionary of structured fields (RFC 8941) with byte sequences.
 * Must not know: how a digest is computed. */
#include "content_digest.h"

#include <string.h>

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

static const char *skip_space(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* One member: key "=" ":" base64 ":". Parameters behind it are not used by RFC 9530. */
static bool read_member(const char **s, size_t *rank, fpd_digest *digest)
{
    const char *key = *s, *equals = key + strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_-.*"),
               *end;

    if (equals == key || equals[0] != '=' || equals[1] != ':')
        return false;
    end = strchr(equals + 2, ':');
    if (!end)
        return false;
    for (*rank = 0; *rank < ALGORITHM_COUNT; ++*rank)
        if (strlen(algorithms[*rank].name) == (size_t)(equals - key) &&
            memcmp(algorithms[*rank].name, key, (size_t)(equals - key)) == 0)
            break;
    *s = end + 1;
    if (*rank == ALGORITHM_COUNT)
        return true;
    digest->algorithm = algorithms[*rank].name;
    return fpd_base64_decode(equals + 2, (size_t)(end - equals - 2), digest->bytes,
                             sizeof(digest->bytes), &digest->size) &&
           digest->size == algorithms[*rank].size;
}

fpd_digest_result fpd_content_digest_parse(const char *value, fpd_digest *out)
{
    size_t best = ALGORITHM_COUNT;

    value = skip_space(value);
    for (;;) {
        fpd_digest digest = { 0 };
        size_t rank;

        if (!read_member(&value, &rank, &digest))
            return FPD_DIGEST_MALFORMED;
        if (rank < best) {
            best = rank;
            *out = digest;
        }
        value = skip_space(value);
        if (*value == '\0')
            break;
        if (*value != ',')
            return FPD_DIGEST_MALFORMED;
        value = skip_space(value + 1);
    }
    return best < ALGORITHM_COUNT ? FPD_DIGEST_OK : FPD_DIGEST_UNSUPPORTED;
}
