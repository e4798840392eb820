// SPDX-License-Identifier: MIT
// Times the steps of a training as the ranks that mpirun has started, or alone, and counts the
// bytes that a rank sends:
//
//   [mpirun -n N] bench_ranks CONFIG.yaml [--steps 10] [--device cpu] [--set KEY=VALUE]...
//
// Rank 0 prints one JSON object: what a step takes, its agreement included, and the bytes of its
// exchange beside those of the model (scaling_model.h). To compare numbers of ranks, run them in
// turn. On a machine that does other work too, the processor time of all ranks, cpu_ms, says more
// than the median.
#include "scaling_model.h"

#include "base/clock.h"
#include "ranks/agreement.h"
#include "run/trainer_state.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SETS   64
#define WARM_STEPS 2

struct options {
    const char *config, *device, *sets[MAX_SETS];
    int n_sets, n_steps;
};

// On one rank alone too: it ends the others.
static void check(struct ranks *ranks, adele_status status) {
    if (status == ADELE_OK)
        return;
    fprintf(stderr, "bench_ranks: %s\n  hint: %s\n", adele_error_message(), adele_error_hint());
    ranks_close(ranks, true);
    exit(1);
}

static void parse(int argc, char **argv, struct options *out) {
    *out = (struct options){.device = "cpu", .n_steps = 10};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (has_value && strcmp(argv[i], "--steps") == 0 && atoi(argv[i + 1]) > 0)
            out->n_steps = atoi(argv[++i]);
        else if (has_value && strcmp(argv[i], "--device") == 0)
            out->device = argv[++i];
        else if (has_value && strcmp(argv[i], "--set") == 0 && out->n_sets < MAX_SETS)
            out->sets[out->n_sets++] = argv[++i];
        else if (argv[i][0] != '-' && out->config == NULL)
            out->config = argv[i];
        else {
            fprintf(stderr, "bench_ranks: wrong argument '%s'\n", argv[i]);
            exit(2);
        }
    }
    if (out->config == NULL) {
        fprintf(stderr, "bench_ranks: no configuration is given\n");
        exit(2);
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Microseconds that all threads of this process have computed.
static int64_t processor_time(void) {
    struct timespec time = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

// ms a step; what this rank sent in all of them, without the agreements, and how long the
// processors of all ranks worked.
static int64_t time_steps(struct trainer *trainer, int n_steps, double *ms, int64_t *cpu) {
    struct ranks *ranks = trainer->options.ranks;
    struct training_step *step = &trainer->step;
    int64_t sent = 0;
    int epoch = 0;
    *cpu = 0;
    for (int i = -WARM_STEPS, i_step = 0; i < n_steps; i++, i_step++) {
        bool stop = false;
        int n_skipped = 0;
        // An epoch's last batch may be smaller, and is left out.
        if (epoch == 0 || i_step >= step->epochs.n_steps - 1) {
            i_step = 0;
            check(ranks, training_step_start_epoch(step, ++epoch, 0));
        }
        double start = clock_seconds();
        int64_t cpu_start = processor_time();
        check(ranks, agreement_reach(ranks, &stop, &n_skipped));
        int64_t before = ranks_bytes_sent(ranks);
        check(ranks, training_step_next_batch(step, epoch, i_step + 1));
        check(ranks, training_step_run(step, epoch, i_step, 1e-4));
        check(ranks, trainer->device->iface->synchronize(trainer->device));
        if (i < 0)
            continue;
        ms[i] = 1e3 * (clock_seconds() - start);
        *cpu += processor_time() - cpu_start;
        sent += ranks_bytes_sent(ranks) - before;
    }
    check(ranks, ranks_sum(ranks, cpu, 1));
    return sent;
}

// Bytes that rank 0 sends in a step by MPI; what NCCL sends is none of them.
static int64_t modelled_bytes(const struct trainer *trainer) {
    struct ranks *ranks = trainer->options.ranks;
    const struct step_parts *parts = &trainer->step.parts;
    const struct graph *graph = network_graph(trainer->network);
    const struct scaling_work work = {.n_weights = graph->n_weights,
                                      .n_rest = ADELE_MAX_SCALES + graph->n_buffers};
    int64_t out = 0;
    if (parts->is_divided)
        check(ranks, scaling_bytes_sent(&work, parts->n, ranks_count(ranks), 0, &out));
    else if (parts->exchange && !exchange_is_queued(parts->exchange))
        out = scaling_bytes_through_host(&work, parts->n, ranks_count(ranks));
    return out;
}

static void report(const struct trainer *trainer, const struct options *options, double *ms,
                   int64_t sent, int64_t cpu) {
    int n = options->n_steps, n_ranks = ranks_count(trainer->options.ranks);
    qsort(ms, (size_t)n, sizeof *ms, compare);
    printf("{\"ranks\": %d, \"threads\": %d, \"parts\": %d, \"median_ms\": %.3f, \"min_ms\": %.3f, "
           "\"cpu_ms\": %.3f, \"quartile_1_ms\": %.3f, \"quartile_3_ms\": %.3f, "
           "\"bytes_a_step\": %.1f, \"bytes_of_model\": %lld}\n",
           n_ranks, omp_get_max_threads(), trainer->config->train.parts, ms[n / 2], ms[0],
           1e-3 * (double)cpu / n, ms[n / 4], ms[3 * n / 4], (double)sent / n,
           (long long)modelled_bytes(trainer));
}

int main(int argc, char **argv) {
    struct options options;
    struct ranks *ranks = NULL;
    struct config *config = NULL;
    struct trainer *trainer = NULL;
    parse(argc, argv, &options);
    double *ms = calloc((size_t)options.n_steps, sizeof *ms);
    if (ms == NULL)
        return 1;
    check(ranks, ranks_open(&ranks));
    check(ranks, config_load(options.config, options.n_sets, options.sets, &config));
    const struct trainer_options of_trainer = {
        .config = config, .device = options.device, .ranks = ranks};
    check(ranks, trainer_create(&of_trainer, &trainer));
    check(ranks, step_parts_connect(&trainer->step.parts)); // collective, as trainer_run does
    int64_t cpu, sent = time_steps(trainer, options.n_steps, ms, &cpu);
    if (ranks_index(ranks) == 0)
        report(trainer, &options, ms, sent, cpu);
    check(ranks, step_parts_disconnect(&trainer->step.parts));
    free(ms);
    trainer_destroy(trainer);
    config_destroy(config);
    ranks_close(ranks, false);
    return 0;
}
