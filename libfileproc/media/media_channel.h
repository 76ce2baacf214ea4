/* Owns: packets to and from the library, with the descriptors that travel in them.
 * Must not know: what a packet means. */
#ifndef FPI_MEDIA_CHANNEL_H
#define FPI_MEDIA_CHANNEL_H

#include <stdbool.h>

#include "core/json.h"

/** Our end of the socketpair. */
typedef struct fpi_media_channel {
    const fp_context *ctx;
    char *buffer; /* FPI_MEDIA_PACKET_MAX bytes */
    int fd;
    bool broken; /* nothing more can be said: the other side is gone, or breaks the protocol */
} fpi_media_channel;

fp_status fpi_media_channel_init(fpi_media_channel *ch, const fp_context *ctx, int fd,
                                 fp_error *err);
void fpi_media_channel_dispose(fpi_media_channel *ch);

/** Waits for a packet. *message is a new reference, NULL when the other side has closed; *fd the descriptor that came with it, -1 when
 *  none did. PROTOCOL for what the library never sends: more descriptors, larger packets, no JSON object. */
fp_status fpi_media_receive(fpi_media_channel *ch, json_t **message, int *fd, fp_error *err);

/** Sends one packet; takes the message. QUOTA when it is larger than a packet may be: nothing was sent. */
fp_status fpi_media_send(fpi_media_channel *ch, json_t *message, fp_error *err);

#endif
