/* Owns: nothing; includes every public header for users (not those for driver authors).
 * Must not know: anything. */
#ifndef FILEPROC_FILEPROC_H
#define FILEPROC_FILEPROC_H

#include <fileproc/buf.h>
#include <fileproc/cache.h>
#include <fileproc/catalog.h>
#include <fileproc/config.h>
#include <fileproc/context.h>
#include <fileproc/database.h>
#include <fileproc/error.h>
#include <fileproc/event.h>
#include <fileproc/job.h>
#include <fileproc/pipeline.h>
#include <fileproc/quarantine.h>
#include <fileproc/queue.h>
#include <fileproc/storage.h>
#include <fileproc/upload.h>
#include <fileproc/version.h>

#endif
