/* Owns: which keys the storage service may write, and its words for errors.
 * Must not know: how objects are read or written. */
#ifndef FPD_OBJECT_KEY_H
#define FPD_OBJECT_KEY_H

#include <fileproc/storage.h>

#include "request.h"

/** The most bytes of a key, and of a prefix or a cursor; the NUL not counted. */
#define FPD_OBJECT_KEY_MAX 1024u

/** Whether the key belongs to the other services: what they have noted of it in the database would no longer be true. */
bool fpd_object_reserved(const char *key);

/** Whether it is one that only health probes use, for a moment. */
bool fpd_object_is_probe(const char *key);

/** Answers 403 and returns false when the key is reserved. */
bool fpd_object_writable(fpd_request *rq, const char *key);

/** As fpd_problem_error(), but an object that is not there is the client's affair: 404. */
void fpd_object_problem(fpd_request *rq, const fp_error *err);

#endif
