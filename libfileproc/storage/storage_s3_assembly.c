/* Owns: opening an assembly from what the server lists, closing it, reading and discarding what is staged.
 * Must not know: parts that are being written, publication. */
#include <stdlib.h>
#include <string.h>

#include "storage/storage_s3_private.h"

typedef fp_status (*on_part_fn)(void *user_data, const fp_part_info *part, fp_error *err);

/* A slot that is an object, as its name tells. */
typedef struct slot_object {
    uint64_t slot;
    uint32_t seq;
    char etag[FPI_S3_ETAG_SIZE];
} slot_object;

/* What is found under an id. */
typedef struct found {
    const fp_context *ctx;
    const char *id;
    size_t names;
    bool state, published;
    fpi_s3_record *records; /* in the order of their numbers, which is that of their commits */
    size_t record_count, record_capacity;
    slot_object *objects;
    size_t object_count, object_capacity;
    fpi_s3_tag *tags; /* of the upload: part i + 1 at [i] */
} found;

static void found_dispose(found *f)
{
    fpi_free(&f->ctx->a, f->records);
    fpi_free(&f->ctx->a, f->objects);
    fpi_free(&f->ctx->a, f->tags);
}
FPI_DEFINE_DISPOSE(found, found_dispose)

static fp_status add_record(found *f, const char *text, fp_error *err)
{
    fpi_s3_record *records = f->records, r;
    size_t capacity = f->record_capacity ? f->record_capacity * 2 : 16;

    if (!fpi_s3_record_parse(text, &r))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the record of a part is damaged");
    if (f->record_count == f->record_capacity) {
        records = fpi_realloc(&f->ctx->a, records, capacity, sizeof(*records));
        if (!records)
            return fpi_no_memory(err);
        f->records = records;
        f->record_capacity = capacity;
    }
    records[f->record_count++] = r;
    return FILEPROC_OK;
}

static fp_status add_object(found *f, const char *text, const char *etag, fp_error *err)
{
    slot_object *objects = f->objects, o = { 0 };
    size_t capacity = f->object_capacity ? f->object_capacity * 2 : 16;
    char *end;

    o.slot = strtoull(text, &end, 16);
    if (*end != '.' || o.slot >= FPI_S3_PARTS_MAX || strlen(etag) >= sizeof(o.etag))
        return FILEPROC_OK; /* none of ours */
    o.seq = (uint32_t)strtoul(end + 1, NULL, 16);
    memcpy(o.etag, etag, strlen(etag) + 1);
    if (f->object_count == f->object_capacity) {
        objects = fpi_realloc(&f->ctx->a, objects, capacity, sizeof(*objects));
        if (!objects)
            return fpi_no_memory(err);
        f->objects = objects;
        f->object_capacity = capacity;
    }
    objects[f->object_count++] = o;
    return FILEPROC_OK;
}

static fp_status on_name(void *user_data, const fpi_s3_listed *e, fp_error *err)
{
    found *f = user_data;
    const char *tail = e->key + strlen(FPI_S3_STAGED) + strlen(f->id) + 1;

    f->names++;
    switch (*tail) {
    case 'r':
        return add_record(f, tail + 1, err);
    case 's':
        return add_object(f, tail + 1, e->etag, err);
    case 'u':
        f->state = true;
        break;
    case 'z':
        f->published = true;
        break;
    default:
        break;
    }
    return FILEPROC_OK;
}

static fp_status look(fpi_s3_store *s, const char *id, fpi_s3_listed_fn fn, void *user_data,
                      fp_error *err)
{
    char *begin = fpi_printf(&s->ctx->a, FPI_S3_STAGED "%s%c", id, FPI_S3_ID_END);
    fp_status rc;

    if (!begin)
        return fpi_no_memory(err);
    rc = fpi_s3_list_names(s, begin, "", 1000, fn, user_data, err);
    fpi_free(&s->ctx->a, begin);
    return rc;
}

static fp_status on_tag(void *user_data, const fpi_s3_tag *tag, uint64_t size, fp_error *err)
{
    found *f = user_data;

    (void)size;
    (void)err;
    f->tags[tag->number - 1] = *tag;
    return FILEPROC_OK;
}

static bool needs_upload(const fpi_s3_assembly *a, const found *f)
{
    for (size_t i = 0; i < f->record_count; i++)
        if (f->records[i].check[0] && !a->state.copying)
            return true;
    return false;
}

/* The upload is gone: by a publication, whose mark could not be written any more, or somebody has aborted it. */
static fp_status without_upload(fpi_s3_assembly *a, const found *f, fp_error *err)
{
    fpi_s3_call call = { 0 };
    char *name = NULL;
    fp_status rc = fpi_s3_name(a->s, a->state.key, "", &name, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_head(a->s, name, &call, err);
    fpi_free(&a->s->ctx->a, name);
    if (rc < 0 && rc != FILEPROC_ERR_NOTFOUND)
        return rc;
    if ((rc == FILEPROC_OK && strcmp(call.assembly, a->id) == 0) || needs_upload(a, f))
        a->published = true;
    else
        a->state.upload[0] = '\0'; /* its parts were copies: they can be made again */
    return FILEPROC_OK;
}

static fp_status load_upload(fpi_s3_assembly *a, found *f, fp_error *err)
{
    fp_error ours = { 0 };
    char *name = NULL;
    fp_status rc = fpi_s3_state_load(a->s, a->id, &a->state, err);

    a->has_state = rc == FILEPROC_OK;
    if (rc < 0 || !a->state.upload[0] || a->published)
        return rc;
    f->tags = fpi_calloc(&a->s->ctx->a, FPI_S3_PARTS_MAX, sizeof(*f->tags));
    if (!f->tags)
        return fpi_no_memory(err);
    rc = fpi_s3_name(a->s, a->state.key, "", &name, &ours);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_list(a->s, name, a->state.upload, on_tag, f, &ours);
    fpi_free(&a->s->ctx->a, name);
    if (rc == FILEPROC_ERR_NOTFOUND)
        return without_upload(a, f, err);
    if (rc < 0 && err)
        *err = ours;
    return rc;
}

/* What the server has for a slot of this record. */
static const char *stored_etag(const fpi_s3_assembly *a, const found *f, uint64_t slot,
                               uint32_t seq)
{
    if (!a->state.copying)
        return f->tags && f->tags[slot].number ? f->tags[slot].etag : NULL;
    for (size_t i = 0; i < f->object_count; i++)
        if (f->objects[i].slot == slot && f->objects[i].seq == seq)
            return f->objects[i].etag;
    return NULL;
}

static fp_status gone(fp_error *err)
{
    return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "bytes of committed parts are gone");
}

/* After a promise. */
static fp_status fill_tags(fpi_s3_assembly *a, const found *f, const fpi_s3_record *r,
                           uint64_t first, uint64_t count, fpi_s3_tag *tags, fp_error *err)
{
    char check[33];

    for (uint64_t i = 0; i < count; i++) {
        const char *etag = stored_etag(a, f, first + i, r->seq);

        if (!etag)
            return gone(err);
        memcpy(tags[i].etag, etag, strlen(etag) + 1);
        tags[i].number = (uint32_t)(first + i) + 1;
        a->slots[first + i] = (fpi_s3_slot){ .tag = tags[i], .seq = r->seq };
    }
    if (r->info.flags & FILEPROC_PART_ADOPTED)
        a->slots[first + count - 1].length = r->info.length % a->state.unit;
    fpi_s3_slot_check(tags, (size_t)count, check);
    return strcmp(check, r->check) == 0 ? FILEPROC_OK : gone(err);
}

static fp_status take_slots(fpi_s3_assembly *a, const found *f, const fpi_s3_record *r,
                            uint64_t first, uint64_t count, fp_error *err)
{
    fpi_s3_tag *tags = fpi_calloc(&a->s->ctx->a, (size_t)count, sizeof(*tags));
    fp_status rc;

    if (!tags)
        return fpi_no_memory(err);
    a->has_slots = true;
    rc = fill_tags(a, f, r, first, count, tags, err);
    fpi_free(&a->s->ctx->a, tags);
    return rc;
}

static fp_status take_piece(fpi_s3_assembly *a, const fpi_s3_record *r, uint64_t offset,
                            uint64_t length, fp_error *err)
{
    fpi_s3_piece p = { .offset = offset, .length = length };
    char tail[FPI_S3_RECORD_SIZE];
    fp_status rc;

    if (!length)
        return FILEPROC_OK;
    p.at = offset == r->info.offset ? 0 : a->state.unit - r->info.offset % a->state.unit;
    if (p.at == a->state.unit &&
        a->state.unit) /* the part begins at a slot: nothing stands before its end */
        p.at = 0;
    fpi_s3_record_format(r, tail);
    rc = fpi_s3_staged_name(a->s, a->id, 'r', tail, &p.name, err);
    if (rc == FILEPROC_OK)
        fpi_s3_add_piece(a, &p);
    return rc;
}

static fp_status take_record(fpi_s3_assembly *a, const found *f, const fpi_s3_record *r,
                             fp_error *err)
{
    uint64_t end = r->info.offset + r->info.length, first = 0, count = 0;
    fp_status rc;

    if (a->published) /* its bytes are needed no more */
        return FILEPROC_OK;
    if (r->check[0] && !a->has_state)
        return gone(err);
    if (r->info.flags & FILEPROC_PART_ADOPTED) {
        first = r->info.offset / a->state.unit;
        count = (r->info.length + a->state.unit - 1) / a->state.unit;
    } else if (r->check[0])
        fpi_s3_whole_slots(a->state.unit, r->info.offset, r->info.length, &first, &count);
    if (r->check[0] && (count == 0 || first + count > FPI_S3_PARTS_MAX))
        return fp_error_setf(err, FILEPROC_ERR_CORRUPT, "the record of a part is damaged");
    rc = fpi_s3_promise(a, (size_t)(first + count), err);
    if (rc < 0)
        return rc;
    fpi_s3_take_back(a);
    if (r->info.flags & FILEPROC_PART_ADOPTED)
        return take_slots(a, f, r, first, count, err);
    if (!count)
        return take_piece(a, r, r->info.offset, r->info.length, err);
    rc = take_piece(a, r, r->info.offset, first * a->state.unit - r->info.offset, err);
    if (rc == FILEPROC_OK)
        rc = take_piece(a, r, (first + count) * a->state.unit,
                        end - (first + count) * a->state.unit, err);
    return rc < 0 ? rc : take_slots(a, f, r, first, count, err);
}

static int compare_ranges(const void *a, const void *b)
{
    const fpi_s3_record *x = *(fpi_s3_record *const *)a, *y = *(fpi_s3_record *const *)b;

    if (x->info.offset != y->info.offset)
        return x->info.offset < y->info.offset ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* The same part committed twice, by a call whose first answer was lost to a process that died. The first one counts. */
static fp_status mark_repeated(found *f, fp_error *err)
{
    fpi_s3_record **sorted;

    if (f->record_count < 2)
        return FILEPROC_OK;
    sorted = fpi_calloc(&f->ctx->a, f->record_count, sizeof(fpi_s3_record *));
    if (!sorted)
        return fpi_no_memory(err);
    for (size_t i = 0; i < f->record_count; i++)
        sorted[i] = &f->records[i];
    qsort(sorted, f->record_count, sizeof(fpi_s3_record *), compare_ranges);
    for (size_t i = 1; i < f->record_count; i++)
        sorted[i]->repeated = sorted[i]->info.offset == sorted[i - 1]->info.offset &&
                              sorted[i]->info.length == sorted[i - 1]->info.length &&
                              sorted[i]->info.crc32c == sorted[i - 1]->info.crc32c;
    fpi_free(&f->ctx->a, sorted);
    return FILEPROC_OK;
}

static fp_status load(fpi_s3_assembly *a, found *f, uint32_t flags, on_part_fn on_part,
                      void *user_data, fp_error *err)
{
    fp_status rc = look(a->s, a->id, on_name, f, err);

    if (rc == FILEPROC_OK && !f->names && !(flags & FILEPROC_ASSEMBLY_CREATE))
        return fpi_object_not_found(err);
    a->published = f->published;
    a->stored = f->names > 0;
    if (rc == FILEPROC_OK && f->state)
        rc = load_upload(a, f, err);
    if (rc == FILEPROC_OK)
        rc = mark_repeated(f, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < f->record_count; i++) {
        const fpi_s3_record *r = &f->records[i];

        if (r->seq >= a->next_seq)
            a->next_seq = r->seq + 1;
        if (r->repeated)
            continue;
        rc = on_part(user_data, &r->info, err);
        if (rc == FILEPROC_OK)
            rc = take_record(a, f, r, err);
    }
    /* What a dead process has left of parts without a record must not be taken for ours. */
    for (size_t i = 0; i < f->object_count; i++)
        if (f->objects[i].seq >= a->next_seq)
            a->next_seq = f->objects[i].seq + 1;
    return rc;
}

static void assembly_free(fpi_s3_assembly *a)
{
    const fp_allocator *alloc = &a->s->ctx->a;

    for (size_t i = 0; i < a->piece_count; i++) {
        fpi_free(alloc, a->pieces[i].bytes);
        fpi_free(alloc, a->pieces[i].name);
    }
    fpi_free(alloc, a->pieces);
    fpi_free(alloc, a->slots);
    pthread_mutex_destroy(&a->lock);
    fpi_free(alloc, a);
}

fp_status fpi_s3_assembly_open(void *self, const char *id, uint32_t flags, on_part_fn on_part,
                               void *user_data, void **assembly, fp_error *err)
{
    fpi_s3_store *s = self;
    FPI_DISPOSE(found) f = { .ctx = s->ctx, .id = id };
    fpi_s3_assembly *a = fpi_calloc(&s->ctx->a, 1, sizeof(*a));
    fp_status rc = FILEPROC_OK;

    if (!a)
        return fpi_no_memory(err);
    a->s = s;
    a->transient = (flags & FILEPROC_ASSEMBLY_TRANSIENT) != 0;
    memcpy(a->id, id, strlen(id) + 1);
    pthread_mutex_init(&a->lock, NULL);
    if (!a->transient)
        rc = load(a, &f, flags, on_part, user_data, err);
    if (rc == FILEPROC_OK)
        *assembly = a;
    else
        assembly_free(a);
    return rc;
}

void fpi_s3_assembly_close(void *self, void *assembly)
{
    fpi_s3_assembly *a = assembly;

    if (a->transient && a->stored && fpi_s3_discard(self, a->id, 0, NULL) < 0)
        fpi_log(a->s->ctx, FILEPROC_LOG_WARN, "storage", "s3: %s stays behind for the reaper",
                a->id);
    assembly_free(a);
}

fp_status fpi_s3_assembly_set_target(void *self, void *assembly, const char *key, uint64_t size,
                                     fp_part_info *whole, fp_error *err)
{
    fpi_s3_assembly *a = assembly;
    fp_status rc = FILEPROC_OK;

    (void)self;
    (void)size;
    (void)whole;
    pthread_mutex_lock(&a->lock);
    if (a->has_state && !a->state.copying && strcmp(a->state.key, key) != 0)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly was begun for another key");
    else
        memcpy(a->key, key, strlen(key) + 1);
    pthread_mutex_unlock(&a->lock);
    return rc;
}

fp_status fpi_s3_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                               size_t *got, uint32_t flags, fp_error *err)
{
    fpi_s3_assembly *a = assembly;
    bool published, stored;

    (void)self;
    (void)flags;
    pthread_mutex_lock(&a->lock);
    published = a->published;
    stored = a->stored || a->held;
    pthread_mutex_unlock(&a->lock);
    if (published || !stored)
        return fpi_object_not_found(err);
    return fpi_s3_staged_read(a, offset, buf, cap, got, err);
}
