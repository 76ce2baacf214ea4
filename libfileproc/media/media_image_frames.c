/* Owns: pictures in memory: making them, turning them upright, cutting them, one frame or several below each other.
 * Must not know: files, scaling. */
#include "media/media_image.h"

#include <string.h>

#include "media/media_error.h"

/* Only what is listed here goes from an input to a result: no EXIF, no XMP, no comments. */
static void copy_timing(VipsImage *to, VipsImage *from, int frame_height, int frames)
{
    int *delays, count, loop;

    if (frames < 2)
        return;
    vips_image_set_int(to, VIPS_META_PAGE_HEIGHT, frame_height);
    vips_image_set_int(to, VIPS_META_N_PAGES, frames);
    if (vips_image_get_typeof(from, "delay") &&
        vips_image_get_array_int(from, "delay", &delays, &count) == 0)
        vips_image_set_array_int(to, "delay", delays, count);
    if (vips_image_get_typeof(from, "loop") && vips_image_get_int(from, "loop", &loop) == 0)
        vips_image_set_int(to, "loop", loop);
}

static void copy_metadata(VipsImage *to, VipsImage *from)
{
    int orientation = vips_image_get_orientation(from);
    const void *data;
    size_t size;

    if (vips_image_get_typeof(from, VIPS_META_ICC_NAME) &&
        vips_image_get_blob(from, VIPS_META_ICC_NAME, &data, &size) == 0)
        vips_image_set_blob_copy(to, VIPS_META_ICC_NAME, data, size);
    if (orientation > 1)
        vips_image_set_int(to, VIPS_META_ORIENTATION, orientation);
}

VipsImage *fpi_media_image_blank(VipsImage *like, int width, int frame_height, int frames,
                                 uint8_t **pixels)
{
    VipsImage *image = vips_image_new_memory();
    int height;

    if (!image || __builtin_mul_overflow(frame_height, frames, &height))
        goto out;
    vips_image_init_fields(image, width, height, like->Bands, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE,
                           like->Type, like->Xres, like->Yres);
    if (vips_image_write_prepare(image) != 0)
        goto out;
    copy_metadata(image, like);
    copy_timing(image, like, frame_height, frames);
    *pixels = fpi_media_pixel(image, 0, 0);
    return image;
out:
    if (image)
        g_object_unref(image);
    return NULL;
}

static bool has_frames(VipsImage *image)
{
    return vips_image_get_page_height(image) < image->Ysize;
}

/* What comes row by row from a decoder, or is worked out on the way, can be read only once and in order. Free when it is in memory. */
static fp_status into_memory(VipsImage **image, fp_error *err)
{
    VipsImage *memory = vips_image_copy_memory(*image);

    if (!memory)
        return fpi_media_image_damaged(err);
    g_object_unref(*image);
    *image = memory;
    return FILEPROC_OK;
}

fp_status fpi_media_image_turn(VipsImage **image, fp_error *err)
{
    VipsImage *turned = NULL;
    fp_status rc;

    if (vips_image_get_orientation(*image) == 1 || has_frames(*image))
        return FILEPROC_OK;
    /* Turning reads columns: that needs all of it. */
    rc = into_memory(image, err);
    if (rc < 0)
        return rc;
    if (vips_autorot(*image, &turned, NULL) != 0)
        return fpi_media_image_damaged(err);
    g_object_unref(*image);
    *image = turned;
    return FILEPROC_OK;
}

static fp_status crop_frames(VipsImage **image, int width, int height, fp_error *err)
{
    VipsImage *in = *image, *made;
    int frame_height = vips_image_get_page_height(in), frames = in->Ysize / frame_height;
    int left = (in->Xsize - width) / 2, top = (frame_height - height) / 2;
    size_t row = (size_t)width * (size_t)in->Bands;
    uint8_t *out;

    made = fpi_media_image_blank(in, width, height, frames, &out);
    if (!made)
        return fpi_media_no_memory(err);
    for (int f = 0; f < frames; f++)
        for (int y = 0; y < height; y++, out += row)
            memcpy(out, fpi_media_pixel(in, left, f * frame_height + top + y), row);
    g_object_unref(*image);
    *image = made;
    return FILEPROC_OK;
}

fp_status fpi_media_image_crop(VipsImage **image, int width, int height, VipsInteresting where,
                               fp_error *err)
{
    VipsImage *made = NULL;
    fp_status rc = FILEPROC_OK;

    if ((*image)->Xsize == width && vips_image_get_page_height(*image) == height)
        return FILEPROC_OK;
    if (has_frames(*image) || where != VIPS_INTERESTING_CENTRE)
        rc = into_memory(image, err);
    if (rc < 0)
        return rc;
    if (has_frames(*image))
        return crop_frames(image, width, height, err);
    if (vips_smartcrop(*image, &made, width, height, "interesting", where, NULL) != 0)
        return fpi_media_image_damaged(err);
    g_object_unref(*image);
    *image = made;
    return FILEPROC_OK;
}
