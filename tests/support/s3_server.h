/* Owns: stores on the S3 server that tests are given by the environment: fresh buckets.
 * Must not know: what is tested. */
#ifndef TESTS_S3_SERVER_H
#define TESTS_S3_SERVER_H

#include "storage_contract.h"

/* Ends the program as skipped when there is no server. */
void s3_server_need(void);
/* Whether the tests run against the server of this name (FILEPROC_TEST_S3_SERVER). */
bool s3_server_is(const char *name);
/* For storage_contract. */
void s3_server_fresh(char uri[128]);
void s3_server_gone(const char *uri);
const fp_storage_options *s3_server_options(void);
/* The URI of a bucket at this address. */
void s3_server_uri(char uri[128], const char *bucket, const char *endpoint);
const char *s3_server_endpoint(void);

#endif
