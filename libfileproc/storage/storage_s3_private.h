/* Owns: what the files of the s3 driver share: the store, its requests, lists, the slots of staged objects.
 * Must not know: libcurl, expat, any other driver. */
#ifndef FPI_STORAGE_S3_PRIVATE_H
#define FPI_STORAGE_S3_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "net/http.h"
#include "storage/storage_private.h"
#include "storage/storage_s3_sign.h"

#define FPI_S3_KEY_MAX 1024u
#define FPI_S3_PREFIX_MAX 200u
#define FPI_S3_ETAG_SIZE 80u
#define FPI_S3_UPLOAD_ID_SIZE 512u
#define FPI_S3_PARTS_MAX 10000u
#define FPI_S3_SPARE_MAX 4u
/** Parts of a multipart upload, but for the last, are not smaller. */
#define FPI_S3_UNIT_MIN (UINT64_C(5) << 20)
#define FPI_S3_UNIT_MAX (UINT64_C(1) << 30)
/** Everything that is no object lives below it. No valid key has this character, and it sorts behind all that have none. */
#define FPI_S3_STAGED "~staged/"
/** Ends an id in a name: it sorts before all that ids consist of, so names are listed in the byte order of the ids. */
#define FPI_S3_ID_END '!'
/** Tells on an object which assembly it was: so a repeated publication knows its own work. */
#define FPI_S3_META "x-amz-meta-fileproc-assembly"

enum { FPI_S3_CONDITIONAL_UNKNOWN, FPI_S3_CONDITIONAL_YES, FPI_S3_CONDITIONAL_NO };

typedef struct fpi_s3_store {
    fp_context *ctx;
    fpi_http *http;
    char *
        host; /* as in the header: with the bucket in front in the virtual style, and with the port */
    char *bucket;
    char *prefix; /* "" or "a/b/" */
    char *region;
    char *access_key;
    char *secret_key;
    uint64_t unit; /* of new assemblies */
    bool secure, virtual_style;
    bool unsigned_payload;        /* the bytes of slots are not part of the signature */
    atomic_int conditional;       /* whether the server honours If-None-Match */
    atomic_int_least64_t skew_ms; /* the server's clock is so much ahead of ours */
    pthread_mutex_t lock;         /* of the two below */
    unsigned char *spare
        [FPI_S3_SPARE_MAX]; /* buffers of a slot: fresh memory costs more than what is copied into it */
    size_t spare_count;
} fpi_s3_store;

/* storage_s3_call.c */

/** One request. Start from zeros with method and key; pointers are borrowed for the call. */
typedef struct fpi_s3_call {
    const char *method;
    const char *key;   /* in the bucket, not encoded; NULL = the bucket */
    const char *query; /* canonical; NULL = none */
    const char *extra[4];
    size_t extra_count; /* "name:value", lower case */
    fpi_http_piece pieces[2];
    size_t piece_count;
    const char *body_hash; /* SHA-256 in hex, when it is known; NULL = to be computed */
    bool has_body;
    bool patient; /* the server has much to do before it answers */
    /* In place of pieces: the body comes bit by bit, see fpi_http_request. body_hash is set. */
    fp_status (*pull)(void *user_data, void *buf, size_t cap, size_t *got, fp_error *err);
    void (*rewind)(void *user_data);
    uint64_t body_size;
    fp_status (*on_body)(void *user_data, int status, const void *data, size_t size, fp_error *err);
    void *user_data;

    int status;        /* filled from here on, also by failures; 0 = no answer */
    int64_t signed_ms; /* by the server's clock, as far as it is known */
    int64_t size, modified_ms;
    char code[64]; /* S3's word for what went wrong; "" = none */
    char etag[FPI_S3_ETAG_SIZE];
    char assembly[FPI_KEY_SEGMENT_MAX + 1]; /* FPI_S3_META; "" = none */
} fpi_s3_call;

/** OK for statuses of success. Errors have the domain "http" and the status, but for those of the transfer itself. */
fp_status fpi_s3_run(fpi_s3_store *s, fpi_s3_call *call, fp_error *err);
/** The same in steps, for a body that comes bit by bit. */
typedef struct fpi_s3_flow {
    fpi_s3_store *s;
    fpi_s3_call *call;
    fpi_http_call *http;
    fpi_http_answer answer;
    char what[96];
} fpi_s3_flow;

/** call is borrowed until the end, but for key, query, extra and body_hash. */
fp_status fpi_s3_flow_begin(fpi_s3_flow *f, fpi_s3_store *s, fpi_s3_call *call, fp_error *err);
/** All of the body is there: waits for the answer. */
fp_status fpi_s3_flow_end(fpi_s3_flow *f, fp_error *err);
/** Ends the request without waiting; nothing to do when it has ended. */
void fpi_s3_flow_drop(fpi_s3_flow *f);
/** The error that an answer stands for: a status, and S3's code for it ("" = none). */
fp_status fpi_s3_refused(const char *what, int status, const char *code, fp_error *err);
/** NOTFOUND of an object instead of whatever a 404 was called. */
fp_status fpi_s3_not_there(const fpi_s3_call *call, fp_status rc, fp_error *err);
/** "<prefix><middle><tail>" in new memory; KEY_INVALID when it is longer than S3 allows. */
fp_status fpi_s3_name(const fpi_s3_store *s, const char *middle, const char *tail, char **out,
                      fp_error *err);
/** Appends "https://host/path"; key NULL = the bucket. */
fp_status fpi_s3_path(const fpi_s3_store *s, const char *key, fp_buf *out, fp_error *err);
fp_status fpi_s3_url(const fpi_s3_store *s, const char *path, fp_buf *out, fp_error *err);

/* storage_s3_list.c */

typedef struct fpi_s3_listed {
    const char *key; /* without the store's prefix */
    const char *etag;
    uint64_t size;
    int64_t modified_ms;
} fpi_s3_listed;

typedef fp_status (*fpi_s3_listed_fn)(void *user_data, const fpi_s3_listed *e, fp_error *err);

/** Calls fn for the names that begin with `begin` and are greater than `after`, both without the store's prefix, in byte order.
 *  fn answers FPI_HTTP_ENOUGH to end it. page: names asked for at once, 1000 at the most. */
fp_status fpi_s3_list_names(fpi_s3_store *s, const char *begin, const char *after, size_t page,
                            fpi_s3_listed_fn fn, void *user_data, fp_error *err);
/** The slots. */
fp_status fpi_s3_list(void *self, const char *prefix, const char *after, size_t limit,
                      fp_storage_list_fn fn, void *user_data, uint32_t flags, fp_error *err);
fp_status fpi_s3_list_staged(void *self, const char *after, size_t limit, fp_storage_list_fn fn,
                             void *user_data, uint32_t flags, fp_error *err);

/* storage_s3_object.c */

/** Reads at most cap bytes from offset on; fewer only at the end. name is that of fpi_s3_name(). */
fp_status fpi_s3_read_name(fpi_s3_store *s, const char *name, uint64_t offset, void *buf,
                           size_t cap, size_t *got, fp_error *err);
/** PUT of up to two pieces. EXISTS with exclusive when there is an object already that is not ours. assembly may be NULL. */
fp_status fpi_s3_put(fpi_s3_store *s, const char *name, const fpi_http_piece *pieces, size_t count,
                     const char *assembly, bool exclusive, char etag[FPI_S3_ETAG_SIZE],
                     fp_error *err);
/** HEAD; NOTFOUND for a missing one. The answer is in call. */
fp_status fpi_s3_head(fpi_s3_store *s, const char *name, fpi_s3_call *call, fp_error *err);
/** DELETE; fine when it is not there. */
fp_status fpi_s3_delete(fpi_s3_store *s, const char *name, fp_error *err);
/** Finds out, once per store, whether the server honours If-None-Match. */
fp_status fpi_s3_conditional(fpi_s3_store *s, bool *yes, fp_error *err);
/** The slots. */
fp_status fpi_s3_read(void *self, const char *key, uint64_t offset, void *buf, size_t cap,
                      size_t *got, uint32_t flags, fp_error *err);
fp_status fpi_s3_stat(void *self, const char *key, fp_storage_info *info, uint32_t flags,
                      fp_error *err);
fp_status fpi_s3_remove(void *self, const char *key, uint32_t flags, fp_error *err);
fp_status fpi_s3_open_fd(void *self, const char *key, int32_t *fd, uint32_t flags, fp_error *err);

/* storage_s3_multipart.c */

typedef struct fpi_s3_tag {
    uint32_t number; /* 1 to FPI_S3_PARTS_MAX; 0 = no part */
    char etag[FPI_S3_ETAG_SIZE];
} fpi_s3_tag;

/** "partNumber=N&uploadId=..."; without the number when it is 0. */
fp_status fpi_s3_part_query(const fpi_s3_store *s, uint32_t number, const char *upload, fp_buf *out,
                            fp_error *err);
fp_status fpi_s3_multipart_create(fpi_s3_store *s, const char *name, const char *assembly,
                                  char upload[FPI_S3_UPLOAD_ID_SIZE], fp_error *err);
/** hash: of data, NULL = to be computed; tag->number is the part's, the ETag is filled. */
fp_status fpi_s3_multipart_put(fpi_s3_store *s, const char *name, const char *upload,
                               fpi_http_piece data, const char *hash, fpi_s3_tag *tag,
                               fp_error *err);
/** A part made by the server from a whole object. */
fp_status fpi_s3_multipart_copy(fpi_s3_store *s, const char *name, const char *upload,
                                uint32_t number, const char *source, fpi_s3_tag *tag,
                                fp_error *err);
/** Calls fn for each part there is. NOTFOUND when the upload is not there (any more). */
fp_status fpi_s3_multipart_list(fpi_s3_store *s, const char *name, const char *upload,
                                fp_status (*fn)(void *user_data, const fpi_s3_tag *tag,
                                                uint64_t size, fp_error *err),
                                void *user_data, fp_error *err);
/** NOTFOUND when the upload is not there (any more); EXISTS as fpi_s3_put(). tags in the order of their numbers, those with
 *  number 0 left out. */
fp_status fpi_s3_multipart_complete(fpi_s3_store *s, const char *name, const char *upload,
                                    const fpi_s3_tag *tags, size_t count, bool exclusive,
                                    fp_error *err);
/** Fine when it is not there. */
fp_status fpi_s3_multipart_abort(fpi_s3_store *s, const char *name, const char *upload,
                                 fp_error *err);

/* storage_s3_record.c: names and contents of what is staged */

/** A committed part as its name tells: "<seq>.<offset>.<length>.<crc>.<ms>.<check>.<note>", all hexadecimal, with an 'a' before the
 *  check of one that was adopted: that has no other bytes than slots, the last of which may be short. */
typedef struct fpi_s3_record {
    fp_part_info info;
    uint32_t seq;
    char check[33]; /* of the ETags of the whole slots in it; "" = none */
    bool repeated;  /* not in the name: another one tells the same */
} fpi_s3_record;

#define FPI_S3_RECORD_SIZE 512u
void fpi_s3_record_format(const fpi_s3_record *r, char out[FPI_S3_RECORD_SIZE]);
bool fpi_s3_record_parse(const char *text, fpi_s3_record *r);

/** How the whole slots of an assembly are stored; kept in a small object of its own before the first of them is. */
typedef struct fpi_s3_state {
    uint64_t unit;
    bool copying; /* slots are objects, and copied at publication: the key was not known in time */
    char key[FPI_S3_KEY_MAX + 1];       /* "" = not known */
    char upload[FPI_S3_UPLOAD_ID_SIZE]; /* "" = none */
} fpi_s3_state;

fp_status fpi_s3_state_format(const fp_context *ctx, const fpi_s3_state *st, fp_buf *out,
                              fp_error *err);
fp_status fpi_s3_state_parse(const char *text, size_t size, fpi_s3_state *st, fp_error *err);

/* storage_s3_assembly.c, storage_s3_part.c, storage_s3_publish.c: slots of the driver, and what they share.
 *
 * The bytes of an object are cut into slots of `unit` bytes. A slot that lies wholly in one part goes to the server as soon as it
 * is written: as part number slot + 1 of a multipart upload when the key is known, as an object of its own otherwise. What remains
 * of a part at its ends, less than two slots, is the body of its record. */

/** Bytes that are no whole slot of a part: in the body of a record, or in memory (transient assemblies). */
typedef struct fpi_s3_piece {
    uint64_t offset, length;
    uint64_t at;          /* where they begin in the body */
    unsigned char *bytes; /* NULL: in the record's object */
    char *name;           /* of the record's object; NULL: here */
} fpi_s3_piece;

/** A whole slot that is committed. */
typedef struct fpi_s3_slot {
    fpi_s3_tag tag;  /* number 0 = not there */
    uint32_t seq;    /* of its part; slots that are objects have it in their names */
    uint64_t length; /* of one that is short, and so must end the object; 0 = it is a whole one */
} fpi_s3_slot;

typedef struct fpi_s3_assembly {
    fpi_s3_store *s;
    pthread_mutex_t lock; /* of all below */
    bool transient;
    bool published;
    bool stored;    /* something of it is at the server */
    bool has_state; /* state is stored, and valid */
    bool has_slots;
    uint32_t next_seq;
    fpi_s3_state state;
    char key[FPI_S3_KEY_MAX + 1]; /* fp_assembly_set_target(); "" = none */
    fpi_s3_piece *pieces;         /* in the order of their offsets */
    size_t piece_count, piece_capacity, piece_promised;
    uint64_t held; /* bytes in memory */
    fpi_s3_slot *slots;
    size_t slot_count;
    char id[FPI_KEY_SEGMENT_MAX + 1];
} fpi_s3_assembly;

/* storage_s3_stream.c: a whole slot on its way while its bytes come */

typedef struct fpi_s3_stream fpi_s3_stream;

typedef struct fpi_s3_stream_slot {
    uint64_t number;            /* of the slot, from 0 */
    uint32_t seq;               /* of its part */
    const unsigned char *bytes; /* where they come; stays until the end */
    size_t size;
    const char *hash; /* for the signature: of the bytes, or FPI_S3_UNSIGNED */
} fpi_s3_stream_slot;

/** Begins to send it. The assembly has a state. */
fp_status fpi_s3_stream_begin(fpi_s3_assembly *a, const fpi_s3_stream_slot *slot,
                              fpi_s3_stream **out, fp_error *err);
/** The first `filled` bytes are there; waits for nothing. false: it has ended before its time, fpi_s3_stream_end() says why. */
bool fpi_s3_stream_feed(fpi_s3_stream *st, size_t filled);
/** All bytes are there, or it has ended: waits for the answer. Takes the stream. */
fp_status fpi_s3_stream_end(fpi_s3_stream *st, char etag[FPI_S3_ETAG_SIZE], fp_error *err);
/** As if never begun: the server gets no whole request. Takes it; NULL is allowed. */
void fpi_s3_stream_drop(fpi_s3_stream *st);

/* storage_s3_staging.c: the parts of an assembly in memory, and its names */

/** "<prefix>~staged/<id>!<kind><tail>" in new memory. Kinds: r a record, s a slot, u the state, z published. */
fp_status fpi_s3_staged_name(const fpi_s3_store *s, const char *id, char kind, const char *tail,
                             char **out, fp_error *err);
fp_status fpi_s3_slot_name(const fpi_s3_assembly *a, uint64_t slot, uint32_t seq, char **out,
                           fp_error *err);
/** Whole slots in [offset, offset + length): the first, and how many. */
void fpi_s3_whole_slots(uint64_t unit, uint64_t offset, uint64_t length, uint64_t *first,
                        uint64_t *count);
/** What binds a record to the slots in it. */
void fpi_s3_slot_check(const fpi_s3_tag *tags, size_t count, char out[33]);
/** With the lock held. Room for two more pieces and so many slots, so that adding can't fail behind what is durable. */
fp_status fpi_s3_promise(fpi_s3_assembly *a, size_t slots, fp_error *err);
void fpi_s3_take_back(fpi_s3_assembly *a);
/** With the lock held, after a promise (of two). Takes name and bytes. */
void fpi_s3_add_piece(fpi_s3_assembly *a, const fpi_s3_piece *p);
/** Bytes from offset on; fewer than cap only behind the last one. NOTSUP for slots that are parts of an upload. */
fp_status fpi_s3_staged_read(fpi_s3_assembly *a, uint64_t offset, void *buf, size_t cap,
                             size_t *got, fp_error *err);
/** With the lock held: a state there is; made when there was none yet. */
fp_status fpi_s3_need_state(fpi_s3_assembly *a, fp_error *err);
fp_status fpi_s3_state_load(fpi_s3_store *s, const char *id, fpi_s3_state *st, fp_error *err);
fp_status fpi_s3_state_save(fpi_s3_assembly *a, const fpi_s3_state *st, bool exclusive,
                            fp_error *err);

fp_status fpi_s3_assembly_open(void *self, const char *id, uint32_t flags,
                               fp_status (*on_part)(void *user_data, const fp_part_info *part,
                                                    fp_error *err),
                               void *user_data, void **assembly, fp_error *err);
void fpi_s3_assembly_close(void *self, void *assembly);
fp_status fpi_s3_assembly_set_target(void *self, void *assembly, const char *key, uint64_t size,
                                     fp_part_info *whole, fp_error *err);
fp_status fpi_s3_assembly_read(void *self, void *assembly, uint64_t offset, void *buf, size_t cap,
                               size_t *got, uint32_t flags, fp_error *err);
fp_status fpi_s3_assembly_publish(void *self, void *assembly, const char *key, uint64_t size,
                                  uint32_t flags, fp_error *err);
fp_status fpi_s3_part_begin(void *self, void *assembly, uint64_t offset, uint64_t length,
                            void **part, fp_error *err);
fp_status fpi_s3_part_write(void *self, void *assembly, void *part, uint64_t offset,
                            const void *data, size_t size, fp_error *err);
fp_status fpi_s3_part_commit(void *self, void *assembly, void *part, const fp_part_info *info,
                             fp_error *err);
void fpi_s3_part_free(void *self, void *assembly, void *part);
fp_status fpi_s3_discard(void *self, const char *id, uint32_t flags, fp_error *err);

/* storage_s3_adopt.c, storage_s3_presign.c, storage_s3_reap.c */

uint64_t fpi_s3_assembly_part_size(void *self, void *assembly);
fp_status fpi_s3_assembly_written(void *self, void *assembly, fp_written_fn fn, void *user_data,
                                  fp_error *err);
fp_status fpi_s3_assembly_adopt(void *self, void *assembly, const char *const *etags,
                                size_t etag_count, const fp_part_info *info, fp_error *err);

fp_status fpi_s3_presign_object(void *self, const char *key, uint32_t method, uint32_t expires_s,
                                fp_buf *url, fp_error *err);
fp_status fpi_s3_presign_part(void *self, void *assembly, uint64_t offset, uint32_t expires_s,
                              fp_buf *url, fp_error *err);
fp_status fpi_s3_reap(void *self, int64_t older_than_ms, uint64_t *count, fp_error *err);

#endif
