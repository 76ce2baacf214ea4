/* Owns: the objects that jobs make: their keys, how they get into the storage, how those go that no file names.
 * Must not know: how a job runs. */
#include "job/job_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog_private.h"
#include "core/digest.h"
#include "core/error_private.h"
#include "core/hex.h"
#include "database/database_private.h"
#include "storage/storage_private.h"

/* Keys of one page. */
#define PAGE 100

/* The last digits of an id are random: 256 folders of equal size. */
static void job_prefix(const char *job_id, char prefix[FPI_JOB_OUTPUT_KEY_SIZE])
{
    snprintf(prefix, FPI_JOB_OUTPUT_KEY_SIZE, "derivatives/%s/%s.", job_id + strlen(job_id) - 2,
             job_id);
}

void fpi_job_output_key(const char *job_id, int64_t fence, uint32_t number,
                        char key[FPI_JOB_OUTPUT_KEY_SIZE])
{
    size_t size;

    job_prefix(job_id, key);
    size = strlen(key);
    snprintf(key + size, FPI_JOB_OUTPUT_KEY_SIZE - size, "%" PRId64 ".%u", fence, number);
}

/* *got is less than size only at the end of the file. */
static fp_status read_block(int fd, uint64_t offset, void *buf, size_t size, size_t *got,
                            fp_error *err)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, (char *)buf + *got, size - *got, (off_t)(offset + *got));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fpi_error_errno(err, errno, "read");
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return FILEPROC_OK;
}

static void digest_text(const fpi_digest *d, char sha256[65])
{
    unsigned char value[FPI_DIGEST_MAX];

    fpi_digest_value(d, value);
    fpi_hex(value, fpi_digest_size(FPI_DIGEST_SHA256), sha256);
}

fp_status fpi_job_output_digest(const fpi_job_output_copy *copy, int fd, char sha256[65],
                                fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    uint64_t offset = 0;
    fpi_digest d;
    size_t got;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    do {
        rc = read_block(fd, offset, copy->buffer, FPI_JOB_OUTPUT_BUFFER_SIZE, &got, err);
        if (rc < 0)
            return rc;
        fpi_digest_update(&d, copy->buffer, got);
        offset += got;
        rc = copy->tick(copy->user_data, err);
    } while (rc == FILEPROC_OK && got == FPI_JOB_OUTPUT_BUFFER_SIZE);
    if (rc == FILEPROC_OK)
        digest_text(&d, sha256);
    return rc;
}

static fp_status write_blocks(const fpi_job_output_copy *copy, int fd, uint64_t size, fp_part *part,
                              fpi_digest *d, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (uint64_t done = 0; rc == FILEPROC_OK && done < size;) {
        uint64_t left = size - done;
        size_t got,
            want = left < FPI_JOB_OUTPUT_BUFFER_SIZE ? (size_t)left : FPI_JOB_OUTPUT_BUFFER_SIZE;

        rc = read_block(fd, done, copy->buffer, want, &got, err);
        if (rc == FILEPROC_OK && got < want)
            rc = fp_error_setf(err, FILEPROC_ERR_IO, "an output is shorter than it was said to be");
        if (rc == FILEPROC_OK)
            rc = fp_part_write(part, copy->buffer, got, err);
        if (rc < 0)
            return rc;
        fpi_digest_update(d, copy->buffer, got);
        done += got;
        rc = copy->tick(copy->user_data, err);
    }
    return rc;
}

static fp_status write_part(const fpi_job_output_copy *copy, int fd, uint64_t size, fp_assembly *a,
                            fpi_digest *d, fp_error *err)
{
    FPI_CLEANUP(fp_part) part = NULL;
    fp_status rc = fp_part_begin(a, 0, size, &part, err);

    if (rc == FILEPROC_OK)
        rc = write_blocks(copy, fd, size, part, d, err);
    return rc < 0 ? rc : fp_part_commit(part, NULL, 0, err);
}

fp_status fpi_job_output_store(fp_jobs *jobs, const fpi_job_output_copy *copy, int fd,
                               uint64_t size, const char *key, char sha256[65], fp_error *err)
{
    FPI_CLEANUP(fp_assembly) a = NULL;
    char id[FPI_UUID_SIZE];
    fpi_digest d;
    fp_status rc;

    fpi_digest_init(&d, FPI_DIGEST_SHA256);
    rc = fpi_uuid7(jobs->ctx, id, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_open(jobs->o.storage, id,
                              FILEPROC_ASSEMBLY_CREATE | FILEPROC_ASSEMBLY_TRANSIENT, &a, err);
    if (rc == FILEPROC_OK && size)
        rc = write_part(copy, fd, size, a, &d, err);
    if (rc == FILEPROC_OK)
        rc = fp_assembly_publish(a, key, size, 0, err);
    if (rc == FILEPROC_OK)
        digest_text(&d, sha256);
    return rc;
}

typedef struct key_call {
    fp_jobs *jobs;
    const char *key;
    int found;
} key_call;

static fp_status key_body(fp_tx *tx, void *user_data, fp_error *err)
{
    key_call *c = user_data;

    return fpi_catalog_has_key(c->jobs->o.catalog, tx, c->key, &c->found, err);
}

/* Whether the transaction that was to name it did so after all, is asked in the database: an error of a commit need not mean
 * that nothing was committed. */
fp_status fpi_job_output_remove(fp_jobs *jobs, const char *key, fp_error *err)
{
    key_call call = { jobs, key, 0 };
    fp_status rc =
        fp_database_transact(jobs->o.database, FILEPROC_TX_READONLY, key_body, &call, err);

    if (rc == FILEPROC_OK && !call.found)
        rc = fp_storage_remove(jobs->o.storage, key, err);
    return rc;
}

/* Keys of a later claim are none of our business. */
static fp_status clean_page(fp_jobs *jobs, const fp_storage_list_page *page, size_t prefix_size,
                            int64_t fence, fp_error *err)
{
    fp_status rc = FILEPROC_OK;

    for (size_t i = 0; rc == FILEPROC_OK && i < page->count; i++) {
        const char *key = page->names[i];

        if (strtoll(key + prefix_size, NULL, 10) <= fence)
            rc = fpi_job_output_remove(jobs, key, err);
    }
    return rc;
}

fp_status fpi_job_output_clean(fp_jobs *jobs, const char *job_id, int64_t fence, fp_error *err)
{
    char prefix[FPI_JOB_OUTPUT_KEY_SIZE], cursor[FPI_KEY_MAX + 1];
    bool more = true;
    fp_status rc = FILEPROC_OK;

    job_prefix(job_id, prefix);
    cursor[0] = '\0';
    while (rc == FILEPROC_OK && more) {
        fp_storage_list_page *page = NULL;

        rc = fp_storage_list(jobs->o.storage, prefix, cursor[0] ? cursor : NULL, PAGE, &page, err);
        if (rc < 0)
            return rc;
        rc = clean_page(jobs, page, strlen(prefix), fence, err);
        more = page->next != NULL;
        if (more)
            snprintf(cursor, sizeof(cursor), "%s", page->next);
        fp_storage_list_free(page);
    }
    return rc;
}
