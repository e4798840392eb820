// SPDX-License-Identifier: MIT
// A network on a device: parameters, and a plan (memory and ops) for each input shape it runs at.
#ifndef ADELE_NN_NETWORK_H
#define ADELE_NN_NETWORK_H

#include "base/safetensors.h"
#include "nn/graph.h"

struct network; // owns the graph, the arenas and the plans

struct network_config {
    const char *name;     // "unet", "deeplabv1", "deeplabv2", "deeplabv3"
    const char *backbone; // of DeepLab; NULL or "default": "resnet38d"
    int n_channels, n_categories, width;
    int rate;       // of DeepLab's head; 0: the published one
    bool is_frozen; // the backbone's batch norm and first convolution
    enum rate_groups groups;
    uint64_t seed; // of the initialization: RANDOM_INIT, sample = parameter number
    enum adele_precision precision;
};

// ADELE_CONFIG unless name, backbone and is_frozen go together.
ADELE_MUST_CHECK adele_status network_check_names(const struct network_config *config);

// The graph alone, into one that graph_init made. The caller calls graph_deinit, also after a
// failure.
ADELE_MUST_CHECK adele_status network_build_graph(const struct network_config *config,
                                                  struct graph *graph);

// Builds the graph, allocates the arenas (weights, gradients, momenta, buffers) on the device,
// initializes.
ADELE_MUST_CHECK adele_status network_create(const struct adele_device *device,
                                             const struct network_config *config,
                                             struct network **out);
// The same, but network_allocate allocates the arenas and initializes them, so that plans can be
// measured before anything is allocated. Until then there are no weights.
ADELE_MUST_CHECK adele_status network_create_unallocated(const struct adele_device *device,
                                                         const struct network_config *config,
                                                         struct network **out);
void network_destroy(struct network *network); // NULL is legal
const struct graph *network_graph(const struct network *network);
bool network_has_parameters(const struct network *network);     // whether the arenas are allocated
int64_t network_parameter_count(const struct network *network); // trainable and frozen weights

// Device arenas, borrowed. Weights, gradients and momenta share offsets.
const float *network_weights(const struct network *network);
// Call it before each change of the weights, also when the address is known: it marks the packed
// weights as outdated.
float *network_writable_weights(struct network *network);
// Packs the weights if network_writable_weights was called since they were packed. Forward and
// backward do so too; a step that calls it right after its update has the same launches every time.
ADELE_MUST_CHECK adele_status network_pack(struct network *network);
float *network_gradients(struct network *network);
float *network_momenta(struct network *network);
float *network_buffers(struct network *network);
// Momenta and second moments of `n` ranges of the weights alone, where several processes divide
// them: arenas of n_floats, in which a range begins at `at`. Before they are allocated. `ranges`:
// copied.
struct network_range {
    int64_t first, n, at;
};
ADELE_MUST_CHECK adele_status network_divide_momenta(struct network *network, int n,
                                                     const struct network_range *ranges,
                                                     int64_t n_floats);
// Bytes of momenta and second moments that other processes have.
size_t network_undivided_bytes(const struct network *network);

// A further arena of zeros, for an optimizer with second moments; its first ones are the momenta.
// Once, before network_parameter_bytes is called.
ADELE_MUST_CHECK adele_status network_add_second_moments(struct network *network);
float *network_second_moments(const struct network *network); // NULL when there are none
ADELE_MUST_CHECK adele_status network_zero_gradients(struct network *network);
// What network_add_second_moments and network_add_average have allocated before network_allocate.
size_t network_early_bytes(const struct network *network);

// Average of the weights, with that of the buffers (running statistics) behind it: a further arena,
// in which each average has the place of its weight or buffer. Once, before network_parameter_bytes
// is called; it holds zeros until network_restart_average.
ADELE_MUST_CHECK adele_status network_add_average(struct network *network);
float *network_average(const struct network *network); // NULL when there is none
// The average becomes the weights and buffers as they are.
ADELE_MUST_CHECK adele_status network_restart_average(struct network *network);
// Exchanges the contents of the average with weights and buffers, so that the network computes with
// the average; a second call brings back both. Overwrites the gradients; packs the weights.
ADELE_MUST_CHECK adele_status network_exchange_average(struct network *network);

// ---- plans --------------------------------------------------------------------------------------
struct plan; // the network at one input shape: ops, and where each tensor lies

// Plans for inputs (n, C, h, w). Training plans keep what backward needs; others reuse memory as
// soon as a tensor is dead. Nothing is allocated until network_allocate: offsets are computed
// first. Plans are owned by the network and stay valid until network_drop_plans or network_destroy;
// *out is an earlier inference plan where there is one of that shape.
ADELE_MUST_CHECK adele_status network_plan(struct network *network, int n, int h, int w,
                                           bool is_training, struct plan **out);
// Groups training plans, each in one group, that differ in the extents of their input alone: those
// of a step's scales. Where the device runs a convolution of all of them as one op
// (device.h, conv2d_scales_create), they run together, node by node, and need memory for gradients
// and workspace at the same time; otherwise one after the other, as without a group. They need a
// network_allocate after it, because their memory may move; the group is the network's and stays
// valid as long as its plans. ADELE_INVALID_ARGUMENT, and plans as before: n is not 1 to
// ADELE_MAX_SCALES, or a plan is another network's, one of inference, in a group already, or of
// another number of images than the first.
struct plan_group;
ADELE_MUST_CHECK adele_status network_group(struct network *network, int n,
                                            struct plan *const *plans, struct plan_group **out);
// Allocates the arenas, where they are not there yet, and what all plans so far need: activations
// for each training plan, and one region that all plans (or groups) use in turn for gradients,
// workspace and the activations of inference plans. May be called again after more plans. The
// message of ADELE_NO_MEMORY says how much was needed.
ADELE_MUST_CHECK adele_status network_allocate(struct network *network);
// Destroys all plans, and releases all that network_allocate has allocated. Weights stay.
ADELE_MUST_CHECK adele_status network_drop_plans(struct network *network);

// Which samples the rows of the next forward with batch statistics are. Dropout depends on it: the
// same (seed, epoch, sample) drops the same values. `sample_ids`: plain (N) on the device,
// borrowed; NULL, the initial value: rows are samples 0, 1, ..
void plan_set_samples(struct plan *plan, uint32_t epoch, const int32_t *sample_ids);
// ADELE_INVALID_ARGUMENT when a batch norm of the plan would compute statistics of a single value.
ADELE_MUST_CHECK adele_status plan_check_statistics(const struct plan *plan);
// Whether that would fail for a batch of one image of the same size.
bool plan_needs_two_images(const struct plan *plan);

struct plan_memory {
    size_t activation_bytes, shared_bytes;
};
struct plan_memory plan_memory(const struct plan *plan);
size_t network_parameter_bytes(const struct network *network); // all arenas
size_t network_planned_bytes(const struct network *network);   // everything network_allocate takes
size_t network_allocated_bytes(const struct network *network); // what it has taken of that so far

// The memory that plans of n images of these n_sizes extents would take; they are not kept.
// Training plans are taken as a group, of 1 to ADELE_MAX_SCALES extents.
struct plan_extent {
    int h, w;
};
ADELE_MUST_CHECK adele_status network_measure(struct network *network, int n, int n_sizes,
                                              const struct plan_extent *sizes, bool is_training,
                                              struct plan_memory *out);

struct adele_shape plan_input_shape(const struct plan *plan);
struct adele_shape plan_output_shape(const struct plan *plan);
void *plan_input(struct plan *plan);  // tensor; fill it, then run forward
void *plan_output(struct plan *plan); // tensor: logits, valid until the next forward of this plan
                                      // (training) or of any plan (inference)
// Training: the logits' gradient, of the plan's own activation memory; fill it, then run backward.
void *plan_d_output(struct plan *plan);

// `use_batch_statistics`: train mode (also updates the running statistics); else eval mode.
ADELE_MUST_CHECK adele_status plan_forward(struct plan *plan, bool use_batch_statistics);
// After a forward of the same plan: parameter gradients +=. Batch norm runs in the mode of that
// forward.
ADELE_MUST_CHECK adele_status plan_backward(struct plan *plan);
// The same, and after the backward of each node, from the last one to the first, calls after_node.
ADELE_MUST_CHECK adele_status plan_backward_observed(
    struct plan *plan, adele_status (*after_node)(void *context, int i_node), void *context);

// The same of all plans of a group, but for rounding: a device's op for all scales may add up in
// another order (device.h). When after_node is called, the gradients of that node's parameters are
// complete.
ADELE_MUST_CHECK adele_status plan_group_forward(struct plan_group *group,
                                                 bool use_batch_statistics);
ADELE_MUST_CHECK adele_status plan_group_backward(struct plan_group *group);
ADELE_MUST_CHECK adele_status plan_group_backward_observed(
    struct plan_group *group, adele_status (*after_node)(void *context, int i_node), void *context);

// plan_nonfinite.c: to be called after a failure. As plan_forward with batch statistics and
// plan_backward, but every tensor is checked on the host, and the first non-finite one ends the
// pass. *out_what (caller frees with memory_free) names it: "the output of 'inc.double_conv.0' is
// not finite"; NULL: all are finite. Zero the parameter gradients before the backward.
ADELE_MUST_CHECK adele_status plan_find_nonfinite_forward(struct plan *plan, char **out_what);
ADELE_MUST_CHECK adele_status plan_find_nonfinite_backward(struct plan *plan, char **out_what);
// The row of the first image of the plan's input that has a non-finite number; -1: none.
ADELE_MUST_CHECK adele_status plan_find_nonfinite_input(const struct plan *plan, int *out_row);

// One text line per node: name, kind, shape out, parameters, GFLOP, engine; then the memory plan.
// Written through log_line.
void plan_describe(const struct plan *plan);
double plan_flops(const struct plan *plan, bool with_backward);

// A host copy of the weight arena with the buffer arena behind it; caller frees *out with
// memory_free.
ADELE_MUST_CHECK adele_status network_download(struct network *network, float **out);

// ---- weights in files: PyTorch names, OIHW ------------------------------------------------------
// Which tensors a file holds: weights and buffers, or the average of both, or one of the
// optimizer's a trainable parameter.
enum weights_content { CONTENT_WEIGHTS, CONTENT_AVERAGE, CONTENT_MOMENTA, CONTENT_SECOND_MOMENTS };
// Adds every tensor to the writer under `prefix` + name; the network must have the content. The
// host copies that the writer borrows live in *keep (an array the caller frees with memory_free
// after saving). `whole`: momenta or second moments, plain (n_weights) on the host, borrowed by the
// writer, where the network has ranges alone; NULL: the network's own.
ADELE_MUST_CHECK adele_status network_export(struct network *network, enum weights_content content,
                                             const char *prefix, const float *whole,
                                             struct safetensors_writer *writer, float **keep);
// Loads them; missing, extra (with the prefix) and mis-shaped tensors are an error that names them,
// eight of each kind and the count of the rest. Extra names may end in "num_batches_tracked". Of
// momenta and second moments it takes the network's ranges. `is_partial`: takes what the file has;
// missing parameters keep their values, extra tensors are left, both are logged by name. Then it is
// an error when a shape differs, or when nothing fits.
ADELE_MUST_CHECK adele_status network_import(struct network *network, enum weights_content content,
                                             const char *prefix, const struct safetensors *file,
                                             bool is_partial);
#endif
