/* Owns: a proxy between a program and a server on loopback that cuts or freezes connections at a chosen moment.
 * Must not know: what is said through it. */
#ifndef TESTS_TCP_PROXY_H
#define TESTS_TCP_PROXY_H

typedef struct tcp_proxy tcp_proxy;

enum {
    TCP_PROXY_PASS,
    TCP_PROXY_CUT_BEFORE, /* what holds the needle does not reach the server; both sides are closed */
    TCP_PROXY_CUT_AFTER, /* it does, but the answer does not reach the client */
    TCP_PROXY_FREEZE     /* it does not reach the server, and nobody is told */
};

/* Forwards to a port of loopback. */
tcp_proxy *tcp_proxy_start(int server_port);
int tcp_proxy_port(const tcp_proxy *proxy);
/* From now on, once: what is to be done when a client sends bytes that hold needle. */
void tcp_proxy_when(tcp_proxy *proxy, const char *needle, int what);
/* How often that has happened. */
int tcp_proxy_hits(tcp_proxy *proxy);
void tcp_proxy_stop(tcp_proxy *proxy);

#endif
