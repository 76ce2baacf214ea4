/* Owns: the beginning of an upload: what may be asked for, and the row that makes it durable.
 * Must not know: chunks. */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/media_type.h"
#include "core/options.h"
#include "upload/filename.h"
#include "upload/idempotency.h"
#include "upload/upload_concat.h"
#include "upload/upload_expiry.h"
#include "upload/upload_lease.h"
#include "upload/upload_reuse.h"
#include "upload/upload_verify.h"

#define OWNER_MAX 255u
#define METADATA_MAX (16u * 1024u)
#define NOTE_MAX (16u * 1024u)

static fp_status check_type(const fp_uploads *ups, const char *mime_type, bool partial,
                            char type[FPI_MEDIA_TYPE_SIZE], fp_error *err)
{
    if (!fpi_media_type_normalise(mime_type, type))
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_TYPE_NOT_ALLOWED,
                                "%.100s is no media type", mime_type);
    if (!partial && fpi_media_list_match(ups->allowed_types, type) == FPI_MEDIA_MATCH_NONE)
        return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_TYPE_NOT_ALLOWED,
                                "The type %.100s is not allowed", type);
    return FILEPROC_OK;
}

static fp_status check_owner(const char *owner, fp_error *err)
{
    size_t characters;

    if (owner && (strnlen(owner, OWNER_MAX + 1) > OWNER_MAX || !fpi_text_clean(owner, &characters)))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "The owner must be at most %u bytes of UTF-8 without control "
                             "characters",
                             OWNER_MAX);
    return FILEPROC_OK;
}

static fp_status metadata_invalid(fp_error *err, const char *why)
{
    return fp_error_reasonf(err, FILEPROC_ERR_INVALID, FILEPROC_REASON_METADATA_INVALID,
                            "The metadata %s", why);
}

static fp_status check_metadata(const char *metadata, fp_error *err)
{
    FPI_CLEANUP(json_t) parsed = NULL;
    fp_error e = { 0 };
    fp_status rc;

    if (!metadata)
        return FILEPROC_OK;
    if (strnlen(metadata, METADATA_MAX + 1) > METADATA_MAX)
        return metadata_invalid(err, "must have at most 16 KiB");
    rc = fpi_json_parse(metadata, strlen(metadata), "metadata", &parsed, &e);
    if (rc == FILEPROC_ERR_NOMEM)
        return fpi_no_memory(err);
    if (rc < 0 || !json_is_object(parsed))
        return metadata_invalid(err, "must be a JSON object");
    return FILEPROC_OK;
}

static fp_status check_note(const char *note, fp_error *err)
{
    size_t characters;

    if (note && (strnlen(note, NOTE_MAX + 1) > NOTE_MAX || !fpi_text_clean(note, &characters)))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "A note must be at most 16 KiB of UTF-8 without control characters");
    return FILEPROC_OK;
}

fp_status fpi_upload_check_size(const fp_uploads *ups, uint64_t size, fp_error *err)
{
    if (size > ups->max_file_size)
        return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_SIZE_TOO_LARGE,
                                "A file may have at most %llu bytes",
                                (unsigned long long)ups->max_file_size);
    return FILEPROC_OK;
}

/* Said before any byte comes. A store that doesn't know will say so when they do. */
fp_status fpi_upload_check_room(const fp_uploads *ups, uint64_t size, fp_error *err)
{
    uint64_t room = 0;

    if (!ups->min_free_bytes || fp_storage_room(ups->st, &room, NULL) < 0)
        return FILEPROC_OK;
    if (room >= ups->min_free_bytes && room - ups->min_free_bytes >= size)
        return FILEPROC_OK;
    return fp_error_reasonf(err, FILEPROC_ERR_QUOTA, FILEPROC_REASON_STORAGE_FULL,
                            "the store has room for %llu bytes, of which %llu are kept free",
                            (unsigned long long)room, (unsigned long long)ups->min_free_bytes);
}

/* A file so large that it would have more chunks than storage can keep account of gets larger ones. */
uint64_t fpi_upload_choose_chunk_size(const fp_uploads *ups, uint64_t size)
{
    uint64_t chunk_size = ups->chunk_size;

    while (fpi_upload_chunks(size, chunk_size) > FPI_UPLOAD_CHUNKS_MAX)
        chunk_size *= 2;
    return chunk_size;
}

/* An upload in the making; the texts that are not the caller's. */
typedef struct creation {
    fp_upload upload;
    char id[FPI_UUID_SIZE];
    char file_id[FPI_UUID_SIZE];
    char type[FPI_MEDIA_TYPE_SIZE];
    char sha256[2 * FPI_DIGEST_MAX + 1];
} creation;

static fp_status check_request(const fp_uploads *ups, const fp_upload_request *req, creation *c,
                               fp_error *err)
{
    fp_upload *u = &c->upload;
    fp_status rc;

    if (!req->filename || !req->mime_type)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "filename and mime_type are needed");
    rc = fpi_filename_clean(req->filename, &u->filename, err);
    if (rc == FILEPROC_OK)
        rc = check_type(ups, req->mime_type, (req->flags & FILEPROC_UPLOAD_PARTIAL) != 0, c->type,
                        err);
    if (rc == FILEPROC_OK)
        rc = check_owner(req->owner, err);
    if (rc == FILEPROC_OK)
        rc = check_metadata(req->metadata, err);
    if (rc == FILEPROC_OK)
        rc = check_note(req->note, err);
    if (rc == FILEPROC_OK && (req->size_unknown > 1 || (req->size_unknown && req->size)))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "size or size_unknown has no meaning");
    if (rc == FILEPROC_OK && req->sha256) {
        rc = fpi_verify_normalise(req->sha256, c->sha256, err);
        u->expected_sha256 = c->sha256;
    }
    if (rc == FILEPROC_OK)
        rc = fpi_upload_check_size(ups, req->size, err);
    return rc < 0 ? rc : fpi_upload_check_room(ups, req->size, err);
}

static fp_status make(const fp_uploads *ups, const fp_upload_request *req, creation *c,
                      fp_error *err)
{
    fp_upload *u = &c->upload;
    fp_status rc = fpi_uuid7(ups->ctx, c->id, err);

    if (rc == FILEPROC_OK)
        rc = fpi_uuid7(ups->ctx, c->file_id, err);
    u->id = c->id;
    u->mime_type = c->type;
    u->owner = req->owner && *req->owner ? req->owner : NULL;
    u->metadata = req->metadata;
    u->note = req->note;
    u->flags = req->flags & ~FILEPROC_UPLOAD_REUSE;
    u->size_unknown = req->size_unknown;
    u->status = fpi_upload_status(FPI_UPLOAD_OPEN, 0);
    u->size = req->size;
    u->chunk_size = fpi_upload_choose_chunk_size(ups, req->size);
    u->total_chunks = fpi_upload_chunks(u->size, u->chunk_size);
    u->created_at_ms = u->updated_at_ms = fpi_now_ms(ups->ctx);
    u->expires_at_ms = fpi_expiry_first(ups, u->created_at_ms, u->flags != 0);
    return rc;
}

/* Whoever finds the row must find this session with it: made from the row it would be a second one, with a handle of its own on what is
 * staged. So it is in the table before, and who comes waits. */
static fp_status insert(fp_uploads *ups, fpi_session *s, const fpi_idempotency *key,
                        const fpi_upload_sources *sources, fp_error *err)
{
    fp_status rc;

    pthread_mutex_lock(&s->lock);
    fpi_session_enter(s);
    fpi_session_add(ups, s);
    rc = fpi_upload_row_insert(ups, s->facts, s->file_id, key, sources, err);
    if (rc == FILEPROC_OK)
        fpi_lease_found(ups, s);
    fpi_session_leave(ups, s);
    s->loaded = rc == FILEPROC_OK;
    pthread_mutex_unlock(&s->lock);
    fpi_session_release(ups, s);
    return rc;
}

/* Makes the session; EXISTS when somebody was faster with the same key. */
static fp_status create(fp_uploads *ups, const fp_upload_request *req, const fpi_idempotency *key,
                        const fpi_upload_sources *sources, fp_upload **out, fp_error *err)
{
    FPI_CLEANUP(fp_upload) record = NULL;
    creation c = { .upload = { .id = NULL } };
    fpi_session *s = NULL;
    fp_status rc = check_request(ups, req, &c, err);

    if (rc == FILEPROC_OK)
        rc = make(ups, req, &c, err);
    if (rc == FILEPROC_OK)
        rc = fpi_upload_copy(ups->ctx, &c.upload, &record, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_new(ups, record, c.file_id, &s, err);
    if (rc == FILEPROC_OK)
        rc = insert(ups, s, key, sources, err);
    if (rc < 0)
        return rc;
    fpi_upload_tell(ups, record);
    if (req->flags & FILEPROC_UPLOAD_REUSE)
        fpi_upload_reuse(ups, &record);
    *out = fpi_steal(&record);
    return FILEPROC_OK;
}

/* A key is looked for before anything is checked: what was allowed once is answered again when it would not be by now. */
fp_status fpi_upload_begin(fp_uploads *ups, const fp_upload_request *req, fpi_upload_plan_fn *plan,
                           const fpi_upload_sources *sources, fp_upload **out, fp_error *err)
{
    fp_upload_request r = *req;
    fpi_idempotency key = { .key = "" };
    fp_upload *known = NULL;
    fp_error e = { 0 };
    fp_status rc = fpi_idempotency_of_create(&r, sources, &key, &e);

    if (rc == FILEPROC_OK)
        rc = fpi_idempotency_replay(ups, &key, &known, &e);
    if (rc == FILEPROC_OK && !known && plan)
        rc = plan(ups, sources, &r, &e);
    if (rc == FILEPROC_OK && !known)
        rc = create(ups, &r, &key, sources, &known, &e);
    if (rc == FILEPROC_ERR_EXISTS)
        rc = fpi_idempotency_replay(ups, &key, &known, &e);
    if (rc == FILEPROC_OK && !known) /* forgotten between the two looks */
        rc = fp_error_setf(&e, FILEPROC_ERR_BUSY, "the upload of this key is just being forgotten");
    if (rc == FILEPROC_OK)
        *out = known;
    else if (err)
        *err = e;
    return rc;
}

fp_status fp_upload_create(fp_uploads *ups, const fp_upload_request *req, fp_upload **out,
                           fp_error *err)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_status rc;

    if (!ups || !req || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&r, sizeof(r), req, err);
    if (rc == FILEPROC_OK && r.flags != FILEPROC_UPLOAD_PARTIAL &&
        (r.flags & ~FILEPROC_UPLOAD_REUSE))
        rc = fp_error_setf(err, FILEPROC_ERR_INVALID, "bad flags");
    return rc < 0 ? rc : fpi_upload_begin(ups, &r, NULL, NULL, out, err);
}
