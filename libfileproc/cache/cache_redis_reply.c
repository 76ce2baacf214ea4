/* Owns: the parts of an answer: how hiredis' parser makes them, what errors of the server mean.
 * Must not know: connections. */
#include <stdlib.h>
#include <string.h>

#include "cache/cache_redis_private.h"
#include "core/error_private.h"

/* No answer that we ask for has more items. */
#define ITEMS_MAX 64

void fpi_redis_reply_free(fpi_redis_reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        fpi_redis_reply_free(
            r->items[i]); /* NOLINT(misc-no-recursion): the parser goes seven deep */
    fpi_free(r->a, r->items);
    fpi_free(r->a, r->text);
    fpi_free(r->a, r);
}

static fpi_redis_reply *make(const redisReadTask *task)
{
    fpi_redis_maker *maker = task->privdata;
    fpi_redis_reply *r = fpi_calloc(maker->a, 1, sizeof(*r));

    if (!r) {
        maker->out_of_memory = true;
        return NULL;
    }
    r->a = maker->a;
    r->type = task->type;
    return r;
}

static fpi_redis_reply *give_up(const redisReadTask *task, fpi_redis_reply *r)
{
    fpi_redis_maker *maker = task->privdata;

    maker->out_of_memory = true;
    fpi_redis_reply_free(r);
    return NULL;
}

static fpi_redis_reply *hang_up(const redisReadTask *task, fpi_redis_reply *r)
{
    if (r && task->parent) {
        fpi_redis_reply *parent = task->parent->obj;

        parent->items[task->idx] = r;
    }
    return r;
}

static void *make_string(const redisReadTask *task, char *text, size_t size)
{
    fpi_redis_reply *r = make(task);

    if (!r)
        return NULL;
    r->text = fpi_alloc(r->a, size + 1);
    if (!r->text)
        return give_up(task, r);
    if (size)
        memcpy(r->text, text, size);
    r->text[size] = '\0';
    r->size = size;
    return hang_up(task, r);
}

static void *make_array(const redisReadTask *task, int count)
{
    fpi_redis_reply *r;

    if (count < 0 || count > ITEMS_MAX) /* looks like memory to hiredis, and like nonsense to us */
        return NULL;
    r = make(task);
    if (!r)
        return NULL;
    r->items = fpi_calloc(r->a, (size_t)count + 1, sizeof(fpi_redis_reply *));
    if (!r->items)
        return give_up(task, r);
    r->count = (size_t)count;
    return hang_up(task, r);
}

static void *make_integer(const redisReadTask *task, long long value)
{
    fpi_redis_reply *r = make(task);

    if (r)
        r->integer = value;
    return hang_up(task, r);
}

static void *make_nil(const redisReadTask *task)
{
    fpi_redis_reply *r = make(task);

    if (r)
        r->type = REDIS_REPLY_NIL; /* the task's is what could have been there */
    return hang_up(task, r);
}

static void free_part(void *r)
{
    fpi_redis_reply_free(r);
}

redisReplyObjectFunctions fpi_redis_reply_functions = {
    make_string, make_array, make_integer, make_nil, free_part,
};

int64_t fpi_redis_number(const fpi_redis_reply *r)
{
    if (!r)
        return 0;
    return r->text ? strtoll(r->text, NULL, 10) : r->integer;
}

const fpi_redis_reply *fpi_redis_item(const fpi_redis_reply *r, size_t index)
{
    return r && index < r->count ? r->items[index] : NULL;
}

bool fpi_redis_is_error(const fpi_redis_reply *r, const char *word)
{
    size_t size = strlen(word);

    return r->type == REDIS_REPLY_ERROR && r->text && strncmp(r->text, word, size) == 0 &&
           (r->text[size] == ' ' || r->text[size] == '\0');
}

static const struct {
    const char *word;
    fp_status code;
} meanings[] = {
    { "WRONGPASS", FILEPROC_ERR_AUTH },
    { "NOAUTH", FILEPROC_ERR_AUTH },
    { "NOPERM", FILEPROC_ERR_AUTH },
    { "ERR AUTH", FILEPROC_ERR_AUTH },
    { "ERR invalid password", FILEPROC_ERR_AUTH },
    { "ERR DB index", FILEPROC_ERR_INVALID },
    { "ERR max number of clients", FILEPROC_ERR_BUSY },
    { "OOM", FILEPROC_ERR_QUOTA },
    { "LOADING", FILEPROC_ERR_BUSY },
    { "BUSY", FILEPROC_ERR_BUSY },
    { "MASTERDOWN", FILEPROC_ERR_BUSY },
    { "READONLY", FILEPROC_ERR_BUSY },
    { "MISCONF", FILEPROC_ERR_BUSY },
    { "TRYAGAIN", FILEPROC_ERR_BUSY },
    { "CLUSTERDOWN", FILEPROC_ERR_BUSY },
    { "NOREPLICAS", FILEPROC_ERR_BUSY },
};

/* The sentence may quote what was sent; what stands in front of that tells enough. */
static int sentence_size(const char *text)
{
    const char *quoted = strpbrk(text, "'\"`");
    size_t size = quoted ? (size_t)(quoted - text) : strlen(text);

    return size > 120 ? 120 : (int)size;
}

fp_status fpi_redis_error(const fpi_redis_reply *r, fp_error *err)
{
    const char *text = r->text ? r->text : "";
    fp_status code = FILEPROC_ERR_PROTOCOL;

    for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
        if (strncmp(text, meanings[i].word, strlen(meanings[i].word)) == 0) {
            code = meanings[i].code;
            break;
        }
    (void)fpi_error_causef(err, code, "redis", 0, "redis: %.*s", sentence_size(text), text);
    if (err && code == FILEPROC_ERR_BUSY)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return code;
}

fp_status fpi_redis_nonsense(fp_error *err)
{
    return fpi_error_causef(err, FILEPROC_ERR_PROTOCOL, "redis", 0,
                            "redis: the answer makes no sense");
}
