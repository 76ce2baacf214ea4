/* Owns: writing a part: whole slots go out as they fill, what is left goes into the record that commits it.
 * Must not know: publication, what was committed before. */
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "storage/storage_s3_private.h"

/* One thread at a time. A call that has failed may be made again: `taken` tells what of it was taken. */
typedef struct part {
    uint64_t offset, length, unit;
    uint64_t taken; /* bytes up to this place of the object are here or at the server */
    uint64_t sent;  /* whole slots before this one are at the server; below first there are none */
    uint64_t first; /* the first slot that can be whole */
    uint32_t seq;
    bool has_seq;
    unsigned char *head; /* up to the first boundary between slots */
    unsigned char *slot; /* the slot that is being filled */
    size_t slot_size, slot_room;
    fpi_s3_stream *stream; /* on which it goes out; NULL: not begun, or failed */
    fpi_digest hash;  /* of its bytes so far: computed while they come, not while a server waits */
    fpi_s3_tag *tags; /* of the slots that are sent, from first on */
    size_t tag_capacity;
} part;

static uint64_t head_end(const part *p)
{
    uint64_t boundary = p->first * p->unit, end = p->offset + p->length;

    return boundary < end ? boundary : end;
}

fp_status fpi_s3_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                            void **out, fp_error *err)
{
    fpi_s3_store *s = self;
    fpi_s3_assembly *a = assembly;
    bool published;
    uint64_t unit;
    part *p;

    pthread_mutex_lock(&a->lock);
    published = a->published;
    unit = a->has_state ? a->state.unit : s->unit;
    pthread_mutex_unlock(&a->lock);
    if (published)
        return fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
    p = fpi_calloc(&s->ctx->a, 1, sizeof(*p));
    if (!p)
        return fpi_no_memory(err);
    p->offset = p->taken = offset;
    p->length = length;
    p->unit = unit;
    p->first = p->sent = offset / unit + (offset % unit != 0);
    *out = p;
    return FILEPROC_OK;
}

static fp_status need_head(const fp_allocator *a, part *p, fp_error *err)
{
    if (!p->head)
        p->head = fpi_alloc(a, (size_t)(head_end(p) - p->offset));
    return p->head ? FILEPROC_OK : fpi_no_memory(err);
}

static unsigned char *take_spare(fpi_s3_store *s)
{
    unsigned char *spare = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->spare_count)
        spare = s->spare[--s->spare_count];
    pthread_mutex_unlock(&s->lock);
    return spare;
}

static void give_spare(fpi_s3_store *s, unsigned char *buf)
{
    pthread_mutex_lock(&s->lock);
    if (s->spare_count < FPI_S3_SPARE_MAX) {
        s->spare[s->spare_count++] = buf;
        buf = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    fpi_free(&s->ctx->a, buf);
}

/* Room for as much as can come, but not more than a slot. */
static fp_status need_slot(fpi_s3_store *s, part *p, fp_error *err)
{
    uint64_t left = p->offset + p->length - p->sent * p->unit;

    if (!p->slot_size)
        fpi_digest_init(&p->hash, FPI_DIGEST_SHA256);
    if (p->slot)
        return FILEPROC_OK;
    p->slot_room = (size_t)(left < p->unit ? left : p->unit);
    if (p->slot_room == s->unit)
        p->slot = take_spare(s);
    if (!p->slot)
        p->slot = fpi_alloc(&s->ctx->a, p->slot_room);
    return p->slot ? FILEPROC_OK : fpi_no_memory(err);
}

static fp_status need_tag(const fp_allocator *a, part *p, fp_error *err)
{
    size_t count = (size_t)(p->sent - p->first);
    fpi_s3_tag *tags;

    if (count < p->tag_capacity)
        return FILEPROC_OK;
    tags = fpi_realloc(a, p->tags, count + 16, sizeof(*tags));
    if (!tags)
        return fpi_no_memory(err);
    p->tags = tags;
    p->tag_capacity = count + 16;
    return FILEPROC_OK;
}

static void need_seq(fpi_s3_assembly *a, part *p)
{
    if (!p->has_seq)
        p->seq = a->next_seq++;
    p->has_seq = true;
}

/* The state does not change any more once it is there: after the lock it may be read without. */
static fp_status need_state(fpi_s3_assembly *a, part *p, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&a->lock);
    need_seq(a, p);
    rc = fpi_s3_need_state(a, err);
    if (rc == FILEPROC_OK &&
        a->state.unit != p->unit) /* another process began it with another setting */
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly was begun with other slots");
    pthread_mutex_unlock(&a->lock);
    return rc;
}

/* The slot goes out from its buffer, also again: what the server was given by a stream that has failed is overwritten. */
static fp_status begin_stream(fpi_s3_assembly *a, part *p, fp_error *err)
{
    fpi_s3_stream_slot slot = { .number = p->sent, .bytes = p->slot, .size = (size_t)p->unit };
    char hash[2 * FPI_DIGEST_MAX + 1];
    unsigned char value[FPI_DIGEST_MAX];
    fp_status rc = need_tag(&a->s->ctx->a, p, err);

    if (rc == FILEPROC_OK)
        rc = need_state(a, p, err);
    if (rc < 0)
        return rc;
    if (a->s->unsigned_payload) {
        memcpy(hash, FPI_S3_UNSIGNED, sizeof(FPI_S3_UNSIGNED));
    } else {
        fpi_digest_value(&p->hash, value);
        fpi_hex(value, sizeof(value), hash);
    }
    slot.seq = p->seq;
    slot.hash = hash;
    return fpi_s3_stream_begin(a, &slot, &p->stream, err);
}

static fp_status end_stream(part *p, fp_error *err)
{
    fpi_s3_tag *tag = &p->tags[p->sent - p->first];

    tag->number = (uint32_t)p->sent + 1;
    return fpi_s3_stream_end(fpi_steal(&p->stream), tag->etag, err);
}

/* What there is of the slot goes on its way. A body that is signed must be known before; and a slot that can't become a whole one
 * has its place in the record. */
static fp_status send_some(fpi_s3_assembly *a, part *p, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    if (!p->slot_size || p->slot_room < p->unit ||
        (!a->s->unsigned_payload && p->slot_size < p->unit))
        return FILEPROC_OK;
    if (!p->stream)
        rc = begin_stream(a, p, err);
    if (rc < 0 || fpi_s3_stream_feed(p->stream, p->slot_size) || p->slot_size == p->unit)
        return rc;
    return end_stream(p, err); /* which tells why it has ended before its time */
}

static fp_status send_slot(fpi_s3_assembly *a, part *p, fp_error *err)
{
    fp_status rc = send_some(a, p, err);

    if (rc == FILEPROC_OK)
        rc = end_stream(p, err);
    if (rc < 0)
        return rc;
    p->sent++;
    p->slot_size = 0;
    return FILEPROC_OK;
}

static fp_status take_head(fpi_s3_store *s, part *p, const unsigned char **at, size_t *size,
                           fp_error *err)
{
    uint64_t room = head_end(p) - p->taken;
    size_t n = *size < room ? *size : (size_t)room;
    fp_status rc = need_head(&s->ctx->a, p, err);

    if (rc < 0)
        return rc;
    memcpy(p->head + (p->taken - p->offset), *at, n);
    p->taken += n;
    *at += n;
    *size -= n;
    return FILEPROC_OK;
}

static fp_status take_slot(fpi_s3_store *s, part *p, const unsigned char **at, size_t *size,
                           fp_error *err)
{
    size_t n;
    fp_status rc = need_slot(s, p, err);

    if (rc < 0)
        return rc;
    n = *size < p->slot_room - p->slot_size ? *size : p->slot_room - p->slot_size;
    memcpy(p->slot + p->slot_size, *at, n);
    if (p->slot_room == p->unit && !s->unsigned_payload) /* it can become a whole one */
        fpi_digest_update(&p->hash, *at, n);
    p->slot_size += n;
    p->taken += n;
    *at += n;
    *size -= n;
    return FILEPROC_OK;
}

fp_status fpi_s3_part_write(void *self, void *assembly, void *handle, uint64_t offset,
                            const void *data, size_t size, fp_error *err)
{
    fpi_s3_store *s = self;
    part *p = handle;
    size_t skip = (size_t)(p->taken - offset); /* of a call made again */
    const unsigned char *at = (const unsigned char *)data + skip;
    fp_status rc = FILEPROC_OK;

    size -= skip;
    if (p->taken + size > FPI_S3_PARTS_MAX * p->unit)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_SIZE_TOO_LARGE,
                                "an object of %u parts of %llu bytes has no room for this; "
                                "part_size must be larger",
                                FPI_S3_PARTS_MAX, (unsigned long long)p->unit);
    while (rc == FILEPROC_OK && size) {
        if (p->slot_size == p->unit)
            rc = send_slot(assembly, p, err);
        else if (p->taken < head_end(p))
            rc = take_head(s, p, &at, &size, err);
        else
            rc = take_slot(s, p, &at, &size, err);
    }
    return rc < 0 ? rc : send_some(assembly, p, err);
}

/* Bytes before the first boundary that are taken. */
static size_t head_size(const part *p)
{
    uint64_t end = head_end(p);

    return (size_t)((end < p->taken ? end : p->taken) - p->offset);
}

static fp_status record_name(const fpi_s3_assembly *a, const part *p, const fp_part_info *info,
                             char **name, fp_error *err)
{
    fpi_s3_record r = { .info = *info, .seq = p->seq };
    char tail[FPI_S3_RECORD_SIZE];

    if (p->sent > p->first)
        fpi_s3_slot_check(p->tags, (size_t)(p->sent - p->first), r.check);
    fpi_s3_record_format(&r, tail);
    return fpi_s3_staged_name(a->s, a->id, 'r', tail, name, err);
}

/* The record and what is left of the bytes arrive together or not at all. Two names, one for each of its pieces. */
static fp_status put_record(fpi_s3_assembly *a, const part *p, const fp_part_info *info,
                            char *names[2], fp_error *err)
{
    const fpi_http_piece pieces[] = { { p->head, head_size(p) }, { p->slot, p->slot_size } };
    fp_status rc = record_name(a, p, info, &names[0], err);

    if (rc < 0)
        return rc;
    names[1] = fpi_strdup(&a->s->ctx->a, names[0]);
    if (!names[1])
        return fpi_no_memory(err);
    return fpi_s3_put(a->s, names[0], pieces, 2, NULL, false, NULL, err);
}

/* With the lock held, after a promise. */
static void add_part(fpi_s3_assembly *a, part *p, char *names[2], bool in_memory)
{
    size_t head = head_size(p);
    fpi_s3_piece first = { .offset = p->offset, .length = head };
    fpi_s3_piece last = { .offset = p->sent * p->unit, .length = p->slot_size, .at = head };

    fpi_s3_take_back(a);
    if (first.length) {
        first.name = fpi_steal(&names[0]);
        first.bytes = in_memory ? fpi_steal(&p->head) : NULL;
        fpi_s3_add_piece(a, &first);
    }
    if (last.length) {
        last.name = fpi_steal(&names[1]);
        last.bytes = in_memory ? fpi_steal(&p->slot) : NULL;
        fpi_s3_add_piece(a, &last);
    }
    for (uint64_t i = p->first; i < p->sent; i++)
        a->slots[i] = (fpi_s3_slot){ .tag = p->tags[i - p->first], .seq = p->seq };
    a->has_slots = a->has_slots || p->sent > p->first;
}

fp_status fpi_s3_part_commit(void *self, void *assembly, void *handle, const fp_part_info *info,
                             fp_error *err)
{
    fpi_s3_store *s = self;
    fpi_s3_assembly *a = assembly;
    part *p = handle;
    char *names[2] = { NULL, NULL };
    bool in_memory;
    fp_status rc = p->slot_size == p->unit ? send_slot(a, p, err) : FILEPROC_OK;

    if (rc < 0)
        return rc;
    fpi_s3_stream_drop(fpi_steal(&p->stream)); /* fewer bytes came than were announced */
    pthread_mutex_lock(&a->lock);
    need_seq(a, p);
    in_memory = a->transient && a->held + head_size(p) + p->slot_size <= p->unit;
    a->stored = a->stored || !in_memory;
    rc = fpi_s3_promise(a, p->sent > p->first ? (size_t)p->sent : 0, err);
    pthread_mutex_unlock(&a->lock);
    if (rc < 0)
        return rc;
    if (!in_memory)
        rc = put_record(a, p, info, names, err);
    pthread_mutex_lock(&a->lock);
    if (rc == FILEPROC_OK)
        add_part(a, p, names, in_memory);
    else
        fpi_s3_take_back(a);
    pthread_mutex_unlock(&a->lock);
    fpi_free(&s->ctx->a, names[0]);
    fpi_free(&s->ctx->a, names[1]);
    return rc;
}

void fpi_s3_part_free(void *self, void *assembly, void *handle)
{
    fpi_s3_store *s = self;
    const fp_allocator *a = &s->ctx->a;
    part *p = handle;

    (void)assembly;
    fpi_s3_stream_drop(p->stream);
    fpi_free(a, p->head);
    if (p->slot && p->slot_room == s->unit)
        give_spare(s, p->slot);
    else
        fpi_free(a, p->slot);
    fpi_free(a, p->tags);
    fpi_free(a, p);
}
