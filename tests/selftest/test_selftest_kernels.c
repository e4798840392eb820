// SPDX-License-Identifier: MIT
// The self-test's cases inside of this process, on the emulator: what they find of a kernel that is
// planted wrong, and that they find nothing else.
#include "selftest/child.h"
#include "selftest/selftest.h"
#include "support/scratch.h"
#include "support/selftest_fixture.h"
#include "support/simt_devices.h"
#include "support/train_step.h"
#ifdef ADELE_HAVE_SIMT
#include "simt/simt_libraries.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
    uint64_t run, wrong;
    int n_runs, n_waits, n_backs;
    int n_cudnn;   // runs of cuDNN
    int n_network; // runs of the tiny network's widest convolution
    char text[1200];
} seen;

static void see_run(enum family family, const char *text) {
    seen.run |= family_bit(family);
    seen.n_runs++;
    seen.n_cudnn += family == ADELE_FAMILY_cudnn;
    seen.n_network += strstr(text, "conv2d (1, 8, 16, 14) to 8, kernel 3") != NULL;
}

static void see_wait(void) {
    seen.n_waits++;
}

// Each answer follows a wait; some cases wait in their middle, too.
static void see_back(void) {
    seen.n_backs++;
    assert_true(seen.n_backs <= seen.n_waits);
}

static void see_wrong(enum family family, const char *text) {
    seen.wrong |= family_bit(family);
    (void)snprintf(seen.text, sizeof seen.text, "%s", text);
}

static void run_child(uint64_t only, const struct network_cases *network) {
    const struct child_options options = {.device = "simt",
                                          .only = only,
                                          .seconds = LONG_SECONDS,
                                          .network = network,
                                          .on_run = see_run,
                                          .on_wait = see_wait,
                                          .on_back = see_back,
                                          .on_wrong = see_wrong};
    memset(&seen, 0, sizeof seen);
    check_ok(child_run(&options));
}

// A kernel of each family, and of most all kernels.
static const struct {
    enum family family;
    const char *kernel;
} kernels[] = {
    {ADELE_FAMILY_tensor, "tensor_copy.cu:from_nchw"},
    {ADELE_FAMILY_tensor, "tensor_copy.cu:to_nchw"},
    {ADELE_FAMILY_conv2d_plain, "conv2d_plain.cu:plain_kernel"},
    {ADELE_FAMILY_conv2d_fma, "conv2d_fma.cu:fma_kernel"},
    {ADELE_FAMILY_conv2d_mma, "conv2d_mma.cu:mma_kernel"},
    {ADELE_FAMILY_conv2d_mma, "conv2d_pack.cu:pack_kernel"},
    {ADELE_FAMILY_conv2d_hopper, "conv2d_hopper.cu:hopper_kernel"},
    {ADELE_FAMILY_conv2d_hopper, "conv2d_hopper.cu:add_tile_slots_kernel"},
    {ADELE_FAMILY_conv2d_first_layer, "conv2d_first_layer.cu:first_layer_kernel"},
    {ADELE_FAMILY_weight_gradient_plain,
     "conv2d_weight_gradient_plain.cu:weight_gradient_plain_kernel"},
    {ADELE_FAMILY_weight_gradient_plain,
     "conv2d_weight_gradient_plain.cu:bias_gradient_plain_kernel"},
    {ADELE_FAMILY_weight_gradient_fma, "conv2d_weight_gradient_fma.cu:weight_gradient_fma"},
    {ADELE_FAMILY_weight_gradient_mma, "conv2d_weight_gradient_mma.cu:weight_gradient_mma"},
    {ADELE_FAMILY_weight_gradient_mma, "conv2d_weight_gradient.cu:add_weight_gradient_splits"},
    {ADELE_FAMILY_weight_gradient_mma, "conv2d_weight_gradient.cu:bias_gradient_kernel"},
    {ADELE_FAMILY_weight_gradient_mma, "conv2d_weight_gradient.cu:add_bias_gradient_kernel"},
    {ADELE_FAMILY_weight_gradient_hopper,
     "conv2d_weight_gradient_hopper.cu:weight_gradient_hopper_kernel"},
    {ADELE_FAMILY_weight_gradient_hopper,
     "conv2d_weight_gradient_hopper_plan.cu:add_weight_gradient_slots_kernel"},
    {ADELE_FAMILY_weight_gradient_first_layer, "conv2d_weight_gradient_first_layer.cu:"},
    {ADELE_FAMILY_cublas, "cublas:gemm"},
    {ADELE_FAMILY_cublas, "conv2d_library_kernels.cu:bias_add_kernel"},
    {ADELE_FAMILY_cudnn, "cudnn:execute"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:bias_add_kernel"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:tensor_add_kernel"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:filter_add_kernel"},
    {ADELE_FAMILY_pack, "pack.cu:pack_all_kernel"},
    {ADELE_FAMILY_conv2d_scales, "conv2d_hopper.cu:hopper_kernel"},
    {ADELE_FAMILY_conv2d_scales, "conv2d_hopper.cu:add_tile_slots_kernel"},
    {ADELE_FAMILY_conv2d_scales, "conv2d_weight_gradient_hopper.cu:weight_gradient_hopper_kernel"},
    {ADELE_FAMILY_conv2d_scales,
     "conv2d_weight_gradient_hopper_plan.cu:add_weight_gradient_slots_kernel"},
    {ADELE_FAMILY_aspp_plain, "aspp_plain.cu:plain_kernel"},
    {ADELE_FAMILY_aspp_fma, "aspp.cu:aspp_kernel"},
    {ADELE_FAMILY_aspp_mma, "aspp.cu:aspp_kernel"},
    {ADELE_FAMILY_aspp_mma, "aspp_pack.cu:pack_kernel"},
    {ADELE_FAMILY_aspp_hopper, "conv2d_hopper.cu:hopper_kernel"},
    {ADELE_FAMILY_batch_norm, "batch_norm.cu:apply_forward"},
    {ADELE_FAMILY_batch_norm, "batch_norm.cu:apply_backward"},
    {ADELE_FAMILY_batch_norm, "batch_norm_sums.cu:partial_statistics"},
    {ADELE_FAMILY_batch_norm, "batch_norm_sums.cu:combine_statistics"},
    {ADELE_FAMILY_batch_norm, "batch_norm_sums.cu:partial_gradients"},
    {ADELE_FAMILY_batch_norm, "batch_norm_sums.cu:combine_gradients"},
    {ADELE_FAMILY_max_pool, "max_pool.cu:pool_forward<T, true"},
    {ADELE_FAMILY_max_pool, "max_pool.cu:pool_forward<T, false"},
    {ADELE_FAMILY_max_pool, "max_pool.cu:pool_backward_halves"},
    {ADELE_FAMILY_max_pool, "max_pool.cu:pool_backward<"},
    {ADELE_FAMILY_rescale_plain, "rescale.cu:rescale_forward_plain"},
    {ADELE_FAMILY_rescale_plain, "rescale.cu:rescale_backward_plain"},
    {ADELE_FAMILY_rescale, "rescale.cu:rescale_forward_tuned"},
    {ADELE_FAMILY_rescale, "rescale.cu:rescale_backward_tuned"},
    {ADELE_FAMILY_concat, "concat.cu:concat_forward_kernel<T, false"},
    {ADELE_FAMILY_concat, "concat.cu:concat_backward_kernel<T, false"},
    {ADELE_FAMILY_concat, "concat.cu:concat_forward_kernel<T, true"},
    {ADELE_FAMILY_concat, "concat.cu:concat_backward_kernel<T, true"},
    {ADELE_FAMILY_add, "add.cu:add_kernel"},
    {ADELE_FAMILY_global_pool, "global_pool.cu:forward_kernel"},
    {ADELE_FAMILY_global_pool, "global_pool.cu:backward_kernel"},
    {ADELE_FAMILY_dropout, "dropout.cu:dropout_kernel"},
    {ADELE_FAMILY_loss_plain, "loss_plain.cu:plain_resample"},
    {ADELE_FAMILY_loss_plain, "loss_plain.cu:plain_mask"},
    {ADELE_FAMILY_loss_plain, "loss_plain.cu:plain_loss"},
    {ADELE_FAMILY_loss_plain, "loss_plain.cu:plain_fold"},
    {ADELE_FAMILY_loss_fused, "loss_fused.cu:fused_mask"},
    {ADELE_FAMILY_loss_fused, "loss_fused.cu:fused_loss"},
    {ADELE_FAMILY_loss_fused, "loss_fused.cu:fused_combine"},
    {ADELE_FAMILY_loss_fused, "loss.cu:loss_finish"},
    {ADELE_FAMILY_loss_fused, "loss.cu:loss_count_labels"},
    {ADELE_FAMILY_loss_fused, "loss.cu:loss_weigh"},
    {ADELE_FAMILY_dice, "dice.cu:dice_partial_sums"},
    {ADELE_FAMILY_dice, "dice.cu:dice_image_sums"},
    {ADELE_FAMILY_dice, "dice.cu:dice_finish"},
    {ADELE_FAMILY_dice, "dice.cu:dice_inner"},
    {ADELE_FAMILY_dice, "dice.cu:dice_gradient"},
    {ADELE_FAMILY_sgd, "sgd.cu:sgd_kernel"},
    {ADELE_FAMILY_sgd, "segments.cu:segments_settle_kernel"},
    {ADELE_FAMILY_adamw, "segments.cu:segments_settle_kernel"},
    {ADELE_FAMILY_adamw, "adamw.cu:adamw_count_kernel"},
    {ADELE_FAMILY_adamw, "adamw.cu:adamw_kernel"},
    {ADELE_FAMILY_combine, "combine.cu:combine_kernel"},
    {ADELE_FAMILY_average, "average.cu:average_kernel"},
    {ADELE_FAMILY_initialize, "initialize.cu:initialize_kernel"},
    {ADELE_FAMILY_sample, "sample.cu:sample_tile<T, 1"},
    {ADELE_FAMILY_sample, "sample.cu:sample_tile<T, 4"},
    {ADELE_FAMILY_sample, "sample.cu:sample_scales_tile"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_draw_kernel"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_noise_kernel"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_blur_kernel"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_tone_kernel<T, false"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_gamma_kernel"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_tone_kernel<T, true"},
    {ADELE_FAMILY_augment_intensity, "augment_intensity.cu:intensity_apply_kernel"},
    {ADELE_FAMILY_ensemble, "ensemble.cu:ensemble_kernel"},
    {ADELE_FAMILY_decide, "decide.cu:decide_kernel"},
    {ADELE_FAMILY_accumulate_maps, "accumulate_maps.cu:accumulate_maps_kernel"},
    {ADELE_FAMILY_guided_filter, "guided_filter.cu:guided_resize"},
    {ADELE_FAMILY_guided_filter, "guided_filter.cu:guided_columns"},
    {ADELE_FAMILY_guided_filter, "guided_filter.cu:guided_coefficients"},
    {ADELE_FAMILY_guided_filter, "guided_filter.cu:guided_apply"},
    {ADELE_FAMILY_area_decision, "area_decision.cu:area_histogram"},
    {ADELE_FAMILY_area_decision, "area_decision.cu:area_thresholds"},
    {ADELE_FAMILY_area_decision, "area_decision.cu:area_decide"},
    {ADELE_FAMILY_crf, "crf.cu:split"},
    {ADELE_FAMILY_crf, "crf.cu:blur"},
    {ADELE_FAMILY_crf, "crf.cu:update"},
    {ADELE_FAMILY_correct, "correct.cu:correct_kernel"},
    {ADELE_FAMILY_count, "count.cu:count_kernel"},
    {ADELE_FAMILY_step_graph, "conv2d_fma.cu:fma_kernel"},
};

static void a_kernel_that_is_wrong_is_found(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    uint64_t found = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        char fault[256];
        uint64_t family = family_bit(kernels[i].family);
        (void)snprintf(fault, sizeof fault, "wrong:%s", kernels[i].kernel);
        plant(fault);
        if (family_kind(kernels[i].family) == FAMILY_LIBRARY)
            install_libraries();
        if ((family & families_of_hopper()) != 0)
            (void)setenv("SIMT_DEVICE", "hopper", 1);
        run_child(family, NULL);
        (void)unsetenv("SIMT_LIBRARIES");
        (void)unsetenv("SIMT_DEVICE");
        if (seen.wrong != family)
            fail_msg("%s: %s was not found wrong", kernels[i].kernel,
                     family_name(kernels[i].family));
        found |= family;
    }
    assert_true(found == family_bit(ADELE_FAMILY_COUNT) - 1);
}

// The one path of a kernel that has no kernel of its own: the data gradient with a stride, whose
// pixels of a parity do not lie side by side.
static void a_wrong_stride_of_hopper_is_found(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    (void)setenv("SIMT_DEVICE", "hopper", 1);
    plant("wrong:tensor_map:pitches");
    run_child(FAMILY_BIT(conv2d_plain) | FAMILY_BIT(conv2d_hopper) |
                  FAMILY_BIT(weight_gradient_hopper),
              NULL);
    (void)unsetenv("SIMT_DEVICE");
    assert_true(seen.wrong == FAMILY_BIT(conv2d_hopper));
    assert_non_null(strstr(seen.text, "stride 2"));
    assert_non_null(strstr(seen.text, "bf16: d_src: "));
}

// One family's fault is not another's.
static void the_others_are_not_blamed(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    plant("wrong:max_pool.cu:pool_backward_halves");
    run_child(families_of_op(ADELE_OP_max_pool) | families_of_op(ADELE_OP_rescale), NULL);
    assert_true(seen.wrong == FAMILY_BIT(max_pool));
    assert_non_null(strstr(seen.text, "max_pool, fp32: d_src: "));
    plant("wrong:rescale.cu:rescale_forward_plain");
    run_child(families_of_op(ADELE_OP_rescale), NULL);
    assert_true(seen.wrong == FAMILY_BIT(rescale_plain));
    plant("wrong:conv2d_weight_gradient_fma.cu:");
    run_child(FAMILY_BIT(conv2d_plain) | FAMILY_BIT(weight_gradient_plain) |
                  FAMILY_BIT(conv2d_fma) | FAMILY_BIT(weight_gradient_fma) |
                  FAMILY_BIT(weight_gradient_first_layer),
              NULL);
    assert_true(seen.wrong == FAMILY_BIT(weight_gradient_fma));
}

static void the_networks_shapes_are_run(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct network_cases network;
    check_ok(network_cases_init(scratch_path(state, "tiny.yaml"), 0, NULL, &network));
    assert_true(network.n > 20);
    for (int i = 1; i < network.n; i++)
        assert_true(network.list[i - 1].work <= network.list[i].work);
    run_child(FAMILY_BIT(conv2d_plain) | FAMILY_BIT(conv2d_fma) | FAMILY_BIT(batch_norm), &network);
    assert_true(seen.wrong == 0);
    assert_int_equal(seen.n_network, 2);         // plain and fma
    assert_int_equal(seen.n_waits, seen.n_runs); // each tells when it waits, and when no more
    assert_int_equal(seen.n_backs, seen.n_runs);
    network_cases_deinit(&network);
    assert_int_equal(network_cases_init(scratch_path(state, "nothing.yaml"), 0, NULL, &network),
                     ADELE_IO);
}

// Each way of cuDNN runs, and what cuDNN and cuBLAS compute agrees with our kernels.
static void correct_libraries_pass(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    const uint64_t libraries = FAMILY_BIT(cublas) | FAMILY_BIT(cudnn);
    install_libraries();
    run_child(libraries, NULL);
    if (seen.wrong != 0)
        fail_msg("%s", seen.text);
    assert_true(seen.run == libraries);
    assert_true(seen.n_cudnn > 3 * 9); // ways and convolutions
    // Where they are not there nothing runs but the attempt to open them.
    (void)unsetenv("SIMT_LIBRARIES");
    run_child(libraries, NULL);
    assert_int_equal(seen.n_waits, 0);
}

// A library that answers with an error is as faulty as one whose results are wrong.
static void a_library_that_fails_is_found(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
#ifdef ADELE_HAVE_SIMT
    const struct simt_libraries failing = {.has_cublas = true, .has_cudnn = true, .fails = true};
    simt_libraries_install(&failing);
    run_child(FAMILY_BIT(cublas) | FAMILY_BIT(cudnn) | FAMILY_BIT(conv2d_fma), NULL);
    simt_libraries_install(NULL);
    assert_true(seen.wrong == (FAMILY_BIT(cublas) | FAMILY_BIT(cudnn)));
#endif
}

int main(void) {
    simt_devices_provide();
    const struct CMUnitTest tests[] = {
        SELFTEST_CASE(a_kernel_that_is_wrong_is_found),
        SELFTEST_CASE(a_wrong_stride_of_hopper_is_found),
        SELFTEST_CASE(the_others_are_not_blamed),
        SELFTEST_CASE(the_networks_shapes_are_run),
        SELFTEST_CASE(correct_libraries_pass),
        SELFTEST_CASE(a_library_that_fails_is_found),
    };
    return cmocka_run_group_tests(tests, selftest_setup, scratch_teardown);
}
