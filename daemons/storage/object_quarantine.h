/* Owns: that objects of files in quarantine are not given out by their keys.
 * Must not know: how objects are read. */
#ifndef FPD_OBJECT_QUARANTINE_H
#define FPD_OBJECT_QUARANTINE_H

#include <stdbool.h>

#include "app.h"
#include "request.h"

/** True when the object under this key may be read; else answers 403, 404 or 409. */
bool fpd_object_readable(fpd_request *rq, fpd_app *app, const char *key);

#endif
