// SPDX-License-Identifier: MIT
// What the steps of an epoch add up, over parts and ranks. Counters are whole numbers, and a rank
// has those of its own parts. Sums of doubles have a row for each part, whatever the ranks, and are
// added in the tree of step/part_tree.h.
#include "base/fail.h"
#include "base/memory.h"
#include "step/training_step.h"

#include <string.h>

#define ROW_BYTES (ADELE_SUM_COUNT * sizeof(double))

adele_status training_step_read_counts(const struct training_step *step, int n_tables,
                                       int64_t *out) {
    const struct adele_device *device = step->data->device;
    size_t n = (size_t)n_tables * ADELE_COUNT_KINDS * 256;
    TRY(device->iface->synchronize(device));
    TRY(device->iface->download(device, out, step->counts, n * sizeof *out));
    return ranks_sum(step->data->ranks, out, n);
}

// The rows of this rank's parts, into new memory, which is the caller's also after an error.
static adele_status read_own_rows(const struct training_step *step, double **out) {
    const struct adele_device *device = step->data->device;
    const struct step_parts *parts = &step->parts;
    size_t first = (size_t)parts->i_first * ADELE_SUM_COUNT;
    TRY(ALLOCATE(out, (size_t)parts->n_own * ADELE_SUM_COUNT));
    TRY(device->iface->synchronize(device));
    return device->iface->download(device, *out, step->sums + first,
                                   (size_t)parts->n_own * ROW_BYTES);
}

adele_status training_step_read_own_sums(const struct training_step *step,
                                         double out[ADELE_SUM_COUNT]) {
    OWNED double *own = NULL;
    TRY(read_own_rows(step, &own));
    part_tree_sum_rows(own, step->parts.n_own, ADELE_SUM_COUNT);
    memcpy(out, own, ROW_BYTES);
    return ADELE_OK;
}

// The rows of all parts, from the ranks that have them; `rows`: (parts, ADELE_SUM_COUNT).
static adele_status read_rows(const struct training_step *step, double *rows) {
    OWNED double *own = NULL;
    TRY(read_own_rows(step, &own));
    return ranks_gather(step->data->ranks, own, (size_t)step->parts.n_own * ROW_BYTES, rows);
}

adele_status training_step_read_totals(const struct training_step *step, struct step_totals *out) {
    int n_parts = step->parts.n;
    OWNED double *rows = NULL;
    TRY(training_step_read_counts(step, ADELE_COUNT_TABLES, &out->counts[0][0][0]));
    TRY(ALLOCATE(&rows, (size_t)n_parts * ADELE_SUM_COUNT));
    TRY(read_rows(step, rows));
    part_tree_sum_rows(rows, n_parts, ADELE_SUM_COUNT);
    memcpy(out->sums, rows, sizeof out->sums);
    return ADELE_OK;
}

// ---- a checkpoint within an epoch ---------------------------------------------------------------

adele_status training_step_gather(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    OWNED struct step_totals *totals = NULL;
    OWNED double *rows = NULL;
    size_t n = (size_t)step->parts.n * ADELE_SUM_COUNT;
    if (ranks_count(step->data->ranks) == 1)
        return ADELE_OK;
    TRY(ALLOCATE(&totals, 1));
    TRY(ALLOCATE(&rows, n));
    TRY(training_step_read_counts(step, ADELE_COUNT_TABLES, &totals->counts[0][0][0]));
    TRY(read_rows(step, rows));
    if (ranks_index(step->data->ranks) > 0)
        return ADELE_OK;
    TRY(device->iface->upload(device, step->counts, totals->counts, sizeof totals->counts));
    return device->iface->upload(device, step->sums, rows, n * sizeof *rows);
}

adele_status training_step_scatter(struct training_step *step) {
    const struct adele_device *device = step->data->device;
    return ranks_index(step->data->ranks) == 0
               ? ADELE_OK
               : device->iface->fill(device, step->counts, 0, ADELE_COUNT_SIZE * sizeof(int64_t));
}
