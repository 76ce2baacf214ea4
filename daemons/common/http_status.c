/* Owns: the HTTP statuses that the daemons answer with, and their phrases.
 * Must not know: when they are used. */
#include "http_status.h"

static const struct {
    int status;
    const char *phrase;
} statuses[] = {
    { 500, "Internal Server Error" }, /* first: what unknown ones count as */
    { 101, "Switching Protocols" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 302, "Found" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 460, "Checksum Mismatch" }, /* of tus */
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
};
#define STATUS_COUNT (sizeof(statuses) / sizeof(*statuses))

const char *fpd_status_phrase(int status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i].status == status)
            return statuses[i].phrase;
    return "Unknown";
}

int fpd_status_at(size_t i)
{
    return i < STATUS_COUNT ? statuses[i].status : 0;
}

size_t fpd_status_index(int status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i].status == status)
            return i;
    return 0;
}
