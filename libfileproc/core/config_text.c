/* Owns: how settings are shown: help, values in force, documentation page.
 * Must not know: how values are read, or any setting by name. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/buf_private.h"
#include "core/config_private.h"

#define HELP_COLUMNS 80u
#define MASK "********"

static const char *const group_titles[FPI_GROUP_COUNT] = { "Server", "Data",    "Uploads", "Jobs",
                                                           "Media",  "Logging", "Commands" };

static const char *const value_rules[] = {
    "The command line wins over the environment, which wins over the default. An empty variable counts as not given.",
    ("NAME_FILE in the environment, or --name-file, names a file of at most 64 KiB that holds the value; one line end at its "
     "end is cut off. It keeps secrets out of the process list. Giving both is an error."),
    ("SIZE is in bytes: 5242880, or with a unit: 512KiB, 5MiB, 2GiB (K, M, G are the same), or 500KB, 100MB, 2GB (powers of "
     "1000)."),
    "TIME is in seconds: 30, or with a unit: 500ms, 30s, 5m, 1h, 7d, 1h30m.",
    "LIST is a,b,c or a JSON array of strings.",
    "A switch alone is true; --name=false turns it off. true, yes, on, 1 and false, no, off, 0 are understood.",
};
#define RULE_COUNT (sizeof(value_rules) / sizeof(*value_rules))

/* Appends until something fails; then only the first failure counts. */
typedef struct writer {
    const fp_context *ctx;
    fp_buf *out;
    fp_error *err;
    size_t before;
    fp_status rc;
} writer;

static writer begin(const fp_config *cfg, fp_buf *out, fp_error *err)
{
    return (writer){ .ctx = cfg->ctx, .out = out, .err = err, .before = out->size };
}

static fp_status end(writer *w)
{
    if (w->rc < 0 && w->out->data) {
        w->out->size = w->before;
        w->out->data[w->before] = '\0';
    }
    return w->rc;
}

static void put(writer *w, const char *text, size_t size)
{
    if (w->rc == FILEPROC_OK)
        w->rc = fpi_buf_append(w->ctx, w->out, text, size, w->err);
}

static void put_text(writer *w, const char *text)
{
    put(w, text, strlen(text));
}

/* Words of text in lines of at most HELP_COLUMNS, each behind `indent` spaces. */
static void put_wrapped(writer *w, size_t indent, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t size = strcspn(text, " ");

        if (column && column + 1 + size > HELP_COLUMNS) {
            put_text(w, "\n");
            column = 0;
        }
        for (; column < indent; column++)
            put_text(w, " ");
        if (column > indent) {
            put_text(w, " ");
            column++;
        }
        put(w, text, size);
        column += size;
        text += size + (text[size] == ' ');
    }
    put_text(w, "\n");
}

static const char *type_word(const fpi_setting *s)
{
    switch (s->type) {
    case FPI_SETTING_PATH:
        return "PATH";
    case FPI_SETTING_URI:
        return "URI";
    case FPI_SETTING_INTEGER:
        return "NUMBER";
    case FPI_SETTING_SIZE:
        return "SIZE";
    case FPI_SETTING_DURATION:
        return "TIME";
    case FPI_SETTING_SWITCH:
        return "";
    case FPI_SETTING_LIST:
        return "LIST";
    case FPI_SETTING_CHOICE:
        return "WORD";
    default:
        return "TEXT";
    }
}

static bool has_range(const fpi_setting *s)
{
    return s->type == FPI_SETTING_INTEGER || s->type == FPI_SETTING_SIZE ||
           s->type == FPI_SETTING_DURATION;
}

/* "1 to 65535", "DEBUG, INFO", or nothing. */
static void put_allowed(writer *w, const fpi_setting *s, const char *before)
{
    char low[32], high[32];

    if (has_range(s)) {
        fpi_config_quantity(s, s->min, low);
        fpi_config_quantity(s, s->max, high);
        put_text(w, before);
        put_text(w, low);
        put_text(w, " to ");
        put_text(w, high);
        if (s->choices) {
            put_text(w, " or ");
            put_text(w, s->choices);
        }
    } else if (s->choices) {
        put_text(w, before);
        for (const char *c = s->choices; *c; c++)
            put(w, *c == ' ' ? ", " : c, *c == ' ' ? 2 : 1);
    }
}

/* ---- help ---- */

static void help_setting(writer *w, const fpi_setting *s)
{
    FPI_DISPOSE(fp_buf) facts = FILEPROC_BUF_INIT;
    writer line = { .ctx = w->ctx, .out = &facts, .err = w->err, .rc = w->rc };
    char option[FPI_CONFIG_LABEL_SIZE];

    fpi_setting_option(s, option);
    put_text(w, "  ");
    put_text(w, option);
    if (*type_word(s)) {
        put_text(w, " ");
        put_text(w, type_word(s));
    }
    put_text(w, "\n");
    put_wrapped(w, 6, s->help);
    if (s->group == FPI_GROUP_COMMANDS)
        return;
    put_text(&line, s->name);
    put_allowed(&line, s, "; ");
    if (*s->fallback) {
        /* Long lists wrap, too. */
        put_text(&line, "; default ");
        for (const char *c = s->fallback; *c; c++)
            put(&line, *c == ',' ? ", " : c, *c == ',' ? 2 : 1);
    }
    w->rc = line.rc;
    if (w->rc == FILEPROC_OK)
        put_wrapped(w, 6, facts.data);
}

fp_status fp_config_help(const fp_config *cfg, fp_buf *out, fp_error *err)
{
    writer w;

    if (!cfg || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    w = begin(cfg, out, err);
    for (int group = 0; group < FPI_GROUP_COUNT; group++) {
        put_text(&w, group_titles[group]);
        put_text(&w, "\n");
        for (size_t i = 0; i < cfg->table->count; i++)
            if ((int)cfg->table->rows[i].group == group)
                help_setting(&w, &cfg->table->rows[i]);
        put_text(&w, "\n");
    }
    put_text(&w, "Values\n");
    for (size_t i = 0; i < RULE_COUNT; i++)
        put_wrapped(&w, 2, value_rules[i]);
    return end(&w);
}

/* ---- values in force ---- */

static bool is_sensitive(const char *name, size_t size)
{
    static const char *const words[] = { "pass", "secret", "token", "key", "signature" };

    for (size_t w = 0; w < sizeof(words) / sizeof(*words); w++) {
        size_t length = strlen(words[w]);

        for (size_t i = 0; i + length <= size; i++)
            if (fpi_ascii_same(name + i, words[w], length))
                return true;
    }
    return false;
}

/* Everything that may be a password: what stands between the first ':' behind "//" and the last '@', and the query's
 * parameters with a telling name. Where a password holds a bare '/' or '?', this hides rather too much. */
static void put_uri(writer *w, const char *uri)
{
    const char *authority = strstr(uri, "//");
    const char *at = strrchr(uri, '@');
    const char *colon = authority ? strchr(authority, ':') : NULL;
    const char *query;

    if (at && colon && colon < at) {
        put(w, uri, (size_t)(colon + 1 - uri));
        put_text(w, MASK);
        uri = at;
    }
    query = strchr(uri, '?');
    put(w, uri, query ? (size_t)(query - uri) : strlen(uri));
    while (query && *query) {
        size_t size = 1 + strcspn(query + 1, "&;");
        const char *equals = memchr(query, '=', size);

        if (equals && is_sensitive(query + 1, (size_t)(equals - query - 1))) {
            put(w, query, (size_t)(equals + 1 - query));
            put_text(w, MASK);
        } else {
            put(w, query, size);
        }
        query += size;
    }
}

fp_status fp_config_print(const fp_config *cfg, fp_buf *out, fp_error *err)
{
    writer w;

    if (!cfg || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    w = begin(cfg, out, err);
    for (size_t i = 0; i < cfg->table->count; i++) {
        const fpi_setting *s = &cfg->table->rows[i];
        const char *text = cfg->values[i].text;

        if (s->group == FPI_GROUP_COMMANDS)
            continue;
        put_text(&w, s->name);
        put_text(&w, "=");
        if (s->type == FPI_SETTING_SECRET)
            put_text(&w, *text ? MASK : "");
        else if (s->type == FPI_SETTING_URI)
            put_uri(&w, text);
        else
            put_text(&w, text);
        put_text(&w, "\n");
    }
    return end(&w);
}

/* ---- documentation ---- */

static void markdown_setting(writer *w, const fpi_setting *s)
{
    char option[FPI_CONFIG_LABEL_SIZE];

    fpi_setting_option(s, option);
    put_text(w, "| `");
    put_text(w, s->group == FPI_GROUP_COMMANDS ? option : s->name);
    if (s->group != FPI_GROUP_COMMANDS) {
        put_text(w, "` | `");
        put_text(w, option);
        if (*type_word(s)) {
            put_text(w, " ");
            put_text(w, type_word(s));
        }
        put_text(w, "` | ");
        if (*s->fallback) {
            put_text(w, "`");
            put_text(w, s->fallback);
            put_text(w, "`");
        }
        put_text(w, " | ");
        put_allowed(w, s, "");
        put_text(w, " | ");
    } else {
        put_text(w, "` | ");
    }
    put_text(w, s->help);
    put_text(w, " |\n");
}

fp_status fp_config_markdown(const fp_config *cfg, fp_buf *out, fp_error *err)
{
    writer w;

    if (!cfg || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    w = begin(cfg, out, err);
    for (int group = 0; group < FPI_GROUP_COUNT; group++) {
        put_text(&w, "## ");
        put_text(&w, group_titles[group]);
        put_text(&w, group == FPI_GROUP_COMMANDS
                         ? "\n\n| Option | Meaning |\n|---|---|\n"
                         : "\n\n| Environment | Option | Default | Allowed | Meaning |\n"
                           "|---|---|---|---|---|\n");
        for (size_t i = 0; i < cfg->table->count; i++)
            if ((int)cfg->table->rows[i].group == group)
                markdown_setting(&w, &cfg->table->rows[i]);
        put_text(&w, "\n");
    }
    put_text(&w, "## How values are read\n\n");
    for (size_t i = 0; i < RULE_COUNT; i++) {
        put_text(&w, "* ");
        put_text(&w, value_rules[i]);
        put_text(&w, "\n");
    }
    return end(&w);
}
