// SPDX-License-Identifier: MIT
// The sum of one vector on each of R GPUs by NCCL (device.h, exchange_sum): the vector is divided
// into R chunks; every rank sends each chunk to the rank that owns it, which adds up the R pieces
// and sends the sum to all. That moves 2 (R - 1) / R of the vector from each GPU and to it, as a
// ring would. The sum is a kernel of our own: the order in which NCCL's reductions add depends on
// the number of ranks, and on how they are connected.
//
// The communicator does not block: NCCL returns at once (ncclInProgress) and is asked whether it is
// done, so that no call waits for ever for a rank that is gone.
#include "runtime/device_parts.cuh"
#include "runtime/nccl.cuh"
#include "runtime/step_graph.cuh"

#include "base/clock.h"

#include <time.h>

namespace adele_cuda {

#ifdef ADELE_NCCL
#define MAX_LEVELS 16 // of the tree: up to 65536 ranks

struct exchange {
    struct nccl nccl;
    ncclComm_t communicator; // NULL: not joined yet, or given up
    int rank, n_ranks;
    double seconds;   // a wait for other ranks may take
    bool has_failed;  // since it was joined
    const char *call; // the last function that was called
};

// Calls a function of NCCL.
#define NCCL(self, function, ...) ((self)->call = #function, (self)->nccl.function(__VA_ARGS__))

// ---- waiting and failing ------------------------------------------------------------------------

// What waits for other ranks on the GPU ends then, unfinished.
static void give_up(struct exchange *self) {
    if (self->communicator != NULL)
        (void)self->nccl.ncclCommAbort(self->communicator);
    self->communicator = NULL;
    self->has_failed = true;
}

static const char *const hint =
    "Read the other ranks' messages, too. NCCL_DEBUG=WARN in the environment makes NCCL tell more; "
    "with ADELE_NCCL=none GPUs exchange through the host instead.";

static adele_status fail_of(struct exchange *self, ncclResult_t result) {
    const char *words = self->nccl.ncclGetLastError(self->communicator);
    bool has_words = words != NULL && words[0] != '\0';
    self->has_failed = true;
    return FAIL(ADELE_DEVICE, hint, "rank %d of %d: %s: %s%s%.500s", self->rank, self->n_ranks,
                self->call, self->nccl.ncclGetErrorString(result), has_words ? ": " : "",
                has_words ? words : "");
}

static void pause_briefly() {
    const struct timespec pause = {0, 20000};
    (void)nanosleep(&pause, NULL);
}

// Waits until NCCL is done with the call of which `result` is the value.
static adele_status settle(struct exchange *self, ncclResult_t result) {
    double begin = clock_seconds();
    const char *call = self->call;
    while (result == ncclInProgress) {
        if (clock_seconds() - begin > self->seconds) {
            self->has_failed = true;
            return FAIL(ADELE_DEVICE, hint, "rank %d of %d: %s was not done after %g seconds",
                        self->rank, self->n_ranks, call, self->seconds);
        }
        pause_briefly();
        ncclResult_t asked = NCCL(self, ncclCommGetAsyncError, self->communicator, &result);
        if (asked != ncclSuccess)
            return fail_of(self, asked);
    }
    self->call = call;
    return result == ncclSuccess ? ADELE_OK : fail_of(self, result);
}

// A rank that is gone leaves the kernels of NCCL waiting, and with them the stream.
static adele_status wait_beside_ranks(struct exchange *self, cudaStream_t stream) {
    double begin = clock_seconds();
    for (;;) {
        cudaError_t code = cudaStreamQuery(stream);
        if (code != cudaErrorNotReady) {
            CUDA_TRY(code);
            return ADELE_OK;
        }
        (void)cudaGetLastError(); // clears it: the next launch would report it
        ncclResult_t result = ncclSuccess;
        ncclResult_t asked = NCCL(self, ncclCommGetAsyncError, self->communicator, &result);
        if (asked != ncclSuccess || (result != ncclSuccess && result != ncclInProgress))
            return fail_of(self, asked != ncclSuccess ? asked : result);
        if (clock_seconds() - begin > self->seconds)
            return FAIL(ADELE_DEVICE, hint,
                        "rank %d of %d: the GPU has waited %g seconds for the other ranks",
                        self->rank, self->n_ranks, self->seconds);
        pause_briefly();
    }
}

adele_status exchange_wait(const struct cuda_context *context, cudaStream_t stream) {
    struct exchange *self = context->exchange;
    if (self == NULL || self->communicator == NULL) {
        CUDA_TRY(cudaStreamSynchronize(stream));
        return ADELE_OK;
    }
    adele_status status = wait_beside_ranks(self, stream);
    if (status != ADELE_OK)
        give_up(self);
    return status;
}

adele_status exchange_wait_before_copy(const struct cuda_context *context, cudaStream_t stream) {
    bool is_alone = context->exchange == NULL || context->exchange->communicator == NULL;
    return is_alone ? ADELE_OK : exchange_wait(context, stream);
}

void exchange_give_up_failed(const struct cuda_context *context) {
    if (context->exchange != NULL && context->exchange->has_failed)
        give_up(context->exchange);
}

// ---- joining and leaving ------------------------------------------------------------------------

adele_status device_exchange_open(const struct adele_device *device, unsigned char *id) {
    struct cuda_context *context = context_of(device);
    TRY(make_current(device));
    if (context->exchange == NULL)
        TRY(ALLOCATE(&context->exchange, 1));
    struct exchange *self = context->exchange;
    TRY(nccl_load(context, &self->nccl));
    if (id == NULL)
        return ADELE_OK;
    self->n_ranks = 1; // for messages: how many there are is not known yet
    ncclUniqueId unique;
    ncclResult_t result = NCCL(self, ncclGetUniqueId, &unique);
    if (result != ncclSuccess)
        return fail_of(self, result);
    static_assert(sizeof unique == ADELE_EXCHANGE_ID_BYTES, "what device.h says of an id");
    memcpy(id, &unique, sizeof unique);
    return ADELE_OK;
}

adele_status device_exchange_join(const struct adele_device *device, const unsigned char *id,
                                  int rank, int n_ranks, double seconds) {
    struct cuda_context *context = context_of(device);
    struct exchange *self = context->exchange;
    TRY(make_current(device));
    if (self == NULL || self->communicator != NULL || self->has_failed || n_ranks < 1 ||
        n_ranks > 1 << MAX_LEVELS || (n_ranks & (n_ranks - 1)) != 0 || rank < 0 || rank >= n_ranks)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "exchange_join: rank %d of %d: the number of ranks must be a power of two, and "
                    "exchange_open comes before",
                    rank, n_ranks);
    self->rank = rank, self->n_ranks = n_ranks;
    self->seconds = seconds;
    step_graphs_discard(context->graphs); // a step's next run makes NCCL's connections
    ncclUniqueId unique;
    memcpy(&unique, id, sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclResult_t result =
        NCCL(self, ncclCommInitRankConfig, &self->communicator, n_ranks, unique, rank, &config);
    adele_status status = settle(self, result);
    if (status != ADELE_OK)
        give_up(self);
    return status;
}

static adele_status leave(struct cuda_context *context, struct exchange *self) {
    TRY(exchange_wait(context, context->stream));
    TRY(settle(self, NCCL(self, ncclCommFinalize, self->communicator)));
    ncclResult_t result = NCCL(self, ncclCommDestroy, self->communicator);
    self->communicator = NULL; // cannot be asked any more
    return result == ncclSuccess || result == ncclInProgress ? ADELE_OK : fail_of(self, result);
}

adele_status device_exchange_leave(const struct adele_device *device, bool has_failed) {
    struct cuda_context *context = context_of(device);
    struct exchange *self = context->exchange;
    if (self == NULL)
        return ADELE_OK;
    TRY(make_current(device));
    step_graphs_discard(context->graphs); // ncclCommDestroy would wait for graphs that exchange
    adele_status status = ADELE_OK;
    if (!has_failed && !self->has_failed && self->communicator != NULL)
        status = leave(context, self);
    give_up(self);
    memory_free(self);
    context->exchange = NULL;
    return status;
}

// ---- the sum ------------------------------------------------------------------------------------

static const int n_threads = 256;

// One thread owns every (grid)th float of the rank's own chunk: the sum of it over all pieces.
// `pieces`: (n_ranks, pitch), where the own one is in `chunk`, which becomes the sum. sums[k] is
// the sum of 2^k pieces that waits for the next 2^k: the tree of device.h.
static __global__ void __launch_bounds__(n_threads)
    sum_pieces_kernel(int64_t n, int64_t pitch, int n_ranks, int rank, const float *pieces,
                      float *chunk) {
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n; i += step) {
        float sums[MAX_LEVELS] = {}, sum = 0.0f;
        for (int piece = 0; piece < n_ranks; piece++) {
            sum = piece == rank ? chunk[i] : pieces[piece * pitch + i];
            bool is_whole = false;
#pragma unroll
            for (int k = 0; k < MAX_LEVELS; k++) { // without break, so that sums stays in registers
                bool waits = (piece >> k & 1) != 0;
                float both = sums[k] + sum;
                sums[k] = !is_whole && !waits ? sum : sums[k];
                sum = !is_whole && waits ? both : sum;
                is_whole = is_whole || !waits;
            }
        }
        chunk[i] = sum; // the last piece has met all others
    }
}

// A vector as its ranks divide it.
struct division {
    float *vector;
    float *scratch; // (n_ranks, chunk)
    int64_t n, chunk;
};

static float *chunk_of(const struct division *all, int rank) {
    return all->vector + rank * all->chunk;
}

static size_t chunk_floats(const struct division *all, int rank) {
    int64_t left = all->n - rank * all->chunk;
    return left <= 0 ? 0 : (size_t)(left < all->chunk ? left : all->chunk);
}

// Empty messages are left out on both sides.
static ncclResult_t queue_send(struct exchange *self, const float *from, size_t n, int to,
                               cudaStream_t stream) {
    return n == 0 ? ncclSuccess
                  : NCCL(self, ncclSend, from, n, ncclFloat, to, self->communicator, stream);
}

static ncclResult_t queue_receive(struct exchange *self, float *to, size_t n, int from,
                                  cudaStream_t stream) {
    return n == 0 ? ncclSuccess
                  : NCCL(self, ncclRecv, to, n, ncclFloat, from, self->communicator, stream);
}

// Every chunk to its owner, whose pieces of the other ranks come into its scratch.
static ncclResult_t queue_pieces(struct exchange *self, const struct division *all, int other,
                                 cudaStream_t stream) {
    ncclResult_t result =
        queue_send(self, chunk_of(all, other), chunk_floats(all, other), other, stream);
    if (result != ncclSuccess && result != ncclInProgress)
        return result;
    return queue_receive(self, all->scratch + other * all->chunk, chunk_floats(all, self->rank),
                         other, stream);
}

// Every owner's sum to all.
static ncclResult_t queue_sums(struct exchange *self, const struct division *all, int other,
                               cudaStream_t stream) {
    ncclResult_t result =
        queue_send(self, chunk_of(all, self->rank), chunk_floats(all, self->rank), other, stream);
    if (result != ncclSuccess && result != ncclInProgress)
        return result;
    return queue_receive(self, chunk_of(all, other), chunk_floats(all, other), other, stream);
}

// The messages that `queue` adds for each other rank, as one group: NCCL sends and receives them
// side by side.
static adele_status exchange_group(struct exchange *self, const struct division *all,
                                   cudaStream_t stream,
                                   ncclResult_t (*queue)(struct exchange *, const struct division *,
                                                         int, cudaStream_t)) {
    adele_status status = ADELE_OK;
    ncclResult_t result = NCCL(self, ncclGroupStart);
    if (result != ncclSuccess)
        return fail_of(self, result);
    for (int other = 0; other < self->n_ranks && status == ADELE_OK; other++) {
        result = other == self->rank ? ncclSuccess : queue(self, all, other, stream);
        if (result != ncclSuccess && result != ncclInProgress)
            status = fail_of(self, result);
    }
    result = NCCL(self, ncclGroupEnd); // also after a failure: it ends what was started
    return status != ADELE_OK ? status : settle(self, result);
}

adele_status device_exchange_sum(const struct adele_device *device, float *vector, float *scratch,
                                 int64_t n) {
    const struct cuda_context *context = context_of(device);
    struct exchange *self = context->exchange;
    TRY(make_current(device));
    if (self == NULL || self->communicator == NULL || self->has_failed)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "exchange_sum: this device has not joined the other ranks, or a failure has "
                    "ended the exchange");
    if (n < 1 || self->n_ranks == 1)
        return ADELE_OK;
    const struct division all = {vector, scratch, n, adele_exchange_chunk(n, self->n_ranks)};
    TRY(exchange_group(self, &all, context->stream, queue_pieces));
    int64_t n_own = (int64_t)chunk_floats(&all, self->rank);
    int64_t n_blocks = (n_own + n_threads - 1) / n_threads;
    if (n_own > 0)
        TRY(LAUNCH(context, sum_pieces_kernel, n_blocks < 65535 ? (int)n_blocks : 65535, n_threads,
                   0, n_own, all.chunk, self->n_ranks, self->rank, scratch,
                   chunk_of(&all, self->rank)));
    return exchange_group(self, &all, context->stream, queue_sums);
}

#else // this build has no NCCL: the interface has no entries, and there are no other ranks

adele_status exchange_wait(const struct cuda_context *, cudaStream_t stream) {
    CUDA_TRY(cudaStreamSynchronize(stream));
    return ADELE_OK;
}

adele_status exchange_wait_before_copy(const struct cuda_context *, cudaStream_t) {
    return ADELE_OK;
}

void exchange_give_up_failed(const struct cuda_context *) {
}

adele_status device_exchange_leave(const struct adele_device *, bool) {
    return ADELE_OK;
}
#endif

} // namespace adele_cuda
