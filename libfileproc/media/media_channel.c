/* Owns: packets to and from the library, with the descriptors that travel in them.
 * Must not know: what a packet means. */
#include "media/media_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/error_private.h"
#include "media/protocol.h"

/* Room for more than the one that is allowed, so that too many are seen (and closed) rather than cut off. */
#define DESCRIPTORS_MAX 4

fp_status fpi_media_channel_init(fpi_media_channel *ch, const fp_context *ctx, int fd,
                                 fp_error *err)
{
    *ch = (fpi_media_channel){ .ctx = ctx, .fd = fd };
    ch->buffer = fpi_alloc(&ctx->a, FPI_MEDIA_PACKET_MAX);
    return ch->buffer ? FILEPROC_OK : fpi_no_memory(err);
}

void fpi_media_channel_dispose(fpi_media_channel *ch)
{
    if (ch->buffer)
        fpi_free(&ch->ctx->a, ch->buffer);
    ch->buffer = NULL;
}

/* Takes the descriptors out of a message; all are closed unless it is exactly one. */
static size_t take_descriptors(struct msghdr *m, int *fd)
{
    size_t count = 0;

    *fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < here; i++) {
            int one;

            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count++ == 0)
                *fd = one;
            else
                close(one);
        }
    }
    if (count > 1) {
        close(*fd);
        *fd = -1;
    }
    return count;
}

static fp_status receive(fpi_media_channel *ch, json_t **message, int *fd, fp_error *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    } control;
    struct iovec part = { ch->buffer, FPI_MEDIA_PACKET_MAX };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.bytes,
                        .msg_controllen = sizeof(control.bytes) };
    FPI_CLEANUP(json_t) json = NULL;
    FPI_FD received = -1;
    ssize_t size;
    size_t count;
    fp_status rc;

    do
        size = recvmsg(ch->fd, &m, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno != ECONNRESET)
        return fpi_error_errno(err, errno, "can't receive");
    if (size <= 0) {
        *message = NULL;
        *fd = -1;
        return FILEPROC_OK;
    }
    count = take_descriptors(&m, &received);
    if (count > 1 || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "a packet is too large");
    rc = fpi_json_parse(ch->buffer, (size_t)size, "packet", &json, err);
    if (rc < 0)
        return rc;
    if (!json_is_object(json))
        return fp_error_setf(err, FILEPROC_ERR_PROTOCOL, "a packet is no object");
    *fd = fpi_steal_fd(&received);
    *message = fpi_steal(&json);
    return FILEPROC_OK;
}

fp_status fpi_media_receive(fpi_media_channel *ch, json_t **message, int *fd, fp_error *err)
{
    fp_status rc = receive(ch, message, fd, err);

    ch->broken = ch->broken || rc < 0 || !*message;
    return rc;
}

fp_status fpi_media_send(fpi_media_channel *ch, json_t *message, fp_error *err)
{
    FPI_CLEANUP(json_t) json = message;
    FPI_DISPOSE(fp_buf) text = FILEPROC_BUF_INIT;
    ssize_t sent;
    fp_status rc;

    if (!json)
        return fpi_no_memory(err);
    rc = fpi_json_dump(ch->ctx, json, &text, err);
    if (rc < 0)
        return rc;
    if (text.size > FPI_MEDIA_PACKET_MAX)
        return fp_error_setf(err, FILEPROC_ERR_QUOTA, "the answer is larger than a packet");
    do
        sent = send(ch->fd, text.data, text.size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        ch->broken = true;
        return fpi_error_errno(err, errno, "can't send");
    }
    return FILEPROC_OK;
}
