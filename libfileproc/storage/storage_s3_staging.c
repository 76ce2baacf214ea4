/* Owns: what the s3 driver knows of an assembly: pieces, slots, names, the state of its upload.
 * Must not know: parts that are being written, publication. */
#include <stdio.h>
#include <string.h>

#include "core/digest.h"
#include "core/hex.h"
#include "storage/storage_s3_private.h"

fp_status fpi_s3_staged_name(const fpi_s3_store *s, const char *id, char kind, const char *tail,
                             char **out, fp_error *err)
{
    char middle[sizeof(FPI_S3_STAGED) + FPI_KEY_SEGMENT_MAX + 3];

    snprintf(middle, sizeof(middle), FPI_S3_STAGED "%s%c%c", id, FPI_S3_ID_END, kind);
    return fpi_s3_name(s, middle, tail, out, err);
}

fp_status fpi_s3_slot_name(const fpi_s3_assembly *a, uint64_t slot, uint32_t seq, char **out,
                           fp_error *err)
{
    char tail[32];

    snprintf(tail, sizeof(tail), "%04llx.%08x", (unsigned long long)slot, seq);
    return fpi_s3_staged_name(a->s, a->id, 's', tail, out, err);
}

void fpi_s3_whole_slots(uint64_t unit, uint64_t offset, uint64_t length, uint64_t *first,
                        uint64_t *count)
{
    uint64_t end = (offset + length) / unit;

    *first = offset / unit + (offset % unit != 0);
    *count = end > *first ? end - *first : 0;
}

void fpi_s3_slot_check(const fpi_s3_tag *tags, size_t count, char out[33])
{
    unsigned char value[FPI_DIGEST_MAX];
    fpi_digest d;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    for (size_t i = 0; i < count; i++)
        fpi_digest_update(&d, tags[i].etag, strlen(tags[i].etag) + 1);
    fpi_digest_value(&d, value);
    fpi_hex(value, 16, out);
}

static fp_status promise_slots(fpi_s3_assembly *a, size_t count, fp_error *err)
{
    size_t capacity = a->slot_count ? a->slot_count * 2 : 16;
    fpi_s3_slot *slots;

    if (count <= a->slot_count)
        return FILEPROC_OK;
    capacity = capacity < count ? count : capacity;
    slots = fpi_realloc(&a->s->ctx->a, a->slots, capacity, sizeof(*slots));
    if (!slots)
        return fpi_no_memory(err);
    memset(slots + a->slot_count, 0, (capacity - a->slot_count) * sizeof(*slots));
    a->slots = slots;
    a->slot_count = capacity;
    return FILEPROC_OK;
}

fp_status fpi_s3_promise(fpi_s3_assembly *a, size_t slots, fp_error *err)
{
    size_t wanted = a->piece_count + a->piece_promised + 2;
    size_t capacity = a->piece_capacity ? a->piece_capacity * 2 : 8;
    fp_status rc = promise_slots(a, slots, err);
    fpi_s3_piece *pieces;

    if (rc < 0)
        return rc;
    if (wanted > a->piece_capacity) {
        capacity = capacity < wanted ? wanted : capacity;
        pieces = fpi_realloc(&a->s->ctx->a, a->pieces, capacity, sizeof(*pieces));
        if (!pieces)
            return fpi_no_memory(err);
        a->pieces = pieces;
        a->piece_capacity = capacity;
    }
    a->piece_promised += 2;
    return FILEPROC_OK;
}

void fpi_s3_take_back(fpi_s3_assembly *a)
{
    a->piece_promised -= 2;
}

/* How many pieces begin at or before offset. */
static size_t pieces_until(const fpi_s3_assembly *a, uint64_t offset)
{
    size_t low = 0, high = a->piece_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (a->pieces[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fpi_s3_add_piece(fpi_s3_assembly *a, const fpi_s3_piece *p)
{
    size_t place = pieces_until(a, p->offset);

    memmove(a->pieces + place + 1, a->pieces + place,
            (a->piece_count - place) * sizeof(*a->pieces));
    a->pieces[place] = *p;
    a->piece_count++;
    a->held += p->bytes ? p->length : 0;
}

static bool has_slot(const fpi_s3_assembly *a, uint64_t slot)
{
    return slot < a->slot_count && a->slots[slot].tag.number;
}

/* Where something begins behind offset, which nothing covers; false: nowhere. */
static bool next_begin(const fpi_s3_assembly *a, uint64_t offset, uint64_t *begin)
{
    size_t place = pieces_until(a, offset);
    bool found = place < a->piece_count;
    uint64_t unit = a->state.unit;

    *begin = found ? a->pieces[place].offset : 0;
    for (uint64_t i = a->has_slots ? offset / unit + 1 : a->slot_count; i < a->slot_count; i++)
        if (has_slot(a, i)) {
            *begin = !found || i * unit < *begin ? i * unit : *begin;
            return true;
        }
    return found;
}

/* A stretch of bytes that stand together. */
typedef struct stretch {
    uint64_t length, at;        /* from where the caller wanted it */
    const unsigned char *bytes; /* in memory */
    char *name;                 /* in this object; new memory */
    bool hole;                  /* nobody wrote here */
} stretch;

static fp_status find_slot(fpi_s3_assembly *a, uint64_t offset, stretch *out, fp_error *err)
{
    uint64_t slot = offset / a->state.unit, at = offset % a->state.unit;

    if (!a->state.copying)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP,
                             "parts of a multipart upload can't be read before it is published");
    *out = (stretch){ .length = a->state.unit - at, .at = at };
    return fpi_s3_slot_name(a, slot, a->slots[slot].seq, &out->name, err);
}

/* length 0: there is nothing from here on. */
static fp_status find_stretch(fpi_s3_assembly *a, uint64_t offset, stretch *out, fp_error *err)
{
    size_t place = pieces_until(a, offset);
    const fpi_s3_piece *p = place ? &a->pieces[place - 1] : NULL;
    uint64_t begin;

    *out = (stretch){ 0 };
    if (p && offset - p->offset < p->length) {
        *out = (stretch){ .length = p->length - (offset - p->offset),
                          .at = p->at + (offset - p->offset),
                          .bytes = p->bytes ? p->bytes + (offset - p->offset) : NULL };
        if (p->name && !(out->name = fpi_strdup(&a->s->ctx->a, p->name)))
            return fpi_no_memory(err);
        return FILEPROC_OK;
    }
    if (a->has_slots && has_slot(a, offset / a->state.unit))
        return find_slot(a, offset, out, err);
    if (next_begin(a, offset, &begin))
        *out = (stretch){ .length = begin - offset, .hole = true };
    return FILEPROC_OK;
}

static fp_status read_stretch(fpi_s3_assembly *a, const stretch *w, unsigned char *buf, size_t n,
                              fp_error *err)
{
    size_t got = 0;
    fp_status rc = FILEPROC_OK;

    if (w->bytes)
        memcpy(buf, w->bytes, n);
    else if (w->hole)
        memset(buf, 0, n);
    else
        rc = fpi_s3_read_name(a->s, w->name, w->at, buf, n, &got, err);
    if (rc == FILEPROC_OK && w->name && got < n)
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
    return rc;
}

fp_status fpi_s3_staged_read(fpi_s3_assembly *a, uint64_t offset, void *buf, size_t cap,
                             size_t *got, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    size_t done = 0;

    while (rc == FILEPROC_OK && done < cap) {
        stretch w;
        size_t n;

        pthread_mutex_lock(&a->lock);
        rc = find_stretch(a, offset + done, &w, err);
        pthread_mutex_unlock(&a->lock);
        if (rc < 0 || w.length == 0)
            break;
        n = w.length < cap - done ? (size_t)w.length : cap - done;
        rc = read_stretch(a, &w, (unsigned char *)buf + done, n, err);
        fpi_free(&a->s->ctx->a, w.name);
        done += n;
    }
    if (rc == FILEPROC_OK)
        *got = done;
    return rc;
}

fp_status fpi_s3_state_load(fpi_s3_store *s, const char *id, fpi_s3_state *st, fp_error *err)
{
    char text[sizeof(fpi_s3_state) + 128], *name = NULL;
    size_t got = 0;
    fp_status rc = fpi_s3_staged_name(s, id, 'u', "", &name, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_read_name(s, name, 0, text, sizeof(text), &got, err);
    fpi_free(&s->ctx->a, name);
    return rc < 0 ? rc : fpi_s3_state_parse(text, got, st, err);
}

fp_status fpi_s3_state_save(fpi_s3_assembly *a, const fpi_s3_state *st, bool exclusive,
                            fp_error *err)
{
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    fpi_http_piece piece;
    char *name = NULL;
    fp_status rc = fpi_s3_state_format(a->s->ctx, st, &text, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_staged_name(a->s, a->id, 'u', "", &name, err);
    piece = (fpi_http_piece){ text.data, text.size };
    if (rc == FILEPROC_OK)
        rc = fpi_s3_put(a->s, name, &piece, 1, NULL, exclusive, NULL, err);
    fpi_free(&a->s->ctx->a, name);
    return rc;
}

static fp_status begin_upload(fpi_s3_assembly *a, fpi_s3_state *st, fp_error *err)
{
    char *name = NULL;
    fp_status rc = fpi_s3_name(a->s, st->key, "", &name, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_create(a->s, name, a->id, st->upload, err);
    fpi_free(&a->s->ctx->a, name);
    return rc;
}

static fp_status drop_upload(fpi_s3_assembly *a, const fpi_s3_state *st, fp_error *err)
{
    char *name = NULL;
    fp_status rc = st->upload[0] ? fpi_s3_name(a->s, st->key, "", &name, err) : FILEPROC_OK;

    if (rc == FILEPROC_OK && name)
        rc = fpi_s3_multipart_abort(a->s, name, st->upload, err);
    fpi_free(&a->s->ctx->a, name);
    return rc;
}

/* Somebody else was first, or we were and the answer was lost. What is stored holds. */
static fp_status use_stored(fpi_s3_assembly *a, const fpi_s3_state *ours, fpi_s3_state *theirs,
                            fp_error *err)
{
    fp_status rc = fpi_s3_state_load(a->s, a->id, theirs, err);

    if (rc == FILEPROC_OK && strcmp(ours->upload, theirs->upload) != 0)
        rc = drop_upload(a, ours, err);
    return rc;
}

fp_status fpi_s3_need_state(fpi_s3_assembly *a, fp_error *err)
{
    fpi_s3_state *st;
    fp_error ours = { 0 };
    fp_status rc = FILEPROC_OK;

    if (a->has_state)
        return FILEPROC_OK;
    st = fpi_calloc(&a->s->ctx->a, 2, sizeof(*st));
    if (!st)
        return fpi_no_memory(err);
    st->unit = a->s->unit;
    st->copying = !a->key[0];
    memcpy(st->key, a->key, sizeof(st->key));
    a->stored = true;
    if (!st->copying)
        rc = begin_upload(a, st, err);
    if (rc == FILEPROC_OK) {
        rc = fpi_s3_state_save(a, st, true, &ours);
        if (rc == FILEPROC_ERR_EXISTS)
            rc = use_stored(a, st, &st[1], err);
        else if (rc == FILEPROC_OK)
            st[1] = st[0];
        else if (err)
            *err = ours;
    }
    if (rc == FILEPROC_OK) {
        a->state = st[1];
        a->has_state = true;
    }
    fpi_free(&a->s->ctx->a, st);
    return rc;
}
