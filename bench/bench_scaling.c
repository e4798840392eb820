// SPDX-License-Identifier: MIT
// adele-bench --scaling: what the model in scaling_model.h says of the two pipelines of the paper
// on 1 to 64 GPUs. FLOPs and sizes of vectors are counted from the networks' graphs.
#include "bench.h"

#include "base/fail.h"
#include "base/memory.h"
#include "step/overlap.h"
#include "support/costs.h"

#include <math.h>
#include <string.h>

#define N_SCALES 3
#define MAX_GPUS 64

struct pipeline {
    const char *name;
    adele_status (*build)(struct graph *graph);
    int size;        // of an image at scale 1
    int batch;       // of the paper
    int fixed_batch; // the next power of two: it can be divided among more GPUs
};

static adele_status build_segthor(struct graph *graph) {
    return unet_build(graph, 1, 5, 64);
}
static adele_status build_voc(struct graph *graph) {
    const struct network_config deeplab = {
        .name = "deeplabv1", .n_channels = 3, .n_categories = 21, .width = 64};
    return network_build_graph(&deeplab, graph);
}
static const struct pipeline segthor = {"SegTHOR, U-Net", build_segthor, 256, 5, 8};
static const struct pipeline voc = {"VOC, DeepLabv1 on ResNet38d", build_voc, 448, 10, 16};

// FLOPs of the backward of nodes before each one, which come after its own; costs name nodes.
static void count_left(const struct graph *graph, const struct costs *costs, double *left) {
    for (int i = 0; i <= graph->n_nodes; i++)
        left[i] = 0.0;
    for (int i = 0; i < costs_n_ops(costs); i++) {
        const struct op_cost *op = costs_op(costs, i);
        for (int k = 0; k < graph->n_nodes; k++)
            if (strcmp(graph->nodes[k].name, op->name) == 0) {
                left[k + 1] += op->flops_d_src + op->flops_d_weight;
                break;
            }
    }
    for (int i = 0; i < graph->n_nodes; i++)
        left[i + 1] += left[i];
}

// Buckets become complete in the backward of the last scale, whose costs these are: where the
// scales take turns. On Hopper they run together (nn/plan_group.c), which spreads the buckets over
// the whole backward and leaves more of it beside the exchange.
static adele_status time_buckets(const struct graph *graph, const struct costs *costs,
                                 const struct pipeline *pipeline, struct buckets *buckets,
                                 struct scaling_work *out) {
    struct scaling_bucket *all = NULL;
    double *left = NULL;
    int *completed_by = NULL;
    adele_status status;
    TRY_GOTO(ALLOCATE(&all, buckets->n), done);
    TRY_GOTO(ALLOCATE(&left, graph->n_nodes + 1), done);
    TRY_GOTO(ALLOCATE(&completed_by, buckets->n), done);
    overlap_find_nodes(graph, buckets, completed_by);
    count_left(graph, costs, left);
    for (int i = 0, b = buckets->n - 2; b >= 0; i++, b--)
        all[i] = (struct scaling_bucket){
            buckets->all[b].n, 1.0 - left[completed_by[b]] / (out->flops_image * pipeline->batch)};
    all[buckets->n - 1] = (struct scaling_bucket){buckets->all[buckets->n - 1].n, 1.0};
    out->buckets = all;
    out->n_buckets = buckets->n;
    all = NULL;
done:
    memory_free(all);
    memory_free(left);
    memory_free(completed_by);
    return status;
}

static adele_status find_buckets(const struct graph *graph, const struct costs *costs,
                                 const struct pipeline *pipeline, struct scaling_work *out) {
    struct buckets buckets;
    // How many parts and ranks changes little of the rest, and nothing of the gradients.
    adele_status status =
        buckets_init(&buckets, out->n_weights, scaling_vector_floats(out, 2) - out->n_weights, 2);
    if (status == ADELE_OK)
        status = time_buckets(graph, costs, pipeline, &buckets, out);
    buckets_deinit(&buckets);
    return status;
}

static adele_status count_scales(const struct graph *graph, const struct pipeline *pipeline,
                                 struct scaling_work *out) {
    static const double factors[N_SCALES] = {0.7, 1.0, 1.5};
    out->n_weights = graph->n_weights;
    out->n_rest = ADELE_MAX_SCALES + graph->n_buffers;
    for (int k = 0; k < N_SCALES; k++) {
        int extent = (int)floor(pipeline->size * factors[k]);
        struct adele_shape input = {pipeline->batch, graph->nodes[graph->input].c, extent, extent};
        struct costs *costs = NULL;
        TRY(costs_create(graph, input, ADELE_PRECISION_BF16, &costs));
        out->flops_image += costs_totals(costs).flops_step / pipeline->batch;
        adele_status status =
            k + 1 == N_SCALES ? find_buckets(graph, costs, pipeline, out) : ADELE_OK;
        costs_destroy(costs);
        TRY(status);
    }
    return ADELE_OK;
}

static adele_status count_work(const struct pipeline *pipeline, struct scaling_work *out) {
    struct graph graph;
    *out = (struct scaling_work){0};
    graph_init(&graph);
    adele_status status = pipeline->build(&graph);
    if (status == ADELE_OK)
        status = count_scales(&graph, pipeline, out);
    graph_deinit(&graph);
    return status;
}

// ---- tables -------------------------------------------------------------------------------------

static void print_assumptions(FILE *to, const struct scaling_assumptions *assumptions) {
    fprintf(to, "A model, not a measurement: each GPU computes its images, and all exchange one "
                "vector (gradients and running statistics, 4 bytes each). Without overlap the "
                "times add up; with overlap, as the program does it by NCCL, buckets of gradients "
                "are exchanged beside the backward of the last scale, each when it is complete "
                "(where the scales run together, as on Hopper, they are complete earlier).\n"
                "Assumed (--assume NAME=VALUE changes a value):\n");
    for (int i = 0; i < SCALING_COUNT; i++)
        fprintf(to, "  %-15s %8.6g %-7s  %s\n", scaling_defaults[i].name, assumptions->value[i],
                scaling_defaults[i].unit, scaling_defaults[i].meaning);
}

static void print_row(FILE *to, const struct scaling_assumptions *assumptions,
                      const struct scaling_step *step, int n_ranks, int n_images) {
    fprintf(to, "%4d %7d %9.1f %9.1f %9.2f %9.2f %9.2f %6.1f %9.2f %6.1f %9.0f  %s", n_ranks,
            n_images, 1e-6 * step->sent, 1e-6 * step->sent_machine, 1e3 * step->computed,
            1e3 * step->exchanged, 1e3 * step->without_overlap, 100.0 * step->efficiency,
            1e3 * step->with_overlap, 100.0 * step->efficiency_overlap, step->images_per_s,
            scaling_limit(step));
    if (n_images < assumptions->value[SCALING_full_images])
        fprintf(to, "; batch too small: a part has fewer images than %g",
                assumptions->value[SCALING_full_images]);
    fprintf(to, "\n");
}

// `batch` images a step on any number of GPUs, or, where it is 0, `images` on each.
static void print_table(FILE *to, const struct scaling_assumptions *assumptions,
                        const struct scaling_work *work, int batch, int images) {
    fprintf(to, "%4s %7s %9s %9s %9s %9s %9s %6s %9s %6s %9s  %s\n", "", "images", "MB sent",
            "MB sent", "ms com-", "ms ex-", "ms a step", "", "ms, with", "", "images/s", "");
    fprintf(to, "%4s %7s %9s %9s %9s %9s %9s %6s %9s %6s %9s  %s\n", "GPUs", "a GPU", "a rank",
            "a machine", "puted", "changed", "", "eff. %", "overlap", "eff. %", "", "limit");
    for (int n_ranks = 1; n_ranks <= MAX_GPUS; n_ranks *= 2) {
        if (batch % n_ranks != 0) {
            fprintf(to, "%4d %7s  %d images cannot be divided into %d equal parts\n", n_ranks, "-",
                    batch, n_ranks);
            continue;
        }
        int n_images = batch > 0 ? batch / n_ranks : images;
        struct scaling_step step = scaling_step_of(assumptions, work, n_ranks, n_images);
        print_row(to, assumptions, &step, n_ranks, n_images);
    }
}

static int assumed_or(double assumed, int otherwise) {
    return assumed > 0.0 ? (int)assumed : otherwise;
}

static adele_status print_pipeline(FILE *to, const struct scaling_assumptions *assumptions,
                                   const struct pipeline *pipeline, struct scaling_work *work) {
    TRY(count_work(pipeline, work));
    int images = assumed_or(assumptions->value[SCALING_images], pipeline->batch);
    int batch = assumed_or(assumptions->value[SCALING_batch], pipeline->fixed_batch);
    int64_t n_floats = scaling_vector_floats(work, 2);
    fprintf(to,
            "\n%s: %.3f TFLOP a step of %d images, the paper's batch; a vector of %lld floats "
            "for two parts, %.1f MB\n",
            pipeline->name, 1e-12 * work->flops_image * pipeline->batch, pipeline->batch,
            (long long)n_floats, 4e-6 * (double)n_floats);
    fprintf(to,
            "\nThe batch grows, %d images a GPU: another training, with a learning rate of its "
            "own.\n",
            images);
    print_table(to, assumptions, work, 0, images);
    fprintf(to, "\nThe batch is fixed, %d images in all.\n", batch);
    print_table(to, assumptions, work, batch, 0);
    return ADELE_OK;
}

// ---- the goal -----------------------------------------------------------------------------------

static const char *reaches(double efficiency, double goal) {
    return efficiency >= goal ? "reached" : "missed";
}

static void print_goal(FILE *to, const struct scaling_assumptions *assumptions,
                       const struct scaling_work *work, int n_ranks, double goal) {
    static const struct {
        const char *name;
        int levels, through_host;
    } ways[] = {{"NCCL in two levels, as it is", 2, 0},
                {"NCCL in one level", 1, 0},
                {"MPI through the hosts, where NCCL is not", 1, 1}};
    int images = assumed_or(assumptions->value[SCALING_images], voc.batch);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct scaling_assumptions changed = *assumptions;
        changed.value[SCALING_levels] = ways[i].levels;
        changed.value[SCALING_through_host] = ways[i].through_host;
        struct scaling_step step = scaling_step_of(&changed, work, n_ranks, images);
        fprintf(to,
                "VOC, %d images a GPU, %d GPUs, goal %.0f %%, %s: without overlap %.1f %%, %s; "
                "with overlap %.1f %%, %s\n",
                images, n_ranks, 100.0 * goal, ways[i].name, 100.0 * step.efficiency,
                reaches(step.efficiency, goal), 100.0 * step.efficiency_overlap,
                reaches(step.efficiency_overlap, goal));
    }
}

adele_status bench_scaling(FILE *to, const struct scaling_assumptions *assumptions) {
    struct scaling_work work;
    print_assumptions(to, assumptions);
    TRY(print_pipeline(to, assumptions, &segthor, &work));
    memory_free((void *)work.buckets);
    adele_status status = print_pipeline(to, assumptions, &voc, &work);
    if (status == ADELE_OK) {
        fprintf(to, "\n");
        print_goal(to, assumptions, &work, 8, 0.95);
        print_goal(to, assumptions, &work, 64, 0.90);
    }
    memory_free((void *)work.buckets);
    return status;
}
