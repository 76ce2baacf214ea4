/* Owns: the values of all settings: where they come from and which wins.
 * Must not know: any setting by name. Reads no environment by itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/config_private.h"
#include "core/error_private.h"

static const char file_suffix[] = "_FILE";
#define FILE_SUFFIX_SIZE (sizeof(file_suffix) - 1)

void fpi_setting_option(const fpi_setting *setting, char out[FPI_CONFIG_LABEL_SIZE])
{
    static const char prefix[] = "FILEPROC_";
    const char *name = setting->name;
    size_t n = 2;

    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
        name += sizeof(prefix) - 1;
    out[0] = out[1] = '-';
    for (; *name && n < FPI_CONFIG_LABEL_SIZE - 1; name++)
        out[n++] = *name == '_' ? '-' : fpi_ascii_lower(*name);
    out[n] = '\0';
}

/* ---- values read, not yet in force: a load takes all of them or none ---- */

typedef struct staging {
    fp_config *cfg;
    fpi_config_value *values; /* text NULL = not given */
} staging;

static void staging_dispose(staging *s)
{
    if (!s->values)
        return;
    for (size_t i = 0; i < s->cfg->table->count; i++)
        fpi_config_wipe(s->cfg->ctx, &s->values[i]);
    fpi_free(&s->cfg->ctx->a, s->values);
}

FPI_DEFINE_DISPOSE(staging, staging_dispose)

static fp_status staging_init(staging *s, fp_error *err)
{
    s->values = fpi_calloc(&s->cfg->ctx->a, s->cfg->table->count, sizeof(*s->values));
    return s->values ? FILEPROC_OK : fpi_no_memory(err);
}

/* The rank of a source decides, not the order of loading. */
static void staging_commit(staging *s)
{
    for (size_t i = 0; i < s->cfg->table->count; i++) {
        fpi_config_value *now = &s->cfg->values[i], *next = &s->values[i];

        if (next->text && next->source >= now->source) {
            fpi_config_wipe(s->cfg->ctx, now);
            *now = *next;
            next->text = NULL;
        }
    }
}

/* Where a value stands: its setting, what to call it, whether it is the name of a file, and who gave it. */
typedef struct place {
    size_t index;
    const char *label;
    bool is_file;
    fpi_config_source source;
} place;

static fp_status read_all(int fd, char *buf, size_t cap, size_t *got)
{
    for (*got = 0; *got < cap;) {
        ssize_t n = read(fd, buf + *got, cap - *got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FILEPROC_ERR_IO;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return FILEPROC_OK;
}

/* buf holds FPI_CONFIG_VALUE_MAX + 3 bytes: the value, CR LF, NUL. The path is not shown: it may be a secret put into
 * the wrong variable. */
static fp_status read_value_file(const char *label, const char *path, char *buf, fp_error *err)
{
    FPI_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char what[FPI_CONFIG_LABEL_SIZE + 40];
    size_t size;

    snprintf(what, sizeof(what), "%s: the file can't be read", label);
    if (fd < 0 || read_all(fd, buf, FPI_CONFIG_VALUE_MAX + 3, &size) < 0)
        return fpi_error_errno(err, errno, what);
    if (size && buf[size - 1] == '\n')
        size--;
    if (size && buf[size - 1] == '\r')
        size--;
    if (size > FPI_CONFIG_VALUE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the file is longer than 64 KiB",
                             label);
    if (memchr(buf, '\0', size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the file holds a NUL byte", label);
    buf[size] = '\0';
    return FILEPROC_OK;
}

static fp_status parse_file(staging *s, const place *at, const char *path, fpi_config_value *value,
                            fp_error *err)
{
    const fp_context *ctx = s->cfg->ctx;
    char *buf = fpi_calloc(&ctx->a, 1, FPI_CONFIG_VALUE_MAX + 3);
    fp_status rc;

    if (!buf)
        return fpi_no_memory(err);
    rc = read_value_file(at->label, path, buf, err);
    if (rc == FILEPROC_OK)
        rc = fpi_config_parse(ctx, &s->cfg->table->rows[at->index], at->label, buf, value, err);
    explicit_bzero(buf, FPI_CONFIG_VALUE_MAX + 3);
    fpi_free(&ctx->a, buf);
    return rc;
}

static fp_status stage(staging *s, const place *at, const char *text, fp_error *err)
{
    const fpi_setting *setting = &s->cfg->table->rows[at->index];
    fpi_config_value *slot = &s->values[at->index];
    fpi_config_value value = { .source = at->source, .from_file = at->is_file };
    fp_status rc;

    if (slot->text && slot->from_file != at->is_file)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s is given both as a value and as a file",
                             setting->name);
    rc = at->is_file ? parse_file(s, at, text, &value, err)
                     : fpi_config_parse(s->cfg->ctx, setting, at->label, text, &value, err);
    if (rc < 0)
        return rc;
    fpi_config_wipe(s->cfg->ctx, slot);
    *slot = value;
    return FILEPROC_OK;
}

/* ---- making and freeing ---- */

fp_status fpi_config_new(fp_context *ctx, const fpi_setting_table *table, fp_config **out,
                         fp_error *err)
{
    FPI_CLEANUP(fp_config) cfg = NULL;

    if (table->count > 4096)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "too many settings");
    cfg = fpi_calloc(&ctx->a, 1, sizeof(*cfg) + table->count * sizeof(cfg->values[0]));
    if (!cfg)
        return fpi_no_memory(err);
    cfg->ctx = ctx;
    cfg->table = table;
    for (size_t i = 0; i < table->count; i++) {
        const fpi_setting *s = &table->rows[i];
        fp_status rc = fpi_config_parse(ctx, s, s->name, s->fallback, &cfg->values[i], err);

        if (rc < 0)
            return rc;
    }
    *out = fpi_steal(&cfg);
    return FILEPROC_OK;
}

fp_status fp_config_new(fp_context *ctx, fp_config **out, fp_error *err)
{
    if (!ctx || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    return fpi_config_new(ctx, &fpi_settings, out, err);
}

void fp_config_free(fp_config *cfg)
{
    if (!cfg)
        return;
    for (size_t i = 0; i < cfg->table->count; i++)
        fpi_config_wipe(cfg->ctx, &cfg->values[i]);
    fpi_free(&cfg->ctx->a, cfg);
}

/* ---- names that nobody has ---- */

/* Letters to insert, drop or change to make one name of the other; names are shorter than a label. */
static size_t distance(const char *a, const char *b)
{
    size_t row[FPI_CONFIG_LABEL_SIZE], n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t corner = row[0]++;

        for (size_t j = 0; j < n; j++) {
            size_t change = corner + (a[i] != b[j]);

            corner = row[j + 1];
            row[j + 1] = (corner < row[j] ? corner : row[j]) + 1;
            if (change < row[j + 1])
                row[j + 1] = change;
        }
    }
    return row[n];
}

/* ---- environment ---- */

/* "NAME" or "NAME_FILE" of `size` bytes. */
static bool find_name(const fp_config *cfg, const char *name, size_t size, place *at)
{
    for (size_t i = 0; i < cfg->table->count; i++) {
        const fpi_setting *s = &cfg->table->rows[i];
        size_t length = strlen(s->name);

        if (s->group == FPI_GROUP_COMMANDS || size < length || memcmp(name, s->name, length) != 0)
            continue;
        at->index = i;
        at->is_file = size == length + FILE_SUFFIX_SIZE &&
                      memcmp(name + length, file_suffix, FILE_SUFFIX_SIZE) == 0;
        if (at->is_file || size == length)
            return true;
    }
    return false;
}

static fp_status stage_variable(staging *s, const char *variable, fp_error *err)
{
    const char *equals = strchr(variable, '=');
    char label[FPI_CONFIG_LABEL_SIZE];
    place at = { .label = label, .source = FPI_SOURCE_ENVIRONMENT };

    /* Compose files and the like pass on empty variables for what nobody set. */
    if (!equals || !equals[1] || !find_name(s->cfg, variable, (size_t)(equals - variable), &at))
        return FILEPROC_OK;
    if (s->values[at.index].text && s->values[at.index].from_file == at.is_file)
        return FILEPROC_OK; /* twice in environ: the first counts, as for getenv() */
    snprintf(label, sizeof(label), "%s%s", s->cfg->table->rows[at.index].name,
             at.is_file ? file_suffix : "");
    return stage(s, &at, equals + 1, err);
}

fp_status fp_config_load_environment(fp_config *cfg, const char *const *env, fp_error *err)
{
    FPI_DISPOSE(staging) s = { .cfg = cfg };
    fp_status rc;

    if (!cfg || !env)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = staging_init(&s, err);
    for (; rc == FILEPROC_OK && *env; env++)
        rc = stage_variable(&s, *env, err);
    if (rc == FILEPROC_OK)
        staging_commit(&s);
    return rc;
}

int32_t fp_config_knows(const fp_config *cfg, const char *variable)
{
    place at;

    return cfg && variable && find_name(cfg, variable, strcspn(variable, "="), &at);
}

/* Names are much alike, so more than two letters off is another one. */
const char *fp_config_nearest(const fp_config *cfg, const char *variable)
{
    char given[FPI_CONFIG_LABEL_SIZE] = "";
    size_t size = cfg && variable ? strcspn(variable, "=") : 0, least = 3;
    const char *nearest = NULL;

    if (size == 0 || size >= sizeof(given))
        return NULL;
    memcpy(given, variable, size);
    for (size_t i = 0; i < cfg->table->count; i++) {
        const fpi_setting *s = &cfg->table->rows[i];
        size_t d = s->group == FPI_GROUP_COMMANDS ? least : distance(given, s->name);

        if (d < least) {
            least = d;
            nearest = s->name;
        }
    }
    return nearest;
}

/* ---- command line ---- */

/* "--name" or "--name-file" of `size` bytes; label is filled with its text. */
static bool find_option(const fp_config *cfg, const char *option, size_t size, place *at,
                        char *label)
{
    for (size_t i = 0; i < cfg->table->count; i++) {
        size_t length;

        fpi_setting_option(&cfg->table->rows[i], label);
        length = strlen(label);
        if (size < length || memcmp(option, label, length) != 0)
            continue;
        at->index = i;
        at->is_file = size == length + 5 && memcmp(option + length, "-file", 5) == 0 &&
                      cfg->table->rows[i].group != FPI_GROUP_COMMANDS;
        if (at->is_file)
            snprintf(label + length, FPI_CONFIG_LABEL_SIZE - length, "-file");
        if (at->is_file || size == length)
            return true;
    }
    return false;
}

static fp_status refuse_option(const fp_config *cfg, const char *option, size_t size, fp_error *err)
{
    char given[FPI_CONFIG_LABEL_SIZE], best[FPI_CONFIG_LABEL_SIZE], other[FPI_CONFIG_LABEL_SIZE];
    size_t least = 4;

    snprintf(given, sizeof(given), "%.*s", size < 60 ? (int)size : 60, option);
    for (size_t i = 0; i < cfg->table->count; i++) {
        size_t d;

        fpi_setting_option(&cfg->table->rows[i], other);
        d = distance(given, other);
        if (d < least) {
            least = d;
            snprintf(best, sizeof(best), "%s", other);
        }
    }
    if (least < 4)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "unknown option %s; did you mean %s?",
                             given, best);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "unknown option %s; --help lists all", given);
}

/* Takes argv[0], and argv[1] when the option's value stands there: then *used is 2. */
static fp_status stage_option(staging *s, int32_t argc, const char *const *argv, int32_t *used,
                              fp_error *err)
{
    const char *option = strcmp(argv[0], "-h") == 0 ? "--help" : argv[0]; /* what newcomers try */
    char label[FPI_CONFIG_LABEL_SIZE];
    place at = { .label = label, .source = FPI_SOURCE_ARGUMENTS };
    size_t size = strcspn(option, "=");
    const char *value = option[size] ? option + size + 1 : NULL;

    *used = 1;
    if (strncmp(option, "--", 2) != 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "unexpected argument '%.60s'; options begin with --", argv[0]);
    if (!find_option(s->cfg, option, size, &at, label))
        return refuse_option(s->cfg, option, size, err);
    if (!value && !at.is_file && s->cfg->table->rows[at.index].type == FPI_SETTING_SWITCH)
        value = "true";
    if (!value && argc > 1) {
        value = argv[1];
        *used = 2;
    }
    if (!value)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "%s: the value is missing", label);
    return stage(s, &at, value, err);
}

fp_status fp_config_load_arguments(fp_config *cfg, int32_t argc, const char *const *argv,
                                   fp_error *err)
{
    FPI_DISPOSE(staging) s = { .cfg = cfg };
    fp_status rc;

    if (!cfg || argc < 0 || (argc > 0 && !argv))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    for (int32_t i = 0; i < argc; i++)
        if (!argv[i])
            return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = staging_init(&s, err);
    for (int32_t i = 1, used; rc == FILEPROC_OK && i < argc; i += used)
        rc = stage_option(&s, argc - i, argv + i, &used, err);
    if (rc == FILEPROC_OK)
        staging_commit(&s);
    return rc;
}

/* ---- one value ---- */

static const fpi_config_value *find_value(const fp_config *cfg, const char *name, size_t *index)
{
    if (cfg && name)
        for (size_t i = 0; i < cfg->table->count; i++)
            if (strcmp(cfg->table->rows[i].name, name) == 0) {
                *index = i;
                return &cfg->values[i];
            }
    return NULL;
}

fp_status fp_config_set(fp_config *cfg, const char *name, const char *value, fp_error *err)
{
    fpi_config_value next = { .source = FPI_SOURCE_CALLER };
    size_t i;
    fp_status rc;

    if (!cfg || !name || !value)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!find_value(cfg, name, &i))
        return fp_error_setf(err, FILEPROC_ERR_NOTFOUND, "there is no setting %.60s", name);
    rc = fpi_config_parse(cfg->ctx, &cfg->table->rows[i], name, value, &next, err);
    if (rc < 0)
        return rc;
    fpi_config_wipe(cfg->ctx, &cfg->values[i]);
    cfg->values[i] = next;
    return FILEPROC_OK;
}

const char *fp_config_string(const fp_config *cfg, const char *name)
{
    size_t i;
    const fpi_config_value *value = find_value(cfg, name, &i);

    return value ? value->text : NULL;
}

int64_t fp_config_int(const fp_config *cfg, const char *name)
{
    size_t i;
    const fpi_config_value *value = find_value(cfg, name, &i);

    return value ? value->number : 0;
}
