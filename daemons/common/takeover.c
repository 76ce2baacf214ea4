/* Owns: where a request's body begins among the bytes that CivetWeb has read ahead, so that somebody else can read it.
 * Must not know: what is in it.
 *
 * CivetWeb takes the chunked coding apart itself, loses the first two bytes of a trailer and gives none of it. It does not tell how many
 * bytes lie behind the head in its buffer either. But what it has taken from the socket is known: what the kernel has received less
 * what still waits there. Less the requests before and the head, that is what lies in the buffer. */
#include "takeover.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* CivetWeb's buffer comes from malloc(). A head that does not begin there has blanks before it, which are in no count. */
#define ALIGNMENT 16u
#define TRIES 100

/* A worker thread serves one connection until it ends. */
static _Thread_local struct {
    uint64_t before; /* bytes of its requests before this one */
    bool lost;       /* nobody knows how many */
} position;

void fpd_takeover_count(uint64_t bytes)
{
    position.before += bytes;
}

void fpd_takeover_lose(void)
{
    position.lost = true;
}

void fpd_takeover_reset(void)
{
    position.before = 0;
    position.lost = false;
}

/* Nobody else reads, so as long as no bytes arrive between the two looks at what waits they fit together. */
static bool read_taken(int fd, uint64_t *taken)
{
    for (int i = 0; i < TRIES; i++) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof(info);
        int before = 0, after = 0;
        uint64_t received;

        if (ioctl(fd, FIONREAD, &before) < 0 ||
            getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
            ioctl(fd, FIONREAD, &after) < 0 ||
            size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(uint64_t))
            return false;
        received = info.tcpi_bytes_received;
        if (before == after && before >= 0 && received >= (uint64_t)before) {
            *taken = received - (uint64_t)before;
            return true;
        }
    }
    return false;
}

bool fpd_takeover(const char *head, size_t head_size, size_t capacity, int fd, fpd_raw *out)
{
    uint64_t taken, known = position.before + head_size;

    if (position.lost || fd < 0 || (uintptr_t)head % ALIGNMENT != 0 || !read_taken(fd, &taken) ||
        taken < known || taken - known > capacity - head_size)
        return false;
    out->data = head + head_size;
    out->size = (size_t)(taken - known);
    out->fd = fd;
    return true;
}
