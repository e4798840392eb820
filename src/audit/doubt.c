// SPDX-License-Identifier: MIT
#include "audit/doubt.h"

#include "base/fail.h"
#include "base/memory.h"
#include "data/label_lookup.h"

#include <math.h>
#include <string.h>

void doubt_deinit(struct doubt *doubt) {
    memory_free(doubt->prediction);
    memory_free(doubt->is_doubtful);
    memory_free(doubt->queue);
    memset(doubt, 0, sizeof *doubt);
}

static size_t plane_size(const struct doubt_image *image) {
    return (size_t)image->h * (size_t)image->w;
}

static adele_status reserve(struct doubt *doubt, size_t n) {
    if ((int64_t)n <= doubt->capacity)
        return ADELE_OK;
    doubt_deinit(doubt);
    TRY(ALLOCATE(&doubt->prediction, n));
    TRY(ALLOCATE(&doubt->is_doubtful, n));
    TRY(ALLOCATE(&doubt->queue, n));
    doubt->capacity = (int64_t)n;
    return ADELE_OK;
}

// ---- score --------------------------------------------------------------------------------------

// Of equal probabilities the first class wins.
static void predict(const struct doubt_image *image, uint8_t *out) {
    size_t n = plane_size(image);
    memset(out, 0, n);
    for (int c = 1; c < image->n_categories; c++) {
        const float *plane = image->probabilities + (size_t)c * n;
        for (size_t i = 0; i < n; i++)
            if (plane[i] > image->probabilities[out[i] * n + i])
                out[i] = (uint8_t)c;
    }
}

// Sums of one class over the image, in reading order.
static struct doubt_overlap sum_class(const struct doubt_image *image, const uint8_t *prediction,
                                      int c) {
    size_t n = plane_size(image);
    const float *plane = image->probabilities + (size_t)c * n;
    double inside = 0.0, outside = 0.0;
    int64_t n_labelled = 0, n_predicted = 0;
    for (size_t i = 0; i < n; i++) {
        if (image->labels[i] == LABEL_IGNORE)
            continue;
        bool is_label = image->labels[i] == c, is_predicted = prediction[i] == c;
        double q = 0.5 * ((double)plane[i] + (is_predicted ? 1.0 : 0.0));
        inside += is_label ? q : 0.0;
        outside += is_label ? 0.0 : q;
        n_labelled += is_label;
        n_predicted += is_predicted;
    }
    return (struct doubt_overlap){inside, outside, n_labelled, n_predicted};
}

static void remove_bias(struct doubt_overlap *overlap, double bias) {
    double q = overlap->inside + overlap->outside, missing = q / bias - q;
    if (missing <= 0.0) {
        double taken = fmin(-missing, overlap->outside);
        overlap->outside -= taken;
        overlap->inside -= -missing - taken;
        return;
    }
    double room = fmax((double)overlap->n_labelled - overlap->inside, 0.0);
    double added = fmin(missing, room);
    overlap->inside += added;
    overlap->outside += missing - added;
}

// Sets out->of_class[c] and returns the sums that it was computed from.
static struct doubt_overlap score_class(struct doubt_score *out, int c, const double *bias) {
    struct doubt_overlap overlap = out->overlap[c];
    bool is_there = overlap.n_labelled + overlap.n_predicted > 0;
    if (is_there && bias)
        remove_bias(&overlap, bias[c]);
    out->of_class[c] =
        is_there ? overlap.inside / ((double)overlap.n_labelled + overlap.outside) : (double)NAN;
    return overlap;
}

struct pooled {
    double inside, all;
};

// Whether the class is in the image; then it is pooled.
static bool pool_class(struct doubt_score *out, int c, const struct doubt_overlap *overlap,
                       struct pooled *pooled) {
    if (isnan(out->of_class[c]))
        return false;
    pooled->inside += overlap->inside;
    pooled->all += (double)overlap->n_labelled + overlap->outside;
    if (out->worst_class < 0 || out->of_class[c] < out->worst_score) {
        out->worst_class = c;
        out->worst_score = out->of_class[c];
    }
    return true;
}

void doubt_pool(struct doubt_score *score, int n_categories, const double *bias) {
    struct pooled pooled = {0};
    bool has_foreground = false;
    score->worst_class = -1;
    score->worst_score = 1.0;
    struct doubt_overlap background = score_class(score, 0, bias);
    for (int c = 1; c < n_categories; c++) {
        struct doubt_overlap overlap = score_class(score, c, bias);
        has_foreground = pool_class(score, c, &overlap, &pooled) || has_foreground;
    }
    if (!has_foreground)
        (void)pool_class(score, 0, &background, &pooled);
    double agreed = (double)score->n_pixels / 1000.0;
    score->score = agreed > 0.0 ? (pooled.inside + agreed) / (pooled.all + agreed) : 1.0;
}

adele_status doubt_score(struct doubt *doubt, const struct doubt_image *image,
                         struct doubt_score *out) {
    memset(out, 0, sizeof *out);
    TRY(reserve(doubt, plane_size(image)));
    predict(image, doubt->prediction);
    for (int c = 0; c < image->n_categories; c++) {
        out->overlap[c] = sum_class(image, doubt->prediction, c);
        out->n_pixels += out->overlap[c].n_labelled;
    }
    doubt_pool(out, image->n_categories, NULL);
    return ADELE_OK;
}

// ---- regions ------------------------------------------------------------------------------------

struct region_search {
    struct doubt *doubt;
    const struct doubt_image *image;
    uint8_t from, to;
    int64_t n; // pixels in the queue
};

// doubt->is_doubtful while the search goes on: a pixel was in a region already.
enum { VISITED = 2 };

static void visit(struct region_search *search, int y, int x) {
    const struct doubt_image *image = search->image;
    if (y < 0 || y >= image->h || x < 0 || x >= image->w)
        return;
    size_t i = (size_t)y * (size_t)image->w + (size_t)x;
    struct doubt *doubt = search->doubt;
    if (doubt->is_doubtful[i] != 0 || image->labels[i] != search->from ||
        doubt->prediction[i] != search->to)
        return;
    doubt->is_doubtful[i] = VISITED;
    doubt->queue[search->n++] = (int32_t)i;
}

static void visit_neighbours(struct region_search *search, int32_t i) {
    int y = i / search->image->w, x = i % search->image->w;
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            visit(search, y + dy, x + dx);
}

// Of the pixels in the queue, whose order is fixed by the image alone.
static struct doubt_region measure(const struct region_search *search) {
    const struct doubt_image *image = search->image;
    const float *p_from = image->probabilities + search->from * plane_size(image);
    const float *p_to = image->probabilities + search->to * plane_size(image);
    int x0 = image->w, y0 = image->h, x1 = 0, y1 = 0;
    struct doubt_region region = {.from = search->from, .to = search->to, .n_pixels = search->n};
    for (int64_t k = 0; k < search->n; k++) {
        int32_t i = search->doubt->queue[k];
        int y = i / image->w, x = i % image->w;
        x0 = x < x0 ? x : x0;
        x1 = x > x1 ? x : x1;
        y0 = y < y0 ? y : y0;
        y1 = y > y1 ? y : y1;
        region.confidence += (double)p_to[i];
        region.doubt += (double)p_to[i] - (double)p_from[i];
    }
    region.x = x0;
    region.y = y0;
    region.width = x1 - x0 + 1;
    region.height = y1 - y0 + 1;
    region.confidence /= (double)search->n;
    return region;
}

static struct doubt_region grow_region(struct region_search *search, size_t first) {
    search->from = search->image->labels[first];
    search->to = search->doubt->prediction[first];
    search->n = 0;
    visit(search, (int)(first / (size_t)search->image->w), (int)(first % (size_t)search->image->w));
    for (int64_t k = 0; k < search->n; k++)
        visit_neighbours(search, search->doubt->queue[k]);
    return measure(search);
}

adele_status doubt_find_regions(struct doubt *doubt, const struct doubt_image *image,
                                const struct doubt_limits *limits,
                                adele_status (*found)(void *context, const struct doubt_region *),
                                void *context) {
    struct region_search search = {.doubt = doubt, .image = image};
    size_t n = plane_size(image);
    memset(doubt->is_doubtful, 0, n);
    for (size_t i = 0; i < n; i++) {
        if (image->labels[i] == LABEL_IGNORE || image->labels[i] == doubt->prediction[i] ||
            doubt->is_doubtful[i] != 0)
            continue;
        struct doubt_region region = grow_region(&search, i);
        if (region.n_pixels < limits->n_pixels || !(region.confidence >= limits->confidence))
            continue;
        for (int64_t k = 0; k < search.n; k++)
            doubt->is_doubtful[doubt->queue[k]] = 1;
        TRY(found(context, &region));
    }
    for (size_t i = 0; i < n; i++)
        doubt->is_doubtful[i] = doubt->is_doubtful[i] == 1;
    return ADELE_OK;
}
