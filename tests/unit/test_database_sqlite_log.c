/* Owns: the promises of database_sqlite_log.c: one write per commit, and nothing of a commit that failed.
 * Must not know: how frames are laid out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "database/database_private.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

/* What SQLite's own VFS is given instead of pwrite(). */
static int writes, failing;
static size_t written;

static ssize_t counted_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (failing) {
        errno = ENOSPC;
        return -1;
    }
    writes++;
    written += size;
    return pwrite(fd, bytes, size, offset);
}

typedef struct world {
    fp_context *ctx;
    fp_database *db;
    sqlite3 *other; /* as another process has it */
    char folder[64], path[128];
} world;

static void world_open(world *w)
{
    sqlite3_vfs *own = sqlite3_vfs_find(NULL);
    fp_error err = { 0 };
    char uri[256];

    *w = (world){ .ctx = NULL };
    own->xSetSystemCall(own, "pwrite", (sqlite3_syscall_ptr)counted_pwrite);
    own->xSetSystemCall(own, "pwrite64", (sqlite3_syscall_ptr)counted_pwrite);
    scratch_make(w->folder);
    snprintf(w->path, sizeof(w->path), "%s/test.db", w->folder);
    snprintf(uri, sizeof(uri), "sqlite://%s", w->path);
    ck_status(fp_context_new(NULL, &w->ctx, &err), FILEPROC_OK, &err);
    ck_status(fp_database_open(w->ctx, uri, NULL, &w->db, &err), FILEPROC_OK, &err);
    must_sql(w->db, "CREATE TABLE t (n INTEGER PRIMARY KEY, x TEXT)");
    ck_assert_int_eq(sqlite3_open(w->path, &w->other), SQLITE_OK);
}

static void world_close(world *w)
{
    sqlite3_close(w->other);
    fp_database_free(w->db);
    fp_context_free(w->ctx);
    scratch_remove(w->folder);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t n;

    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void check_intact(sqlite3 *db)
{
    ck_assert_int_eq(number(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* Rows of 2,000 bytes: two to a page. */
typedef struct rows {
    int first, count;
    bool fail;
} rows;

static fp_status insert_rows(fp_tx *tx, void *user_data, fp_error *err)
{
    const rows *r = user_data;
    const fp_value params[] = { FILEPROC_V_INT(r->first), FILEPROC_V_INT(r->count) };
    fp_status rc = fp_tx_exec(tx,
                              "WITH RECURSIVE s (n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM s"
                              " WHERE n + 1 < $1 + $2)"
                              " INSERT INTO t SELECT n, hex(zeroblob(1000)) FROM s",
                              params, 2, NULL, err);

    if (rc == FILEPROC_OK && r->fail)
        rc = fp_error_setf(err, FILEPROC_ERR_USER, "as the test wants it");
    return rc;
}

static fp_status insert(world *w, int first, int count, bool fail, fp_error *err)
{
    rows r = { first, count, fail };

    return fp_database_transact(w->db, 0, insert_rows, &r, err);
}

START_TEST(commit_of_many_pages_is_one_write)
{
    world w;
    fp_error err = { 0 };

    world_open(&w);
    for (int i = 0; i < 3; i++) {
        writes = 0;
        written = 0;
        ck_status(insert(&w, 40 * i, 40, false, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(writes, 1);
        ck_assert_uint_ge(written, (size_t)20 * 4096);
        ck_assert_int_eq(number(w.other, "SELECT COUNT(*) FROM t"), 40 * (i + 1));
    }
    check_intact(w.other);
    world_close(&w);
}
END_TEST

/* SQLite's VFS for Unix can't write more than 128 KiB at once, and the cache holds less than 6 MiB. */
START_TEST(commit_of_any_size_arrives)
{
    static const int sizes[] = { 55, 60, 65, 70, 130, 3000 };
    world w;
    fp_error err = { 0 };
    int count = 0;

    world_open(&w);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        ck_status(insert(&w, count, sizes[i], false, &err), FILEPROC_OK, &err);
        count += sizes[i];
        ck_assert_int_eq(number(w.other, "SELECT COUNT(*) FROM t"), count);
    }
    check_intact(w.other);
    world_close(&w);
}
END_TEST

static void copy_file(const world *w, const char *suffix)
{
    static char bytes[1 << 20];
    char from[160], to[160];
    int in, out;
    ssize_t size;

    snprintf(from, sizeof(from), "%s%s", w->path, suffix);
    snprintf(to, sizeof(to), "%s/copy.db%s", w->folder, suffix);
    in = open(from, O_RDONLY);
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert(in >= 0 && out >= 0);
    while ((size = read(in, bytes, sizeof(bytes))) > 0)
        ck_assert_int_eq(write(out, bytes, (size_t)size), size);
    close(in);
    close(out);
}

/* What a crash of the process would leave at the moment of the answer. */
START_TEST(answered_commit_is_in_the_file)
{
    world w;
    fp_error err = { 0 };

    world_open(&w);
    for (int i = 0; i < 5; i++) {
        char path[160];
        sqlite3 *copy = NULL;

        ck_status(insert(&w, 7 * i, 7, false, &err), FILEPROC_OK, &err);
        copy_file(&w, "");
        copy_file(&w, "-wal");
        snprintf(path, sizeof(path), "%s/copy.db", w.folder);
        ck_assert_int_eq(sqlite3_open(path, &copy), SQLITE_OK);
        ck_assert_int_eq(number(copy, "SELECT COUNT(*) FROM t"), 7 * (i + 1));
        check_intact(copy);
        sqlite3_close(copy);
    }
    world_close(&w);
}
END_TEST

START_TEST(failed_commit_leaves_nothing_to_be_written_later)
{
    world w;
    fp_error err = { 0 };

    world_open(&w);
    ck_status(insert(&w, 0, 10, false, &err), FILEPROC_OK, &err);
    failing = 1;
    ck_status(insert(&w, 100, 40, false, &err), FILEPROC_ERR_QUOTA, &err);
    failing = 0;
    ck_assert_int_eq(sqlite3_exec(w.other, "INSERT INTO t VALUES (50, 'theirs')", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_status(insert(&w, 200, 3, false, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(number(w.other, "SELECT COUNT(*) FROM t"), 14);
    ck_assert_int_eq(sql_number(w.db, "SELECT COUNT(*) FROM t"), 14);
    check_intact(w.other);
    world_close(&w);
}
END_TEST

/* Pages that did not fit into the cache are in the log before the body fails; others write to the same place afterwards. The
 * sizes begin below what the cache holds, so that in some rounds it is only a few pages. */
START_TEST(what_a_rolled_back_body_wrote_harms_nobody)
{
    world w;
    fp_error err = { 0 };
    int kept = 0;

    world_open(&w);
    for (int size = 800; size <= 1200; size += 16) {
        ck_status(insert(&w, 10000, size, true, &err), FILEPROC_ERR_USER, &err);
        ck_assert_int_eq(sqlite3_exec(w.other,
                                      "INSERT INTO t SELECT NULL, hex(zeroblob(9000))"
                                      " FROM pragma_function_list LIMIT 20",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        ck_status(insert(&w, -size, 1, false, &err), FILEPROC_OK, &err);
        kept += 21;
        ck_assert_int_eq(number(w.other, "SELECT COUNT(*) FROM t"), kept);
        check_intact(w.other);
    }
    world_close(&w);
}
END_TEST

RUN_TESTS("database_sqlite_log", commit_of_many_pages_is_one_write, commit_of_any_size_arrives,
          answered_commit_is_in_the_file, failed_commit_leaves_nothing_to_be_written_later,
          what_a_rolled_back_body_wrote_harms_nobody)
