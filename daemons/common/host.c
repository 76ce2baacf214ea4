/* Owns: which names the server answers to.
 * Must not know: any route.
 *
 * A server on loopback asks nobody to log in, because only this machine reaches it. So does every web page that its user looks at:
 * its name may be made to mean 127.0.0.1 after it was loaded (DNS rebinding), and then the browser takes us for a part of it. But
 * it still sends the page's name in Host, which no page can change. */
#include "host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "header_value.h"

/* Longer than any name in the DNS. */
#define NAME_SIZE 256

/* Copies what stands before the port. False for what is no host at all. */
static bool take_name(const char *host, char name[NAME_SIZE])
{
    size_t size = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    const char *port;

    if (size > strlen(host) || size == 0 || size >= NAME_SIZE || memchr(host, ',', size))
        return false;
    port = host + size;
    if (*port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")] != '\0'))
        return false;
    memcpy(name, host, size);
    name[size] = '\0';
    return true;
}

/* A number can't be made to mean something else. */
static bool is_loopback(const char *name)
{
    struct in_addr address;

    if (strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool fpd_host_allowed(const char *allowed, const char *host)
{
    char name[NAME_SIZE];

    if (fpd_list_has(allowed, "*"))
        return true;
    return take_name(host, name) &&
           (is_loopback(name) || fpd_list_has(allowed, name) || fpd_list_has(allowed, host));
}
