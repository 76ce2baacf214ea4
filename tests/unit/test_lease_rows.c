/* Owns: the promises of leases that are rows of the database: one holder at a time, epochs that grow, notes, who waits.
 * Must not know: what leases are on. */
#include <string.h>
#include <time.h>

#include "fresh_database.h"
#include "runner.h"
#include "scratch.h"
#include "upload/lease_rows.h"

#define TTL_MS 60000u

static fp_context *ctx;
static fp_database *db;
static char uri[128];

static void open_world(void)
{
    fp_error err = { 0 };

    ck_status(fp_context_new(NULL, &ctx, &err), FILEPROC_OK, &err);
    fresh_database_open(ctx, uri, &db);
    ck_status(fp_database_migrate(db, &err), FILEPROC_OK, &err);
}

static void close_world(void)
{
    fresh_database_close(db, uri);
    fp_context_free(ctx);
}

static fp_lease lease_of(const char *holder, uint32_t ttl_ms)
{
    fp_lease lease = FILEPROC_LEASE_INIT;

    lease.name = "upload:1";
    lease.holder = holder;
    lease.ttl_ms = ttl_ms;
    return lease;
}

static fp_lease must_acquire(const char *holder, uint32_t ttl_ms, uint32_t flags)
{
    fp_lease lease = lease_of(holder, ttl_ms);
    fp_error err = { 0 };

    ck_status(fpi_lease_rows_acquire(db, &lease, flags, &err), FILEPROC_OK, &err);
    return lease;
}

static void must_renew(fp_lease *lease)
{
    fp_error err = { 0 };

    ck_status(fpi_lease_rows_renew(db, lease, &err), FILEPROC_OK, &err);
}

static void must_have_lost(fp_lease *lease)
{
    fp_error err = { 0 };

    ck_status(fpi_lease_rows_renew(db, lease, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_str_eq(fp_error_reason(&err), "lease_lost");
}

static void must_be_held(const char *holder)
{
    fp_lease lease = lease_of(holder, TTL_MS);
    fp_error err = { 0 };

    ck_status(fpi_lease_rows_acquire(db, &lease, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_str_eq(fp_error_reason(&err), "lease_held");
    ck_assert_uint_gt(err.retry_after_ms, 0);
    ck_assert_uint_le(err.retry_after_ms, TTL_MS);
}

static fp_lease_info look(void)
{
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    fp_error err = { 0 };

    ck_status(fpi_lease_rows_look(db, "upload:1", &info, &err), FILEPROC_OK, &err);
    return info;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

START_TEST(one_holds_it_until_it_is_given_back)
{
    fp_lease one, two;
    fp_error err = { 0 };

    open_world();
    ck_assert_uint_eq(look().epoch, 0);
    one = must_acquire("one", TTL_MS, 0);
    ck_assert_uint_gt(one.epoch, 1000000u * UINT64_C(1700000000)); /* microseconds since 1970 */
    ck_assert_uint_eq(must_acquire("one", TTL_MS, 0).epoch, one.epoch);
    must_be_held("two");
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_OK, &err);
    must_have_lost(&one);
    two = must_acquire("two", TTL_MS, 0);
    ck_assert_uint_gt(two.epoch, one.epoch);
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_ERR_CONFLICT, &err);
    must_renew(&two);
    close_world();
}
END_TEST

START_TEST(taking_over_fences_the_holder)
{
    fp_lease one, two;

    open_world();
    one = must_acquire("one", TTL_MS, 0);
    two = must_acquire("two", TTL_MS, FILEPROC_LEASE_TAKE_OVER);
    ck_assert_uint_gt(two.epoch, one.epoch);
    must_have_lost(&one);
    must_renew(&two);
    one = must_acquire("one", TTL_MS, FILEPROC_LEASE_TAKE_OVER);
    ck_assert_uint_gt(one.epoch, two.epoch);
    must_have_lost(&two);
    close_world();
}
END_TEST

START_TEST(lease_ends_by_itself_and_nobody_revives_it)
{
    fp_lease one;

    open_world();
    one = must_acquire("one", 30, 0);
    ck_assert_int_gt(look().left_ms, 0);
    pause_ms(60);
    ck_assert_int_eq(look().left_ms, 0);
    ck_assert_uint_eq(look().released, 0);
    must_have_lost(&one);
    /* Nobody else had it meanwhile, so what is known under its epoch is still right. */
    ck_assert_uint_eq(must_acquire("one", TTL_MS, 0).epoch, one.epoch);
    close_world();
}
END_TEST

START_TEST(who_waits_is_first_and_the_holder_is_told)
{
    fp_lease one;
    fp_error err = { 0 };

    open_world();
    one = must_acquire("one", TTL_MS, 0);
    must_renew(&one);
    ck_assert_uint_eq(one.wanted, 0);
    must_be_held("two");
    must_renew(&one);
    ck_assert_uint_eq(one.wanted, 1);
    ck_assert_uint_eq(must_acquire("one", TTL_MS, 0).wanted, 1);
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_OK, &err);
    ck_status(fpi_lease_rows_acquire(db, &one, 0, &err), FILEPROC_ERR_CONFLICT, &err);
    ck_assert_uint_eq(must_acquire("two", TTL_MS, 0).wanted, 0);
    close_world();
}
END_TEST

START_TEST(who_waits_no_more_is_not_waited_for)
{
    fp_lease one;
    fp_error err = { 0 };

    open_world();
    one = must_acquire("one", TTL_MS, 0);
    must_be_held("two");
    pause_ms(300);
    must_renew(&one);
    ck_assert_uint_eq(one.wanted, 0);
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_OK, &err);
    (void)must_acquire("three", TTL_MS, 0);
    close_world();
}
END_TEST

START_TEST(notes_stay_until_it_changes_hands)
{
    fp_lease one;
    fp_lease_info info;
    fp_error err = { 0 };

    open_world();
    one = must_acquire("one", TTL_MS, 0);
    one.note = "open 1";
    one.note_size = 6;
    must_renew(&one);
    one.note = NULL;
    must_renew(&one);
    info = look();
    ck_assert_str_eq(info.holder, "one");
    ck_assert_uint_eq(info.epoch, one.epoch);
    ck_assert_mem_eq(info.note, "open 1", 6);
    ck_assert_uint_eq(info.note_size, 6);
    one.note = "end";
    one.note_size = 3;
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_OK, &err);
    info = look();
    ck_assert_uint_eq(info.released, 1);
    ck_assert_uint_eq(info.note_size, 3);
    (void)must_acquire("two", TTL_MS, 0);
    ck_assert_uint_eq(look().note_size, 0);
    close_world();
}
END_TEST

static fp_status make_old(fp_tx *tx, void *user_data, fp_error *err)
{
    (void)user_data;
    return fp_tx_exec(tx, "UPDATE upload_leases SET epoch = epoch - 3700000000", NULL, 0, NULL,
                      err);
}

START_TEST(those_that_ended_long_ago_are_forgotten_and_their_epochs_not_given_out_again)
{
    fp_lease one;
    fp_error err = { 0 };

    open_world();
    one = must_acquire("one", TTL_MS, 0);
    ck_status(fpi_lease_rows_release(db, &one, &err), FILEPROC_OK, &err);
    ck_status(fpi_lease_rows_forget(db, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(look().epoch, one.epoch);
    ck_status(fp_database_transact(db, 0, make_old, NULL, &err), FILEPROC_OK, &err);
    ck_status(fpi_lease_rows_forget(db, &err), FILEPROC_OK, &err);
    ck_assert_uint_eq(look().epoch, 0);
    one.epoch += UINT64_C(1) << 40; /* known from a server whose clock was ahead */
    ck_assert_uint_gt(must_acquire("two", TTL_MS, 0).epoch, 0);
    ck_status(fpi_lease_rows_acquire(db, &one, FILEPROC_LEASE_TAKE_OVER, &err), FILEPROC_OK, &err);
    close_world();
}
END_TEST

RUN_TESTS("lease_rows", one_holds_it_until_it_is_given_back, taking_over_fences_the_holder,
          lease_ends_by_itself_and_nobody_revives_it, who_waits_is_first_and_the_holder_is_told,
          who_waits_no_more_is_not_waited_for, notes_stay_until_it_changes_hands,
          those_that_ended_long_ago_are_forgotten_and_their_epochs_not_given_out_again)
