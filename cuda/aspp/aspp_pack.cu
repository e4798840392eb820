// SPDX-License-Identifier: MIT
// Weights of an atrous pyramid, from the branches' plain arrays (c_out, c_in, k, k) into the order
// in which the tuned kernels read them: for each group of taps (aspp_parts.cuh) (its target
// channels, its taps, k_width), a row for each target channel. Rows are output channels in the
// forward pass and input channels in the data gradient, which is where the transposition happens.
// The centres of the branches of SUM are added up here, in the order of the branches, in float, and
// rounded afterwards. Zeros where a row or a column has no channel. Overwrites `packed`. On request
// biases too, as one array of all target channels.
//
// Reading in the written order would touch a 32-byte sector for every float: so a block carries its
// part of each branch through shared memory, and both its reads and its writes are runs.
#include "aspp/aspp_parts.cuh"
#include "conv2d/conv2d_round.cuh"

namespace adele_cuda {

static const int tile_rows = 8;
static const int tile_columns = 32; // one warp writes one run
static const int n_threads = tile_rows * tile_columns;
static const int most_taps = 9;

struct pack_branch {
    const float *weight; // (c_out, c_in, n_taps)
    int n_taps;          // 9 or 1
    int tap;             // of the group's, the branch's first
    int group_taps;      // of the group it goes to
    int group_rows;      // and its target channels
    int shift;           // columns before the branch's first channel
    int64_t packed;      // elements before the group's
};
struct pack_plan {
    struct pack_branch branches[ADELE_MAX_RATES];
    int n_branches;
    bool merges_centres; // into tap 0
    bool is_transposed;  // rows are input channels
    int c_out, c_in, k_width;
    struct aspp_pointers biases;
    float *packed_biases; // NULL: not wanted
};

// Brings the block's part of a branch into `tile` (rows, columns, taps), runs first.
static __device__ inline void load_branch(const struct pack_plan &plan,
                                          const struct pack_branch &branch, float *tile) {
    int row_first = (int)blockIdx.x * tile_rows, column_first = (int)blockIdx.y * tile_columns;
    int n_rows = plan.is_transposed ? plan.c_in : plan.c_out;
    int n_columns = plan.is_transposed ? plan.c_out : plan.c_in;
    int n_inner = plan.is_transposed ? tile_rows : tile_columns;
    int run = n_inner * branch.n_taps;
    for (int i = (int)threadIdx.x; i < n_threads * branch.n_taps; i += n_threads) {
        int outer = i / run, inner = i % run / branch.n_taps, tap = i % branch.n_taps;
        int local_row = plan.is_transposed ? inner : outer;
        int local_column = plan.is_transposed ? outer : inner;
        int row = row_first + local_row, column = column_first + local_column - branch.shift;
        int o = plan.is_transposed ? column : row, in = plan.is_transposed ? row : column;
        float value = 0.0f;
        if (row < n_rows && column >= 0 && column < n_columns)
            value = branch.weight[((int64_t)o * plan.c_in + in) * branch.n_taps + tap];
        tile[(local_row * tile_columns + local_column) * most_taps + tap] = value;
    }
}

// A row's biases: their sum, or each branch's among its own channels. Of SUM rows go up to a
// multiple of 64.
static __device__ inline void pack_biases(const struct pack_plan &plan, int row) {
    float sum = 0.0f;
#pragma unroll
    for (int r = 0; r < ADELE_MAX_RATES; r++) { // with constant numbers, they stay parameters
        if (r >= plan.n_branches || row >= plan.c_out)
            continue;
        float bias = plan.biases.of[r][row];
        if (!plan.merges_centres)
            plan.packed_biases[r * plan.c_out + row] = bias;
        sum += bias;
    }
    if (plan.merges_centres)
        plan.packed_biases[row] = sum;
}

// One block owns 8 rows x 32 columns of every tap; a thread writes one row and column.
template <typename T>
static __global__ void pack_kernel(const struct pack_plan plan, enum conv2d_math math, T *packed) {
    SHARED(float, tile, [n_threads * most_taps]);
    int row = (int)blockIdx.x * tile_rows + (int)threadIdx.x / tile_columns;
    int column = (int)blockIdx.y * tile_columns + (int)threadIdx.x % tile_columns;
    const float *mine = tile + (int)threadIdx.x * most_taps;
    float centre = 0.0f;
    if (plan.packed_biases != NULL && blockIdx.y == 0 && threadIdx.x < tile_rows)
        pack_biases(plan, (int)blockIdx.x * tile_rows + (int)threadIdx.x);
    for (int r = 0; r < plan.n_branches; r++) {
        const struct pack_branch &branch = plan.branches[r];
        __syncthreads(); // the branch before has been written
        load_branch(plan, branch, tile);
        __syncthreads();
        T *to = packed + branch.packed +
                ((int64_t)row * branch.group_taps + branch.tap) * plan.k_width + column;
        bool is_mine = row < branch.group_rows && column < plan.k_width;
        int next = 0;
        for (int tap = 0; tap < branch.n_taps; tap++) {
            if (plan.merges_centres && tap == branch.n_taps / 2) {
                centre += mine[tap];
                continue;
            }
            if (is_mine)
                to[(int64_t)next * plan.k_width] = from_float<T>(conv2d_round(mine[tap], math));
            next++;
        }
    }
    const struct pack_branch &first = plan.branches[0];
    if (plan.merges_centres && row < first.group_rows && column < plan.k_width)
        packed[(int64_t)row * first.group_taps * plan.k_width + column] =
            from_float<T>(conv2d_round(centre, math));
}

// ---- launching ----------------------------------------------------------------------------------

static int64_t packed_elements(const struct aspp_gather *gather) {
    const struct aspp_group *last = &gather->groups[gather->n_groups - 1];
    return last->weights + (int64_t)last->channels * last->n_taps * gather->k_width;
}

size_t aspp_packed_bytes(const struct cuda_context *context, const struct aspp_gather *gather) {
    size_t element = context->storage == ADELE_PRECISION_BF16 ? sizeof(bf16) : sizeof(float);
    return (size_t)packed_elements(gather) * element;
}

// Where branch r's weights go.
static struct pack_branch branch_of(const struct adele_aspp_desc *desc, bool is_data_gradient,
                                    const struct aspp_gather *gather, int r) {
    const bool has_group = gather->n_groups > 1;
    const struct aspp_group *group = &gather->groups[has_group ? r : 0];
    struct pack_branch branch = {};
    int kernel = aspp_kernel_size(desc->rates[r]);
    branch.n_taps = kernel * kernel;
    branch.group_rows = group->channels;
    branch.group_taps = gather->shares_rows ? aspp_taps(gather) : group->n_taps;
    branch.tap = gather->shares_rows ? group->tap_first : 0;
    branch.packed = gather->shares_rows ? 0 : group->weights;
    bool is_slice = is_data_gradient && desc->form == ADELE_ASPP_CONCAT;
    branch.shift = is_slice ? r * desc->c_out % 8 : 0;
    return branch;
}

static struct pack_plan plan_of(const struct adele_aspp_desc *desc, bool is_data_gradient,
                                const struct aspp_gather *gather,
                                const struct adele_aspp_args *args, float *packed_biases) {
    struct pack_plan plan = {};
    plan.n_branches = desc->n_rates;
    plan.merges_centres = desc->form == ADELE_ASPP_SUM;
    plan.is_transposed = is_data_gradient;
    plan.c_out = desc->c_out;
    plan.c_in = desc->c_in;
    plan.k_width = gather->k_width;
    plan.packed_biases = packed_biases;
    int tap = plan.merges_centres ? 1 : 0;
    for (int r = 0; r < desc->n_rates; r++) {
        plan.branches[r] = branch_of(desc, is_data_gradient, gather, r);
        plan.branches[r].weight = args->weights[r];
        plan.biases.of[r] = args->biases[r];
        if (gather->n_groups > 1)
            continue;
        plan.branches[r].tap = tap; // behind those of the branches before
        tap += plan.branches[r].n_taps - (plan.merges_centres ? 1 : 0);
    }
    return plan;
}

adele_status aspp_pack(const struct cuda_context *context, const struct adele_aspp_desc *desc,
                       bool is_data_gradient, const struct aspp_gather *gather,
                       enum conv2d_math math, const struct adele_aspp_args *args,
                       const struct aspp_packed *packed) {
    struct pack_plan plan = plan_of(desc, is_data_gradient, gather, args, packed->biases);
    int n_rows = 0;
    for (int g = 0; g < gather->n_groups; g++)
        n_rows = max(n_rows, gather->groups[g].channels);
    if (packed->biases != NULL)
        n_rows = ceil_div(n_rows, 64) * 64;
    dim3 grid((unsigned)ceil_div(n_rows, tile_rows),
              (unsigned)ceil_div(plan.k_width, tile_columns));
    return WITH_STORAGE(
        context, T,
        LAUNCH(context, pack_kernel<T>, grid, n_threads, 0, plan, math, (T *)packed->weights));
}

} // namespace adele_cuda
