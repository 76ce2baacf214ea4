/* Owns: the public face of subscriptions: checking arguments.
 * Must not know: any driver, any channel. */
#include "cache/cache_private.h"
#include "core/options.h"

struct fp_subscription {
    fp_cache *c;
    void *sub; /* the driver's */
};

fp_status fp_cache_subscribe(fp_cache *c, fp_subscription **out, fp_error *err)
{
    fp_subscription *s;
    fp_status rc;

    if (!c || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    s = fpi_calloc(&c->ctx->a, 1, sizeof(*s));
    if (!s)
        return fpi_no_memory(err);
    s->c = c;
    rc = c->drv->subscribe(c->self, &s->sub, err);
    if (rc < 0)
        fpi_free(&c->ctx->a, s);
    else
        *out = s;
    return rc;
}

fp_status fp_subscription_add(fp_subscription *sub, const char *channel, fp_error *err)
{
    fp_status rc;

    if (!sub || !channel)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_cache_check_key(channel, "a channel", err);
    return rc < 0 ? rc : sub->c->drv->subscription_add(sub->sub, channel, err);
}

void fp_subscription_remove(fp_subscription *sub, const char *channel)
{
    if (sub && channel)
        sub->c->drv->subscription_remove(sub->sub, channel);
}

fp_status fp_subscription_receive(fp_subscription *sub, uint32_t timeout_ms, fp_news *news,
                                  fp_error *err)
{
    fp_news found = FILEPROC_NEWS_INIT;
    fp_status rc;

    if (!sub || !news)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_check(0, sizeof(found), news, err);
    if (rc == FILEPROC_OK)
        rc = sub->c->drv->subscription_receive(sub->sub, timeout_ms, &found, err);
    return rc < 0 ? rc : fpi_options_export(news, &found, sizeof(found), err);
}

void fp_subscription_wake(fp_subscription *sub)
{
    if (sub)
        sub->c->drv->subscription_wake(sub->sub);
}

void fp_subscription_free(fp_subscription *sub)
{
    if (!sub)
        return;
    sub->c->drv->subscription_free(sub->sub);
    fpi_free(&sub->c->ctx->a, sub);
}
