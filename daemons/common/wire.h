/* Owns: what the HTTP layer needs of an HTTP server: a parsed request head, and bytes in and out.
 * Must not know: which HTTP server. server.c fills it from CivetWeb, tests from memory. */
#ifndef FPD_WIRE_H
#define FPD_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#define FPD_HEADERS_MAX 64u

typedef struct fpd_header {
    const char *name, *value;
} fpd_header;

/** The head of a request; all text is borrowed and lives as long as the request. */
typedef struct fpd_head {
    const char *method;
    const char *target;  /* the path as sent: not decoded, without the query */
    const char *query;   /* as sent; or NULL */
    const char *version; /* "1.0" or "1.1" */
    const char *remote;  /* address of the peer */
    size_t header_count;
    fpd_header headers[FPD_HEADERS_MAX];
} fpd_head;

/** A body as it comes over the connection: first the bytes that the server has read, then those of the socket. */
typedef struct fpd_raw {
    const char *data; /* borrowed */
    size_t size;
    int fd;         /* borrowed; does not block */
    int timeout_ms; /* of silence */
} fpd_raw;

/** The connection of a request. */
typedef struct fpd_wire {
    /** Reads body bytes until buf is full; fewer at the body's end, on failure and on a time-out; below 0 on failure. */
    int (*read)(void *self, void *buf, size_t size);
    /** Writes all; anything but size is a failure. */
    int (*write)(void *self, const void *buf, size_t size);
    /** Lets the connection end after this request. */
    void (*close)(void *self);
    void *self;
    /** The socket, so that a long reply can see whether the peer reads, or is gone; -1 when that isn't known. NULL: never known. */
    int (*descriptor)(void *self);
    /** Takes the body over from the server before any of it was read: from now on it is read from *out, and the connection ends with
     *  this request. False: nobody knows where the body begins. NULL: never known. */
    bool (*raw)(void *self, fpd_raw *out);
    /** Takes the connection from the server, for a reply that goes on after the request: the descriptor is the caller's, and nothing more is
     *  written here. -1: that isn't possible. NULL: never. */
    int (*take)(void *self);
} fpd_wire;

#endif
