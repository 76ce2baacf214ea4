/* Owns: what the steps of a run want of its picture, and how few readings of the file that takes.
 * Must not know: how pixels are scaled or saved. */
#include "media/media_image.h"

#include <inttypes.h>
#include <string.h>

#include "media/media_error.h"
#include "media/media_param.h"

static const char *const fits[] = { "inside", "cover", "fill", NULL };
static const char *const frame_choices[] = { "first", "all", NULL };
static const char *const crops[] = { "centre", "attention", "entropy", NULL };
static const VipsInteresting crop_values[] = { VIPS_INTERESTING_CENTRE, VIPS_INTERESTING_ATTENTION,
                                               VIPS_INTERESTING_ENTROPY };
static const char *const formats[] = { "jpeg", "png", "webp", "avif", "gif", "tiff", NULL };

#define MAX_SIDE 16384

/* The input's own format where it can be written; else what holds the picture without loss of alpha, and small. */
static fpi_media_format standard_format(const fpi_media_image_header *h)
{
    return h->format != FPI_MEDIA_HEIC ? h->format : h->alpha ? FPI_MEDIA_PNG : FPI_MEDIA_JPEG;
}

static fp_status read_saving(const json_t *params, const fpi_media_image_header *h,
                             fpi_media_picture *p, fp_error *err)
{
    int format = (int)standard_format(h), frames = 0;
    fp_status rc = FILEPROC_OK;

    p->save.quality = 80;
    p->colour = (fpi_media_colour_options){ .keep_icc = true, .background = { 255, 255, 255 } };
    if (!p->resize && !json_object_get(params, "format"))
        return fpi_media_fail(err, FILEPROC_REASON_PARAMETER_INVALID,
                              "parameter format is missing");
    rc = fpi_media_param_choice(params, "format", formats, &format, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_integer(params, "quality", 1, 100, &p->save.quality, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_boolean(params, "lossless", &p->save.lossless, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_boolean(params, "keep_icc", &p->colour.keep_icc, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_colour(params, "background", p->colour.background, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_choice(params, "frames", frame_choices, &frames, err);
    p->save.format = (fpi_media_format)format;
    p->all_frames = frames == 1;
    return rc;
}

static fp_status read_box(const json_t *params, fpi_media_picture *p, fp_error *err)
{
    int fit = 0, crop = 0;
    fp_status rc = fpi_media_param_integer(params, "width", 1, MAX_SIDE, &p->box.width, err);

    if (rc == FILEPROC_OK)
        rc = fpi_media_param_integer(params, "height", 1, MAX_SIDE, &p->box.height, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_choice(params, "fit", fits, &fit, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_choice(params, "crop", crops, &crop, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_param_boolean(params, "enlarge", &p->box.enlarge, err);
    if (rc == FILEPROC_OK && !p->box.width && !p->box.height)
        rc = fpi_media_fail(err, FILEPROC_REASON_PARAMETER_INVALID, "width or height is needed");
    p->box.fit = (fpi_media_fit)fit;
    p->crop = crop_values[crop];
    return rc;
}

/* Pictures of several frames that follow each other in time; a HEIC file's are a collection. */
static bool can_read_all(const fpi_media_image_header *h)
{
    return h->format == FPI_MEDIA_GIF || h->format == FPI_MEDIA_WEBP || h->format == FPI_MEDIA_TIFF;
}

static void work_out_size(const fpi_media_image_header *h, fpi_media_picture *p)
{
    bool all = p->all_frames && h->frames > 1 && can_read_all(h) &&
               fpi_media_format_animates(p->save.format);
    bool sideways = h->orientation >= 5 && !all;
    int width = sideways ? h->height : h->width, height = sideways ? h->width : h->height;

    p->all_frames = all;
    p->frames = all ? h->frames : 1;
    p->frames_dropped = h->frames - p->frames;
    p->colour.keep_icc = p->colour.keep_icc && fpi_media_format_has_icc(p->save.format);
    p->colour.flatten = !fpi_media_format_has_alpha(p->save.format);
    p->colour.rgb_only = !fpi_media_format_has_grey(p->save.format);
    p->size = p->resize ? fpi_media_fit_box(width, height, &p->box)
                        : (fpi_media_size){ width, height, width, height };
    p->width = sideways ? p->size.scaled_height : p->size.scaled_width;
    p->height = sideways ? p->size.scaled_width : p->size.scaled_height;
}

static uint64_t scaled_pixels(const fpi_media_picture *p)
{
    return (uint64_t)p->width * (uint64_t)p->height * (uint64_t)p->frames;
}

fp_status fpi_media_picture_read(fpi_media_run *run, const fpi_media_step *step,
                                 fpi_media_picture *p, fp_error *err)
{
    const fpi_media_image_header *h = &run->images->header;
    fp_status rc = FILEPROC_OK;

    *p = (fpi_media_picture){ .resize = strcmp(step->operation, "image.resize") == 0,
                              .crop = VIPS_INTERESTING_CENTRE };
    rc = read_saving(step->params, h, p, err);
    if (rc == FILEPROC_OK && p->resize)
        rc = read_box(step->params, p, err);
    if (rc < 0)
        return rc;
    work_out_size(h, p);
    rc = fpi_media_image_check_size(run, h, p->frames, err);
    if (rc < 0)
        return rc;
    if (scaled_pixels(p) > run->limits.max_pixels)
        return fpi_media_fail(err, FILEPROC_REASON_MEDIA_TOO_LARGE,
                              "a result of %d x %d pixels is more than the %" PRIu64 " allowed",
                              p->size.scaled_width, p->size.scaled_height, run->limits.max_pixels);
    return fpi_media_image_fits_format(p->save.format, p->size.width, p->size.height, err);
}

/* Decoding a JPEG at a half, a quarter or an eighth is several times faster. A factor of two is left to the filter, or results would look
 * blocky. */
static int jpeg_shrink(const fpi_media_image_header *h, const fpi_media_target *targets,
                       size_t count)
{
    double least = 1e9;

    if (h->format != FPI_MEDIA_JPEG)
        return 1;
    for (size_t i = 0; i < count; i++) {
        least = fmin(least, (double)h->width / targets[i].width);
        least = fmin(least, (double)h->height / targets[i].height);
    }
    return least >= 16 ? 8 : least >= 8 ? 4 : least >= 4 ? 2 : 1;
}

/* The sizes that one reading makes, and the steps that wait for each. */
typedef struct size_plan {
    fpi_media_target targets[FPI_MEDIA_STEPS_MAX];
    size_t count;
    size_t waiting; /* steps */
    uint64_t pixels;
    size_t target_of[FPI_MEDIA_STEPS_MAX]; /* by step; SIZE_MAX = none */
} size_plan;

static bool is_picture_step(const fpi_media_step *step)
{
    return strcmp(step->operation, "image.resize") == 0 ||
           strcmp(step->operation, "image.convert") == 0;
}

/* What keeps its 16 bits is read by itself. */
static bool is_deep(const fpi_media_image_header *h, const fpi_media_picture *p)
{
    return !p->resize && h->sample_bytes == 2 &&
           (p->save.format == FPI_MEDIA_PNG || p->save.format == FPI_MEDIA_TIFF);
}

static void plan_add(size_plan *plan, size_t step, const fpi_media_picture *p, uint64_t max_pixels)
{
    size_t i = 0;

    while (i < plan->count &&
           (plan->targets[i].width != p->width || plan->targets[i].height != p->height))
        i++;
    if (i == plan->count) {
        if (plan->count > 0 && plan->pixels + scaled_pixels(p) > max_pixels)
            return; /* made when its turn comes: all sizes at once would need too much memory */
        plan->targets[plan->count++] = (fpi_media_target){ p->width, p->height, NULL };
        plan->pixels += scaled_pixels(p);
    }
    plan->target_of[step] = i;
    plan->waiting++;
}

/* Steps to come whose parameters are wrong are passed over: they fail when their turn comes, and not before. */
static void plan_ahead(fpi_media_run *run, const fpi_media_picture *now, size_plan *plan)
{
    const fpi_media_image_header *h = &run->images->header;

    for (size_t i = 0; i < FPI_MEDIA_STEPS_MAX; i++)
        plan->target_of[i] = SIZE_MAX;
    plan_add(plan, run->current, now, run->limits.max_pixels);
    for (size_t i = run->current + 1; i < run->step_count; i++) {
        fpi_media_picture p;

        if (!run->images->ready[i] && is_picture_step(&run->steps[i]) &&
            fpi_media_picture_read(run, &run->steps[i], &p, NULL) == FILEPROC_OK &&
            p.all_frames == now->all_frames && !is_deep(h, &p))
            plan_add(plan, i, &p, run->limits.max_pixels);
    }
}

/* Largest first, so that each finds a larger one before it. The steps' indices follow. */
static void plan_sort(size_plan *plan)
{
    for (size_t i = 1; i < plan->count; i++)
        for (size_t k = i; k > 0; k--) {
            fpi_media_target *a = &plan->targets[k - 1], *b = &plan->targets[k], swap = *a;

            if ((uint64_t)a->width * (uint64_t)a->height >=
                (uint64_t)b->width * (uint64_t)b->height)
                break;
            *a = *b;
            *b = swap;
            for (size_t s = 0; s < FPI_MEDIA_STEPS_MAX; s++)
                if (plan->target_of[s] == k || plan->target_of[s] == k - 1)
                    plan->target_of[s] = plan->target_of[s] == k ? k - 1 : k;
        }
}

static fp_status open_simple(fpi_media_run *run, int shrink, const fpi_media_picture *p, bool deep,
                             VipsImage **image, fp_error *err)
{
    fpi_media_image_options options = { shrink, p->all_frames };
    fp_status rc = fpi_media_image_open(run, &options, image, err);

    return rc < 0 ? rc : fpi_media_image_simplify(image, deep, err);
}

/* Every step that waits for a size gets its own reference. */
static void hand_out(fpi_media_run *run, size_plan *plan)
{
    for (size_t i = 0; i < FPI_MEDIA_STEPS_MAX; i++) {
        if (plan->target_of[i] == SIZE_MAX)
            continue;
        run->images->ready[i] = plan->targets[plan->target_of[i]].image;
        g_object_ref(run->images->ready[i]);
    }
}

static fp_status make_sizes(fpi_media_run *run, const fpi_media_picture *p, size_plan *plan,
                            fp_error *err)
{
    int shrink = jpeg_shrink(&run->images->header, plan->targets, plan->count);
    FPI_CLEANUP(VipsImage) source = NULL;
    fp_status rc;

    plan_sort(plan);
    rc = open_simple(run, shrink, p, false, &source, err);
    if (rc == FILEPROC_OK)
        rc = fpi_media_image_pass(run->helper->ctx, source, plan->targets, plan->count, err);
    if (rc == FILEPROC_OK)
        hand_out(run, plan);
    for (size_t i = 0; i < plan->count; i++)
        fpi_cleanup_VipsImage(&plan->targets[i].image);
    return rc;
}

/* A picture that keeps its size and is the only one wanted is not held in memory: it goes from the decoder to the encoder row by row. */
static bool can_stream(const fpi_media_image_header *h, const fpi_media_picture *p,
                       const size_plan *plan)
{
    return plan->waiting == 1 && p->width == h->width && p->height == h->height;
}

fp_status fpi_media_picture_make(fpi_media_run *run, const fpi_media_picture *p, VipsImage **image,
                                 fp_error *err)
{
    VipsImage **ready = &run->images->ready[run->current];
    bool deep = is_deep(&run->images->header, p);
    size_plan plan = { 0 };
    fp_status rc = FILEPROC_OK;

    if (!*ready && !deep)
        plan_ahead(run, p, &plan);
    if (!*ready && (deep || can_stream(&run->images->header, p, &plan)))
        return open_simple(run, 1, p, deep, image, err);
    if (!*ready)
        rc = make_sizes(run, p, &plan, err);
    *image = fpi_steal(ready);
    return rc;
}
