// SPDX-License-Identifier: MIT
// Opens the devices and times an op: warm-up, then rounds in which the op and its peers alternate,
// with caches emptied before every run by writing a large buffer.
//
// A device that works asynchronously gets batches of (write the buffer, run the op), so that
// the time of the host overlaps with writing the buffer; the time of the buffer alone is
// subtracted. On other devices each run is timed separately.
#include "bench.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEBIBYTE  ((size_t)1 << 20)
#define BATCH_MS  4.0 // a batch is at least about this long
#define MAX_BATCH 64

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int n, double q) {
    double at = q * (n - 1);
    int below = (int)at;
    int above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static struct times summarize(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return (struct times){.median = quantile(values, n, 0.5),
                          .min = values[0],
                          .quartile_1 = quantile(values, n, 0.25),
                          .quartile_3 = quantile(values, n, 0.75),
                          .max = values[n - 1]};
}

// ---- one batch ----------------------------------------------------------------------------------

// ms a round of `n` times: buffer written (when `flushes`), then the op (when there is one).
static adele_status time_batch(const struct bench *bench, struct adele_device *device,
                               struct instance *run, bool is_backward, bool flushes, int n,
                               double *out_ms) {
    TRY(device->iface->synchronize(device));
    double start = now_ms();
    for (int i = 0; i < n; i++) {
        if (flushes)
            TRY(device->iface->fill(device, bench->flush, i & 1, bench->flush_bytes));
        if (flushes && !bench->is_asynchronous) {
            TRY(device->iface->synchronize(device));
            start = now_ms(); // n = 1 here
        }
        if (run != NULL)
            TRY(instance_run(run, is_backward));
    }
    TRY(device->iface->synchronize(device));
    *out_ms = (now_ms() - start) / n;
    return ADELE_OK;
}

// How many runs make a batch.
static adele_status choose_batch(const struct bench *bench, struct instance *run, bool is_backward,
                                 int *out) {
    double ms;
    *out = 1;
    TRY(time_batch(bench, run->device, run, is_backward, true, 1, &ms)); // warm-up
    if (!bench->is_asynchronous)
        return ADELE_OK;
    TRY(time_batch(bench, run->device, run, is_backward, true, 3, &ms));
    *out = (int)fmin(MAX_BATCH, fmax(1.0, BATCH_MS / ms));
    return ADELE_OK;
}

// One round of the op or of a peer, in ms.
static adele_status time_round(const struct bench *bench, struct instance *run, bool is_backward,
                               int batch, double *out_ms) {
    double flush_ms = 0.0;
    TRY(time_batch(bench, run->device, run, is_backward, true, batch, out_ms));
    if (!bench->is_asynchronous)
        return ADELE_OK;
    TRY(time_batch(bench, run->device, NULL, false, true, batch, &flush_ms));
    *out_ms = fmax(*out_ms - flush_ms, 1e-4);
    return ADELE_OK;
}

adele_status bench_time(struct bench *bench, struct instance *run, bool is_backward,
                        struct instance *peers, int n_peers, struct row *row) {
    int n_rounds = bench->options.n_rounds, batch[1 + MAX_PEERS];
    size_t n = (size_t)n_rounds * (1 + 2 * MAX_PEERS);
    double *ms = memory_calloc(n, sizeof *ms); // ours, then each peer's, then the ratios
    TRY(CHECK_MEMORY(ms));
    adele_status status;
    for (int side = 0; side <= n_peers; side++)
        TRY_GOTO(choose_batch(bench, side == 0 ? run : &peers[side - 1], is_backward, &batch[side]),
                 done);
    for (int round = 0; round < n_rounds; round++)
        for (int side = 0; side <= n_peers; side++) {
            double *to = &ms[side * n_rounds + round];
            TRY_GOTO(
                time_round(bench, side == 0 ? run : &peers[side - 1], is_backward, batch[side], to),
                done);
            if (side > 0)
                ms[(MAX_PEERS + side) * n_rounds + round] = *to / ms[round];
        }
    for (int i = 0; i < n_peers; i++) {
        row->peer_ms[i] = summarize(&ms[(1 + i) * n_rounds], n_rounds).median;
        row->ratio[i] = summarize(&ms[(1 + MAX_PEERS + i) * n_rounds], n_rounds).median;
    }
    row->times = summarize(ms, n_rounds);
done:
    memory_free(ms);
    return status;
}

// ---- devices ------------------------------------------------------------------------------------

static bool is_cuda(const char *name) {
    return strncmp(name, "cuda", 4) == 0;
}

static adele_status open_engine(const struct bench_options *options, const char *engine,
                                struct adele_device **out) {
    char name[96];
    *out = NULL;
    bool has_engine = engine != NULL && is_cuda(options->device);
    snprintf(name, sizeof name, "%s%s%s", options->device, has_engine ? "/" : "",
             has_engine ? engine : "");
    if (engine != NULL && !has_engine)
        return FAIL(ADELE_INVALID_ARGUMENT, "Omit --engine.", "device \"%s\" has no engines",
                    options->device);
    return adele_device_open(name, options->precision, out);
}

adele_status bench_open(const struct bench_options *options, struct bench *out) {
    static const char *const libraries[MAX_PEERS] = {"cudnn", "cublas"};
    *out = (struct bench){.options = *options};
    // Also with --list, because the cases depend on the device.
    TRY(open_engine(options, options->engine, &out->device));
    if (options->is_list)
        return ADELE_OK;
    out->is_asynchronous = is_cuda(options->device) || is_cuda(out->device->description);
    out->flush_bytes = (out->is_asynchronous ? 256 : 64) * MEBIBYTE;
    for (int i = 0; i < MAX_PEERS && out->is_asynchronous; i++)
        if ((options->engine == NULL || strcmp(options->engine, libraries[i]) != 0) &&
            open_engine(options, libraries[i], &out->peers[i]) != ADELE_OK)
            out->peers[i] = NULL; // the library is not installed: no ratio to it
    return out->device->iface->alloc(out->device, out->flush_bytes, &out->flush);
}

void bench_close(struct bench *bench) {
    if (bench->device != NULL)
        bench->device->iface->release(bench->device, bench->flush);
    for (int i = 0; i < MAX_PEERS; i++)
        adele_device_close(bench->peers[i]);
    adele_device_close(bench->device);
    memory_free(bench->rows);
}

// ---- ceilings -----------------------------------------------------------------------------------

static adele_status measure_copy(struct bench *bench) {
    struct adele_device *device = bench->device;
    size_t bytes = (bench->is_asynchronous ? 1024 : 128) * MEBIBYTE;
    void *from = NULL, *to = NULL;
    double best = INFINITY;
    adele_status status;
    TRY_GOTO(device->iface->alloc(device, bytes, &from), done);
    TRY_GOTO(device->iface->alloc(device, bytes, &to), done);
    TRY_GOTO(device->iface->fill(device, from, 1, bytes), done);
    for (int i = 0; i < 8; i++) {
        int n = bench->is_asynchronous ? 4 : 1;
        TRY_GOTO(device->iface->synchronize(device), done);
        double start = now_ms();
        for (int j = 0; j < n; j++)
            TRY_GOTO(device->iface->copy(device, to, from, bytes), done);
        TRY_GOTO(device->iface->synchronize(device), done);
        best = i == 0 ? best : fmin(best, (now_ms() - start) / n); // the first is a warm-up
    }
    bench->copy_bytes_per_s = 2.0 * (double)bytes / (1e-3 * best);
done:
    device->iface->release(device, from);
    device->iface->release(device, to);
    return status;
}

// A square product, as a 1 x 1 convolution, by one device's engine.
static adele_status measure_matrix(struct bench *bench, struct adele_device *device) {
    int side = bench->is_asynchronous ? 8192 : 1024, width = 64;
    struct adele_conv2d_desc desc = {.n = 1,
                                     .c_in = side,
                                     .h_in = side / width,
                                     .w_in = width,
                                     .c_out = side,
                                     .kernel = 1,
                                     .stride = 1,
                                     .dilation = 1,
                                     .precision = bench->options.precision};
    struct problem problem;
    struct instance run = {0};
    double best = INFINITY, ms;
    problem_conv2d(&desc, &problem);
    adele_status status;
    TRY_GOTO(instance_open(device, &problem, &run), done);
    for (int i = 0; i < 8; i++) {
        TRY_GOTO(time_batch(bench, device, &run, false, false, bench->is_asynchronous ? 4 : 1, &ms),
                 done);
        best = i == 0 ? best : fmin(best, ms);
    }
    double flops_per_s = 2.0 * side * side * (double)side / (1e-3 * best);
    if (flops_per_s > bench->flops_per_s) {
        bench->flops_per_s = flops_per_s;
        snprintf(bench->matrix_engine, sizeof bench->matrix_engine, "%s",
                 run.op->engine != NULL ? run.op->engine : "");
    }
done:
    instance_close(&run);
    return status;
}

adele_status bench_ceilings(struct bench *bench) {
    TRY(measure_copy(bench));
    TRY(measure_matrix(bench, bench->device));
    for (int i = 0; i < MAX_PEERS; i++)
        if (bench->peers[i] != NULL)
            TRY(measure_matrix(bench, bench->peers[i]));
    return ADELE_OK;
}
