/* Owns: the one-time set-up of libcurl in this process.
 * Must not know: any request. */
#ifndef FPI_CURL_ONCE_H
#define FPI_CURL_ONCE_H

#include <fileproc/error.h>

/** Before anything else of libcurl; any number of times, from any thread. It is never undone: other users of libcurl in this
 *  process may still need it. */
fp_status fpi_curl_once(fp_error *err);

#endif
