/* Owns: telling which chunks of an upload are durable and which are missing.
 * Must not know: how they arrive. */
#include "upload/upload_lease.h"
#include "upload/upload_private.h"

/* What a caller sees is the first member. The kinds take turns, so that of `limit` ranges about half are of each. */
typedef struct map_record {
    fp_chunk_map map;
    const fp_allocator *a;
    size_t limit, room; /* of both kinds, of one */
    fp_chunk_range ranges[];
} map_record;

static map_record *new_record(const fp_uploads *ups, size_t limit)
{
    size_t room = limit / 2 + 1;
    map_record *r = fpi_alloc(&ups->ctx->a, sizeof(*r) + 2 * room * sizeof(*r->ranges));

    if (r)
        *r = (map_record){ { .struct_size = sizeof(r->map) }, &ups->ctx->a, limit, room };
    return r;
}

static void add_range(map_record *r, bool durable, uint64_t first, uint64_t end)
{
    size_t *count = durable ? &r->map.durable_count : &r->map.missing_count;
    fp_chunk_range *list = durable ? r->ranges : r->ranges + r->room;

    list[(*count)++] = (fp_chunk_range){ first, end - 1 };
}

/* With the lock held. All of a completed upload is durable, though its bits may never have been read. */
static void draw(const fpi_session *s, map_record *r, uint64_t from)
{
    bool complete = s->state == FPI_UPLOAD_COMPLETED;
    uint64_t total = s->facts->total_chunks, at = from < total ? from : total;

    r->map.total_chunks = total;
    r->map.chunk_size = s->facts->chunk_size;
    r->map.chunks_uploaded = complete ? total : s->chunks;
    r->map.first = at;
    while (at < total && r->map.durable_count + r->map.missing_count < r->limit) {
        bool durable = true;
        uint64_t end = complete ? total : fpi_session_run_end(s, at, &durable);

        add_range(r, durable, at, end);
        at = end;
    }
    r->map.next = at;
    r->map.durable = r->ranges;
    r->map.missing = r->ranges + r->room;
}

/* The counters that another engine tells are not enough here: what it has stored must be read. */
static fp_status bring_up_to_date(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fpi_lease_progress progress = { 0 };
    fp_status rc;

    if (fpi_lease_look(ups, s, &progress) == FPI_VIEW_OURS)
        return FILEPROC_OK;
    pthread_mutex_lock(&s->lock);
    rc = fpi_session_reread(ups, s, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static fp_status not_read_yet(fp_error *err)
{
    fp_status rc = fp_error_setf(err, FILEPROC_ERR_BUSY, "somebody is about to work on the upload");

    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

static fp_status show(fp_uploads *ups, fpi_session *s, map_record *r, uint64_t from, fp_error *err)
{
    fp_status rc = bring_up_to_date(ups, s, err);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    if (s->state != FPI_UPLOAD_COMPLETED) {
        rc = fpi_session_check_open(ups, s, err);
        if (rc == FILEPROC_OK && !s->parts_read) /* by whoever is just taking the lease */
            rc = not_read_yet(err);
    }
    if (rc == FILEPROC_OK)
        draw(s, r, from);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fp_upload_map(fp_uploads *ups, const char *id, uint64_t from, uint32_t limit,
                        fp_chunk_map **out, fp_error *err)
{
    map_record *r;
    fpi_session *s;
    fp_status rc;

    if (!ups || !id || !out)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "an argument is NULL");
    if (limit == 0 || limit > FILEPROC_CHUNK_RANGES_MAX)
        return fp_error_setf(err, FILEPROC_ERR_INVALID, "a map has 1 to %u ranges",
                             FILEPROC_CHUNK_RANGES_MAX);
    rc = fpi_session_open(ups, id, &s, err);
    if (rc < 0)
        return rc;
    r = new_record(ups, limit);
    rc = r ? show(ups, s, r, from, err) : fpi_no_memory(err);
    fpi_session_release(ups, s);
    if (rc == FILEPROC_OK)
        *out = &r->map;
    else if (r)
        fpi_free(&ups->ctx->a, r);
    return rc;
}

void fp_chunk_map_free(fp_chunk_map *map)
{
    if (map)
        fpi_free(((map_record *)map)->a, map);
}
