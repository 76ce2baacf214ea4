/* Owns: just enough HTTP/1.1 over a kept-alive connection to load a server on loopback.
 * Must not know: what is requested. A failure ends the program: a benchmark that goes on after one measures nothing. */
#ifndef BENCH_HTTP_CLIENT_H
#define BENCH_HTTP_CLIENT_H

#include <stddef.h>

typedef struct http_client {
    int fd;
    int port;
    char reply[16384]; /* head and body of the last answer, with a NUL behind */
    const char *body;
} http_client;

/* A piece of the request's body; several are sent with one system call. */
typedef struct http_piece {
    const void *data;
    size_t size;
} http_piece;

void http_open(http_client *c, int port);
void http_close(http_client *c);
/* Sends method, path, the header lines in `headers` (each ended by CRLF) and the pieces; answers the status. */
int http_send(http_client *c, const char *method, const char *path, const char *headers,
              const http_piece *pieces, size_t count);
/* Copies the text member `name` of the JSON reply into out; ends the program when it isn't there. */
void http_member(const http_client *c, const char *name, char *out, size_t size);
void die(const char *what);

#endif
