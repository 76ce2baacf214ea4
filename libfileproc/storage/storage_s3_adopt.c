/* Owns: parts of the upload that others have sent straight to the server: telling of them, committing them.
 * Must not know: who they are. */
#include <string.h>

#include "storage/storage_s3_private.h"

/* The key and id of the upload do not change any more once they are there. */
static fp_status need_upload(fpi_s3_assembly *a, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&a->lock);
    if (a->published)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly is published");
    else if (!a->has_state || a->state.copying)
        rc = fp_error_setf(err, FILEPROC_ERR_CONFLICT, "the assembly has no upload of its key");
    pthread_mutex_unlock(&a->lock);
    return rc;
}

uint64_t fpi_s3_assembly_part_size(void *self, void *assembly)
{
    const fpi_s3_store *s = self;
    fpi_s3_assembly *a = assembly;
    uint64_t unit;

    pthread_mutex_lock(&a->lock);
    unit = a->has_state ? a->state.unit : s->unit;
    pthread_mutex_unlock(&a->lock);
    return unit;
}

typedef fp_status (*on_tag_fn)(void *user_data, const fpi_s3_tag *tag, uint64_t size,
                               fp_error *err);

static fp_status list_upload(const fpi_s3_assembly *a, on_tag_fn fn, void *user_data, fp_error *err)
{
    char *name = NULL;
    fp_status rc = fpi_s3_name(a->s, a->state.key, "", &name, err);

    if (rc == FILEPROC_OK)
        rc = fpi_s3_multipart_list(a->s, name, a->state.upload, fn, user_data, err);
    fpi_free(&a->s->ctx->a, name);
    return rc;
}

typedef struct telling {
    uint64_t unit;
    fp_written_fn fn;
    void *user_data;
} telling;

static fp_status tell(void *user_data, const fpi_s3_tag *tag, uint64_t size, fp_error *err)
{
    const telling *t = user_data;

    return t->fn(t->user_data, (tag->number - 1) * t->unit, size, tag->etag, err);
}

fp_status fpi_s3_assembly_written(void *self, void *assembly, fp_written_fn fn, void *user_data,
                                  fp_error *err)
{
    fpi_s3_assembly *a = assembly;
    telling t = { .fn = fn, .user_data = user_data };
    fp_error ours = { 0 };
    fp_status rc = need_upload(a, &ours);

    (void)self;
    if (rc == FILEPROC_ERR_CONFLICT) /* then nobody was given an address */
        return FILEPROC_OK;
    t.unit = a->state.unit;
    return list_upload(a, tell, &t, err);
}

/* What is to be adopted, and what the server has of it. */
typedef struct adoption {
    const fpi_s3_assembly *a;
    const char *const *etags;
    uint64_t first, count; /* slots */
    uint64_t last_size;
    fpi_s3_tag *tags; /* as the server tells them: of the slots that are as they should be */
} adoption;

static fp_status match(void *user_data, const fpi_s3_tag *tag, uint64_t size, fp_error *err)
{
    adoption *ad = user_data;
    uint64_t place = tag->number - 1 - ad->first;

    (void)err;
    if (tag->number - 1 >= ad->first && place < ad->count &&
        size == (place + 1 < ad->count ? ad->a->state.unit : ad->last_size) &&
        fpi_etag_same(tag->etag, ad->etags[place]))
        ad->tags[place] = *tag;
    return FILEPROC_OK;
}

static fp_status find_slots(adoption *ad, fp_error *err)
{
    fp_status rc = list_upload(ad->a, match, ad, err);

    for (uint64_t i = 0; rc == FILEPROC_OK && i < ad->count; i++)
        if (!ad->tags[i].number)
            rc = fp_error_setf(err, FILEPROC_ERR_INVALID,
                               "part %llu is not at the server, or it is another one",
                               (unsigned long long)(ad->first + i) + 1);
    return rc;
}

static fp_status plan(adoption *ad, const fp_part_info *info, size_t etag_count, fp_error *err)
{
    uint64_t unit = ad->a->state.unit;

    ad->first = info->offset / unit;
    ad->count = (info->length + unit - 1) / unit;
    ad->last_size = info->length - (ad->count - 1) * unit;
    if (info->offset % unit || ad->count != etag_count || ad->first + ad->count > FPI_S3_PARTS_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "parts of %llu bytes begin at multiples of that, with an ETag each",
                             (unsigned long long)unit);
    ad->tags = fpi_calloc(&ad->a->s->ctx->a, (size_t)ad->count, sizeof(*ad->tags));
    return ad->tags ? FILEPROC_OK : fpi_no_memory(err);
}

static fp_status put_record(const adoption *ad, const fp_part_info *info, uint32_t seq,
                            fp_error *err)
{
    fpi_s3_record r = { .info = *info, .seq = seq };
    char tail[FPI_S3_RECORD_SIZE], *name = NULL;
    fp_status rc;

    fpi_s3_slot_check(ad->tags, (size_t)ad->count, r.check);
    fpi_s3_record_format(&r, tail);
    rc = fpi_s3_staged_name(ad->a->s, ad->a->id, 'r', tail, &name, err);
    if (rc == FILEPROC_OK)
        rc = fpi_s3_put(ad->a->s, name, NULL, 0, NULL, false, NULL, err);
    fpi_free(&ad->a->s->ctx->a, name);
    return rc;
}

static fp_status commit(fpi_s3_assembly *a, const adoption *ad, const fp_part_info *info,
                        fp_error *err)
{
    uint32_t seq;
    fp_status rc;

    pthread_mutex_lock(&a->lock);
    seq = a->next_seq++;
    rc = fpi_s3_promise(a, (size_t)(ad->first + ad->count), err);
    pthread_mutex_unlock(&a->lock);
    if (rc < 0)
        return rc;
    rc = put_record(ad, info, seq, err);
    pthread_mutex_lock(&a->lock);
    fpi_s3_take_back(a);
    for (uint64_t i = 0; rc == FILEPROC_OK && i < ad->count; i++)
        a->slots[ad->first + i] = (fpi_s3_slot){ .tag = ad->tags[i], .seq = seq };
    if (rc == FILEPROC_OK) {
        a->slots[ad->first + ad->count - 1].length = info->length % a->state.unit;
        a->has_slots = a->stored = true;
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

fp_status fpi_s3_assembly_adopt(void *self, void *assembly, const char *const *etags,
                                size_t etag_count, const fp_part_info *info, fp_error *err)
{
    fpi_s3_store *s = self;
    fpi_s3_assembly *a = assembly;
    adoption ad = { .a = a, .etags = etags };
    fp_status rc = need_upload(a, err);

    if (rc == FILEPROC_OK)
        rc = plan(&ad, info, etag_count, err);
    if (rc == FILEPROC_OK)
        rc = find_slots(&ad, err);
    if (rc == FILEPROC_OK)
        rc = commit(a, &ad, info, err);
    fpi_free(&s->ctx->a, ad.tags);
    return rc;
}
