/* Owns: the upload engine's handle: its settings, and looking at an upload.
 * Must not know: how uploads begin, grow and end. */
#include <stdio.h>
#include <string.h>

#include "core/ascii.h"
#include "core/media_type.h"
#include "core/options.h"
#include "upload/lease_rows.h"
#include "upload/upload_expiry.h"
#include "upload/upload_lease.h"
#include "upload/upload_private.h"

#define DEFAULT_TYPES                                                                                \
    "image/jpeg,image/png,image/gif,image/webp,application/pdf,text/plain,text/csv,application/zip," \
    "application/x-tar"
#define DEFAULT_BUCKET "uploads"
#define DEFAULT_MAX_FILE_SIZE ((uint64_t)100 << 20)
#define DEFAULT_CHUNK_SIZE ((uint64_t)5 << 20)
#define DEFAULT_SESSION_TIMEOUT_MS INT64_C(3600000)
#define DEFAULT_TOMBSTONE_MS (INT64_C(7) * 24 * 3600 * 1000)
#define DEFAULT_LEASE_MS 10000u
#define LEASE_MAX_MS 3600000u
#define CHUNK_SIZE_MAX ((uint64_t)1 << 30)
#define DEFAULT_APPEND_STEP ((uint64_t)32 << 20)

uint64_t fpi_upload_chunks(uint64_t size, uint64_t chunk_size)
{
    return size / chunk_size + (size % chunk_size != 0);
}

uint64_t fpi_upload_chunk_length(const fp_upload *upload, uint64_t index)
{
    uint64_t left = upload->size - index * upload->chunk_size;

    return left < upload->chunk_size ? left : upload->chunk_size;
}

void fpi_upload_key(const char *file_id, char key[FPI_UPLOAD_KEY_SIZE])
{
    snprintf(key, FPI_UPLOAD_KEY_SIZE, "files/%s", file_id);
}

void fpi_upload_url(const fp_uploads *ups, const char *file_id, char url[FPI_UPLOAD_URL_SIZE])
{
    snprintf(url, FPI_UPLOAD_URL_SIZE, "%.31s://%s/files/%s", fp_storage_scheme(ups->st),
             ups->bucket, file_id);
}

void fpi_upload_tell(const fp_uploads *ups, const fp_upload *upload)
{
    if (ups->on_progress)
        ups->on_progress(ups->user_data, upload);
}

static fp_status complete_options(fp_uploads_options *o, fp_error *err)
{
    if (!o->database || !o->storage || !o->catalog)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "database, storage and catalog are needed");
    if (!o->allowed_types)
        o->allowed_types = DEFAULT_TYPES;
    if (!o->bucket)
        o->bucket = DEFAULT_BUCKET;
    if (!o->max_file_size)
        o->max_file_size = DEFAULT_MAX_FILE_SIZE;
    if (!o->chunk_size)
        o->chunk_size = DEFAULT_CHUNK_SIZE;
    if (!o->session_timeout_ms)
        o->session_timeout_ms = DEFAULT_SESSION_TIMEOUT_MS;
    if (!o->tombstone_ms)
        o->tombstone_ms = DEFAULT_TOMBSTONE_MS;
    if (!o->lease_ms)
        o->lease_ms = DEFAULT_LEASE_MS;
    if (!o->append_step)
        o->append_step = DEFAULT_APPEND_STEP;
    return FILEPROC_OK;
}

static fp_status check_options(const fp_uploads_options *o, fp_error *err)
{
    if (strnlen(o->bucket, FPI_UPLOAD_BUCKET_MAX + 1) > FPI_UPLOAD_BUCKET_MAX || !*o->bucket)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "bucket must have 1 to %u bytes",
                             FPI_UPLOAD_BUCKET_MAX);
    if (o->chunk_size > CHUNK_SIZE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "chunk_size is over 1 GiB");
    if (o->max_file_size > FPI_OBJECT_SIZE_MAX || o->append_step > FPI_OBJECT_SIZE_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "max_file_size or append_step is too large");
    if (o->session_timeout_ms < 0 || o->session_timeout_ms > FPI_UPLOAD_TIME_MAX ||
        o->idle_timeout_ms < 0 || o->idle_timeout_ms > FPI_UPLOAD_TIME_MAX || o->tombstone_ms < 0 ||
        o->tombstone_ms > FPI_UPLOAD_TIME_MAX || o->lease_ms > LEASE_MAX_MS)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a time is out of range");
    if (o->database_leases > 1)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "database_leases is 0 or 1");
    if (o->database_leases && !o->cache && !fpi_lease_rows_possible(o->database))
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "this database can't keep leases");
    return FILEPROC_OK;
}

/* In lower case, as types are compared. */
static fp_status set_types(fp_uploads *ups, const char *types, fp_error *err)
{
    const char *list, *pattern;
    size_t size;

    ups->allowed_types = fpi_strdup(&ups->ctx->a, types);
    if (!ups->allowed_types)
        return fpi_no_memory(err);
    for (char *c = ups->allowed_types; *c; c++)
        *c = fpi_ascii_lower(*c);
    list = ups->allowed_types;
    while (fpi_media_list_next(&list, &pattern, &size))
        if (size > 0 && !fpi_media_pattern_valid(pattern, size))
            return fp_error_setf(err, FILEPROC_ERR_INVALID,
                                 "allowed_types: this is no media type: %.*s",
                                 size > 100 ? 100 : (int)size, pattern);
    return FILEPROC_OK;
}

static fp_status fill(fp_uploads *ups, const fp_uploads_options *o, fp_error *err)
{
    fp_status rc;

    ups->db = o->database;
    ups->st = o->storage;
    ups->cat = o->catalog;
    ups->jobs = o->jobs;
    ups->cache = o->cache;
    ups->lease_rows = !o->cache && o->database_leases;
    ups->lease_ms = o->lease_ms;
    ups->max_file_size = o->max_file_size;
    ups->append_step = o->append_step;
    ups->chunk_size = o->chunk_size;
    ups->min_free_bytes = o->min_free_bytes;
    ups->owner_max_bytes = o->owner_max_bytes;
    ups->owner_max_uploads = o->owner_max_uploads;
    ups->session_timeout_ms = o->session_timeout_ms;
    ups->idle_timeout_ms = o->idle_timeout_ms;
    ups->tombstone_ms = o->tombstone_ms;
    ups->on_progress = o->on_progress;
    ups->on_lost = o->on_lost;
    ups->user_data = o->user_data;
    rc = set_types(ups, o->allowed_types, err);
    if (rc == FILEPROC_OK && fpi_lease_is_shared(ups))
        rc = fpi_uuid7(ups->ctx, ups->holder, err);
    if (rc < 0)
        return rc;
    ups->bucket = fpi_strdup(&ups->ctx->a, o->bucket);
    return ups->bucket ? fpi_sessions_init(ups, err) : fpi_no_memory(err);
}

fp_status fp_uploads_open(fp_context *ctx, const fp_uploads_options *opts, fp_uploads **out,
                          fp_error *err)
{
    FPI_CLEANUP(fp_uploads) ups = NULL;
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_status rc;

    if (!ctx || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_options_import(&o, sizeof(o), opts, err);
    if (rc == FILEPROC_OK)
        rc = complete_options(&o, err);
    if (rc == FILEPROC_OK)
        rc = check_options(&o, err);
    if (rc < 0)
        return rc;
    ups = fpi_calloc(&ctx->a, 1, sizeof(*ups));
    if (!ups)
        return fpi_no_memory(err);
    ups->ctx = ctx;
    fpi_hasher_init(&ups->hasher);
    rc = fill(ups, &o, err);
    if (rc == FILEPROC_OK)
        *out = fpi_steal(&ups);
    return rc;
}

void fp_uploads_free(fp_uploads *ups)
{
    if (!ups)
        return;
    fpi_sessions_dispose(ups);
    fpi_hasher_dispose(&ups->hasher);
    fpi_free(&ups->ctx->a, ups->allowed_types);
    fpi_free(&ups->ctx->a, ups->bucket);
    fpi_free(&ups->ctx->a, ups);
}

fp_status fp_uploads_run_hasher(fp_uploads *ups, fp_error *err)
{
    if (!ups)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "ups is NULL");
    return fpi_hasher_run(&ups->hasher, &ups->ctx->a, err);
}

void fp_uploads_stop_hasher(fp_uploads *ups)
{
    if (ups)
        fpi_hasher_stop(&ups->hasher);
}

/* An upload whose time is over is gone for everybody, also before the reaper has seen it. */
static fp_status check_not_expired(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (s->state == FPI_UPLOAD_OPEN || s->state == FPI_UPLOAD_EXPIRED)
        rc = fpi_session_check_open(ups, s, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* What is in memory may be older than what another engine did. *told is set when that one says how far the upload is. */
static fp_status bring_up_to_date(fp_uploads *ups, fpi_session *s, bool *told,
                                  fpi_lease_progress *progress, fp_error *err)
{
    fpi_lease_view view = fpi_lease_look(ups, s, progress);
    fp_status rc = FILEPROC_OK;

    pthread_mutex_lock(&s->lock);
    if (view == FPI_VIEW_OTHERS && s->facts->size_unknown)
        view = FPI_VIEW_UNKNOWN; /* it may have been declared there */
    if (view == FPI_VIEW_UNKNOWN)
        rc = fpi_session_reread(ups, s, err);
    if (view == FPI_VIEW_OTHERS)
        fpi_expiry_hear(ups, s, progress->touched_ms);
    pthread_mutex_unlock(&s->lock);
    *told = view == FPI_VIEW_OTHERS;
    return rc;
}

static void show_progress(fp_upload *upload, const fpi_lease_progress *progress)
{
    upload->status = fpi_upload_status(FPI_UPLOAD_OPEN, progress->bytes);
    upload->chunks_uploaded = progress->chunks;
    upload->bytes_received = progress->bytes;
    upload->offset = progress->offset;
    if (progress->touched_ms > upload->updated_at_ms)
        upload->updated_at_ms = progress->touched_ms;
}

fp_status fp_upload_get(fp_uploads *ups, const char *id, fp_upload **out, fp_error *err)
{
    fpi_lease_progress progress = { 0 };
    bool told = false;
    fpi_session *s;
    fp_status rc;

    if (!ups || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    rc = fpi_session_open(ups, id, &s, err);
    if (rc < 0)
        return rc;
    rc = bring_up_to_date(ups, s, &told, &progress, err);
    if (rc == FILEPROC_OK)
        rc = check_not_expired(ups, s, err);
    if (rc == FILEPROC_OK)
        rc = fpi_session_record(ups, s, out, err);
    if (rc == FILEPROC_OK && told)
        show_progress(*out, &progress);
    fpi_session_release(ups, s);
    return rc;
}
