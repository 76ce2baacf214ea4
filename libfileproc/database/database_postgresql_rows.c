/* Owns: the slots of the driver that a body uses: statements without rows, rows, columns.
 * Must not know: how a statement gets to the server.
 *
 * The server sends all rows at once; the library's statements all say LIMIT. Columns come as text, since what a number's type is
 * (numeric for a SUM, bool for an EXISTS) depends on the expression. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "database/database_postgresql.h"

#define BOOL_OID 16

typedef struct rows {
    const fp_allocator *a;
    PGresult *result;
    int row; /* the present one */
} rows;

/* What a body's SELECT finds is no change. */
uint64_t fpi_postgresql_changed(PGresult *result)
{
    static const char *const changing[] = { "INSERT", "UPDATE", "DELETE", "MERGE" };
    const char *tag = PQcmdStatus(result);

    for (size_t i = 0; i < sizeof(changing) / sizeof(*changing); i++)
        if (strncmp(tag, changing[i], strlen(changing[i])) == 0)
            return strtoull(PQcmdTuples(result), NULL, 10);
    return 0;
}

fp_status fpi_postgresql_exec(void *t, const char *sql, const fp_value *params, size_t count,
                              uint64_t *changed, fp_error *err)
{
    PGresult *result = NULL;
    fp_status rc = fpi_postgresql_execute(t, sql, params, count, &result, err);

    *changed = rc == FILEPROC_OK && result ? fpi_postgresql_changed(result) : 0;
    PQclear(result);
    return rc;
}

/* The memory is had first: a statement must not have had its effect when this fails. */
fp_status fpi_postgresql_query(void *t, const char *sql, const fp_value *params, size_t count,
                               void **r, fp_error *err)
{
    fpi_postgresql_connection *conn = t;
    rows *made = fpi_calloc(&conn->ctx->a, 1, sizeof(*made));
    fp_status rc;

    if (!made)
        return fpi_no_memory(err);
    made->a = &conn->ctx->a;
    made->row = -1;
    rc = fpi_postgresql_execute(conn, sql, params, count, &made->result, err);
    if (rc < 0)
        fpi_free(made->a, made);
    else
        *r = made;
    return rc;
}

fp_status fpi_postgresql_next(void *r, int32_t *more, fp_error *err)
{
    rows *at = r;
    int count = PQntuples(at->result);

    (void)err;
    if (at->row < count)
        at->row++;
    *more = at->row < count;
    return FILEPROC_OK;
}

/* NULL = SQL's NULL, or no such column. */
static const char *value_of(const rows *at, uint32_t column)
{
    if (column >= (uint32_t)PQnfields(at->result) || PQgetisnull(at->result, at->row, (int)column))
        return NULL;
    return PQgetvalue(at->result, at->row, (int)column);
}

static bool is_bool(const rows *at, uint32_t column)
{
    return PQftype(at->result, (int)column) == BOOL_OID;
}

int64_t fpi_postgresql_column_int64(void *r, uint32_t column)
{
    const char *value = value_of(r, column);

    if (!value)
        return 0;
    return is_bool(r, column) ? *value == 't' : strtoll(value, NULL, 10);
}

/* The host program's locale may write numbers with a comma. "C" is a constant of the C library, so this costs nothing. */
double fpi_postgresql_column_double(void *r, uint32_t column)
{
    const char *value = value_of(r, column);
    locale_t c_locale;
    double number;

    if (!value)
        return 0.0;
    if (is_bool(r, column))
        return *value == 't' ? 1.0 : 0.0;
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale)
        return strtod(value, NULL);
    number = strtod_l(value, NULL, c_locale);
    freelocale(c_locale);
    return number;
}

const char *fpi_postgresql_column_text(void *r, uint32_t column)
{
    const char *value = value_of(r, column);

    if (value && is_bool(r, column))
        return *value == 't' ? "1" : "0";
    return value;
}

void fpi_postgresql_rows_free(void *r)
{
    rows *at = r;

    PQclear(at->result);
    fpi_free(at->a, at);
}
