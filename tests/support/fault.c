/* Owns: the loop that fails one allocation after another.
 * Must not know: what is tested. */
#include "fault.h"

#include <stdlib.h>

static bool may_allocate(fault *f)
{
    bool ok = true;

    pthread_mutex_lock(&f->lock);
    if (f->armed) {
        long n = f->count++;

        ok = f->persistent ? n < f->fail_at : n != f->fail_at;
    }
    if (!ok)
        f->injected = true;
    pthread_mutex_unlock(&f->lock);
    return ok;
}

static void count_live(fault *f, long change)
{
    pthread_mutex_lock(&f->lock);
    f->live += change;
    pthread_mutex_unlock(&f->lock);
}

static void *fault_alloc(void *user_data, size_t size)
{
    void *p = may_allocate(user_data) ? malloc(size) : NULL;

    if (p)
        count_live(user_data, 1);
    return p;
}

static void *fault_realloc(void *user_data, void *ptr, size_t size)
{
    void *p = may_allocate(user_data) ? realloc(ptr, size) : NULL;

    if (p && !ptr)
        count_live(user_data, 1);
    return p;
}

static void fault_free(void *user_data, void *ptr)
{
    if (ptr)
        count_live(user_data, -1);
    free(ptr);
}

void fault_init(fault *f)
{
    *f = (fault){ .allocator = { fault_alloc, fault_realloc, fault_free, f } };
    pthread_mutex_init(&f->lock, NULL);
}

bool fault_more(fault *f)
{
    if (f->started) {
        ck_assert_msg(f->live == 0, "%ld blocks leaked, failing allocation %ld (%s)", f->live,
                      f->fail_at, f->persistent ? "persistent" : "transient");
        if (f->injected) {
            f->fail_at++;
        } else if (!f->persistent) {
            f->persistent = true;
            f->fail_at = 0;
        } else {
            pthread_mutex_destroy(&f->lock);
            return false;
        }
    }
    f->started = true;
    f->injected = false;
    f->count = 0;
    f->armed = true;
    return true;
}

void fault_arm(fault *f)
{
    f->armed = true;
}

void fault_disarm(fault *f)
{
    f->armed = false;
}

void fault_judge(fault *f, fp_status rc, const fp_error *err)
{
    f->armed = false;
    if (!f->injected)
        ck_assert_msg(rc == FILEPROC_OK, "no fault injected, yet %d: %s", rc,
                      err ? err->message : "");
    if (rc != FILEPROC_OK) {
        ck_assert_msg(rc == FILEPROC_ERR_NOMEM, "expected NOMEM, got %d: %s", rc,
                      err ? err->message : "");
        if (err) {
            ck_assert_int_eq(err->code, FILEPROC_ERR_NOMEM);
            ck_assert_int_ne(err->message[0], 0);
        }
    }
}
