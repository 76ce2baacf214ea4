/* Owns: just enough HTTP/1.1 over a kept-alive connection to load a server on loopback.
 * Must not know: what is requested. */
#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void die(const char *what)
{
    perror(what);
    exit(1);
}

void http_open(http_client *c, int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((unsigned short)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;

    c->port = port;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void http_close(http_client *c)
{
    close(c->fd);
}

static void send_all(http_client *c, struct iovec *iov, int count)
{
    while (count) {
        ssize_t n = writev(c->fd, iov, count);

        if (n < 0)
            die("send");
        while (count && (size_t)n >= iov->iov_len) {
            n -= (ssize_t)iov->iov_len;
            iov++;
            count--;
        }
        if (count) {
            iov->iov_base = (char *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
}

/* Reads one answer with a Content-Length, or without a body. */
static int read_reply(http_client *c)
{
    size_t have = 0, wanted = 0;
    char *end = NULL;
    const char *length;

    while (!end || have < wanted) {
        ssize_t n = recv(c->fd, c->reply + have, sizeof(c->reply) - 1 - have, 0);

        if (n <= 0 || have + (size_t)n >= sizeof(c->reply) - 1)
            die("receive");
        have += (size_t)n;
        c->reply[have] = '\0';
        if (!end && (end = strstr(c->reply, "\r\n\r\n"))) {
            length = strcasestr(c->reply, "\r\ncontent-length:");
            wanted = (size_t)(end + 4 - c->reply) +
                     (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
            c->body = end + 4;
        }
    }
    /* A server may close a kept-alive connection when it likes. */
    if (strcasestr(c->reply, "\r\nconnection: close")) {
        http_close(c);
        http_open(c, c->port);
    }
    return (int)strtol(c->reply + 9, NULL, 10);
}

int http_send(http_client *c, const char *method, const char *path, const char *headers,
              const http_piece *pieces, size_t count)
{
    struct iovec iov[8];
    char head[1024];
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += pieces[i].size;
        iov[i + 1] = (struct iovec){ (void *)pieces[i].data, pieces[i].size };
    }
    snprintf(
        head, sizeof(head),
        "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: keep-alive\r\n%sContent-Length: %zu\r\n\r\n",
        method, path, c->port, headers, size);
    iov[0] = (struct iovec){ head, strlen(head) };
    send_all(c, iov, (int)count + 1);
    return read_reply(c);
}

void http_member(const http_client *c, const char *name, char *out, size_t size)
{
    char key[64];
    const char *at, *end;

    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(c->body, key);
    at = at ? strchr(at + strlen(key), '"') : NULL;
    end = at ? strchr(at + 1, '"') : NULL;
    if (!end || (size_t)(end - at) > size) {
        fprintf(stderr, "no %s in: %s\n", name, c->body);
        exit(1);
    }
    snprintf(out, size, "%.*s", (int)(end - at - 1), at + 1);
}
