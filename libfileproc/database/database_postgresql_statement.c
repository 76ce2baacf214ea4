/* Owns: statements of a body: kept prepared by their text, their parameters.
 * Must not know: how transactions end, and what rows look like.
 *
 * A text is prepared when a connection sees it for the second time; the first time it goes along with its parameters in one message.
 * Numbers are sent with their types, so that an expression like $1 + 5000 is one of 64 bits; the type of texts is
 * for the server to find. The types are part of what a statement is kept by. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "database/database_postgresql.h"

#define INT8_OID 20
#define FLOAT8_OID 701
/* Statements that go to the server before the first answer is read. */
#define EACH_MAX 32

/* The parameters as libpq wants them. Numbers are binary: no locale and no digit gets lost. */
typedef struct parameters {
    size_t count;
    fp_allocator a;
    Oid *types;
    const char **values;
    int *lengths;
    int *formats;
    uint64_t *numbers;
    void *memory; /* of all of them, when they are too many for what follows */
    Oid few_types[24];
    const char *few_values[24];
    int few_lengths[24];
    int few_formats[24];
    uint64_t few_numbers[24];
} parameters;

static void parameters_dispose(parameters *p)
{
    fpi_free(&p->a, p->memory);
}
FPI_DEFINE_DISPOSE(parameters, parameters_dispose)

static fp_status make_room(parameters *p, size_t count, fp_error *err)
{
    size_t few = sizeof(p->few_types) / sizeof(p->few_types[0]);

    p->count = count;
    p->types = p->few_types;
    p->values = p->few_values;
    p->lengths = p->few_lengths;
    p->formats = p->few_formats;
    p->numbers = p->few_numbers;
    if (count <= few)
        return FILEPROC_OK;
    p->memory = fpi_calloc(&p->a, count,
                           sizeof(*p->numbers) + sizeof(*p->values) + sizeof(*p->types) +
                               sizeof(*p->lengths) + sizeof(*p->formats));
    if (!p->memory)
        return fpi_no_memory(err);
    p->numbers = p->memory;
    p->values = (const char **)(p->numbers + count);
    p->types = (Oid *)(p->values + count);
    p->lengths = (int *)(p->types + count);
    p->formats = p->lengths + count;
    return FILEPROC_OK;
}

static void set_number(parameters *p, size_t i, Oid type, uint64_t bits)
{
    p->numbers[i] = htobe64(bits);
    p->types[i] = type;
    p->values[i] = (const char *)&p->numbers[i];
    p->lengths[i] = sizeof(p->numbers[i]);
    p->formats[i] = 1;
}

static void set_parameter(parameters *p, size_t i, const fp_value *v)
{
    uint64_t bits;

    p->types[i] = 0;
    p->values[i] = NULL;
    p->lengths[i] = p->formats[i] = 0;
    if (v->kind == FILEPROC_VALUE_INT64) {
        set_number(p, i, INT8_OID, (uint64_t)v->integer);
    } else if (v->kind == FILEPROC_VALUE_DOUBLE) {
        memcpy(&bits, &v->real, sizeof(bits));
        set_number(p, i, FLOAT8_OID, bits);
    } else if (v->kind == FILEPROC_VALUE_TEXT) {
        p->values[i] = v->text;
    }
}

static uint64_t hash(const char *sql, const parameters *p)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *sql; sql++)
        h = (h ^ (unsigned char)*sql) * 1099511628211u;
    for (size_t i = 0; i < p->count; i++)
        h = (h ^ (p->types[i] + 256)) * 1099511628211u;
    return h;
}

/* Two texts of one hash would be taken for one another only if the texts were the same and the types were not. */
static fpi_postgresql_statement *find(const fpi_postgresql_connection *conn, const char *sql,
                                      uint64_t h)
{
    for (size_t i = 0; i < FPI_POSTGRESQL_STATEMENTS; i++) {
        fpi_postgresql_statement *s = conn->statements[i];

        if (s && s->hash == h && strcmp(s->sql, sql) == 0)
            return s;
    }
    return NULL;
}

static void send_deallocate(fpi_postgresql_connection *conn, const fpi_postgresql_statement *s)
{
    char sql[40];

    snprintf(sql, sizeof(sql), "DEALLOCATE s%u", (unsigned)s->number);
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_OWED, sql);
}

/* In an empty place, or in that of the one unused for longest. */
static void keep(fpi_postgresql_connection *conn, fpi_postgresql_statement *s)
{
    fpi_postgresql_statement **place = &conn->statements[0];

    for (size_t i = 0; i < FPI_POSTGRESQL_STATEMENTS && *place; i++)
        if (!conn->statements[i] || conn->statements[i]->used < (*place)->used)
            place = &conn->statements[i];
    if (*place && (*place)->number)
        send_deallocate(conn, *place);
    fpi_free(&conn->ctx->a, *place);
    *place = s;
}

static fpi_postgresql_statement *make(const fpi_postgresql_connection *conn, const char *sql,
                                      uint64_t h, fp_error *err)
{
    size_t size = strlen(sql) + 1;
    fpi_postgresql_statement *s = fpi_calloc(&conn->ctx->a, 1, sizeof(*s) + size);

    if (!s) {
        fpi_no_memory(err);
        return NULL;
    }
    s->hash = h;
    memcpy(s->sql, sql, size);
    fpi_postgresql_scan(s->sql, &s->text);
    return s;
}

static fp_status check(const fpi_postgresql_statement *s, size_t count, fp_error *err)
{
    if (s->text.kind == FPI_POSTGRESQL_EMPTY)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database: exactly one statement is expected");
    if (s->text.kind == FPI_POSTGRESQL_REFUSED)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database: this statement is not allowed inside a transaction");
    if (s->text.gaps)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database: parameters must be $1 to $%zu, not all are there",
                             s->text.params);
    if (count != s->text.params)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "database: %zu parameters given, %zu in the statement", count,
                             s->text.params);
    return FILEPROC_OK;
}

void fpi_postgresql_statements_free(fpi_postgresql_connection *conn)
{
    for (size_t i = 0; i < FPI_POSTGRESQL_STATEMENTS; i++)
        fpi_free(&conn->ctx->a, conn->statements[i]);
}

static void send_begin(fpi_postgresql_connection *conn)
{
    const char *sql = "BEGIN ISOLATION LEVEL SERIALIZABLE";

    if (conn->begun)
        return;
    if (conn->readonly)
        sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    else if (conn->read_committed)
        sql = "BEGIN ISOLATION LEVEL READ COMMITTED";
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, sql);
    conn->begun = true;
}

/* 0 = goes without a name. */
static uint32_t send_prepare(fpi_postgresql_connection *conn, const fpi_postgresql_statement *s,
                             const parameters *p, bool often)
{
    uint32_t number = conn->last_number + 1;
    char name[16];

    if (s->number || s->text.kind != FPI_POSTGRESQL_QUERY || !often || conn->broken)
        return s->number;
    snprintf(name, sizeof(name), "s%u", (unsigned)number);
    fpi_postgresql_sent(conn, FPI_POSTGRESQL_STEP_PREPARE,
                        PQsendPrepare(conn->pg, name, s->sql, (int)p->count, p->types));
    conn->last_number = number;
    return number;
}

static void send_statement(fpi_postgresql_connection *conn, const fpi_postgresql_statement *s,
                           uint32_t number, const parameters *p)
{
    char name[16];
    int ok;

    if (conn->broken)
        return;
    snprintf(name, sizeof(name), "s%u", (unsigned)number);
    ok = number ? PQsendQueryPrepared(conn->pg, name, (int)p->count, p->values, p->lengths,
                                      p->formats, 0)
                : PQsendQueryParams(conn->pg, s->sql, (int)p->count, p->types, p->values,
                                    p->lengths, p->formats, 0);
    fpi_postgresql_sent(conn, FPI_POSTGRESQL_STEP_BODY, ok);
}

/* The transaction's number at the server, when it has one by now: by it its fate is asked, should the connection break in
 * COMMIT. */
static void send_xid(fpi_postgresql_connection *conn)
{
    if (!conn->readonly && !conn->xid && !conn->broken)
        fpi_postgresql_sent(conn, FPI_POSTGRESQL_STEP_XID,
                            PQsendQueryPrepared(conn->pg, "fp_xid", 0, NULL, NULL, NULL, 0));
}

/* What the failure of a statement means for its transaction. Only the first one counts: what comes later is its consequence. */
static void note_failure(fpi_postgresql_connection *conn, const fp_error *e)
{
    const char *state = conn->failed_state;

    conn->failure = *e;
    if (conn->broken)
        conn->state = FPI_POSTGRESQL_LOST;
    else if (fpi_postgresql_is_conflict(state))
        conn->state = FPI_POSTGRESQL_CONFLICT;
    else if (fpi_postgresql_is_stale(state))
        conn->state = FPI_POSTGRESQL_STALE;
    else if (!conn->careful)
        conn->state = FPI_POSTGRESQL_ABORTED;
}

/* Makes the failed statement undone, so that the transaction can go on. */
static void roll_back_to_savepoint(fpi_postgresql_connection *conn)
{
    fp_error e = { 0 };

    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, "ROLLBACK TO fp");
    fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, "RELEASE fp");
    if (fpi_postgresql_run(conn, 0, NULL, &e) < 0)
        note_failure(conn, &e);
}

/* BEGIN goes first: whatever stands before it would be in its transaction. Answers the statement's name. */
static uint32_t open_run(fpi_postgresql_connection *conn, fpi_postgresql_statement *s,
                         const parameters *p, bool often)
{
    uint32_t number;

    send_begin(conn);
    if (s->used == 0)
        keep(conn, s);
    conn->prepared = false;
    if (conn->careful)
        fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, "SAVEPOINT fp");
    number = send_prepare(conn, s, p, often || s->used > 0);
    s->used = ++conn->count;
    return number;
}

static fp_status close_run(fpi_postgresql_connection *conn, fpi_postgresql_statement *s,
                           uint32_t number, PGresult **result, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc;

    send_xid(conn);
    if (conn->careful)
        fpi_postgresql_send(conn, FPI_POSTGRESQL_STEP_CONTROL, "RELEASE fp");
    rc = fpi_postgresql_run(conn, 0, result, &e);
    if (conn->prepared)
        s->number = number;
    if (rc == FILEPROC_OK)
        return rc;
    note_failure(conn, &e);
    if (conn->careful && conn->state == FPI_POSTGRESQL_FINE)
        roll_back_to_savepoint(conn);
    if (err)
        *err = e;
    return rc;
}

/* After a failure the server takes nothing more in this transaction: what the body does now is done again, from its beginning. */
static fp_status refuse(fpi_postgresql_connection *conn, fp_error *err)
{
    conn->went_on = true;
    return fp_error_setf(err, FILEPROC_ERR_BUSY, "database: the transaction starts again");
}

static void set_parameters(parameters *p, const fp_value *params)
{
    for (size_t i = 0; i < p->count; i++)
        set_parameter(p, i, &params[i]);
}

static fp_status get_statement(fpi_postgresql_connection *conn, const char *sql,
                               const parameters *p, fpi_postgresql_statement **out, fp_error *err)
{
    uint64_t h = hash(sql, p);
    fpi_postgresql_statement *s = find(conn, sql, h);
    fp_status rc;

    if (!s) {
        s = make(conn, sql, h, err);
        if (!s)
            return FILEPROC_ERR_NOMEM;
        rc = check(s, p->count, err);
        if (rc < 0) {
            fpi_free(&conn->ctx->a, s);
            return rc;
        }
    }
    *out = s;
    return FILEPROC_OK;
}

fp_status fpi_postgresql_execute(fpi_postgresql_connection *conn, const char *sql,
                                 const fp_value *params, size_t count, PGresult **result,
                                 fp_error *err)
{
    FPI_DISPOSE(parameters) p = { .a = conn->ctx->a };
    fpi_postgresql_statement *s = NULL;
    uint32_t number;
    fp_status rc;

    if (conn->state != FPI_POSTGRESQL_FINE)
        return refuse(conn, err);
    rc = make_room(&p, count, err);
    if (rc < 0)
        return rc;
    set_parameters(&p, params);
    rc = get_statement(conn, sql, &p, &s, err);
    if (rc < 0)
        return rc;
    number = open_run(conn, s, &p, false);
    send_statement(conn, s, number, &p);
    return close_run(conn, s, number, result, err);
}

/* The sets from the first on whose types are the same: one statement, and one way to the server. *done says how many that were. */
static fp_status run_each(fpi_postgresql_connection *conn, const char *sql, const fp_value *params,
                          size_t width, size_t times, uint64_t *changed, size_t *done,
                          fp_error *err)
{
    FPI_DISPOSE(parameters) p = { .a = conn->ctx->a };
    fpi_postgresql_statement *s = NULL;
    uint32_t number;
    size_t i = 0;
    fp_status rc = make_room(&p, width, err);

    if (rc < 0)
        return rc;
    set_parameters(&p, params);
    rc = get_statement(conn, sql, &p, &s, err);
    if (rc < 0)
        return rc;
    number = open_run(conn, s, &p, true);
    do {
        send_statement(conn, s, number, &p);
        if (++i < times)
            set_parameters(&p, params + i * width);
    } while (i < times && i < EACH_MAX && hash(sql, &p) == s->hash);
    conn->each = changed;
    rc = close_run(conn, s, number, NULL, err);
    conn->each = NULL;
    *done = i;
    return rc;
}

fp_status fpi_postgresql_exec_each(void *t, const char *sql, const fp_value *params, size_t width,
                                   size_t times, uint64_t *changed, fp_error *err)
{
    fpi_postgresql_connection *conn = t;
    fp_status rc = FILEPROC_OK;
    size_t done = 1;

    for (size_t at = 0; rc == FILEPROC_OK && at < times; at += done) {
        if (conn->state != FPI_POSTGRESQL_FINE)
            return refuse(conn, err);
        if (conn->careful || times == 1)
            rc = fpi_postgresql_exec(conn, sql, params + at * width, width, &changed[at], err);
        else
            rc = run_each(conn, sql, params + at * width, width, times - at, changed + at, &done,
                          err);
    }
    return rc;
}
