/* Owns: repeating calls to a store behind a network that have failed for a while: how often, after which wait.
 * Must not know: the driver behind it beyond the public header. It is the only place that repeats. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "storage/storage_private.h"

/* The n-th wait is a random part of BASE * 2^n, at most CAP: callers that failed together shall not come back together. */
#define BASE_MS 100u
#define CAP_MS 5000u
/* What a call may wait in all, also when the server asks for more: somebody waits for the answer. */
#define WAIT_MAX_MS 20000u
/* And what its tries may take: one that hangs until its time is out need not hang once more. */
#define TRYING_MAX_MS 10000u
/* While everything fails, repeating only adds to the load: each try costs, each success gives back, and what is empty stays
 * empty for the one call, not for the next that succeeds. */
#define BUDGET 500
#define TRY_COST 5
#define SUCCESS_GAIN 1

typedef struct retry_store {
    fp_context *ctx;
    const fp_storage_driver *drv;
    void *self;
    uint32_t attempts;
    atomic_int budget;
} retry_store;

/* One call and its tries. */
typedef struct tries {
    retry_store *s;
    uint32_t done;
    uint32_t waited_ms;
    uint64_t begun_ms;
} tries;

static uint64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

fp_status fpi_storage_retry_wrap(fp_context *ctx, const fp_storage_driver *drv, void *self,
                                 uint32_t attempts, void **out, fp_error *err)
{
    retry_store *s = fpi_calloc(&ctx->a, 1, sizeof(*s));

    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    s->drv = drv;
    s->self = self;
    s->attempts = attempts;
    atomic_store(&s->budget, BUDGET);
    *out = s;
    return FILEPROC_OK;
}

static bool take_budget(retry_store *s)
{
    int left = atomic_load(&s->budget);

    while (left >= TRY_COST)
        if (atomic_compare_exchange_weak(&s->budget, &left, left - TRY_COST))
            return true;
    return false;
}

static void give_budget(retry_store *s)
{
    int left = atomic_load(&s->budget);

    while (left < BUDGET && !atomic_compare_exchange_weak(&s->budget, &left, left + SUCCESS_GAIN))
        ;
}

static void sleep_ms(uint32_t ms)
{
    struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000L };

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static uint32_t choose_wait(const tries *t, const fp_error *err)
{
    uint32_t most = t->done > 5 ? CAP_MS : BASE_MS << (t->done - 1), random = UINT32_MAX / 2;

    most = most > CAP_MS ? CAP_MS : most;
    (void)fpi_random(t->s->ctx, &random, sizeof(random),
                     NULL); /* half of it when there is no randomness */
    return err->retry_after_ms + (uint32_t)((uint64_t)random * most / UINT32_MAX);
}

/* Whether to try again what has ended like this; waits before it says so. err is the caller's at the end. */
static bool again(tries *t, fp_status rc, const fp_error *ours, fp_error *err)
{
    uint32_t wait;

    t->done++;
    if (rc >= 0) {
        give_budget(t->s);
        return false;
    }
    if ((ours->flags & FILEPROC_ERROR_RETRYABLE) && t->done < t->s->attempts &&
        clock_ms() - t->begun_ms <= TRYING_MAX_MS + t->waited_ms && take_budget(t->s)) {
        wait = choose_wait(t, ours);
        if (wait <= WAIT_MAX_MS - t->waited_ms) {
            fpi_log(t->s->ctx, FILEPROC_LOG_DEBUG, "storage", "try %u failed, next in %u ms: %s",
                    t->done, wait, ours->message);
            t->waited_ms += wait;
            sleep_ms(wait);
            return true;
        }
    }
    if (err)
        *err = *ours;
    return false;
}

/* A call of a slot until it succeeds or is given up. */
#define REPEAT(s, err, call)                                                                       \
    __extension__({                                                                                \
        tries t = { .s = (s), .begun_ms = clock_ms() };                                            \
        fp_error ours;                                                                             \
        fp_status rc;                                                                              \
                                                                                                   \
        do {                                                                                       \
            ours = (fp_error){ 0 };                                                                \
            rc = (call);                                                                           \
        } while (again(&t, rc, &ours, (err)));                                                     \
        rc;                                                                                        \
    })

static fp_status retry_open(fp_context *ctx, const char *uri, const fp_storage_options *opts,
                            void **self, fp_error *err)
{
    (void)ctx;
    (void)uri;
    (void)opts;
    (void)self;
    return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "only around another driver");
}

static void retry_close(void *self)
{
    retry_store *s = self;

    s->drv->close(s->self);
    fpi_free(&s->ctx->a, s);
}

static fp_status retry_read(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                            size_t *got, uint32_t flags, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->read(s->self, key, offset, buf, cap, got, flags, &ours));
}

static fp_status retry_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                            fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->stat(s->self, key, info, flags, &ours));
}

static fp_status retry_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->remove(s->self, key, flags, &ours));
}

/* A list that breaks off has told names already: the next try goes on behind the last of them. */
typedef struct listing {
    fp_storage_list_fn fn;
    void *user_data;
    size_t told;
    bool refused; /* by fn itself: that is the caller's failure, not the network's */
    char last[FPI_KEY_MAX + 1];
} listing;

static fp_status tell(void *user_data, const char *name, uint64_t size, int64_t modified_ms,
                      fp_error *err)
{
    listing *l = user_data;
    fp_status rc = l->fn(l->user_data, name, size, modified_ms, err);

    l->refused = rc < 0;
    if (rc < 0)
        return rc;
    l->told++;
    memcpy(l->last, name, strlen(name) + 1);
    return rc;
}

static fp_status go_on_listing(retry_store *s, const char *prefix, const char *after, size_t limit,
                               listing *l, uint32_t flags, fp_error *err)
{
    const char *from = l->told ? l->last : after;
    char copy[FPI_KEY_MAX + 1];
    fp_status rc;

    if (l->told == limit)
        return FILEPROC_OK;
    memcpy(copy, from, strlen(from) + 1); /* `last` changes while the driver may still look at it */
    rc = prefix ? s->drv->list(s->self, prefix, copy, limit - l->told, tell, l, flags, err)
                : s->drv->list_staged(s->self, copy, limit - l->told, tell, l, flags, err);
    if (l->refused && err)
        err->flags &= ~FILEPROC_ERROR_RETRYABLE;
    return rc;
}

static fp_status retry_list(void *self, const char *prefix, const char *after, size_t limit,
                            fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err)
{
    retry_store *s = self;
    listing l = { .fn = fn, .user_data = user_data };

    return REPEAT(s, err, go_on_listing(s, prefix, after, limit, &l, flags, &ours));
}

static fp_status retry_list_staged(void *self, const char *after, size_t limit,
                                   fp_storage_list_fn fn, void *user_data, uint32_t flags,
                                   fp_error *err)
{
    retry_store *s = self;
    listing l = { .fn = fn, .user_data = user_data };

    return REPEAT(s, err, go_on_listing(s, NULL, after, limit, &l, flags, &ours));
}

static fp_status plain_open_fd(retry_store *s, const char *key, int32_t *fd, uint32_t flags,
                               fp_error *err)
{
    fp_storage inner = { .ctx = s->ctx, .drv = s->drv, .self = s->self };

    return s->drv->open_fd ? s->drv->open_fd(s->self, key, fd, flags, err)
                           : fpi_object_copy_to_file(&inner, key, fd, err);
}

static fp_status retry_open_fd(void *self, const char *key, int32_t *fd, uint32_t flags,
                               fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, plain_open_fd(s, key, fd, flags, &ours));
}

/* The same for parts: a driver tells them in the order of their commit, so those told before are passed by. */
typedef struct parts {
    fp_status (*on_part)(void *user_data, const fp_part_info *part, fp_error *err);
    void *user_data;
    size_t told, seen;
    bool refused;
} parts;

static fp_status tell_part(void *user_data, const fp_part_info *part, fp_error *err)
{
    parts *p = user_data;
    fp_status rc;

    if (p->seen++ < p->told)
        return FILEPROC_OK;
    rc = p->on_part(p->user_data, part, err);
    p->refused = rc < 0;
    p->told += rc >= 0;
    return rc;
}

static fp_status open_again(retry_store *s, const char *id, uint32_t flags, parts *p,
                            void **assembly, fp_error *err)
{
    fp_status rc;

    p->seen = 0;
    rc = s->drv->assembly_open(s->self, id, flags, tell_part, p, assembly, err);
    if (p->refused && err)
        err->flags &= ~FILEPROC_ERROR_RETRYABLE;
    return rc;
}

static fp_status retry_assembly_open(void *self, const char *id, uint32_t flags,
                                     fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                          fp_error *err),
                                     void *user_data, void **assembly, fp_error *err)
{
    retry_store *s = self;
    parts p = { .on_part = on_part, .user_data = user_data };

    return REPEAT(s, err, open_again(s, id, flags, &p, assembly, &ours));
}

static void retry_assembly_close(void *self, void *assembly)
{
    retry_store *s = self;

    s->drv->assembly_close(s->self, assembly);
}

static fp_status retry_assembly_read(void *self, void *assembly, uint64_t offset, void *buf,
                                     size_t cap, size_t *got, uint32_t flags, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err,
                  s->drv->assembly_read(s->self, assembly, offset, buf, cap, got, flags, &ours));
}

static fp_status retry_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                        uint32_t flags, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->assembly_publish(s->self, assembly, key, size, flags, &ours));
}

static fp_status retry_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                                  void **part, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->part_begin(s->self, assembly, offset, length, part, &ours));
}

static fp_status retry_part_write(void *self, void *assembly, void *part, uint64_t offset,
                                  const void *data, size_t size, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->part_write(s->self, assembly, part, offset, data, size, &ours));
}

static fp_status retry_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                                   fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->part_commit(s->self, assembly, part, info, &ours));
}

static void retry_part_free(void *self, void *assembly, void *part)
{
    retry_store *s = self;

    s->drv->part_free(s->self, assembly, part);
}

static fp_status retry_discard(void *self, const char *id, uint32_t flags, fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err, s->drv->discard(s->self, id, flags, &ours));
}

static fp_status retry_set_target(void *self, void *assembly, const char *key, uint64_t size,
                                  fp_part_info *whole, fp_error *err)
{
    retry_store *s = self;

    if (!s->drv->assembly_set_target)
        return FILEPROC_OK;
    return REPEAT(s, err, s->drv->assembly_set_target(s->self, assembly, key, size, whole, &ours));
}

static fp_status not_signed(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this store signs no addresses");
}

static fp_status retry_presign(void *self, const char *key, uint32_t method, uint32_t expires_s,
                               fp_buf *url, fp_error *err)
{
    retry_store *s = self;

    return s->drv->presign ? s->drv->presign(s->self, key, method, expires_s, url, err)
                           : not_signed(err);
}

static fp_status retry_assembly_presign(void *self, void *assembly, uint64_t offset,
                                        uint32_t expires_s, fp_buf *url, fp_error *err)
{
    retry_store *s = self;

    if (!s->drv->assembly_presign)
        return not_signed(err);
    return REPEAT(s, err,
                  s->drv->assembly_presign(s->self, assembly, offset, expires_s, url, &ours));
}

/* A telling that breaks off goes on behind the last part told. */
typedef struct tellings {
    fp_written_fn fn;
    void *user_data;
    uint64_t next; /* offsets below it were told */
    bool refused;
} tellings;

static fp_status tell_written(void *user_data, uint64_t offset, uint64_t size, const char *etag,
                              fp_error *err)
{
    tellings *t = user_data;
    fp_status rc;

    if (offset < t->next)
        return FILEPROC_OK;
    rc = t->fn(t->user_data, offset, size, etag, err);
    t->refused = rc < 0;
    t->next = offset + 1;
    return rc;
}

static fp_status go_on_telling(retry_store *s, void *assembly, tellings *t, fp_error *err)
{
    fp_status rc = s->drv->assembly_written(s->self, assembly, tell_written, t, err);

    if (t->refused && err)
        err->flags &= ~FILEPROC_ERROR_RETRYABLE;
    return rc;
}

static fp_status not_written(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "nobody else can write to this store");
}

static fp_status retry_written(void *self, void *assembly, fp_written_fn fn, void *user_data,
                               fp_error *err)
{
    retry_store *s = self;
    tellings told = { .fn = fn, .user_data = user_data };

    if (!s->drv->assembly_written)
        return not_written(err);
    return REPEAT(s, err, go_on_telling(s, assembly, &told, &ours));
}

static fp_status retry_adopt(void *self, void *assembly, const char *const *etags,
                             size_t etag_count, const fp_part_info *info, fp_error *err)
{
    retry_store *s = self;

    if (!s->drv->assembly_adopt)
        return not_written(err);
    return REPEAT(s, err,
                  s->drv->assembly_adopt(s->self, assembly, etags, etag_count, info, &ours));
}

static uint64_t retry_part_size(void *self, void *assembly)
{
    retry_store *s = self;

    return s->drv->assembly_part_size ? s->drv->assembly_part_size(s->self, assembly) : 0;
}

/* The core asks only where the driver behind has it. */
static fp_status retry_part_copy(void *self, void *assembly, void *part, uint64_t offset,
                                 void *from_assembly, uint64_t from_offset, uint64_t length,
                                 fp_error *err)
{
    retry_store *s = self;

    return REPEAT(s, err,
                  s->drv->part_copy(s->self, assembly, part, offset, from_assembly, from_offset,
                                    length, &ours));
}

static fp_status retry_reap(void *self, int64_t older_than_ms, uint64_t *count, fp_error *err)
{
    retry_store *s = self;

    if (!s->drv->reap)
        return FILEPROC_OK;
    return REPEAT(s, err, s->drv->reap(s->self, older_than_ms, count, &ours));
}

static fp_status retry_room(void *self, uint64_t *bytes, fp_error *err)
{
    retry_store *s = self;

    if (!s->drv->room)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the store can't know how much room it has");
    return REPEAT(s, err, s->drv->room(s->self, bytes, &ours));
}

const fp_storage_driver fpi_storage_retry_driver = {
    FILEPROC_STORAGE_DRIVER_INIT("retry"),
    .open = retry_open,
    .close = retry_close,
    .read = retry_read,
    .stat = retry_stat,
    .remove = retry_remove,
    .list = retry_list,
    .open_fd = retry_open_fd,
    .assembly_open = retry_assembly_open,
    .assembly_close = retry_assembly_close,
    .assembly_read = retry_assembly_read,
    .assembly_publish = retry_assembly_publish,
    .part_begin = retry_part_begin,
    .part_write = retry_part_write,
    .part_commit = retry_part_commit,
    .part_free = retry_part_free,
    .discard = retry_discard,
    .list_staged = retry_list_staged,
    .assembly_set_target = retry_set_target,
    .presign = retry_presign,
    .assembly_presign = retry_assembly_presign,
    .reap = retry_reap,
    .assembly_written = retry_written,
    .assembly_adopt = retry_adopt,
    .room = retry_room,
    .assembly_part_size = retry_part_size,
    .part_copy = retry_part_copy,
};
