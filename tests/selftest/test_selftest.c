// SPDX-License-Identifier: MIT
// The self-test on the emulator: correct kernels pass; one that is planted wrong, crashes or hangs
// is left out, and the training goes on with the next best. This program is the command line too,
// which the self-test starts as its child.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "device/engine_cache.h"
#include "device/verdict.h"
#include "runtime/cuda_device.h"
#include "selftest/child.h"
#include "selftest/selftest.h"
#include "support/compare.h"
#include "support/program.h"
#include "support/scratch.h"
#include "support/simt_devices.h"
#include "support/tiny_run.h"
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

#define SELF       "/proc/self/exe"
#define NO_PROGRAM "/nowhere/adele" // that a child is wanted shows in the failure to start it
#define ALL        (~(uint64_t)0)
#define BIT(name)  family_bit(ADELE_FAMILY_##name)
#define LONG       600.0 // seconds: never reached

int adele_main(int argc, char **argv);

static char warnings[4096];
static int n_warnings;

static void keep_warning(void *context, enum log_level level, const char *line) {
    (void)context;
    if (level != LOG_WARNING)
        return;
    size_t used = strlen(warnings);
    (void)snprintf(warnings + used, sizeof warnings - used, "%s\n", line);
    n_warnings++;
}

// ---- fixtures -----------------------------------------------------------------------------------

#ifdef ADELE_HAVE_SIMT
#define SKIP_WITHOUT_EMULATOR()
#else
#define SKIP_WITHOUT_EMULATOR() skip()
#endif

static void forget_verdict(void *const *state) {
    check_ok(file_remove_tree(scratch_path(state, "adele")));
}

static int setup(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    char *text = tiny_set_config(scratch_path(state, "set"), scratch_path(state, "set/noisyTr"));
    check_ok(file_write(scratch_path(state, "tiny.yaml"), text, strlen(text)));
    memory_free(text);
    return setenv("XDG_CACHE_HOME", *state, 1);
}

// Each test begins with nothing planted, no libraries, no verdict and no setting.
static int setup_test(void **state) {
    (void)unsetenv("ADELE_SIMT_PLANT");
    (void)unsetenv("SIMT_LIBRARIES");
    (void)unsetenv("ADELE_SELFTEST");
    warnings[0] = '\0';
    n_warnings = 0;
    log_set_sink(keep_warning, NULL);
    forget_verdict(state);
    return 0;
}

static int teardown_test(void **state) {
    (void)state;
    log_set_sink(NULL, NULL);
    return 0;
}

static void plant(const char *fault) {
    assert_int_equal(setenv("ADELE_SIMT_PLANT", fault, 1), 0);
}

// The stand-ins of cuDNN and cuBLAS, in the child too.
static void install_libraries(void) {
    assert_int_equal(setenv("SIMT_LIBRARIES", "all", 1), 0);
}

static struct selftest_options options_of(uint64_t only) {
    return (struct selftest_options){
        .program = SELF, .device = "simt", .seconds = LONG, .stall_seconds = LONG, .only = only};
}

// ---- families and verdicts ----------------------------------------------------------------------

static void families_are_named(void **state) {
    (void)state;
    char text[2048];
    uint64_t families = 0, all = family_bit(ADELE_FAMILY_COUNT) - 1;
    families_print(ALL, text, sizeof text);
    assert_true(families_parse(text, &families));
    assert_true(families == all);
    families_print(BIT(conv2d_mma) | BIT(loss_fused), text, sizeof text);
    assert_string_equal(text, "conv2d_mma, loss_fused");
    assert_true(families_parse("conv2d_mma,loss_fused", &families));
    assert_true(families == (BIT(conv2d_mma) | BIT(loss_fused)));
    assert_true(families_parse("", &families));
    assert_true(families == 0);
    assert_false(families_parse("conv2d", &families));
    assert_false(families_parse("conv2d_mma,", &families));
    families_print(ALL, text, 12); // cut off, not written beyond
    assert_int_equal(strlen(text), 11);
}

static void every_op_has_a_family_and_a_case(void **state) {
    (void)state;
    for (int op = 0; op < ADELE_OP_COUNT; op++) {
        bool has_case = false;
        for (int i = 0; i < selftest_n_small_cases; i++)
            has_case = has_case || (int)selftest_small_cases[i].op == op;
        assert_true(has_case);
        assert_true(families_of_op((enum adele_op_kind)op) != 0);
    }
}

// Changes the verdict's file; the key and the value follow each other on the line.
static void edit_file(void *const *state, const char *from, const char *to) {
    char *text = NULL;
    size_t bytes = 0;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "adele/selftest.txt"));
    check_ok(file_read(path, 0, &text, &bytes));
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    check_ok(file_write(path, text, bytes));
    memory_free(text);
}

static void a_verdict_is_kept(void **state) {
    const struct verdict some = {true, BIT(conv2d_fma) | BIT(loss_fused)}, part = {false, BIT(add)};
    struct verdict found;
    assert_false(verdict_find("GPU, driver 1", &found));
    verdict_put("GPU, driver 1", &some);
    verdict_put("GPU, driver 2", &part);
    assert_true(verdict_find("GPU, driver 1", &found));
    assert_true(found.is_complete && found.left_out == some.left_out);
    assert_true(verdict_find("GPU, driver 2", &found));
    assert_true(!found.is_complete && found.left_out == part.left_out);
    assert_false(verdict_find("GPU, driver 3", &found));
    // A name that is damaged into another one is found by the hash.
    edit_file(state, "conv2d_fma", "conv2d_mma");
    assert_false(verdict_find("GPU, driver 1", &found));
    assert_true(verdict_find("GPU, driver 2", &found));
    edit_file(state, "program ", "progrem ");
    assert_false(verdict_find("GPU, driver 1", &found));
}

// ---- the child, inside of this process ----------------------------------------------------------

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
                                          .seconds = LONG,
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
    {ADELE_FAMILY_weight_gradient_first_layer, "conv2d_weight_gradient_first_layer.cu:"},
    {ADELE_FAMILY_cublas, "cublas:gemm"},
    {ADELE_FAMILY_cublas, "conv2d_library_kernels.cu:bias_add_kernel"},
    {ADELE_FAMILY_cudnn, "cudnn:execute"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:bias_add_kernel"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:tensor_add_kernel"},
    {ADELE_FAMILY_cudnn, "conv2d_library_kernels.cu:filter_add_kernel"},
    {ADELE_FAMILY_pack, "pack.cu:pack_all_kernel"},
    {ADELE_FAMILY_aspp_plain, "aspp_plain.cu:forward_kernel"},
    {ADELE_FAMILY_aspp_plain, "aspp_plain.cu:data_gradient_kernel"},
    {ADELE_FAMILY_aspp_fma, "aspp.cu:aspp_kernel"},
    {ADELE_FAMILY_aspp_mma, "aspp.cu:aspp_kernel"},
    {ADELE_FAMILY_aspp_mma, "aspp_pack.cu:pack_kernel"},
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
        if (kernels[i].family == ADELE_FAMILY_conv2d_hopper)
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

// One family's fault is not another's.
static void the_others_are_not_blamed(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    plant("wrong:max_pool.cu:pool_backward_halves");
    run_child(families_of_op(ADELE_OP_max_pool) | families_of_op(ADELE_OP_rescale), NULL);
    assert_true(seen.wrong == BIT(max_pool));
    assert_non_null(strstr(seen.text, "max_pool, fp32: d_src: "));
    plant("wrong:rescale.cu:rescale_forward_plain");
    run_child(families_of_op(ADELE_OP_rescale), NULL);
    assert_true(seen.wrong == BIT(rescale_plain));
    plant("wrong:conv2d_weight_gradient_fma.cu:");
    run_child(BIT(conv2d_plain) | BIT(weight_gradient_plain) | BIT(conv2d_fma) |
                  BIT(weight_gradient_fma) | BIT(weight_gradient_first_layer),
              NULL);
    assert_true(seen.wrong == BIT(weight_gradient_fma));
}

static void the_networks_shapes_are_run(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct network_cases network;
    check_ok(network_cases_init(scratch_path(state, "tiny.yaml"), 0, NULL, &network));
    assert_true(network.n > 20);
    for (int i = 1; i < network.n; i++)
        assert_true(network.list[i - 1].work <= network.list[i].work);
    run_child(BIT(conv2d_plain) | BIT(conv2d_fma) | BIT(batch_norm), &network);
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
    const uint64_t libraries = BIT(cublas) | BIT(cudnn);
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
    run_child(BIT(cublas) | BIT(cudnn) | BIT(conv2d_fma), NULL);
    simt_libraries_install(NULL);
    assert_true(seen.wrong == (BIT(cublas) | BIT(cudnn)));
#endif
}

// ---- the parent ---------------------------------------------------------------------------------

static void correct_kernels_pass_once(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct selftest_options options = options_of(ALL);
    char config[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    options.config = config;
    assert_int_equal(setenv("ADELE_SELFTEST", "600", 1), 0); // seconds
    check_ok(selftest_before_training(&options));
    assert_int_equal(n_warnings, 0);
    struct verdict verdict;
    assert_true(verdict_find("simt", &verdict));
    assert_true(verdict.is_complete && verdict.left_out == 0);
    options.program = NO_PROGRAM;
    check_ok(selftest_before_training(&options)); // nothing is started
    // What is damaged, or of another build, is no verdict.
    char hash[64];
    (void)snprintf(hash, sizeof hash, "program ");
    edit_file(state, hash, "Program ");
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
    edit_file(state, "Program ", hash);
    check_ok(selftest_before_training(&options));
    edit_file(state, "complete: ;", "complete; :");
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
}

static void only_who_wants_it_is_tested(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(ALL);
    options.program = NO_PROGRAM;
    check_ok(selftest_before_training(&options)); // no GPU, and nobody asks
    assert_int_equal(setenv("ADELE_SELFTEST", "off", 1), 0);
    check_ok(selftest_before_training(&options));
    assert_int_equal(setenv("ADELE_SELFTEST", "on", 1), 0);
    assert_int_equal(selftest_before_training(&options), ADELE_IO);
    options.device = "cpu";
    check_ok(selftest_before_training(&options));
    struct selftest_result result;
    assert_int_equal(selftest_run(&options, &result), ADELE_UNSUPPORTED);
}

static void a_verdict_is_heeded(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    const struct verdict verdict = {true, BIT(conv2d_fma) | BIT(max_pool)};
    const struct adele_conv2d_desc desc = {.n = 1,
                                           .c_in = 16,
                                           .h_in = 8,
                                           .w_in = 8,
                                           .c_out = 16,
                                           .kernel = 3,
                                           .stride = 1,
                                           .pad = 1,
                                           .dilation = 1};
    static const char *const engines[] = {"direct: fma fp32 128x32", "direct: plain fp32"};
    for (int i = 0; i < 2; i++) {
        struct adele_device *device = NULL;
        struct adele_op *op = NULL;
        check_ok(adele_device_open("simt", ADELE_PRECISION_FP32, &device));
        check_ok(device->iface->conv2d_create(device, &desc, &op));
        assert_string_equal(op->engine, engines[i]);
        device->iface->op_destroy(op);
        adele_device_close(device);
        verdict_put("simt", &verdict);
    }
    assert_int_equal(setenv("ADELE_SELFTEST", "off", 1), 0);
    struct adele_device *device = NULL;
    check_ok(adele_device_open("simt", ADELE_PRECISION_FP32, &device));
    assert_true(device->disabled_families == 0);
    adele_device_close(device);
}

// With TF32 the next best of tensor cores is float; without packed weights a pass packs its own.
static void the_next_best_is_taken(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    const struct adele_conv2d_desc desc = {.n = 1,
                                           .c_in = 16,
                                           .h_in = 8,
                                           .w_in = 8,
                                           .c_out = 16,
                                           .kernel = 3,
                                           .stride = 1,
                                           .pad = 1,
                                           .dilation = 1,
                                           .precision = ADELE_PRECISION_TF32};
    const struct {
        uint64_t left_out;
        const char *engine;
        bool is_packed;
    } rows[] = {{0, "direct: mma tf32 128x32", true},
                {BIT(conv2d_mma), "direct: fma fp32 128x32", true},
                {BIT(conv2d_mma) | BIT(conv2d_fma), "direct: plain fp32", false},
                {BIT(pack), "direct: mma tf32 128x32", false}};
    struct adele_device *device = NULL;
    check_ok(adele_device_open("simt", ADELE_PRECISION_FP32, &device));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct adele_op *op = NULL;
        device->disabled_families = rows[i].left_out;
        check_ok(device->iface->conv2d_create(device, &desc, &op));
        assert_string_equal(op->engine, rows[i].engine);
        assert_int_equal(op->packed_bytes > 0, rows[i].is_packed);
        device->iface->op_destroy(op);
    }
    struct adele_op *op = NULL;
    device->disabled_families = BIT(conv2d_mma) | BIT(conv2d_fma) | BIT(conv2d_plain);
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_DEVICE);
    assert_null(op);
    assert_non_null(strstr(adele_error_message(), "'conv2d_plain'"));
    assert_non_null(strstr(adele_error_hint(), "--device cpu"));
    adele_device_close(device);
}

static void a_crash_ends_the_child_alone(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(BIT(add) | BIT(max_pool) | BIT(count));
    struct selftest_result result;
    plant("crash:max_pool.cu:pool_backward_halves");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == BIT(max_pool));
    assert_true(result.tested == options.only);
    assert_int_equal(result.n_findings, 1);
    assert_int_equal(result.findings[0].fault, SELFTEST_CRASHED);
    assert_string_equal(result.findings[0].text, "max_pool, fp32");
    struct verdict verdict;
    assert_false(verdict_find("simt", &verdict)); // part of the families is no verdict
}

// Ended after ten seconds; nothing else of this child could take so long.
static void a_hang_is_ended(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(BIT(concat));
    struct selftest_result result;
    options.stall_seconds = 10.0;
    plant("hang:concat.cu:concat_forward_kernel<T, true");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == BIT(concat));
    assert_int_equal(result.findings[0].fault, SELFTEST_HUNG);
}

// A library that crashes or hangs ends its child alone, and from then on no engine takes it.
static void a_faulty_library_is_left_out(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(BIT(cublas) | BIT(cudnn));
    struct selftest_result result;
    install_libraries();
    plant("crash:cudnn:execute");
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == BIT(cudnn));
    assert_int_equal(result.findings[0].fault, SELFTEST_CRASHED);
    plant("hang:cublas:gemm");
    options.only = BIT(cublas);
    options.stall_seconds = 10.0;
    check_ok(selftest_run(&options, &result));
    assert_true(result.is_complete);
    assert_true(result.left_out == BIT(cublas));
    assert_int_equal(result.findings[0].fault, SELFTEST_HUNG);

    const struct adele_conv2d_desc desc = {.n = 1,
                                           .c_in = 16,
                                           .h_in = 8,
                                           .w_in = 8,
                                           .c_out = 16,
                                           .kernel = 3,
                                           .stride = 1,
                                           .pad = 1,
                                           .dilation = 1};
    static const char *const engines[] = {"dst cudnn, d_src none, d_weight none",
                                          "direct: fma fp32 128x32"};
    const struct verdict verdict = {true, BIT(cudnn)};
    for (int i = 0; i < 2; i++) {
        struct adele_device *device = NULL;
        struct adele_op *op = NULL;
        check_ok(adele_device_open("simt/cudnn", ADELE_PRECISION_FP32, &device));
        check_ok(device->iface->conv2d_create(device, &desc, &op));
        assert_string_equal(op->engine, engines[i]);
        device->iface->op_destroy(op);
        adele_device_close(device);
        verdict_put("simt", &verdict);
    }
}

static void time_that_is_up_leaves_the_rest_for_later(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct selftest_options options = options_of(ALL);
    struct selftest_result result;
    struct verdict verdict = {false, BIT(crf)};
    verdict_put("simt", &verdict);
    options.seconds = 1e-9;
    check_ok(selftest_run(&options, &result));
    assert_false(result.is_complete);
    assert_true(verdict_find("simt", &verdict));
    assert_true(!verdict.is_complete && verdict.left_out == BIT(crf)); // still known
}

// ---- the command line ---------------------------------------------------------------------------

static void train(void *const *state, const char *run, struct program_result *result) {
    char config[4096], folder[4096];
    (void)snprintf(config, sizeof config, "%s", scratch_path(state, "tiny.yaml"));
    (void)snprintf(folder, sizeof folder, "%s", scratch_path(state, run));
    const char *const argv[] = {SELF,
                                "train",
                                config,
                                "--run",
                                folder,
                                "--device",
                                "simt",
                                "--set",
                                "train.epochs=1",
                                "--set",
                                "loss.form=plain",
                                "--set",
                                "correction.enabled=false",
                                NULL};
    program_run(argv, result);
}

// The kernel stays planted: a training that launched it would crash.
static void training_goes_on_with_the_next_best(void **state) {
    SKIP_WITHOUT_EMULATOR();
    struct program_result result;
    assert_int_equal(setenv("ADELE_SELFTEST", "600", 1), 0); // seconds
    plant("crash:conv2d_fma.cu:fma_kernel");
    train(state, "first", &result);
    if (result.code != 0)
        fail_msg("exit code %d\n%.900s", result.code, result.err);
    assert_int_equal(count_of(result.err, "'conv2d_fma' are left out, for they crashed"), 1);
    assert_int_equal(count_of(result.err, "warning: "), 1);
    program_result_deinit(&result);
    char *text = NULL;
    size_t bytes = 0;
    check_ok(file_read(scratch_path(state, "first/config.resolved.yaml"), 0, &text, &bytes));
    assert_non_null(strstr(text, "engine direct without conv2d_fma"));
    memory_free(text);
    // Once: the verdict is there, and named again.
    train(state, "second", &result);
    assert_int_equal(result.code, 0);
    assert_int_equal(count_of(result.out, "once, at most"), 0);
    assert_int_equal(count_of(result.err, "that it found faulty are left out: conv2d_fma"), 1);
    program_result_deinit(&result);
    const char *const info[] = {SELF, "info", "--device", "simt", NULL};
    program_run(info, &result);
    assert_non_null(strstr(result.out, "leaves out faulty kernels: conv2d_fma\n"));
    program_result_deinit(&result);
}

static void training_without_a_needed_kernel_is_refused(void **state) {
    SKIP_WITHOUT_EMULATOR();
    const struct verdict verdict = {true, BIT(sgd)};
    struct program_result result;
    verdict_put("simt", &verdict);
    train(state, "refused", &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "found the kernels 'sgd' faulty"));
    assert_non_null(strstr(result.err, "hint: Use --device cpu."));
    program_result_deinit(&result);
}

static void the_verb_prints_what_it_found(void **state) {
    SKIP_WITHOUT_EMULATOR();
    (void)state;
    struct program_result result;
    plant("wrong:decide.cu:decide_kernel");
    const char *const argv[] = {SELF,     "selftest",     "--device", "simt",
                                "--only", "decide,count", NULL};
    program_run(argv, &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.out, "wrong    decide: decide, fp32: "));
    assert_non_null(strstr(result.out, "2 kernel families tested, 1 left out: decide\n"));
    program_result_deinit(&result);
    const char *const cpu[] = {SELF, "selftest", "--device", "cpu", NULL};
    program_run(cpu, &result);
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "there is no GPU of that name"));
    program_result_deinit(&result);
    const char *const typo[] = {SELF, "selftest", "--only", "conv2", NULL};
    program_run(typo, &result);
    assert_int_equal(result.code, 2);
    assert_non_null(strstr(result.err, "conv2d_mma"));
    program_result_deinit(&result);
}

int main(int argc, char **argv) {
    simt_devices_provide();
    if (argc > 1 && cli_verb_find(argv[1]) != NULL)
        return adele_main(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_test, teardown_test)
    const struct CMUnitTest tests[] = {
        TEST(families_are_named),
        TEST(every_op_has_a_family_and_a_case),
        TEST(a_verdict_is_kept),
        TEST(a_kernel_that_is_wrong_is_found),
        TEST(the_others_are_not_blamed),
        TEST(the_networks_shapes_are_run),
        TEST(correct_libraries_pass),
        TEST(a_library_that_fails_is_found),
        TEST(correct_kernels_pass_once),
        TEST(only_who_wants_it_is_tested),
        TEST(a_verdict_is_heeded),
        TEST(the_next_best_is_taken),
        TEST(a_crash_ends_the_child_alone),
        TEST(a_hang_is_ended),
        TEST(a_faulty_library_is_left_out),
        TEST(time_that_is_up_leaves_the_rest_for_later),
        TEST(training_goes_on_with_the_next_best),
        TEST(training_without_a_needed_kernel_is_refused),
        TEST(the_verb_prints_what_it_found),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
