// SPDX-License-Identifier: MIT
// Corrections by several ranks give the labels, counts and scores of one process, byte by byte.
// This program is its own rank: with arguments it corrects the set once, writes what came out, and
// ends. The networks are not trained: which pixels change does not matter.
#include "correction/label_exchange.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "correction/correction_adele.h"
#include "ranks/image_owner.h"
#include "run/evaluator.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { EPOCH = 5, MAP = 32 * 28, N_LOSS_SCALES = 2, MOST_SETS = 12 };

// ---- in a rank ----------------------------------------------------------------------------------

struct rank {
    struct config *config;
    struct adele_device *device;
    struct run_data data;
    struct network *network;
    struct epoch_plan epochs;
    struct corrector corrector;
    struct evaluator evaluator;
    struct buffer found; // what the ranks must agree on
};

static void rank_open(struct rank *rank, struct ranks *ranks, const char *root,
                      const char *const *sets, int n_sets) {
    char noisy[4096];
    struct network_config network;
    (void)snprintf(noisy, sizeof noisy, "%s/noisyTr", root);
    char *text = tiny_set_config(root, noisy);
    REQUIRE_OK(config_parse("tiny.yaml", text, strlen(text), n_sets, sets, &rank->config));
    memory_free(text);
    REQUIRE_OK(adele_device_open("cpu", ADELE_PRECISION_FP32, &rank->device));
    REQUIRE_OK(run_data_load(&rank->data, rank->config, rank->device, ranks));
    config_network(rank->config, &network);
    network.n_channels = 1;
    network.n_categories = rank->data.n_categories;
    REQUIRE_OK(network_create(rank->device, &network, &rank->network));
    epoch_plan_init(&rank->epochs, rank->config, rank->data.images[SPLIT_TRAIN].n,
                    rank->config->train.batch, false);
    const struct corrector_options options = {rank->network, &rank->epochs, N_LOSS_SCALES};
    REQUIRE_OK(corrector_init(&rank->corrector, &rank->data, &options));
    REQUIRE_OK(evaluator_init(&rank->evaluator, &rank->data, rank->network, rank->epochs.batch));
    REQUIRE_OK(network_allocate(rank->network));
}

// Larger weights, with which an untrained network predicts all classes, with some confidence.
static void enlarge_weights(struct rank *rank) {
    size_t n = (size_t)network_graph(rank->network)->n_weights;
    float *device = network_writable_weights(rank->network), *host = calloc(n, sizeof *host);
    REQUIRE(host != NULL);
    REQUIRE_OK(rank->device->iface->download(rank->device, host, device, n * sizeof *host));
    for (size_t i = 0; i < n; i++)
        host[i] *= 2.5f;
    REQUIRE_OK(rank->device->iface->upload(rank->device, device, host, n * sizeof *host));
    REQUIRE_OK(network_pack(rank->network));
    free(host);
}

static void rank_close(struct rank *rank) {
    buffer_deinit(&rank->found);
    evaluator_deinit(&rank->evaluator);
    corrector_deinit(&rank->corrector);
    network_destroy(rank->network);
    run_data_deinit(&rank->data);
    adele_device_close(rank->device);
    config_destroy(rank->config);
}

static void keep(struct rank *rank, const void *block, size_t bytes) {
    REQUIRE_OK(buffer_add(&rank->found, block, bytes));
}

static void keep_of_device(struct rank *rank, const void *block, size_t bytes) {
    void *host = malloc(bytes);
    REQUIRE(host != NULL);
    REQUIRE_OK(rank->device->iface->download(rank->device, host, block, bytes));
    keep(rank, host, bytes);
    free(host);
}

// Labels as earlier corrections may have left them: each tenth pixel of the noisy ones is another
// class, or 255.
static void change_labels(struct rank *rank) {
    static const uint8_t labels[] = {0, 1, 2, 255};
    struct resident *train = &rank->data.resident[SPLIT_TRAIN];
    size_t n = resident_map_bytes(train);
    uint8_t *host = malloc(n);
    struct random_stream stream;
    REQUIRE(host != NULL);
    random_stream_init(&stream, 1, RANDOM_TEST, 0, 0);
    REQUIRE_OK(rank->device->iface->download(rank->device, host, train->labels, n));
    for (size_t k = 0; k < n; k++)
        if (random_below(&stream, 10) == 0)
            host[k] = labels[random_below(&stream, 4)];
    REQUIRE_OK(rank->device->iface->upload(rank->device, train->labels, host, n));
    free(host);
}

// Of each image as if the rank that owns it had trained on it. A rank has something else of the
// images of others: what it predicted itself some epochs ago.
static void draw_predictions(struct rank *rank, const int *owners) {
    const struct prediction *prediction = &rank->corrector.rewriter.prediction;
    const struct adele_device *device = rank->device;
    for (int i = 0; i < prediction->n; i++) {
        bool is_mine = owners[i] == ranks_index(rank->data.ranks);
        uint8_t category[MAP];
        float confidence[2][MAP];
        struct random_stream stream;
        random_stream_init(&stream, is_mine ? 2 : 3, RANDOM_TEST, 0, (uint32_t)i);
        for (int k = 0; k < MAP; k++) {
            category[k] = (uint8_t)random_below(&stream, 3);
            confidence[0][k] = (float)random_uniform(&stream);
            confidence[1][k] = 1.0f - confidence[0][k];
        }
        size_t at = (size_t)i * MAP;
        REQUIRE_OK(device->iface->upload(device, prediction->category + at, category, MAP));
        REQUIRE_OK(device->iface->upload(device, prediction->confidence_foreground + at,
                                         confidence[0], sizeof confidence[0]));
        REQUIRE_OK(device->iface->upload(device, prediction->confidence_background + at,
                                         confidence[1], sizeof confidence[1]));
    }
}

// What the training pass leaves on this rank; all of it gathered, as for a checkpoint; and again.
static void predict(struct rank *rank) {
    const struct prediction *prediction = &rank->corrector.rewriter.prediction;
    const struct epoch_plan *epochs = &rank->epochs;
    size_t n_pixels = (size_t)prediction->n * MAP;
    int *owners = calloc((size_t)prediction->n, sizeof *owners);
    const struct epoch_batches batches = epoch_plan_batches(epochs);
    REQUIRE(owners != NULL);
    REQUIRE_OK(image_owners_of_training(&batches, rank->config->train.seed, EPOCH,
                                        epoch_plan_steps(epochs, EPOCH), prediction->n,
                                        ranks_count(rank->data.ranks), owners));
    draw_predictions(rank, owners);
    REQUIRE_OK(prediction_gather(&rank->data, prediction, owners));
    keep_of_device(rank, prediction->category, n_pixels);
    keep_of_device(rank, prediction->confidence_foreground, n_pixels * sizeof(float));
    keep_of_device(rank, prediction->confidence_background, n_pixels * sizeof(float));
    draw_predictions(rank, owners);
    free(owners);
}

// Curves that bend early; that of class 1 stays flat, so that only class 2 is corrected.
static void bend_curves(struct curves *curves) {
    for (int c = 0; c < curves->n_categories; c++)
        for (int k = 0; k < EPOCH; k++)
            curves->iou[c][k] = c == 1 ? 0.25 : 0.5 * (1.0 - exp(-pow(k + 1, 1.2) / 1.5));
    curves->n_values = EPOCH;
}

static void correct(struct rank *rank) {
    struct corrector *corrector = &rank->corrector;
    const struct resident *train = &rank->data.resident[SPLIT_TRAIN];
    int64_t n_changed = 0;
    change_labels(rank);
    bend_curves(&corrector->curves);
    if (!corrector->adele->inference)
        predict(rank);
    REQUIRE_OK(corrector_run(corrector, EPOCH, &n_changed));
    keep(rank, &n_changed, sizeof n_changed);
    keep(rank, corrector->corrected, (EPOCH + 1) * 256);
    keep(rank, corrector->adele->veto.records, sizeof corrector->adele->veto.records);
    keep_of_device(rank, train->labels, resident_map_bytes(train));
    if (n_changed >= 0) // the labels before the correction; else what the veto has predicted
        keep_of_device(rank, corrector->scratch_map, resident_map_bytes(train));
    bool is_vetoed = rank->config->correction.veto > 0.5;
    REQUIRE(is_vetoed ? n_changed == -1 && isfinite(corrector->adele->veto.records[2].itself)
                      : n_changed > 100);
    for (int split = SPLIT_VAL; split <= SPLIT_TEST; split++) {
        REQUIRE_OK(evaluator_score_split(&rank->evaluator, (enum dataset_split)split));
        const struct score *score = &rank->evaluator.scores[split];
        keep(rank, score->iou, (size_t)score->n_categories * sizeof *score->iou);
        keep(rank, score->dice, (size_t)score->n_categories * sizeof *score->dice);
    }
}

// ---- the corrections ----------------------------------------------------------------------------

// As in the paper's VOC runs: rule, base and guard.
#define VOC "correction.rule=single", "correction.base=original", "correction.guard=true"
// Each rank has what it trained on: batches of 8, 8 and 2 images.
#define TRAINED "train.batch=8", "correction.source=training_pass", "correction.tau=0.6"
// Each rank predicts some of five batches; of 8 ranks, some predict none.
#define PREDICTED                                                                                  \
    "train.batch=4", "correction.source=inference", "correction.tau=0.3",                          \
        "correction.class_constraint=false"

static const struct {
    const char *name;
    const char *const sets[MOST_SETS]; // NULL-terminated
} corrections[] = {
    {"current", {TRAINED}},
    {"original", {TRAINED, VOC}},
    {"mask", {TRAINED, "correction.mask=true", "correction.base=original"}},
    {"logic255", {TRAINED, "correction.logic255=true"}},
    {"scales", {PREDICTED, "correction.scales=[1.0, 0.75]", "correction.flip=true"}},
    {"crf", {PREDICTED, VOC, "correction.crf_iterations=1"}},
    {"windows", {PREDICTED, "data.patch=[24, 24]", "loss.form=plain"}},
    {"vetoed", {PREDICTED, "correction.veto=0.9"}},
};
#define N_CORRECTIONS (sizeof corrections / sizeof *corrections)

static void correct_and_save(struct ranks *ranks, size_t i, const char *root, const char *out) {
    struct rank rank = {0};
    char name[64];
    int n_sets = 0;
    while (corrections[i].sets[n_sets])
        n_sets++;
    rank_open(&rank, ranks, root, corrections[i].sets, n_sets);
    enlarge_weights(&rank);
    correct(&rank);
    (void)snprintf(name, sizeof name, "%s.%d.%d", corrections[i].name, ranks_count(ranks),
                   ranks_index(ranks));
    REQUIRE_OK(buffer_save(&rank.found, out, name));
    rank_close(&rank);
}

// PROGRAM ROOT OUT: writes OUT/CORRECTION.RANKS.RANK.
static int run_rank(const char *root, const char *out) {
    struct ranks *ranks = NULL;
    REQUIRE_OK(ranks_open(&ranks));
    ranks_set_time_limit(ranks, 120.0);
    for (size_t i = 0; i < N_CORRECTIONS; i++)
        correct_and_save(ranks, i, root, out);
    REQUIRE((ranks_bytes_sent(ranks) > 0) == (ranks_count(ranks) > 1));
    ranks_close(ranks, false);
    return 0;
}

// ---- the tests ----------------------------------------------------------------------------------

static void run_ranks(void *const *state, int n_ranks) {
    char self[4096];
    const char *const argv[] = {self, scratch_path(state, "set"), scratch_path(state, ""), NULL};
    struct program_result result;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    program_set_threads(1);
    if (n_ranks == 1)
        program_run(argv, &result);
    else
        mpirun_run(n_ranks, argv, &result);
    if (result.code != 0)
        fail_msg("%d ranks: code %d\n%s", n_ranks, result.code, result.err);
    program_result_deinit(&result);
}

static int set_up(void **state) {
    if (tiny_run_setup(state) != 0)
        return -1;
    run_ranks(state, 1);
    return 0;
}

static void compare(void *const *state, int n_ranks) {
    run_ranks(state, n_ranks);
    for (size_t i = 0; i < N_CORRECTIONS; i++)
        for (int r = 0; r < n_ranks; r++) {
            char one[64], many[64];
            (void)snprintf(one, sizeof one, "%s.1.0", corrections[i].name);
            (void)snprintf(many, sizeof many, "%s.%d.%d", corrections[i].name, n_ranks, r);
            if (!same_bytes(scratch_path(state, one), scratch_path(state, many)))
                fail_msg("%s: rank %d of %d has something else than one process",
                         corrections[i].name, r, n_ranks);
        }
}

static void two_ranks(void **state) {
    compare(state, 2);
}

static void four_ranks(void **state) {
    compare(state, 4);
}

static void eight_ranks(void **state) {
    compare(state, 8);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ranks),
        cmocka_unit_test(four_ranks),
        cmocka_unit_test(eight_ranks),
    };
    if (argc == 3)
        return run_rank(argv[1], argv[2]);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, scratch_teardown);
}
