/* Owns: what the URI of a Redis server says: redis://user:password@host:port/database?name=value&...
 * Must not know: how one connects. */
#include <string.h>

#include "cache/cache_redis_private.h"
#include "core/ascii.h"

#define DEFAULT_PREFIX "fileproc:"
#define DEFAULT_TIMEOUT_MS 1000u
#define DEFAULT_POOL_SIZE 8u
#define PORT 6379u

void fpi_redis_settings_dispose(fpi_redis_settings *s)
{
    if (!s->uri.a)
        return;
    fpi_free(s->uri.a, s->prefix);
    fpi_uri_dispose(&s->uri);
    *s = (fpi_redis_settings){ 0 };
}

static fp_status parse_number(const char *name, const char *text, uint32_t least, uint32_t most,
                              uint32_t *out, fp_error *err)
{
    uint32_t value = 0;
    size_t i = 0;

    while (fpi_ascii_is_digit(text[i]) && i < 8)
        value = value * 10 + (uint32_t)(text[i++] - '0');
    if (i == 0 || text[i] || value < least || value > most)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s in the URI is no number of %u to %u",
                             name, least, most);
    *out = value;
    return FILEPROC_OK;
}

static fp_status set_prefix(fpi_redis_settings *s, const char *text, fp_error *err)
{
    size_t size = strlen(text);
    char *copy;

    for (size_t i = 0; i < size; i++)
        if (!fpi_ascii_is_letter(text[i]) && !fpi_ascii_is_digit(text[i]) &&
            !strchr(".:_-", text[i]))
            size = 0;
    if (size == 0 || size > FPI_REDIS_PREFIX_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "prefix in the URI is not 1 to %u of [A-Za-z0-9.:_-]",
                             FPI_REDIS_PREFIX_MAX);
    copy = fpi_strdup(s->uri.a, text);
    if (!copy)
        return fpi_no_memory(err);
    fpi_free(s->uri.a, s->prefix);
    s->prefix = copy;
    return FILEPROC_OK;
}

static fp_status set_parameter(fpi_redis_settings *s, const char *name, const char *value,
                               fp_error *err)
{
    if (strcmp(name, "prefix") == 0)
        return set_prefix(s, value, err);
    if (strcmp(name, "timeout") == 0)
        return parse_number(name, value, 10, 60000, &s->timeout_ms, err);
    if (strcmp(name, "pool_size") == 0)
        return parse_number(name, value, 1, 64, &s->pool_size, err);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI has an unknown parameter %.40s", name);
}

static fp_status parse_query(fpi_redis_settings *s, fp_error *err)
{
    char *rest = s->uri.query;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && rest && *rest) {
        char *name = strsep(&rest, "&"), *value = strchr(name, '=');

        if (!*name)
            continue;
        if (!value)
            return fp_error_setf(err, FILEPROC_ERR_INVALID,
                                 "the URI has a parameter without a value");
        *value++ = '\0';
        rc = set_parameter(s, name, value, err);
    }
    return rc;
}

/* "redis://:password@host" has an empty user: the server's default one. */
static fp_status take_parts(fpi_redis_settings *s, fp_error *err)
{
    const fpi_uri *u = &s->uri;
    const char *path = *u->path == '/' ? u->path + 1 : u->path;

    s->host = u->host && *u->host ? u->host : "localhost";
    s->user = u->user && *u->user ? u->user : NULL;
    s->password = u->password && *u->password ? u->password : NULL;
    s->port = u->port ? u->port : PORT;
    if (s->user && !s->password)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the URI has a user without a password; "
                             "a password alone is written redis://:password@host");
    return *path ? parse_number("the database", path, 0, 9999999, &s->database, err) : FILEPROC_OK;
}

fp_status fpi_redis_settings_parse(fp_context *ctx, const char *uri, fpi_redis_settings *s,
                                   fp_error *err)
{
    FPI_DISPOSE(fpi_redis_settings) parsed = { 0 };
    fp_status rc = fpi_uri_parse(ctx, uri, &parsed.uri, err);

    if (rc < 0)
        return rc;
    parsed.timeout_ms = DEFAULT_TIMEOUT_MS;
    parsed.pool_size = DEFAULT_POOL_SIZE;
    rc = take_parts(&parsed, err);
    if (rc == FILEPROC_OK)
        rc = set_prefix(&parsed, DEFAULT_PREFIX, err);
    if (rc == FILEPROC_OK)
        rc = parse_query(&parsed, err);
    if (rc < 0)
        return rc;
    *s = parsed;
    parsed = (fpi_redis_settings){ 0 };
    return FILEPROC_OK;
}
