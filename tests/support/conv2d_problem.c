// SPDX-License-Identifier: MIT
#include "support/conv2d_problem.h"

#include "reference/reference.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct adele_conv2d_desc conv2d_desc_of(const int *row) {
    struct adele_conv2d_desc desc = {.n = row[0],
                                     .c_in = row[1],
                                     .h_in = row[2],
                                     .w_in = row[3],
                                     .c_out = row[4],
                                     .kernel = row[5],
                                     .stride = row[6],
                                     .pad = row[7],
                                     .dilation = row[8],
                                     .has_bias = true,
                                     .needs_d_src = true,
                                     .is_training = true,
                                     .precision = ADELE_PRECISION_FP32};
    return desc;
}

void conv2d_open(struct op_run *run, struct adele_device *device, struct adele_conv2d_desc desc,
                 bool accumulate) {
    static const char *const gradients[] = {"d_weight", "d_bias"};
    struct problem problem;
    problem_conv2d(&desc, &problem);
    problem_accumulate(&problem, accumulate);
    for (int i = 0; i < 2; i++) {
        struct field *gradient = problem_find(&problem, gradients[i]);
        if (gradient != NULL) {
            gradient->low = -1.0;
            gradient->high = 1.0;
        }
    }
    op_open(run, device, &problem);
}

// The operands to the nearest float with 10 bits of mantissa, ties away from zero.
static void round_to_tf32(struct op_run *run) {
    static const char *const operands[] = {"src", "weight", "d_dst"};
    for (int i = 0; i < (run->problem.desc.conv2d.is_training ? 3 : 2); i++) {
        float *values = op_values(run, operands[i]);
        size_t count = field_count(problem_find(&run->problem, operands[i]));
        for (size_t k = 0; k < count; k++) {
            uint32_t bits;
            memcpy(&bits, &values[k], sizeof bits);
            bits = (bits + 0x1000u) & 0xffffe000u;
            memcpy(&values[k], &bits, sizeof bits);
        }
        op_set(run, operands[i], NULL);
    }
}

// Of a pass's sums over the taps, each a run of channels; winograd's round more. What is stored is
// rounded to float once, which the relative part covers, or to bf16.
static struct sums_error pass_error(const struct op_run *run, int channels) {
    const struct adele_device *device = run->arena.device;
    const struct adele_conv2d_desc *desc = &run->problem.desc.conv2d;
    double n_terms = (double)desc->kernel * desc->kernel * channels;
    struct sums_error error = {
        .n_terms = n_terms,
        .factor = strstr(run->op->engine, "wino") != NULL ? SUMS_WINOGRAD : 1.0,
        .random = hypot(tensor_core_rms_on(device, desc->precision, n_terms, channels),
                        device_library_rounding(device, run->op, desc->precision, n_terms)),
        .relative = device_tolerance(device, SUMS_STORED),
    };
    return error;
}

static void compare(struct op_run *run, const char *name, struct adele_shape shape,
                    const struct sums_error *error) {
    assert_true(sums_agree(name, op_result(run, name), op_values(run, name), shape, error));
}

void conv2d_compare_dst(struct op_run *run) {
    struct sums_error error = pass_error(run, run->problem.desc.conv2d.c_in);
    compare(run, "dst", op_shape(run, "dst"), &error);
}

void conv2d_compare_d_src(struct op_run *run) {
    struct sums_error error = pass_error(run, run->problem.desc.conv2d.c_out);
    if (run->problem.desc.conv2d.needs_d_src)
        compare(run, "d_src", op_shape(run, "d_src"), &error);
}

double conv2d_n_pixels(const struct op_run *run) {
    struct adele_shape out = op_shape(run, "dst");
    return (double)out.n * out.h * out.w;
}

void conv2d_compare_gradients(struct op_run *run, double n_pixels) {
    const struct adele_device *device = run->arena.device;
    const struct adele_conv2d_desc *desc = &run->problem.desc.conv2d;
    const char *engine = strstr(run->op->engine, "d_weight");
    struct sums_error of_bias = {.n_terms = n_pixels, .relative = SUMS_STORED};
    struct sums_error of_weight = of_bias;
    if (strstr(engine != NULL ? engine : run->op->engine, "wino") != NULL)
        of_weight.factor = SUMS_WINOGRAD_GRADIENT;
    of_weight.random = hypot(tensor_core_rms_on(device, desc->precision, n_pixels, n_pixels),
                             device_library_rounding(device, run->op, desc->precision, n_pixels));
    compare(run, "d_weight",
            (struct adele_shape){desc->c_out, desc->c_in, desc->kernel, desc->kernel}, &of_weight);
    if (desc->has_bias)
        compare(run, "d_bias", (struct adele_shape){1, desc->c_out, 1, 1}, &of_bias);
}

void conv2d_check(struct adele_device *device, struct adele_conv2d_desc desc, bool accumulate) {
    struct op_run run;
    conv2d_open(&run, device, desc, accumulate);
    assert_non_null(run.op->engine);
    if (!device_leaves_op(device, run.op)) {
        if (desc.precision == ADELE_PRECISION_TF32)
            round_to_tf32(&run);
        op_forward(&run);
        reference_conv2d_forward(&desc, &run.host.conv2d);
        conv2d_compare_dst(&run);
        if (desc.is_training) {
            op_backward(&run);
            reference_conv2d_backward(&desc, &run.host.conv2d);
            conv2d_compare_d_src(&run);
            conv2d_compare_gradients(&run, conv2d_n_pixels(&run));
        }
    }
    op_close(&run);
}

void conv2d_check_engine(struct adele_device *device, struct adele_conv2d_desc desc,
                         const char *engine) {
    struct adele_op *op = NULL;
    check_ok(device->iface->conv2d_create(device, &desc, &op));
    if (strstr(op->engine, engine) == NULL)
        fail_msg("kernel %d, precision %d: \"%s\" instead of \"%s\"", desc.kernel,
                 (int)desc.precision, op->engine, engine);
    device->iface->op_destroy(op);
}
