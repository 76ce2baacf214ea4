/* Owns: finding the socket of a connection, which CivetWeb does not tell, and taking it away from there.
 * Must not know: CivetWeb. */
#ifndef FPD_CONNECTION_H
#define FPD_CONNECTION_H

/** The descriptor of this process's TCP connection between that peer (an IPv4 address) and the own port; -1 when there is none. To be asked
 *  by who keeps the connection open. Reads the list of open descriptors: for those who will use it for long. */
int fpd_connection_descriptor(const char *peer, int peer_port, int own_port);

/** The lowest number of a descriptor that was taken: those below are left to connections that come and go. */
#define FPD_CONNECTION_TAKEN_MIN 512

/** Takes a connection from whoever owns fd, and answers the descriptor under which it goes on, to be closed by the caller. Under fd the owner
 *  finds a connection that has ended. -1: the process has no descriptor left; then nothing has changed. */
int fpd_connection_take(int fd);

#endif
