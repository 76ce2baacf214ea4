/* Owns: what happened lately to uploads and jobs, in order and numbered, for those who watch and those who come back.
 * Must not know: HTTP, or how an event is written. */
#ifndef FPD_FEED_H
#define FPD_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <fileproc/upload.h>

#include "scoped.h"

/** The last events of a process. Any thread. */
typedef struct fpd_feed fpd_feed;

/** How many events are kept. */
#define FPD_FEED_EVENTS 2048u
/** The longest id in an event, with the NUL. */
#define FPD_FEED_ID_SIZE 40u
/** The text of an event's number, with the NUL. */
#define FPD_FEED_NUMBER_SIZE 40u

/** FPD_EVENT_*: bits, so that a watcher can choose. A gap is for all: events of another process may be missing here. */
enum { FPD_EVENT_UPLOAD = 1, FPD_EVENT_JOB = 2, FPD_EVENT_GAP = 4, FPD_EVENT_FILE = 8 };

/** What an upload or a job was like at a moment. */
typedef struct fpd_event {
    uint64_t number;
    unsigned kind;
    char upload_id[FPD_FEED_ID_SIZE]; /* of an upload's */
    char job_id[FPD_FEED_ID_SIZE];    /* of a job's; of an upload that ended in a file with one */
    char file_id[FPD_FEED_ID_SIZE];   /* the same; and of a file's */
    char state[16];
    uint64_t chunks, total; /* of an upload's */
    bool size_unknown;      /* of an upload */
    double progress;        /* of a job's, 0 to 1 */
} fpd_event;

/** Somebody who takes events one after the other, at his own pace. Lives with its caller; all members are the feed's. */
typedef struct fpd_feed_watcher fpd_feed_watcher;
struct fpd_feed_watcher {
    fpd_feed *feed;
    fpd_feed_watcher *next, **back;
    pthread_cond_t news;
    unsigned kinds;
    bool waiting;
    char upload_id[FPD_FEED_ID_SIZE]; /* empty = all */
    char file_id[FPD_FEED_ID_SIZE];   /* of that upload, once it has one */
    uint64_t entered;                 /* the number of the newest event when he came */
    uint64_t taken;                   /* the number up to which he has seen everything */
};

/** What fpd_feed_enter() found. */
typedef enum fpd_feed_start {
    FPD_FEED_NOW,    /* he begins with what happens from now on */
    FPD_FEED_REPLAY, /* he goes on behind the event that he saw last */
    FPD_FEED_OLD,    /* that one is not kept any more; he begins now */
    FPD_FEED_FOREIGN /* that one was numbered by another process, or is no number; he begins now */
} fpd_feed_start;

/** What fpd_feed_next() found. */
typedef enum fpd_feed_result {
    FPD_FEED_EVENT,
    FPD_FEED_NOTHING, /* the time is over */
    FPD_FEED_BEHIND,  /* what would be next is not kept any more: he was too slow */
    FPD_FEED_CLOSED
} fpd_feed_result;

/** NULL when out of memory. */
fpd_feed *fpd_feed_new(void);
/** No watcher may be left; NULL is allowed. */
void fpd_feed_free(fpd_feed *feed);
FPD_DEFINE_CLEANUP(fpd_feed, fpd_feed_free)

/** Record what an upload or a job is like now; they never wait for a watcher. */
void fpd_feed_upload(fpd_feed *feed, const fp_upload *upload);
void fpd_feed_job(fpd_feed *feed, const char *job_id, const char *file_id, const char *state,
                  double progress);
/** A file has come out of its checks: "released", "held" or "rejected". */
void fpd_feed_file(fpd_feed *feed, const char *file_id, const char *outcome);
/** Record that something may have been missed. */
void fpd_feed_gap(fpd_feed *feed);

/** Begins to watch: all events of these kinds, or those of one upload and of the jobs of its file. last_seen: the text of the event he saw
 *  last, or NULL. */
fpd_feed_start fpd_feed_enter(fpd_feed *feed, fpd_feed_watcher *w, unsigned kinds,
                              const char *upload_id, const char *last_seen);
void fpd_feed_leave(fpd_feed_watcher *w);

/** Tells which file the upload has become, so that the file's jobs are seen, too. */
void fpd_feed_set_file(fpd_feed_watcher *w, const char *file_id);

/** The next event for this watcher; waits for it up to timeout_ms. */
fpd_feed_result fpd_feed_next(fpd_feed_watcher *w, int64_t timeout_ms, fpd_event *out);

/** Whether it makes no sense any more to wait until he can take more: he is behind, or all is closed. */
bool fpd_feed_is_over(fpd_feed_watcher *w);

/** How a number is written: with the process's own mark, since another process numbers its events itself. */
void fpd_feed_number(const fpd_feed *feed, uint64_t number, char text[FPD_FEED_NUMBER_SIZE]);

/** Ends all watching: the server stops. */
void fpd_feed_close(fpd_feed *feed);

#endif
