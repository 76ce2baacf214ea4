/* Owns: who watches which upload, and handing them its latest state without ever waiting for them.
 * Must not know: WebSockets; a watcher is reached by a pair of functions. */
#ifndef FPD_HUB_H
#define FPD_HUB_H

#include <stdint.h>

#include <fileproc/upload.h>

#include "metrics.h"
#include "socket.h"

/** All watchers of a server. Any thread. */
typedef struct fpd_hub fpd_hub;
/** One watcher. It fetches its messages when it has room for them, so a slow one holds up nobody, and sees the latest state instead
 *  of every state. */
typedef struct fpd_watcher fpd_watcher;

/** The longest id of an upload, with the NUL. */
#define FPD_HUB_ID_SIZE 64u

/** NULL when out of memory. metrics is borrowed. Who watches in another way than through the hub has a thread, so there is another limit for
 *  them. */
fpd_hub *fpd_hub_new(size_t max_watchers, size_t max_streams, fpd_metrics *metrics);
/** No watcher may be left. */
void fpd_hub_free(fpd_hub *hub);
FPD_DEFINE_CLEANUP(fpd_hub, fpd_hub_free)

/** Takes a place for a watcher of the upload with this id, which gets nothing yet. NULL: all places are taken, or out of
 *  memory. */
fpd_watcher *fpd_watcher_new(fpd_hub *hub, const char *upload_id);

/** Has something to say from now on, of which link->wake tells: `first` unless something newer was published since
 *  fpd_watcher_new(). */
void fpd_watcher_start(fpd_watcher *w, const fpd_socket_link *link, const fp_upload *first);

/** Fetches the latest message into text, and answers its size; 0 = there is none that was not fetched. */
size_t fpd_watcher_take(fpd_watcher *w, char text[FPD_SOCKET_TEXT_MAX]);

/** Gives the place back; the link is not used any more. NULL is allowed. */
void fpd_watcher_free(fpd_watcher *w);

/** Takes a place for somebody who watches in another way than through the hub; false when all are taken. */
bool fpd_hub_take_place(fpd_hub *hub);
void fpd_hub_give_place(fpd_hub *hub);

/** Tells the watchers of this upload; never blocks on them. */
void fpd_hub_publish(fpd_hub *hub, const fp_upload *upload);

/** Told when an upload gets its first watcher, and when its last one leaves; under a lock of the hub's, so it must not wait. NULL: nobody
 *  wants to know. Only while there are no watchers. */
void fpd_hub_set_interest(fpd_hub *hub,
                          void (*changed)(void *self, const char *upload_id, bool watched),
                          void *self);

/** Copies the ids of what is watched, `most` at the most, each once, and answers how many. */
size_t fpd_hub_watched(fpd_hub *hub, char (*ids)[FPD_HUB_ID_SIZE], size_t most);

/** Drops all watchers and lets no new one in: the server stops. */
void fpd_hub_close(fpd_hub *hub);

#endif
