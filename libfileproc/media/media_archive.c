/* Owns: the operation archive.list: what is in an archive, without unpacking it anywhere.
 * Must not know: what the entries hold. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/timestamp.h"
#include "media/media_error.h"
#include "media/media_operation.h"
#include "media/media_output.h"
#include "media/media_sniff.h"

#define BLOCK (64u * 1024u)
#define NAME_MAX_BYTES 1024u
/* What goes into the result: short enough for a packet whatever the names hold. */
#define RESULT_NAMES 100u
#define RESULT_NAME_BYTES 256u
#define RESULT_BYTES (40u * 1024u)
/* Ordinary files never shrink to a thousandth, once they are of any size. */
#define BOMB_RATIO 1000u
#define EMPTY_ZIP_BYTES 22u
#define BOMB_BYTES (100u * 1024u * 1024u)
/* As the library lists them (pipeline/operation_builtin.c): libmagic tells a document from a mere zip by its first entries. */
#define ARCHIVE_TYPES                                                                              \
    "application/zip,application/x-zip,application/x-zip-compressed,application/x-tar,"            \
    "application/x-gtar,application/gzip,application/x-gzip,application/x-compressed-tar,"         \
    "application/bzip2,application/x-bzip2,application/x-bzip-compressed-tar,"                     \
    "application/x-xz,application/x-xz-compressed-tar,application/zstd,"                           \
    "application/x-zstd,application/x-zstd-compressed-tar,application/java-archive,"               \
    "application/epub+zip,application/vnd.oasis.opendocument.text,"                                \
    "application/vnd.oasis.opendocument.spreadsheet,"                                              \
    "application/vnd.oasis.opendocument.presentation,"                                             \
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document,"                     \
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet,"                           \
    "application/vnd.openxmlformats-officedocument.presentationml.presentation"

/* Where libarchive reads from. */
typedef struct source {
    fpi_media_run *run;
    uint64_t offset;
    char block[BLOCK];
} source;

typedef struct listing {
    fpi_media_run *run;
    struct archive *archive;
    fpi_media_output out;
    json_t *names;
    size_t name_bytes;
    uint64_t entries, files, directories, links;
    uint64_t unpacked_bytes;
    bool zip, encrypted, suspicious;
} listing;

static la_ssize_t on_read(struct archive *a, void *data, const void **block)
{
    source *s = data;
    fp_error e = { 0 };
    size_t got;

    if (fpi_media_input_read(s->run, s->offset, s->block, BLOCK, &got, &e) < 0) {
        archive_set_error(a, EIO, "%s", e.message);
        return -1;
    }
    s->offset += got;
    *block = s->block;
    return (la_ssize_t)got;
}

static la_int64_t on_skip(struct archive *a, void *data, la_int64_t request)
{
    source *s = data;
    uint64_t left = s->run->input_size > s->offset ? s->run->input_size - s->offset : 0;
    uint64_t step = (uint64_t)request < left ? (uint64_t)request : left;

    (void)a;
    s->offset += step;
    return (la_int64_t)step;
}

static la_int64_t on_seek(struct archive *a, void *data, la_int64_t offset, int whence)
{
    source *s = data;
    int64_t base = whence == SEEK_SET   ? 0
                   : whence == SEEK_CUR ? (int64_t)s->offset
                                        : (int64_t)s->run->input_size;
    int64_t target;

    (void)a;
    if (__builtin_add_overflow(base, offset, &target) || target < 0)
        return ARCHIVE_FATAL;
    s->offset = (uint64_t)target;
    return target;
}

/* Zip by its directory at the end, which says everything without inflating; tar, and anything compressed that libarchive inflates itself: no
 * filter that runs other programs. */
static int set_up(struct archive *a, source *s)
{
    return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
           archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
           archive_read_support_filter_xz(a) == ARCHIVE_OK &&
           archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
           archive_read_support_format_zip_seekable(a) == ARCHIVE_OK &&
           archive_read_support_format_tar(a) == ARCHIVE_OK &&
           archive_read_support_format_raw(a) == ARCHIVE_OK &&
           archive_read_set_read_callback(a, on_read) == ARCHIVE_OK &&
           archive_read_set_skip_callback(a, on_skip) == ARCHIVE_OK &&
           archive_read_set_seek_callback(a, on_seek) == ARCHIVE_OK &&
           archive_read_set_callback_data(a, s) == ARCHIVE_OK &&
           archive_read_open1(a) == ARCHIVE_OK;
}

static fp_status damaged(const listing *l, fp_error *err)
{
    const char *text = archive_error_string(l->archive);

    if (archive_errno(l->archive) == ENOMEM)
        return fpi_media_no_memory(err);
    return fpi_media_fail(err, FILEPROC_REASON_MEDIA_DAMAGED, "the archive is damaged: %.140s",
                          text ? text : "it can't be read");
}

/* Absolute, or leading out of the folder that somebody will unpack into. */
static bool is_suspicious(const char *path)
{
    if (path[0] == '/' || path[0] == '\\' || (path[0] && path[1] == ':'))
        return true;
    for (const char *at = path; *at;) {
        size_t part = strcspn(at, "/\\");

        if (part == 2 && at[0] == '.' && at[1] == '.')
            return true;
        at += part + (at[part] != '\0');
    }
    return false;
}

static const char *kind_of(listing *l, struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry)) { /* libarchive gives it no type of its own */
        l->links++;
        return "link";
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        l->directories++;
        return "directory";
    case AE_IFLNK:
        l->links++;
        return "link";
    case AE_IFREG:
        l->files++;
        return "file";
    default:
        return "other";
    }
}

static fp_status bomb(fp_error *err, const char *what, uint64_t limit)
{
    return fpi_media_fail(err, FILEPROC_REASON_ARCHIVE_BOMB, "the archive %s %" PRIu64, what,
                          limit);
}

static fp_status check_bytes(const listing *l, uint64_t unpacked, fp_error *err)
{
    uint64_t packed = l->run->input_size;

    if (unpacked > l->run->limits.max_unpacked_bytes)
        return bomb(err, "unpacks to more bytes than allowed:", l->run->limits.max_unpacked_bytes);
    if (unpacked > BOMB_BYTES && unpacked / BOMB_RATIO > packed)
        return bomb(err, "unpacks to more than its size times", BOMB_RATIO);
    return FILEPROC_OK;
}

static fp_status add_size(listing *l, uint64_t size, fp_error *err)
{
    if (__builtin_add_overflow(l->unpacked_bytes, size, &l->unpacked_bytes))
        l->unpacked_bytes = UINT64_MAX;
    return check_bytes(l, l->unpacked_bytes, err);
}

/* Reads over an entry's data. A zip file's is skipped without being inflated; in a compressed tar it is inflated, and each block is counted:
 * this is where a bomb goes off. What a raw stream holds is known only by reading it. */
static fp_status pass_data(listing *l, bool size_is_known, fp_error *err)
{
    const void *block;
    size_t size;
    la_int64_t offset;
    uint64_t total = 0;
    int rc;

    if (l->zip)
        return archive_read_data_skip(l->archive) == ARCHIVE_FATAL ? damaged(l, err) : FILEPROC_OK;
    while ((rc = archive_read_data_block(l->archive, &block, &size, &offset)) == ARCHIVE_OK) {
        fp_status bad;

        total += size;
        bad = check_bytes(l, (uint64_t)archive_filter_bytes(l->archive, 0), err);
        if (bad < 0)
            return bad;
    }
    if (rc != ARCHIVE_EOF)
        return damaged(l, err);
    return size_is_known ? FILEPROC_OK : add_size(l, total, err);
}

static json_t *describe_entry(const char *name, const char *kind, struct archive_entry *entry)
{
    json_t *j = json_pack(
        "{s:o,s:s,s:I}", "name", fpi_media_json_text(name, NAME_MAX_BYTES), "kind", kind, "size",
        (json_int_t)(archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0));
    char time[FPI_TIMESTAMP_SIZE];

    if (j && archive_entry_mtime_is_set(entry)) {
        fpi_timestamp_format((int64_t)archive_entry_mtime(entry) * 1000, time);
        json_object_set_new(j, "modified_at", json_string(time));
    }
    if (j && archive_entry_is_encrypted(entry))
        json_object_set_new(j, "encrypted", json_true());
    return j;
}

static fp_status write_entry(listing *l, const char *name, const char *kind,
                             struct archive_entry *entry, fp_error *err)
{
    FPI_CLEANUP(json_t) j = describe_entry(name, kind, entry);
    char *line = j ? fpi_json_text(l->run->helper->ctx, j) : NULL;
    bool ok;

    if (!line)
        return fpi_media_no_memory(err);
    ok = (l->entries == 1 || fpi_media_output_write(&l->out, ",\n", 2)) &&
         fpi_media_output_write(&l->out, line, strlen(line));
    fpi_free(&l->run->helper->ctx->a, line);
    return ok ? FILEPROC_OK : fpi_media_output_failure(&l->out, err);
}

static fp_status keep_name(listing *l, const char *name, fp_error *err)
{
    json_t *text;

    if (json_array_size(l->names) >= RESULT_NAMES || l->name_bytes > RESULT_BYTES)
        return FILEPROC_OK;
    text = fpi_media_json_text(name, RESULT_NAME_BYTES);
    if (!text || json_array_append(l->names, text) != 0) {
        json_decref(text);
        return fpi_media_no_memory(err);
    }
    l->name_bytes +=
        json_string_length(text) * 2; /* quotes and backslashes are written with another one */
    json_decref(text);
    return FILEPROC_OK;
}

/* The name as it stands in the archive, when it is in no encoding that can be told. */
static const char *name_of(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);

    if (!name)
        name = archive_entry_pathname(entry);
    return name ? name : "";
}

static fp_status take_entry(listing *l, struct archive_entry *entry, fp_error *err)
{
    bool raw = archive_format(l->archive) == ARCHIVE_FORMAT_RAW;
    bool known = archive_entry_size_is_set(entry) && !raw;
    const char *name = raw ? "" : name_of(entry);
    fp_status rc = FILEPROC_OK;

    if (++l->entries > l->run->limits.max_entries)
        return bomb(err, "has more entries than allowed:", l->run->limits.max_entries);
    l->suspicious = l->suspicious || is_suspicious(name);
    l->encrypted = l->encrypted || archive_entry_is_encrypted(entry);
    if (known)
        rc = archive_entry_size(entry) < 0 ? damaged(l, err)
                                           : add_size(l, (uint64_t)archive_entry_size(entry), err);
    if (rc == FILEPROC_OK)
        rc = write_entry(l, name, kind_of(l, entry), entry, err);
    if (rc == FILEPROC_OK)
        rc = keep_name(l, name, err);
    return rc < 0 ? rc : pass_data(l, known, err);
}

/* Nothing but the record that ends a directory of no entries; libarchive looks for that record only behind something else. */
static bool is_empty_zip(const fpi_media_run *run)
{
    char head[4];
    size_t got;
    fp_error ignored = { 0 };

    return run->input_size == EMPTY_ZIP_BYTES &&
           fpi_media_input_read(run, 0, head, sizeof(head), &got, &ignored) == FILEPROC_OK &&
           got == sizeof(head) && memcmp(head, "PK\5\6", sizeof(head)) == 0;
}

static fp_status take_entries(listing *l, fp_error *err)
{
    struct archive_entry *entry;
    fp_status rc = FILEPROC_OK;
    int state;

    while (rc == FILEPROC_OK &&
           (state = archive_read_next_header(l->archive, &entry)) != ARCHIVE_EOF) {
        if (state != ARCHIVE_OK && state != ARCHIVE_WARN)
            return damaged(l, err);
        l->zip = (archive_format(l->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
        /* "raw" is libarchive's word for anything; without a compression around it that is no archive. */
        if (archive_format(l->archive) == ARCHIVE_FORMAT_RAW &&
            archive_filter_count(l->archive) < 2) {
            l->zip = is_empty_zip(l->run);
            return l->zip ? FILEPROC_OK : fpi_media_unreadable(l->run, ARCHIVE_TYPES, err);
        }
        rc = take_entry(l, entry, err);
    }
    return rc;
}

static const char *format_name(const listing *l)
{
    int format = archive_format(l->archive) & ARCHIVE_FORMAT_BASE_MASK;

    return l->zip ? "zip" : format == ARCHIVE_FORMAT_TAR ? "tar" : "none";
}

static json_t *describe(const listing *l)
{
    const char *filter =
        archive_filter_count(l->archive) > 1 ? archive_filter_name(l->archive, 0) : "none";

    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:O}", "format", format_name(l),
                     "compression", filter ? filter : "none", "entries", (json_int_t)l->entries,
                     "files", (json_int_t)l->files, "directories", (json_int_t)l->directories,
                     "links", (json_int_t)l->links, "unpacked_bytes", (json_int_t)l->unpacked_bytes,
                     "encrypted", (int)l->encrypted, "suspicious_paths", (int)l->suspicious,
                     "names", l->names);
}

static fp_status list(listing *l, source *s, json_t **result, fp_error *err)
{
    fp_status rc;

    if (!set_up(l->archive, s))
        return archive_errno(l->archive) == ENOMEM
                   ? fpi_media_no_memory(err)
                   : fpi_media_unreadable(l->run, ARCHIVE_TYPES, err);
    rc = fpi_media_output_open(&l->out, l->run, err);
    if (rc == FILEPROC_OK && !fpi_media_output_write(&l->out, "{\"entries\":[", 12))
        rc = fpi_media_output_failure(&l->out, err);
    if (rc == FILEPROC_OK)
        rc = take_entries(l, err);
    if (rc == FILEPROC_OK && !fpi_media_output_write(&l->out, "]}\n", 3))
        rc = fpi_media_output_failure(&l->out, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_output_done(&l->out, "application/json", "json",
                                   json_pack("{s:I}", "entries", (json_int_t)l->entries), err);
    if (rc < 0)
        return rc;
    *result = describe(l);
    return *result ? FILEPROC_OK : fpi_media_no_memory(err);
}

fp_status fpi_media_archive_list(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                 fp_error *err)
{
    listing l = { .run = run,
                  .archive = archive_read_new(),
                  .out = FPI_MEDIA_OUTPUT_INIT,
                  .names = json_array() };
    source *s = fpi_calloc(&fpi_default_allocator, 1, sizeof(*s));
    fp_status rc;

    (void)step;
    if (!l.archive || !l.names || !s) {
        rc = fpi_media_no_memory(err);
    } else {
        s->run = run;
        rc = run->input_size == 0 ? fpi_media_unreadable(run, ARCHIVE_TYPES, err)
                                  : list(&l, s, result, err);
    }
    if (l.archive)
        archive_read_free(l.archive);
    fpi_media_output_dispose(&l.out);
    json_decref(l.names);
    fpi_free(&fpi_default_allocator, s);
    return rc;
}
