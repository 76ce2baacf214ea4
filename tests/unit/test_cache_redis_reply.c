/* Owns: the tests of cache/cache_redis_reply.c: what comes of the bytes that a server, or whoever answers in its place, may send.
 * Must not know: connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache_redis_private.h"
#include "fault.h"
#include "runner.h"
#include "scratch.h"

static fp_context *ctx;
static fpi_redis_maker maker;
static redisReader *reader;

static void open_reader(const fp_allocator *allocator)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;

    o.allocator = allocator;
    ck_assert_int_eq(fp_context_new(&o, &ctx, NULL), FILEPROC_OK);
    maker = (fpi_redis_maker){ .a = &ctx->a };
    reader = redisReaderCreateWithFunctions(&fpi_redis_reply_functions);
    ck_assert_ptr_nonnull(reader);
    reader->privdata = &maker;
}

static void close_reader(void)
{
    redisReaderFree(reader);
    fp_context_free(ctx);
}

/* NULL: nothing whole has come yet, or never will: then *bad is set. */
static fpi_redis_reply *feed(const char *bytes, size_t size, bool *bad)
{
    void *reply = NULL;

    *bad = redisReaderFeed(reader, bytes, size) != REDIS_OK ||
           redisReaderGetReply(reader, &reply) != REDIS_OK;
    return reply;
}

START_TEST(answers_are_taken_apart)
{
    static const char bytes[] = "*5\r\n:42\r\n$3\r\na\0b\r\n$-1\r\n+17\r\n*1\r\n$0\r\n\r\n";
    fpi_redis_reply *r;
    bool bad;

    open_reader(NULL);
    r = feed(bytes, sizeof(bytes) - 1, &bad);
    ck_assert(!bad && r);
    ck_assert_int_eq(fpi_redis_number(fpi_redis_item(r, 0)), 42);
    ck_assert_uint_eq(fpi_redis_item(r, 1)->size, 3);
    ck_assert_mem_eq(fpi_redis_item(r, 1)->text, "a\0b", 4);
    ck_assert_int_eq(fpi_redis_item(r, 2)->type, REDIS_REPLY_NIL);
    ck_assert_int_eq(fpi_redis_number(fpi_redis_item(r, 3)), 17);
    ck_assert_str_eq(fpi_redis_item(fpi_redis_item(r, 4), 0)->text, "");
    ck_assert_ptr_null(fpi_redis_item(r, 5));
    ck_assert_ptr_null(fpi_redis_item(NULL, 0));
    ck_assert_int_eq(fpi_redis_number(NULL), 0);
    fpi_redis_reply_free(r);
    close_reader();
}
END_TEST

START_TEST(answers_may_come_byte_by_byte)
{
    static const char bytes[] = "*2\r\n$5\r\nhello\r\n:7\r\n";

    open_reader(NULL);
    for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
        bool bad;
        fpi_redis_reply *r = feed(bytes + i, 1, &bad);

        ck_assert(!bad);
        ck_assert_int_eq(r != NULL, i + 2 == sizeof(bytes));
        fpi_redis_reply_free(r);
    }
    close_reader();
}
END_TEST

START_TEST(nonsense_is_refused_without_taking_memory)
{
    static const char *const texts[] = {
        "hello\r\n",
        "*65\r\n",
        "*2147483647\r\n",
        "*99999999999999999999\r\n",
        "$-2\r\n",
        ":abc\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "*2\r\n$1\r\na\r\n*1000000\r\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        fpi_redis_reply *r;
        bool bad;

        open_reader(NULL);
        r = feed(texts[i], strlen(texts[i]), &bad);
        ck_assert_ptr_null(r);
        ck_assert_msg(bad, "%s is taken", texts[i]);
        close_reader();
    }
}
END_TEST

static fp_status meaning(const char *text, fp_error *err)
{
    fpi_redis_reply *r;
    fp_status rc;
    bool bad;

    open_reader(NULL);
    r = feed(text, strlen(text), &bad);
    ck_assert(!bad && r);
    ck_assert_int_eq(r->type, REDIS_REPLY_ERROR);
    rc = fpi_redis_error(r, err);
    ck_assert_int_eq(rc, err->code);
    fpi_redis_reply_free(r);
    close_reader();
    return rc;
}

START_TEST(errors_mean_what_a_caller_can_do)
{
    static const struct {
        const char *text;
        fp_status code;
    } cases[] = {
        { "-WRONGPASS invalid username-password pair or user is disabled.\r\n", FILEPROC_ERR_AUTH },
        { "-NOAUTH Authentication required.\r\n", FILEPROC_ERR_AUTH },
        { "-NOPERM this user has no permissions\r\n", FILEPROC_ERR_AUTH },
        { "-ERR AUTH <password> called without any password configured\r\n", FILEPROC_ERR_AUTH },
        { "-ERR DB index is out of range\r\n", FILEPROC_ERR_INVALID },
        { "-ERR max number of clients reached\r\n", FILEPROC_ERR_BUSY },
        { "-LOADING Redis is loading the dataset in memory\r\n", FILEPROC_ERR_BUSY },
        { "-READONLY You can't write against a read only replica.\r\n", FILEPROC_ERR_BUSY },
        { "-OOM command not allowed when used memory > 'maxmemory'.\r\n", FILEPROC_ERR_QUOTA },
        { "-ERR unknown command\r\n", FILEPROC_ERR_PROTOCOL },
        { "-\r\n", FILEPROC_ERR_PROTOCOL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        fp_error err = { 0 };

        ck_assert_msg(meaning(cases[i].text, &err) == cases[i].code, "%s is %s", cases[i].text,
                      fp_status_name(err.code));
        ck_assert_int_eq((err.flags & FILEPROC_ERROR_RETRYABLE) != 0,
                         cases[i].code == FILEPROC_ERR_BUSY);
    }
}
END_TEST

START_TEST(errors_do_not_quote_what_was_sent)
{
    fp_error err = { 0 };

    (void)meaning("-ERR unknown command 'AUHT', with args beginning with: 's3cret' \r\n", &err);
    ck_assert_ptr_null(strstr(err.message, "s3cret"));
    ck_assert_ptr_nonnull(strstr(err.message, "unknown command"));
}
END_TEST

START_TEST(answers_survive_every_allocation_failure)
{
    static const char bytes[] = "*4\r\n:42\r\n$3\r\nabc\r\n$-1\r\n*2\r\n$1\r\na\r\n:1\r\n";
    fault f;

    FAULT_LOOP(&f)
    {
        fpi_redis_reply *r;
        fp_error err = { 0 };
        bool bad;

        fault_disarm(&f);
        open_reader(&f.allocator);
        fault_arm(&f);
        r = feed(bytes, sizeof(bytes) - 1, &bad);
        if (bad) {
            ck_assert_ptr_null(r);
            ck_assert(maker.out_of_memory);
        }
        fault_judge(&f, bad ? fpi_no_memory(&err) : FILEPROC_OK, &err);
        fpi_redis_reply_free(r);
        close_reader();
    }
}
END_TEST

RUN_TESTS("cache_redis_reply", answers_are_taken_apart, answers_may_come_byte_by_byte,
          nonsense_is_refused_without_taking_memory, errors_mean_what_a_caller_can_do,
          errors_do_not_quote_what_was_sent, answers_survive_every_allocation_failure)
