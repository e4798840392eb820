// SPDX-License-Identifier: MIT
// The sum of one vector on each of R GPUs by NCCL (device.h, exchange_sum): the vector is divided
// into R chunks; every rank sends each chunk to the rank that owns it, which adds up the R pieces
// and sends the sum to all. That moves 2 (R - 1) / R of the vector from each GPU and to it, as a
// ring would. The sum is a kernel of our own: the order in which NCCL's reductions add depends on
// the number of ranks, and on how they are connected.
//
// With several machines the GPUs of each do that first; then each GPU's chunk is divided and summed
// in the same way among the GPUs that own it on the other machines. The tree is the same, since
// neighbours are added up first.
//
// The communicator does not block: NCCL returns at once (ncclInProgress), and its state is polled,
// so that no call waits for ever for a rank that is gone.
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
    ncclComm_t communicator; // NULL: not joined yet, or aborted
    int rank, n_ranks, n_near;
    double seconds;  // a wait for other ranks may take
    bool has_failed; // since it was joined
    // Sums run in a stream of their own, behind what was queued before them (`ready`); the device's
    // ops go on beside, until a fence (`done`).
    cudaStream_t stream;
    cudaEvent_t ready, done;
    const char *call; // the last function that was called
};

// Calls a function of NCCL.
#define NCCL(self, function, ...) ((self)->call = #function, (self)->nccl.function(__VA_ARGS__))

// ---- waiting and failing ------------------------------------------------------------------------

// What waits for other ranks on the GPU ends then, unfinished.
static void abort_exchange(struct exchange *self) {
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
static adele_status wait_until_done(struct exchange *self, ncclResult_t result) {
    double begin = clock_seconds();
    const char *call = self->call;
    while (result == ncclInProgress) {
        if (clock_seconds() - begin > self->seconds) {
            self->has_failed = true;
            return FAIL(ADELE_DEVICE, hint, "rank %d of %d: %s was not done after %g seconds",
                        self->rank, self->n_ranks, call, self->seconds);
        }
        pause_briefly();
        ncclResult_t polled = NCCL(self, ncclCommGetAsyncError, self->communicator, &result);
        if (polled != ncclSuccess)
            return fail_of(self, polled);
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
        ncclResult_t polled = NCCL(self, ncclCommGetAsyncError, self->communicator, &result);
        if (polled != ncclSuccess || (result != ncclSuccess && result != ncclInProgress))
            return fail_of(self, polled != ncclSuccess ? polled : result);
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
        abort_exchange(self);
    return status;
}

adele_status exchange_wait_before_copy(const struct cuda_context *context, cudaStream_t stream) {
    bool is_alone = context->exchange == NULL || context->exchange->communicator == NULL;
    return is_alone ? ADELE_OK : exchange_wait(context, stream);
}

void exchange_abort_failed(const struct cuda_context *context) {
    if (context->exchange != NULL && context->exchange->has_failed)
        abort_exchange(context->exchange);
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

static bool is_power_of_two(int n, int most) {
    return n >= 1 && n <= most && (n & (n - 1)) == 0;
}

adele_status device_exchange_join(const struct adele_device *device, const unsigned char *id,
                                  const struct adele_exchange_ranks *ranks) {
    struct cuda_context *context = context_of(device);
    struct exchange *self = context->exchange;
    TRY(make_current(device));
    if (self == NULL || self->communicator != NULL || self->has_failed || ranks->rank < 0 ||
        ranks->rank >= ranks->n || !is_power_of_two(ranks->n, 1 << MAX_LEVELS) ||
        !is_power_of_two(ranks->n_near, ranks->n))
        return FAIL(
            ADELE_INVALID_ARGUMENT, "",
            "exchange_join: rank %d of %d, %d of them near: these numbers must be powers of "
            "two, and exchange_open comes before",
            ranks->rank, ranks->n, ranks->n_near);
    CUDA_TRY(cudaStreamCreateWithFlags(&self->stream, cudaStreamNonBlocking));
    CUDA_TRY(cudaEventCreateWithFlags(&self->ready, cudaEventDisableTiming));
    CUDA_TRY(cudaEventCreateWithFlags(&self->done, cudaEventDisableTiming));
    self->rank = ranks->rank, self->n_ranks = ranks->n, self->n_near = ranks->n_near;
    self->seconds =
        ranks->seconds / 2; // a rank whose join fails waits twice as long for the others
    step_graphs_discard(context->graphs); // a step's next run makes NCCL's connections
    ncclUniqueId unique;
    memcpy(&unique, id, sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclResult_t result = NCCL(self, ncclCommInitRankConfig, &self->communicator, self->n_ranks,
                               unique, self->rank, &config);
    adele_status status = wait_until_done(self, result);
    self->seconds = ranks->seconds;
    if (status != ADELE_OK)
        abort_exchange(self);
    return status;
}

static adele_status leave(struct cuda_context *context, struct exchange *self) {
    TRY(exchange_wait(context, self->stream));
    TRY(exchange_wait(context, context->stream));
    TRY(wait_until_done(self, NCCL(self, ncclCommFinalize, self->communicator)));
    ncclResult_t result = NCCL(self, ncclCommDestroy, self->communicator);
    self->communicator = NULL; // its state cannot be polled any more
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
    abort_exchange(self);
    if (self->stream != NULL)
        (void)cudaStreamDestroy(self->stream);
    if (self->ready != NULL)
        (void)cudaEventDestroy(self->ready);
    if (self->done != NULL)
        (void)cudaEventDestroy(self->done);
    memory_free(self);
    context->exchange = NULL;
    return status;
}

// ---- the sum ------------------------------------------------------------------------------------

static const int n_threads = 256;

// One thread owns every (grid)th float of a rank's own chunk: the sum of it over all pieces.
// `pieces`: (n_pieces, pitch), where the one numbered `own` is in `chunk`, which becomes the sum.
// sums[k] is the sum of 2^k pieces that waits for the next 2^k: the tree of device.h.
static __global__ void __launch_bounds__(n_threads)
    sum_pieces_kernel(int64_t n, int64_t pitch, int n_pieces, int own, const float *pieces,
                      float *chunk) {
    int64_t step = (int64_t)gridDim.x * n_threads;
    for (int64_t i = (int64_t)blockIdx.x * n_threads + threadIdx.x; i < n; i += step) {
        float sums[MAX_LEVELS] = {}, sum = 0.0f;
        for (int piece = 0; piece < n_pieces; piece++) {
            sum = piece == own ? chunk[i] : pieces[piece * pitch + i];
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

// A vector of n floats that some ranks divide among them: those numbered first + i * apart.
struct division {
    float *vector;
    float *scratch; // (n_ranks, chunk)
    int64_t n, chunk;
    int first, apart, n_ranks;
    int own; // i of this rank
};

static struct division divide(float *vector, float *scratch, int64_t n, int first, int apart,
                              int n_ranks, int own) {
    return {vector, scratch, n, adele_exchange_chunk(n, n_ranks), first, apart, n_ranks, own};
}

static float *chunk_of(const struct division *all, int i) {
    return all->vector + i * all->chunk;
}

static int64_t chunk_floats(const struct division *all, int i) {
    int64_t left = all->n - i * all->chunk;
    return left <= 0 ? 0 : left < all->chunk ? left : all->chunk;
}

// Between this rank and the division's i-th. Empty messages are left out on both sides.
struct message {
    int i;
    const float *from;
    int64_t n_from;
    float *to;
    int64_t n_to;
};

static ncclResult_t queue(struct exchange *self, const struct division *all,
                          const struct message *message, cudaStream_t stream) {
    int peer = all->first + message->i * all->apart;
    ncclResult_t result = ncclSuccess;
    if (message->n_from > 0)
        result = NCCL(self, ncclSend, message->from, (size_t)message->n_from, ncclFloat, peer,
                      self->communicator, stream);
    if (message->n_to > 0 && (result == ncclSuccess || result == ncclInProgress))
        result = NCCL(self, ncclRecv, message->to, (size_t)message->n_to, ncclFloat, peer,
                      self->communicator, stream);
    return result;
}

// Every chunk goes to its owner, whose pieces of the other ranks come into its scratch.
static struct message piece_of(const struct division *all, int i) {
    return {i, chunk_of(all, i), chunk_floats(all, i), all->scratch + i * all->chunk,
            chunk_floats(all, all->own)};
}

// Every owner's sum goes to all.
static struct message sum_of(const struct division *all, int i) {
    return {i, chunk_of(all, all->own), chunk_floats(all, all->own), chunk_of(all, i),
            chunk_floats(all, i)};
}

// One message each way for every other rank, as a group: NCCL sends and receives them side by side.
static adele_status exchange_group(struct exchange *self, const struct division *all,
                                   cudaStream_t stream,
                                   struct message (*message_of)(const struct division *, int)) {
    adele_status status = ADELE_OK;
    ncclResult_t result = NCCL(self, ncclGroupStart);
    if (result != ncclSuccess)
        return fail_of(self, result);
    for (int i = 0; i < all->n_ranks && status == ADELE_OK; i++) {
        const struct message message = message_of(all, i);
        result = i == all->own ? ncclSuccess : queue(self, all, &message, stream);
        if (result != ncclSuccess && result != ncclInProgress)
            status = fail_of(self, result);
    }
    result = NCCL(self, ncclGroupEnd); // also after a failure: it ends what was started
    return status != ADELE_OK ? status : wait_until_done(self, result);
}

// This rank's chunk becomes the sum of the ranks' pieces.
static adele_status sum_own_chunk(const struct cuda_context *context, const struct division *all) {
    TRY(exchange_group(context->exchange, all, context->stream, piece_of));
    int64_t n = chunk_floats(all, all->own);
    if (n == 0)
        return ADELE_OK;
    return LAUNCH(context, sum_pieces_kernel, strided_grid(n, n_threads), n_threads, 0, n,
                  all->chunk, all->n_ranks, all->own, all->scratch, chunk_of(all, all->own));
}

static adele_status queue_sum(const struct cuda_context *context, float *vector, float *scratch,
                              int64_t n) {
    struct exchange *self = context->exchange;
    int i_near = self->rank % self->n_near, i_machine = self->rank / self->n_near;
    const struct division near =
        divide(vector, scratch, n, self->rank - i_near, 1, self->n_near, i_near);
    const struct division far =
        divide(chunk_of(&near, i_near), scratch, chunk_floats(&near, i_near), i_near, self->n_near,
               self->n_ranks / self->n_near, i_machine);
    if (near.n_ranks > 1)
        TRY(sum_own_chunk(context, &near));
    if (far.n_ranks > 1 && far.n > 0) {
        TRY(sum_own_chunk(context, &far));
        TRY(exchange_group(self, &far, context->stream, sum_of));
    }
    return near.n_ranks > 1 ? exchange_group(self, &near, context->stream, sum_of) : ADELE_OK;
}

adele_status device_exchange_sum(const struct adele_device *device, float *vector, float *scratch,
                                 int64_t n, bool is_last) {
    const struct cuda_context *context = context_of(device);
    const struct exchange *self = context->exchange;
    TRY(make_current(device));
    if (self == NULL || self->communicator == NULL || self->has_failed)
        return FAIL(ADELE_INVALID_ARGUMENT, "",
                    "exchange_sum: this device has not joined the other ranks, or a failure has "
                    "ended the exchange");
    CUDA_TRY(cudaEventRecord(self->ready, context->stream));
    CUDA_TRY(cudaStreamWaitEvent(self->stream, self->ready, 0));
    struct cuda_context beside = *context; // whose launches go into the other stream
    beside.stream = self->stream;
    TRY(queue_sum(&beside, vector, scratch, n));
    if (!is_last)
        return ADELE_OK;
    CUDA_TRY(cudaEventRecord(self->done, self->stream));
    CUDA_TRY(cudaStreamWaitEvent(context->stream, self->done, 0));
    return ADELE_OK;
}

#else // without NCCL's header: the interface has no entries, and step/exchange.c uses MPI

adele_status exchange_wait(const struct cuda_context *, cudaStream_t stream) {
    CUDA_TRY(cudaStreamSynchronize(stream));
    return ADELE_OK;
}

adele_status exchange_wait_before_copy(const struct cuda_context *, cudaStream_t) {
    return ADELE_OK;
}

void exchange_abort_failed(const struct cuda_context *) {
}

adele_status device_exchange_leave(const struct adele_device *, bool) {
    return ADELE_OK;
}
#endif

} // namespace adele_cuda
