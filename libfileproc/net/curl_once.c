/* Owns: the one-time set-up of libcurl in this process.
 * Must not know: any request. */
#include "net/curl_once.h"

#include <pthread.h>

#include <curl/curl.h>

#include "core/error_private.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode result;

static void set_up(void)
{
    result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

fp_status fpi_curl_once(fp_error *err)
{
    pthread_once(&once, set_up);
    if (result != CURLE_OK)
        return fpi_error_causef(err, FILEPROC_ERR_IO, "curl", (int32_t)result,
                                "libcurl can't be set up: %s", curl_easy_strerror(result));
    return FILEPROC_OK;
}
