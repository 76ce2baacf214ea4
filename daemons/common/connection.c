/* Owns: finding the socket of a connection, which CivetWeb does not tell, and taking it away from there.
 * Must not know: CivetWeb. */
#include "connection.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_at(const struct sockaddr_in *at, in_addr_t address, int port)
{
    return at->sin_family == AF_INET && at->sin_addr.s_addr == address &&
           ntohs(at->sin_port) == port;
}

/* Both ends are compared: the other end of a connection to ourselves is ours, too. */
static bool connects(int fd, in_addr_t peer, int peer_port, int own_port)
{
    struct sockaddr_in far = { 0 }, near = { 0 };
    socklen_t far_size = sizeof(far), near_size = sizeof(near);

    return getpeername(fd, (struct sockaddr *)&far, &far_size) == 0 &&
           is_at(&far, peer, peer_port) &&
           getsockname(fd, (struct sockaddr *)&near, &near_size) == 0 &&
           near.sin_family == AF_INET && ntohs(near.sin_port) == own_port;
}

/* Connections that come and go have low numbers; looking at them is faster than reading a list in which thousands of others
 * stand. */
static int find_low(in_addr_t address, int peer_port, int own_port)
{
    for (int fd = 0; fd < FPD_CONNECTION_TAKEN_MIN; fd++)
        if (connects(fd, address, peer_port, own_port))
            return fd;
    return -1;
}

int fpd_connection_descriptor(const char *peer, int peer_port, int own_port)
{
    const struct dirent *entry;
    struct in_addr address;
    int found = -1;
    DIR *folder;

    if (inet_pton(AF_INET, peer, &address) != 1)
        return -1;
    found = find_low(address.s_addr, peer_port, own_port);
    if (found >= 0)
        return found;
    folder = opendir("/proc/self/fd");
    if (!folder)
        return -1;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the folder is this thread's own */
    while (found < 0 && (entry = readdir(folder)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && connects(fd, address.s_addr, peer_port, own_port))
            found = fd;
    }
    closedir(folder);
    return found;
}

/* For the owner to close in the other one's place. */
static bool put_an_ended_one(int fd)
{
    int ends[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    ok = dup3(ends[0], fd, O_CLOEXEC) == fd;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

int fpd_connection_take(int fd)
{
    int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FPD_CONNECTION_TAKEN_MIN);

    if (own < 0)
        return -1;
    if (put_an_ended_one(fd))
        return own;
    close(own);
    return -1;
}
