/* Owns: the s3 driver: opening a store from its URI and options; its table of slots.
 * Must not know: requests, what is staged. */
#include <string.h>

#include "core/ascii.h"
#include "core/uri.h"
#include "storage/storage_s3_private.h"

#define STALL_TIMEOUT_MS 12000u
#define IDLE_MAX 32u
#define PARAMETER_MAX 256u

static void s3_close(void *self)
{
    fpi_s3_store *s = self;
    const fp_allocator *a = &s->ctx->a;

    fpi_http_free(s->http);
    for (size_t i = 0; i < s->spare_count; i++)
        fpi_free(a, s->spare[i]);
    pthread_mutex_destroy(&s->lock);
    if (s->secret_key)
        explicit_bzero(s->secret_key, strlen(s->secret_key));
    if (s->access_key)
        explicit_bzero(s->access_key, strlen(s->access_key));
    fpi_free(a, s->secret_key);
    fpi_free(a, s->access_key);
    fpi_free(a, s->host);
    fpi_free(a, s->bucket);
    fpi_free(a, s->prefix);
    fpi_free(a, s->region);
    fpi_free(a, s);
}

/* What the URI's query sets. */
typedef struct parameters {
    char endpoint[PARAMETER_MAX], region[PARAMETER_MAX], secure[PARAMETER_MAX],
        style[PARAMETER_MAX], conditional[PARAMETER_MAX], payload[PARAMETER_MAX];
} parameters;

static char *parameter(parameters *p, const char *name, size_t size)
{
    const struct {
        const char *name;
        char *value;
    } all[] = { { "endpoint", p->endpoint },       { "region", p->region },
                { "secure", p->secure },           { "style", p->style },
                { "conditional", p->conditional }, { "payload", p->payload } };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (strlen(all[i].name) == size && strncmp(all[i].name, name, size) == 0)
            return all[i].value;
    return NULL;
}

/* Values are host names, words, digits: nothing that needs decoding, and nothing that could leave its place in a URL. */
static bool is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!fpi_ascii_is_letter(text[i]) && !fpi_ascii_is_digit(text[i]) &&
            !strchr("-._:[]", text[i]))
            return false;
    return size > 0 && size < PARAMETER_MAX;
}

static fp_status read_parameters(const char *query, parameters *p, fp_error *err)
{
    while (query && *query) {
        size_t name = strcspn(query, "=&"), size;
        char *value = parameter(p, query, name);

        if (!value)
            return fp_error_setf(
                err, FILEPROC_ERR_INVALID,
                "an s3 URI has no such parameter; it has endpoint, region, secure, "
                "style, conditional and payload");
        query += name + (query[name] == '=');
        size = strcspn(query, "&");
        if (!is_plain(query, size))
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "a parameter of the s3 URI is wrong");
        memcpy(value, query, size);
        value[size] = '\0';
        query += size + (query[size] == '&');
    }
    return FILEPROC_OK;
}

/* One of the words, or the fallback for "". */
static fp_status choose(const char *value, const char *const words[], size_t count, int fallback,
                        int *out, fp_error *err)
{
    *out = fallback;
    if (!*value)
        return FILEPROC_OK;
    for (size_t i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0) {
            *out = (int)i;
            return FILEPROC_OK;
        }
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "a parameter of the s3 URI is wrong");
}

static fp_status read_choices(fpi_s3_store *s, const parameters *p, fp_error *err)
{
    static const char *const switches[] = { "0", "1" }, *const styles[] = { "path", "virtual" },
                             *const conditionals[] = { "auto", "yes", "no" },
                             *const payloads[] = { "signed", "unsigned" };
    int secure = 1, style = 0, conditional = 0, payload = 0;
    fp_status rc = choose(p->secure, switches, 2, 1, &secure, err);

    /* A server of one's own seldom has a name for each bucket; Amazon's wants it. */
    if (rc == FILEPROC_OK)
        rc = choose(p->style, styles, 2, !p->endpoint[0], &style, err);
    if (rc == FILEPROC_OK)
        rc = choose(p->conditional, conditionals, 3, FPI_S3_CONDITIONAL_UNKNOWN, &conditional, err);
    /* Over TLS nothing can be damaged on its way; hashing it costs both sides a fifth of the speed. */
    if (rc == FILEPROC_OK)
        rc = choose(p->payload, payloads, 2, secure, &payload, err);
    if (rc < 0)
        return rc;
    s->unsigned_payload = payload;
    s->secure = secure;
    s->virtual_style = style;
    atomic_store(&s->conditional, conditional);
    return FILEPROC_OK;
}

static fp_status need(char *text, fp_error *err)
{
    return text ? FILEPROC_OK : fpi_no_memory(err);
}

static fp_status set_host(fpi_s3_store *s, const parameters *p, fp_error *err)
{
    const fp_allocator *a = &s->ctx->a;
    char *endpoint = p->endpoint[0] ? fpi_strdup(a, p->endpoint)
                                    : fpi_printf(a, "s3.%s.amazonaws.com", s->region);

    if (!endpoint)
        return fpi_no_memory(err);
    s->host = fpi_printf(a, "%s%s%s", s->virtual_style ? s->bucket : "",
                         s->virtual_style ? "." : "", endpoint);
    fpi_free(a, endpoint);
    return need(s->host, err);
}

/* "/a/b" and "/a/b/" give "a/b/". */
static fp_status set_prefix(fpi_s3_store *s, const char *path, fp_error *err)
{
    size_t size;

    path += *path == '/';
    size = strlen(path);
    size -= size && path[size - 1] == '/';
    s->prefix = fpi_printf(&s->ctx->a, "%.*s%s", (int)size, path, size ? "/" : "");
    if (!s->prefix)
        return fpi_no_memory(err);
    if (size > FPI_S3_PREFIX_MAX || fpi_key_check_prefix(s->prefix, NULL) < 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the prefix in the s3 URI is no key, or longer than %u bytes",
                             FPI_S3_PREFIX_MAX);
    return FILEPROC_OK;
}

static fp_status set_bucket(fpi_s3_store *s, const fpi_uri *uri, fp_error *err)
{
    const char *bucket = uri->host ? uri->host : "";
    size_t size = strlen(bucket);

    if (size < 3 || size > 63 || !fpi_key_segment_valid(bucket, size) || uri->port)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an s3 URI is s3://bucket/prefix?...");
    if (uri->user)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "keys don't belong into a URI: it is shown and logged");
    s->bucket = fpi_strdup(&s->ctx->a, bucket);
    return need(s->bucket, err);
}

static fp_status set_keys(fpi_s3_store *s, const fp_storage_options *o, fp_error *err)
{
    if (!o->access_key || !*o->access_key || !o->secret_key || !*o->secret_key)
        return fp_error_setf(err, FILEPROC_ERR_AUTH, "an s3 store needs access_key and secret_key");
    for (const char *c = o->access_key; *c; c++)
        if (*c <= ' ' || *c > '~')
            return fp_error_setf(err, FILEPROC_ERR_INVALID,
                                 "access_key has a character that no key has");
    s->access_key = fpi_strdup(&s->ctx->a, o->access_key);
    s->secret_key = fpi_strdup(&s->ctx->a, o->secret_key);
    return s->access_key ? need(s->secret_key, err) : fpi_no_memory(err);
}

static fp_status set_up(fpi_s3_store *s, const fpi_uri *uri, const fp_storage_options *o,
                        fp_error *err)
{
    const fpi_http_options http = { .connect_timeout_ms = o->connect_timeout_ms,
                                    .stall_timeout_ms = STALL_TIMEOUT_MS,
                                    .idle_max = IDLE_MAX };
    parameters p = { "", "", "", "", "", "" };
    fp_status rc = read_parameters(uri->query, &p, err);

    if (rc == FILEPROC_OK)
        rc = read_choices(s, &p, err);
    if (rc == FILEPROC_OK)
        rc = set_bucket(s, uri, err);
    if (rc == FILEPROC_OK)
        rc = set_prefix(s, uri->path, err);
    if (rc == FILEPROC_OK) {
        s->region = fpi_strdup(&s->ctx->a, p.region[0] ? p.region : "us-east-1");
        rc = need(s->region, err);
    }
    if (rc == FILEPROC_OK)
        rc = set_host(s, &p, err);
    if (rc == FILEPROC_OK)
        rc = set_keys(s, o, err);
    s->unit = o->part_size ? o->part_size : FPI_S3_UNIT_MIN;
    if (rc == FILEPROC_OK && (s->unit < FPI_S3_UNIT_MIN || s->unit > FPI_S3_UNIT_MAX))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "part_size must be 5 MiB to 1 GiB");
    return rc < 0 ? rc : fpi_http_new(s->ctx, &http, &s->http, err);
}

static fp_status s3_open(fp_context *ctx, const char *text, const fp_storage_options *o,
                         void **self, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) uri = { 0 };
    fp_status rc = fpi_uri_parse(ctx, text, &uri, err);
    fpi_s3_store *s;

    if (rc < 0)
        return rc;
    s = fpi_calloc(&ctx->a, 1, sizeof(*s));
    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    rc = set_up(s, &uri, o, err);
    if (rc == FILEPROC_OK)
        *self = s;
    else
        s3_close(s);
    return rc;
}

const fp_storage_driver fpi_storage_s3_driver = {
    FILEPROC_STORAGE_DRIVER_INIT("s3"),
    .open = s3_open,
    .close = s3_close,
    .read = fpi_s3_read,
    .stat = fpi_s3_stat,
    .remove = fpi_s3_remove,
    .list = fpi_s3_list,
    .open_fd = fpi_s3_open_fd,
    .assembly_open = fpi_s3_assembly_open,
    .assembly_close = fpi_s3_assembly_close,
    .assembly_read = fpi_s3_assembly_read,
    .assembly_publish = fpi_s3_assembly_publish,
    .part_begin = fpi_s3_part_begin,
    .part_write = fpi_s3_part_write,
    .part_commit = fpi_s3_part_commit,
    .part_free = fpi_s3_part_free,
    .discard = fpi_s3_discard,
    .list_staged = fpi_s3_list_staged,
    .flags = FILEPROC_STORAGE_DRIVER_NETWORK | FILEPROC_STORAGE_DRIVER_UNREADABLE,
    .assembly_set_target = fpi_s3_assembly_set_target,
    .presign = fpi_s3_presign_object,
    .assembly_presign = fpi_s3_presign_part,
    .reap = fpi_s3_reap,
    .assembly_written = fpi_s3_assembly_written,
    .assembly_adopt = fpi_s3_assembly_adopt,
    .assembly_part_size = fpi_s3_assembly_part_size,
};
