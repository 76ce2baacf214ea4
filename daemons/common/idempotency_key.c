/* Owns: reading the Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header).
 * Must not know: what a key does. */
#include "idempotency_key.h"

#include <string.h>
#include <strings.h>

#include "problem.h"

static size_t count_lines(const fpd_request *rq, const char **value)
{
    size_t count = 0;

    for (size_t i = 0; i < rq->head->header_count; i++)
        if (strcasecmp(rq->head->headers[i].name, "Idempotency-Key") == 0) {
            *value = rq->head->headers[i].value;
            count++;
        }
    return count;
}

static const char *skip_blank(const char *p)
{
    return p + strspn(p, " \t");
}

/* RFC 8941 section 4.2.5. Answers what stands behind it; NULL when it is malformed or too long. */
static const char *read_quoted(const char *p, char *out)
{
    size_t n = 0;

    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && *++p != '"' && *p != '\\')
            return NULL;
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7E || n == FPD_IDEMPOTENCY_KEY_MAX)
            return NULL;
        out[n++] = *p;
    }
    out[n] = '\0';
    return *p && n ? p + 1 : NULL;
}

/* As many clients write it. What ends a bare key in a structured header can't be in it. */
static const char *read_bare(const char *p, char *out)
{
    size_t n = 0;

    for (; (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7F && !strchr("\",;\\", *p); p++) {
        if (n == FPD_IDEMPOTENCY_KEY_MAX)
            return NULL;
        out[n++] = *p;
    }
    out[n] = '\0';
    return n ? p : NULL;
}

static bool read_key(const char *value, char *out)
{
    const char *p = skip_blank(value);

    p = *p == '"' ? read_quoted(p, out) : read_bare(p, out);
    if (!p)
        return false;
    p = skip_blank(p);
    return *p == '\0' || *p == ';';
}

bool fpd_idempotency_key(fpd_request *rq, char text[FPD_IDEMPOTENCY_KEY_MAX + 1], const char **key)
{
    const char *value = NULL;
    size_t count = count_lines(rq, &value);

    *key = NULL;
    if (count == 0)
        return true;
    if (count == 1 && read_key(value, text)) {
        *key = text;
        return true;
    }
    fpd_problem(rq, 400, "idempotency_key_invalid",
                "Idempotency-Key must be one string of 1 to %u visible characters, best in quotes.",
                FPD_IDEMPOTENCY_KEY_MAX);
    return false;
}
