// SPDX-License-Identifier: MIT
// Which engine a convolution gets where there are libraries, on the emulator with its stand-ins of
// them. What the engines compute is in test_conv2d.
#include "base/file.h"
#include "base/memory.h"
#include "runtime/cuda_device.h"
#include "support/devices.h"
#include "support/scratch.h"
#ifdef ADELE_HAVE_SIMT
#include "simt/simt_libraries.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef ADELE_HAVE_SIMT
static struct adele_device *open_engine(enum cuda_engine engine, enum adele_precision precision) {
    struct cuda_options options = {0, precision, engine};
    struct adele_device *device = NULL;
    if (simt_device_create(&options, &device) != ADELE_OK)
        fail_msg("%s", adele_error_message());
    return device;
}

// The engine of a convolution on a device that is opened for it.
static void engine_of(enum cuda_engine engine, enum adele_precision precision, int kernel,
                      int stride, char text[128]) {
    struct adele_device *device = open_engine(engine, precision);
    struct adele_conv2d_desc desc = {.n = 1,
                                     .c_in = 9,
                                     .h_in = 16,
                                     .w_in = 16,
                                     .c_out = 8,
                                     .kernel = kernel,
                                     .stride = stride,
                                     .pad = kernel / 2,
                                     .dilation = 1,
                                     .has_bias = true,
                                     .needs_d_src = true,
                                     .is_training = true,
                                     .precision = precision};
    struct adele_op *op = NULL;
    assert_int_equal(device->iface->conv2d_create(device, &desc, &op), ADELE_OK);
    (void)strncpy(text, op->engine, 127);
    text[127] = '\0';
    device->iface->op_destroy(op);
    adele_device_close(device);
}

static void install(const struct simt_libraries libraries) {
    simt_libraries_install(&libraries);
}

// The file that the engine auto remembers its choices in; "" when there is none.
static char *read_cache(void **state) {
    const char *path = scratch_path(state, "adele/engines.txt");
    char *text = NULL;
    size_t bytes = 0;
    if (!file_exists(path))
        return memory_strdup("");
    assert_int_equal(file_read(path, 0, &text, &bytes), ADELE_OK);
    return text;
}

static bool is_remembered(void **state, const char *pass) {
    char *text = read_cache(state), *key = memory_printf("conv2d %s,", pass);
    bool is_there = strstr(text, key) != NULL;
    memory_free(key);
    memory_free(text);
    return is_there;
}

// ---- finding them -------------------------------------------------------------------------------

static void what_is_missing_is_said(void **state) {
    (void)state;
    static const struct cuda_options cudnn = {0, ADELE_PRECISION_FP32, CUDA_ENGINE_CUDNN};
    struct adele_device *device = open_engine(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32);
    assert_non_null(strstr(device->missing, "libcublas.so.13 (ADELE_CUBLAS may name its file)"));
    assert_non_null(strstr(device->missing, "libcudnn.so.9 (ADELE_CUDNN may name its file)"));
    adele_device_close(device);
    assert_int_equal(simt_device_create(&cudnn, &device), ADELE_UNSUPPORTED);
    assert_null(device);
    assert_non_null(strstr(adele_error_message(), "libcudnn.so.9"));
    assert_non_null(strstr(adele_error_hint(), "ADELE_CUDNN"));

    device = open_engine(CUDA_ENGINE_DIRECT, ADELE_PRECISION_FP32); // looks for none
    assert_string_equal(device->missing, "");
    adele_device_close(device);
    install((struct simt_libraries){.has_cublas = true, .has_cudnn = true});
    device = open_engine(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32);
    assert_string_equal(device->missing, "");
    adele_device_close(device);
}

static void a_file_is_named_in_the_environment(void **state) {
    (void)state;
    static const struct cuda_options cudnn = {0, ADELE_PRECISION_FP32, CUDA_ENGINE_CUDNN};
    struct adele_device *device = NULL;
    install((struct simt_libraries){.has_cudnn = true, .cudnn_path = "/wheel/libcudnn.so.9"});
    assert_int_equal(simt_device_create(&cudnn, &device), ADELE_UNSUPPORTED);
    setenv("ADELE_CUDNN", "/elsewhere/libcudnn.so.9", 1);
    assert_int_equal(simt_device_create(&cudnn, &device), ADELE_UNSUPPORTED);
    assert_non_null(strstr(adele_error_message(), "/elsewhere/libcudnn.so.9"));
    setenv("ADELE_CUDNN", "/wheel/libcudnn.so.9", 1);
    adele_device_close(open_engine(CUDA_ENGINE_CUDNN, ADELE_PRECISION_FP32));
    unsetenv("ADELE_CUDNN");
}

// ---- choosing -----------------------------------------------------------------------------------

// ResNet's stem of 7 x 7, and kernels with more taps than our tuned kernels take.
static void large_kernels_are_taken(void **state) {
    (void)state;
    char engine[128];
    install((struct simt_libraries){.has_cudnn = true});
    for (int kernel = 1; kernel <= 11; kernel += 2) {
        engine_of(CUDA_ENGINE_CUDNN, ADELE_PRECISION_FP32, kernel, 2, engine);
        assert_string_equal(engine, "dst cudnn, d_src cudnn, d_weight cudnn");
    }
    // Beyond, our own kernel cannot bring the weights into cuDNN's order.
    engine_of(CUDA_ENGINE_CUDNN, ADELE_PRECISION_FP32, 21, 2, engine);
    assert_string_equal(engine, "direct: plain fp32");
}

static void choices_are_remembered(void **state) {
    char engine[128], again[128];
    install((struct simt_libraries){.has_cublas = true, .has_cudnn = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32, 1, 1, engine);
    assert_true(simt_libraries_count() > 0);
    assert_true(is_remembered(state, "dst") && is_remembered(state, "d_src") &&
                is_remembered(state, "d_weight"));
    install((struct simt_libraries){.has_cublas = true, .has_cudnn = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32, 1, 1, again);
    assert_string_equal(again, engine);
    assert_int_equal(simt_libraries_count(), 0); // nothing was measured
}

static void failures_are_not_remembered(void **state) {
    char engine[128];
    install((struct simt_libraries){.has_cublas = true, .has_cudnn = true, .fails = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32, 1, 1, engine);
    assert_true(simt_libraries_count() > 0); // they were tried
    assert_non_null(strstr(engine, "direct"));
    assert_false(is_remembered(state, "dst") || is_remembered(state, "d_src") ||
                 is_remembered(state, "d_weight"));
    install((struct simt_libraries){.has_cublas = true, .has_cudnn = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_FP32, 1, 1, engine);
    assert_true(simt_libraries_count() > 0); // and are again
    assert_true(is_remembered(state, "d_weight"));
}

// Where cuDNN can only round the gradient of bf16 weights, auto does not let it race at all.
static void no_race_decides_how_exact_a_gradient_is(void **state) {
    char engine[128];
    install((struct simt_libraries){.has_cudnn = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_BF16, 3, 1, engine);
    assert_null(strstr(engine, "d_weight cudnn"));
    assert_true(is_remembered(state, "dst"));
    assert_false(is_remembered(state, "d_weight"));
    engine_of(CUDA_ENGINE_CUDNN, ADELE_PRECISION_BF16, 3, 1, engine); // asked for by name
    assert_non_null(strstr(engine, "d_weight cudnn"));
    install((struct simt_libraries){.has_cudnn = true, .has_float_filter = true});
    engine_of(CUDA_ENGINE_AUTO, ADELE_PRECISION_BF16, 3, 1, engine);
    assert_true(is_remembered(state, "d_weight"));
}

static int setup(void **state) {
    if (scratch_setup(state) != 0)
        return -1;
    setenv("XDG_CACHE_HOME", scratch_path(state, "."), 1);
    unsetenv("ADELE_CUDNN");
    unsetenv("ADELE_CUBLAS");
    simt_libraries_install(NULL);
    return 0;
}

static int teardown(void **state) {
    simt_libraries_install(NULL);
    return scratch_teardown(state);
}
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#else
static void without_emulator(void **state) {
    (void)state;
    print_message("this build has no emulator\n");
    skip();
}
#endif

int main(void) {
#ifdef ADELE_HAVE_SIMT
    const struct CMUnitTest tests[] = {
        CASE(what_is_missing_is_said),     CASE(a_file_is_named_in_the_environment),
        CASE(large_kernels_are_taken),     CASE(choices_are_remembered),
        CASE(failures_are_not_remembered), CASE(no_race_decides_how_exact_a_gradient_is),
    };
#else
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_emulator)};
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
