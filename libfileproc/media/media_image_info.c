/* Owns: the operation image.info: facts out of a picture's header.
 * Must not know: pixels. */
#include "media/media_image.h"

#include <assert.h>

#include "media/media_error.h"
#include "media/media_operation.h"

#define MM_PER_INCH 25.4

/* Names that don't depend on libvips. */
static const char *space_name(VipsInterpretation space)
{
    switch (space) {
    case VIPS_INTERPRETATION_B_W:
    case VIPS_INTERPRETATION_GREY16:
        return "grey";
    case VIPS_INTERPRETATION_sRGB:
    case VIPS_INTERPRETATION_RGB:
    case VIPS_INTERPRETATION_RGB16:
    case VIPS_INTERPRETATION_scRGB:
        return "rgb";
    case VIPS_INTERPRETATION_CMYK:
        return "cmyk";
    case VIPS_INTERPRETATION_LAB:
    case VIPS_INTERPRETATION_LABQ:
    case VIPS_INTERPRETATION_LABS:
        return "lab";
    default:
        return "other";
    }
}

/* What one sample of the file has; libvips spreads fewer than eight over a byte, and more than eight over two. */
static int bit_depth(VipsImage *image, const fpi_media_image_header *h)
{
    int bits = 0;

    if (vips_image_get_typeof(image, "heif-bitdepth") &&
        vips_image_get_int(image, "heif-bitdepth", &bits) == 0 && bits > 0)
        return bits;
    if (vips_image_get_typeof(image, "palette-bit-depth") &&
        vips_image_get_int(image, "palette-bit-depth", &bits) == 0 && bits > 0)
        return bits;
    return h->sample_bytes * 8;
}

static fp_status add_resolution(json_t *facts, VipsImage *image, fp_error *err)
{
    double x = image->Xres * MM_PER_INCH, y = image->Yres * MM_PER_INCH;

    /* What libvips says when a file says nothing: one pixel per millimetre, or for PNG not quite 72 per inch. */
    if (image->Xres == 1.0 || fabs(image->Xres - 2.834) < 1e-9 ||
        !(x > 0 && x < 1e6 && y > 0 && y < 1e6))
        return FILEPROC_OK;
    return fpi_media_set(
        facts, "dpi", json_pack("[f,f]", VIPS_RINT(x * 100) / 100, VIPS_RINT(y * 100) / 100), err);
}

static fp_status add_oriented(json_t *facts, const fpi_media_image_header *h, fp_error *err)
{
    fp_status rc;

    if (h->orientation < 5)
        return FILEPROC_OK;
    rc = fpi_media_set(facts, "oriented_width", json_integer(h->height), err);
    return rc < 0 ? rc : fpi_media_set(facts, "oriented_height", json_integer(h->width), err);
}

static json_t *describe(VipsImage *image, const fpi_media_image_header *h)
{
    return json_pack("{s:s,s:i,s:i,s:i,s:i,s:s,s:i,s:b,s:b,s:i}", "format",
                     fpi_media_format_names[h->format], "width", h->width, "height", h->height,
                     "orientation", h->orientation, "bands", h->bands, "colour_space",
                     space_name(h->space), "bit_depth", bit_depth(image, h), "has_alpha",
                     (int)h->alpha, "has_icc_profile", (int)h->icc, "frames", h->frames);
}

static fp_status add_exif(json_t *facts, VipsImage *image, fp_error *err)
{
    json_t *exif = fpi_media_exif_facts(image);

    if (exif && json_object_size(exif) == 0) {
        json_decref(exif);
        return FILEPROC_OK;
    }
    return fpi_media_set(facts, "exif", exif, err);
}

fp_status fpi_media_image_info(fpi_media_run *run, const fpi_media_step *step, json_t **result,
                               fp_error *err)
{
    static const fpi_media_image_options first = { 1, false };
    FPI_CLEANUP(VipsImage) image = NULL;
    FPI_CLEANUP(json_t) facts = NULL;
    const fpi_media_image_header *h;
    fp_status rc;

    (void)step;
    rc = fpi_media_image_header_of(run, &h, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_image_open(run, &first, &image, err);
    if (rc < 0)
        return rc;
    assert(image);
    facts = describe(image, h);
    if (!facts)
        return fpi_media_no_memory(err);
    rc = add_oriented(facts, h, err);
    if (rc == FILEPROC_OK)
        rc = add_resolution(facts, image, err);
    if (rc == FILEPROC_OK)
        rc = add_exif(facts, image, err);
    if (rc == FILEPROC_OK)
        *result = fpi_steal(&facts);
    return rc;
}
