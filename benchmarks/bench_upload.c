/* Owns: the load of the upload benchmarks: N clients send files over loopback to fileprocd; with --mode put to a server that takes a
 * plain PUT, with --mode tus to one of tus 1.0.0, a PATCH for each file.
 * Must not know: which server it is. Prints one JSON line. */
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http_client.h"

#define BOUNDARY "----------------bench7f3a"

enum mode { MULTIPART, RAW, PUT, TUS };

typedef struct settings {
    enum mode mode;
    int port, clients;
    unsigned long count;
    size_t size, chunk;
    const char *type;
} settings;

typedef struct client {
    pthread_t thread;
    int number;
    double slowest_complete;
} client;

static settings set = { MULTIPART, 8000, 1, 1, 95 << 20, 5 << 20, "application/zip" };
static unsigned char *bytes; /* what is sent: incompressible, the same for every chunk */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void expect(const http_client *c, int status, int wanted)
{
    if (status == wanted)
        return;
    fprintf(stderr, "status %d instead of %d: %s\n", status, wanted, c->body);
    exit(1);
}

static void put_file(http_client *c, int number, unsigned long index)
{
    http_piece body = { bytes, set.size };
    char path[64];
    int status;

    snprintf(path, sizeof(path), "/put-%d-%lu", number, index);
    status = http_send(c, "PUT", path, "", &body, 1);
    expect(c, status == 204 ? 201 : status, 201);
}

static void send_chunk(http_client *c, const char *id, size_t index)
{
    static const char head[] =
        "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"chunk\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n";
    static const char tail[] = "\r\n--" BOUNDARY "--\r\n";
    size_t left = set.size - index * set.chunk;
    http_piece pieces[3] = { { head, sizeof(head) - 1 },
                             { bytes, left < set.chunk ? left : set.chunk },
                             { tail, sizeof(tail) - 1 } };
    char path[128];

    snprintf(path, sizeof(path), "/v1/uploads/%s/chunk?chunk_index=%zu", id, index);
    if (set.mode == MULTIPART)
        expect(c,
               http_send(c, "PUT", path,
                         "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\n", pieces, 3),
               200);
    else
        expect(
            c,
            http_send(c, "PUT", path, "Content-Type: application/octet-stream\r\n", pieces + 1, 1),
            200);
}

static double upload_file(http_client *c, int number, unsigned long index)
{
    http_piece request;
    char text[256], id[64], path[128];
    double start;

    snprintf(text, sizeof(text),
             "{\"filename\":\"bench-%d-%lu\",\"size\":%zu,\"mime_type\":\"%s\"}", number, index,
             set.size, set.type);
    request = (http_piece){ text, strlen(text) };
    expect(c,
           http_send(c, "POST", "/v1/uploads/initiate", "Content-Type: application/json\r\n",
                     &request, 1),
           201);
    http_member(c, "upload_id", id, sizeof(id));
    for (size_t i = 0; i * set.chunk < set.size; i++)
        send_chunk(c, id, i);
    snprintf(path, sizeof(path), "/v1/uploads/%s/complete", id);
    start = now();
    expect(c, http_send(c, "POST", path, "", NULL, 0), 200);
    return now() - start;
}

/* The path of the upload that was just made; its address may be absolute. */
static void read_location(const http_client *c, char *path, size_t size)
{
    const char *at = strcasestr(c->reply, "\r\nLocation: ");
    size_t length;

    if (!at)
        die("Location");
    at += strlen("\r\nLocation: ");
    if (*at != '/') {
        at = strstr(at, "://");
        at = at ? strchr(at + 3, '/') : NULL;
    }
    length = at ? strcspn(at, "\r") : 0;
    if (length == 0 || length >= size)
        die("Location");
    memcpy(path, at, length);
    path[length] = '\0';
}

static void tus_file(http_client *c)
{
    http_piece body = { bytes, set.size };
    char headers[256], path[256];

    snprintf(headers, sizeof(headers),
             "Tus-Resumable: 1.0.0\r\nUpload-Length: %zu\r\n"
             "Upload-Metadata: filename YmVuY2g=,filetype YXBwbGljYXRpb24vemlw\r\n",
             set.size);
    expect(c, http_send(c, "POST", "/v1/tus", headers, NULL, 0), 201);
    read_location(c, path, sizeof(path));
    expect(c,
           http_send(c, "PATCH", path,
                     "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
                     "Content-Type: application/offset+octet-stream\r\n",
                     &body, 1),
           204);
}

static void *run_client(void *data)
{
    client *me = data;
    http_client c;

    http_open(&c, set.port);
    for (unsigned long i = 0; i < set.count; i++) {
        double complete = 0;

        if (set.mode == PUT)
            put_file(&c, me->number, i);
        else if (set.mode == TUS)
            tus_file(&c);
        else
            complete = upload_file(&c, me->number, i);
        if (complete > me->slowest_complete)
            me->slowest_complete = complete;
    }
    http_close(&c);
    return NULL;
}

static void read_settings(int argc, char **argv)
{
    static const struct option options[] = {
        { "mode", 1, NULL, 'm' },    { "port", 1, NULL, 'p' },
        { "clients", 1, NULL, 'c' }, { "count", 1, NULL, 'n' },
        { "size", 1, NULL, 's' },    { "chunk", 1, NULL, 'k' },
        { "type", 1, NULL, 't' },    { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'm')
            set.mode = strcmp(optarg, "put") == 0   ? PUT
                       : strcmp(optarg, "tus") == 0 ? TUS
                       : strcmp(optarg, "raw") == 0 ? RAW
                                                    : MULTIPART;
        else if (option == 'p')
            set.port = (int)strtol(optarg, NULL, 10);
        else if (option == 'c')
            set.clients = (int)strtol(optarg, NULL, 10);
        else if (option == 'n')
            set.count = strtoul(optarg, NULL, 10);
        else if (option == 's')
            set.size = strtoull(optarg, NULL, 10);
        else if (option == 'k')
            set.chunk = strtoull(optarg, NULL, 10);
        else if (option == 't')
            set.type = optarg;
        else
            exit(2);
    }
}

static void make_bytes(void)
{
    size_t size = set.mode == PUT || set.mode == TUS ? set.size : set.chunk;
    uint64_t x = 88172645463325252u;

    bytes = malloc(size + 8);
    if (!bytes)
        die("malloc");
    for (size_t i = 0; i < size; i += 8) { /* xorshift64 */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, 8);
    }
}

int main(int argc, char **argv)
{
    client clients[256] = { 0 };
    double start, seconds, slowest = 0, files;

    read_settings(argc, argv);
    make_bytes();
    start = now();
    for (int i = 0; i < set.clients; i++) {
        clients[i].number = i;
        if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) != 0)
            die("thread");
    }
    for (int i = 0; i < set.clients; i++) {
        pthread_join(clients[i].thread, NULL);
        if (clients[i].slowest_complete > slowest)
            slowest = clients[i].slowest_complete;
    }
    seconds = now() - start;
    files = (double)set.clients * (double)set.count;
    printf(
        "{\"seconds\": %.4f, \"files_per_s\": %.1f, \"mb_per_s\": %.1f, \"slowest_complete_ms\": %.2f}\n",
        seconds, files / seconds, files * (double)set.size / 1e6 / seconds, slowest * 1e3);
    free(bytes);
    return 0;
}
