/* Owns: what the library and its helper program say to each other. docs/internals/media-helper.md explains it.
 * Must not know: how either side does its work. Included by pipeline/helper.c and by media/. */
#ifndef FPI_MEDIA_PROTOCOL_H
#define FPI_MEDIA_PROTOCOL_H

/*
 * A SOCK_SEQPACKET socketpair; one JSON object per packet. The helper's end is descriptor FPI_MEDIA_FD, it inherits nothing else but
 * 0, 1 (both /dev/null) and 2. Command line of the helper: decimal numbers,
 *   fileproc-media --parent-pid N --memory BYTES --cpu-seconds N --file-size BYTES
 *
 * library -> helper
 *   {"type":"run","id":7,"declared_type":"image/jpeg","detected_type":"image/jpeg",   <- detected_type may be null
 *    "limits":{"max_pixels":..,"max_output_bytes":..,"max_unpacked_bytes":..,"max_entries":..,"max_pages":..},
 *    "steps":[{"step":0,"operation":"image.info","params":{...}}, ...]}              + 1 descriptor: the input
 *   {"type":"output_fd","id":7}                                                     + 1 descriptor: an empty file, O_RDWR
 *
 * helper -> library
 *   {"type":"ready","version":"0.1.0"}                        once, when it is ready for the first run
 *   {"type":"need_output","id":7,"step":1}                    asks for one output_fd
 *   {"type":"output","id":7,"step":1,"mime_type":"image/webp","extension":"webp","info":{"width":256,"height":171}}
 *                                                             the file last given is complete
 *   {"type":"step","id":7,"step":1,"result":{...}}            this step is done; its outputs came before
 *   {"type":"error","id":7,"step":1,"code":"media_damaged","detail":"...","permanent":true}   ends the run
 *   {"type":"done","id":7,"rss_bytes":12345678}               ends the run; all steps are done
 *
 * Steps are answered in the order given. code is a name of FILEPROC_REASON_MAP; the library takes media_*, archive_bomb, output_too_large,
 * parameter_invalid, operation_unknown, storage_full and helper_*. An error's step is the one that is not answered yet, or a later one.
 * The result of file.type is {"mime_type":"image/png",...}; the steps after it in the same run go by that as the detected type.
 * The library asks for it as step 0 of the first run when it doesn't know the type. --cpu-seconds is for one run. The helper ends when its
 * socket closes, and with its parent thread (PR_SET_PDEATHSIG).
 */

#define FPI_MEDIA_FD 3

/** No packet is larger; results that would be go into an output. */
#define FPI_MEDIA_PACKET_MAX (96u * 1024u)

/** Exit status of a helper that ran out of memory where it could not answer any more (reported as helper_memory). */
#define FPI_MEDIA_EXIT_MEMORY 86

#endif
