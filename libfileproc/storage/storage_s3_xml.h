/* Owns: reading the XML that S3 answers with: elements and their text, piece by piece, within limits.
 * Must not know: which elements there are. The only file pair that knows expat. */
#ifndef FPI_STORAGE_S3_XML_H
#define FPI_STORAGE_S3_XML_H

#include "core/context_private.h"

/** Deeper, longer or larger than this is no answer of S3. A key is 1024 bytes at the most, and three times that when encoded. */
#define FPI_S3_XML_DEPTH 16
#define FPI_S3_XML_TEXT 4096u
#define FPI_S3_XML_SIZE ((size_t)16 * 1024 * 1024)

typedef struct fpi_s3_xml fpi_s3_xml;

/** What is called at the end of each element: parent is "" for the outermost one, text what stood directly in the element,
 *  without what was in others inside. A failure ends the reading and is returned. */
typedef fp_status (*fpi_s3_xml_fn)(void *user_data, const char *parent, const char *name,
                                   const char *text, fp_error *err);

fp_status fpi_s3_xml_new(const fp_context *ctx, fpi_s3_xml_fn fn, void *user_data, fpi_s3_xml **out,
                         fp_error *err);
void fpi_s3_xml_free(fpi_s3_xml *x);
FPI_DEFINE_CLEANUP(fpi_s3_xml, fpi_s3_xml_free)

/** PROTOCOL for what is no XML, has a document type, or exceeds a limit. */
fp_status fpi_s3_xml_feed(fpi_s3_xml *x, const void *data, size_t size, fp_error *err);
/** PROTOCOL and RETRYABLE when the document is not complete. */
fp_status fpi_s3_xml_finish(fpi_s3_xml *x, fp_error *err);

#endif
