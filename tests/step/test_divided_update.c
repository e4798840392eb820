// SPDX-License-Identifier: MIT
// Ranks on the CPU that divide the momenta and exchange gradients in buckets beside backward: what
// each keeps, a gradient that is not finite at one of them, one that is killed between two buckets,
// and ranks without a share of the weights. That results are those of one process is shown by
// test_parts_ranks and test_mpi_same_bytes. This program is its own rank: with arguments it is one
// of several.
#include "run/trainer_state.h"

#include "base/memory.h"
#include "nn/plan.h"
#include "support/mpirun.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// ---- the CPU with a gradient that is not finite -------------------------------------------------

static struct adele_device_iface faulty;
static const struct adele_device_iface *sane;
#define BUCKET_BYTES (1 << 16) // of the tiny network, as of all small ones; the last one is smaller

static const float *gradients; // of the network
static int64_t i_bad = -1;     // of them; -1: none
static int n_copies;           // of the bucket that it is in
static long n_until_kill = -1; // buckets that are copied before this process is killed; -1: never

static adele_status faulty_copy(const struct adele_device *device, void *to, const void *from,
                                size_t bytes) {
    adele_status status = sane->copy(device, to, from, bytes);
    int64_t n = (int64_t)(bytes / sizeof(float)), first = (const float *)from - gradients;
    bool is_gradient = gradients && first >= 0 && first < i_bad + 1 && i_bad < first + n;
    if (bytes == BUCKET_BYTES && n_until_kill >= 0 && n_until_kill-- == 0)
        (void)raise(SIGKILL);
    n_copies += is_gradient;
    if (is_gradient)
        ((float *)to)[i_bad - first] = INFINITY;
    return status;
}

static adele_status open_faulty(enum adele_precision precision, struct adele_device **out) {
    adele_status status = adele_device_open("cpu", precision, out);
    if (status != ADELE_OK)
        return status;
    sane = (*out)->iface;
    faulty = *sane;
    faulty.copy = faulty_copy;
    (*out)->iface = &faulty;
    return ADELE_OK;
}

// ---- in a rank ----------------------------------------------------------------------------------

// Momenta of 1 / R of the weights, but for the cache lines that buckets end with.
static void require_divided(struct trainer *trainer, struct ranks *ranks) {
    const struct divided_update *divided = &trainer->step.parts.divided;
    size_t n_weights = (size_t)network_graph(trainer->network)->n_weights;
    size_t n_ranks = (size_t)ranks_count(ranks), n_buckets = (size_t)divided->exchange.buckets->n;
    size_t whole = 2 * n_weights * sizeof(float); // AdamW has two moments
    size_t others = network_undivided_bytes(trainer->network);
    REQUIRE(trainer->step.parts.is_divided);
    REQUIRE(divided->exchange.buckets->all[0].n * (int64_t)sizeof(float) == BUCKET_BYTES);
    REQUIRE(n_buckets > 4); // so that some are sent while backward goes on
    REQUIRE(others <= whole - whole / n_ranks);
    REQUIRE(others >= whole - whole / n_ranks - 2 * n_buckets * 16 * sizeof(float));
    REQUIRE(network_parameter_bytes(trainer->network) ==
            2 * n_weights * sizeof(float) + (whole - others) +
                (size_t)network_graph(trainer->network)->n_buffers * sizeof(float));
}

// Buckets are complete in the order in which they are sent, the first one only at the end.
static void require_overlap(const struct overlap *overlap) {
    int n = overlap->buckets->n - 1;
    for (int b = 1; b < n; b++)
        REQUIRE(overlap->completed_by[b - 1] <= overlap->completed_by[b]);
    REQUIRE(overlap->completed_by[n / 2] > 0);
}

// The segment of the optimizer that the float of the weights' arena is in; -1: none.
static int segment_of(const struct graph *graph, int64_t i) {
    int segment = 0;
    for (int p = 0; p < graph->n_parameters; p++) {
        const struct parameter *parameter = &graph->parameters[p];
        if (parameter->is_buffer)
            continue;
        if (i >= parameter->offset && i < parameter->offset + parameter->count)
            return segment;
        segment++;
    }
    return -1;
}

// A step in which one gradient of rank `rank` is infinite.
static void spoil_step(struct trainer *trainer, struct ranks *ranks, int i_step, int rank,
                       int64_t i_float) {
    i_bad = ranks_index(ranks) == rank ? i_float : -1;
    n_copies = 0;
    REQUIRE_OK(training_step_run(&trainer->step, 1, i_step, 0.01));
    REQUIRE(n_copies == (i_bad >= 0 ? trainer->step.parts.n_own : 0));
    i_bad = -1;
}

static void require_skipped(struct trainer *trainer, struct ranks *ranks, int rank,
                            int64_t i_float) {
    const int64_t *health = trainer->step.health;
    const struct graph *graph = network_graph(trainer->network);
    size_t bytes = (size_t)(graph->n_weights + graph->n_buffers) * sizeof(float);
    float *before = NULL, *after = NULL;
    REQUIRE_OK(training_step_start_epoch(&trainer->step, 1, 0));
    REQUIRE_OK(training_step_run(&trainer->step, 1, 0, 0.01));
    REQUIRE_OK(network_download(trainer->network, &before));
    spoil_step(trainer, ranks, 1, rank, i_float);
    REQUIRE_OK(network_download(trainer->network, &after));
    REQUIRE(memcmp(before, after, bytes) == 0);
    REQUIRE(health[ADELE_HEALTH_UPDATES] == 2 && health[ADELE_HEALTH_SKIPPED] == 1);
    REQUIRE(health[ADELE_HEALTH_FIRST_UPDATE] == 2);
    REQUIRE(health[ADELE_HEALTH_FIRST_SEGMENT] == segment_of(graph, i_float));
    memory_free(before);
    memory_free(after);
}

static int check_rank(char *folder) {
    struct ranks *ranks = NULL;
    struct trainer *trainer = NULL;
    void *state = folder;
    struct config *config =
        tiny_run_config(&state, SETS("train.parts=4", "train.batch=8", "train.optimizer.name=adamw",
                                     "train.optimizer.momentum=null"));
    adele_device_provide("faulty", open_faulty);
    REQUIRE_OK(ranks_open(&ranks));
    const struct trainer_options options = {.config = config, .device = "faulty", .ranks = ranks};
    REQUIRE_OK(trainer_create(&options, &trainer));
    require_divided(trainer, ranks);
    require_overlap(&trainer->step.parts.overlap);
    gradients = network_gradients(trainer->network);
    const struct graph *graph = network_graph(trainer->network);
    require_skipped(trainer, ranks, 1, 0);
    require_skipped(trainer, ranks, 0, graph->parameters[graph->n_parameters / 2].offset);
    require_skipped(trainer, ranks, ranks_count(ranks) - 1, 20000);
    trainer_destroy(trainer);
    config_destroy(config);
    ranks_close(ranks, false);
    return 0;
}

#define SETS_OF_RUN "train.parts=4", "train.batch=8", "train.epochs=3"

// The last rank is killed before the bucket of that number, from 0, is copied.
static int train_rank(char *folder, const char *kill_at) {
    char run[4096];
    struct ranks *ranks = NULL;
    struct trainer_result result;
    void *state = folder;
    struct config *config = tiny_run_config(&state, SETS(SETS_OF_RUN));
    (void)snprintf(run, sizeof run, "%s/killed", folder);
    adele_device_provide("faulty", open_faulty);
    REQUIRE_OK(ranks_open(&ranks));
    if (ranks_index(ranks) + 1 == ranks_count(ranks))
        n_until_kill = atol(kill_at);
    const struct trainer_options options = {
        .config = config, .run_folder = run, .device = "faulty", .ranks = ranks};
    adele_status status = trainer_run(&options, &result);
    config_destroy(config);
    ranks_close(ranks, status != ADELE_OK);
    return status == ADELE_OK ? 0 : 1;
}

// ---- fewer weights than ranks times a cache line ------------------------------------------------

enum { MOST_FEW = 64, N_REST = 16, N_FEW_STEPS = 4, I_BAD_STEP = 2, I_BAD_SEGMENT = 1 };

// What one process updates with the sums, beside what the ranks do.
struct whole_update {
    struct adele_op *op;
    float weights[MOST_FEW], gradients[MOST_FEW], first[MOST_FEW], second[MOST_FEW];
    int64_t health[ADELE_HEALTH_COUNT], n_updates;
};

struct few_weights {
    const struct adele_device *device;
    struct ranks *ranks;
    struct network *network; // six weights and three biases, which begin a cache line each
    struct buckets buckets;
    struct divided_update divided;
    struct adele_op *op;
    int64_t health[ADELE_HEALTH_COUNT], n_updates;
    struct whole_update whole;
};

static const struct adele_sgd_segment few_segments[] = {
    {.offset = 0, .count = 6, .lr_scale = 1.0f, .decay = 0.01f},
    {.offset = 16, .count = 3, .lr_scale = 2.0f}};

static void few_weights_init(struct few_weights *out, struct ranks *ranks,
                             const struct adele_device *device) {
    struct graph graph;
    int input, conv;
    *out = (struct few_weights){.device = device, .ranks = ranks};
    graph_init(&graph);
    REQUIRE_OK(graph_input(&graph, 2, &input));
    REQUIRE_OK(graph_conv2d(&graph, "conv", input, 3, 1, 1, 0, 1, true, &conv));
    REQUIRE_OK(network_take_graph(device, &graph, 5, ADELE_PRECISION_FP32, &out->network));
    int64_t n = network_graph(out->network)->n_weights;
    REQUIRE(n > 16 && n <= MOST_FEW);
    REQUIRE_OK(buckets_init(&out->buckets, n, N_REST, ranks_count(ranks)));
    REQUIRE(out->buckets.n == 2);
    REQUIRE_OK(divided_update_init(&out->divided, device, ranks, &out->buckets, out->network));
    REQUIRE_OK(divided_update_choose(&out->divided, 2, few_segments));
    REQUIRE_OK(network_add_second_moments(out->network));
    REQUIRE_OK(network_allocate(out->network));
    const struct adele_adamw_desc own = {out->divided.n_segments, out->divided.segments};
    const struct adele_adamw_desc whole = {2, few_segments};
    REQUIRE_OK(device->iface->adamw_create(device, &own, &out->op));
    REQUIRE_OK(device->iface->adamw_create(device, &whole, &out->whole.op));
    memcpy(out->whole.weights, network_weights(out->network), (size_t)n * sizeof(float));
}

static void few_weights_deinit(struct few_weights *few) {
    few->device->iface->op_destroy(few->op);
    few->device->iface->op_destroy(few->whole.op);
    divided_update_deinit(&few->divided);
    buckets_deinit(&few->buckets);
    network_destroy(few->network);
}

// Sums of such numbers are exact in any order.
static float few_gradient(int i_step, int rank, int64_t i) {
    return 0.125f * (float)((rank + 1) * (int)(i % 5 - 2) + i_step);
}

static void update_few(struct adele_op *op, struct adele_adamw_args *args) {
    args->rate = 0.01f;
    args->beta1 = 0.9;
    args->beta2 = 0.999;
    args->eps = 1e-8f;
    REQUIRE_OK(op->device->iface->adamw_forward(op, args));
}

static void update_whole(struct whole_update *whole, int n_ranks, int i_step) {
    for (int64_t i = 0; i < MOST_FEW; i++) {
        whole->gradients[i] = 0.0f;
        for (int r = 0; r < n_ranks; r++)
            whole->gradients[i] += few_gradient(i_step, r, i);
    }
    if (i_step == I_BAD_STEP)
        whole->gradients[few_segments[I_BAD_SEGMENT].offset] = INFINITY;
    update_few(whole->op, &(struct adele_adamw_args){.weights = whole->weights,
                                                     .gradients = whole->gradients,
                                                     .first = whole->first,
                                                     .second = whole->second,
                                                     .n_updates = &whole->n_updates,
                                                     .health = whole->health});
}

static void update_divided_few(struct few_weights *few, int i_step) {
    struct divided_update *divided = &few->divided;
    int64_t n = network_graph(few->network)->n_weights;
    int rank = ranks_index(few->ranks);
    float vector[MOST_FEW + N_REST] = {0.0f};
    bool are_finite = false;
    for (int64_t i = 0; i < n; i++)
        vector[i] = few_gradient(i_step, rank, i);
    if (i_step == I_BAD_STEP && rank + 1 == ranks_count(few->ranks))
        vector[few_segments[I_BAD_SEGMENT].offset] = INFINITY;
    REQUIRE_OK(bucket_exchange_begin(&divided->exchange));
    REQUIRE_OK(bucket_exchange_send(&divided->exchange, 0, vector));
    REQUIRE_OK(bucket_exchange_send(&divided->exchange, 1, vector));
    REQUIRE_OK(divided_update_sum(divided, vector, &are_finite));
    REQUIRE(are_finite == (i_step != I_BAD_STEP));
    const int32_t flag = are_finite;
    REQUIRE_OK(divided_update_open(divided));
    update_few(few->op, &(struct adele_adamw_args){.weights = divided->weights,
                                                   .gradients = divided->gradients,
                                                   .first = network_momenta(few->network),
                                                   .second = network_second_moments(few->network),
                                                   .n_updates = &few->n_updates,
                                                   .health = few->health,
                                                   .loss_is_finite = &flag,
                                                   .n_losses = 1,
                                                   .gradients_are_checked = true});
    REQUIRE_OK(divided_update_close(divided, true, few->health));
}

// Of the padding between the segments nothing is asked.
static void require_same_segments(const float *a, const float *b) {
    for (int i = 0; i < 2; i++) {
        int64_t at = few_segments[i].offset;
        REQUIRE(memcmp(a + at, b + at, (size_t)few_segments[i].count * sizeof(float)) == 0);
    }
}

static int update_few_weights(void) {
    struct adele_device *device = NULL;
    struct ranks *ranks = NULL;
    struct few_weights few;
    REQUIRE_OK(ranks_open(&ranks));
    REQUIRE_OK(adele_device_open("cpu", ADELE_PRECISION_FP32, &device));
    few_weights_init(&few, ranks, device);
    // The first two ranks have a segment each, the others nothing.
    REQUIRE((bucket_chunk(&few.buckets.all[0], ranks_index(ranks)).n > 0) ==
            (ranks_index(ranks) < 2));
    for (int i = 0; i < N_FEW_STEPS; i++) {
        update_divided_few(&few, i);
        update_whole(&few.whole, ranks_count(ranks), i);
        require_same_segments(network_weights(few.network), few.whole.weights);
        REQUIRE(memcmp(few.health, few.whole.health, sizeof few.health) == 0);
        REQUIRE(few.n_updates == few.whole.n_updates);
    }
    REQUIRE(few.health[ADELE_HEALTH_FIRST_SEGMENT] == I_BAD_SEGMENT);
    REQUIRE_OK(divided_update_collect(&few.divided));
    if (ranks_index(ranks) == 0) {
        require_same_segments(few.divided.momenta, few.whole.first);
        require_same_segments(few.divided.second_moments, few.whole.second);
    }
    few_weights_deinit(&few);
    adele_device_close(device);
    ranks_close(ranks, false);
    return 0;
}

// ---- the tests ----------------------------------------------------------------------------------

// `task`: NULL, "few", or when a rank is killed.
static int on_ranks(void *const *state, int n_ranks, const char *task) {
    char self[4096];
    struct program_result result;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    mpirun_run(n_ranks, (const char *const[]){self, *state, task, NULL}, &result);
    if (result.code != 0)
        print_message("%d ranks, exit code %d:\n%s\n", n_ranks, result.code, result.err);
    int code = result.code;
    program_result_deinit(&result);
    return code;
}

static void momenta_and_gradients_are_divided(void **state) {
    assert_int_equal(on_ranks(state, 2, NULL), 0);
    assert_int_equal(on_ranks(state, 4, NULL), 0);
}

static void ranks_without_a_share_of_the_weights_update_too(void **state) {
    assert_int_equal(on_ranks(state, 4, "few"), 0);
}

// Four buckets of that size a step: in the second epoch, with some of its buckets sent and others
// not computed yet. The momenta come from the checkpoint of all ranks.
static void killed_between_two_buckets(void **state) {
    assert_int_equal(on_ranks(state, 2, "10"), 128 + SIGKILL);
    assert_int_equal(tiny_run_n_records(state, "killed"), 1);
    check_ok(tiny_run(state, "killed", true, SETS(SETS_OF_RUN), NULL));
    check_ok(tiny_run(state, "alone", false, SETS(SETS_OF_RUN), NULL));
    tiny_run_assert_same(state, "alone", "killed");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(momenta_and_gradients_are_divided),
        cmocka_unit_test(ranks_without_a_share_of_the_weights_update_too),
        cmocka_unit_test(killed_between_two_buckets)};
    if (argc > 2 && strcmp(argv[2], "few") == 0)
        return update_few_weights();
    if (argc > 1)
        return argc > 2 ? train_rank(argv[1], argv[2]) : check_rank(argv[1]);
    if (!mpirun_is_there()) {
        printf("skipped: the tests of several ranks need MPI\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
