// SPDX-License-Identifier: MIT
// A model of the time of a training step on several GPUs, one rank on each: counted FLOPs and
// bytes, assumed rates. It measures nothing.
//
// Each rank computes its images and exchanges a vector of floats: the ranks send each other
// chunks of it, each sums the pieces of its own chunk, and sends the sum to all others. In one
// level, as through the memory of hosts (step/exchange.c), a rank talks to every other one. In two
// levels, as by NCCL (cuda/runtime/exchange.cu), the ranks of a machine first sum among themselves,
// so that a machine sends each chunk to the others once. The order of the sums, a binary tree, is
// the same in both.
#ifndef ADELE_BENCH_SCALING_MODEL_H
#define ADELE_BENCH_SCALING_MODEL_H

#include "adele/status.h"

#include <stdbool.h>
#include <stdint.h>

// Name, default, lowest and highest value, unit, meaning.
#define SCALING_ASSUMPTIONS(ROW)                                                                   \
    ROW(peak, 798, 0.001, 1e6, "TFLOP/s",                                                          \
        "of a GPU: a large matrix product in bf16 on an H100 that draws its full power")           \
    ROW(share, 0.75, 0.01, 1, "of it",                                                             \
        "that the FLOPs of a step reach, all else of the step included; the same for any images")  \
    ROW(memory, 3000, 1, 1e6, "GB/s", "of a GPU's memory: the sums of the vectors")                \
    ROW(machine, 8, 1, 64, "GPUs", "in a machine")                                                 \
    ROW(link, 350, 0.001, 1e5, "GB/s",                                                             \
        "of a GPU to the others of its machine, each way: what is left of the 450 of NVLink 4")    \
    ROW(network, 400, 0.001, 1e5, "Gb/s", "of a network adapter, each way")                        \
    ROW(adapters, 1, 1, 64, "", "of a machine, which its GPUs share")                              \
    ROW(link_latency, 5, 0, 1e6, "us", "of a message inside of a machine")                         \
    ROW(network_latency, 10, 0, 1e6, "us",                                                         \
        "of a message between machines; the messages of a rank wait for each other")               \
    ROW(through_host, 0, 0, 1, "",                                                                 \
        "1: without NCCL the vector goes through host memory and MPI, in one level")               \
    ROW(pcie, 50, 0.001, 1e5, "GB/s", "of a GPU and host memory, each way, with through_host")     \
    ROW(host_copy, 8, 0.001, 1e5, "GB/s",                                                          \
        "of messages between ranks of a host, and of sums in its memory, with through_host")       \
    ROW(beside, 0.2, 0, 1, "of a GPU",                                                             \
        "that an exchange beside backward takes: multiprocessors of NCCL, and memory traffic")     \
    ROW(levels, 2, 1, 2, "", "of the exchange: 2 is what the program does with NCCL")              \
    ROW(full_images, 4, 1, 1e6, "images", "a part with fewer leaves a GPU partly idle; a warning") \
    ROW(images, 0, 0, 1e6, "images", "a GPU, in the table where the batch grows; 0: see there")    \
    ROW(batch, 0, 0, 1e6, "images", "a step, in the table where it is fixed; 0: see there")

enum scaling_name {
#define SCALING_ENUM(name, value, low, high, unit, meaning) SCALING_##name,
    SCALING_ASSUMPTIONS(SCALING_ENUM)
#undef SCALING_ENUM
        SCALING_COUNT
};
struct scaling_assumption {
    const char *name;
    double value, low, high;
    const char *unit, *meaning;
};
extern const struct scaling_assumption scaling_defaults[SCALING_COUNT];

struct scaling_assumptions {
    double value[SCALING_COUNT];
};
struct scaling_assumptions scaling_assumptions_default(void);
// NAME=VALUE. NULL, or what is wrong with it, in `message`.
const char *scaling_assume(struct scaling_assumptions *assumptions, const char *text,
                           char message[160]);

// A part of the vector that is exchanged by itself (step/buckets.h).
struct scaling_bucket {
    int64_t n_floats;
    double ready; // share of a step's FLOPs that is computed when it is complete
};

struct scaling_work {
    double flops_image; // a step's FLOPs by its images
    int64_t n_weights,  // floats of gradients
        n_rest;         // of those of the scales' weights, and of running statistics
    // In the order in which they are exchanged, borrowed. NULL: all at once, after backward.
    const struct scaling_bucket *buckets;
    int n_buckets;
};

// Where the time of an exchange goes.
enum scaling_cost {
    COST_LINK,    // bandwidth inside of a machine
    COST_NETWORK, // bandwidth between machines
    COST_LATENCY,
    COST_SUMS,
    COST_HOST, // copies to the host and back
    COST_COUNT
};
struct scaling_step {
    double sent;         // bytes that a rank sends
    double sent_machine; // bytes that a machine sends to the others
    double computed;     // seconds
    double costs[COST_COUNT];
    double exchanged;       // seconds: the sum of the costs
    double without_overlap; // seconds a step: first computed, then exchanged
    // Buckets one after another, each from when it is complete, or the one before it is exchanged;
    // computing is slower beside them. The same as without_overlap where the vector is exchanged as
    // a whole: through the host, or without buckets.
    double with_overlap;
    double efficiency, efficiency_overlap; // computed by these
    double images_per_s;                   // with overlap
};

// The vector of a batch of n_parts parts: what the work has and a flag for each part, in chunks of
// whole cache lines for any number of ranks up to n_parts.
int64_t scaling_vector_floats(const struct scaling_work *work, int n_parts);
// Bytes that a rank sends in one step where the device's memory is the host's: of each bucket
// (step/buckets.h) the others' chunks, and to each of them its own, new weights or sums, and 8
// bytes that say whether its gradients are finite.
ADELE_MUST_CHECK adele_status scaling_bytes_sent(const struct scaling_work *work, int n_parts,
                                                 int n_ranks, int rank, int64_t *out);
// The same where devices have memory of their own and exchange through the hosts'
// (step/exchange.h): equal chunks of the whole vector to the others, and to each of them the sum of
// its own one.
int64_t scaling_bytes_through_host(const struct scaling_work *work, int n_parts, int n_ranks);
// One step on n_ranks GPUs with one part of n_images images each. Machines are full, or there is
// only one.
struct scaling_step scaling_step_of(const struct scaling_assumptions *assumptions,
                                    const struct scaling_work *work, int n_ranks, double n_images);
// The largest cost in words, or that there is none; static.
const char *scaling_limit(const struct scaling_step *step);
#endif
