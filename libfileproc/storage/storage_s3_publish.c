/* Owns: making an object of an assembly.
 * Must not know: how parts are written. */
#include <string.h>

#include "storage/storage_s3_private.h"

/* One publication. */
typedef struct publication {
    fpi_s3_assembly *a;
    const char *key;
    char *name; /* of the object */
    uint64_t size;
    bool exclusive;
    unsigned char *buf; /* a slot's worth, once it is needed */
    fpi_s3_tag *tags;
    size_t tag_count;
} publication;

/* OK when the object is there and has the size; *ours tells whether it was this assembly. */
static fp_status look_at_object(const publication *p, bool *ours, fp_error *err)
{
    fpi_s3_call call = { 0 };
    fp_status rc = fpi_s3_head(p->a->s, p->name, &call, err);

    *ours = false;
    if (rc < 0)
        return rc;
    *ours = strcmp(call.assembly, p->a->id) == 0;
    return call.size >= 0 && (uint64_t)call.size == p->size ? FILEPROC_OK
                                                            : fpi_object_not_found(err);
}

static fp_status fill_buffer(publication *p, uint64_t offset, size_t size, fp_error *err)
{
    size_t got = 0;
    fp_status rc;

    if (!p->buf)
        p->buf = fpi_alloc(&p->a->s->ctx->a, p->size < p->a->state.unit || !p->a->has_state
                                                 ? (size_t)p->size
                                                 : (size_t)p->a->state.unit);
    if (!p->buf)
        return fpi_no_memory(err);
    rc = fpi_s3_staged_read(p->a, offset, p->buf, size, &got, err);
    if (rc == FILEPROC_OK && got < size)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
    return rc;
}

/* Small: the object is put as a whole. From memory without a copy, when the bytes are there in one piece. */
static fp_status put_whole(publication *p, fp_error *err)
{
    fpi_s3_assembly *a = p->a;
    fpi_http_piece piece = { "", (size_t)p->size };
    fp_status rc = FILEPROC_OK;

    if (a->piece_count == 1 && a->pieces[0].bytes) {
        piece.data = a->pieces[0].bytes;
    } else if (p->size) {
        rc = fill_buffer(p, 0, (size_t)p->size, err);
        piece.data = p->buf;
    }
    if (rc == FILEPROC_OK)
        rc = fpi_s3_put(a->s, p->name, &piece, 1, a->id, p->exclusive, NULL, err);
    return rc;
}

/* The upload is for another key, or there is none: its parts are all copies, so another one is begun. */
static fp_status renew_upload(publication *p, fp_error *err)
{
    fpi_s3_assembly *a = p->a;
    fpi_s3_state *st = fpi_alloc(&a->s->ctx->a, sizeof(*st));
    char *old = NULL;
    fp_status rc = FILEPROC_OK;

    if (!st)
        return fpi_no_memory(err);
    *st = a->state;
    if (st->upload[0]) {
        rc = fpi_s3_name(a->s, st->key, "", &old, err);
        if (rc == FILEPROC_OK)
            rc = fpi_s3_multipart_abort(a->s, old, st->upload, err);
    }
    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_create(a->s, p->name, a->id, st->upload, err);
    memcpy(st->key, p->key, strlen(p->key) + 1);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_state_save(a, st, false, err);
    if (rc == FILEPROC_OK)
        a->state = *st;
    fpi_free(&a->s->ctx->a, old);
    fpi_free(&a->s->ctx->a, st);
    return rc;
}

static fp_status need_upload(publication *p, fp_error *err)
{
    fpi_s3_assembly *a = p->a;
    bool same;
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&a->lock);
    if (!a->has_state) { /* pieces alone: where they go is known now */
        memcpy(a->key, p->key, strlen(p->key) + 1);
        rc = fpi_s3_need_state(a, err);
    }
    same = strcmp(a->state.key, p->key) == 0;
    if (rc == FILEPROC_OK && a->has_slots && !a->state.copying && !same)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly was begun for another key");
    else if (rc == FILEPROC_OK && (!same || !a->state.upload[0]))
        rc = renew_upload(p, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

static fp_status copy_slot(const publication *p, uint64_t i, fp_error *err)
{
    const fpi_s3_assembly *a = p->a;
    char *source = NULL;
    fp_status rc = fpi_s3_slot_name(a, i, a->slots[i].seq, &source, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_copy(a->s, p->name, a->state.upload, (uint32_t)i + 1, source,
                                   &p->tags[i], err);
    fpi_free(&a->s->ctx->a, source);
    return rc;
}

static fp_status compose_slot(publication *p, uint64_t i, fp_error *err)
{
    uint64_t unit = p->a->state.unit, left = p->size - i * unit;
    size_t size = (size_t)(left < unit ? left : unit);
    fp_status rc = fill_buffer(p, i * unit, size, err);

    p->tags[i].number = (uint32_t)i + 1;
    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_put(p->a->s, p->name, p->a->state.upload,
                                  (fpi_http_piece){ p->buf, size }, NULL, &p->tags[i], err);
    return rc;
}

static fp_status make_parts(publication *p, fp_error *err)
{
    const fpi_s3_assembly *a = p->a;
    uint64_t count = (p->size + a->state.unit - 1) / a->state.unit;
    fp_status rc = FILEPROC_OK;

    if (count > FPI_S3_PARTS_MAX)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_SIZE_TOO_LARGE,
                                "the object has more than %u parts; part_size must be larger",
                                FPI_S3_PARTS_MAX);
    p->tags = fpi_calloc(&a->s->ctx->a, (size_t)count, sizeof(*p->tags));
    if (!p->tags)
        return fpi_no_memory(err);
    p->tag_count = (size_t)count;
    for (uint64_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        if (i >= a->slot_count || !a->slots[i].tag.number)
            rc = compose_slot(p, i, err);
        else if (a->state.copying)
            rc = copy_slot(p, i, err);
        else if (a->slots[i].length && i * a->state.unit + a->slots[i].length != p->size)
            rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT,
                               "a short part that was adopted is not the end of the object");
        else
            p->tags[i] = a->slots[i].tag;
    }
    return rc;
}

/* Completed before, by a call whose answer was lost; or gone. */
static fp_status confirm(const publication *p, fp_error *err)
{
    bool ours = false;
    fp_status rc = look_at_object(p, &ours, err);

    return rc < 0 || ours ? rc : fpi_object_not_found(err);
}

static fp_status complete(publication *p, fp_error *err)
{
    fp_error ours = { 0 };
    bool mine = false;
    fp_status rc = fpi_s3_multipart_complete(p->a->s, p->name, p->a->state.upload, p->tags,
                                             p->tag_count, p->exclusive, &ours);

    if (rc == FILEPROC_ERR_NOTFOUND)
        return confirm(p, err);
    if (rc == FILEPROC_ERR_EXISTS && look_at_object(p, &mine, NULL) == FILEPROC_OK && mine)
        return FILEPROC_OK;
    if (rc < 0 && err)
        *err = ours;
    return rc;
}

/* Also where the server knows If-None-Match: some know it for a PUT, but not here. */
static fp_status check_exclusive(const publication *p, bool *done, fp_error *err)
{
    fpi_s3_call call = { 0 };
    fp_error ours = { 0 };
    fp_status rc = fpi_s3_head(p->a->s, p->name, &call, &ours);

    if (rc == FILEPROC_ERR_NOTFOUND)
        return FILEPROC_OK;
    if (rc < 0) {
        if (err)
            *err = ours;
        return rc;
    }
    *done =
        strcmp(call.assembly, p->a->id) == 0 && call.size >= 0 && (uint64_t)call.size == p->size;
    return *done ? FILEPROC_OK
                 : fp_error_setf(err, FILEPROC_ERR_EXISTS, "an object has this key already");
}

static fp_status put_parts(publication *p, fp_error *err)
{
    fp_error ours = { 0 };
    bool done = false;
    fp_status rc = p->exclusive ? check_exclusive(p, &done, err) : FILEPROC_OK;

    if (rc < 0 || done)
        return rc;
    rc = need_upload(p, err);
    if (rc < 0)
        return rc;
    rc = make_parts(p, &ours);
    if (rc == FILEPROC_OK)
        return complete(p, err);
    if (rc == FILEPROC_ERR_NOTFOUND) /* no such upload, or what was to be copied is gone */
        return confirm(p, err);
    if (err)
        *err = ours;
    return rc;
}

/* That it is published must be known after a crash, too. Where whole slots were parts of the upload, its absence tells. */
static fp_status put_mark(const fpi_s3_assembly *a, fp_error *err)
{
    char *name = NULL;
    fp_status rc;

    if (a->transient || (a->has_slots && !a->state.copying))
        return FILEPROC_OK;
    rc = fpi_s3_staged_name(a->s, a->id, 'z', "", &name, err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_put(a->s, name, NULL, 0, NULL, false, NULL, err);
    fpi_free(&a->s->ctx->a, name);
    return rc;
}

static fp_status publish(publication *p, fp_error *err)
{
    fpi_s3_assembly *a = p->a;
    uint64_t unit = a->has_state ? a->state.unit : a->s->unit;
    bool ours;
    fp_status rc;

    if (a->published)
        return look_at_object(p, &ours, err);
    rc = a->has_slots || p->size > unit ? put_parts(p, err) : put_whole(p, err);
    if (rc == FILEPROC_OK)
        rc = put_mark(a, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&a->lock);
    a->published = true;
    a->stored = a->stored || !a->transient;
    pthread_mutex_unlock(&a->lock);
    return FILEPROC_OK;
}

fp_status fpi_s3_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                  uint32_t flags, fp_error *err)
{
    fpi_s3_store *s = self;
    publication p = { .a = assembly,
                      .key = key,
                      .size = size,
                      .exclusive = (flags & FILEPROC_STORAGE_EXCLUSIVE) != 0 };
    fp_status rc = fpi_s3_name(s, key, "", &p.name, err);

    if (rc == FILEPROC_OK)
        rc = publish(&p, err);
    fpi_free(&s->ctx->a, p.name);
    fpi_free(&s->ctx->a, p.buf);
    fpi_free(&s->ctx->a, p.tags);
    return rc;
}
