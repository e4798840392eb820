// SPDX-License-Identifier: MIT
#include "correction/label_runs.h"

#include "base/fail.h"
#include "base/memory.h"
#include "device/tensor.h"

#include <string.h>

adele_status label_runs_add(struct label_runs *runs, int image, const uint8_t *before,
                            const uint8_t *after, size_t n_pixels) {
    if (memcmp(before, after, n_pixels) == 0)
        return ADELE_OK;
    for (size_t i = 0; i < n_pixels;) {
        if (before[i] == after[i]) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < n_pixels && after[end] == after[i] && before[end] != after[end])
            end++;
        TRY(GROW(&runs->runs, runs->n));
        runs->runs[runs->n++] = (struct label_run){.image = (uint32_t)image,
                                                   .first = (uint32_t)i,
                                                   .count = (uint32_t)(end - i),
                                                   .label = after[i]};
        i = end;
    }
    return ADELE_OK;
}

static adele_status check_run(const struct label_run *run, const struct label_run *previous,
                              const struct label_runs_limits *limits) {
    static const char hint[] = "The ranks do not run the same program on the same data: start it "
                               "anew on all of them, and report it if it fails again.";
    if (run->image >= (uint32_t)limits->n_images)
        return FAIL(ADELE_FORMAT, hint, "changed labels of image %u, there are %d", run->image,
                    limits->n_images);
    if (limits->owners[run->image] != limits->rank)
        return FAIL(ADELE_FORMAT, hint, "changed labels of image %u, which rank %d corrects",
                    run->image, limits->owners[run->image]);
    uint64_t end = (uint64_t)run->first + run->count;
    if (run->count == 0 || end > limits->n_pixels)
        return FAIL(ADELE_FORMAT, hint,
                    "%u changed labels from pixel %u of image %u, which has %zu", run->count,
                    run->first, run->image, limits->n_pixels);
    if (run->label >= (uint32_t)limits->n_categories && run->label != ADELE_IGNORE)
        return FAIL(ADELE_FORMAT, hint, "labels of image %u became class %u, there are %d",
                    run->image, run->label, limits->n_categories);
    bool is_behind =
        !previous || run->image > previous->image ||
        (run->image == previous->image && run->first >= previous->first + previous->count);
    if (!is_behind)
        return FAIL(ADELE_FORMAT, hint,
                    "changed labels from pixel %u of image %u follow pixel %u of image %u",
                    run->first, run->image, previous->first + previous->count - 1, previous->image);
    return ADELE_OK;
}

adele_status label_runs_check(const void *block, size_t bytes,
                              const struct label_runs_limits *limits) {
    const struct label_run *runs = block;
    if (bytes % sizeof *runs != 0)
        return FAIL(ADELE_FORMAT, "Start all ranks with the same program.",
                    "rank %d has sent changed labels of %zu bytes, which are no whole runs of %zu",
                    limits->rank, bytes, sizeof *runs);
    for (size_t i = 0; i < bytes / sizeof *runs; i++) {
        adele_status status = check_run(&runs[i], i > 0 ? &runs[i - 1] : NULL, limits);
        if (status != ADELE_OK)
            return fail_context(status, "rank %d has sent run %zu", limits->rank, i);
    }
    return ADELE_OK;
}

size_t label_runs_of_image(const struct label_run *runs, size_t n) {
    size_t end = 1;
    while (end < n && runs[end].image == runs[0].image)
        end++;
    return end;
}

void label_runs_apply(const struct label_run *runs, size_t n, uint8_t *labels) {
    for (size_t i = 0; i < n; i++)
        memset(labels + runs[i].first, (int)runs[i].label, runs[i].count);
}
