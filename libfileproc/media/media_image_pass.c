/* Owns: making several sizes of a picture in one reading of it.
 * Must not know: where the sizes come from, what becomes of them. */
#include "media/media_image.h"

#include "media/media_error.h"
#include "media/media_image_scale.h"

#define ROWS 16

static inline void fpi_cleanup_VipsRegion(VipsRegion **region)
{
    if (*region)
        g_object_unref(*region);
}

static const uint8_t *region_row(const VipsRegion *region, int y)
{
    return region->data + (size_t)(y - region->valid.top) * (size_t)region->bpl;
}

/* The sizes that are made of the source itself, at this moment for one frame. */
typedef struct pass {
    const fp_context *ctx;
    VipsImage *source;
    fpi_media_target *targets[FPI_MEDIA_STEPS_MAX];
    uint8_t *pixels[FPI_MEDIA_STEPS_MAX];
    fpi_media_scale *scales[FPI_MEDIA_STEPS_MAX];
    size_t count;
    int frame_height;
    int frames;
} pass;

static void drop_scales(pass *p)
{
    for (size_t i = 0; i < p->count; i++) {
        fpi_media_scale_free(p->scales[i]);
        p->scales[i] = NULL;
    }
}

static fp_status make_scales(pass *p, int frame, fp_error *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const fpi_media_target *t = p->targets[i];
        fpi_media_scale_shape shape = { p->source->Xsize, p->frame_height,
                                        t->width,         t->height,
                                        p->source->Bands, vips_image_hasalpha(p->source) };
        size_t frame_bytes = (size_t)t->width * (size_t)t->height * (size_t)p->source->Bands;
        fp_status rc = fpi_media_scale_new(
            p->ctx, &shape, p->pixels[i] + (size_t)frame * frame_bytes, &p->scales[i], err);

        if (rc < 0)
            return fpi_media_no_memory(err);
    }
    return FILEPROC_OK;
}

static fp_status read_frame(pass *p, VipsRegion *region, int frame, fp_error *err)
{
    for (int y = 0; y < p->frame_height; y += ROWS) {
        VipsRect strip = { 0, frame * p->frame_height + y, p->source->Xsize,
                           VIPS_MIN(ROWS, p->frame_height - y) };

        if (vips_region_prepare(region, &strip) != 0)
            return fpi_media_image_damaged(err);
        for (int row = 0; row < strip.height; row++)
            for (size_t i = 0; i < p->count; i++)
                fpi_media_scale_row(p->scales[i], region_row(region, strip.top + row));
    }
    return FILEPROC_OK;
}

static fp_status read_source(pass *p, fp_error *err)
{
    FPI_CLEANUP(VipsRegion) region = vips_region_new(p->source);
    fp_status rc = region ? FILEPROC_OK : fpi_media_image_damaged(err);

    for (int frame = 0; rc == FILEPROC_OK && frame < p->frames; frame++) {
        rc = make_scales(p, frame, err);
        if (rc == FILEPROC_OK)
            rc = read_frame(p, region, frame, err);
        drop_scales(p);
    }
    return rc;
}

static fp_status run_pass(pass *p, fp_error *err)
{
    p->frame_height = vips_image_get_page_height(p->source);
    p->frames = p->source->Ysize / p->frame_height;
    for (size_t i = 0; i < p->count; i++) {
        fpi_media_target *t = p->targets[i];

        t->image = fpi_media_image_blank(p->source, t->width, t->height, p->frames, &p->pixels[i]);
        if (!t->image) {
            vips_error_clear();
            return fpi_media_no_memory(err);
        }
    }
    return read_source(p, err);
}

/* A size at least twice as large has every detail that this one can show: it is made of that, which costs next to nothing. */
static fpi_media_target *find_parent(fpi_media_target *targets, size_t count,
                                     const fpi_media_target *t)
{
    for (size_t i = count; i-- > 0;)
        if (targets[i].width / 2 >= t->width && targets[i].height / 2 >= t->height)
            return &targets[i];
    return NULL;
}

fp_status fpi_media_image_pass(const fp_context *ctx, VipsImage *source, fpi_media_target *targets,
                               size_t count, fp_error *err)
{
    pass first = { .ctx = ctx, .source = source };
    fp_status rc;

    for (size_t i = 0; i < count; i++)
        if (!find_parent(targets, i, &targets[i]))
            first.targets[first.count++] = &targets[i];
    rc = run_pass(&first, err);
    for (size_t i = 0; rc == FILEPROC_OK && i < count; i++) {
        fpi_media_target *parent = find_parent(targets, i, &targets[i]);
        pass next = { .ctx = ctx, .targets = { &targets[i] }, .count = 1 };

        if (!parent)
            continue;
        next.source = parent->image;
        rc = run_pass(&next, err);
    }
    return rc;
}
