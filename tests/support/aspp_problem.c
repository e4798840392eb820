// SPDX-License-Identifier: MIT
#include "support/aspp_problem.h"

#include "reference/reference.h"
#include "support/sums.h"
#include "support/tensor_core_tolerance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int kernel_of(const struct adele_aspp_desc *desc, int r) {
    return desc->rates[r] > 0 ? 3 : 1;
}

void aspp_open(struct op_run *run, struct adele_device *device, struct adele_aspp_desc desc,
               bool accumulate) {
    struct problem problem;
    problem_aspp(&desc, &problem);
    problem_accumulate(&problem, accumulate);
    for (int i = 0; i < problem.n_fields; i++) {
        problem.fields[i].low = -1.0;
        problem.fields[i].high = 1.0;
    }
    op_open(run, device, &problem);
}

// A bias counts as three of the products, whose variance it has. TF32 rounds both operands by up to
// 2^-11 of them, which makes a product wrong by 1.3e-4 in the root mean square. Where operands are
// rounded to bf16, SUM may round the sum of the centre weights of all R branches: by up to 2^-8 R /
// 3 in `n_centre` of the products. The terms come in runs of `run`: channels, or all pixels.
static struct sums_error error_of(const struct adele_device *device,
                                  const struct adele_aspp_desc *desc, double n_terms, double run,
                                  double n_centre) {
    struct sums_error error = {.n_terms = n_terms + (desc->has_bias ? 3.0 * desc->n_rates : 0.0),
                               .relative = SUMS_STORED};
    if (devices_are_cpu())
        return error;
    bool rounds = desc->precision == ADELE_PRECISION_BF16 || device_is_bf16(device);
    if (desc->precision == ADELE_PRECISION_TF32)
        error.random = 1.3e-4 * sqrt(n_terms);
    if (rounds && desc->form == ADELE_ASPP_SUM && desc->n_rates > 1)
        error.random += 0x1p-8 / 3.0 / 3.0 * desc->n_rates * sqrt(n_centre);
    error.random = hypot(error.random, tensor_core_rms_on(device, desc->precision, n_terms, run));
    return error;
}

static double n_taps(const struct adele_aspp_desc *desc, bool of_all) {
    double most = 0, sum = 0;
    for (int r = 0; r < desc->n_rates; r++) {
        double taps = kernel_of(desc, r) * kernel_of(desc, r);
        sum += taps;
        most = taps > most ? taps : most;
    }
    return of_all ? sum : most;
}

static void compare_forward(struct op_run *run) {
    const struct adele_aspp_desc *desc = &run->problem.desc.aspp;
    const struct adele_device *device = run->arena.device;
    double n_terms = n_taps(desc, desc->form == ADELE_ASPP_SUM) * desc->c_in;
    struct sums_error error = error_of(device, desc, n_terms, desc->c_in, desc->c_in);
    error.relative = device_tolerance(device, SUMS_STORED);
    assert_true(sums_agree("dst", op_result(run, "dst"), op_values(run, "dst"),
                           op_shape(run, "dst"), &error));
}

static void compare_backward(struct op_run *run) {
    const struct adele_aspp_desc *desc = &run->problem.desc.aspp;
    const struct adele_aspp_args *host = &run->host.aspp, *args = &run->device.aspp;
    struct sums_error of_src = error_of(run->arena.device, desc, n_taps(desc, true) * desc->c_out,
                                        desc->c_out, desc->c_out);
    of_src.relative = device_tolerance(run->arena.device, SUMS_STORED);
    if (desc->needs_d_src)
        assert_true(sums_agree("d_src", op_result(run, "d_src"), op_values(run, "d_src"),
                               op_shape(run, "d_src"), &of_src));
    double n_pixels = (double)desc->n * desc->h * desc->w;
    struct sums_error of_weight = error_of(run->arena.device, desc, n_pixels, n_pixels, 0.0);
    struct adele_shape bias = {1, desc->c_out, 1, 1};
    for (int r = 0; r < desc->n_rates; r++) {
        int kernel = kernel_of(desc, r);
        struct adele_shape weight = {desc->c_out, desc->c_in, kernel, kernel};
        assert_true(sums_agree("d_weight",
                               arena_download(&run->arena, args->d_weights[r], shape_count(weight)),
                               host->d_weights[r], weight, &of_weight));
        if (desc->has_bias)
            assert_true(sums_agree(
                "d_bias", arena_download(&run->arena, args->d_biases[r], shape_count(bias)),
                host->d_biases[r], bias, &of_weight));
    }
}

void aspp_check(struct adele_device *device, struct adele_aspp_desc desc, bool accumulate) {
    struct op_run run;
    aspp_open(&run, device, desc, accumulate);
    assert_non_null(run.op->engine);
    op_forward(&run);
    reference_aspp_forward(&desc, &run.host.aspp);
    compare_forward(&run);
    if (desc.is_training) {
        op_backward(&run);
        reference_aspp_backward(&desc, &run.host.aspp);
        compare_backward(&run);
    }
    op_close(&run);
}

void aspp_check_engine(struct adele_device *device, struct adele_aspp_desc desc,
                       const char *engine) {
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->aspp_create(device, &desc, &op), ADELE_OK);
    if (strstr(op->engine, engine) == NULL)
        fail_msg("form %d, %d -> %d channels: \"%s\" instead of \"%s\"", (int)desc.form, desc.c_in,
                 desc.c_out, op->engine, engine);
    device->iface->op_destroy(op);
}
