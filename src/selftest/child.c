// SPDX-License-Identifier: MIT
// Each case runs on the CPU device, once with plain kernels alone, and once for each tuned family
// or library with everything else plain: so that a wrong result belongs to that family.
#include "selftest/child.h"

#include "base/clock.h"
#include "base/fail.h"
#include "device/identity.h"
#include "device/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_CUDNN_WAYS = 3, N_LIBRARY_DEVICES = 1 + N_CUDNN_WAYS };

// Above this amount of work the CPU would take too long; then the plain kernels are the reference,
// which the small shapes have compared with the CPU.
static const double most_reference_work = 4e9;

struct child {
    const struct child_options *options;
    double begun; // time of the start, seconds
    uint64_t left_out;
    struct adele_device *reference;
    // Of each storage, float and bf16: our own kernels; cuBLAS and the ways of cuDNN, NULL where
    // they are not installed.
    struct adele_device *direct[2], *libraries[2][N_LIBRARY_DEVICES];
    char text[600];
};

// ---- one run ------------------------------------------------------------------------------------

// Gradients of weights have separate kernels.
static bool is_of_family(const char *output, const void *context) {
    enum family family = *(const enum family *)context;
    bool is_weight = strcmp(output, "d_weight") == 0 || strcmp(output, "d_bias") == 0;
    switch (family) {
    case ADELE_FAMILY_conv2d_plain:
    case ADELE_FAMILY_conv2d_fma:
    case ADELE_FAMILY_conv2d_mma:
    case ADELE_FAMILY_conv2d_hopper:
    case ADELE_FAMILY_conv2d_first_layer:
    case ADELE_FAMILY_aspp_plain:
    case ADELE_FAMILY_aspp_fma:
    case ADELE_FAMILY_aspp_mma:
    case ADELE_FAMILY_aspp_hopper:
        return !is_weight;
    case ADELE_FAMILY_weight_gradient_plain:
    case ADELE_FAMILY_weight_gradient_fma:
    case ADELE_FAMILY_weight_gradient_mma:
    case ADELE_FAMILY_weight_gradient_hopper:
    case ADELE_FAMILY_weight_gradient_first_layer:
        return is_weight;
    default:
        return true;
    }
}

// The families to disable while `family` is tested: all tuned ones but itself. Packed weights,
// graphs and launches for several scales are used by tuned convolutions only; and where the plain
// kernels are faulty, others replace them.
static uint64_t families_off(const struct child *child, enum family family) {
    uint64_t of_op = families_of_op(family_op(family)), off = families_of_kind(FAMILY_TUNED);
    bool needs_others = family == ADELE_FAMILY_pack || family == ADELE_FAMILY_step_graph ||
                        family == ADELE_FAMILY_conv2d_scales ||
                        (family_kind(family) != FAMILY_PLAIN &&
                         (child->left_out & of_op & families_of_kind(FAMILY_PLAIN)) != 0);
    return needs_others ? child->left_out : child->left_out | (off & ~family_bit(family));
}

static void found_wrong(struct child *child, enum family family, const char *text) {
    child->left_out |= family_bit(family);
    child->options->on_wrong(family, text);
}

// Runs the case; *is_done: there are results to compare. A failure after which the device still
// works counts as a wrong result, but too little memory does not.
static adele_status run_case(struct child *child, const struct selftest_case *item,
                             enum family family, struct trial *trial, bool *is_done) {
    *is_done = false;
    child->options->on_run(family, child->text);
    trial->on_wait = child->options->on_wait;
    selftest_function(item)(trial, item->desc);
    adele_status status = trial_finish(trial);
    child->options->on_back();
    *is_done = status == ADELE_OK;
    if (status == ADELE_OK || status == ADELE_NO_MEMORY)
        return ADELE_OK;
    char message[300];
    (void)snprintf(message, sizeof message, "%s", adele_error_message());
    TRY(trial->device->iface->synchronize(trial->device));
    found_wrong(child, family, message);
    return ADELE_OK;
}

// ---- one case -----------------------------------------------------------------------------------

struct comparison {
    const struct selftest_case *item;
    enum adele_precision rounding;
    int storage; // 0 float, 1 bf16
    struct trial reference, plain;
    bool has_reference, has_plain;
};

static void compare(struct child *child, struct comparison *of, enum family family,
                    const struct trial *got) {
    char where[300], text[1024];
    bool is_right = true;
    if (of->has_reference)
        is_right = trial_agrees(got, &of->reference, is_of_family, &family, where, sizeof where);
    if (is_right && of->has_plain)
        is_right = trial_agrees(got, &of->plain, is_of_family, &family, where, sizeof where);
    if (is_right)
        return;
    (void)snprintf(text, sizeof text, "%s: %s", child->text, where);
    found_wrong(child, family, text);
}

static adele_status test_family(struct child *child, struct comparison *of, enum family family,
                                struct adele_device *device) {
    struct trial trial;
    bool is_done;
    device->disabled_families = families_off(child, family);
    trial_open(&trial, device, of->rounding, of->rounding);
    adele_status status = run_case(child, of->item, family, &trial, &is_done);
    if (is_done)
        compare(child, of, family, &trial);
    bool is_plain = family_kind(family) == FAMILY_PLAIN;
    if (is_done && is_plain && !of->has_plain && (child->left_out & family_bit(family)) == 0) {
        of->plain = trial; // what the tuned ones are compared with
        of->has_plain = true;
    } else {
        trial_close(&trial);
    }
    return status;
}

static adele_status test_library(struct child *child, struct comparison *of, enum family family) {
    bool is_cublas = family == ADELE_FAMILY_cublas;
    int first = is_cublas ? 0 : 1, end = is_cublas ? 1 : N_LIBRARY_DEVICES;
    for (int i = first; i < end; i++) {
        struct adele_device *device = child->libraries[of->storage][i];
        if (device != NULL && (child->left_out & family_bit(family)) == 0)
            TRY(test_family(child, of, family, device));
    }
    return ADELE_OK;
}

// Elsewhere all of its cases would run on the plain kernels, and say nothing.
static bool has_hopper(const struct child *child, const struct comparison *of) {
    const char *set = child->direct[of->storage]->instruction_set;
    bool is_other = strncmp(set, "sm_", 3) == 0 && strcmp(set, "sm_90") != 0;
    return of->storage == 1 && !is_other;
}

static adele_status test_families(struct child *child, struct comparison *of, uint64_t families) {
    if (!has_hopper(child, of))
        families &= ~families_of_hopper();
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++) {
        enum family family = (enum family)i;
        if ((families & ~child->left_out & family_bit(family)) == 0)
            continue;
        if (family_kind(family) == FAMILY_LIBRARY)
            TRY(test_library(child, of, family));
        else
            TRY(test_family(child, of, family, child->direct[of->storage]));
    }
    return ADELE_OK;
}

static adele_status test_case(struct child *child, const struct selftest_case *item,
                              enum adele_precision rounding) {
    static const char *const precisions[] = {[ADELE_PRECISION_FP32] = "fp32",
                                             [ADELE_PRECISION_BF16] = "bf16",
                                             [ADELE_PRECISION_TF32] = "tf32"};
    uint64_t families =
        item->op == ADELE_OP_COUNT ? family_bit(item->family) : families_of_op(item->op);
    struct comparison of = {
        .item = item, .rounding = rounding, .storage = rounding == ADELE_PRECISION_BF16};
    char name[160];
    families &= child->options->only & ~child->left_out;
    if (item->tile != NULL)
        families &= family_bit(ADELE_FAMILY_conv2d_fma) | family_bit(ADELE_FAMILY_conv2d_mma) |
                    family_bit(ADELE_FAMILY_conv2d_hopper) |
                    family_bit(ADELE_FAMILY_weight_gradient_hopper) |
                    family_bit(ADELE_FAMILY_conv2d_scales);
    if (families == 0)
        return ADELE_OK;
    selftest_describe(item, name, sizeof name);
    (void)snprintf(child->text, sizeof child->text, "%s, %s", name, precisions[rounding]);
    of.has_reference = item->work <= most_reference_work;
    if (of.has_reference) {
        trial_open(&of.reference, child->reference, rounding, ADELE_PRECISION_FP32);
        selftest_function(item)(&of.reference, item->desc);
    }
    adele_status status = of.has_reference ? trial_finish(&of.reference) : ADELE_OK;
    if (item->tile != NULL) { // read when an op is created
        (void)setenv("ADELE_CONV2D_TILE", item->tile, 1);
        (void)setenv("ADELE_CONV2D_BLOCKS", "4", 1); // so that a block takes several tiles
    }
    if (status == ADELE_OK)
        status = test_families(child, &of, families);
    if (item->tile != NULL) {
        (void)unsetenv("ADELE_CONV2D_TILE");
        (void)unsetenv("ADELE_CONV2D_BLOCKS");
    }
    trial_close(&of.reference);
    trial_close(&of.plain);
    return status;
}

// ---- all cases ---------------------------------------------------------------------------------

static bool is_convolution(enum adele_op_kind op) {
    return op == ADELE_OP_conv2d || op == ADELE_OP_aspp || op == ADELE_OP_pack;
}

static adele_status test_small(struct child *child) {
    for (int i = 0; i < selftest_n_small_cases; i++) {
        const struct selftest_case *item = &selftest_small_cases[i];
        TRY(test_case(child, item, ADELE_PRECISION_FP32));
        if (is_convolution(item->op))
            TRY(test_case(child, item, ADELE_PRECISION_TF32));
        if (!item->is_float_only)
            TRY(test_case(child, item, ADELE_PRECISION_BF16));
    }
    return ADELE_OK;
}

static adele_status test_network(struct child *child) {
    const struct network_cases *network = child->options->network;
    for (int i = 0; network != NULL && i < network->n; i++) {
        const struct selftest_case *item = &network->list[i];
        bool is_tf32 = network->precision == ADELE_PRECISION_TF32 && !is_convolution(item->op);
        if (clock_seconds() - child->begun > child->options->seconds)
            return ADELE_OK; // those of most work, which the small ones represent
        TRY(test_case(child, item, is_tf32 ? ADELE_PRECISION_FP32 : network->precision));
    }
    return ADELE_OK;
}

static struct adele_device *open_library(const char *base, const char *engine,
                                         enum adele_precision precision) {
    char name[64];
    struct adele_device *device = NULL;
    (void)snprintf(name, sizeof name, "%s/%s", base, engine);
    return adele_device_open(name, precision, &device) == ADELE_OK ? device : NULL;
}

static adele_status open_devices(struct child *child) {
    static const char *const engines[N_LIBRARY_DEVICES] = {"cublas", "cudnn", "cudnn1", "cudnn2"};
    static const enum adele_precision storages[2] = {ADELE_PRECISION_FP32, ADELE_PRECISION_BF16};
    const uint64_t only = child->options->only & ~child->left_out;
    struct device_identity identity;
    char name[64];
    device_identify(child->options->device, &identity);
    if (identity.text[0] == '\0')
        return FAIL(ADELE_UNSUPPORTED, "The self-test is for the kernels of a GPU: cuda, cuda:1.",
                    "device \"%s\": there is no GPU of that name", child->options->device);
    TRY(adele_device_open("cpu/direct", ADELE_PRECISION_FP32, &child->reference));
    (void)snprintf(name, sizeof name, "%s%s", identity.base, identity.is_cuda ? "/direct" : "");
    for (int s = 0; s < 2; s++)
        TRY(adele_device_open(name, storages[s], &child->direct[s]));
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < N_LIBRARY_DEVICES; i++) {
            enum family family = i == 0 ? ADELE_FAMILY_cublas : ADELE_FAMILY_cudnn;
            if ((only & family_bit(family)) == 0)
                continue;
            child->options->on_run(family, "opening the library");
            child->libraries[s][i] = open_library(identity.base, engines[i], storages[s]);
        }
    return ADELE_OK;
}

static void close_devices(struct child *child) {
    adele_device_close(child->reference);
    for (int s = 0; s < 2; s++) {
        adele_device_close(child->direct[s]);
        for (int i = 0; i < N_LIBRARY_DEVICES; i++)
            adele_device_close(child->libraries[s][i]);
    }
}

adele_status child_run(const struct child_options *options) {
    CLEANUP(close_devices)
    struct child child = {
        .options = options, .begun = clock_seconds(), .left_out = options->left_out};
    TRY(open_devices(&child));
    TRY(test_small(&child));
    return test_network(&child);
}
