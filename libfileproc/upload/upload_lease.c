/* Owns: which of several engines on one database and storage works on an upload, and what the others may know meanwhile.
 * Must not know: chunks and completion. docs/internals/uploads.md tells how engines get along. */
#include "upload/upload_lease.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "upload/lease_rows.h"
#include "upload/upload_private.h"

/* For as long as another engine is waited for; a chunk that arrives in good time has ended by then. */
#define PATIENCE_MS 2000
#define PAUSE_MS 20
#define LOOKS 10
#define NAME_SIZE (sizeof("upload:") + FPI_UUID_SIZE)
/* A commit is waited for no longer than this part of a lease, as its engine may be dead. */
#define COMMIT_SHARE 8u

/* ---- where leases are ---- */

bool fpi_lease_is_shared(const fp_uploads *ups)
{
    return ups->cache || ups->lease_rows;
}

static fp_status place_acquire(const fp_uploads *ups, fp_lease *lease, uint32_t flags,
                               fp_error *err)
{
    return ups->cache ? fp_lease_acquire(ups->cache, lease, flags, err)
                      : fpi_lease_rows_acquire(ups->db, lease, flags, err);
}

static fp_status place_renew(const fp_uploads *ups, fp_lease *lease, fp_error *err)
{
    return ups->cache ? fp_lease_renew(ups->cache, lease, err)
                      : fpi_lease_rows_renew(ups->db, lease, err);
}

static fp_status place_release(const fp_uploads *ups, const fp_lease *lease, fp_error *err)
{
    return ups->cache ? fp_lease_release(ups->cache, lease, err)
                      : fpi_lease_rows_release(ups->db, lease, err);
}

static fp_status place_look(const fp_uploads *ups, const char *name, fp_lease_info *info,
                            fp_error *err)
{
    return ups->cache ? fp_lease_look(ups->cache, name, info, err)
                      : fpi_lease_rows_look(ups->db, name, info, err);
}

/* ---- what the others are told ---- */

typedef struct note {
    char text[FILEPROC_LEASE_NOTE_MAX];
} note;

/* Of an upload that has ended only that is told: the row says how. */
static size_t write_note(const fpi_session *s, note *n)
{
    int size =
        s->state == FPI_UPLOAD_OPEN
            ? snprintf(n->text, sizeof(n->text), "open %llu %llu %lld %llu",
                       (unsigned long long)s->chunks, (unsigned long long)s->bytes,
                       (long long)s->touched_ms, (unsigned long long)fpi_ranges_prefix(&s->durable))
            : snprintf(n->text, sizeof(n->text), "ended");

    return size > 0 ? (size_t)size : 0;
}

static bool read_note(const fp_lease_info *info, fpi_lease_progress *p)
{
    unsigned long long chunks, bytes, offset;
    char text[FILEPROC_LEASE_NOTE_MAX + 1];
    long long touched;

    memcpy(text, info->note, info->note_size);
    text[info->note_size] = '\0';
    if (sscanf(text, "open %llu %llu %lld %llu", &chunks, &bytes, &touched, &offset) != 4)
        return false;
    *p = (fpi_lease_progress){ chunks, bytes, touched, offset };
    return true;
}

static fp_lease lease_named(const fp_uploads *ups, const fpi_session *s, const char *what,
                            char name[NAME_SIZE])
{
    fp_lease lease = FILEPROC_LEASE_INIT;

    snprintf(name, NAME_SIZE, "%s:%s", what, s->id);
    lease.name = name;
    lease.holder = ups->holder;
    return lease;
}

static fp_lease lease_of(const fp_uploads *ups, const fpi_session *s, char name[NAME_SIZE])
{
    fp_lease lease = lease_named(ups, s, "upload", name);

    lease.epoch = s->lease.epoch;
    lease.ttl_ms = ups->lease_ms;
    return lease;
}

/* Says that commits are on their way: apart from the other, which may be taken over meanwhile. */
static fp_lease lease_of_commits(const fp_uploads *ups, const fpi_session *s, char name[NAME_SIZE])
{
    fp_lease lease = lease_named(ups, s, "commit", name);

    lease.epoch = s->lease.commits_epoch;
    lease.ttl_ms = ups->lease_ms / COMMIT_SHARE;
    return lease;
}

static fp_status busy(fp_error *err, const char *why)
{
    fp_status rc = fp_error_setf(err, FILEPROC_ERR_BUSY, "%s", why);

    if (err)
        err->flags |= FILEPROC_ERROR_RETRYABLE;
    return rc;
}

/* Whatever is wrong with the cache is no fault of who uploads, and may be put right. */
static fp_status away(fp_status rc, const fp_error *e, fp_error *err)
{
    if (rc != FILEPROC_ERR_NOMEM)
        rc = FILEPROC_ERR_BUSY;
    if (err) {
        *err = *e;
        err->code = rc;
        if (rc == FILEPROC_ERR_BUSY)
            err->flags |= FILEPROC_ERROR_RETRYABLE;
    }
    return rc;
}

/* With the lock. began is when it was asked for: nobody else can have it for ttl_ms from then on. */
static void note_granted(const fp_uploads *ups, fpi_session *s, const fp_lease *lease,
                         int64_t began)
{
    s->lease.held_until_ms = began + ups->lease_ms;
    s->lease.renew_at_ms = began + ups->lease_ms / 3;
    s->lease.wanted = lease->wanted != 0;
}

/* ---- taking it ---- */

/* Another epoch says that another engine may have worked on the upload: row and record are to be read again. Chunks of ours that
 * are still under way began under the old one, and will be refused. */
static fp_status take(fp_uploads *ups, fpi_session *s, uint32_t flags, fp_error *err)
{
    char name[NAME_SIZE];
    fp_lease lease = lease_of(ups, s, name);
    int64_t began = fpi_monotonic_ms();
    fp_status rc;

    fpi_session_enter(s);
    rc = place_acquire(ups, &lease, flags, err);
    fpi_session_leave(ups, s);
    if (rc < 0)
        return rc;
    note_granted(ups, s, &lease, began);
    if (lease.epoch != s->lease.epoch) {
        s->lease.epoch = lease.epoch;
        s->loaded = false;
        s->broken = true;
        s->lease.unsettled = true;
        if (s->pins && ups->on_lost)
            ups->on_lost(ups->user_data, s->id);
    }
    return FILEPROC_OK;
}

void fpi_lease_found(fp_uploads *ups, fpi_session *s)
{
    char name[NAME_SIZE];
    fp_lease lease;
    note n;

    if (!fpi_lease_is_shared(ups))
        return;
    lease = lease_of(ups, s, name);
    if (place_acquire(ups, &lease, 0, NULL) < 0)
        return;
    s->lease.epoch = s->lease.told = lease.epoch;
    lease.note_size = write_note(s, &n);
    lease.note = n.text;
    if (place_release(ups, &lease, NULL) < 0) /* it ends by itself */
        fpi_log(ups->ctx, FILEPROC_LOG_DEBUG, "upload", "%s: the lease is not given back", s->id);
}

static void pause_unlocked(fpi_session *s)
{
    pthread_mutex_unlock(&s->lock);
    nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
    pthread_mutex_lock(&s->lock);
}

/* Whoever waits elsewhere gets it when those who are at work here are done; nobody joins them. */
static bool is_wanted_elsewhere(const fpi_session *s)
{
    return s->lease.wanted && s->lease.claims && fpi_monotonic_ms() < s->lease.held_until_ms;
}

/* With the lock, which is let go meanwhile. What passed the fence before the lease changed hands may still be on its way to the record,
 * which is read next: CONFLICT. Whoever looks meanwhile has read what was there before. */
static fp_status settle(fp_uploads *ups, fpi_session *s, fp_error *err)
{
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    char name[NAME_SIZE];
    fp_lease lease = lease_of_commits(ups, s, name);
    fp_status rc;

    fpi_session_enter(s);
    rc = place_look(ups, lease.name, &info, err);
    fpi_session_leave(ups, s);
    if (rc < 0)
        return rc;
    if (info.left_ms > 0 && strcmp(info.holder, ups->holder) != 0)
        return FILEPROC_ERR_CONFLICT;
    s->lease.unsettled = false;
    s->loaded = false;
    s->broken = true;
    return FILEPROC_OK;
}

fp_status fpi_lease_enter(fp_uploads *ups, fpi_session *s, uint32_t flags, fp_error *err)
{
    int64_t until = fpi_monotonic_ms() + PATIENCE_MS;
    fp_status rc = FILEPROC_OK;
    fp_error e = { 0 };

    if (!fpi_lease_is_shared(ups))
        return FILEPROC_OK;
    for (;;) {
        fpi_session_wait(s);
        if (s->state != FPI_UPLOAD_OPEN)
            break;
        rc = FILEPROC_ERR_CONFLICT;
        if (!is_wanted_elsewhere(s) || flags)
            rc = take(ups, s, flags, &e);
        if (rc == FILEPROC_OK && s->lease.unsettled)
            rc = settle(ups, s, &e);
        if (rc != FILEPROC_ERR_CONFLICT)
            break;
        if (fpi_monotonic_ms() >= until)
            return busy(err, "another server works on the upload");
        pause_unlocked(s);
    }
    if (rc < 0)
        return away(rc, &e, err);
    s->lease.claims++;
    return FILEPROC_OK;
}

/* ---- keeping it ---- */

static fp_status lost(fp_error *err)
{
    return busy(err, "another server has taken the upload over; the chunk is to be sent again");
}

/* With the lock, which is let go meanwhile. Answers what the cache does. */
static fp_status renew(fp_uploads *ups, fpi_session *s, const note *n, size_t note_size,
                       fp_error *err)
{
    char name[NAME_SIZE];
    fp_lease lease = lease_of(ups, s, name);
    int64_t began = fpi_monotonic_ms();
    fp_status rc;

    lease.note = n ? n->text : NULL;
    lease.note_size = note_size;
    pthread_mutex_unlock(&s->lock);
    rc = place_renew(ups, &lease, err);
    pthread_mutex_lock(&s->lock);
    if (rc == FILEPROC_OK && lease.epoch == s->lease.epoch)
        note_granted(ups, s, &lease, began);
    return rc;
}

fp_status fpi_lease_keep(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err)
{
    int64_t now;

    if (!fpi_lease_is_shared(ups))
        return FILEPROC_OK;
    if (s->lease.epoch != epoch)
        return lost(err);
    now = fpi_monotonic_ms();
    if (now < s->lease.renew_at_ms)
        return FILEPROC_OK;
    s->lease.renew_at_ms = now + ups->lease_ms / 3; /* one thread asks for all */
    if (renew(ups, s, NULL, 0, NULL) == FILEPROC_ERR_CONFLICT)
        return lost(err);
    return FILEPROC_OK;
}

/* With the lock, which is let go meanwhile. */
static fp_status still_held(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err)
{
    fp_error e = { 0 };
    fp_status rc = s->lease.epoch == epoch ? renew(ups, s, NULL, 0, &e) : FILEPROC_ERR_CONFLICT;

    if (rc == FILEPROC_ERR_CONFLICT || s->lease.epoch != epoch)
        return lost(err);
    if (rc < 0 && fpi_monotonic_ms() >= s->lease.held_until_ms)
        return away(rc, &e, err);
    return FILEPROC_OK;
}

/* With the lock. One at a time, so that what is said last is right. */
static void wait_to_announce(fpi_session *s)
{
    while (s->lease.announcing)
        pthread_cond_wait(&s->calmer, &s->lock);
}

static void begin_announcing(fpi_session *s)
{
    s->lease.announcing = true;
    pthread_mutex_unlock(&s->lock);
}

static void end_announcing(fpi_session *s)
{
    pthread_mutex_lock(&s->lock);
    s->lease.announcing = false;
    pthread_cond_broadcast(&s->calmer);
}

/* With the lock, which is let go meanwhile. CONFLICT while those of another engine are on their way. A place that is away is no
 * hindrance: who can't reach it takes nothing over. */
static fp_status announce(fp_uploads *ups, fpi_session *s)
{
    int64_t began = fpi_monotonic_ms();
    char name[NAME_SIZE];
    fp_lease lease;
    fp_status rc;

    wait_to_announce(s);
    lease = lease_of_commits(ups, s, name);
    begin_announcing(s);
    rc = place_acquire(ups, &lease, 0, NULL);
    end_announcing(s);
    if (rc == FILEPROC_ERR_CONFLICT)
        return rc;
    if (rc == FILEPROC_OK) {
        s->lease.commits_epoch = lease.epoch;
        s->lease.commits_until_ms = began + ups->lease_ms / COMMIT_SHARE;
    }
    s->lease.commits++;
    return FILEPROC_OK;
}

/* First it is announced, then asked whether the lease is held: whoever takes over does it in the other order, so he waits, or we
 * are refused. */
static fp_status fence(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err)
{
    int64_t until = fpi_monotonic_ms() + PATIENCE_MS;
    fp_status announced, rc;

    for (;;) {
        announced = announce(ups, s);
        rc = still_held(ups, s, epoch, err);
        if (rc < 0 || announced == FILEPROC_OK)
            break;
        if (fpi_monotonic_ms() >= until)
            return busy(err, "another server stores bytes of the upload");
        pause_unlocked(s);
    }
    if (rc < 0 && announced == FILEPROC_OK)
        fpi_lease_pass(ups, s);
    return rc;
}

fp_status fpi_lease_fence(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err)
{
    fp_status rc;

    if (!fpi_lease_is_shared(ups))
        return FILEPROC_OK;
    pthread_mutex_lock(&s->lock);
    rc = fence(ups, s, epoch, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

fp_status fpi_lease_confirm(fp_uploads *ups, fpi_session *s, uint64_t epoch, fp_error *err)
{
    fp_status rc = FILEPROC_OK;
    int64_t now;

    if (!fpi_lease_is_shared(ups))
        return FILEPROC_OK;
    pthread_mutex_lock(&s->lock);
    now = fpi_monotonic_ms();
    if (s->lease.epoch != epoch || now >= s->lease.held_until_ms ||
        now >= s->lease.commits_until_ms)
        rc = still_held(ups, s, epoch, err);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void fpi_lease_pass(fp_uploads *ups, fpi_session *s)
{
    char name[NAME_SIZE];
    fp_lease lease;

    if (!fpi_lease_is_shared(ups))
        return;
    s->lease.commits--;
    wait_to_announce(s);
    if (s->lease.commits)
        return;
    lease = lease_of_commits(ups, s, name);
    begin_announcing(s);
    if (place_release(ups, &lease, NULL) < 0) /* it ends by itself */
        fpi_log(ups->ctx, FILEPROC_LOG_DEBUG, "upload", "%s: commits end by themselves", s->id);
    end_announcing(s);
}

/* With the lock, which is let go meanwhile. One at a time, so that an older note does not come last; it tells for all. */
static void tell_changes(fp_uploads *ups, fpi_session *s)
{
    uint64_t changes = s->lease.changes, epoch = s->lease.epoch;
    size_t size;
    note n;

    while (s->lease.telling)
        pthread_cond_wait(&s->calmer, &s->lock);
    if (s->lease.changes_told >= changes || s->lease.epoch != epoch) /* or lost: to be read again */
        return;
    changes = s->lease.changes;
    size = write_note(s, &n);
    s->lease.told = s->lease.epoch;
    s->lease.telling = true;
    if (renew(ups, s, &n, size, NULL) == FILEPROC_OK)
        s->lease.changes_told = changes;
    s->lease.telling = false;
    pthread_cond_broadcast(&s->calmer);
}

/* Not when the lease is given back at once, which tells the same; unless nothing was told under this epoch. */
void fpi_lease_tell(fp_uploads *ups, fpi_session *s)
{
    if (!fpi_lease_is_shared(ups))
        return;
    s->lease.changes++;
    if (s->lease.claims >= 2 || s->lease.told != s->lease.epoch)
        tell_changes(ups, s);
}

/* ---- giving it back ---- */

static void wait_to_release(fpi_session *s)
{
    while (s->lease.claims == 0 && (s->busy || s->lease.telling))
        pthread_cond_wait(&s->calmer, &s->lock);
}

void fpi_lease_leave(fp_uploads *ups, fpi_session *s)
{
    char name[NAME_SIZE];
    uint64_t changes;
    fp_error e = { 0 };
    fp_lease lease;
    note n;

    if (!fpi_lease_is_shared(ups))
        return;
    s->lease.claims--;
    wait_to_release(s);
    if (s->lease.claims || !s->lease.held_until_ms)
        return;
    changes = s->lease.changes;
    s->lease.held_until_ms = 0;
    s->lease.wanted = false;
    lease = lease_of(ups, s, name);
    if (!s->broken && s->loaded) { /* else we don't know */
        lease.note_size = write_note(s, &n);
        lease.note = n.text;
        s->lease.told = s->lease.epoch;
    }
    s->lease.telling = true;
    fpi_session_enter(s);
    if (place_release(ups, &lease, &e) < 0) /* it ends by itself */
        fpi_log(ups->ctx, FILEPROC_LOG_DEBUG, "upload", "%s: %s", s->id, e.message);
    fpi_session_leave(ups, s);
    s->lease.changes_told = changes;
    s->lease.telling = false;
    pthread_cond_broadcast(&s->calmer);
}

/* ---- looking ---- */

/* What the holder told counts while he holds the lease and when he gave it back in order; when it ended by itself he may have died
 * after a chunk and before he told of it. */
static bool is_told(const fp_lease_info *info)
{
    return info->epoch && (info->left_ms > 0 || info->released);
}

/* Who has just taken a lease reads first, and then tells. */
static fp_status look(const fp_uploads *ups, const char *name, fp_lease_info *info)
{
    fp_status rc = place_look(ups, name, info, NULL);

    for (int i = 0; rc == FILEPROC_OK && i < LOOKS && info->left_ms > 0 && info->note_size == 0;
         i++) {
        nanosleep(&(struct timespec){ 0, PAUSE_MS * 1000000L }, NULL);
        rc = place_look(ups, name, info, NULL);
    }
    return rc;
}

/* With the lock: memory is right. */
static bool is_ours(const fp_uploads *ups, const fpi_session *s, const fp_lease_info *info)
{
    return info->epoch && info->epoch == s->lease.epoch && s->loaded && !s->broken &&
           strcmp(info->holder, ups->holder) == 0;
}

fpi_lease_view fpi_lease_look(fp_uploads *ups, fpi_session *s, fpi_lease_progress *progress)
{
    fp_lease_info info = FILEPROC_LEASE_INFO_INIT;
    char name[NAME_SIZE];
    bool ours;

    if (!fpi_lease_is_shared(ups))
        return FPI_VIEW_OURS;
    pthread_mutex_lock(&s->lock);
    ours = s->state != FPI_UPLOAD_OPEN; /* who is at work here may be stuck, and have lost it */
    pthread_mutex_unlock(&s->lock);
    if (ours)
        return FPI_VIEW_OURS;
    snprintf(name, sizeof(name), "upload:%s", s->id);
    if (look(ups, name, &info) < 0)
        return FPI_VIEW_UNKNOWN;
    pthread_mutex_lock(&s->lock);
    ours = is_ours(ups, s, &info);
    if (ours) /* should we die next, nobody must hear of less elsewhere than was shown here */
        tell_changes(ups, s);
    pthread_mutex_unlock(&s->lock);
    if (ours)
        return FPI_VIEW_OURS;
    return is_told(&info) && read_note(&info, progress) ? FPI_VIEW_OTHERS : FPI_VIEW_UNKNOWN;
}
