/* Owns: the operations image.resize and image.convert.
 * Must not know: how pictures are read, scaled or encoded. */
#include "media/media_image.h"

#include "media/media_error.h"
#include "media/media_operation.h"

static json_t *describe(const fpi_media_picture *p)
{
    return json_pack("{s:s,s:i,s:i,s:i}", "format", fpi_media_format_names[p->save.format], "width",
                     p->size.width, "height", p->size.height, "frames", p->frames);
}

/* Scaled first, then the rest: there is less of it then. */
static fp_status finish(const fpi_media_picture *p, VipsImage **image, fp_error *err)
{
    fp_status rc = fpi_media_image_finish_colour(image, &p->colour, err);

    if (rc == FILEPROC_OK)
        rc = fpi_media_image_turn(image, err);
    return rc < 0 ? rc : fpi_media_image_crop(image, p->size.width, p->size.height, p->crop, err);
}

static fp_status make_result(const fpi_media_picture *p, uint64_t bytes, json_t **result,
                             fp_error *err)
{
    *result = describe(p);
    if (!*result)
        return fpi_media_no_memory(err);
    if (p->frames_dropped) {
        fp_status rc =
            fpi_media_set(*result, "frames_dropped", json_integer(p->frames_dropped), err);

        if (rc < 0)
            return rc;
    }
    return fpi_media_set(*result, "bytes", json_integer((json_int_t)bytes), err);
}

static fp_status make_picture(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                              fp_error *err)
{
    FPI_DISPOSE(fpi_media_output) out = FPI_MEDIA_OUTPUT_INIT;
    FPI_CLEANUP(VipsImage) image = NULL;
    const fpi_media_image_header *header;
    fpi_media_picture p = { 0 };
    fp_status rc;

    rc = fpi_media_image_header_of(run, &header, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_picture_read(run, step, &p, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_picture_make(run, &p, &image, err);
    if (rc == FILEPROC_OK)
        rc = finish(&p, &image, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_output_open(&out, run, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_image_save(image, &p.save, &out, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_output_done(&out, fpi_media_format_type(p.save.format),
                                   fpi_media_format_extension(p.save.format), describe(&p), err);
    return rc < 0 ? rc : make_result(&p, out.size, result, err);
}

fp_status fpi_media_image_resize(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                 fp_error *err)
{
    return make_picture(run, step, result, err);
}

fp_status fpi_media_image_convert(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                                  fp_error *err)
{
    return make_picture(run, step, result, err);
}
