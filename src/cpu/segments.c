// SPDX-License-Identifier: MIT
#include "cpu/segments.h"

#include "base/fail.h"
#include "base/finite.h"
#include "base/memory.h"
#include "cpu/isa.h"

#include <string.h>

#define CHUNK_FLOATS 16384

adele_status segment_chunks_init(struct segment_chunks *out, int n_segments,
                                 const struct adele_sgd_segment *segments) {
    long n_chunks = 0;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < n_segments; i++) {
        out->n_floats += segments[i].count;
        n_chunks += (long)((segments[i].count + CHUNK_FLOATS - 1) / CHUNK_FLOATS);
    }
    TRY(ALLOCATE(&out->chunks, n_chunks + 1));
    TRY(ALLOCATE(&out->segment, n_chunks + 1));
    TRY(ALLOCATE(&out->bad, n_chunks + 1));
    for (int i = 0; i < n_segments; i++)
        for (int64_t done = 0; done < segments[i].count; done += CHUNK_FLOATS) {
            struct adele_sgd_segment chunk = segments[i];
            chunk.offset += done;
            chunk.count = chunk.count - done < CHUNK_FLOATS ? chunk.count - done : CHUNK_FLOATS;
            out->segment[out->n] = i;
            out->chunks[out->n++] = chunk;
        }
    return ADELE_OK;
}

void segment_chunks_deinit(struct segment_chunks *self) {
    memory_free(self->chunks);
    memory_free(self->segment);
    memory_free(self->bad);
}

CPU_KERNEL(static void, find_bad, (const float *gradient, int64_t count, uint8_t *is_bad),
           (gradient, count, is_bad)) {
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++)
        bad |= float_is_nonfinite(&gradient[i]);
    *is_bad = bad != 0;
}

static bool has_bad_loss(const struct segment_guard *guard) {
    int n = guard->n_losses > 1 ? guard->n_losses : 1;
    for (int i = 0; guard->loss_is_finite != NULL && i < n; i++)
        if (guard->loss_is_finite[i] == 0)
            return true;
    return false;
}

// The last segment with a non-finite gradient; -1: none. One thread decides, in the order of the
// chunks.
static int find_last_bad(const struct segment_chunks *self, const float *gradients) {
    int last = -1;
#pragma omp parallel for schedule(static)
    for (long i = 0; i < self->n; i++)
        find_bad(gradients + self->chunks[i].offset, self->chunks[i].count, &self->bad[i]);
    for (long i = 0; i < self->n; i++)
        if (self->bad[i])
            last = self->segment[i];
    return last;
}

bool segment_chunks_must_skip(const struct segment_chunks *self,
                              const struct segment_guard *guard) {
    int last = -1;
    if (guard->health == NULL)
        return false;
    bool is_loss_bad = has_bad_loss(guard);
    bool is_out = is_loss_bad || (guard->skip_all_later && guard->health[ADELE_HEALTH_SKIPPED] > 0);
    if (!guard->gradients_are_checked)
        last = find_last_bad(self, guard->gradients);
    guard->health[ADELE_HEALTH_UPDATES]++;
    is_out = is_out || last >= 0;
    guard->health[ADELE_HEALTH_LAST_SKIPPED] = is_out;
    if (is_out && guard->health[ADELE_HEALTH_SKIPPED]++ == 0) {
        guard->health[ADELE_HEALTH_FIRST_UPDATE] = guard->health[ADELE_HEALTH_UPDATES];
        guard->health[ADELE_HEALTH_FIRST_SEGMENT] = is_loss_bad ? -1 : last;
    }
    size_t bytes = (size_t)guard->n_kept * sizeof(float);
    if (bytes > 0)
        memcpy(is_out ? guard->state : guard->kept, is_out ? guard->kept : guard->state, bytes);
    return is_out;
}
