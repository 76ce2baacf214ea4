/* Owns: an upload engine with all that it stands on, for tests of it: a clock that is set by hand, storage that fails on demand.
 * Must not know: what is tested. */
#ifndef TESTS_UPLOAD_WORLD_H
#define TESTS_UPLOAD_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>

#include <fileproc/fileproc.h>

#include "core/uuid.h"
#include "direct_store.h"
#include "storage_steps.h"

/* Slots of the storage driver that can be made to fail. */
enum { SLOT_WRITE, SLOT_COMMIT, SLOT_PUBLISH, SLOT_DISCARD, SLOT_REMOVE, SLOT_COUNT };

typedef struct upload_world {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fp_catalog *cat;
    fp_queue *queue;         /* only with upload_world_add_jobs() */
    fp_pipelines *pipelines; /* the same */
    fp_jobs *jobs;           /* the same */
    fp_uploads *ups;
    bool on_disk;    /* storage "file" and a database on disk; else both in memory */
    bool unreadable; /* staged bytes can't be read back; upload_world_hide_staged() */
    const fp_allocator *allocator;
    char fresh_uri[128]; /* of the database, unless it is on disk */
    char folder[64];
    _Atomic int64_t now_ms;
    _Atomic int fail[SLOT_COUNT]; /* FILEPROC_ERR_QUOTA, FILEPROC_ERR_IO, ...; 0 = works */
    _Atomic int calls[SLOT_COUNT];
    _Atomic uint64_t room;    /* that storage says it has; 0 = what the driver says */
    _Atomic uint64_t written; /* bytes that storage was given */
    void (*on_slot)(int slot, void *user_data); /* before the call of a slot */
    void *slot_data;
    direct_store direct; /* with a part_size: clients may send parts to the store themselves */
    fp_uploads_options options;
    _Atomic int told;     /* calls of on_progress */
    char last_status[32]; /* of the last one */
    uint64_t last_chunks;
} upload_world;

/* options may be NULL; handles in it are filled in. Chunks have 1000 bytes, and every type is allowed, unless it says otherwise.
 * One world at a time. */
void upload_world_open(upload_world *w, bool on_disk, const fp_uploads_options *options);
/* The same with this allocator. */
void upload_world_open_with(upload_world *w, bool on_disk, const fp_uploads_options *options,
                            const fp_allocator *allocator);
void upload_world_close(upload_world *w);
/* The engine is closed and opened again, on disk all below it, too. */
void upload_world_reopen(upload_world *w);
/* The same, without an engine to close: it was closed before, or died with its process. On disk only. */
void upload_world_restart(upload_world *w);
/* From now on storage is one that can't read back what is staged. */
void upload_world_hide_staged(upload_world *w);
/* Completion makes jobs from now on. */
void upload_world_add_jobs(upload_world *w);

/* Runs the block on both kinds of storage. */
#define EACH_STORE(w)                                                                              \
    for (int store_ = 0; store_ < 2 && (upload_world_open((w), store_, NULL), 1);                  \
         upload_world_close((w)), store_++)

/* A session of size bytes; its id is written to id. */
void must_create(upload_world *w, uint64_t size, char id[FPI_UUID_SIZE]);
/* The bytes of chunk index as in content(seed). */
fp_status try_chunk(upload_world *w, const char *id, uint64_t index, unsigned seed, fp_error *err);
void must_chunk(upload_world *w, const char *id, uint64_t index, unsigned seed);
void must_all_chunks(upload_world *w, const char *id, unsigned seed);
fp_chunk *must_begin(upload_world *w, const char *id, uint64_t index);
fp_upload *must_get(upload_world *w, const char *id);
fp_upload *must_complete(upload_world *w, const char *id);
/* The status that a get shows, or the reason why there is none. */
void ck_upload(upload_world *w, const char *id, const char *status, uint64_t chunks);
/* The key of the object that a completed upload has become. */
void upload_object_key(const fp_upload *upload, char key[64]);

#endif
