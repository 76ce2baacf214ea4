/* Owns: what the URI of a broker says: amqp[s]://user:password@host:port/vhost?name=value&...
 * Must not know: how one connects.
 *
 * The names after "?" are those of RabbitMQ's own URIs where it has them (heartbeat, connection_timeout, cacertfile...). */
#include "queue/queue_amqp_settings.h"

#include <string.h>

#include "core/ascii.h"

#define DEFAULT_PREFIX "fileproc."
#define DEFAULT_HEARTBEAT_S 30u
#define DEFAULT_CONNECT_TIMEOUT_MS 3000u
#define DEFAULT_PREFETCH 8u
#define PORT 5672u
#define PORT_TLS 5671u

void fpi_amqp_settings_dispose(fpi_amqp_settings *s)
{
    const fp_allocator *a = s->uri.a;

    if (!a)
        return;
    fpi_free(a, s->prefix);
    fpi_free(a, s->ca_file);
    fpi_free(a, s->certificate_file);
    fpi_free(a, s->key_file);
    fpi_uri_dispose(&s->uri);
    *s = (fpi_amqp_settings){ 0 };
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

static fp_status copy_text(const fp_allocator *a, const char *text, char **out, fp_error *err)
{
    char *copy = fpi_strdup(a, text);

    if (!copy)
        return fpi_no_memory(err);
    fpi_free(a, *out);
    *out = copy;
    return FILEPROC_OK;
}

static fp_status parse_prefix(fpi_amqp_settings *s, const char *text, fp_error *err)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++)
        if (!fpi_ascii_is_letter(text[i]) && !fpi_ascii_is_digit(text[i]) &&
            !strchr("._-", text[i]))
            size = 0;
    if (size == 0 || size > FPI_AMQP_PREFIX_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "prefix in the URI is not 1 to %u of [A-Za-z0-9._-]",
                             FPI_AMQP_PREFIX_MAX);
    return copy_text(s->uri.a, text, &s->prefix, err);
}

static fp_status parse_verify(fpi_amqp_settings *s, const char *text, fp_error *err)
{
    s->verify = strcmp(text, "verify_none") != 0;
    if (s->verify && strcmp(text, "verify_peer") != 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "verify in the URI is verify_peer or verify_none");
    return FILEPROC_OK;
}

static fp_status set_parameter(fpi_amqp_settings *s, const char *name, const char *value,
                               fp_error *err)
{
    const fp_allocator *a = s->uri.a;

    if (strcmp(name, "prefix") == 0)
        return parse_prefix(s, value, err);
    if (strcmp(name, "heartbeat") == 0)
        return parse_number(name, value, 0, 3600, &s->heartbeat_s, err);
    if (strcmp(name, "connection_timeout") == 0)
        return parse_number(name, value, 1, 600000, &s->connect_timeout_ms, err);
    if (strcmp(name, "prefetch") == 0)
        return parse_number(name, value, 1, 1000, &s->prefetch, err);
    if (strcmp(name, "verify") == 0)
        return parse_verify(s, value, err);
    if (strcmp(name, "cacertfile") == 0)
        return copy_text(a, value, &s->ca_file, err);
    if (strcmp(name, "certfile") == 0)
        return copy_text(a, value, &s->certificate_file, err);
    if (strcmp(name, "keyfile") == 0)
        return copy_text(a, value, &s->key_file, err);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI has an unknown parameter %.40s", name);
}

/* Splits "name=value" in place. A file's name may need escaping, so values are decoded like the rest of the URI. */
static fp_status parse_parameter(fp_context *ctx, fpi_amqp_settings *s, char *text, fp_error *err)
{
    char *value = strchr(text, '=');
    FPI_DISPOSE(fpi_uri) decoded = { 0 };
    char *whole;
    fp_status rc;

    if (!value)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the URI has a parameter without a value");
    *value++ = '\0';
    whole = fpi_printf(&ctx->a, "x:%s", value);
    if (!whole)
        return fpi_no_memory(err);
    rc = fpi_uri_parse(ctx, whole, &decoded, err);
    fpi_free(&ctx->a, whole);
    return rc < 0 ? rc : set_parameter(s, text, decoded.path, err);
}

static fp_status parse_query(fp_context *ctx, fpi_amqp_settings *s, fp_error *err)
{
    char *rest = s->uri.query, *part;
    fp_status rc = FILEPROC_OK;

    while (rc == FILEPROC_OK && rest && *rest) {
        part = strsep(&rest, "&");
        if (*part)
            rc = parse_parameter(ctx, s, part, err);
    }
    return rc;
}

/* No path, and "/" alone, are the virtual host "/": what clients of most languages take them for. */
static void take_parts(fpi_amqp_settings *s)
{
    s->tls = strcmp(s->uri.scheme, "amqps") == 0;
    s->host = s->uri.host && *s->uri.host ? s->uri.host : "localhost";
    s->user = s->uri.user ? s->uri.user : "guest";
    s->password = s->uri.password ? s->uri.password : "guest";
    s->vhost = strlen(s->uri.path) > 1 ? s->uri.path + 1 : "/";
    s->port = s->uri.port ? s->uri.port : s->tls ? PORT_TLS : PORT;
}

fp_status fpi_amqp_settings_parse(fp_context *ctx, const char *uri, fpi_amqp_settings *s,
                                  fp_error *err)
{
    FPI_DISPOSE(fpi_amqp_settings) parsed = { 0 };
    fp_status rc = fpi_uri_parse(ctx, uri, &parsed.uri, err);

    if (rc < 0)
        return rc;
    take_parts(&parsed);
    parsed.heartbeat_s = DEFAULT_HEARTBEAT_S;
    parsed.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
    parsed.prefetch = DEFAULT_PREFETCH;
    parsed.verify = true;
    rc = copy_text(&ctx->a, DEFAULT_PREFIX, &parsed.prefix, err);
    if (rc == FILEPROC_OK)
        rc = parse_query(ctx, &parsed, err);
    if (rc == FILEPROC_OK && !parsed.certificate_file != !parsed.key_file)
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID,
                           "certfile and keyfile in the URI belong together");
    if (rc < 0)
        return rc;
    *s = parsed;
    parsed = (fpi_amqp_settings){ 0 };
    return FILEPROC_OK;
}
