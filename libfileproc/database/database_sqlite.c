/* Owns: the driver "sqlite": what its URIs mean, and who of writer and readers runs a transaction.
 * Must not know: any table. */
#include "database/database_sqlite.h"

#include <string.h>

#include "core/uri.h"

#define MEMORY ":memory:"

typedef struct sqlite {
    fp_context *ctx;
    fpi_sqlite_writer *writer;
    fpi_sqlite_readers *readers; /* NULL in memory: the writer's is the only connection */
} sqlite;

static void sqlite_close(void *self)
{
    sqlite *s = self;

    if (!s)
        return;
    fpi_sqlite_readers_free(s->readers);
    fpi_sqlite_writer_close(s->writer);
    fpi_free(&s->ctx->a, s);
}
FPI_DEFINE_CLEANUP(sqlite, sqlite_close)

static fp_status check_uri(const fpi_uri *uri, fp_error *err)
{
    size_t size = strlen(uri->path);

    if (uri->user || uri->port || uri->query || (uri->host && uri->host[0]))
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "a sqlite URI is sqlite:///absolute/file.db or sqlite::memory:");
    if (strcmp(uri->path, MEMORY) == 0 && !uri->host)
        return FILEPROC_OK;
    if (uri->path[0] != '/' || uri->path[size - 1] == '/')
        return fp_error_setf(err, FILEPROC_ERR_INVALID,
                             "the path of a sqlite URI must be absolute");
    return FILEPROC_OK;
}

static fp_status sqlite_open(fp_context *ctx, const char *uri, const fp_database_options *opts,
                             void **self, fp_error *err)
{
    FPI_DISPOSE(fpi_uri) parsed = { 0 };
    FPI_CLEANUP(sqlite) s = NULL;
    bool file;
    fp_status rc;

    if (!sqlite3_threadsafe())
        return fp_error_setf(err, FILEPROC_ERR_NOTSUP,
                             "this SQLite was built without thread support");
    rc = fpi_uri_parse(ctx, uri, &parsed, err);
    if (rc == FILEPROC_OK)
        rc = check_uri(&parsed, err);
    if (rc < 0)
        return rc;
    file = strcmp(parsed.path, MEMORY) != 0;
    s = fpi_calloc(&ctx->a, 1, sizeof(*s));
    if (!s)
        return fpi_no_memory(err);
    s->ctx = ctx;
    rc = fpi_sqlite_writer_open(ctx, parsed.path, opts->busy_timeout_ms, file, &s->writer, err);
    if (rc == FILEPROC_OK && file)
        rc = fpi_sqlite_readers_new(ctx, parsed.path, opts, &s->readers, err);
    if (rc == FILEPROC_OK)
        *self = fpi_steal(&s);
    return rc;
}

static fp_status sqlite_transact(void *self, uint32_t flags, fpi_sqlite_body body, void *body_data,
                                 fp_error *err)
{
    sqlite *s = self;
    bool readonly = (flags & FILEPROC_TX_READONLY) != 0;

    if (readonly && s->readers)
        return fpi_sqlite_read(s->readers, body, body_data, err);
    return fpi_sqlite_write(s->writer, readonly, body, body_data, err);
}

static fp_status sqlite_change_counter(void *self, int64_t *counter, fp_error *err)
{
    sqlite *s = self;

    return fpi_sqlite_writer_version(s->writer, counter, err);
}

const fp_database_driver fpi_database_sqlite_driver = {
    FILEPROC_DATABASE_DRIVER_INIT("sqlite"),
    .open = sqlite_open,
    .close = sqlite_close,
    .transact = sqlite_transact,
    .exec = fpi_sqlite_exec,
    .query = fpi_sqlite_query,
    .next = fpi_sqlite_next,
    .column_int64 = fpi_sqlite_column_int64,
    .column_double = fpi_sqlite_column_double,
    .column_text = fpi_sqlite_column_text,
    .rows_free = fpi_sqlite_rows_free,
    .change_counter = sqlite_change_counter,
    .now_ms = "CAST((julianday('now') - 2440587.5) * 86400000 AS BIGINT)",
};
