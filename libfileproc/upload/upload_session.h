/* Owns: the upload sessions that are in memory: one record per upload that somebody works on or has just worked on.
 * Must not know: what chunks and completion do with them.
 *
 * Two handles on one assembly are forbidden, so everybody who works on an upload shares its session. What a session
 * knows can be read again at any time (row, part record), so a session that nobody holds may be dropped. */
#ifndef FPI_UPLOAD_SESSION_H
#define FPI_UPLOAD_SESSION_H

#include <pthread.h>
#include <stdbool.h>

#include "core/digest.h"
#include "upload/ranges.h"
#include "upload/upload_row.h"

typedef struct fpi_session {
    /* Of the table, under its lock. */
    struct fpi_session *next; /* of the same bucket */
    struct fpi_session *newer, *older;
    size_t refs;

    /* Never changes. */
    char id[FPI_UUID_SIZE];

    /* One thread at a time does what must not be done twice: loads, closes the assembly, ends the upload. Whoever has set
     * busy may touch what stands here without the lock, too; others read `assembly` only while they hold a pin. */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t calmer;
    bool busy;
    bool loaded;       /* what stands below is known */
    bool broken;       /* a commit has failed on the disk: the assembly must be opened anew */
    bool staged;       /* to be discarded when the upload has ended */
    bool verifying;    /* somebody reads back for the digest */
    bool joining;      /* somebody puts it together */
    size_t completing; /* calls that want to complete it */
    size_t pins;       /* chunks and appends that use the assembly */
    size_t committing; /* appends that are just becoming durable */
    uint64_t turn;     /* of the last append that began; an earlier one has lost its place */
    fp_assembly *assembly;

    fpi_upload_state state;
    char file_id[FPI_UUID_SIZE];
    fp_upload *
        facts; /* what does not change while the upload is open, but for a size that is declared late */
    bool parts_read;    /* since then `durable` is known */
    fpi_ranges durable; /* has room for one more by each pin that is just committing */
    uint64_t chunks;    /* those of which all bytes are durable */
    uint64_t bytes;
    int64_t touched_ms; /* last commit of a part */
    uint64_t claimed;   /* as in fpi_upload_row */
    int64_t expires_ms; /* no earlier than the row says: facts->expires_at_ms is when it was read */
    int64_t slide_at_ms;

    /* Of the lease (upload_lease.c); not used without a cache. */
    struct {
        uint64_t epoch; /* under which the rest was read; 0 = under none */
        uint64_t told;  /* under which others were told last */
        int64_t
            held_until_ms; /* monotonic: nobody else can have it before; 0 = it was given back */
        int64_t renew_at_ms;
        size_t claims;                  /* who needs it */
        bool wanted;                    /* by another engine */
        bool telling;                   /* somebody is */
        uint64_t changes, changes_told; /* of what others are told */
        size_t commits;                 /* that are on their way to the record */
        uint64_t commits_epoch;         /* of the lease that says so */
        int64_t commits_until_ms;       /* monotonic: others wait for them for so long */
        bool announcing;                /* somebody says so, or that there is none any more */
        bool unsettled; /* those of whoever had the upload before may still be on their way */
    } lease;

    /* The digest of the bytes from 0 to hashed. */
    fpi_digest sha256;
    uint64_t hashed;
} fpi_session;

/** The sessions in memory. */
typedef struct fpi_session_table {
    pthread_mutex_t lock; /* never held during I/O */
    fpi_session **buckets;
    fpi_session *newest, *oldest; /* those that nobody holds */
    size_t idle;
} fpi_session_table;

fp_status fpi_sessions_init(fp_uploads *ups, fp_error *err);
/** No session is held any more. */
void fpi_sessions_dispose(fp_uploads *ups);

/** The session of an id, with its row and durable chunks loaded; NOTFOUND with upload_not_found. Give it back with
 *  fpi_session_release(). */
fp_status fpi_session_open(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err);

/** A session without what it knows; NULL when out of memory. And the one of an id, loaded or not. */
fpi_session *fpi_session_blank(fp_uploads *ups, const char *id);
fp_status fpi_session_acquire(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err);

/** A session for an upload that is about to be inserted: all is known, but it does not count as loaded before the row is there. Not in
 *  the table yet. Takes nothing. */
fp_status fpi_session_new(fp_uploads *ups, const fp_upload *facts, const char *file_id,
                          fpi_session **out, fp_error *err);
/** Puts a new one into the table. */
void fpi_session_add(fp_uploads *ups, fpi_session *s);
/** Frees one that never came into the table; NULL is allowed. */
void fpi_session_drop(fp_uploads *ups, fpi_session *s);

void fpi_session_release(fp_uploads *ups, fpi_session *s);

/** A session of this id, loaded or not, with busy set; NULL when somebody is busy with it or has it pinned, since then it
 *  can be left to him. For the reaper. */
fp_status fpi_session_claim(fp_uploads *ups, const char *id, fpi_session **out, fp_error *err);
void fpi_session_unclaim(fp_uploads *ups, fpi_session *s);

/** With the lock held: waits until nobody is busy, and makes sure that the upload is open and its assembly usable.
 *  The errors are those of fp_chunk_begin(). */
fp_status fpi_session_settle(fp_uploads *ups, fpi_session *s, fp_error *err);

/** With the lock held: why no chunk may come any more. */
fp_status fpi_session_check_open(const fp_uploads *ups, const fpi_session *s, fp_error *err);

/** Keeps lease and assembly until fpi_session_unpin(). As fpi_session_settle(), which it calls. lease_flags are those of
 *  fpi_lease_enter(). */
fp_status fpi_session_pin(fp_uploads *ups, fpi_session *s, uint32_t lease_flags, fp_error *err);
void fpi_session_unpin(fp_uploads *ups, fpi_session *s);

/** With the lock held: waits until nobody is busy. */
void fpi_session_wait(fpi_session *s);
/** With the lock held, which is let go: the caller is busy now. Nobody else is. */
void fpi_session_enter(fpi_session *s);
/** Takes the lock again; no longer busy. What is staged for an upload that has ended is removed on the way, when nobody has
 *  it pinned. */
void fpi_session_leave(fp_uploads *ups, fpi_session *s);

/** By whoever is busy: the upload has ended, which is durable. Takes facts, unless NULL. */
void fpi_session_end(fp_uploads *ups, fpi_session *s, fpi_upload_state state, fp_upload *facts);

/** By whoever is busy: ends an open upload, durably. When its row says that it has ended before (by a commit that was
 *  reported as failed, and was not), the session ends as the row says. */
fp_status fpi_session_close(fp_uploads *ups, fpi_session *s, fpi_upload_state state, fp_error *err);

/** By whoever is busy, without pins: removes what is staged for an upload that has ended. */
fp_status fpi_session_discard(fp_uploads *ups, fpi_session *s, fp_error *err);

/** With the lock held. */
void fpi_session_note_part(fpi_session *s, uint64_t offset, uint64_t length, int64_t now_ms);
/** With the lock held: makes room for what those who have it pinned may commit. */
fp_status fpi_session_reserve(const fp_uploads *ups, fpi_session *s, fp_error *err);
/** With the lock held: the end of the run of chunks, wholly durable or not, that index is in. */
uint64_t fpi_session_run_end(const fpi_session *s, uint64_t index, bool *durable);

/** With the lock held: reads row and record anew, unless somebody is at work on the upload here. For who only looks. */
fp_status fpi_session_reread(fp_uploads *ups, fpi_session *s, fp_error *err);

/** With the lock held: counts anew, as after a size was declared. */
uint64_t fpi_session_count_chunks(const fpi_session *s);

/** With the lock held: brings a copy of the facts up to date. */
void fpi_session_show(const fpi_session *s, fp_upload *upload);
/** A record of the present state. */
fp_status fpi_session_record(fp_uploads *ups, fpi_session *s, fp_upload **out, fp_error *err);

#endif
