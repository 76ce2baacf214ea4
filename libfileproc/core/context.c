/* Owns: the context: its hooks, its registries, its end.
 * Must not know: what a driver or operation does. */
#include "core/context_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <fileproc/driver/cache_driver.h>
#include <fileproc/driver/database_driver.h>
#include <fileproc/driver/operation_driver.h>
#include <fileproc/driver/queue_driver.h>
#include <fileproc/driver/storage_driver.h>

#include "core/json.h"
#include "core/options.h"
#include "core/utf8.h"

static int64_t system_clock_ms(void *user_data)
{
    struct timespec t;

    (void)user_data;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int32_t system_random(void *user_data, void *buf, size_t size)
{
    unsigned char *at = buf;

    (void)user_data;
    while (size) {
        ssize_t n = getrandom(at, size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

fp_status fp_context_new(const fp_context_options *opts, fp_context **out, fp_error *err)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    const fp_allocator *a;
    fp_context *ctx;
    fp_status rc;

    if (!out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "out is NULL");
    rc = fpi_options_import(&o, sizeof(o), opts, err);
    if (rc < 0)
        return rc;
    a = o.allocator ? o.allocator : &fpi_default_allocator;
    if (!a->alloc || !a->realloc || !a->free)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the allocator misses a function");
    ctx = fpi_calloc(a, 1, sizeof(*ctx));
    if (!ctx)
        return fpi_no_memory(err);
    ctx->a = *a;
    ctx->clock_ms = o.clock_ms ? o.clock_ms : system_clock_ms;
    ctx->random = o.random ? o.random : system_random;
    ctx->log = o.log;
    ctx->user_data = o.user_data;
    *out = ctx;
    return FILEPROC_OK;
}

void fp_context_free(fp_context *ctx)
{
    if (!ctx)
        return;
    fpi_free(&ctx->a, ctx->storage_drivers.items);
    fpi_free(&ctx->a, ctx->database_drivers.items);
    fpi_free(&ctx->a, ctx->queue_drivers.items);
    fpi_free(&ctx->a, ctx->cache_drivers.items);
    fpi_free(&ctx->a, ctx->operations.items);
    fpi_free(&ctx->a, ctx);
}

static fp_status registry_add(fp_context *ctx, fpi_registry *r, const void *item, fp_error *err)
{
    const void **items = fpi_realloc(&ctx->a, r->items, r->count + 1, sizeof(*items));

    if (!items)
        return fpi_no_memory(err);
    items[r->count++] = item;
    r->items = items;
    return FILEPROC_OK;
}

fp_status fp_context_add_storage_driver(fp_context *ctx, const fp_storage_driver *d, fp_error *err)
{
    if (!ctx || !d)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (fpi_options_check(sizeof(*d), sizeof(*d), d, err) < 0)
        return FILEPROC_ERR_INVALID;
    if (!d->scheme || !d->open || !d->close || !d->read || !d->stat || !d->remove || !d->list ||
        !d->assembly_open || !d->assembly_close || !d->assembly_read || !d->assembly_publish ||
        !d->part_begin || !d->part_write || !d->part_commit || !d->part_free || !d->discard ||
        !d->list_staged)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the storage driver misses a required slot");
    return registry_add(ctx, &ctx->storage_drivers, d, err);
}

fp_status fp_context_add_database_driver(fp_context *ctx, const fp_database_driver *d,
                                         fp_error *err)
{
    if (!ctx || !d)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (fpi_options_check(offsetof(fp_database_driver, skip_locked), sizeof(*d), d, err) < 0)
        return FILEPROC_ERR_INVALID;
    if (!d->scheme || !d->open || !d->close || !d->transact || !d->exec || !d->query || !d->next ||
        !d->column_int64 || !d->column_double || !d->column_text || !d->rows_free ||
        !d->change_counter)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the database driver misses a required slot");
    return registry_add(ctx, &ctx->database_drivers, d, err);
}

fp_status fp_context_add_queue_driver(fp_context *ctx, const fp_queue_driver *d, fp_error *err)
{
    if (!ctx || !d)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (fpi_options_check(offsetof(fp_queue_driver, ping), sizeof(*d), d, err) < 0)
        return FILEPROC_ERR_INVALID;
    if (!d->scheme || !d->open || !d->close || !d->send || !d->receive || !d->wake || !d->ack ||
        !d->message_free)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the queue driver misses a required slot");
    return registry_add(ctx, &ctx->queue_drivers, d, err);
}

fp_status fp_context_add_cache_driver(fp_context *ctx, const fp_cache_driver *d, fp_error *err)
{
    if (!ctx || !d)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (fpi_options_check(sizeof(*d), sizeof(*d), d, err) < 0)
        return FILEPROC_ERR_INVALID;
    if (!d->scheme || !d->open || !d->close || !d->ping || !d->get || !d->set || !d->remove ||
        !d->lease_acquire || !d->lease_renew || !d->lease_release || !d->lease_look || !d->count ||
        !d->publish || !d->subscribe || !d->subscription_add || !d->subscription_remove ||
        !d->subscription_receive || !d->subscription_wake || !d->subscription_free)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the cache driver misses a required slot");
    return registry_add(ctx, &ctx->cache_drivers, d, err);
}

/* Name and schema in detail are checked when pipelines are opened; here only what nobody could use. */
static fp_status check_operation(const fp_operation *op, fp_error *err)
{
    FPI_CLEANUP(json_t) schema = NULL;
    fp_status rc;

    if (fpi_options_check(sizeof(*op), sizeof(*op), op, err) < 0)
        return FILEPROC_ERR_INVALID;
    if (!op->name || !op->run)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the operation has no name or no run function");
    if (!op->parameters)
        return FILEPROC_OK;
    rc = fpi_json_parse(op->parameters, strlen(op->parameters), "parameters", &schema, err);
    if (rc == FILEPROC_OK && !json_is_object(schema))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "parameters: not a JSON object");
    return rc;
}

fp_status fp_context_add_operation(fp_context *ctx, const fp_operation *op, fp_error *err)
{
    fp_status rc;

    if (!ctx || !op)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = check_operation(op, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < ctx->operations.count; i++) {
        const fp_operation *other = ctx->operations.items[i];

        if (strcmp(other->name, op->name) == 0)
            return fp_error_setf(err, FILEPROC_ERR_EXISTS, "operation %s exists already", op->name);
    }
    return registry_add(ctx, &ctx->operations, op, err);
}

int64_t fpi_now_ms(const fp_context *ctx)
{
    return ctx->clock_ms(ctx->user_data);
}

int64_t fpi_monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

fp_status fpi_random(const fp_context *ctx, void *buf, size_t size, fp_error *err)
{
    if (ctx->random(ctx->user_data, buf, size) != 0)
        return fp_error_setf(err, FILEPROC_ERR_IO, "no randomness to be had");
    return FILEPROC_OK;
}

void fpi_log(const fp_context *ctx, int32_t level, const char *component, const char *fmt, ...)
{
    char line[512];
    va_list args;
    int size;

    if (!ctx->log)
        return;
    va_start(args, fmt);
    size = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    if (size < 0)
        return;
    fpi_utf8_clean(line, (size_t)size >= sizeof(line));
    ctx->log(ctx->user_data, level, component, line);
}
