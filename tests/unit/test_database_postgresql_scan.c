/* Owns: the promises of reading a statement's text. */
#include "database/database_postgresql.h"
#include "runner.h"

static fpi_postgresql_kind kind(const char *sql)
{
    fpi_postgresql_text text;

    fpi_postgresql_scan(sql, &text);
    return text.kind;
}

START_TEST(kinds_are_told_by_the_first_word)
{
    static const char *const queries[] = {
        "SELECT 1",       " \n\tinsert into t",       "(SELECT 1) UNION",
        "-- x\nUPDATE t", "/* a /* b */ c */ delete", "With a AS (...)",
        "MERGE INTO t"
    };
    static const char *const others[] = { "CREATE TABLE t (id TEXT)", "ALTER TABLE t", "NOTIFY x",
                                          "SELECTED", "commit_log" };
    static const char *const empty[] = { "", " ", ";", "-- nothing", "/* nothing", "/* a */ ;" };

    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
        ck_assert_msg(kind(queries[i]) == FPI_POSTGRESQL_QUERY, "%s", queries[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        ck_assert_msg(kind(others[i]) == FPI_POSTGRESQL_OTHER, "%s", others[i]);
    for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++)
        ck_assert_msg(kind(empty[i]) == FPI_POSTGRESQL_EMPTY, "%s", empty[i]);
}
END_TEST

START_TEST(what_reaches_beyond_a_transaction_is_refused)
{
    static const char *const refused[] = {
        "BEGIN",         "START TRANSACTION",
        "commit",        "END",
        "ROLLBACK TO x", "/* x */ COMMIT",
        "--\n ABORT",    "SAVEPOINT s",
        "RELEASE s",     "PREPARE TRANSACTION 'x'",
        "SET x = 1",     "RESET ALL",
        "DISCARD ALL",   "COPY t TO STDOUT",
        "LISTEN x",      "UNLISTEN *",
        "DEALLOCATE s1", "LOAD 'x'",
        "; COMMIT",
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        ck_assert_msg(kind(refused[i]) == FPI_POSTGRESQL_REFUSED, "%s", refused[i]);
}
END_TEST

START_TEST(parameters_are_counted_where_they_are_some)
{
    static const struct {
        const char *sql;
        size_t params;
        bool gaps;
    } cases[] = {
        { "SELECT 1", 0, false },
        { "SELECT $1, $2, $1", 2, false },
        { "SELECT $2, $1", 2, false },
        { "SELECT $2", 2, true },
        { "SELECT $1, $3", 3, true },
        { "SELECT $0", 0, true },
        { "SELECT '$1', \"$2\", 'it''s $3'", 0, false },
        { "SELECT $1 -- $2\n, $2", 2, false },
        { "SELECT /* $1 /* $2 */ $3 */ $1", 1, false },
        { "SELECT $$ $1 $$, $1", 1, false },
        { "SELECT $tag$ $1 $$ $2 $tag$, $1", 1, false },
        { "SELECT $tag$ $1 never ends", 0, false },
        { "SELECT '$1 never ends", 0, false },
        { "SELECT a$1, b1$2 FROM t", 0, false },
        { "SELECT $one", 0, false },
        { "SELECT $12", 12, true },
        { "SELECT $1000", 1000, true },
        { "SELECT $99999999999999999999", 1000, true },
        { "SELECT $1::text, ($2)", 2, false },
        { "$", 0, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fpi_postgresql_text text;

        fpi_postgresql_scan(cases[i].sql, &text);
        ck_assert_msg(text.params == cases[i].params && text.gaps == cases[i].gaps, "%s: %zu %d",
                      cases[i].sql, text.params, text.gaps);
    }
}
END_TEST

RUN_TESTS("database_postgresql_scan", kinds_are_told_by_the_first_word,
          what_reaches_beyond_a_transaction_is_refused, parameters_are_counted_where_they_are_some)
