/* Owns: a TCP proxy on loopback whose flow a test can stop, slow down and cut.
 * Must not know: what flows. */
#ifndef TESTS_FLOW_PROXY_H
#define TESTS_FLOW_PROXY_H

#include <stdbool.h>

typedef struct flow_proxy flow_proxy;

/* Forwards to that port of loopback from a port of its own. */
flow_proxy *flow_proxy_start(int server_port);
void flow_proxy_stop(flow_proxy *p);
int flow_proxy_port(const flow_proxy *p);

/* Closes all connections, in the middle of whatever is said. */
void flow_proxy_cut(flow_proxy *p);
/* New connections are closed at once, as long as it is so. */
void flow_proxy_refuse(flow_proxy *p, bool refuse);
/* Nothing passes in that direction, but nobody is told, as long as it is so. */
void flow_proxy_hold(flow_proxy *p, bool up, bool down);
/* Bytes per 10 ms, in each direction of each connection; 0 = any number. */
void flow_proxy_slow(flow_proxy *p, int bytes);
/* Each connection is cut when so many more bytes have come from the server; 0 = never. */
void flow_proxy_cut_after(flow_proxy *p, int bytes);

#endif
