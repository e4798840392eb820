// SPDX-License-Identifier: MIT
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

void check_ok(adele_status status) {
    if (status != ADELE_OK)
        fail_msg("%s: %s", adele_status_text(status), adele_error_message());
}

static void *device_buffer(const struct adele_device *device, size_t bytes) {
    void *block = NULL;
    check_ok(device->iface->alloc(device, bytes > 0 ? bytes : 1, &block));
    check_ok(device->iface->fill(device, block, 0, bytes));
    return block;
}

void train_step_create(struct train_step *step, const struct adele_device *device,
                       struct network *network, struct plan *plan, const float *images,
                       const uint8_t *labels) {
    struct adele_shape in = plan_input_shape(plan), out = plan_output_shape(plan);
    size_t n_pixels = (size_t)out.n * (size_t)out.h * (size_t)out.w;
    *step = (struct train_step){.device = device, .network = network, .plan = plan};
    struct adele_loss_desc loss = {.n = out.n,
                                   .c = out.c,
                                   .h = out.h,
                                   .w = out.w,
                                   .n_scales = 1,
                                   .h_scale = {out.h},
                                   .w_scale = {out.w},
                                   .form = ADELE_LOSS_PLAIN,
                                   .rho = 0.8,
                                   .divisor = 1};
    check_ok(device->iface->loss_create(device, &loss, &step->loss));
    struct adele_sgd_segment segment = {
        .offset = 0, .count = network_graph(network)->n_weights, .lr_scale = 1};
    struct adele_sgd_desc sgd = {.n_segments = 1, .segments = &segment};
    check_ok(device->iface->sgd_create(device, &sgd, &step->sgd));
    step->workspace = device_buffer(device, step->loss->workspace_bytes);
    step->labels = device_buffer(device, n_pixels);
    step->counts = device_buffer(device, ADELE_COUNT_SIZE * sizeof(int64_t));
    step->sums = device_buffer(device, ADELE_SUM_COUNT * sizeof(double));
    check_ok(device->iface->upload(device, step->labels, labels, n_pixels));
    check_ok(device->iface->tensor_upload(device, plan_input(plan), in, images));
}

void train_step_destroy(struct train_step *step) {
    const struct adele_device *device = step->device;
    device->iface->op_destroy(step->loss);
    device->iface->op_destroy(step->sgd);
    device->iface->release(device, step->workspace);
    device->iface->release(device, step->labels);
    device->iface->release(device, step->counts);
    device->iface->release(device, step->sums);
    memset(step, 0, sizeof *step);
}

double train_step_loss(struct train_step *step) {
    const struct adele_device *device = step->device;
    check_ok(plan_forward(step->plan, true));
    struct adele_loss_args args = {.logits = {plan_output(step->plan)},
                                   .d_logits = {plan_d_output(step->plan)},
                                   .labels = step->labels,
                                   .noisy = step->labels,
                                   .counts = step->counts,
                                   .sums = step->sums,
                                   .workspace = step->workspace};
    double sums[ADELE_SUM_COUNT];
    check_ok(device->iface->fill(device, step->sums, 0, sizeof sums));
    check_ok(device->iface->loss_forward(step->loss, &args));
    check_ok(device->iface->download(device, sums, step->sums, sizeof sums));
    return sums[ADELE_SUM_TOTAL];
}

void train_step_update(struct train_step *step, float rate, float momentum) {
    struct adele_sgd_args args = {.weights = network_writable_weights(step->network),
                                  .gradients = network_gradients(step->network),
                                  .momenta = network_momenta(step->network),
                                  .rate = rate,
                                  .momentum = momentum};
    check_ok(step->device->iface->sgd_forward(step->sgd, &args));
}

double train_step_run(struct train_step *step, float rate, float momentum) {
    check_ok(network_zero_gradients(step->network));
    double loss = train_step_loss(step);
    check_ok(plan_backward(step->plan));
    train_step_update(step, rate, momentum);
    return loss;
}
