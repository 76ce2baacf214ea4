/* Owns: the public face of leases: checking arguments.
 * Must not know: any driver, and what leases are on. */
#include <string.h>

#include "cache/cache_private.h"
#include "core/options.h"

#define TTL_MAX_MS 86400000u

fp_status fpi_lease_lost(fp_error *err)
{
    return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_LEASE_LOST,
                            "the lease has ended, or another has taken it over");
}

fp_status fpi_lease_held(int64_t left_ms, fp_error *err)
{
    fp_status rc = fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_LEASE_HELD,
                                    "another holds the lease");

    if (err) {
        err->flags |= FILEPROC_ERROR_RETRYABLE;
        err->retry_after_ms = left_ms > 0 ? (uint32_t)left_ms : 1;
    }
    return rc;
}

static fp_status check_lease(const fp_lease *lease, fp_error *err)
{
    size_t size;

    if (!lease->name || !lease->holder || (!lease->note && lease->note_size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    size = strnlen(lease->holder, FILEPROC_LEASE_HOLDER_MAX + 1);
    if (size == 0 || size > FILEPROC_LEASE_HOLDER_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a holder's name has 1 to %u bytes",
                             FILEPROC_LEASE_HOLDER_MAX);
    if (lease->note_size > FILEPROC_LEASE_NOTE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a note is at most %u bytes",
                             FILEPROC_LEASE_NOTE_MAX);
    return fpi_cache_check_key(lease->name, "the name of a lease", err);
}

static fp_status check_ttl(const fp_lease *lease, fp_error *err)
{
    if (lease->ttl_ms == 0 || lease->ttl_ms > TTL_MAX_MS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "ttl_ms is out of range");
    return FILEPROC_OK;
}

static fp_status import_lease(const fp_cache *c, const fp_lease *theirs, fp_lease *ours,
                              fp_error *err)
{
    fp_status rc;

    if (!c || !theirs)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(ours, sizeof(*ours), theirs, err);
    return rc < 0 ? rc : check_lease(ours, err);
}

fp_status fp_lease_acquire(fp_cache *c, fp_lease *lease, uint32_t flags, fp_error *err)
{
    fp_lease l = FILEPROC_LEASE_INIT;
    fp_status rc = import_lease(c, lease, &l, err);

    if (rc == FILEPROC_OK)
        rc = check_ttl(&l, err);
    if (rc < 0)
        return rc;
    if (flags & ~FILEPROC_LEASE_TAKE_OVER)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "unknown flags");
    rc = c->drv->lease_acquire(c->self, &l, flags, err);
    return rc < 0 ? rc : fpi_options_export(lease, &l, sizeof(l), err);
}

fp_status fp_lease_renew(fp_cache *c, fp_lease *lease, fp_error *err)
{
    fp_lease l = FILEPROC_LEASE_INIT;
    fp_status rc = import_lease(c, lease, &l, err);

    if (rc == FILEPROC_OK)
        rc = check_ttl(&l, err);
    if (rc == FILEPROC_OK)
        rc = c->drv->lease_renew(c->self, &l, 0, err);
    return rc < 0 ? rc : fpi_options_export(lease, &l, sizeof(l), err);
}

fp_status fp_lease_check(fp_cache *c, const fp_lease *lease, fp_error *err)
{
    fp_lease l = FILEPROC_LEASE_INIT;
    fp_status rc = import_lease(c, lease, &l, err);

    if (rc < 0)
        return rc;
    l.ttl_ms = 0;
    l.note = NULL;
    l.note_size = 0;
    return c->drv->lease_renew(c->self, &l, 0, err);
}

fp_status fp_lease_release(fp_cache *c, const fp_lease *lease, fp_error *err)
{
    fp_lease l = FILEPROC_LEASE_INIT;
    fp_status rc = import_lease(c, lease, &l, err);

    return rc < 0 ? rc : c->drv->lease_release(c->self, &l, 0, err);
}

fp_status fp_lease_look(fp_cache *c, const char *name, fp_lease_info *info, fp_error *err)
{
    fp_lease_info found = FILEPROC_LEASE_INFO_INIT;
    fp_status rc;

    if (!c || !name || !info)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_cache_check_key(name, "the name of a lease", err);
    if (rc == FILEPROC_OK)
        rc = c->drv->lease_look(c->self, name, &found, 0, err);
    return rc < 0 ? rc : fpi_options_export(info, &found, sizeof(found), err);
}
