/* Owns: the promises about SQLSTATEs. */
#include <string.h>

#include "database/database_postgresql.h"
#include "runner.h"

START_TEST(states_have_the_codes_of_the_header)
{
    static const struct {
        const char *state;
        fp_status rc;
    } cases[] = {
        { "23505", FILEPROC_ERR_EXISTS },   { "23503", FILEPROC_ERR_CONFLICT },
        { "23514", FILEPROC_ERR_CONFLICT }, { "40001", FILEPROC_ERR_BUSY },
        { "40P01", FILEPROC_ERR_BUSY },     { "55P03", FILEPROC_ERR_BUSY },
        { "57014", FILEPROC_ERR_TIMEOUT },  { "57P01", FILEPROC_ERR_BUSY },
        { "57P03", FILEPROC_ERR_BUSY },     { "08006", FILEPROC_ERR_BUSY },
        { "08P01", FILEPROC_ERR_PROTOCOL }, { "53300", FILEPROC_ERR_BUSY },
        { "53100", FILEPROC_ERR_QUOTA },    { "28P01", FILEPROC_ERR_AUTH },
        { "42501", FILEPROC_ERR_AUTH },     { "42601", FILEPROC_ERR_INVALID },
        { "25006", FILEPROC_ERR_INVALID },  { "22P02", FILEPROC_ERR_INVALID },
        { "3D000", FILEPROC_ERR_IO },       { "58030", FILEPROC_ERR_IO },
        { "XX000", FILEPROC_ERR_IO },       { "XX001", FILEPROC_ERR_CORRUPT },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_error err = { 0 };

        ck_assert_int_eq(fpi_postgresql_error(cases[i].state, "what\nmore", &err), cases[i].rc);
        ck_assert_int_eq(err.code, cases[i].rc);
        ck_assert_ptr_null(strstr(err.message, "more"));
        if (cases[i].rc == FILEPROC_ERR_QUOTA) {
            ck_assert_str_eq(fp_error_reason(&err), "storage_full");
        } else {
            ck_assert_str_eq(err.domain, "pq");
            ck_assert_int_eq(err.cause, fpi_postgresql_cause(cases[i].state));
            ck_assert_ptr_nonnull(strstr(err.message, cases[i].state));
        }
    }
}
END_TEST

START_TEST(cause_is_the_state_in_base_36)
{
    ck_assert_int_eq(fpi_postgresql_cause("00001"), 1);
    ck_assert_int_eq(fpi_postgresql_cause("40P01"), 4 * 1679616 + 25 * 1296 + 1);
    ck_assert_int_gt(fpi_postgresql_cause("ZZZZZ"), 0);
    ck_assert_int_eq(fpi_postgresql_cause(NULL), 0);
}
END_TEST

START_TEST(long_message_keeps_its_state)
{
    char message[500];
    fp_error err = { 0 };

    memset(message, 'x', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    fpi_postgresql_error("42601", message, &err);
    ck_assert_ptr_nonnull(strstr(err.message, "(SQLSTATE 42601)"));
    fpi_postgresql_error(NULL, NULL, &err);
    ck_assert_int_ne(err.message[0], 0);
}
END_TEST

RUN_TESTS("database_postgresql_error", states_have_the_codes_of_the_header,
          cause_is_the_state_in_base_36, long_message_keeps_its_state)
