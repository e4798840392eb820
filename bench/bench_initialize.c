// SPDX-License-Identifier: MIT
// The initial values of a network's weights: uniform and normal ones, half of each.
#include "bench.h"

#include <stdio.h>

static void halves(int64_t count, struct adele_initialize_item items[2]) {
    items[0] = (struct adele_initialize_item){0, count / 2, ADELE_INITIAL_UNIFORM, 0.1, 1};
    items[1] =
        (struct adele_initialize_item){count / 2, count - count / 2, ADELE_INITIAL_NORMAL, 0.1, 2};
}

void bench_initialize(struct bench *bench, const char *pipeline, int64_t n_weights) {
    struct adele_initialize_item many[2], few[2];
    int64_t count = n_weights * bench_extent(bench, 1000) / 1000;
    halves(count, many);
    halves(2077, few);
    struct adele_initialize_desc desc = {2, many, 1}, few_desc = {2, few, 1};
    struct problem full, small;
    char name[64];
    problem_initialize(&desc, &full);
    problem_initialize(&few_desc, &small);
    (void)snprintf(name, sizeof name, "initialize/%s", pipeline);
    struct bench_case c = {.name = name, .full = &full, .small = &small};
    (void)snprintf(c.shape, sizeof c.shape, "%lld", (long long)count);
    bench_run_case(bench, &c);
}
