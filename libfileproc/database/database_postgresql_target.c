/* Owns: reading where to connect from a URI, into libpq's parameters.
 * Must not know: connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/uri.h"
#include "database/database_postgresql.h"

#define POOL_MAX 64
#define CONNECT_TIMEOUT_MS 10000
#define CONNECT_TIMEOUT_MAX_S 3600

/* What holds unless the URI says something else. A peer that is gone without a word is noticed by TCP within a quarter of
 * a minute. Kerberos is not asked, as looking for its tickets takes long. */
static const char *const defaults[][2] = {
    { "keepalives_idle", "10" },   { "keepalives_interval", "3" },
    { "keepalives_count", "3" },   { "tcp_user_timeout", "15000" },
    { "gssencmode", "disable" },   { "fallback_application_name", "fileproc" },
    { "client_encoding", "UTF8" },
};

/* The driver's business, or not possible here. */
static const char *const reserved[] = { "client_encoding", "replication",
                                        "fallback_application_name" };

void fpi_postgresql_target_dispose(fpi_postgresql_target *target)
{
    for (size_t i = 0; i < target->count; i++) {
        explicit_bzero(target->values[i], strlen(target->values[i]));
        fpi_free(target->a, target->values[i]);
        fpi_free(target->a, target->keys[i]);
    }
    target->count = 0;
}
FPI_DEFINE_DISPOSE(fpi_postgresql_target, fpi_postgresql_target_dispose)

static bool has(const fpi_postgresql_target *target, const char *key)
{
    for (size_t i = 0; i < target->count; i++)
        if (strcmp(target->keys[i], key) == 0)
            return true;
    return false;
}

/* The last place of the arrays stays NULL. */
static fp_status add(fpi_postgresql_target *target, const char *key, const char *value,
                     fp_error *err)
{
    size_t at = target->count;

    if (has(target, key))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the database's URI says %s twice", key);
    if (at + 1 == sizeof(target->keys) / sizeof(target->keys[0]))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the database's URI has too many parameters");
    target->keys[at] = fpi_strdup(target->a, key);
    target->values[at] = fpi_strdup(target->a, value);
    if (!target->keys[at] || !target->values[at]) {
        fpi_free(target->a, target->keys[at]);
        fpi_free(target->a, target->values[at]);
        target->keys[at] = target->values[at] = NULL;
        return fpi_no_memory(err);
    }
    target->count++;
    return FILEPROC_OK;
}

static bool known_to_libpq(const char *key)
{
    PQconninfoOption *options = PQconndefaults();
    bool known = false;

    for (const PQconninfoOption *o = options; o && o->keyword && !known; o++)
        known = strcmp(o->keyword, key) == 0;
    PQconninfoFree(options);
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
        known = known && strcmp(reserved[i], key) != 0;
    return known;
}

static fp_status read_count(const char *key, const char *text, long max, long *number,
                            fp_error *err)
{
    char *end;

    *number = strtol(text, &end, 10);
    if (!*text || *end || *number < 1 || *number > max)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "%s in the database's URI must be a number from 1 to %ld", key, max);
    return FILEPROC_OK;
}

/* How programs in Python write it: ssl=require, or ssl=true. */
static const char *sslmode_of(const char *ssl)
{
    if (strcmp(ssl, "true") == 0 || strcmp(ssl, "1") == 0)
        return "require";
    if (strcmp(ssl, "false") == 0 || strcmp(ssl, "0") == 0)
        return "disable";
    return ssl;
}

static fp_status add_parameter(fpi_postgresql_target *target, const char *key, const char *value,
                               fp_error *err)
{
    long number = 0;
    fp_status rc;

    if (strcmp(key, "pool_size") == 0) {
        rc = read_count(key, value, POOL_MAX, &number, err);
        target->pool_size = (size_t)number;
        return rc;
    }
    if (strcmp(key, "connect_timeout") == 0) { /* libpq heeds it only when it blocks */
        rc = read_count(key, value, CONNECT_TIMEOUT_MAX_S, &number, err);
        target->connect_timeout_ms = (uint32_t)number * 1000;
        return rc;
    }
    if (strcmp(key, "ssl") == 0)
        return add(target, "sslmode", sslmode_of(value), err);
    if (!known_to_libpq(key))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the database's URI has a parameter that nobody knows: %.40s", key);
    return add(target, key, value, err);
}

static fp_status add_pair(fpi_postgresql_target *target, const char *pair, size_t size,
                          fp_error *err)
{
    const char *equals = memchr(pair, '=', size);
    char *key = NULL, *value = NULL;
    fp_status rc;

    if (!equals)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "a parameter of the database's URI has no value");
    rc = fpi_uri_decode(target->a, pair, (size_t)(equals - pair), &key, err);
    if (rc == FILEPROC_OK)
        rc = fpi_uri_decode(target->a, equals + 1, size - (size_t)(equals + 1 - pair), &value, err);
    if (rc == FILEPROC_OK)
        rc = add_parameter(target, key, value, err);
    if (value)
        explicit_bzero(value, strlen(value));
    fpi_free(target->a, key);
    fpi_free(target->a, value);
    return rc;
}

static fp_status add_query(fpi_postgresql_target *target, const char *query, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    while (query && *query && rc == FILEPROC_OK) {
        size_t size = strcspn(query, "&");

        if (size)
            rc = add_pair(target, query, size, err);
        query += size + (query[size] == '&');
    }
    return rc;
}

static fp_status add_authority(fpi_postgresql_target *target, const fpi_uri *uri, fp_error *err)
{
    char port[16];
    fp_status rc = FILEPROC_OK;

    if (uri->host && *uri->host)
        rc = add(target, "host", uri->host, err);
    if (rc == FILEPROC_OK && uri->port) {
        snprintf(port, sizeof(port), "%u", (unsigned)uri->port);
        rc = add(target, "port", port, err);
    }
    if (rc == FILEPROC_OK && uri->user && *uri->user)
        rc = add(target, "user", uri->user, err);
    if (rc == FILEPROC_OK && uri->password)
        rc = add(target, "password", uri->password, err);
    return rc;
}

/* The name of the database is all of the path. */
static fp_status add_name(fpi_postgresql_target *target, const char *path, fp_error *err)
{
    if (*path && *path != '/')
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the database's URI must be postgresql://user@host:port/name");
    return strlen(path) > 1 ? add(target, "dbname", path + 1, err) : FILEPROC_OK;
}

fp_status fpi_postgresql_target_parse(const fp_context *ctx, const char *uri,
                                      fpi_postgresql_target *target, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) parsed = { 0 };
    FPI_DISPOSE(fpi_postgresql_target)
    made = { .a = &ctx->a, .connect_timeout_ms = CONNECT_TIMEOUT_MS };
    fp_status rc;

    rc = fpi_uri_parse(ctx, uri, &parsed, err);
    if (rc == FILEPROC_OK)
        rc = add_authority(&made, &parsed, err);
    if (rc == FILEPROC_OK)
        rc = add_name(&made, parsed.path, err);
    if (rc == FILEPROC_OK)
        rc = add_query(&made, parsed.query, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < sizeof(defaults) / sizeof(*defaults); i++)
        if (!has(&made, defaults[i][0]))
            rc = add(&made, defaults[i][0], defaults[i][1], err);
    if (rc < 0)
        return rc;
    *target = made;
    made.count = 0; /* its own now */
    return FILEPROC_OK;
}
