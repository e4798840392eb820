// SPDX-License-Identifier: MIT
// The contract between the engine and a device: what a device is and what it can do.
// Nothing above this file depends on which device runs. Together with the files it includes it is
// the whole contract: tensor.h (shapes and layouts), op_list.h (the ops), and the ops' descriptors
// and arguments by stage in network_ops.h, training_ops.h and label_ops.h.
//
// An op is created for fixed shapes (that is where a device chooses an implementation and reports
// the workspace that it needs), then run many times without allocating.
#ifndef ADELE_DEVICE_DEVICE_H
#define ADELE_DEVICE_DEVICE_H

#include "adele/status.h"
#include "device/label_ops.h"
#include "device/network_ops.h"
#include "device/op_list.h"
#include "device/training_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

struct adele_device;

// What every op instance begins with.
struct adele_op {
    enum adele_op_kind kind;
    const struct adele_device *device;
    size_t workspace_bytes; // the caller provides it; ops that run in turn may share it
    size_t packed_bytes;    // conv2d: size of its packed weights (see pack); 0: it reads plain ones
    // batch_norm: forward takes from_saved. The planner then gives up dst between its uses in
    // forward and in backward, which costs one more pass over it.
    bool can_recompute;
    double flops_forward, flops_backward;
    const char *engine; // static text: the implementation that was chosen
};

// ---- exchange between devices -------------------------------------------------------------------
// Processes that train together are ranks, as in MPI; each has a device of its own. R of them, a
// power of two, add up vectors of n floats: each adds up a chunk of all of them.
#define ADELE_EXCHANGE_ID_BYTES 128
// The floats of a chunk, a multiple of 32 (128 bytes). The last chunks may be shorter, or empty.
static inline int64_t adele_exchange_chunk(int64_t n, int n_ranks) {
    return ((n + n_ranks - 1) / n_ranks + 31) / 32 * 32;
}

struct adele_exchange_ranks {
    int rank, n; // this one, of a power of two
    // Ranks of one machine: the n_near (a power of two) ranks from every multiple of it on. They
    // send each other n_near times as much as they send to other machines.
    int n_near;
    double seconds; // that joining and every later wait for other ranks may take
};

struct adele_device_iface {
    const char *name;
    // Not zeroed; 64-byte aligned or better.
    adele_status (*alloc)(const struct adele_device *device, size_t bytes, void **out);
    // Page-locked host memory. upload_begin copies from it (data that do not fit into the device),
    // and ops write to it directly (records that the host reads without waiting). The same as
    // alloc where the device's memory is the host's.
    adele_status (*alloc_pinned)(const struct adele_device *device, size_t bytes, void **out);
    void (*release)(const struct adele_device *device, void *block); // of both; NULL is legal
    // How many bytes a run may use: what alloc can still provide, less a reserve for what the
    // device allocates itself later. SIZE_MAX when unknown.
    size_t (*free_bytes)(const struct adele_device *device);
    adele_status (*upload)(const struct adele_device *device, void *to, const void *from_host,
                           size_t bytes);
    adele_status (*download)(const struct adele_device *device, void *to_host, const void *from,
                             size_t bytes);
    // Starts a copy from memory of alloc_pinned, which runs beside the ops, and returns at once.
    adele_status (*upload_begin)(const struct adele_device *device, void *to, const void *pinned,
                                 size_t bytes);
    // Later ops wait for the copies started so far, and later copies wait for the ops called so
    // far; the host does not wait. Not between step_begin and step_end.
    adele_status (*upload_fence)(const struct adele_device *device);
    adele_status (*fill)(const struct adele_device *device, void *block, int byte, size_t bytes);
    adele_status (*copy)(const struct adele_device *device, void *to, const void *from,
                         size_t bytes);
    adele_status (*synchronize)(const struct adele_device *device);
    size_t (*tensor_bytes)(const struct adele_device *device, struct adele_shape shape);
    // Slices begin at multiples of this number of channels; NULL: the device has no slices.
    int (*slice_channels)(const struct adele_device *device);
    adele_status (*tensor_upload)(const struct adele_device *device, void *tensor,
                                  struct adele_shape shape, const float *nchw);
    adele_status (*tensor_download)(const struct adele_device *device, float *nchw,
                                    const void *tensor, struct adele_shape shape);
    // Calls around the ops of one training step. `step_kind` is a number of the caller's, one for
    // each set of shapes and buffers. A device may record the ops and launch the record at once (as
    // a CUDA graph), so the caller reads no results between the two calls. After a failed op the
    // caller still calls step_end, with is_whole false, and returns the first error; a device that
    // records then discards the record and runs none of the step's ops.
    adele_status (*step_begin)(const struct adele_device *device, int step_kind);
    adele_status (*step_end)(const struct adele_device *device, bool is_whole);
    // The exchange between devices. All four are NULL where a device has none; the caller then
    // exchanges through the host. So it does where exchange_open or exchange_join fails.
    //
    // Loads what the exchange needs and sets device->exchange. `id`, not NULL on rank 0 alone:
    // makes the id that all ranks join with, ADELE_EXCHANGE_ID_BYTES, which the caller sends them.
    // ADELE_UNSUPPORTED: what is missing.
    adele_status (*exchange_open)(const struct adele_device *device, unsigned char *id);
    // Returns when all ranks have called it. Once after exchange_open. After a failure, here or in
    // a wait that finds another rank gone, exchange_leave is the only entry of the exchange that
    // may follow.
    adele_status (*exchange_join)(const struct adele_device *device, const unsigned char *id,
                                  const struct adele_exchange_ranks *ranks);
    // Leaves the other ranks, and discards recorded steps. has_failed false: once every rank's
    // exchanges are done, on all ranks. True: at once, after any rank's failure; what is under way
    // is abandoned. Nothing where exchange_open was not called.
    adele_status (*exchange_leave)(const struct adele_device *device, bool has_failed);
    // vector (n floats, the same n on every rank) becomes the sum of all ranks' vectors. Ranks are
    // added up in a binary tree: neighbours in pairs, then these pairs, and so on. scratch:
    // n_ranks * adele_exchange_chunk(n, n_ranks) floats, overwritten. Queued like an op, also
    // between step_begin and step_end: it begins behind the ops so far and earlier sums, which may
    // share scratch, and later ops run beside it, up to one with is_last. Those behind that one
    // wait for all sums. Before it, nothing changes what sums read or reads what they change, and
    // step_end comes after it. The first call after exchange_join must not be part of a recorded
    // step.
    adele_status (*exchange_sum)(const struct adele_device *device, float *vector, float *scratch,
                                 int64_t n, bool is_last);
    // The convolution of a layer at all scales of a step, as one op: fewer launches, and fuller
    // ones. All three are NULL where a device has none.
    //
    // ops: n (2 to ADELE_MAX_SCALES) ops of conv2d, one a scale, which differ in h_in and w_in
    // alone; borrowed, and destroyed after *out. *out is NULL where the device gains nothing; its
    // kind is ADELE_OP_COUNT.
    adele_status (*conv2d_scales_create)(const struct adele_device *device, int n,
                                         struct adele_op *const *ops, struct adele_op **out);
    // As conv2d_forward and conv2d_backward of each op with its own args, args[i] of ops[i], but
    // that weight gradients of all scales may be one sum. All args have the same weights, biases
    // and gradients of these; accumulate_d_src is the same, and d_src is NULL, in all or in none;
    // else ADELE_INVALID_ARGUMENT. Their workspaces are used too; `workspace` has workspace_bytes
    // of this op.
    adele_status (*conv2d_scales_forward)(struct adele_op *op,
                                          const struct adele_conv2d_args *const *args,
                                          void *workspace);
    adele_status (*conv2d_scales_backward)(struct adele_op *op,
                                           const struct adele_conv2d_args *const *args,
                                           void *workspace);
    void (*destroy)(struct adele_device *device);
    void (*op_destroy)(struct adele_op *op); // NULL is legal
#define ADELE_OP_ENTRY(name, has_backward)                                                         \
    adele_status (*name##_create)(const struct adele_device *device,                               \
                                  const struct adele_##name##_desc *desc, struct adele_op **out);  \
    adele_status (*name##_forward)(struct adele_op * op, const struct adele_##name##_args *args);  \
    adele_status (*name##_backward)(struct adele_op * op, const struct adele_##name##_args *args);
    ADELE_OPS(ADELE_OP_ENTRY) // backward is NULL where the list says 0
#undef ADELE_OP_ENTRY
};

struct adele_device {
    const struct adele_device_iface *iface;
    void *context;         // the device's own
    char description[192]; // for people: "cpu: AMD EPYC, avx2, 2 threads, oneDNN 2.6.3"
    // The bytes of results depend on these, beside the build and the kind of device (iface->name).
    char engine[16];               // "auto", "direct"
    char instruction_set[16];      // in use: "avx2", "sm_90"
    char best_instruction_set[16]; // that the processor has; "": no choice
    char libraries[96];            // "oneDNN 2.6.3"; "": none
    char missing[256];   // for people: libraries that the engine would use but that were not found;
                         // "": none
    char exchange[32];   // for people, once exchange_open was called: "NCCL 2.28.9"
    const char *repeats; // static text, for people: what has to be the same for the same bytes
    // One bit for each kernel family (device/families.h) that ops created from now on must not use
    // because the self-test found it faulty. adele_device_open sets it.
    uint64_t disabled_families;
};

// devices.c: opens a device by name, "auto" (cuda when there is one, else cpu), "cpu", "cuda",
// "cuda:1", for runs of that precision.
ADELE_MUST_CHECK adele_status adele_device_open(const char *name, enum adele_precision precision,
                                                struct adele_device **out);
// GPUs that the CUDA device could open: "cuda:0" and so on; 0 in a build without it.
int adele_device_gpu_count(void);
// For tests: adds a name to those that adele_device_open knows, "mine" or with an engine
// "mine/cudnn", up to 8 in all; "mine" must be among them. `open` = NULL removes it.
typedef adele_status (*adele_device_opener)(enum adele_precision precision,
                                            struct adele_device **out);
void adele_device_provide(const char *name, adele_device_opener open);
void adele_device_close(struct adele_device *device); // NULL is legal

// device.c: device memory filled with zeros, so that no op reads a stray NaN where a layout has
// padding that is never written. `purpose` goes into the error message ("activations"). *out is
// NULL after a failure; release it with iface->release.
ADELE_MUST_CHECK adele_status adele_device_alloc_zeroed(const struct adele_device *device,
                                                        size_t bytes, const char *purpose,
                                                        void **out);

#ifdef __cplusplus
}
#endif
#endif
