/* Owns: staged objects and their parts: who may write where, what is committed, when it may be published.
 * Must not know: how a driver stores them. */
#include <assert.h>
#include <pthread.h>

#include "core/digest.h"
#include "core/options.h"
#include "storage/part_list.h"
#include "storage/storage_private.h"

struct fp_assembly {
    fp_storage *st;
    void *staged;          /* the driver's */
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t calmer; /* a part is no longer busy, or a publication has ended */
    fpi_part_list parts;
    fp_part *open; /* those that fp_part_free() has not ended yet */
    bool publishing;
    bool published;
};

enum part_state {
    PART_OPEN,
    PART_SUPERSEDED, /* another part has begun on its range, or the assembly was published */
    PART_FAILED,
    PART_COMMITTED
};

struct fp_part {
    fp_assembly *a;
    void *handle; /* the driver's */
    fp_part *next, *previous;
    uint64_t offset, length, written;
    uint32_t crc32c;
    enum part_state state;
    bool busy; /* in a slot of the driver, without the lock */
};

static fp_status on_stored_part(void *user_data, const fp_part_info *part, fp_error *err)
{
    fpi_part_list *list = user_data;
    fp_status rc;

    if (part->length == 0 || part->offset > FPI_OBJECT_SIZE_MAX ||
        part->length > FPI_OBJECT_SIZE_MAX - part->offset ||
        part->note_size > FILEPROC_PART_NOTE_MAX ||
        fpi_part_list_overlaps(list, part->offset, part->length))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT,
                             "the record of the parts contradicts itself");
    rc = fpi_part_list_promise(list, part->note_size, err);
    if (rc == FILEPROC_OK)
        fpi_part_list_add(list, part);
    return rc;
}

static fp_status check_open(const fp_storage *st, const char *id, uint32_t flags, fp_assembly **out,
                            fp_error *err)
{
    const uint32_t known = FILEPROC_ASSEMBLY_CREATE | FILEPROC_ASSEMBLY_TRANSIENT;

    if (!st || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if ((flags & ~known) || flags == FILEPROC_ASSEMBLY_TRANSIENT)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad flags");
    return fpi_key_check_id(id, err);
}

fp_status fp_assembly_open(fp_storage *st, const char *id, uint32_t flags, fp_assembly **out,
                           fp_error *err)
{
    FPI_CLEANUP(fp_assembly) a = NULL;
    fp_status rc = check_open(st, id, flags, out, err);

    if (rc < 0)
        return rc;
    a = fpi_calloc(&st->ctx->a, 1, sizeof(*a));
    if (!a)
        return fpi_no_memory(err);
    a->st = st;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->calmer, NULL);
    fpi_part_list_init(&a->parts, st->ctx);
    rc = st->drv->assembly_open(st->self, id, flags, on_stored_part, &a->parts, &a->staged, err);
    if (rc < 0)
        return rc;
    *out = fpi_steal(&a);
    return FILEPROC_OK;
}

void fp_assembly_close(fp_assembly *a)
{
    if (!a)
        return;
    assert(!a->open);
    if (a->staged)
        a->st->drv->assembly_close(a->st->self, a->staged);
    fpi_part_list_dispose(&a->parts);
    pthread_cond_destroy(&a->calmer);
    pthread_mutex_destroy(&a->lock);
    fpi_free(&a->st->ctx->a, a);
}

fp_status fp_assembly_set_target(fp_assembly *a, const char *key, uint64_t size, fp_error *err)
{
    fp_part_info whole = FILEPROC_PART_INFO_INIT;
    fp_status rc;

    if (!a || size > FPI_OBJECT_SIZE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    rc = fpi_key_check(key, err);
    if (rc < 0 || !a->st->drv->assembly_set_target)
        return rc;
    rc = a->st->drv->assembly_set_target(a->st->self, a->staged, key, size, &whole, err);
    if (rc < 0 || whole.length == 0)
        return rc;
    pthread_mutex_lock(&a->lock);
    rc = on_stored_part(&a->parts, &whole, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

uint64_t fp_assembly_part_size(fp_assembly *a)
{
    return a && a->st->drv->assembly_part_size
               ? a->st->drv->assembly_part_size(a->st->self, a->staged)
               : 0;
}

fp_status fp_assembly_presign(fp_assembly *a, uint64_t offset, uint32_t expires_s, fp_buf *url,
                              fp_error *err)
{
    if (!a || !url || offset > FPI_OBJECT_SIZE_MAX || expires_s < 1 ||
        expires_s > FPI_PRESIGN_MAX_S)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    if (!a->st->drv->assembly_presign)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this store signs no addresses");
    return a->st->drv->assembly_presign(a->st->self, a->staged, offset, expires_s, url, err);
}

/* The two readers take a const handle; its lock is no part of what they promise not to change. */
static pthread_mutex_t *lock_of(const fp_assembly *a)
{
    return &((fp_assembly *)(uintptr_t)a)->lock; /* NOLINT(performance-no-int-to-ptr) */
}

size_t fp_assembly_part_count(const fp_assembly *a)
{
    size_t count;

    if (!a)
        return 0;
    pthread_mutex_lock(lock_of(a));
    count = a->parts.count;
    pthread_mutex_unlock(lock_of(a));
    return count;
}

fp_status fp_assembly_part_at(const fp_assembly *a, size_t index, fp_part_info *info, fp_error *err)
{
    fp_part_info ours = FILEPROC_PART_INFO_INIT;
    bool found;

    if (!a || !info)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    pthread_mutex_lock(lock_of(a));
    found = index < a->parts.count;
    if (found)
        fpi_part_list_get(&a->parts, index, &ours);
    pthread_mutex_unlock(lock_of(a));
    if (!found)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "there is no part %zu", index);
    return fpi_options_export(info, &ours, sizeof(ours), err);
}

bool fpi_assembly_part_from(const fp_assembly *a, uint64_t offset, fp_part_info *info)
{
    size_t index;
    bool found;

    pthread_mutex_lock(lock_of(a));
    index = fpi_part_list_find(&a->parts, offset);
    found = index < a->parts.count;
    if (found)
        fpi_part_list_get(&a->parts, index, info);
    pthread_mutex_unlock(lock_of(a));
    return found;
}

fp_status fp_assembly_read(fp_assembly *a, uint64_t offset, void *buf, size_t cap, size_t *got,
                           fp_error *err)
{
    uint64_t end;
    bool published;
    size_t n = 0;
    fp_status rc = FILEPROC_OK;

    if (!a || (!buf && cap) || !got)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    pthread_mutex_lock(&a->lock);
    end = a->parts.end;
    published = a->published;
    pthread_mutex_unlock(&a->lock);
    if (published)
        return fpi_object_not_found(err);
    if (offset < end && cap > end - offset)
        cap = (size_t)(end - offset);
    if (offset < end && cap)
        rc = a->st->drv->assembly_read(a->st->self, a->staged, offset, buf, cap, &n, 0, err);
    if (rc == FILEPROC_OK)
        *got = n;
    return rc;
}

static bool ranges_overlap(const fp_part *p, uint64_t offset, uint64_t length)
{
    return p->offset < offset + length && offset < p->offset + p->length;
}

/* Takes the range from the parts that are open on it, and waits until none of them is inside the driver
 * any more: afterwards nothing but the caller writes there. With the lock held; other calls may have
 * come between when *waited. */
static void take_range(fp_assembly *a, uint64_t offset, uint64_t length, bool *waited)
{
    fp_part *p = a->open;

    *waited = false;
    while (p) {
        bool concerned = p->state != PART_COMMITTED && ranges_overlap(p, offset, length);

        if (concerned && p->state == PART_OPEN)
            p->state = PART_SUPERSEDED;
        if (concerned && p->busy) {
            pthread_cond_wait(&a->calmer, &a->lock);
            *waited = true;
            p = a->open; /* the list may be another now */
        } else {
            p = p->next;
        }
    }
}

static fp_status published_already(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
}

/* With the lock held: the range belongs to nobody else when this succeeds. */
static fp_status claim_range(fp_assembly *a, uint64_t offset, uint64_t length, fp_error *err)
{
    bool waited = true;

    while (waited) {
        while (a->publishing)
            pthread_cond_wait(&a->calmer, &a->lock);
        if (a->published)
            return published_already(err);
        if (fpi_part_list_overlaps(&a->parts, offset, length))
            return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "a committed part has these bytes");
        take_range(a, offset, length, &waited);
    }
    return FILEPROC_OK;
}

static void link_part(fp_assembly *a, fp_part *p)
{
    p->next = a->open;
    if (p->next)
        p->next->previous = p;
    a->open = p;
}

static void unlink_part(fp_assembly *a, fp_part *p)
{
    if (p->previous)
        p->previous->next = p->next;
    else
        a->open = p->next;
    if (p->next)
        p->next->previous = p->previous;
}

/* The way into the driver and back out of it. */
static void enter_driver(fp_part *p)
{
    p->busy = true;
    pthread_mutex_unlock(&p->a->lock);
}

static void leave_driver(fp_part *p)
{
    pthread_mutex_lock(&p->a->lock);
    p->busy = false;
    pthread_cond_broadcast(&p->a->calmer);
}

static fp_status begin_part(fp_part *p, fp_error *err)
{
    const fp_storage_driver *drv = p->a->st->drv;
    fp_status rc;

    pthread_mutex_lock(&p->a->lock);
    rc = claim_range(p->a, p->offset, p->length, err);
    if (rc == FILEPROC_OK) {
        link_part(p->a, p);
        enter_driver(p);
        rc = drv->part_begin(p->a->st->self, p->a->staged, p->offset, p->length, &p->handle, err);
        leave_driver(p);
        if (rc < 0)
            unlink_part(p->a, p);
    }
    pthread_mutex_unlock(&p->a->lock);
    return rc;
}

fp_status fp_part_begin(fp_assembly *a, uint64_t offset, uint64_t length, fp_part **out,
                        fp_error *err)
{
    fp_part *p;
    fp_status rc;

    if (!a || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (length == 0 || offset > FPI_OBJECT_SIZE_MAX || length > FPI_OBJECT_SIZE_MAX - offset)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a part can't have this range");
    p = fpi_calloc(&a->st->ctx->a, 1, sizeof(*p));
    if (!p)
        return fpi_no_memory(err);
    p->a = a;
    p->offset = offset;
    p->length = length;
    p->state = PART_OPEN;
    rc = begin_part(p, err);
    if (rc < 0) {
        fpi_free(&a->st->ctx->a, p);
        return rc;
    }
    *out = p;
    return FILEPROC_OK;
}

/* With the lock held. */
static fp_status check_open_part(const fp_part *p, fp_error *err)
{
    switch (p->state) {
    case PART_OPEN:
        return FILEPROC_OK;
    case PART_SUPERSEDED:
        if (p->a->published)
            return published_already(err);
        return fp_error_reasonf(err, FILEPROC_ERR_CONFLICT, FILEPROC_REASON_CHUNK_SUPERSEDED,
                                "another writer has taken this part over");
    case PART_FAILED:
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the part has failed before");
    case PART_COMMITTED:
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the part is committed");
    }
    return fp_error_setf(err, FILEPROC_ERR_INVALID, "not a part");
}

static fp_status write_bytes(fp_part *p, const void *data, size_t size, fp_error *err)
{
    fp_assembly *a = p->a;
    fp_status rc;

    enter_driver(p);
    rc = a->st->drv->part_write(a->st->self, a->staged, p->handle, p->offset + p->written, data,
                                size, err);
    if (rc == FILEPROC_OK) {
        p->crc32c = fpi_crc32c(p->crc32c, data, size);
        p->written += size;
    }
    leave_driver(p);
    if (rc < 0 && p->state == PART_OPEN)
        p->state = PART_FAILED;
    return rc;
}

fp_status fp_part_write(fp_part *p, const void *data, size_t size, fp_error *err)
{
    fp_status rc;

    if (!p || (!data && size))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    pthread_mutex_lock(&p->a->lock);
    rc = check_open_part(p, err);
    if (rc == FILEPROC_OK && size > p->length - p->written)
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "more bytes than the part has room for");
    if (rc == FILEPROC_OK && size)
        rc = write_bytes(p, data, size, err);
    pthread_mutex_unlock(&p->a->lock);
    return rc;
}

static fp_status copy_bytes(fp_part *p, fp_assembly *from, const fp_part_info *what, fp_error *err)
{
    fp_assembly *a = p->a;
    fp_status rc;

    enter_driver(p);
    rc = a->st->drv->part_copy(a->st->self, a->staged, p->handle, p->offset + p->written,
                               from->staged, what->offset, what->length, err);
    if (rc == FILEPROC_OK) {
        p->crc32c = fpi_crc32c_join(p->crc32c, what->crc32c, what->length);
        p->written += what->length;
    }
    leave_driver(p);
    if (rc < 0 && rc != FILEPROC_ERR_NOTSUP && p->state == PART_OPEN)
        p->state = PART_FAILED;
    return rc;
}

fp_status fpi_part_copy(fp_part *p, fp_assembly *from, const fp_part_info *what, fp_error *err)
{
    fp_status rc;

    if (!p->a->st->copies || from->st != p->a->st || (what->flags & FILEPROC_PART_ADOPTED))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the store copies nothing by itself");
    pthread_mutex_lock(&p->a->lock);
    rc = check_open_part(p, err);
    if (rc == FILEPROC_OK && what->length > p->length - p->written)
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "more bytes than the part has room for");
    if (rc == FILEPROC_OK)
        rc = copy_bytes(p, from, what, err);
    pthread_mutex_unlock(&p->a->lock);
    return rc;
}

static fp_status commit_part(fp_part *p, const fp_part_info *info, fp_error *err)
{
    fp_assembly *a = p->a;
    fp_status rc = fpi_part_list_promise(&a->parts, info->note_size, err);

    if (rc < 0) {
        p->state = PART_FAILED;
        return rc;
    }
    enter_driver(p);
    rc = a->st->drv->part_commit(a->st->self, a->staged, p->handle, info, err);
    leave_driver(p);
    if (rc == FILEPROC_OK)
        fpi_part_list_add(&a->parts, info);
    else
        fpi_part_list_take_back(&a->parts, info->note_size);
    /* Also when somebody came to take the range over meanwhile: he waits, and finds it committed. */
    p->state = rc == FILEPROC_OK ? PART_COMMITTED : PART_FAILED;
    return rc;
}

static void fill_info(const fp_part *p, const void *note, size_t note_size, fp_part_info *info)
{
    const unsigned char *bytes = note;

    *info = (fp_part_info)FILEPROC_PART_INFO_INIT;
    info->offset = p->offset;
    info->length = p->written;
    info->committed_ms = fpi_now_ms(p->a->st->ctx);
    info->note_size = (uint32_t)note_size;
    info->crc32c = p->crc32c;
    for (size_t i = 0; i < note_size; i++)
        info->note[i] = bytes[i];
}

fp_status fp_part_commit(fp_part *p, const void *note, size_t note_size, fp_error *err)
{
    fp_part_info info;
    fp_status rc;

    if (!p || (!note && note_size) || note_size > FILEPROC_PART_NOTE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    if (p->written == 0)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "the part has no bytes");
    fill_info(p, note, note_size, &info);
    pthread_mutex_lock(&p->a->lock);
    rc = check_open_part(p, err);
    if (rc == FILEPROC_OK)
        rc = commit_part(p, &info, err);
    pthread_mutex_unlock(&p->a->lock);
    return rc;
}

void fp_part_free(fp_part *p)
{
    fp_assembly *a;

    if (!p)
        return;
    a = p->a;
    pthread_mutex_lock(&a->lock);
    unlink_part(a, p);
    pthread_mutex_unlock(&a->lock);
    a->st->drv->part_free(a->st->self, a->staged, p->handle);
    fpi_free(&a->st->ctx->a, p);
}

fp_status fp_assembly_written(fp_assembly *a, fp_written_fn fn, void *user_data, fp_error *err)
{
    if (!a || !fn)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (!a->st->drv->assembly_written)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "nobody else can write to this store");
    return a->st->drv->assembly_written(a->st->self, a->staged, fn, user_data, err);
}

static fp_status check_adoption(const fp_adoption *what, fp_error *err)
{
    bool good = what->length > 0 && what->offset <= FPI_OBJECT_SIZE_MAX &&
                what->length <= FPI_OBJECT_SIZE_MAX - what->offset && what->etags &&
                what->etag_count > 0 && (what->note || !what->note_size) &&
                what->note_size <= FILEPROC_PART_NOTE_MAX;

    for (size_t i = 0; good && i < what->etag_count; i++)
        good = what->etags[i] != NULL;
    return good ? FILEPROC_OK : fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
}

/* With the lock held: like a writer that has only its commit left to do. */
static fp_status adopt_range(fp_part *p, const fp_adoption *what, const fp_part_info *info,
                             fp_error *err)
{
    fp_assembly *a = p->a;
    fp_status rc = claim_range(a, p->offset, p->length, err);

    if (rc == FILEPROC_OK)
        rc = fpi_part_list_promise(&a->parts, info->note_size, err);
    if (rc < 0)
        return rc;
    link_part(a, p);
    enter_driver(p);
    rc = a->st->drv->assembly_adopt(a->st->self, a->staged, what->etags, what->etag_count, info,
                                    err);
    leave_driver(p);
    unlink_part(a, p);
    if (rc == FILEPROC_OK)
        fpi_part_list_add(&a->parts, info);
    else
        fpi_part_list_take_back(&a->parts, info->note_size);
    return rc;
}

fp_status fp_assembly_adopt(fp_assembly *a, const fp_adoption *what, fp_error *err)
{
    fp_adoption ours = FILEPROC_ADOPTION_INIT;
    fp_part_info info;
    fp_part p = { .a = a, .state = PART_OPEN };
    fp_status rc;

    if (!a || !what)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&ours, sizeof(ours), what, err);
    if (rc == FILEPROC_OK)
        rc = check_adoption(&ours, err);
    if (rc < 0)
        return rc;
    if (!a->st->drv->assembly_adopt)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "nobody else can write to this store");
    p.offset = ours.offset;
    p.length = p.written = ours.length;
    fill_info(&p, ours.note, ours.note_size, &info);
    info.flags = FILEPROC_PART_ADOPTED;
    pthread_mutex_lock(&a->lock);
    rc = adopt_range(&p, &ours, &info, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

/* With the lock held: nobody publishes or writes when this succeeds, and nobody can begin to. */
static fp_status begin_publication(fp_assembly *a, uint64_t size, fp_error *err)
{
    bool waited = true;

    while (waited) {
        while (a->publishing)
            pthread_cond_wait(&a->calmer, &a->lock);
        if (!fpi_part_list_covers(&a->parts, size))
            return fp_error_setf(err, FILEPROC_ERR_CONFLICT,
                                 "the parts don't cover the size exactly");
        /* A writer that hangs must not change the object's bytes later on. */
        take_range(a, 0, FPI_OBJECT_SIZE_MAX, &waited);
    }
    a->publishing = true;
    return FILEPROC_OK;
}

fp_status fp_assembly_publish(fp_assembly *a, const char *key, uint64_t size, uint32_t flags,
                              fp_error *err)
{
    fp_status rc;

    if (!a || size > FPI_OBJECT_SIZE_MAX || (flags & ~FILEPROC_STORAGE_EXCLUSIVE))
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bad argument");
    rc = fpi_key_check(key, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&a->lock);
    rc = begin_publication(a, size, err);
    if (rc == FILEPROC_OK) {
        pthread_mutex_unlock(&a->lock);
        rc = a->st->drv->assembly_publish(a->st->self, a->staged, key, size, flags, err);
        pthread_mutex_lock(&a->lock);
        a->publishing = false;
        a->published = a->published || rc == FILEPROC_OK;
        pthread_cond_broadcast(&a->calmer);
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}
