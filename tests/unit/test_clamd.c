/* Owns: the promises of the conversation with clamd: what is sent, what each answer means, and that nothing but a whole answer to the
 * whole file is one.
 * Must not know: jobs. */
#include "pipeline/clamd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/digest.h"
#include "fake_clamd.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

#define TIMEOUT_MS 700
#define MIB ((size_t)1 << 20)

static int ticks;
static int fail_tick; /* the how-manieth; 0 = none */

static fp_status tick(void *handle, fp_error *err)
{
    (void)handle;
    if (++ticks == fail_tick)
        return fp_error_setf(err, FILEPROC_ERR_CANCELLED, "stop");
    return FILEPROC_OK;
}

static int file_of(size_t size, uint32_t *crc)
{
    char path[] = "/tmp/clamd-test-XXXXXX";
    int fd = mkstemp(path);
    unsigned char *data = malloc(size + 1);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    if (crc)
        *crc = fpi_crc32c(0, data, size);
    free(data);
    return fd;
}

static fp_context *context(void)
{
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    return ctx;
}

static fp_status ask(const char *uri, uint64_t max_bytes, size_t size, fpi_clamd_answer *a,
                     fp_error *err)
{
    fp_context *ctx = context();
    fpi_clamd *clamd = NULL;
    int fd = file_of(size, NULL);
    fp_status rc = fpi_clamd_new(ctx, uri, max_bytes, TIMEOUT_MS, &clamd, err);

    ticks = 0;
    if (rc == FILEPROC_OK)
        rc = fpi_clamd_scan(clamd, fd, size, tick, NULL, a, err);
    fpi_clamd_free(clamd);
    close(fd);
    fp_context_free(ctx);
    return rc;
}

START_TEST(only_addresses_of_sockets_are_taken)
{
    static const char *const bad[] = { "",
                                       "clamd",
                                       "http://localhost:3310",
                                       "tcp://localhost",
                                       "tcp://:3310",
                                       "tcp://localhost:3310/path",
                                       "tcp://localhost:99999",
                                       "unix://relative",
                                       "unix:///run/clamd?x=1" };
    static const char *const good[] = { "tcp://127.0.0.1:3310", "tcp://scanner:3310",
                                        "unix:///run/clamav/clamd.ctl" };
    fp_context *ctx = context();

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fpi_clamd *c = NULL;
        fp_error err = { 0 };

        ck_assert_msg(fpi_clamd_new(ctx, bad[i], 1, 1, &c, &err) == FILEPROC_ERR_INVALID, "%s",
                      bad[i]);
        ck_assert_ptr_null(c);
        ck_assert_str_ne(err.message, "");
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        fpi_clamd *c = NULL;

        ck_assert_msg(fpi_clamd_new(ctx, good[i], 1, 1, &c, NULL) == FILEPROC_OK, "%s", good[i]);
        fpi_clamd_free(c);
    }
    fp_context_free(ctx);
}
END_TEST

START_TEST(the_whole_file_is_sent_in_small_pieces)
{
    static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 3 * MIB + 17 };
    char folder[64], path[96];
    fake_clamd *fake[2];

    scratch_make(folder);
    snprintf(path, sizeof(path), "%s/s", folder);
    fake[0] = fake_clamd_start(NULL, FAKE_CLAMD_ANSWER, "stream: OK", 11);
    fake[1] = fake_clamd_start(path, FAKE_CLAMD_ANSWER, "stream: OK", 11);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int j = 0; j < 2; j++) {
            fpi_clamd_answer a = { 0 };
            fake_clamd_heard h;
            fp_error err = { 0 };
            uint32_t crc;

            ck_status(ask(fake_clamd_uri(fake[j]), 100 * MIB, sizes[i], &a, &err), FILEPROC_OK,
                      &err);
            close(file_of(sizes[i], &crc));
            h = fake_clamd_heard_last(fake[j]);
            ck_assert_int_eq(a.verdict, FPI_CLAMD_CLEAN);
            ck_assert_str_eq(a.name, "");
            ck_assert(h.well_formed);
            ck_assert_uint_eq(h.bytes, sizes[i]);
            ck_assert_uint_eq(h.crc32c, sizes[i] ? crc : 0);
            ck_assert_uint_le(h.largest, 65536);
            ck_assert_int_gt(ticks, 0);
        }
    }
    fake_clamd_stop(fake[0]);
    fake_clamd_stop(fake[1]);
    scratch_remove(folder);
}
END_TEST

START_TEST(each_answer_means_what_it_says)
{
    static const struct {
        const char *reply;
        bool whole;
        fpi_clamd_verdict verdict;
        const char *name; /* NULL: it is no answer */
    } cases[] = {
        { "stream: OK", true, FPI_CLAMD_CLEAN, "" },
        { "stream: Eicar-Test-Signature FOUND", true, FPI_CLAMD_INFECTED, "Eicar-Test-Signature" },
        { "stream: Eicar-Test-Signature FOUND", false, FPI_CLAMD_INFECTED, "Eicar-Test-Signature" },
        { "stream: a b FOUND", true, FPI_CLAMD_INFECTED, "a b" },
        { "stream: \x01\xff FOUND", true, FPI_CLAMD_INFECTED, " ?" },
        { "INSTREAM size limit exceeded. ERROR", false, FPI_CLAMD_UNSCANNABLE, "too_large" },
        { "INSTREAM size limit exceeded. ERROR", true, FPI_CLAMD_UNSCANNABLE, "too_large" },
        { "stream: Heuristics.Encrypted.Zip FOUND", true, FPI_CLAMD_UNSCANNABLE, "encrypted" },
        { "stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND", true, FPI_CLAMD_UNSCANNABLE,
          "limits_exceeded" },
        { "stream: OK", false, 0, NULL },
        { "stream: OK ", true, 0, NULL },
        { "stream:OK", true, 0, NULL },
        { "OK", true, 0, NULL },
        { "", true, 0, NULL },
        { "stream:  FOUND", true, 0, NULL },
        { "stream: FOUND", true, 0, NULL },
        { "UNKNOWN COMMAND", true, 0, NULL },
        { "COMMAND READ TIMED OUT", true, 0, NULL },
        { "stream: Can't allocate memory ERROR", true, 0, NULL },
        { "1: stream: OK", true, 0, NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fpi_clamd_answer a = { 0 };
        fp_error err = { 0 };
        fp_status rc = fpi_clamd_read_reply(cases[i].reply, cases[i].whole, &a, &err);

        if (!cases[i].name) {
            ck_assert_msg(rc == FILEPROC_ERR_PROTOCOL, "%s", cases[i].reply);
            ck_assert_str_eq(fp_error_reason(&err), "scanner_failed");
            ck_assert_uint_eq(err.flags, FILEPROC_ERROR_RETRYABLE);
            continue;
        }
        ck_assert_msg(rc == FILEPROC_OK, "%s", cases[i].reply);
        ck_assert_msg(a.verdict == cases[i].verdict, "%s", cases[i].reply);
        ck_assert_str_eq(a.name, cases[i].name);
    }
}
END_TEST

START_TEST(a_name_of_any_length_fits)
{
    char reply[1100];
    fpi_clamd_answer a = { 0 };

    snprintf(reply, sizeof(reply), "stream: %0992d FOUND", 0);
    ck_assert_int_eq(fpi_clamd_read_reply(reply, true, &a, NULL), FILEPROC_OK);
    ck_assert_int_eq(a.verdict, FPI_CLAMD_INFECTED);
    ck_assert_uint_eq(strlen(a.name), FPI_CLAMD_NAME_SIZE - 1);
}
END_TEST

static void ck_behaviour(int how, const char *reply, size_t size, size_t file, const char *reason)
{
    fake_clamd *fake = fake_clamd_start(NULL, how, reply, size);
    fpi_clamd_answer a = { 0 };
    fp_error err = { 0 };
    fp_status rc = ask(fake_clamd_uri(fake), 100 * MIB, file, &a, &err);

    ck_assert_msg(rc < 0, "%d answers %d", how, a.verdict);
    ck_assert_str_eq(fp_error_reason(&err), reason);
    ck_assert_uint_eq(err.flags, FILEPROC_ERROR_RETRYABLE);
    fake_clamd_stop(fake);
}

START_TEST(what_is_no_whole_answer_to_the_whole_file_is_none)
{
    ck_behaviour(FAKE_CLAMD_EARLY, "stream: OK", 11, 8 * MIB, "scanner_failed");
    ck_behaviour(FAKE_CLAMD_HANG_UP, "", 0, 8 * MIB, "scanner_unavailable");
    ck_behaviour(FAKE_CLAMD_SILENT, "", 0, 100, "scanner_unavailable");
    ck_behaviour(FAKE_CLAMD_DEAF, "", 0, 8 * MIB, "scanner_unavailable");
    ck_behaviour(FAKE_CLAMD_ANSWER, "stream: OK", 10, 100, "scanner_unavailable"); /* cut off */
    ck_behaviour(FAKE_CLAMD_ANSWER, "", 0, 100, "scanner_unavailable");
    ck_behaviour(FAKE_CLAMD_ANSWER, "nonsense", 9, 100, "scanner_failed");
}
END_TEST

START_TEST(a_reply_without_an_end_is_not_read_for_ever)
{
    char reply[2048];

    memset(reply, 'x', sizeof(reply));
    ck_behaviour(FAKE_CLAMD_ANSWER, reply, sizeof(reply), 100, "scanner_failed");
}
END_TEST

START_TEST(a_limit_is_heard_although_the_connection_is_closed)
{
    static const char limit[] = "INSTREAM size limit exceeded. ERROR";
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_EARLY, limit, sizeof(limit));

    for (int i = 0; i < 20; i++) {
        fpi_clamd_answer a = { 0 };
        fp_error err = { 0 };

        ck_status(ask(fake_clamd_uri(fake), 100 * MIB, 8 * MIB, &a, &err), FILEPROC_OK, &err);
        ck_assert_int_eq(a.verdict, FPI_CLAMD_UNSCANNABLE);
        ck_assert_str_eq(a.name, "too_large");
    }
    fake_clamd_stop(fake);
}
END_TEST

START_TEST(a_reply_may_come_byte_by_byte)
{
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_PIECEWISE, "stream: X FOUND", 16);
    fpi_clamd_answer a = { 0 };
    fp_error err = { 0 };

    ck_status(ask(fake_clamd_uri(fake), 100 * MIB, 10, &a, &err), FILEPROC_OK, &err);
    ck_assert_int_eq(a.verdict, FPI_CLAMD_INFECTED);
    ck_assert_str_eq(a.name, "X");
    fake_clamd_stop(fake);
}
END_TEST

START_TEST(too_large_a_file_is_not_sent)
{
    fpi_clamd_answer a = { 0 };

    ck_assert_int_eq(ask("tcp://127.0.0.1:1", 99, 100, &a, NULL), FILEPROC_OK);
    ck_assert_int_eq(a.verdict, FPI_CLAMD_UNSCANNABLE);
    ck_assert_str_eq(a.name, "too_large");
}
END_TEST

START_TEST(nobody_at_the_address_is_told_as_such)
{
    fpi_clamd_answer a = { 0 };
    fp_error err = { 0 };

    ck_assert_int_eq(ask("tcp://127.0.0.1:1", 100, 10, &a, &err), FILEPROC_ERR_BUSY);
    ck_assert_str_eq(fp_error_reason(&err), "scanner_unavailable");
    err = (fp_error){ 0 };
    ck_assert_int_eq(ask("unix:///nonexistent/clamd", 100, 10, &a, &err), FILEPROC_ERR_BUSY);
    ck_assert_str_eq(fp_error_reason(&err), "scanner_unavailable");
    ck_assert_uint_eq(err.flags, FILEPROC_ERROR_RETRYABLE);
}
END_TEST

START_TEST(a_tick_that_fails_ends_the_conversation)
{
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_SILENT, "", 0);
    fpi_clamd_answer a = { 0 };
    fp_error err = { 0 };

    fail_tick = 4;
    ck_assert_int_eq(ask(fake_clamd_uri(fake), 100 * MIB, 10, &a, &err), FILEPROC_ERR_CANCELLED);
    ck_assert_str_eq(err.message, "stop");
    fail_tick = 0;
    fake_clamd_stop(fake);
}
END_TEST

START_TEST(a_file_that_is_shorter_than_said_is_no_clean_one)
{
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_ANSWER, "stream: OK", 11);
    fp_context *ctx = context();
    fpi_clamd *clamd = NULL;
    fpi_clamd_answer a = { 0 };
    fp_error err = { 0 };
    int fd = file_of(100, NULL);

    ck_assert_int_eq(fpi_clamd_new(ctx, fake_clamd_uri(fake), 1000, TIMEOUT_MS, &clamd, NULL), 0);
    ck_assert_int_eq(fpi_clamd_scan(clamd, fd, 101, tick, NULL, &a, &err), FILEPROC_ERR_CORRUPT);
    fpi_clamd_free(clamd);
    close(fd);
    fp_context_free(ctx);
    fake_clamd_stop(fake);
}
END_TEST

START_TEST(scanning_survives_every_allocation_failure)
{
    fake_clamd *fake = fake_clamd_start(NULL, FAKE_CLAMD_ANSWER, "stream: OK", 11);
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fpi_clamd *clamd = NULL;
        fpi_clamd_answer a = { 0 };
        fp_error err = { 0 };
        int fd = file_of(100, NULL);
        fp_status rc;

        o.allocator = &f.allocator;
        fault_disarm(&f);
        ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
        fault_arm(&f);
        rc = fpi_clamd_new(ctx, fake_clamd_uri(fake), 1000, TIMEOUT_MS, &clamd, &err);
        if (rc == FILEPROC_OK)
            rc = fpi_clamd_scan(clamd, fd, 100, tick, NULL, &a, &err);
        fault_judge(&f, rc, &err);
        fpi_clamd_free(clamd);
        fp_context_free(ctx);
        close(fd);
    }
    fake_clamd_stop(fake);
}
END_TEST

RUN_TESTS("clamd", only_addresses_of_sockets_are_taken, the_whole_file_is_sent_in_small_pieces,
          each_answer_means_what_it_says, a_name_of_any_length_fits,
          what_is_no_whole_answer_to_the_whole_file_is_none,
          a_reply_without_an_end_is_not_read_for_ever,
          a_limit_is_heard_although_the_connection_is_closed, a_reply_may_come_byte_by_byte,
          too_large_a_file_is_not_sent, nobody_at_the_address_is_told_as_such,
          a_tick_that_fails_ends_the_conversation, a_file_that_is_shorter_than_said_is_no_clean_one,
          scanning_survives_every_allocation_failure)
