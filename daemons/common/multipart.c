/* Owns: a streaming parser of multipart/form-data (RFC 7578, RFC 2046 section 5.1).
 * Must not know: where the bytes come from, or what the parts are. */
#include "multipart.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "header_value.h"

static bool is_boundary_char(char c)
{
    return (isalnum((unsigned char)c) && (unsigned char)c < 0x80) ||
           (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

bool fpd_multipart_init(fpd_multipart *mp, const char *content_type,
                        const fpd_multipart_events *events)
{
    char boundary[FPD_MULTIPART_BOUNDARY_MAX + 1];
    size_t size;

    if (!fpd_value_is(content_type, "multipart/form-data") ||
        !fpd_value_parameter(content_type, "boundary", boundary, sizeof(boundary)))
        return false;
    size = strlen(boundary);
    if (size == 0 || boundary[size - 1] == ' ')
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_boundary_char(boundary[i]))
            return false;
    memset(mp, 0, sizeof(*mp));
    mp->events = events;
    memcpy(mp->delimiter, "\r\n--", 4);
    memcpy(mp->delimiter + 4, boundary, size);
    mp->delimiter_size = size + 4;
    mp->matched = mp->lent = 2; /* the first delimiter needs no line end before it */
    mp->state = FPD_MULTIPART_PREAMBLE;
    return true;
}

static bool fail(fpd_multipart *mp, fpd_multipart_result why)
{
    mp->state = FPD_MULTIPART_FAILED;
    mp->failure = why;
    return false;
}

static bool pass_on(fpd_multipart *mp, const char *data, size_t size)
{
    if (size == 0 || mp->state == FPD_MULTIPART_PREAMBLE)
        return true;
    return mp->events->data(mp->events->user_data, data, size) || fail(mp, FPD_MULTIPART_STOPPED);
}

static bool delimiter_found(fpd_multipart *mp)
{
    bool in_part = mp->state == FPD_MULTIPART_DATA;

    mp->matched = mp->lent = 0;
    mp->state = FPD_MULTIPART_DELIMITED;
    if (in_part && !mp->events->end(mp->events->user_data))
        return fail(mp, FPD_MULTIPART_STOPPED);
    return true;
}

/* The longest end of data that may be the start of a delimiter. A delimiter holds one CR, its first byte, so only the last
 * CR can begin it. */
static size_t partial_match(const fpd_multipart *mp, const char *data, size_t size)
{
    size_t most = size < mp->delimiter_size - 1 ? size : mp->delimiter_size - 1;
    const char *cr = memrchr(data + size - most, '\r', most);
    size_t length = cr ? (size_t)(data + size - cr) : 0;

    return length && memcmp(cr, mp->delimiter, length) == 0 ? length : 0;
}

/* Goes on with a delimiter that began in an earlier buffer. Bytes held back and then found to be data are equal to
 * the delimiter's own, so they are passed on from there. */
static bool continue_match(fpd_multipart *mp, const char **data, size_t *size)
{
    size_t want = mp->delimiter_size - mp->matched;
    size_t n = *size < want ? *size : want, same = 0;
    const char *held;

    while (same < n && (*data)[same] == mp->delimiter[mp->matched + same])
        same++;
    if (same == want) {
        *data += same;
        *size -= same;
        return delimiter_found(mp);
    }
    if (same == n) {
        mp->matched += same;
        *data += same;
        *size -= same;
        return true;
    }
    /* No match: what was held back is data; the bytes of this buffer are looked at afresh. */
    held = mp->delimiter + mp->lent;
    n = mp->matched - mp->lent;
    mp->matched = mp->lent = 0;
    return pass_on(mp, held, n);
}

static bool feed_data(fpd_multipart *mp, const char **data, size_t *size)
{
    const char *found;
    size_t span, held;

    if (mp->matched)
        return continue_match(mp, data, size);
    found = memmem(*data, *size, mp->delimiter, mp->delimiter_size);
    held = found ? 0 : partial_match(mp, *data, *size);
    span = found ? (size_t)(found - *data) : *size - held;
    if (!pass_on(mp, *data, span))
        return false;
    if (found) {
        *data += span + mp->delimiter_size;
        *size -= span + mp->delimiter_size;
        return delimiter_found(mp);
    }
    mp->matched = held;
    *data += *size;
    *size = 0;
    return true;
}

/* One byte of what follows a delimiter: "--", or blanks and a line end. */
static bool feed_delimiter_line(fpd_multipart *mp, char c)
{
    bool blank = c == ' ' || c == '\t';

    if (mp->state == FPD_MULTIPART_CLOSING && c == '-')
        mp->state = FPD_MULTIPART_EPILOGUE;
    else if (mp->state == FPD_MULTIPART_DELIMITED && c == '-')
        mp->state = FPD_MULTIPART_CLOSING;
    else if (mp->state == FPD_MULTIPART_LINE_END && c == '\n') {
        if (++mp->parts > FPD_MULTIPART_PARTS_MAX)
            return fail(mp, FPD_MULTIPART_TOO_LARGE);
        mp->state = FPD_MULTIPART_HEAD;
        mp->head_size = 0;
    } else if (mp->state == FPD_MULTIPART_DELIMITED || mp->state == FPD_MULTIPART_PADDING) {
        if (!blank && c != '\r')
            return fail(mp, FPD_MULTIPART_MALFORMED);
        mp->state = blank ? FPD_MULTIPART_PADDING : FPD_MULTIPART_LINE_END;
    } else {
        return fail(mp, FPD_MULTIPART_MALFORMED);
    }
    return true;
}

/* Copies a header's value; false when it does not fit. */
static bool copy_value(char *out, size_t capacity, const char *value)
{
    size_t size = strlen(value);

    if (size >= capacity)
        return false;
    memcpy(out, value, size + 1);
    return true;
}

/* One header line without its line end, NUL-terminated. */
static bool parse_line(fpd_multipart_head *head, char *line)
{
    char *value = strchr(line, ':');

    if (!value || value == line)
        return false;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcasecmp(line, "Content-Disposition") == 0)
        return head->name[0] == '\0' && fpd_value_is(value, "form-data") &&
               fpd_value_parameter(value, "name", head->name, sizeof(head->name));
    if (strcasecmp(line, "Content-Type") == 0)
        return copy_value(head->content_type, sizeof(head->content_type), value);
    if (strcasecmp(line, "Content-Digest") == 0)
        return copy_value(head->content_digest, sizeof(head->content_digest), value);
    return true;
}

/* The lines are in mp->head, each ended by CR LF. RFC 7578: every part has a name. */
static bool head_complete(fpd_multipart *mp)
{
    fpd_multipart_head head = { 0 };

    for (char *line = mp->head, *end; line < mp->head + mp->head_size; line = end + 2) {
        end = memmem(line, (size_t)(mp->head + mp->head_size - line), "\r\n", 2);
        *end = '\0';
        if (strlen(line) != (size_t)(end - line) || !parse_line(&head, line))
            return fail(mp, FPD_MULTIPART_MALFORMED);
    }
    if (head.name[0] == '\0')
        return fail(mp, FPD_MULTIPART_MALFORMED);
    mp->state = FPD_MULTIPART_DATA;
    mp->matched = mp->lent =
        2; /* an empty part's delimiter shares the line end of the empty line */
    return mp->events->begin(mp->events->user_data, &head) || fail(mp, FPD_MULTIPART_STOPPED);
}

static bool feed_head(fpd_multipart *mp, char c)
{
    if (mp->head_size == sizeof(mp->head))
        return fail(mp, FPD_MULTIPART_TOO_LARGE);
    mp->head[mp->head_size++] = c;
    if (mp->head_size >= 4 && memcmp(mp->head + mp->head_size - 4, "\r\n\r\n", 4) == 0) {
        mp->head_size -= 2;
        return head_complete(mp);
    }
    if (mp->head_size == 2 && memcmp(mp->head, "\r\n", 2) == 0)
        return fail(mp, FPD_MULTIPART_MALFORMED); /* no header line, so no name */
    return true;
}

fpd_multipart_result fpd_multipart_feed(fpd_multipart *mp, const char *data, size_t size)
{
    bool going = mp->state != FPD_MULTIPART_FAILED;

    while (going && size > 0) {
        switch (mp->state) {
        case FPD_MULTIPART_PREAMBLE:
        case FPD_MULTIPART_DATA:
            going = feed_data(mp, &data, &size);
            break;
        case FPD_MULTIPART_EPILOGUE:
            size = 0;
            break;
        case FPD_MULTIPART_HEAD:
            going = feed_head(mp, *data++);
            size--;
            break;
        default:
            going = feed_delimiter_line(mp, *data++);
            size--;
        }
    }
    return mp->state == FPD_MULTIPART_FAILED ? mp->failure : FPD_MULTIPART_OK;
}

bool fpd_multipart_done(const fpd_multipart *mp)
{
    return mp->state == FPD_MULTIPART_EPILOGUE;
}
