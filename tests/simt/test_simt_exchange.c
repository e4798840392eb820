// SPDX-License-Identifier: MIT
// The exchange between GPUs: each rank is a process with an emulated GPU, and the stand-in of NCCL
// carries their messages. Sums are compared bit by bit with the tree of device.h, with values for
// which another order gives other bits; each function of NCCL fails once.
#include "runtime/cuda_device.h"
#include "simt_libraries.h"

#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

long simt_graph_launches(void);

enum { MAX_RANKS = 8, GUARD = 32, N_PARTS = 3, PART = 1024 };

// ---- ranks as processes -------------------------------------------------------------------------

// Memory of all ranks of a test: what MPI does for a run.
struct host {
    unsigned char id[ADELE_EXCHANGE_ID_BYTES];
    atomic_int n_arrived;
    atomic_int n_failed[2]; // at each meeting
};

struct rank {
    int index, count;
    struct host *host;
    struct adele_device *device;
    int n_meetings;
};

// Of a rank's process; CMocka's own would go on in the parent's place.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: rank %d of %d: %s (last error: %s)\n", __FILE__, __LINE__,     \
                    rank->index, rank->count, #condition, adele_error_message());                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call) CHECK((call) == ADELE_OK)

// All ranks come here, once after opening and once after joining; true when none has failed.
static bool agree(struct rank *rank, adele_status mine) {
    atomic_int *n_failed = &rank->host->n_failed[rank->n_meetings++];
    if (mine != ADELE_OK)
        atomic_fetch_add(n_failed, 1);
    atomic_fetch_add(&rank->host->n_arrived, 1);
    while (atomic_load(&rank->host->n_arrived) < rank->n_meetings * rank->count)
        sched_yield();
    return atomic_load(n_failed) == 0;
}

static _Noreturn void run_rank(struct rank *rank, void (*body)(struct rank *, const void *),
                               const void *argument) {
    const struct cuda_options options = {0, ADELE_PRECISION_FP32, CUDA_ENGINE_DIRECT};
    (void)alarm(120); // ends what hangs
    CHECK_OK(simt_device_create(&options, &rank->device));
    body(rank, argument);
    adele_device_close(rank->device);
    exit(0); // so that a sanitizer looks for leaks
}

static void on_ranks(int n_ranks, void (*body)(struct rank *, const void *), const void *argument) {
    struct host *host =
        mmap(NULL, sizeof *host, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[MAX_RANKS];
    assert_true(host != MAP_FAILED);
    fflush(NULL);
    for (int i = 0; i < n_ranks; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct rank rank = {.index = i, .count = n_ranks, .host = host};
            run_rank(&rank, body, argument);
        }
    }
    bool is_good = true;
    for (int i = 0; i < n_ranks; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        is_good = is_good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    (void)munmap(host, sizeof *host);
    assert_true(is_good);
}

// Opens and joins, as the trainer does. The failure of this rank, if it has one; *is_joined: no
// rank has failed.
static adele_status join(struct rank *rank, int n_near, double seconds, bool *is_joined) {
    const struct adele_device *device = rank->device;
    unsigned char id[ADELE_EXCHANGE_ID_BYTES];
    adele_status status = device->iface->exchange_open(device, rank->index == 0 ? id : NULL);
    if (rank->index == 0 && status == ADELE_OK)
        memcpy(rank->host->id, id, sizeof id);
    *is_joined = agree(rank, status);
    if (!*is_joined)
        return status;
    const struct adele_exchange_ranks ranks = {rank->index, rank->count, n_near, seconds};
    status = device->iface->exchange_join(device, rank->host->id, &ranks);
    *is_joined = agree(rank, status);
    return status;
}

// ---- vectors ------------------------------------------------------------------------------------

// Numbers of many sizes, so that nearly every order of adding them up rounds differently.
static float value_of(int rank, int64_t i, int step) {
    uint64_t mixed = ((uint64_t)i * 64 + (uint64_t)rank * 7 + (uint64_t)step * 1021) + 12345;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    float fraction = (float)(mixed & 0xffffff) * 0x1p-24f + 1.0f;
    return ldexpf(mixed >> 63 != 0 ? -fraction : fraction, (int)(mixed >> 32) % 6);
}

static float tree_sum(int first, int n, int64_t i, int step) {
    if (n == 1)
        return value_of(first, i, step);
    float left = tree_sum(first, n / 2, i, step), right = tree_sum(first + n / 2, n / 2, i, step);
    return left + right;
}

static float straight_sum(int n, int64_t i, int step) {
    float sum = value_of(0, i, step);
    for (int rank = 1; rank < n; rank++)
        sum += value_of(rank, i, step);
    return sum;
}

struct vectors {
    int64_t n;
    float *host;             // (n + GUARD)
    float *vector, *scratch; // on the device
};

static void vectors_init(const struct rank *rank, int64_t n, struct vectors *out) {
    const struct adele_device *device = rank->device;
    size_t scratch = (size_t)rank->count * (size_t)adele_exchange_chunk(n, rank->count);
    out->n = n;
    out->host = malloc(sizeof(float) * (size_t)(n + GUARD));
    CHECK(out->host != NULL);
    CHECK_OK(
        device->iface->alloc(device, sizeof(float) * (size_t)(n + GUARD), (void **)&out->vector));
    CHECK_OK(device->iface->alloc(device, sizeof(float) * scratch, (void **)&out->scratch));
}

static void vectors_deinit(const struct rank *rank, struct vectors *all) {
    rank->device->iface->release(rank->device, all->vector);
    rank->device->iface->release(rank->device, all->scratch);
    free(all->host);
}

static void fill(const struct rank *rank, struct vectors *all, int step) {
    for (int64_t i = 0; i < all->n + GUARD; i++)
        all->host[i] = i < all->n ? value_of(rank->index, i, step) : -7.0f;
    CHECK_OK(rank->device->iface->upload(rank->device, all->vector, all->host,
                                         sizeof(float) * (size_t)(all->n + GUARD)));
}

static adele_status sum(const struct rank *rank, const struct vectors *all) {
    return rank->device->iface->exchange_sum(rank->device, all->vector, all->scratch, all->n, true);
}

static void check_sum(const struct rank *rank, struct vectors *all, int step) {
    int64_t n_other = 0;
    CHECK_OK(rank->device->iface->download(rank->device, all->host, all->vector,
                                           sizeof(float) * (size_t)(all->n + GUARD)));
    for (int64_t i = 0; i < all->n; i++) {
        float wanted = tree_sum(0, rank->count, i, step);
        float straight = straight_sum(rank->count, i, step);
        CHECK(memcmp(&all->host[i], &wanted, sizeof wanted) == 0);
        n_other += memcmp(&straight, &wanted, sizeof wanted) != 0;
    }
    for (int64_t i = all->n; i < all->n + GUARD; i++)
        CHECK(all->host[i] == -7.0f);
    // With three ranks or more there are several orders, and these values tell them apart.
    CHECK(rank->count < 4 || all->n < 100 || n_other > all->n / 10);
}

// ---- sums ---------------------------------------------------------------------------------------

static void sums_of_all_sizes(struct rank *rank, const void *argument) {
    int chunk = 64; // floats of a rank; with machines, of a rank's chunk in the whole
    const int64_t sizes[] = {
        1, 31, 1009, rank->count * chunk - 1, rank->count * chunk, rank->count * chunk + 1, 65537};
    bool is_joined;
    CHECK_OK(join(rank, *(const int *)argument, 60.0, &is_joined));
    CHECK(strncmp(rank->device->exchange, "NCCL 2.", 7) == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct vectors all;
        vectors_init(rank, sizes[i], &all);
        for (int step = 0; step < 2; step++) {
            fill(rank, &all, step);
            CHECK_OK(sum(rank, &all));
            check_sum(rank, &all, step);
        }
        vectors_deinit(rank, &all);
    }
    CHECK_OK(rank->device->iface->exchange_leave(rank->device, false));
}

static void test_sums(void **state) {
    (void)state;
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    for (int n_ranks = 1; n_ranks <= MAX_RANKS; n_ranks *= 2)
        for (int n_near = 1; n_near <= n_ranks; n_near *= 2)
            on_ranks(n_ranks, sums_of_all_sizes, &n_near);
}

// ---- steps as graphs ----------------------------------------------------------------------------

static adele_status run_step(const struct rank *rank, const struct vectors *all) {
    const struct adele_device *device = rank->device;
    CHECK_OK(device->iface->step_begin(device, 0));
    adele_status status = sum(rank, all);
    CHECK_OK(device->iface->step_end(device, status == ADELE_OK));
    return status;
}

static void steps(struct rank *rank, const void *argument) {
    struct vectors all;
    bool is_joined = argument != NULL;
    CHECK_OK(join(rank, 2, 60.0, &is_joined));
    vectors_init(rank, 1009, &all);
    long n_launches = simt_graph_launches();
    for (int step = 0; step < 4; step++) {
        fill(rank, &all, step);
        CHECK_OK(run_step(rank, &all));
        check_sum(rank, &all, step);
    }
    CHECK(simt_graph_launches() == n_launches + 3);
    vectors_deinit(rank, &all);
    CHECK_OK(rank->device->iface->exchange_leave(rank->device, false));
    // The graphs went with the communicator; steps of the device alone go on.
    CHECK_OK(rank->device->iface->step_begin(rank->device, 0));
    CHECK_OK(rank->device->iface->step_end(rank->device, true));
}

static void on_all_streams(void (*body)(struct rank *, const void *)) {
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    for (int n_ranks = 2; n_ranks <= 4; n_ranks *= 2) {
        on_ranks(n_ranks, body, NULL);
        setenv("SIMT_STREAMS", "lazy", 1);
        on_ranks(n_ranks, body, NULL);
        unsetenv("SIMT_STREAMS");
    }
}

static void test_steps_are_captured(void **state) {
    (void)state;
    on_all_streams(steps);
}

// ---- sums beside ops ----------------------------------------------------------------------------

// Each part comes into the vector before its sum begins, and what it comes from is overwritten
// while the sum may be under way.
static adele_status run_parts(const struct rank *rank, const struct vectors *all, float *source) {
    const struct adele_device *device = rank->device;
    const size_t bytes = PART * sizeof(float);
    CHECK_OK(device->iface->copy(device, source, all->vector, N_PARTS * bytes));
    CHECK_OK(device->iface->fill(device, all->vector, 0xff, N_PARTS * bytes));
    CHECK_OK(device->iface->step_begin(device, 0));
    for (int i = N_PARTS - 1; i >= 0; i--) {
        float *part = all->vector + (ptrdiff_t)i * PART, *from = source + (ptrdiff_t)i * PART;
        CHECK_OK(device->iface->copy(device, part, from, bytes));
        CHECK_OK(device->iface->exchange_sum(device, part, all->scratch, PART, i == 0));
        CHECK_OK(device->iface->fill(device, from, 0xff, bytes));
    }
    return device->iface->step_end(device, true);
}

static void parts(struct rank *rank, const void *argument) {
    const struct adele_device *device = rank->device;
    struct vectors all;
    float *source = NULL;
    bool is_joined;
    (void)argument;
    CHECK_OK(join(rank, 2, 60.0, &is_joined));
    vectors_init(rank, (int64_t)N_PARTS * PART, &all);
    CHECK_OK(device->iface->alloc(device, N_PARTS * PART * sizeof(float), (void **)&source));
    for (int step = 0; step < 3; step++) {
        fill(rank, &all, step);
        CHECK_OK(run_parts(rank, &all, source));
        check_sum(rank, &all, step);
    }
    // A step that ends before the last sum is no step.
    CHECK_OK(device->iface->step_begin(device, 0));
    CHECK_OK(device->iface->exchange_sum(device, all.vector, all.scratch, PART, false));
    CHECK(device->iface->step_end(device, true) != ADELE_OK);
    vectors_deinit(rank, &all);
    device->iface->release(device, source);
    CHECK_OK(device->iface->exchange_leave(device, false));
}

static void test_parts_are_summed_beside_ops(void **state) {
    (void)state;
    on_all_streams(parts);
}

// ---- failures -----------------------------------------------------------------------------------

// All that a run does, until a failure. Rank 0 is the one whose calls fail.
static adele_status whole_run(struct rank *rank, double seconds, bool *is_joined,
                              const char **message) {
    const struct adele_device *device = rank->device;
    struct vectors all;
    static char kept[512];
    adele_status status = join(rank, rank->count, seconds, is_joined);
    vectors_init(rank, 1009, &all);
    for (int step = 0; step < 3 && *is_joined && status == ADELE_OK; step++) {
        status = run_step(rank, &all);
        if (status == ADELE_OK)
            status = device->iface->synchronize(device);
    }
    snprintf(kept, sizeof kept, "%s", adele_error_message());
    adele_status left = device->iface->exchange_leave(device, status != ADELE_OK || !*is_joined);
    if (left != ADELE_OK) {
        snprintf(kept, sizeof kept, "%s", adele_error_message());
        status = left;
    }
    vectors_deinit(rank, &all); // after a failure this does not wait for other ranks
    *message = kept;
    return status;
}

struct planted {
    const char *function;
    int after;              // calls that succeed; of ncclSend and ncclRecv: groups of them
    adele_status status;    // of rank 0
    const char *named;      // in rank 0's message
    bool others_may_finish; // for the failure comes when all is done
};

static void run_with_failure(struct rank *rank, const void *argument) {
    const struct planted *planted = argument;
    const char *message = "";
    bool is_joined;
    bool is_message =
        strcmp(planted->function, "ncclSend") == 0 || strcmp(planted->function, "ncclRecv") == 0;
    if (rank->index == 0)
        simt_libraries_install(&(struct simt_libraries){
            .has_nccl = true,
            .nccl_fails = planted->function,
            .nccl_fails_after = planted->after * (is_message ? rank->count - 1 : 1)});
    // Nobody hears of a rank that has not joined, so the others' time runs out.
    bool is_alone = strcmp(planted->function, "ncclCommInitRankConfig") == 0;
    adele_status status = whole_run(rank, is_alone ? 0.5 : 60.0, &is_joined, &message);
    if (rank->index == 0) {
        CHECK(status == planted->status);
        CHECK(strstr(message, planted->named) != NULL);
        CHECK(status == ADELE_UNSUPPORTED || strstr(message, "the test makes this call fail"));
        CHECK(status == ADELE_UNSUPPORTED || strstr(message, "rank 0 of ") != NULL);
    } else if (is_joined) {
        CHECK(status == ADELE_DEVICE || (planted->others_may_finish && status == ADELE_OK));
        CHECK(status == ADELE_OK || strstr(message, "has aborted") != NULL);
    }
}

static void test_each_function_fails(void **state) {
    (void)state;
    static const struct planted all[] = {
        {"dlsym", 3, ADELE_UNSUPPORTED, "NCCL has no function ncclGetLastError", false},
        {"ncclGetVersion", 0, ADELE_UNSUPPORTED, "ncclGetVersion", false},
        {"ncclGetUniqueId", 0, ADELE_DEVICE, "ncclGetUniqueId", false},
        {"ncclCommInitRankConfig", 0, ADELE_DEVICE, "ncclCommInitRankConfig", false},
        {"ncclCommGetAsyncError", 0, ADELE_DEVICE, "ncclCommGetAsyncError", false},
        {"ncclGroupStart", 0, ADELE_DEVICE, "ncclGroupStart", false},
        {"ncclSend", 0, ADELE_DEVICE, "ncclSend", false},
        {"ncclRecv", 0, ADELE_DEVICE, "ncclRecv", false},
        {"ncclGroupEnd", 0, ADELE_DEVICE, "ncclGroupEnd", false},
        // of the second group of the first step, and in a step that is captured
        {"ncclGroupStart", 1, ADELE_DEVICE, "ncclGroupStart", false},
        {"ncclSend", 1, ADELE_DEVICE, "ncclSend", false},
        {"ncclSend", 2, ADELE_DEVICE, "ncclSend", false},
        {"ncclRecv", 3, ADELE_DEVICE, "ncclRecv", false},
        {"ncclGroupEnd", 3, ADELE_DEVICE, "ncclGroupEnd", false},
        {"ncclCommFinalize", 0, ADELE_DEVICE, "ncclCommFinalize", true},
        {"ncclCommDestroy", 0, ADELE_DEVICE, "ncclCommDestroy", true},
    };
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (int n_ranks = 2; n_ranks <= 4; n_ranks *= 2) {
            print_message("%s after %d, %d ranks\n", all[i].function, all[i].after, n_ranks);
            on_ranks(n_ranks, run_with_failure, &all[i]);
        }
}

// A rank that ends without a word: the others wait as long as they were told to.
static void last_rank_vanishes(struct rank *rank, const void *argument) {
    bool is_in_join = *(const bool *)argument, is_joined;
    struct vectors all;
    if (is_in_join && rank->index == rank->count - 1) {
        CHECK_OK(rank->device->iface->exchange_open(rank->device, NULL));
        (void)agree(rank, ADELE_OK);
        (void)agree(rank, ADELE_OK); // instead of joining
        _exit(0);
    }
    adele_status status = join(rank, 2, is_in_join ? 0.4 : 5.0, &is_joined);
    if (is_in_join) {
        CHECK(status == ADELE_DEVICE);
        CHECK(strstr(adele_error_message(), "ncclCommInitRankConfig was not done") != NULL ||
              strstr(adele_error_message(), "has aborted") != NULL);
        return;
    }
    CHECK_OK(status);
    if (rank->index == rank->count - 1)
        _exit(0);
    vectors_init(rank, 1009, &all);
    CHECK_OK(run_step(rank, &all));
    status = rank->device->iface->synchronize(rank->device);
    CHECK(status == ADELE_DEVICE);
    CHECK(strstr(adele_error_message(), "has waited 5 seconds") != NULL ||
          strstr(adele_error_message(), "has aborted") != NULL);
    CHECK(sum(rank, &all) == ADELE_INVALID_ARGUMENT);
    vectors_deinit(rank, &all);
    CHECK_OK(rank->device->iface->exchange_leave(rank->device, true));
}

static void test_a_rank_vanishes(void **state) {
    (void)state;
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    for (int n_ranks = 2; n_ranks <= 4; n_ranks *= 2) {
        on_ranks(n_ranks, last_rank_vanishes, &(bool){true});
        on_ranks(n_ranks, last_rank_vanishes, &(bool){false});
    }
}

static void opens_nothing(struct rank *rank, const void *argument) {
    const struct adele_device *device = rank->device;
    unsigned char id[ADELE_EXCHANGE_ID_BYTES];
    const char *named = argument;
    if (named[0] != 'l') // not the usual name: somebody's
        setenv("ADELE_NCCL", named, 1);
    CHECK(device->iface->exchange_open(device, id) == ADELE_UNSUPPORTED);
    CHECK(strstr(adele_error_message(), "there is no NCCL") != NULL);
    CHECK(strstr(adele_error_message(), named) != NULL);
    CHECK(strstr(adele_error_hint(), "ADELE_NCCL") != NULL);
    CHECK(strstr(device->missing, named) != NULL);
    CHECK(device->exchange[0] == '\0');
}

static void test_nccl_is_not_there(void **state) {
    (void)state;
    simt_libraries_install(NULL);
    on_ranks(1, opens_nothing, "libnccl.so.2");
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    on_ranks(1, opens_nothing, "none");
}

static void misuses(struct rank *rank, const void *argument) {
    const struct adele_device *device = rank->device;
    unsigned char id[ADELE_EXCHANGE_ID_BYTES] = {0};
    float number = 0.0f;
    (void)argument;
    CHECK(device->iface->exchange_sum(device, &number, &number, 1, true) == ADELE_INVALID_ARGUMENT);
    CHECK(device->iface->exchange_join(device, id, &(struct adele_exchange_ranks){0, 2, 1, 1.0}) ==
          ADELE_INVALID_ARGUMENT);
    CHECK_OK(device->iface->exchange_leave(device, true)); // nothing
    CHECK_OK(device->iface->exchange_open(device, id));
    static const struct adele_exchange_ranks wrong[] = {{0, 3, 1, 1.0},  {2, 2, 1, 1.0},
                                                        {-1, 2, 1, 1.0}, {0, 4, 3, 1.0},
                                                        {0, 2, 4, 1.0},  {0, 0, 1, 1.0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK(device->iface->exchange_join(device, id, &wrong[i]) == ADELE_INVALID_ARGUMENT);
    CHECK(strstr(adele_error_message(), "rank 0 of 0") != NULL);
    CHECK_OK(device->iface->exchange_leave(device, false));
}

static void test_misuse(void **state) {
    (void)state;
    simt_libraries_install(&(struct simt_libraries){.has_nccl = true});
    on_ranks(1, misuses, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_steps_are_captured),
        cmocka_unit_test(test_parts_are_summed_beside_ops),
        cmocka_unit_test(test_each_function_fails),
        cmocka_unit_test(test_a_rank_vanishes),
        cmocka_unit_test(test_nccl_is_not_there),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
