// SPDX-License-Identifier: MIT
// Two epochs of ADELE, with a correction at the end of each, on the CUDA sources under emulation
// (with ADELE_TEST_DEVICES=cuda on a GPU, or on nvcc's PTX as it is interpreted by tests/ptx):
// the same run as the CPU's but for rounding, and the same bytes when it is repeated with the
// images in the host's memory. From each kind of step's second time on, it is a captured graph. A
// category needs three values of its curve, so that the run first goes through three epochs on the
// CPU.
//
// Forward passes agree as closely as sums of floats do, whatever their order. Gradients do not: a
// difference of 1e-7 carries a few of the million units of a run over the edge of a ReLU or of a
// pooling window, and switches their gradients on or off. At a usual rate such steps lead the two
// runs apart further and further, by an amount that depends on the CPU's order of sums and so on
// its instruction set. So the two epochs have a rate that hardly moves the weights: what the passes
// compute is compared closely, and the gradients in the momenta that they add up to, with room for
// units that switch.
#include "base/file.h"
#include "base/safetensors.h"
#include "runtime/cuda_device.h"
#include "support/compare.h"
#include "support/scratch.h"
#include "support/simt_devices.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIRST_EPOCH 4 // on the device in question
#define LAST_EPOCH  5

// Of the passes, and of weights and running statistics, which follow them: twenty times what sums
// of floats in two orders were off by, with either instruction set.
#define TOLERANCE 1e-4
// Of a tensor's momenta, which were up to 1.4e-3 off with either set. A unit that switches is one
// of thousands that make up a gradient, and of the few hundred of the lowest level at worst: it
// moves a layer's gradient by a per cent. What is wrong (a scale's gradient is missing, a momentum
// is not applied) is off by a third and more.
#define TOLERANCE_MOMENTA 0.1
// A pixel whose two best categories, or whose confidence and the threshold, are 1e-6 apart may be
// labelled and counted otherwise: of the 6,144 pixels hardly ever one, and never a handful. One
// pixel in a category's union of a hundred or more is 0.01 of its IoU.
#define MAX_PIXELS    4
#define TOLERANCE_IOU 0.02

// The device of the runs "simt" and "again"; NULL when this build has none.
static const char *device_name(void) {
    const char *kind = getenv("ADELE_TEST_DEVICES");
#ifdef ADELE_HAVE_CUDA
    if (kind != NULL && strcmp(kind, "cuda") == 0)
        return cuda_device_count() > 0 ? "cuda/direct" : NULL;
#endif
    (void)kind;
#ifdef ADELE_HAVE_SIMT
    return "simt";
#else
    return NULL;
#endif
}

#ifdef ADELE_HAVE_SIMT
long simt_graph_launches(void); // of the emulator
#else
static long simt_graph_launches(void) {
    return 0;
}
#endif
static long n_graphs; // of the run "simt"

static void train(void *const *state, const char *name, const char *device, const char *epochs,
                  const char *residency, bool resume) {
    const char *rate = resume ? "train.optimizer.lr=1e-5" : "train.optimizer.lr=0.1";
    // So that the momenta are those of the steps on the device, not of the epochs before.
    const char *momentum = resume ? "train.optimizer.momentum=0.5" : "train.optimizer.momentum=0.9";
    struct config *config =
        tiny_run_config(state, SETS(epochs, residency, "train.evaluate_test=false", rate, momentum,
                                    "correction.tau=0.4", "loss.rho=0.3")); // the consistency acts
    struct trainer_result result;
    struct trainer_options options = {.config = config,
                                      .run_folder = scratch_path(state, name),
                                      .resume = resume,
                                      .device = device};
    // A run does not go on with another rate, unless nobody knows what its rate was.
    char settings[4096];
    (void)snprintf(settings, sizeof settings, "%s/config.resolved.yaml", options.run_folder);
    if (resume)
        assert_int_equal(remove(settings), 0);
    check_ok(trainer_run(&options, &result));
    config_destroy(config);
}

// Three epochs on the CPU, and two on the device.
static void train_both(void *const *state, const char *name, const char *device,
                       const char *residency) {
    train(state, name, "cpu", "train.epochs=3", "data.residency=device", false);
    train(state, name, device, "train.epochs=5", residency, true);
}

static int setup(void **state) {
    *state = NULL;
    if (device_name() == NULL)
        return 0;
    simt_devices_provide();
    if (scratch_setup(state) != 0)
        return -1;
    struct tiny_set set = tiny_set_default(3);
    set.n_train = 6; // a batch of four and one of two
    set.n_val = set.n_test = 1;
    set.height = set.width = 32;
    set.noise_px = 2;
    tiny_set_write(scratch_path(state, "set"), &set);
    train_both(state, "cpu", "cpu", "data.residency=device");
    train_both(state, "simt", device_name(), "data.residency=device");
    n_graphs = simt_graph_launches();
    return 0;
}

static int teardown(void **state) {
    adele_device_provide("simt", NULL);
    return *state != NULL ? scratch_teardown(state) : 0;
}

static void skip_without_device(void **state) {
    if (*state == NULL) {
        print_message("no GPU here, or a build without an emulator\n");
        skip();
    }
}

static struct safetensors *open_last(void *const *state, const char *run) {
    char name[64];
    struct safetensors *file = NULL;
    (void)snprintf(name, sizeof name, "%s/checkpoints/last.safetensors", run);
    check_ok(safetensors_open(scratch_path(state, name), &file));
    return file;
}

static void corrected_labels_agree(void **state) {
    skip_without_device(state);
    for (int epoch = FIRST_EPOCH; epoch <= LAST_EPOCH; epoch++) {
        double got = tiny_run_metric(state, "simt", epoch, "correction/changed_pixels");
        double want = tiny_run_metric(state, "cpu", epoch, "correction/changed_pixels");
        bool is_enough = epoch > FIRST_EPOCH || want > 10.0 * MAX_PIXELS;
        if (!is_enough || !(fabs(got - want) <= MAX_PIXELS))
            fail_msg("epoch %d: %g pixels changed on the CPU, %g on the device", epoch, want, got);
    }
    struct safetensors *cpu = open_last(state, "cpu"), *simt = open_last(state, "simt");
    const struct safetensors_entry *want = safetensors_find(cpu, "labels");
    const struct safetensors_entry *got = safetensors_find(simt, "labels");
    int n_other = 0;
    assert_int_equal(got->bytes, want->bytes);
    for (size_t i = 0; i < want->bytes; i++)
        n_other += ((const uint8_t *)got->data)[i] != ((const uint8_t *)want->data)[i];
    assert_in_range(n_other, 0, MAX_PIXELS);
    safetensors_close(cpu);
    safetensors_close(simt);
}

static void numbers_agree(void **state) {
    static const struct {
        const char *name;
        double tolerance;
    } numbers[] = {{"train/loss", TOLERANCE},
                   {"train/cross_entropy", TOLERANCE},
                   {"train/consistency", TOLERANCE},
                   {"train/pred_vs_noisy/miou", TOLERANCE_IOU},
                   {"val/pred_vs_true/miou", TOLERANCE_IOU}};
    skip_without_device(state);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        for (int epoch = FIRST_EPOCH; epoch <= LAST_EPOCH; epoch++) {
            double want = tiny_run_metric(state, "cpu", epoch, numbers[i].name);
            double got = tiny_run_metric(state, "simt", epoch, numbers[i].name);
            assert_true(want > 0.0);
            print_message("%s: off by %g\n", numbers[i].name, fabs(got - want) / want);
            if (!(fabs(got - want) <= numbers[i].tolerance * want))
                fail_msg("epoch %d, %s: %.9g on the CPU, %.9g on the device", epoch,
                         numbers[i].name, want, got);
        }
}

static double norm_of(const struct safetensors_entry *entry) {
    const float *values = entry->data;
    double squares = 0.0;
    for (int64_t i = 0; i < entry->n_elements; i++)
        squares += (double)values[i] * (double)values[i];
    return sqrt(squares);
}

// The largest norm of those of the group of tensors, model. or momentum.
static double largest_norm(const struct safetensors *file, const char *group) {
    double largest = 0.0;
    for (int i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_entry *entry = safetensors_at(file, i);
        if (strncmp(entry->name, group, strlen(group)) == 0 && entry->dtype == SAFETENSORS_F32)
            largest = fmax(largest, norm_of(entry));
    }
    return largest;
}

// Each tensor of the group, of whose norm the difference is at most `tolerance`, or of a hundredth
// of the largest one's: the gradient of a bias in front of a batch norm is nothing but roundings.
static void tensors_agree(void *const *state, const char *group, double tolerance) {
    struct safetensors *cpu = open_last(state, "cpu"), *simt = open_last(state, "simt");
    double floor_norm = 0.01 * largest_norm(cpu, group), worst = 0.0;
    int n_compared = 0;
    assert_int_equal(safetensors_count(simt), safetensors_count(cpu));
    for (int i = 0; i < safetensors_count(cpu); i++) {
        const struct safetensors_entry *want = safetensors_at(cpu, i);
        const struct safetensors_entry *got = safetensors_find(simt, want->name);
        if (strncmp(want->name, group, strlen(group)) != 0 || want->dtype != SAFETENSORS_F32)
            continue;
        assert_non_null(got);
        assert_int_equal(got->n_elements, want->n_elements);
        double norm = norm_of(want);
        double error = compare_relative_l2(got->data, want->data, (size_t)want->n_elements) *
                       (norm > 0.0 ? norm : 1.0) / fmax(norm, floor_norm);
        if (!(error <= tolerance))
            fail_msg("%s: off by %g of its norm", want->name, error);
        worst = fmax(worst, error);
        n_compared++;
    }
    print_message("%d tensors of %s: off by %g at worst\n", n_compared, group, worst);
    assert_true(n_compared > 20);
    safetensors_close(cpu);
    safetensors_close(simt);
}

static void weights_agree(void **state) {
    skip_without_device(state);
    tensors_agree(state, "model.", TOLERANCE);
}

static void gradients_agree(void **state) {
    skip_without_device(state);
    tensors_agree(state, "momentum.", TOLERANCE_MOMENTA);
}

// Each kind of step (a full batch, the last one) is run launch by launch once, and captured in the
// second epoch: whatever a capture forbids would have ended the run.
static void assert_graphs(long n) {
    const char *name = device_name(); // NULL in a build without an emulator
    if (name != NULL && strcmp(name, "simt") == 0)
        assert_int_equal(n, 2);
}

static void later_steps_are_graphs(void **state) {
    skip_without_device(state);
    assert_graphs(n_graphs);
}

static void a_second_run_with_images_on_the_host_is_the_same(void **state) {
    skip_without_device(state);
    long n_before = simt_graph_launches();
    train_both(state, "again", device_name(), "data.residency=host");
    assert_graphs(simt_graph_launches() - n_before);
    tiny_run_assert_same(state, "simt", "again");
}

// The averaged weights and the ensemble, whose maps and images lie on the device and on the host:
// the labels are corrected after the first epoch, and the steps of the second one are graphs.
static void an_ensemble_is_the_same_from_the_host(void **state) {
    static const char *const names[] = {"ensemble", "ensemble-host"};
    skip_without_device(state);
    for (int i = 0; i < 2; i++) {
        struct config *config = tiny_run_config(
            state, SETS("train.epochs=2", "correction.method=ensemble", "correction.at=0.5",
                        "correction.gate=false", "loss.form=plain",
                        i ? "data.residency=host" : "data.residency=device"));
        struct trainer_result result;
        struct trainer_options options = {
            .config = config, .run_folder = scratch_path(state, names[i]), .device = device_name()};
        check_ok(trainer_run(&options, &result));
        config_destroy(config);
    }
    assert_true(tiny_run_metric(state, names[0], 1, "correction/changed_pixels") > 0.0);
    tiny_run_assert_same(state, names[0], names[1]);
}

// The CPU run's model with a NaN among the weights of one convolution.
static void write_spoiled(void *const *state, const char *spoiled, const char *path) {
    struct safetensors *file = open_last(state, "cpu");
    struct safetensors_writer *writer = NULL;
    float weight[4096];
    bool is_found = false;
    check_ok(safetensors_writer_create(&writer));
    check_ok(safetensors_writer_metadata(writer, "adele.format", "1"));
    for (int i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_entry *entry = safetensors_at(file, i);
        const void *data = entry->data;
        if (strncmp(entry->name, "model.", 6) != 0)
            continue;
        if (strcmp(entry->name + 6, spoiled) == 0) {
            assert_true(entry->bytes <= sizeof weight);
            memcpy(weight, data, entry->bytes);
            weight[7] = NAN;
            data = weight;
            is_found = true;
        }
        check_ok(safetensors_writer_add(writer, entry->name, entry->dtype, entry->n_dimensions,
                                        entry->shape, data));
    }
    assert_true(is_found);
    check_ok(safetensors_writer_save(writer, path));
    safetensors_writer_destroy(writer);
    safetensors_close(file);
}

// The record of the updates lies in pinned memory here, and the device stays out of later ones.
static void a_step_that_is_not_finite_is_named(void **state) {
    skip_without_device(state);
    char init[4200], path[4096];
    (void)snprintf(path, sizeof path, "%s", scratch_path(state, "spoiled.safetensors"));
    (void)snprintf(init, sizeof init, "model.init=%s", path);
    write_spoiled(state, "down2.maxpool_conv.1.double_conv.0.weight", path);
    struct config *config = tiny_run_config(state, SETS(init, "train.evaluate_test=false"));
    struct trainer_result result;
    struct trainer_options options = {
        .config = config, .run_folder = scratch_path(state, "spoiled"), .device = device_name()};
    assert_int_equal(trainer_run(&options, &result), ADELE_NUMERIC);
    assert_string_equal(
        adele_error_message(),
        "epoch 1, step 1 of 2: the output of 'down2.maxpool_conv.1.double_conv.0' is not "
        "finite because 'down2.maxpool_conv.1.double_conv.0.weight' is not (scale 1)");
    config_destroy(config);
}

int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); // test_simt_run '*_agree': what compares with the CPU
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corrected_labels_agree),
        cmocka_unit_test(numbers_agree),
        cmocka_unit_test(weights_agree),
        cmocka_unit_test(gradients_agree),
        cmocka_unit_test(a_second_run_with_images_on_the_host_is_the_same),
        cmocka_unit_test(later_steps_are_graphs),
        cmocka_unit_test(an_ensemble_is_the_same_from_the_host),
        cmocka_unit_test(a_step_that_is_not_finite_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
