/* Owns: leases as rows of the database, for engines that have no cache in common. As fp_lease_*() of fileproc/cache.h.
 * Must not know: what leases are on.
 *
 * Each step is one statement, so the row's own lock is all that is needed. Time is the database's. Epochs are microseconds of it, or one
 * more than the last one, whichever is greater: so they grow also when the rows are lost, which a crash of the server may do. */
#include "upload/lease_rows.h"

#include <stdio.h>
#include <string.h>

#include "cache/cache_private.h"

#define SQL_SIZE 3072u

typedef struct call {
    fp_database *db;
    const char *sql;
    const fp_value *params;
    size_t count;
    fp_status (*take)(struct call *c, fp_rows *rows, fp_error *err); /* the row that came */
    bool found;
    fp_lease *lease;
    fp_lease_info *info;
    int64_t left_ms; /* of another's lease */
} call;

bool fpi_lease_rows_possible(const fp_database *db)
{
    return fpi_database_now_ms(db) != NULL;
}

static fp_status run(fp_tx *tx, void *user_data, fp_error *err)
{
    call *c = user_data;
    FPI_CLEANUP(fp_rows) rows = NULL;
    int32_t more = 0;
    fp_status rc = fp_tx_query(tx, c->sql, c->params, c->count, &rows, err);

    if (rc == FILEPROC_OK)
        rc = fp_rows_next(rows, &more, err);
    c->found = rc == FILEPROC_OK && more;
    return c->found ? c->take(c, rows, err) : rc;
}

static fp_status ask(call *c, uint32_t flags, fp_error *err)
{
    return fp_database_transact(c->db, flags, run, c, err);
}

/* Each @ becomes the database's clock; the texts are ours and fit. */
static void with_clock(const fp_database *db, const char *text, char sql[SQL_SIZE])
{
    const char *clock = fpi_database_now_ms(db);
    size_t size = 0;

    sql[0] = '\0';
    while (*text && size < SQL_SIZE - 1) {
        size_t span = strcspn(text, "@");

        size += (size_t)snprintf(sql + size, SQL_SIZE - size, "%.*s%s", (int)span, text,
                                 text[span] ? clock : "");
        text += span + (text[span] != '\0');
    }
}

/* ---- taking ---- */

static fp_status take_granted(call *c, fp_rows *rows, fp_error *err)
{
    (void)err;
    c->lease->epoch = (uint64_t)fp_rows_int64(rows, 0);
    c->lease->wanted = fp_rows_int64(rows, 1) != 0;
    return FILEPROC_OK;
}

static fp_status take_left(call *c, fp_rows *rows, fp_error *err)
{
    (void)err;
    c->left_ms = fp_rows_int64(rows, 0);
    return FILEPROC_OK;
}

/* Who waits, and asked again of late, is before others. */
#define WAITS(row, now)                                                                            \
    "(" row "wanted_by <> '' AND " row "wanted_by <> $2 AND " now " - " row "wanted_ms < 250)"
#define NOW "(excluded.until_ms - CAST($3 AS BIGINT))"

/* $1 name, $2 holder, $3 ttl, $4 the epoch that is known, $5 whether to take it over. @ is the clock. */
#define ACQUIRE                                                                                       \
    "INSERT INTO upload_leases AS l (upload_id, holder, epoch, until_ms, note, wanted_by, wanted_ms)" \
    " VALUES ($1, $2, CASE WHEN @ * 1000 > CAST($4 AS BIGINT) THEN @ * 1000"                          \
    " ELSE CAST($4 AS BIGINT) + 1 END, @ + CAST($3 AS BIGINT), '', '', 0)"                            \
    " ON CONFLICT (upload_id) DO UPDATE SET"                                                          \
    " epoch = CASE WHEN l.holder = $2 THEN l.epoch"                                                   \
    " WHEN excluded.epoch > l.epoch THEN excluded.epoch ELSE l.epoch + 1 END,"                        \
    " note = CASE WHEN l.holder = $2 THEN l.note ELSE '' END,"                                        \
    " wanted_by = CASE WHEN " WAITS(                                                                  \
        "l.", NOW) " THEN l.wanted_by ELSE '' END,"                                                   \
                   " holder = $2, until_ms = excluded.until_ms"                                       \
                   " WHERE CAST($5 AS BIGINT) = 1 OR (l.until_ms > " NOW " AND l.holder = $2)"        \
                   " OR (l.until_ms <= " NOW " AND NOT " WAITS(                                       \
                       "l.", NOW) ")"                                                                 \
                                  " RETURNING epoch, CASE WHEN wanted_by <> '' THEN 1 ELSE 0 END"

/* Answers how long the other one has it. */
#define WAIT                                                                                       \
    "UPDATE upload_leases SET"                                                                     \
    " wanted_ms = CASE WHEN " WAITS(                                                               \
        "", "@") " THEN wanted_ms ELSE @ END,"                                                     \
                 " wanted_by = CASE WHEN " WAITS(                                                  \
                     "", "@") " THEN wanted_by ELSE $2 END"                                        \
                              " WHERE upload_id = $1 RETURNING until_ms - @"

static fp_status queue_up(fp_database *db, const fp_lease *lease, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(lease->name), FILEPROC_V_TEXT(lease->holder) };
    call c = { .db = db, .params = params, .count = 2, .take = take_left };
    char sql[SQL_SIZE];
    fp_status rc;

    with_clock(db, WAIT, sql);
    c.sql = sql;
    rc = ask(&c, FILEPROC_TX_READ_COMMITTED, err);
    return rc < 0 ? rc : fpi_lease_held(c.left_ms, err);
}

fp_status fpi_lease_rows_acquire(fp_database *db, fp_lease *lease, uint32_t flags, fp_error *err)
{
    const fp_value params[] = {
        FILEPROC_V_TEXT(lease->name),
        FILEPROC_V_TEXT(lease->holder),
        FILEPROC_V_INT(lease->ttl_ms),
        FILEPROC_V_INT((int64_t)lease->epoch),
        FILEPROC_V_INT(flags & FILEPROC_LEASE_TAKE_OVER ? 1 : 0),
    };
    call c = { .db = db, .params = params, .count = 5, .take = take_granted, .lease = lease };
    char sql[SQL_SIZE];
    fp_status rc;

    with_clock(db, ACQUIRE, sql);
    c.sql = sql;
    rc = ask(&c, FILEPROC_TX_READ_COMMITTED, err);
    if (rc < 0 || c.found)
        return rc;
    return queue_up(db, lease, err);
}

/* ---- keeping and giving back ---- */

static fp_status take_wanted(call *c, fp_rows *rows, fp_error *err)
{
    (void)err;
    if (c->lease)
        c->lease->wanted = fp_rows_int64(rows, 0) != 0;
    return FILEPROC_OK;
}

static const char *note_of(const fp_lease *lease, char text[FILEPROC_LEASE_NOTE_MAX + 1])
{
    if (!lease->note)
        return NULL;
    memcpy(text, lease->note, lease->note_size);
    text[lease->note_size] = '\0';
    return text;
}

#define RENEW                                                                                      \
    "UPDATE upload_leases SET until_ms = @ + CAST($4 AS BIGINT), note = COALESCE($5, note)"        \
    " WHERE upload_id = $1 AND holder = $2 AND epoch = $3 AND until_ms > @"                        \
    " RETURNING CASE WHEN " WAITS("", "@") " THEN 1 ELSE 0 END"

fp_status fpi_lease_rows_renew(fp_database *db, fp_lease *lease, fp_error *err)
{
    char sql[SQL_SIZE], note[FILEPROC_LEASE_NOTE_MAX + 1];
    const fp_value params[] = {
        FILEPROC_V_TEXT(lease->name),          FILEPROC_V_TEXT(lease->holder),
        FILEPROC_V_INT((int64_t)lease->epoch), FILEPROC_V_INT(lease->ttl_ms),
        FILEPROC_V_TEXT(note_of(lease, note)),
    };
    call c = {
        .db = db, .sql = sql, .params = params, .count = 5, .take = take_wanted, .lease = lease
    };
    fp_status rc;

    with_clock(db, RENEW, sql);
    rc = ask(&c, FILEPROC_TX_READ_COMMITTED, err);
    if (rc < 0)
        return rc;
    return c.found ? FILEPROC_OK : fpi_lease_lost(err);
}

fp_status fpi_lease_rows_release(fp_database *db, const fp_lease *lease, fp_error *err)
{
    char note[FILEPROC_LEASE_NOTE_MAX + 1];
    const fp_value params[] = {
        FILEPROC_V_TEXT(lease->name),
        FILEPROC_V_TEXT(lease->holder),
        FILEPROC_V_INT((int64_t)lease->epoch),
        FILEPROC_V_TEXT(note_of(lease, note)),
    };
    call c = { .db = db, .params = params, .count = 4, .take = take_wanted };
    fp_status rc;

    c.sql = "UPDATE upload_leases SET until_ms = 0, note = COALESCE($4, note)"
            " WHERE upload_id = $1 AND holder = $2 AND epoch = $3 RETURNING 0";
    rc = ask(&c, FILEPROC_TX_READ_COMMITTED, err);
    if (rc < 0)
        return rc;
    return c.found ? FILEPROC_OK : fpi_lease_lost(err);
}

/* ---- looking, forgetting ---- */

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static fp_status take_info(call *c, fp_rows *rows, fp_error *err)
{
    char note[FILEPROC_LEASE_NOTE_MAX + 1];

    (void)err;
    copy_text(c->info->holder, sizeof(c->info->holder), fp_rows_text(rows, 0));
    c->info->epoch = (uint64_t)fp_rows_int64(rows, 1);
    c->info->released = fp_rows_int64(rows, 2) == 0;
    c->info->left_ms = fp_rows_int64(rows, 3) > 0 ? fp_rows_int64(rows, 3) : 0;
    copy_text(note, sizeof(note), fp_rows_text(rows, 4));
    c->info->note_size = (uint32_t)strlen(note);
    memcpy(c->info->note, note, c->info->note_size);
    return FILEPROC_OK;
}

fp_status fpi_lease_rows_look(fp_database *db, const char *name, fp_lease_info *info, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_TEXT(name) };
    call c = { .db = db, .params = params, .count = 1, .take = take_info, .info = info };
    char sql[SQL_SIZE];

    with_clock(db,
               "SELECT holder, epoch, until_ms, until_ms - @, note FROM upload_leases"
               " WHERE upload_id = $1",
               sql);
    c.sql = sql;
    return ask(&c, FILEPROC_TX_READONLY, err);
}

static fp_status take_nothing(call *c, fp_rows *rows, fp_error *err)
{
    (void)c;
    (void)rows;
    (void)err;
    return FILEPROC_OK;
}

/* Given back is 0, so wanted_ms and epoch tell how old it is; an epoch is the time when it changed hands, or later. */
fp_status fpi_lease_rows_forget(fp_database *db, fp_error *err)
{
    const fp_value params[] = { FILEPROC_V_INT(FPI_LEASE_MEMORY_MS) };
    call c = { .db = db, .params = params, .count = 1, .take = take_nothing };
    char sql[SQL_SIZE];

    with_clock(db,
               "DELETE FROM upload_leases WHERE until_ms < @ - CAST($1 AS BIGINT)"
               " AND epoch < (@ - CAST($1 AS BIGINT)) * 1000 RETURNING 0",
               sql);
    c.sql = sql;
    return ask(&c, FILEPROC_TX_READ_COMMITTED, err);
}
