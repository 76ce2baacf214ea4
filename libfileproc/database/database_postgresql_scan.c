/* Owns: what can be said of a statement from its text alone: its kind, its parameters.
 * Must not know: connections. The server has the last word on SQL; this only keeps out what would reach beyond a body's
 * transaction, and counts parameters, whose number the server does not check as the library promises it. */
#include <string.h>

#include "core/ascii.h"
#include "database/database_postgresql.h"

#define PARAMS_MAX 1000

/* The closing quote may be doubled to stand for itself; then the rest is like another quoted text. */
static const char *skip_quoted(const char *p)
{
    const char *end = strchr(p + 1, *p);

    return end ? end + 1 : p + strlen(p);
}

/* Comments nest. */
static const char *skip_block_comment(const char *p)
{
    size_t depth = 0;

    do {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
        } else {
            p++;
        }
    } while (depth && *p);
    return p;
}

static bool is_name(char c)
{
    return fpi_ascii_is_letter(c) || fpi_ascii_is_digit(c) || c == '_' || (unsigned char)c >= 128;
}

/* $tag$ ... $tag$. What is none is a dollar sign. */
static const char *skip_dollar_quoted(const char *p)
{
    const char *end = p + 1;
    size_t size;

    while (is_name(*end))
        end++;
    if (*end != '$')
        return p + 1;
    size = (size_t)(end + 1 - p);
    for (end++; *end; end++)
        if (strncmp(end, p, size) == 0)
            return end + size;
    return end;
}

/* Behind whatever is no SQL of its own: a comment, a text, a quoted name. NULL = there is none at p. */
static const char *skip(const char *p)
{
    if (*p == '\'' || *p == '"')
        return skip_quoted(p);
    if (p[0] == '-' && p[1] == '-')
        return p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*')
        return skip_block_comment(p);
    if (*p == '$' && !fpi_ascii_is_digit(p[1]))
        return skip_dollar_quoted(p);
    return NULL;
}

static bool in_list(const char *word, size_t size, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == size && strncasecmp(word, *list, size) == 0)
            return true;
    return false;
}

static fpi_postgresql_kind kind_of(const char *sql)
{
    static const char *const queries[] = { "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE",
                                           "WITH",   "VALUES", "TABLE",  NULL };
    static const char *const refused[] = { "BEGIN",      "START", "COMMIT",  "END",
                                           "ROLLBACK",   "ABORT", "PREPARE", "SAVEPOINT",
                                           "RELEASE",    "SET",   "RESET",   "DISCARD",
                                           "DEALLOCATE", "COPY",  "LISTEN",  "UNLISTEN",
                                           "LOAD",       NULL };
    size_t size = 0;

    while (*sql && !is_name(*sql)) {
        const char *behind = *sql == '-' || *sql == '/' ? skip(sql) : NULL;

        sql = behind ? behind : sql + 1;
    }
    while (is_name(sql[size]))
        size++;
    if (!size)
        return FPI_POSTGRESQL_EMPTY;
    if (in_list(sql, size, refused))
        return FPI_POSTGRESQL_REFUSED;
    return in_list(sql, size, queries) ? FPI_POSTGRESQL_QUERY : FPI_POSTGRESQL_OTHER;
}

/* A number over the limit counts as the limit: it fits no list of parameters. */
static const char *read_number(const char *p, size_t *number)
{
    *number = 0;
    for (; fpi_ascii_is_digit(*p); p++)
        if (*number < PARAMS_MAX)
            *number = *number * 10 + (size_t)(*p - '0');
    if (*number > PARAMS_MAX)
        *number = PARAMS_MAX;
    return p;
}

void fpi_postgresql_scan(const char *sql, fpi_postgresql_text *text)
{
    uint8_t seen[PARAMS_MAX + 1] = { 0 };
    size_t number;

    *text = (fpi_postgresql_text){ .kind = kind_of(sql) };
    for (const char *p = sql; *p;) {
        const char *behind = skip(p);

        if (behind) {
            p = behind;
        } else if (*p == '$') {
            p = read_number(p + 1, &number);
            seen[number] = 1;
            if (number > text->params)
                text->params = number;
        } else if (is_name(*p)) { /* a name may have dollar signs in it */
            while (is_name(*p) || *p == '$')
                p++;
        } else {
            p++;
        }
    }
    text->gaps = seen[0] != 0;
    for (size_t i = 1; i < text->params; i++)
        text->gaps = text->gaps || !seen[i];
}
