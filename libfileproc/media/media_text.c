/* Owns: the operation text.stats: counting a text in two readings, block by block.
 * Must not know: encodings and tables in detail. */
#include <glib.h>
#include <string.h>

#include "media/media_csv.h"
#include "media/media_error.h"
#include "media/media_operation.h"
#include "media/media_sniff.h"
#include "media/media_text_decode.h"

#define BLOCK (64u * 1024u)
/* What libmagic calls bytes that it can't make sense of: nobody can say that these are not what they were declared to be. */
#define VAGUE_TYPES "text/*,application/octet-stream,application/x-empty,inode/x-empty"

typedef struct counts {
    uint64_t characters, words, lines, longest_line;
    uint64_t lf, crlf, cr; /* line ends of each kind */
    uint64_t line;         /* characters of the line at hand */
    bool in_word, after_return;
} counts;

typedef struct reader {
    fpi_media_run *run;
    uint8_t *bytes;       /* BLOCK */
    uint32_t *characters; /* BLOCK + 1 */
} reader;

static void reader_dispose(reader *r)
{
    fpi_free(&fpi_default_allocator, r->bytes);
    fpi_free(&fpi_default_allocator, r->characters);
}

static fp_status reader_init(reader *r, fpi_media_run *run, fp_error *err)
{
    r->run = run;
    r->bytes = fpi_alloc(&fpi_default_allocator, BLOCK);
    r->characters = fpi_calloc(&fpi_default_allocator, BLOCK + 1, sizeof(uint32_t));
    return r->bytes && r->characters ? FILEPROC_OK : fpi_media_no_memory(err);
}

static fp_status guess_encoding(reader *r, fpi_media_encoding *encoding, size_t *mark,
                                fp_error *err)
{
    fpi_media_encoding_guess guess = { 0 };
    uint64_t offset = 0;
    size_t size;

    do {
        fp_status rc = fpi_media_input_read(r->run, offset, r->bytes, BLOCK, &size, err);

        if (rc < 0)
            return rc;
        fpi_media_encoding_look(&guess, r->bytes, size);
        offset += size;
    } while (size == BLOCK);
    *encoding = fpi_media_encoding_result(&guess, mark);
    return FILEPROC_OK;
}

static void end_line(counts *c)
{
    c->lines++;
    if (c->line > c->longest_line)
        c->longest_line = c->line;
    c->line = 0;
}

/* ASCII goes the short way: GLib's tables cost more than the rest. */
static bool is_space(uint32_t character)
{
    return character < 0x80 ? character == ' ' || (character >= '\t' && character <= '\r')
                            : g_unichar_isspace(character);
}

static void count(counts *c, const uint32_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint32_t character = text[i];
        bool space = is_space(character);
        bool second_half = c->after_return && character == '\n';

        c->characters++;
        c->words += !space && !c->in_word;
        c->in_word = !space;
        c->after_return = character == '\r';
        if (second_half) {
            c->cr--;
            c->crlf++;
        } else if (character == '\n' || character == '\r') {
            c->lf += character == '\n';
            c->cr += character == '\r';
            end_line(c);
        } else {
            c->line++;
        }
    }
}

static bool is_csv(const fpi_media_run *run)
{
    return strcmp(run->declared_type, "text/csv") == 0 ||
           strcmp(run->declared_type, "application/csv") == 0 ||
           strcmp(run->declared_type, "text/tab-separated-values") == 0;
}

/* The second reading; csv is NULL for what is no table. */
static fp_status count_all(reader *r, fpi_media_encoding encoding, size_t mark, counts *c,
                           fpi_media_csv *csv, fp_error *err)
{
    fpi_media_decoder decoder = { .encoding = encoding };
    uint64_t offset = mark;
    size_t size, characters;

    do {
        fp_status rc = fpi_media_input_read(r->run, offset, r->bytes, BLOCK, &size, err);

        if (rc < 0)
            return rc;
        characters = fpi_media_decode(&decoder, r->bytes, size, r->characters);
        if (csv && offset == mark)
            csv->delimiter = strcmp(r->run->declared_type, "text/tab-separated-values") == 0
                                 ? '\t'
                                 : fpi_media_csv_guess(r->characters, characters);
        count(c, r->characters, characters);
        if (csv)
            fpi_media_csv_take(csv, r->characters, characters);
        offset += size;
    } while (size == BLOCK);
    if (c->line > 0)
        end_line(c);
    if (csv)
        fpi_media_csv_end(csv);
    return FILEPROC_OK;
}

static const char *line_ending(const counts *c)
{
    int kinds = (c->lf > 0) + (c->crlf > 0) + (c->cr > 0);

    return kinds == 0 ? "none" : kinds > 1 ? "mixed" : c->lf ? "lf" : c->crlf ? "crlf" : "cr";
}

static json_t *describe(const fpi_media_run *run, fpi_media_encoding encoding, size_t mark,
                        const counts *c)
{
    return json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:s}", "encoding",
                     fpi_media_encoding_name(encoding), "byte_order_mark", mark > 0, "bytes",
                     (json_int_t)run->input_size, "characters", (json_int_t)c->characters, "words",
                     (json_int_t)c->words, "lines", (json_int_t)c->lines, "longest_line",
                     (json_int_t)c->longest_line, "line_ending", line_ending(c));
}

static json_t *describe_csv(const fpi_media_csv *csv)
{
    char delimiter[2] = { (char)csv->delimiter, '\0' };
    bool header = fpi_media_csv_has_header(csv);
    json_t *names = json_array();

    for (uint32_t i = 0; names && header && i < csv->columns && i < FPI_MEDIA_CSV_NAMES_MAX; i++)
        json_array_append_new(names, fpi_media_json_text(csv->names[i], FPI_MEDIA_CSV_NAME_SIZE));
    return json_pack("{s:s,s:I,s:I,s:I,s:b,s:o}", "delimiter", delimiter, "columns",
                     (json_int_t)csv->columns, "rows", (json_int_t)(csv->rows - (header ? 1 : 0)),
                     "irregular_rows", (json_int_t)csv->ragged, "has_header", (int)header, "header",
                     names);
}

/* Bytes that are no text. When they are known to be a picture or an archive, the step fails; else their number is all there is to say. */
static fp_status stats_of_binary(fpi_media_run *run, json_t **result, fp_error *err)
{
    fp_status rc = fpi_media_sniff(run, err);

    if (rc < 0)
        return rc;
    if (!fpi_media_list_match(VAGUE_TYPES, run->detected_type))
        return fpi_media_unreadable(run, VAGUE_TYPES, err);
    *result = json_pack("{s:s,s:I}", "encoding", "binary", "bytes", (json_int_t)run->input_size);
    return *result ? FILEPROC_OK : fpi_media_no_memory(err);
}

static fp_status stats(reader *r, json_t **result, fp_error *err)
{
    fpi_media_csv csv = { 0 };
    counts c = { 0 };
    fpi_media_encoding encoding;
    size_t mark = 0;
    fp_status rc = guess_encoding(r, &encoding, &mark, err);

    if (rc < 0)
        return rc;
    if (encoding == FPI_MEDIA_BINARY)
        return stats_of_binary(r->run, result, err);
    rc = count_all(r, encoding, mark, &c, is_csv(r->run) ? &csv : NULL, err);
    if (rc < 0)
        return rc;
    *result = describe(r->run, encoding, mark, &c);
    if (!*result)
        return fpi_media_no_memory(err);
    return is_csv(r->run) ? fpi_media_set(*result, "csv", describe_csv(&csv), err) : FILEPROC_OK;
}

fp_status fpi_media_text_stats(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err)
{
    reader r = { 0 };
    fp_status rc;

    (void)step;
    rc = reader_init(&r, run, err);
    if (rc == FILEPROC_OK)
        rc = stats(&r, result, err);
    reader_dispose(&r);
    return rc;
}
