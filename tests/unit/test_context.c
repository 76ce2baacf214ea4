/* Owns: the tests of core/context.c. */
#include <stdio.h>
#include <string.h>

#include <fileproc/driver/cache_driver.h>
#include <fileproc/driver/database_driver.h>
#include <fileproc/driver/operation_driver.h>
#include <fileproc/driver/queue_driver.h>
#include <fileproc/driver/storage_driver.h>

#include "core/context_private.h"
#include "fault.h"
#include "runner.h"

static fp_error err;

static fp_status run_nothing(const fp_operation_call *call, void *user_data, fp_buf *result,
                             fp_error *e)
{
    (void)call;
    (void)user_data;
    (void)result;
    (void)e;
    return FILEPROC_OK;
}

/* Drivers whose slots are all filled; nothing ever calls them. The slots are the words behind struct_size and scheme. */
#define FILL_SLOTS(driver, first)                                                                  \
    memset((char *)&(driver) + offsetof(__typeof__(driver), first), 0x55,                          \
           sizeof(driver) - offsetof(__typeof__(driver), first))

START_TEST(new_survives_every_allocation_failure)
{
    fault f;

    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_status rc;

        o.allocator = &f.allocator;
        rc = fp_context_new(&o, &ctx, &err);
        fault_judge(&f, rc, &err);
        if (rc < 0)
            ck_assert_ptr_null(ctx);
        fp_context_free(ctx);
    }
}
END_TEST

START_TEST(adding_survives_every_allocation_failure)
{
    static const fp_operation op = { FILEPROC_OPERATION_INIT("test.nothing"), .run = run_nothing };
    fp_storage_driver storage = { FILEPROC_STORAGE_DRIVER_INIT("x") };
    fp_database_driver database = { FILEPROC_DATABASE_DRIVER_INIT("x") };
    fp_queue_driver queue = { FILEPROC_QUEUE_DRIVER_INIT("x") };
    fp_cache_driver cache = { FILEPROC_CACHE_DRIVER_INIT("x") };
    fault f;

    FILL_SLOTS(storage, open);
    FILL_SLOTS(database, open);
    FILL_SLOTS(queue, open);
    FILL_SLOTS(cache, open);
    FAULT_LOOP(&f)
    {
        fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
        fp_context *ctx = NULL;
        fp_status rc;

        fault_disarm(&f);
        o.allocator = &f.allocator;
        ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
        fault_arm(&f);
        rc = fp_context_add_storage_driver(ctx, &storage, &err);
        ck_assert_uint_eq(ctx->storage_drivers.count, rc == FILEPROC_OK);
        if (rc == FILEPROC_OK)
            rc = fp_context_add_database_driver(ctx, &database, &err);
        if (rc == FILEPROC_OK)
            rc = fp_context_add_queue_driver(ctx, &queue, &err);
        if (rc == FILEPROC_OK)
            rc = fp_context_add_cache_driver(ctx, &cache, &err);
        if (rc == FILEPROC_OK)
            rc = fp_context_add_operation(ctx, &op, &err);
        fault_judge(&f, rc, &err);
        if (rc == FILEPROC_OK)
            ck_assert_ptr_eq(ctx->operations.items[0], &op);
        else
            ck_assert_uint_eq(ctx->operations.count, 0);
        fp_context_free(ctx);
    }
}
END_TEST

START_TEST(drivers_with_a_missing_slot_are_refused)
{
    fp_storage_driver storage;
    fp_database_driver database;
    fp_queue_driver queue;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (size_t at = offsetof(fp_storage_driver, scheme); at < sizeof(storage);
         at += sizeof(void *)) {
        bool optional =
            at == offsetof(fp_storage_driver, open_fd) || at >= offsetof(fp_storage_driver, flags);

        storage = (fp_storage_driver){ FILEPROC_STORAGE_DRIVER_INIT("x") };
        FILL_SLOTS(storage, open);
        memset((char *)&storage + at, 0, sizeof(void *));
        ck_assert_int_eq(fp_context_add_storage_driver(ctx, &storage, &err),
                         optional ? FILEPROC_OK : FILEPROC_ERR_INVALID);
    }
    for (size_t at = offsetof(fp_database_driver, scheme); at < sizeof(database);
         at += sizeof(void *)) {
        database = (fp_database_driver){ FILEPROC_DATABASE_DRIVER_INIT("x") };
        FILL_SLOTS(database, open);
        memset((char *)&database + at, 0, sizeof(void *));
        ck_assert_int_eq(fp_context_add_database_driver(ctx, &database, &err),
                         at < offsetof(fp_database_driver, skip_locked) ? FILEPROC_ERR_INVALID
                                                                        : FILEPROC_OK);
    }
    database.struct_size = offsetof(fp_database_driver, skip_locked); /* an older one */
    ck_assert_int_eq(fp_context_add_database_driver(ctx, &database, &err), FILEPROC_OK);
    database.struct_size--;
    ck_assert_int_eq(fp_context_add_database_driver(ctx, &database, &err), FILEPROC_ERR_INVALID);
    for (size_t at = offsetof(fp_queue_driver, scheme); at < sizeof(queue); at += sizeof(void *)) {
        queue = (fp_queue_driver){ FILEPROC_QUEUE_DRIVER_INIT("x") };
        FILL_SLOTS(queue, open);
        memset((char *)&queue + at, 0, sizeof(void *));
        ck_assert_int_eq(fp_context_add_queue_driver(ctx, &queue, &err),
                         at < offsetof(fp_queue_driver, ping) ? FILEPROC_ERR_INVALID : FILEPROC_OK);
    }
    queue.struct_size = offsetof(fp_queue_driver, ping); /* an older one */
    ck_assert_int_eq(fp_context_add_queue_driver(ctx, &queue, &err), FILEPROC_OK);
    queue.struct_size--;
    ck_assert_int_eq(fp_context_add_queue_driver(ctx, &queue, &err), FILEPROC_ERR_INVALID);
    storage = (fp_storage_driver){ .struct_size = 8 };
    ck_assert_int_eq(fp_context_add_storage_driver(ctx, &storage, &err), FILEPROC_ERR_INVALID);
    fp_context_free(ctx);
}
END_TEST

START_TEST(cache_drivers_with_a_missing_slot_are_refused)
{
    fp_cache_driver cache;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    for (size_t at = offsetof(fp_cache_driver, scheme); at < sizeof(cache); at += sizeof(void *)) {
        cache = (fp_cache_driver){ FILEPROC_CACHE_DRIVER_INIT("x") };
        FILL_SLOTS(cache, open);
        memset((char *)&cache + at, 0, sizeof(void *));
        ck_assert_int_eq(fp_context_add_cache_driver(ctx, &cache, &err), FILEPROC_ERR_INVALID);
    }
    ck_assert_uint_eq(ctx->cache_drivers.count, 0);
    fp_context_free(ctx);
}
END_TEST

START_TEST(operations_are_checked_when_added)
{
    static const char *const schemas[] = { "", "[]", "7", "{", "{\"a\":1,\"a\":2}" };
    fp_operation op = { FILEPROC_OPERATION_INIT("noun.verb_2"), .run = run_nothing,
                        .parameters = "{}" };
    fp_operation same = op, bad = op;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_operation(ctx, &op, &err), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_operation(ctx, &same, &err), FILEPROC_ERR_EXISTS);
    bad.name = "noun.other";
    for (size_t i = 0; i < sizeof(schemas) / sizeof(*schemas); i++) {
        bad.parameters = schemas[i];
        ck_assert_msg(fp_context_add_operation(ctx, &bad, &err) == FILEPROC_ERR_INVALID, "%s",
                      schemas[i]);
    }
    bad.parameters = NULL;
    bad.run = NULL;
    ck_assert_int_eq(fp_context_add_operation(ctx, &bad, &err), FILEPROC_ERR_INVALID);
    bad.run = run_nothing;
    bad.struct_size = 0;
    ck_assert_int_eq(fp_context_add_operation(ctx, &bad, &err), FILEPROC_ERR_INVALID);
    ck_assert_str_eq(err.message, "struct_size is not set; start from the INIT macro");
    ck_assert_uint_eq(ctx->operations.count, 1);
    fp_context_free(ctx);
}
END_TEST

/* ---- hooks ---- */

typedef struct recorder {
    int64_t now;
    int32_t level;
    char component[32];
    char message[600];
    int calls;
} recorder;

static int64_t fixed_clock(void *user_data)
{
    return ((recorder *)user_data)->now;
}

static int32_t no_random(void *user_data, void *buf, size_t size)
{
    (void)user_data;
    (void)buf;
    (void)size;
    return -1;
}

static void record_log(void *user_data, int32_t level, const char *component, const char *message)
{
    recorder *r = user_data;

    r->level = level;
    r->calls++;
    snprintf(r->component, sizeof(r->component), "%s", component);
    snprintf(r->message, sizeof(r->message), "%s", message);
}

START_TEST(hooks_replace_the_system)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    recorder r = { .now = 1234567 };
    unsigned char bytes[16];
    fp_context *ctx = NULL;
    char text[700];

    o.clock_ms = fixed_clock;
    o.random = no_random;
    o.log = record_log;
    o.user_data = &r;
    ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_now_ms(ctx), 1234567);
    ck_assert_int_eq(fpi_random(ctx, bytes, sizeof(bytes), &err), FILEPROC_ERR_IO);
    fpi_log(ctx, FILEPROC_LOG_WARN, "storage", "part %d\n%s", 7, "\xff");
    ck_assert_int_eq(r.calls, 1);
    ck_assert_int_eq(r.level, FILEPROC_LOG_WARN);
    ck_assert_str_eq(r.component, "storage");
    ck_assert_str_eq(r.message, "part 7 ?");
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    fpi_log(ctx, FILEPROC_LOG_INFO, "storage", "x%s", text);
    ck_assert_uint_eq(strlen(r.message), 511);
    fpi_log(ctx, FILEPROC_LOG_INFO, "storage", "%s", text);
    ck_assert_uint_eq(strlen(r.message), 510);
    fp_context_free(ctx);
}
END_TEST

START_TEST(without_hooks_the_system_serves)
{
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    fp_context *ctx = NULL;
    int64_t start;

    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_gt(fpi_now_ms(ctx), INT64_C(1700000000000));
    start = fpi_monotonic_ms();
    ck_assert_int_ge(fpi_monotonic_ms(), start);
    ck_assert_int_eq(fpi_random(ctx, a, sizeof(a), &err), FILEPROC_OK);
    ck_assert_int_eq(fpi_random(ctx, b, sizeof(b), &err), FILEPROC_OK);
    ck_assert_mem_ne(a, b, sizeof(a));
    fpi_log(ctx, FILEPROC_LOG_ERROR, "core", "nobody listens");
    fp_context_free(ctx);
}
END_TEST

START_TEST(misuse_is_refused)
{
    static const fp_allocator lame = { NULL, NULL, NULL, NULL };
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_context *ctx = NULL;

    ck_assert_int_eq(fp_context_new(NULL, NULL, &err), FILEPROC_ERR_INVALID);
    o.allocator = &lame;
    ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_ERR_INVALID);
    o = (fp_context_options){ 0 };
    ck_assert_int_eq(fp_context_new(&o, &ctx, &err), FILEPROC_ERR_INVALID);
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(fp_context_new(NULL, &ctx, NULL), FILEPROC_OK);
    ck_assert_int_eq(fp_context_add_storage_driver(ctx, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_context_add_database_driver(ctx, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_context_add_queue_driver(ctx, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_context_add_operation(ctx, NULL, &err), FILEPROC_ERR_INVALID);
    ck_assert_int_eq(fp_context_add_operation(NULL, NULL, &err), FILEPROC_ERR_INVALID);
    fp_context_free(ctx);
    fp_context_free(NULL);
}
END_TEST

RUN_TESTS("context", new_survives_every_allocation_failure,
          adding_survives_every_allocation_failure, drivers_with_a_missing_slot_are_refused,
          cache_drivers_with_a_missing_slot_are_refused, operations_are_checked_when_added,
          hooks_replace_the_system, without_hooks_the_system_serves, misuse_is_refused)
