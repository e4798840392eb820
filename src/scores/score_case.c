// SPDX-License-Identifier: MIT
#include "scores/score_case.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <stdbool.h>

enum { IGNORED = 255 };

const char *const score_measure_names[SCORE_N_MEASURES] = {
#define SCORE_NAME(name, is_distance) #name,
    SCORE_MEASURES(SCORE_NAME)
#undef SCORE_NAME
};

// The smallest part of the grid that holds a class in both masks: nothing outside of it changes a
// distance or a component. `low` to `high`, both included.
struct box {
    int low[3], high[3];
};

static void box_add(struct box *box, const int p[3]) {
    for (int k = 0; k < 3; k++) {
        box->low[k] = p[k] < box->low[k] ? p[k] : box->low[k];
        box->high[k] = p[k] > box->high[k] ? p[k] : box->high[k];
    }
}

static void count_voxels(const struct grid *grid, const uint8_t *prediction, const uint8_t *labels,
                         int n_categories, struct class_score *scores, struct box *boxes) {
    size_t i = 0;
    int p[3];
    for (p[0] = 0; p[0] < grid->n[0]; p[0]++)
        for (p[1] = 0; p[1] < grid->n[1]; p[1]++)
            for (p[2] = 0; p[2] < grid->n[2]; p[2]++, i++) {
                int label = labels[i], predicted = prediction[i];
                if (label == IGNORED)
                    continue;
                if (label < n_categories) {
                    scores[label].n_labelled++;
                    scores[label].n_both += label == predicted;
                    box_add(&boxes[label], p);
                }
                if (predicted < n_categories) {
                    scores[predicted].n_predicted++;
                    box_add(&boxes[predicted], p);
                }
            }
}

// The masks of a class inside of its box.
struct class_masks {
    struct grid grid;
    uint8_t *labelled, *predicted;
};

static void masks_deinit(struct class_masks *masks) {
    memory_free(masks->labelled);
    memory_free(masks->predicted);
}

static adele_status masks_init(struct class_masks *masks, const struct grid *grid,
                               const struct box *box, const uint8_t *prediction,
                               const uint8_t *labels, int class) {
    size_t to = 0;
    *masks = (struct class_masks){.grid = *grid};
    for (int k = 0; k < 3; k++)
        masks->grid.n[k] = box->high[k] - box->low[k] + 1;
    TRY(ALLOCATE(&masks->labelled, grid_size(&masks->grid)));
    TRY(ALLOCATE(&masks->predicted, grid_size(&masks->grid)));
    for (int z = box->low[0]; z <= box->high[0]; z++)
        for (int y = box->low[1]; y <= box->high[1]; y++) {
            size_t row = ((size_t)z * (size_t)grid->n[1] + (size_t)y) * (size_t)grid->n[2];
            for (int x = box->low[2]; x <= box->high[2]; x++, to++) {
                size_t at = row + (size_t)x;
                masks->labelled[to] = labels[at] == class;
                masks->predicted[to] = prediction[at] == class && labels[at] != IGNORED;
            }
        }
    return ADELE_OK;
}

// An axis that is one voxel long in the box alone has a surface across it: a class in one slice of
// a volume. The functions of scores/surface_distance.h tell such an axis from that of a picture by
// the extent, so the box grows by an empty slice there.
static void box_widen(struct box *box, const struct grid *grid) {
    for (int k = 0; k < 3; k++) {
        if (box->low[k] < box->high[k] || grid->n[k] == 1)
            continue;
        if (box->high[k] + 1 < grid->n[k])
            box->high[k]++;
        else
            box->low[k]--;
    }
}

static int boundary_width(const struct grid *grid) {
    double diagonal = hypot((double)grid->n[1], (double)grid->n[2]);
    int width = (int)rint(0.02 * diagonal);
    return width > 1 ? width : 1;
}

static adele_status score_shape(const struct grid *grid, struct box box, const uint8_t *prediction,
                                const uint8_t *labels, int class, struct class_score *score) {
    CLEANUP(masks_deinit) struct class_masks masks = {0};
    struct surface_distance distance;
    box_widen(&box, grid);
    TRY(masks_init(&masks, grid, &box, prediction, labels, class));
    TRY(surface_distance(masks.labelled, masks.predicted, &masks.grid, &distance));
    score->measures[SCORE_hd95] = distance.hd95;
    score->measures[SCORE_assd] = distance.mean;
    TRY(boundary_iou(masks.labelled, masks.predicted, &masks.grid, boundary_width(grid),
                     &score->measures[SCORE_boundary_iou]));
    return lesions_count(masks.labelled, masks.predicted, &masks.grid, &score->lesions);
}

static adele_status score_class(const struct grid *grid, const struct box *box,
                                const uint8_t *prediction, const uint8_t *labels, int class,
                                struct class_score *score) {
    double sum = (double)(score->n_labelled + score->n_predicted), both = (double)score->n_both;
    for (int m = 0; m < SCORE_N_MEASURES; m++)
        score->measures[m] = NAN;
    if (sum == 0.0)
        return ADELE_OK;
    score->measures[SCORE_iou] = both / (sum - both);
    score->measures[SCORE_dice] = 2.0 * both / sum;
    return class == 0 ? ADELE_OK : score_shape(grid, *box, prediction, labels, class, score);
}

adele_status score_case_compute(const struct grid *grid, const uint8_t *prediction,
                                const uint8_t *labels, int n_categories, struct class_score *out) {
    OWNED struct box *boxes = NULL;
    TRY(ALLOCATE(&boxes, n_categories));
    for (int c = 0; c < n_categories; c++) {
        out[c] = (struct class_score){0};
        for (int k = 0; k < 3; k++)
            boxes[c].low[k] = grid->n[k]; // nothing yet
    }
    count_voxels(grid, prediction, labels, n_categories, out, boxes);
    for (int c = 0; c < n_categories; c++)
        TRY(score_class(grid, &boxes[c], prediction, labels, c, &out[c]));
    return ADELE_OK;
}
