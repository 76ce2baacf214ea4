/* Owns: statements: kept prepared by their text, their parameters, their rows.
 * Must not know: how transactions begin and end. */
#include <assert.h>
#include <string.h>

#include "database/database_sqlite.h"

static uint64_t hash_text(const char *text)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

/* SQLite numbers parameters by their first appearance, "$2" before "$1" too; the caller by their name. All of 1 to count
 * must appear, as other databases demand it. 0 = not such a name. */
static int parameter_number(const char *name, int count)
{
    int n = 0;

    if (!name || name[0] != '$' || name[1] == '0')
        return 0;
    for (name++; *name; name++) {
        if (*name < '0' || *name > '9' || n > count)
            return 0;
        n = n * 10 + (*name - '0');
    }
    return n <= count ? n : 0;
}

static fp_status number_parameters(fpi_sqlite_statement *s, fp_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const char *name = sqlite3_bind_parameter_name(s->stmt, (int)i + 1);

        s->numbers[i] = parameter_number(name, (int)s->count);
        if (!s->numbers[i])
            return fp_error_setf(err, FILEPROC_ERR_INVALID,
                                 "database: parameters must be $1 to $%zu, there is %.20s",
                                 s->count, name ? name : "?");
    }
    return FILEPROC_OK;
}

static void free_statement(fpi_sqlite_statement *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->stmt);
    fpi_free(s->conn->a, s);
}
FPI_DEFINE_CLEANUP(fpi_sqlite_statement, free_statement)

static fp_status prepare_one(fpi_sqlite_connection *conn, const char *sql, size_t size,
                             sqlite3_stmt **stmt, fp_error *err)
{
    const char *tail = NULL;
    int code;

    if (size >= (size_t)sqlite3_limit(conn->db, SQLITE_LIMIT_SQL_LENGTH, -1))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "database: the statement is too long");
    code = sqlite3_prepare_v3(conn->db, sql, (int)size + 1, SQLITE_PREPARE_PERSISTENT, stmt, &tail);
    if (code != SQLITE_OK)
        return fpi_sqlite_error(conn, code, err);
    if (*stmt && tail[strspn(tail, " \t\r\n;")] == '\0')
        return FILEPROC_OK;
    sqlite3_finalize(*stmt);
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "database: exactly one statement is expected");
}

static fp_status prepare(fpi_sqlite_connection *conn, const char *sql, fpi_sqlite_statement **out,
                         fp_error *err)
{
    FPI_CLEANUP(fpi_sqlite_statement) s = NULL;
    size_t size = strlen(sql), count, head;
    sqlite3_stmt *stmt = NULL;
    fp_status rc;

    rc = prepare_one(conn, sql, size, &stmt, err);
    if (rc < 0)
        return rc;
    count = (size_t)sqlite3_bind_parameter_count(stmt);
    head = sizeof(*s) + count * sizeof(s->numbers[0]);
    s = fpi_calloc(conn->a, 1, head + size + 1);
    if (!s) {
        sqlite3_finalize(stmt);
        return fpi_no_memory(err);
    }
    s->conn = conn;
    s->stmt = stmt;
    s->control = !conn->in_body;
    s->count = count;
    s->sql = memcpy((char *)s + head, sql, size + 1);
    s->hash = hash_text(sql);
    rc = number_parameters(s, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&s);
    return rc;
}

static fpi_sqlite_statement *find_kept(const fpi_sqlite_connection *conn, const char *sql)
{
    uint64_t hash = hash_text(sql);

    for (size_t i = 0; i < FPI_SQLITE_STATEMENTS; i++) {
        fpi_sqlite_statement *s = conn->statements[i];

        if (s && s->hash == hash && s->control == !conn->in_body && strcmp(s->sql, sql) == 0)
            return s;
    }
    return NULL;
}

/* In an empty place, or in that of the one unused for longest. When all are being read it is not kept. */
static void keep(fpi_sqlite_connection *conn, fpi_sqlite_statement *s)
{
    fpi_sqlite_statement **place = NULL;

    for (size_t i = 0; i < FPI_SQLITE_STATEMENTS; i++) {
        fpi_sqlite_statement **at = &conn->statements[i];

        if (!*at) {
            place = at;
            break;
        }
        if (!(*at)->busy && (!place || (*at)->used < (*place)->used))
            place = at;
    }
    if (!place)
        return;
    free_statement(*place);
    *place = s;
    s->kept = true;
}

/* A statement whose rows are still being read can't be run beside itself: a second one is prepared for once. */
static fp_status take(fpi_sqlite_connection *conn, const char *sql, fpi_sqlite_statement **out,
                      fp_error *err)
{
    fpi_sqlite_statement *s = find_kept(conn, sql);
    bool taken = s && s->busy;
    fp_status rc;

    if (!s || taken) {
        rc = prepare(conn, sql, &s, err);
        if (rc < 0)
            return rc;
        if (!taken)
            keep(conn, s);
    }
    s->busy = true;
    conn->busy++;
    s->used = ++conn->count;
    s->pending = 0;
    *out = s;
    return FILEPROC_OK;
}

static void give_back(fpi_sqlite_statement *s)
{
    sqlite3_reset(s->stmt);
    sqlite3_clear_bindings(s->stmt);
    s->busy = false;
    s->conn->busy--;
    if (!s->kept)
        free_statement(s);
}

/* Rows that a body did not free would keep the transaction open for ever. */
void fpi_sqlite_statements_reset(fpi_sqlite_connection *conn)
{
    for (size_t i = 0; conn->busy && i < FPI_SQLITE_STATEMENTS; i++)
        if (conn->statements[i] && conn->statements[i]->busy)
            give_back(conn->statements[i]);
    for (sqlite3_stmt *s = NULL; conn->busy && (s = sqlite3_next_stmt(conn->db, s)) != NULL;)
        sqlite3_reset(s);
    conn->busy = 0;
}

void fpi_sqlite_statements_free(fpi_sqlite_connection *conn)
{
    for (size_t i = 0; i < FPI_SQLITE_STATEMENTS; i++)
        free_statement(conn->statements[i]);
}

static int bind_one(sqlite3_stmt *stmt, int index, const fp_value *v, sqlite3_destructor_type life)
{
    switch (v->kind) {
    case FILEPROC_VALUE_INT64:
        return sqlite3_bind_int64(stmt, index, v->integer);
    case FILEPROC_VALUE_DOUBLE:
        return sqlite3_bind_double(stmt, index, v->real);
    case FILEPROC_VALUE_TEXT:
        if (v->text)
            return sqlite3_bind_text64(stmt, index, v->text, strlen(v->text), life, SQLITE_UTF8);
        return sqlite3_bind_null(stmt, index);
    default:
        return sqlite3_bind_null(stmt, index);
    }
}

static fp_status bind_all(fpi_sqlite_statement *s, const fp_value *params, size_t count,
                          sqlite3_destructor_type life, fp_error *err)
{
    if (count != s->count)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database: %zu parameters given, %zu in the statement", count,
                             s->count);
    for (size_t i = 0; i < count; i++) {
        int code = bind_one(s->stmt, (int)i + 1, &params[s->numbers[i] - 1], life);

        if (code != SQLITE_OK)
            return fpi_sqlite_error(s->conn, code, err);
    }
    return FILEPROC_OK;
}

/* Some failures (disk full, out of memory) roll the whole transaction back. What the body would do after that would be
 * committed statement by statement, so the connection refuses it. */
static fp_status step(fpi_sqlite_statement *s, int *code, fp_error *err)
{
    fpi_sqlite_connection *conn = s->conn;
    fp_status rc;

    *code = sqlite3_step(s->stmt);
    if (*code == SQLITE_ROW || *code == SQLITE_DONE)
        return FILEPROC_OK;
    rc = fpi_sqlite_error(conn, *code, err);
    if (conn->in_body && !conn->doomed && sqlite3_get_autocommit(conn->db))
        conn->doomed = *code;
    return rc;
}

static fp_status begin(fpi_sqlite_connection *conn, const char *sql, const fp_value *params,
                       size_t count, sqlite3_destructor_type life, fpi_sqlite_statement **out,
                       fp_error *err)
{
    fpi_sqlite_statement *s;
    fp_status rc;

    if (conn->doomed)
        return fpi_sqlite_error(conn, conn->doomed, err);
    rc = take(conn, sql, &s, err);
    if (rc < 0)
        return rc;
    if (conn->readonly && !sqlite3_stmt_readonly(s->stmt))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "database: this transaction may only read");
    if (rc == FILEPROC_OK)
        rc = bind_all(s, params, count, life, err);
    if (rc < 0)
        give_back(s);
    else
        *out = s;
    return rc;
}

/* sqlite3_changes64() keeps the count of an earlier statement when this one changes no rows by its nature. */
fp_status fpi_sqlite_exec(void *t, const char *sql, const fp_value *params, size_t count,
                          uint64_t *changed, fp_error *err)
{
    fpi_sqlite_connection *conn = t;
    fpi_sqlite_statement *s = NULL;
    sqlite3_int64 before = sqlite3_total_changes64(conn->db);
    int code;
    fp_status rc;

    rc = begin(conn, sql, params, count, SQLITE_STATIC, &s, err);
    if (rc < 0)
        return rc;
    assert(s);
    do
        rc = step(s, &code, err);
    while (rc == FILEPROC_OK && code == SQLITE_ROW);
    give_back(s);
    *changed = 0;
    if (rc == FILEPROC_OK && sqlite3_total_changes64(conn->db) != before)
        *changed = (uint64_t)sqlite3_changes64(conn->db);
    return rc;
}

/* The first step is taken here: what a statement with RETURNING changes is changed even when nobody reads its rows. */
fp_status fpi_sqlite_query(void *t, const char *sql, const fp_value *params, size_t count, void **r,
                           fp_error *err)
{
    fpi_sqlite_statement *s = NULL;
    int code;
    fp_status rc;

    rc = begin(t, sql, params, count, SQLITE_TRANSIENT, &s, err);
    if (rc < 0)
        return rc;
    assert(s);
    rc = step(s, &code, err);
    if (rc < 0) {
        give_back(s);
        return rc;
    }
    s->pending = code;
    *r = s;
    return FILEPROC_OK;
}

/* After the end it stays at the end: a further step would run the statement again. */
fp_status fpi_sqlite_next(void *r, int32_t *more, fp_error *err)
{
    fpi_sqlite_statement *s = r;
    int code = s->pending;
    fp_status rc = FILEPROC_OK;

    if (code == 0)
        rc = step(s, &code, err);
    if (rc < 0) {
        s->pending = SQLITE_DONE;
        return rc;
    }
    s->pending = code == SQLITE_DONE ? SQLITE_DONE : 0;
    *more = code == SQLITE_ROW;
    return FILEPROC_OK;
}

int64_t fpi_sqlite_column_int64(void *r, uint32_t column)
{
    fpi_sqlite_statement *s = r;

    return sqlite3_column_int64(s->stmt, (int)column);
}

double fpi_sqlite_column_double(void *r, uint32_t column)
{
    fpi_sqlite_statement *s = r;

    return sqlite3_column_double(s->stmt, (int)column);
}

/* Out of memory looks like NULL here; so that nobody takes it for one, the transaction is made to fail. */
const char *fpi_sqlite_column_text(void *r, uint32_t column)
{
    fpi_sqlite_statement *s = r;
    bool null = sqlite3_column_type(s->stmt, (int)column) == SQLITE_NULL;
    const char *text = (const char *)sqlite3_column_text(s->stmt, (int)column);

    if (!null && !text)
        s->conn->doomed = SQLITE_NOMEM;
    return text;
}

void fpi_sqlite_rows_free(void *r)
{
    give_back(r);
}
