/* Owns: an upload engine with all that it stands on, for tests of it: a clock that is set by hand, storage that fails on demand.
 * Must not know: what is tested. */
#include "upload_world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <fileproc/driver/storage_driver.h>

#include "fresh_database.h"
#include "storage/storage_private.h"

static upload_world *world;

static const fp_storage_driver *below(void)
{
    return world->on_disk ? &fpi_storage_file_driver : &fpi_storage_mem_driver;
}

static fp_status enter_slot(int slot, fp_error *err)
{
    int code = atomic_load(&world->fail[slot]);

    atomic_fetch_add(&world->calls[slot], 1);
    if (world->on_slot)
        world->on_slot(slot, world->slot_data);
    if (code == FILEPROC_ERR_QUOTA)
        return fp_error_reasonf(err, code, FILEPROC_REASON_STORAGE_FULL, "the test's disk is full");
    if (code)
        return fp_error_setf(err, code, "the test broke the disk");
    return FILEPROC_OK;
}

static fp_status faulty_open(fp_context *ctx, const char *uri, const fp_storage_options *opts,
                             void **self, fp_error *err)
{
    char text[128];

    (void)uri;
    if (!world->on_disk)
        return fpi_storage_mem_driver.open(ctx, "mem:", opts, self, err);
    snprintf(text, sizeof(text), "file://%s/store", world->folder);
    return fpi_storage_file_driver.open(ctx, text, opts, self, err);
}

static fp_status faulty_write(void *self, void *assembly, void *part, uint64_t offset,
                              const void *data, size_t size, fp_error *err)
{
    fp_status rc = enter_slot(SLOT_WRITE, err);

    if (rc == FILEPROC_OK)
        rc = below()->part_write(self, assembly, part, offset, data, size, err);
    if (rc == FILEPROC_OK)
        atomic_fetch_add(&world->written, size);
    return rc;
}

static fp_status faulty_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                               fp_error *err)
{
    fp_status rc = enter_slot(SLOT_COMMIT, err);

    return rc < 0 ? rc : below()->part_commit(self, assembly, part, info, err);
}

static fp_status faulty_publish(void *self, void *assembly, const char *key, uint64_t size,
                                uint32_t flags, fp_error *err)
{
    fp_status rc = enter_slot(SLOT_PUBLISH, err);

    return rc < 0 ? rc : below()->assembly_publish(self, assembly, key, size, flags, err);
}

static fp_status faulty_discard(void *self, const char *id, uint32_t flags, fp_error *err)
{
    fp_status rc = enter_slot(SLOT_DISCARD, err);

    return rc < 0 ? rc : below()->discard(self, id, flags, err);
}

static fp_status faulty_remove(void *self, const char *key, uint32_t flags, fp_error *err)
{
    fp_status rc = enter_slot(SLOT_REMOVE, err);

    return rc < 0 ? rc : below()->remove(self, key, flags, err);
}

static fp_status faulty_assembly_read(void *self, void *assembly, uint64_t offset, void *buf,
                                      size_t cap, size_t *got, uint32_t flags, fp_error *err)
{
    if (world->unreadable)
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the test's store can't read this");
    return below()->assembly_read(self, assembly, offset, buf, cap, got, flags, err);
}

static fp_status faulty_room(void *self, uint64_t *bytes, fp_error *err)
{
    *bytes = atomic_load(&world->room);
    if (*bytes)
        return FILEPROC_OK;
    if (below()->room)
        return below()->room(self, bytes, err);
    return fp_error_setf(err, FILEPROC_ERR_NOTSUP, "the test's store doesn't know");
}

static const fp_storage_driver *faulty_driver(void)
{
    static fp_storage_driver driver;

    driver = *below();
    driver.scheme = "faulty";
    driver.open = faulty_open;
    driver.assembly_read = faulty_assembly_read;
    driver.part_write = faulty_write;
    driver.part_commit = faulty_commit;
    driver.assembly_publish = faulty_publish;
    driver.discard = faulty_discard;
    driver.remove = faulty_remove;
    driver.room = faulty_room;
    direct_store_add_slots(&driver, below(), &world->direct);
    return &driver;
}

static int64_t world_clock(void *user_data)
{
    upload_world *w = user_data;

    return atomic_load(&w->now_ms);
}

static pthread_mutex_t progress_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_progress(void *user_data, const fp_upload *upload)
{
    upload_world *w = user_data;

    pthread_mutex_lock(&progress_lock);
    atomic_fetch_add(&w->told, 1);
    snprintf(w->last_status, sizeof(w->last_status), "%s", upload->status);
    w->last_chunks = upload->chunks_uploaded;
    pthread_mutex_unlock(&progress_lock);
}

static void open_engine(upload_world *w)
{
    fp_uploads_options o = w->options;
    fp_error err = { 0 };

    o.database = w->db;
    o.storage = w->st;
    o.catalog = w->cat;
    o.jobs = w->jobs;
    ck_status(fp_uploads_open(w->ctx, &o, &w->ups, &err), FILEPROC_OK, &err);
}

static void open_context(upload_world *w)
{
    fp_context_options o = FILEPROC_CONTEXT_OPTIONS_INIT;
    fp_error err = { 0 };

    o.allocator = w->allocator;
    o.clock_ms = world_clock;
    o.user_data = w;
    ck_status(fp_context_new(&o, &w->ctx, &err), FILEPROC_OK, &err);
    w->direct.ctx = w->ctx;
    ck_status(fp_context_add_storage_driver(w->ctx, faulty_driver(), &err), FILEPROC_OK, &err);
}

void upload_world_hide_staged(upload_world *w)
{
    w->unreadable = true;
    w->st->flags |= FILEPROC_STORAGE_DRIVER_UNREADABLE;
}

static void open_ground(upload_world *w)
{
    fp_error err = { 0 };
    char uri[128];

    if (w->on_disk) {
        snprintf(uri, sizeof(uri), "sqlite://%s/database", w->folder);
        ck_status(fp_database_open(w->ctx, uri, NULL, &w->db, &err), FILEPROC_OK, &err);
    } else {
        fresh_database_open(w->ctx, w->fresh_uri, &w->db);
    }
    ck_status(fp_database_migrate(w->db, &err), FILEPROC_OK, &err);
    ck_status(fp_storage_open(w->ctx, "faulty:", NULL, &w->st, &err), FILEPROC_OK, &err);
    if (w->unreadable)
        upload_world_hide_staged(w);
    ck_status(fp_catalog_open(w->ctx, w->db, w->st, &w->cat, &err), FILEPROC_OK, &err);
}

static void open_jobs(upload_world *w)
{
    fp_jobs_options o = FILEPROC_JOBS_OPTIONS_INIT;
    fp_queue_options queue = FILEPROC_QUEUE_OPTIONS_INIT;
    fp_error err = { 0 };

    queue.database = w->db;
    ck_status(fp_queue_open(w->ctx, "database:", &queue, &w->queue, &err), FILEPROC_OK, &err);
    ck_status(fp_pipelines_open(w->ctx, NULL, &w->pipelines, &err), FILEPROC_OK, &err);
    o.database = w->db;
    o.queue = w->queue;
    o.storage = w->st;
    o.catalog = w->cat;
    o.pipelines = w->pipelines;
    ck_status(fp_jobs_open(w->ctx, &o, &w->jobs, &err), FILEPROC_OK, &err);
}

static void close_ground(upload_world *w)
{
    fp_jobs_free(w->jobs);
    fp_pipelines_free(w->pipelines);
    fp_queue_free(w->queue);
    fp_catalog_free(w->cat);
    fp_storage_free(w->st);
    if (w->on_disk)
        fp_database_free(w->db);
    else
        fresh_database_close(w->db, w->fresh_uri);
}

void upload_world_open_with(upload_world *w, bool on_disk, const fp_uploads_options *options,
                            const fp_allocator *allocator)
{
    const fp_uploads_options defaults = FILEPROC_UPLOADS_OPTIONS_INIT;

    memset(w, 0, sizeof(*w));
    world = w;
    w->on_disk = on_disk;
    w->allocator = allocator;
    w->options = options ? *options : defaults;
    if (!w->options.chunk_size)
        w->options.chunk_size = 1000;
    if (!w->options.allowed_types)
        w->options.allowed_types = "*";
    if (!w->options.on_progress) {
        w->options.on_progress = note_progress;
        w->options.user_data = w;
    }
    atomic_store(&w->now_ms, INT64_C(1750000000000));
    if (on_disk)
        scratch_make(w->folder);
    open_context(w);
    open_ground(w);
    open_engine(w);
}

void upload_world_open(upload_world *w, bool on_disk, const fp_uploads_options *options)
{
    upload_world_open_with(w, on_disk, options, NULL);
}

void upload_world_close(upload_world *w)
{
    fp_uploads_free(w->ups);
    close_ground(w);
    fp_context_free(w->ctx);
    if (w->on_disk)
        scratch_remove(w->folder);
}

void upload_world_reopen(upload_world *w)
{
    bool with_jobs = w->jobs != NULL;

    fp_uploads_free(w->ups);
    if (w->on_disk) {
        close_ground(w);
        w->jobs = NULL;
        open_ground(w);
        if (with_jobs)
            open_jobs(w);
    }
    open_engine(w);
}

void upload_world_restart(upload_world *w)
{
    close_ground(w);
    open_ground(w);
    open_engine(w);
}

void upload_world_add_jobs(upload_world *w)
{
    fp_uploads_free(w->ups);
    open_jobs(w);
    open_engine(w);
}

void must_create(upload_world *w, uint64_t size, char id[FPI_UUID_SIZE])
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_upload *u = NULL;
    fp_error err = { 0 };

    r.filename = "name.bin";
    r.mime_type = "application/octet-stream";
    r.size = size;
    ck_status(fp_upload_create(w->ups, &r, &u, &err), FILEPROC_OK, &err);
    memcpy(id, u->id, FPI_UUID_SIZE);
    fp_upload_free(u);
}

fp_status try_chunk(upload_world *w, const char *id, uint64_t index, unsigned seed, fp_error *err)
{
    fp_chunk *chunk = NULL;
    fp_status rc = fp_chunk_begin(w->ups, id, index, NULL, &chunk, err);
    size_t size = (size_t)fp_chunk_length(chunk);
    unsigned char *bytes = malloc(size + 1);

    ck_assert_ptr_nonnull(bytes);
    content_fill(seed, index * w->options.chunk_size, bytes, size);
    if (rc == FILEPROC_OK)
        rc = fp_chunk_write(chunk, bytes, size / 2, err);
    if (rc == FILEPROC_OK)
        rc = fp_chunk_write(chunk, bytes + size / 2, size - size / 2, err);
    if (rc == FILEPROC_OK)
        rc = fp_chunk_commit(chunk, NULL, err);
    fp_chunk_free(chunk);
    free(bytes);
    return rc;
}

void must_chunk(upload_world *w, const char *id, uint64_t index, unsigned seed)
{
    fp_error err = { 0 };

    ck_status(try_chunk(w, id, index, seed, &err), FILEPROC_OK, &err);
}

void must_all_chunks(upload_world *w, const char *id, unsigned seed)
{
    fp_upload *u = must_get(w, id);

    for (uint64_t i = 0; i < u->total_chunks; i++)
        must_chunk(w, id, i, seed);
    fp_upload_free(u);
}

fp_chunk *must_begin(upload_world *w, const char *id, uint64_t index)
{
    fp_chunk *chunk = NULL;
    fp_error err = { 0 };

    ck_status(fp_chunk_begin(w->ups, id, index, NULL, &chunk, &err), FILEPROC_OK, &err);
    return chunk;
}

fp_upload *must_get(upload_world *w, const char *id)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_get(w->ups, id, &u, &err), FILEPROC_OK, &err);
    return u;
}

fp_upload *must_complete(upload_world *w, const char *id)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    ck_status(fp_upload_complete(w->ups, id, &u, &err), FILEPROC_OK, &err);
    return u;
}

void ck_upload(upload_world *w, const char *id, const char *status, uint64_t chunks)
{
    fp_upload *u = NULL;
    fp_error err = { 0 };

    if (fp_upload_get(w->ups, id, &u, &err) < 0) {
        ck_assert_str_eq(fp_error_reason(&err), status);
        return;
    }
    ck_assert_str_eq(u->status, status);
    ck_assert_uint_eq(u->chunks_uploaded, chunks);
    fp_upload_free(u);
}

void upload_object_key(const fp_upload *upload, char key[64])
{
    snprintf(key, 64, "files/%s", upload->file_id);
}
