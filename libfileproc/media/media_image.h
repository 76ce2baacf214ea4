/* Owns: what the parts of image handling share: a picture's header, opening, bringing to 8 bits, sizes in one pass, saving.
 * Must not know: the protocol. */
#ifndef FPI_MEDIA_IMAGE_H
#define FPI_MEDIA_IMAGE_H

#include <vips/vips.h>

#include "media/media_geometry.h"
#include "media/media_output.h"

static inline void fpi_cleanup_VipsImage(VipsImage **image)
{
    if (*image)
        g_object_unref(*image);
}

/** Where a pixel of 8-bit samples is; libvips's own macros for it don't count in size_t. */
static inline uint8_t *fpi_media_pixel(VipsImage *image, int x, int y)
{
    return image->data + ((size_t)y * (size_t)image->Xsize + (size_t)x) * (size_t)image->Bands;
}

/** What can be written comes first, in the order of the schema's enum. */
typedef enum fpi_media_format {
    FPI_MEDIA_JPEG = 0,
    FPI_MEDIA_PNG,
    FPI_MEDIA_WEBP,
    FPI_MEDIA_AVIF,
    FPI_MEDIA_GIF,
    FPI_MEDIA_TIFF,
    FPI_MEDIA_HEIC, /* only read */
    FPI_MEDIA_NO_FORMAT
} fpi_media_format;

/** Names and types, by fpi_media_format. */
extern const char *const fpi_media_format_names[];
/** The types that are read, for fpi_media_unreadable(). */
extern const char fpi_media_image_types[];

/** Read without decoding a pixel. */
typedef struct fpi_media_image_header {
    fpi_media_format format;
    int width, height; /* of one frame, as stored */
    int frames;        /* pages, frames, pictures in the file */
    int orientation;   /* 1 to 8, as in EXIF */
    int bands;
    int sample_bytes;
    VipsInterpretation space;
    bool alpha;
    bool icc;
} fpi_media_image_header;

/** What a run keeps of its picture between steps. */
typedef struct fpi_media_images {
    fpi_media_image_header header;
    VipsImage *ready
        [FPI_MEDIA_STEPS_MAX]; /* by index of step: a size made in the same reading as an earlier one */
} fpi_media_images;

void fpi_media_images_free(fpi_media_images *images);

/** The header, read once per run, or why there is none. */
fp_status fpi_media_image_header_of(fpi_media_run *run, const fpi_media_image_header **header,
                                    fp_error *err);

typedef struct fpi_media_image_options {
    int shrink;      /* JPEG only: 1, 2, 4 or 8 */
    bool all_frames; /* one below the other */
} fpi_media_image_options;

/** Opens for one reading from top to bottom. Only one can be open at a time: they share the descriptor's position. The run's header must
 *  have been read. */
fp_status fpi_media_image_open(fpi_media_run *run, const fpi_media_image_options *options,
                               VipsImage **image, fp_error *err);

/** media_too_large when decoding (so many frames of) the picture needs more than the limits allow. */
fp_status fpi_media_image_check_size(const fpi_media_run *run, const fpi_media_image_header *header,
                                     int frames, fp_error *err);

/** The error that libvips left behind, as the file's fault unless memory ran out. Clears it. */
fp_status fpi_media_image_damaged(fp_error *err);

/* media_image_colour.c */

/** One to four bands of 8 bits: grey, sRGB-like or CMYK, each with or without alpha; profiles stay attached. Takes *image and puts another in
 *  its place. `deep` leaves 16 bits as they are. */
fp_status fpi_media_image_simplify(VipsImage **image, bool deep, fp_error *err);

typedef struct fpi_media_colour_options {
    bool keep_icc;
    bool flatten;  /* no alpha in the result */
    bool rgb_only; /* the format has no grey: a profile for grey would be wrong in it */
    unsigned char background[3];
} fpi_media_colour_options;

/** What is left to do after scaling: to sRGB or grey, profile kept or applied, alpha kept or put on the background. */
fp_status fpi_media_image_finish_colour(VipsImage **image, const fpi_media_colour_options *options,
                                        fp_error *err);

/* media_image_frames.c */

/** A new picture in memory, uninitialised, with the profile, orientation and timing of `like`. */
VipsImage *fpi_media_image_blank(VipsImage *like, int width, int frame_height, int frames,
                                 uint8_t **pixels);

/** Upright, by its orientation; a picture of several frames is left as it is. */
fp_status fpi_media_image_turn(VipsImage **image, fp_error *err);

/** Cuts each frame to width x height. `where` is a VipsInteresting; several frames are always cut at the centre. */
fp_status fpi_media_image_crop(VipsImage **image, int width, int height, VipsInteresting where,
                               fp_error *err);

/* media_image_pass.c */

/** One size to be made. */
typedef struct fpi_media_target {
    int width, height; /* of a frame, before it is turned upright */
    VipsImage *image;  /* out: in memory, the caller unrefs it */
} fpi_media_target;

/** Reads `source` (simplified) once from top to bottom and makes all sizes; largest first. */
fp_status fpi_media_image_pass(const fp_context *ctx, VipsImage *source, fpi_media_target *targets,
                               size_t count, fp_error *err);

/* media_image_save.c */

typedef struct fpi_media_save_options {
    fpi_media_format format;
    int quality;
    bool lossless;
} fpi_media_save_options;

/** Frames that a format can hold: 1, or any number. */
bool fpi_media_format_animates(fpi_media_format format);
bool fpi_media_format_has_alpha(fpi_media_format format);
bool fpi_media_format_has_icc(fpi_media_format format);
bool fpi_media_format_has_grey(fpi_media_format format);
/** parameter_invalid when the format can't hold a picture of that size. */
fp_status fpi_media_image_fits_format(fpi_media_format format, int width, int height,
                                      fp_error *err);
const char *fpi_media_format_type(fpi_media_format format);
const char *fpi_media_format_extension(fpi_media_format format);

/** Encodes into the output. No metadata but the profile (if one is attached) and the timing of frames. */
fp_status fpi_media_image_save(VipsImage *image, const fpi_media_save_options *options,
                               fpi_media_output *out, fp_error *err);

/* media_image_plan.c */

/** Everything that the parameters of image.resize and image.convert say. */
typedef struct fpi_media_picture {
    bool resize;
    fpi_media_box box;
    VipsInteresting crop;
    fpi_media_save_options save;
    fpi_media_colour_options colour;
    bool all_frames;
    int frames; /* that the result has */
    int frames_dropped;
    fpi_media_size size; /* of the upright result */
    int width, height;   /* of the scaled picture before it is turned */
} fpi_media_picture;

/** Reads a step's parameters; needs the run's header. */
fp_status fpi_media_picture_read(fpi_media_run *run, const fpi_media_step *step,
                                 fpi_media_picture *p, fp_error *err);

/** The picture of run->current, scaled but neither turned nor cut. Looks at the steps to come and makes their sizes in the same
 *  reading of the file. */
fp_status fpi_media_picture_make(fpi_media_run *run, const fpi_media_picture *p, VipsImage **image,
                                 fp_error *err);

/* media_image_exif.c */

/** Facts about how a photo was taken that don't say where, by whom, or with which specimen: new object, NULL when out of memory. */
json_t *fpi_media_exif_facts(VipsImage *image);

#endif
