// SPDX-License-Identifier: MIT
// The loss against the authors' program under PyTorch: relative L2 error of at most 1e-5 (float
// against float), on every device of the build that has float tensors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/compare.h"
#include "support/devices.h"
#include "support/golden.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5

static const char *file_name;

static void read_desc(const struct safetensors *file, struct adele_loss_desc *desc) {
    const struct safetensors_entry *labels = golden_entry(file, "labels");
    memset(desc, 0, sizeof *desc);
    bool is_plain = safetensors_find(file, "logits_1") == NULL;
    desc->n = (int)labels->shape[0];
    desc->h = (int)labels->shape[1];
    desc->w = (int)labels->shape[2];
    desc->n_scales = is_plain ? 1 : 3;
    for (int k = 0; k < desc->n_scales; k++) {
        char name[32];
        snprintf(name, sizeof name, "logits_%d", k);
        const struct safetensors_entry *logits = golden_entry(file, name);
        desc->c = (int)logits->shape[1];
        desc->h_scale[k] = (int)logits->shape[2];
        desc->w_scale[k] = (int)logits->shape[3];
    }
    desc->divisor = 1.0;
    desc->form = is_plain ? ADELE_LOSS_PLAIN : ADELE_LOSS_PROGRAM;
    desc->learn_scale_weights = !is_plain;
    desc->lambda = is_plain ? 0.0 : golden_number(file, "lam");
    desc->rho = is_plain ? 0.0 : golden_number(file, "rho");
}

static void upload_args(struct arena *arena, const struct safetensors *file,
                        const struct adele_loss_desc *desc, struct adele_loss_args *args) {
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    for (int k = 0; k < desc->n_scales; k++) {
        char name[32];
        snprintf(name, sizeof name, "logits_%d", k);
        struct adele_shape shape = {desc->n, desc->c, desc->h_scale[k], desc->w_scale[k]};
        float *logits = golden_f32(file, name, NULL);
        args->logits[k] = arena_tensor(arena, shape, logits);
        args->d_logits[k] = arena_tensor(arena, shape, NULL);
        free(logits);
    }
    uint8_t *labels = golden_u8(file, "labels", NULL);
    args->labels = arena_upload(arena, labels, n_pixels);
    args->noisy = args->labels;
    free(labels);
    if (desc->learn_scale_weights) {
        float *weights = golden_f32(file, "scale_weights", NULL);
        args->scale_weights = arena_upload(arena, weights, (size_t)desc->n_scales * sizeof(float));
        free(weights);
    }
    const float zero[ADELE_MAX_SCALES] = {0};
    const double no_sums[ADELE_SUM_COUNT] = {0};
    args->d_scale_weights = arena_upload(arena, zero, sizeof zero);
    args->sums = arena_upload(arena, no_sums, sizeof no_sums);
    args->mixture = arena_upload(arena, NULL, n_pixels * (size_t)desc->c * sizeof(float));
    args->image_mask = arena_upload(arena, NULL, (size_t)desc->n);
}

static void check_floats(const struct safetensors *file, const char *name, const float *got) {
    int64_t n;
    float *want = golden_f32(file, name, &n);
    printf("%s %s: %.2e\n", file_name, name, compare_relative_l2(got, want, (size_t)n));
    assert_true(compare_l2(name, got, want, (size_t)n, TOLERANCE));
    free(want);
}

static void check_program(struct arena *arena, const struct safetensors *file,
                          const struct adele_loss_desc *desc, const struct adele_loss_args *args,
                          const double *sums) {
    const struct adele_device *device = arena->device;
    size_t n_pixels = (size_t)desc->n * (size_t)desc->h * (size_t)desc->w;
    double want[255], kl = golden_number(file, "consistency");
    assert_true(fabs(sums[ADELE_SUM_CONSISTENCY] - kl) <= TOLERANCE * kl);
    double total = golden_number(file, "ce") + desc->lambda * kl;
    assert_true(fabs(sums[ADELE_SUM_TOTAL] - total) <= TOLERANCE * total);
    check_floats(file, "d_scale_weights",
                 arena_download(arena, args->d_scale_weights, (size_t)desc->n_scales));
    check_floats(file, "mixture", arena_download(arena, args->mixture, n_pixels * (size_t)desc->c));
    uint8_t mask[255];
    assert_int_equal(golden_numbers(file, "image_mask", 255, want), desc->n);
    assert_int_equal(device->iface->download(device, mask, args->image_mask, (size_t)desc->n),
                     ADELE_OK);
    for (int n = 0; n < desc->n; n++)
        assert_int_equal(mask[n], (int)want[n]);
}

static void run_on(struct adele_device *device) {
    if (device_is_bf16(device))
        return; // it cannot hold these logits
    struct safetensors *file = golden_open(file_name);
    struct adele_loss_desc desc;
    struct adele_loss_args args = {0};
    struct arena arena;
    struct adele_op *op = NULL;
    read_desc(file, &desc);
    arena_open(&arena, device);
    upload_args(&arena, file, &desc, &args);
    assert_int_equal(device->iface->loss_create(device, &desc, &op), ADELE_OK);
    args.workspace = arena_workspace(&arena, op);
    assert_int_equal(device->iface->loss_forward(op, &args), ADELE_OK);
    double sums[ADELE_SUM_COUNT];
    assert_int_equal(device->iface->download(device, sums, args.sums, sizeof sums), ADELE_OK);
    double ce = golden_number(file, "ce");
    assert_true(fabs(sums[ADELE_SUM_CROSS_ENTROPY] - ce) <= TOLERANCE * ce);
    for (int k = 0; k < desc.n_scales; k++) {
        char name[32];
        snprintf(name, sizeof name, "d_logits_%d", k);
        struct adele_shape shape = {desc.n, desc.c, desc.h_scale[k], desc.w_scale[k]};
        check_floats(file, name, arena_tensor_download(&arena, args.d_logits[k], shape));
    }
    if (desc.form == ADELE_LOSS_PROGRAM)
        check_program(&arena, file, &desc, &args, sums);
    device->iface->op_destroy(op);
    arena_close(&arena);
    safetensors_close(file);
}

static void test_golden(void **state) {
    (void)state;
    devices_each(run_on);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: golden_loss FILE\n");
        return 2;
    }
    file_name = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
