/* Owns: the measurement of the upload engine alone, without HTTP: large files in chunks, many small files.
 * Must not know: the daemons. Prints one JSON line.
 *
 * usage: bench_engine FOLDER [--clients N] [--count FILES] [--size BYTES] [--chunk BYTES] [--buffer BYTES] [--sessions N] */
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <fileproc/fileproc.h>

typedef struct settings {
    int clients;
    unsigned long count, sessions;
    size_t size, chunk, buffer;
} settings;

typedef struct client {
    pthread_t thread;
    double creating, sending, completing, slowest_complete;
} client;

static settings set = { 1, 1, 0, 95 << 20, 5 << 20, 256 << 10 };
static unsigned char *bytes;
static fp_context *ctx;
static fp_database *database;
static fp_storage *storage;
static fp_catalog *catalog;
static fp_uploads *uploads;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(fp_status rc, const fp_error *err)
{
    if (rc == FILEPROC_OK)
        return;
    fprintf(stderr, "%s: %s\n", fp_error_reason(err), err->message);
    exit(1);
}

static void open_engine(const char *folder)
{
    fp_uploads_options o = FILEPROC_UPLOADS_OPTIONS_INIT;
    fp_error err = { 0 };
    char uri[512];

    must(fp_context_new(NULL, &ctx, &err), &err);
    snprintf(uri, sizeof(uri), "file://%s/store", folder);
    must(fp_storage_open(ctx, uri, NULL, &storage, &err), &err);
    snprintf(uri, sizeof(uri), "sqlite://%s/database", folder);
    must(fp_database_open(ctx, uri, NULL, &database, &err), &err);
    must(fp_database_migrate(database, &err), &err);
    must(fp_catalog_open(ctx, database, storage, &catalog, &err), &err);
    o.database = database;
    o.storage = storage;
    o.catalog = catalog;
    o.allowed_types = "*";
    o.chunk_size = set.chunk;
    o.max_file_size = (uint64_t)1 << 40;
    must(fp_uploads_open(ctx, &o, &uploads, &err), &err);
}

static void close_engine(void)
{
    fp_uploads_free(uploads);
    fp_catalog_free(catalog);
    fp_database_free(database);
    fp_storage_free(storage);
    fp_context_free(ctx);
}

static void send_chunk(const char *id, uint64_t index)
{
    fp_error err = { 0 };
    fp_chunk *chunk = NULL;
    size_t length;

    must(fp_chunk_begin(uploads, id, index, NULL, &chunk, &err), &err);
    length = (size_t)fp_chunk_length(chunk);
    for (size_t done = 0; done < length;) {
        size_t n = length - done < set.buffer ? length - done : set.buffer;

        must(fp_chunk_write(chunk, bytes + done, n, &err), &err);
        done += n;
    }
    must(fp_chunk_commit(chunk, NULL, &err), &err);
    fp_chunk_free(chunk);
}

static fp_upload *create(void)
{
    fp_upload_request r = FILEPROC_UPLOAD_REQUEST_INIT;
    fp_error err = { 0 };
    fp_upload *u = NULL;

    r.filename = "bench.bin";
    r.mime_type = "application/octet-stream";
    r.size = set.size;
    must(fp_upload_create(uploads, &r, &u, &err), &err);
    return u;
}

static void *run_client(void *arg)
{
    client *c = arg;

    for (unsigned long i = 0; i < set.count; i++) {
        double start = now(), created, sent, completed;
        fp_upload *u = create(), *done = NULL;
        fp_error err = { 0 };

        created = now();
        for (uint64_t k = 0; k < u->total_chunks; k++)
            send_chunk(u->id, k);
        sent = now();
        must(fp_upload_complete(uploads, u->id, &done, &err), &err);
        completed = now();
        c->creating += created - start;
        c->sending += sent - created;
        c->completing += completed - sent;
        if (completed - sent > c->slowest_complete)
            c->slowest_complete = completed - sent;
        fp_upload_free(done);
        fp_upload_free(u);
    }
    return NULL;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "clients", 1, NULL, 'c' }, { "count", 1, NULL, 'n' },    { "size", 1, NULL, 's' },
        { "chunk", 1, NULL, 'k' },   { "sessions", 1, NULL, 'o' }, { "buffer", 1, NULL, 'b' },
        { NULL, 0, NULL, 0 },
    };
    int o;

    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        unsigned long long value = optarg ? strtoull(optarg, NULL, 10) : 0;

        switch (o) {
        case 'c':
            set.clients = (int)value;
            break;
        case 'n':
            set.count = (unsigned long)value;
            break;
        case 's':
            set.size = (size_t)value;
            break;
        case 'k':
            set.chunk = (size_t)value;
            break;
        case 'o':
            set.sessions = (unsigned long)value;
            break;
        case 'b':
            set.buffer = (size_t)value;
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc - 1 || set.clients < 1 || !set.chunk || !set.buffer) {
        fprintf(stderr, "usage: bench_engine [options] FOLDER\n");
        exit(2);
    }
}

/* Sessions that nobody works on any more must cost the others nothing. */
static double reopen_beside_open_sessions(const char *folder)
{
    double start;

    for (unsigned long i = 0; i < set.sessions; i++)
        fp_upload_free(create());
    close_engine();
    start = now();
    open_engine(folder);
    return now() - start;
}

static void report(const client *clients, double took, double opening)
{
    double files = (double)set.count * set.clients;
    client all = { .slowest_complete = 0 };

    for (int i = 0; i < set.clients; i++) {
        all.creating += clients[i].creating / files * 1e3;
        all.sending += clients[i].sending / files * 1e3;
        all.completing += clients[i].completing / files * 1e3;
        if (clients[i].slowest_complete > all.slowest_complete)
            all.slowest_complete = clients[i].slowest_complete;
    }
    printf("{\"clients\":%d,\"files\":%.0f,\"size\":%zu,\"seconds\":%.3f,\"mb_per_s\":%.1f,"
           "\"files_per_s\":%.1f,\"create_ms\":%.2f,\"chunks_ms\":%.2f,\"complete_ms\":%.2f,"
           "\"slowest_complete_ms\":%.2f,\"opening_ms\":%.2f}\n",
           set.clients, files, set.size, took, (double)set.size * files / took / 1e6, files / took,
           all.creating, all.sending, all.completing, all.slowest_complete * 1e3, opening * 1e3);
}

int main(int argc, char **argv)
{
    client *clients;
    double start, opening = 0;
    uint64_t x = 88172645463325252u;

    read_options(argc, argv);
    clients = calloc((size_t)set.clients, sizeof(*clients));
    bytes = malloc(set.chunk);
    if (!clients || !bytes)
        return 1;
    for (size_t i = 0; i + 8 <= set.chunk; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, 8);
    }
    open_engine(argv[optind]);
    if (set.sessions)
        opening = reopen_beside_open_sessions(argv[optind]);
    start = now();
    for (int i = 0; i < set.clients; i++)
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0)
            return 1;
    for (int i = 0; i < set.clients; i++)
        pthread_join(clients[i].thread, NULL);
    report(clients, now() - start, opening);
    close_engine();
    free(bytes);
    free(clients);
    return 0;
}
