// SPDX-License-Identifier: MIT
// Inside adele-bench. One case = one op at one shape, "conv2d/unet/inc.double_conv.3@1.5". Its
// arrays are those of tests/support/problem.h, the shapes those of bench_<what>.c; bench_fields.c
// allocates memory, bench_check.c compares results with tests/reference, bench_time.c measures,
// bench_report.c prints.
//
// Letters as in device/device.h.
#ifndef ADELE_BENCH_BENCH_H
#define ADELE_BENCH_BENCH_H

#include "scaling_model.h"
#include "support/problem.h"

#include <stdio.h>

struct bench_options {
    const char *filter; // part of a case's name; NULL = all
    const char *device, *engine, *json;
    enum adele_precision precision;
    int n_rounds;
    double scale; // of image extents and of the heads' channels: 0.25 keeps a run on the CPU short
    bool is_list, is_costs, is_scaling, is_tiles;
    struct scaling_assumptions assumptions;
};

// ---- memory on a device, and results ------------------------------------------------------------

struct instance { // an op with its arguments bound
    struct adele_device *device;
    struct adele_op *op;
    union op_args args;
    void *blocks[MAX_FIELDS + 2]; // fields, workspace, packed weights
    int n_blocks;
};
// Creates the op and memory for it, filled by the problem's rules. instance_close frees all.
ADELE_MUST_CHECK adele_status instance_open(struct adele_device *device,
                                            const struct problem *problem, struct instance *out);
// The same on the arguments of another instance of the problem, whose memory this device may use.
ADELE_MUST_CHECK adele_status instance_share(struct adele_device *device,
                                             const struct problem *problem,
                                             const struct instance *with, struct instance *out);
void instance_close(struct instance *instance);
adele_status instance_run(struct instance *instance, bool is_backward);
// Where field `member` lies on the device.
void *instance_pointer(const struct instance *instance, size_t offset);

// The value that element i of image i_image of a tensor begins with, for the field of that offset:
// images repeat, the even ones like image 0, the odd ones like image 1. Every value has 8 bits, so
// that bf16 holds it.
float field_value(const struct field *field, size_t i_image, size_t i);

bool field_is_filled(const struct field *field); // it starts with values, not with zeros
void field_fill_host(const struct field *field, void *block, size_t count); // of a plain array

// Runs the problem on the device and in tests/reference and compares all outputs.
// ADELE_NUMERIC if some differ; the message names them.
ADELE_MUST_CHECK adele_status problem_check(struct adele_device *device,
                                            const struct problem *problem);
// Least bytes to move: every array that the pass reads or writes, once in each direction.
double problem_bytes(const struct problem *problem, struct adele_device *device, bool is_backward);
bool bench_is_bf16(const struct adele_device *device);
// Whether a library computes on tensors of bf16: it rounds sums to bf16 before it adds a bias, or
// the values to accumulate onto.
bool bench_rounds_sums(const struct instance *instance);

// ---- measuring ----------------------------------------------------------------------------------

#define MAX_PEERS 2

struct times { // ms
    double median, min, quartile_1, quartile_3, max;
};
struct row {
    char name[192], shape[64], engine[128], checked[48];
    struct times times;
    double flops, bytes;
    char peer[MAX_PEERS][32];                    // "" = none
    double peer_ms[MAX_PEERS], ratio[MAX_PEERS]; // the median of peer / ours, round by round
};

struct bench {
    struct bench_options options;
    struct adele_device *device;
    struct adele_device *peers[MAX_PEERS]; // cudnn, cublas: NULL when not there
    bool is_asynchronous;                  // launches return before they are done
    void *flush;                           // written between runs, so that caches hold nothing
    size_t flush_bytes;
    double copy_bytes_per_s, flops_per_s; // measured ceilings
    char matrix_engine[128];
    struct row *rows;
    int n_rows, n_seen, n_failed;
};

ADELE_MUST_CHECK adele_status bench_open(const struct bench_options *options, struct bench *out);
void bench_close(struct bench *bench);
// Measures the speed of a large copy and of a large matrix product.
ADELE_MUST_CHECK adele_status bench_ceilings(struct bench *bench);
// Times `run` and its peers in alternation; the row's name, flops, bytes and check are set.
ADELE_MUST_CHECK adele_status bench_time(struct bench *bench, struct instance *run,
                                         bool is_backward, struct instance *peers, int n_peers,
                                         struct row *row);

// ---- cases --------------------------------------------------------------------------------------

struct bench_case {
    const char *name;            // "conv2d/unet/inc.double_conv.3@1.5"
    char shape[64];              // as text
    const struct problem *full;  // what is timed
    const struct problem *small; // what is compared with tests/reference before
    bool has_peers;              // cudnn and cublas can do it
    // Instead of `small`: checks the outputs of an instance of `full`, and describes the check in
    // `text`.
    adele_status (*check)(struct instance *instance, const struct problem *full, char text[48]);
};
// Checks, then times forward and backward, if the filter matches. A failure becomes a line of
// the report, and the next case follows.
void bench_run_case(struct bench *bench, const struct bench_case *c);
int bench_extent(const struct bench *bench, double extent); // scaled by --scale; 1 at least

// bench_conv2d.c: whole, or a sample of a few hundred elements.
adele_status check_conv2d(struct instance *instance, const struct problem *full, char text[48]);

// The lists of cases.
void bench_networks(struct bench *bench); // bench_networks.c: each op of the networks' layers
// bench_pack.c: the weights of a network with about this number of them.
void bench_pack(struct bench *bench, const char *pipeline, int64_t n_weights);
// bench_initialize.c: the initial values of that many weights.
void bench_initialize(struct bench *bench, const char *pipeline, int64_t n_weights);
void bench_heads(struct bench *bench); // bench_aspp.c: atrous convolutions and pyramids
void bench_steps(struct bench *bench); // bench_steps.c: the ops around the network
struct ensemble_shape {
    const char *pipeline;
    int n, c, image_c, size, logits;
};
// bench_ensemble.c: the ops of a correction from an ensemble.
void bench_ensemble(struct bench *bench, const struct ensemble_shape *shape);

// ---- reports ------------------------------------------------------------------------------------

void report_header(const struct bench *bench);
void report_row(const struct bench *bench, const struct row *row);
ADELE_MUST_CHECK adele_status report_json(const struct bench *bench);
// bench_costs.c: the dry run.
ADELE_MUST_CHECK adele_status bench_costs(FILE *to);
// bench_tiles.c: a model of the time of Hopper's convolution kernels.
void bench_tiles(FILE *to);
// bench_scaling.c: a model of the time of a step on several GPUs.
ADELE_MUST_CHECK adele_status bench_scaling(FILE *to,
                                            const struct scaling_assumptions *assumptions);
#endif
