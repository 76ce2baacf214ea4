/* Owns: finding the socket of a connection, which CivetWeb does not tell.
 * Must not know: CivetWeb. */
#ifndef FPD_CONNECTION_H
#define FPD_CONNECTION_H

/** The descriptor of this process's TCP connection between that peer (an IPv4 address) and the own port; -1 when there is none. To be asked
 *  by who keeps the connection open. Reads the list of open descriptors: for those who will use it for long. */
int fpd_connection_descriptor(const char *peer, int peer_port, int own_port);

#endif
