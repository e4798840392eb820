// SPDX-License-Identifier: MIT
// The weight and bias gradients of a layer at all scales of a step. The pixels of all scales are
// the inner index of one product (device/conv2d_gradient_tiles.h), so that the small layers of one
// scale fill the GPU together with those of the others, and each worker writes and the second
// kernel adds up one set of slots instead of one for each scale.
#include "conv2d/conv2d_weight_gradient.cuh"

namespace adele_cuda {

static void shapes_of(const struct weight_gradient_plan *const *plans, int n,
                      struct conv2d_shape *out) {
    for (int i = 0; i < n; i++)
        out[i] = plans[i]->shape;
}

// Boxes of equal numbers of pixels may take more steps than the best ones of each scale, which
// costs more than fewer slots and launches spare where the maps are large.
bool weight_gradient_scales_fits(const struct weight_gradient_plan *const *plans, int n) {
    struct conv2d_shape shapes[ADELE_MAX_SCALES];
    const int n_launches = 2; // the sums of workers, and those of their slots
    int64_t apart = (int64_t)(n - 1) * n_launches * CONV2D_LAUNCH_COST;
    for (int i = 0; i < n; i++) {
        if (plans[i]->kernel != WEIGHT_GRADIENT_HOPPER)
            return false;
        apart += gradient_tiles_cost(&plans[i]->hopper.tiles);
    }
    shapes_of(plans, n, shapes);
    const struct gradient_tiles tiles = weight_gradient_hopper_tiles(shapes, n);
    return gradient_tiles_cost(&tiles) <= apart;
}

adele_status weight_gradient_scales_create(struct cuda_op *op,
                                           const struct weight_gradient_plan *const *plans, int n,
                                           struct weight_gradient_scales *out) {
    struct conv2d_shape shapes[ADELE_MAX_SCALES];
    *out = {};
    out->n = n;
    for (int i = 0; i < n; i++)
        out->plans[i] = plans[i];
    shapes_of(plans, n, shapes);
    return weight_gradient_hopper_plan(op, shapes, n, &out->hopper);
}

size_t weight_gradient_scales_bytes(const struct weight_gradient_scales *plan) {
    size_t of_bias = 0;
    for (int i = 0; i < plan->n; i++) {
        size_t bytes = bias_gradient_workspace(&plan->plans[i]->shape);
        of_bias = bytes > of_bias ? bytes : of_bias;
    }
    return weight_gradient_hopper_floats(&plan->hopper) * sizeof(float) + of_bias;
}

adele_status weight_gradient_scales_run(const struct cuda_context *context,
                                        const struct weight_gradient_scales *plan,
                                        const void *const *src, const void *const *d_dst,
                                        float *d_weight, float *d_bias, void *workspace) {
    float *slots = (float *)workspace;
    TRY(weight_gradient_hopper_run(context, &plan->hopper, src, d_dst, d_weight, slots));
    for (int i = 0; d_bias != NULL && i < plan->n; i++)
        TRY(bias_gradient_run(context, &plan->plans[i]->shape, plan->plans[i]->math, d_dst[i],
                              d_bias, slots + weight_gradient_hopper_floats(&plan->hopper)));
    return ADELE_OK;
}

} // namespace adele_cuda
