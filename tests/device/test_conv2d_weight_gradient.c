// SPDX-License-Identifier: MIT
// The weight and bias gradients of a convolution where there are enough pixels that a GPU splits
// their sum: test_conv2d has the small shapes.
#include "reference/reference.h"
#include "support/conv2d_problem.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// n, c_in, h, w, c_out, kernel, stride, pad, dilation. Two splits and more, 16 and more (which are
// added up in groups), and one below, at and above a split's least number of pixels; first layers
// of 1 to 4 channels; tiles that hold several taps, a single one, and taps wholly in the padding;
// images of more than one range of the CPU's bias gradient, with 8 channels in a block too.
static const int cases[][9] = {
    {2, 8, 16, 16, 8, 3, 1, 1, 1},    {1, 8, 511, 1, 8, 1, 1, 0, 1},
    {1, 8, 513, 1, 8, 1, 1, 0, 1},    {1, 5, 66, 63, 3, 1, 1, 0, 1},
    {3, 1, 39, 37, 9, 3, 1, 1, 1},    {1, 3, 50, 43, 12, 5, 2, 2, 1},
    {1, 4, 23, 24, 70, 3, 1, 2, 2},   {1, 9, 33, 32, 21, 3, 1, 9, 9},
    {1, 6, 24, 24, 5, 3, 1, 24, 24},  {1, 72, 23, 23, 66, 1, 1, 0, 1},
    {1, 128, 17, 31, 65, 1, 1, 0, 1}, {2, 2, 91, 91, 3, 3, 1, 1, 1},
};

static struct adele_conv2d_desc desc_of(const int *row, enum adele_precision precision) {
    struct adele_conv2d_desc desc = conv2d_desc_of(row);
    desc.needs_d_src = false;
    desc.precision = precision;
    return desc;
}

// TF32 rounds each operand by up to 2^-11 of it: a value spread evenly over 2^-10 of it at most, so
// that a product of values in [-1, 1] is off by sqrt(2 / 12 / 9) 2^-10 in the root mean square.
// A library may cut operands off instead, by up to 2^-10 of each and always towards zero.
static struct sums_error error_of(const struct adele_device *device, const struct adele_op *op,
                                  const struct adele_conv2d_desc *desc, double n_pixels) {
    bool is_tf32 = desc->precision == ADELE_PRECISION_TF32;
    bool is_library = strstr(op->engine, "cudnn") != NULL || strstr(op->engine, "cublas") != NULL;
    double of_operands = is_tf32 ? 0x1p-10 * sqrt(n_pixels / 54.0) * (is_library ? 3.0 : 1.0) : 0.0;
    double of_sums = hypot(tensor_core_rms_on(device, desc->precision, n_pixels, n_pixels),
                           device_library_rounding(device, op, desc->precision, n_pixels));
    struct sums_error error = {
        .n_terms = n_pixels, .random = hypot(of_operands, of_sums), .relative = SUMS_STORED};
    return error;
}

// Runs twice from the same numbers: right, and the same bits.
static void check(struct adele_device *device, struct adele_conv2d_desc desc) {
    static const char *const gradients[] = {"d_weight", "d_bias"};
    const float *first[2];
    struct op_run run;
    conv2d_open(&run, device, desc, false);
    if (!device_leaves_op(device, run.op)) {
        struct adele_shape out = op_shape(&run, "dst");
        double n_pixels = (double)out.n * out.h * out.w;
        struct sums_error errors[] = {error_of(device, run.op, &desc, n_pixels),
                                      {.n_terms = n_pixels, .relative = SUMS_STORED}};
        struct adele_shape shapes[] = {{desc.c_out, desc.c_in, desc.kernel, desc.kernel},
                                       {1, desc.c_out, 1, 1}};
        op_backward(&run);
        for (int i = 0; i < 2; i++) {
            first[i] = op_result(&run, gradients[i]);
            op_set(&run, gradients[i], NULL);
        }
        op_backward(&run);
        reference_conv2d_backward(&desc, &run.host.conv2d);
        for (int i = 0; i < 2; i++) {
            op_compare_bits(&run, gradients[i], first[i]);
            assert_true(sums_agree(gradients[i], first[i], op_values(&run, gradients[i]), shapes[i],
                                   &errors[i]));
        }
    }
    op_close(&run);
}

// A layer of one tile of 64 x 64 weights and many pixels: its splits fill a GPU of 132
// multiprocessors four times, which is what it holds of blocks of that tile. Their sums are in the
// workspace.
static void check_splits(struct adele_device *device) {
    static const int row[] = {16, 64, 128, 128, 64, 1, 1, 0, 1};
    if (devices_are_cpu())
        return;
    struct adele_conv2d_desc desc = desc_of(row, ADELE_PRECISION_FP32);
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
    size_t of_split = (size_t)64 * 64 * sizeof(float);
    bool is_plain = strcmp(device->engine, "plain") == 0;
    if (!is_plain && !(op->workspace_bytes >= 500 * of_split))
        fail_msg("%zu bytes of workspace are the sums of %zu splits", op->workspace_bytes,
                 op->workspace_bytes / of_split);
    device->iface->op_destroy(op);
}

static void check_precision(struct adele_device *device, enum adele_precision precision) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(device, desc_of(cases[i], precision));
}

static void check_fp32(struct adele_device *device) {
    check_precision(device, ADELE_PRECISION_FP32);
}

static void check_tf32(struct adele_device *device) {
    check_precision(device, ADELE_PRECISION_TF32);
}

static void check_bf16(struct adele_device *device) {
    check_precision(device, ADELE_PRECISION_BF16);
}

ON_EACH_DEVICE(splits)
ON_EACH_ENGINE(fp32)
ON_EACH_ENGINE(tf32)
ON_EACH_ENGINE(bf16)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_tf32),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
