/* Owns: what is inside the upload engine, and what its files share.
 * Must not know: HTTP or any other protocol. */
#ifndef FPI_UPLOAD_PRIVATE_H
#define FPI_UPLOAD_PRIVATE_H

#include <pthread.h>

#include "storage/storage_private.h"
#include "upload/hasher.h"
#include "upload/upload_row.h"
#include "upload/upload_session.h"

FPI_DEFINE_CLEANUP(fp_uploads, fp_uploads_free)

struct fp_uploads {
    fp_context *ctx;
    fp_database *db;
    fp_storage *st;
    fp_catalog *cat;
    fp_jobs *jobs;   /* or NULL */
    fp_cache *cache; /* or NULL: leases are in the database, or no other engine is at work */
    bool lease_rows; /* they are in the database */
    char holder[FPI_UUID_SIZE];
    uint32_t lease_ms;
    char *allowed_types;
    char *bucket;
    uint64_t max_file_size;
    uint64_t chunk_size;
    uint64_t append_step;
    uint64_t min_free_bytes;
    uint64_t owner_max_bytes;
    uint64_t owner_max_uploads;
    int64_t session_timeout_ms;
    int64_t idle_timeout_ms; /* 0 = none */
    int64_t tombstone_ms;
    void (*on_progress)(void *user_data, const fp_upload *upload);
    void (*on_lost)(void *user_data, const char *upload_id);
    void *user_data;
    fpi_session_table sessions;
    fpi_hasher hasher;
};

#define FPI_UPLOAD_BUCKET_MAX 255u
/** Scheme, bucket and key. */
#define FPI_UPLOAD_URL_SIZE (32u + FPI_UPLOAD_BUCKET_MAX + 64u)
#define FPI_UPLOAD_KEY_SIZE 64u

/** 1000 years: sums of times stay in range. */
#define FPI_UPLOAD_TIME_MAX (INT64_C(1000) * 366 * 24 * 3600 * 1000)

/** More parts than this an assembly can't have. */
#define FPI_UPLOAD_CHUNKS_MAX ((uint64_t)1 << 20)

uint64_t fpi_upload_chunks(uint64_t size, uint64_t chunk_size);
/** index is below total_chunks. */
uint64_t fpi_upload_chunk_length(const fp_upload *upload, uint64_t index);

/** QUOTA when no file may be so large. */
fp_status fpi_upload_check_size(const fp_uploads *ups, uint64_t size, fp_error *err);
/** QUOTA when the store would be left with less than is to be kept free. */
fp_status fpi_upload_check_room(const fp_uploads *ups, uint64_t size, fp_error *err);
uint64_t fpi_upload_choose_chunk_size(const fp_uploads *ups, uint64_t size);

/** The size of a session becomes known. The errors are those of fp_upload_set_size(). */
fp_status fpi_upload_declare_size(fp_uploads *ups, fpi_session *s, uint64_t size, fp_error *err);

/** "files/<file_id>" */
void fpi_upload_key(const char *file_id, char key[FPI_UPLOAD_KEY_SIZE]);
/** "<scheme>://<bucket>/files/<file_id>" */
void fpi_upload_url(const fp_uploads *ups, const char *file_id, char url[FPI_UPLOAD_URL_SIZE]);

/** Tells on_progress. Without any lock. */
void fpi_upload_tell(const fp_uploads *ups, const fp_upload *upload);

#endif
