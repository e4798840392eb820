// SPDX-License-Identifier: MIT
// adele-bench: the speed of each op at the shapes of the two pipelines and, with --costs, the FLOPs
// and bytes of a training step, with --scaling a model of its time on several GPUs, with --tiles
// one of Hopper's convolutions. Every op is checked before it is timed.
#include "bench.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DEVICE    256
#define KEY_ENGINE    257
#define KEY_PRECISION 258
#define KEY_ROUNDS    259
#define KEY_SCALE     260
#define KEY_JSON      261
#define KEY_LIST      262
#define KEY_COSTS     263
#define KEY_SCALING   264
#define KEY_ASSUME    265
#define KEY_TILES     266

static const struct argp_option options[] = {
    {"device", KEY_DEVICE, "NAME", 0, "auto, cpu, cuda or cuda:N (default: auto)", 0},
    {"engine", KEY_ENGINE, "NAME", 0, "On cuda: auto, direct, plain, cudnn or cublas", 0},
    {"precision", KEY_PRECISION, "NAME", 0, "fp32, tf32 or bf16 (default: fp32)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "Rounds, of which the median is shown (default: 31)", 0},
    {"scale", KEY_SCALE, "S", 0,
     "Scale extents of images and channels of heads, 0.25 for a CPU (default: 1)", 0},
    {"json", KEY_JSON, "FILE", 0, "Also write the rows to this file", 0},
    {"list", KEY_LIST, 0, 0, "Only print the names of the cases", 0},
    {"costs", KEY_COSTS, 0, 0,
     "Only print FLOPs and bytes of a training step of each pipeline, counted without running it",
     0},
    {"scaling", KEY_SCALING, 0, 0,
     "Only print a model of the time of a training step of each pipeline on 1 to 64 GPUs, with "
     "what it assumes",
     0},
    {"assume", KEY_ASSUME, "NAME=VALUE", 0,
     "With --scaling: another value for something that it assumes; can be repeated", 0},
    {"tiles", KEY_TILES, 0, 0,
     "Only print a model of the time of convolutions on Hopper's tensor cores, with what it "
     "assumes",
     0},
    {0}};

static error_t parse_number(struct argp_state *state, const char *name, const char *value,
                            double low, double high, double *out) {
    char *end;
    *out = strtod(value, &end);
    if (end == value || *end != '\0' || !(*out >= low && *out <= high))
        argp_error(state, "--%s '%s' is not a number from %g to %g", name, value, low, high);
    return 0;
}

static error_t parse(int key, char *value, struct argp_state *state) {
    static const char *const precisions[] = {[ADELE_PRECISION_FP32] = "fp32",
                                             [ADELE_PRECISION_BF16] = "bf16",
                                             [ADELE_PRECISION_TF32] = "tf32"};
    struct bench_options *out = state->input;
    double number;
    char message[160];
    switch (key) {
    case KEY_DEVICE:
        out->device = value;
        return 0;
    case KEY_ENGINE:
        out->engine = value;
        return 0;
    case KEY_PRECISION:
        for (int i = 0; i < 3; i++)
            if (strcmp(value, precisions[i]) == 0) {
                out->precision = (enum adele_precision)i;
                return 0;
            }
        argp_error(state, "--precision '%s' is not fp32, tf32 or bf16", value);
        return 0;
    case KEY_ROUNDS:
        parse_number(state, "rounds", value, 1, 10000, &number);
        out->n_rounds = (int)number;
        return 0;
    case KEY_SCALE:
        return parse_number(state, "scale", value, 0.01, 4.0, &out->scale);
    case KEY_JSON:
        out->json = value;
        return 0;
    case KEY_LIST:
        out->is_list = true;
        return 0;
    case KEY_COSTS:
        out->is_costs = true;
        return 0;
    case KEY_SCALING:
        out->is_scaling = true;
        return 0;
    case KEY_TILES:
        out->is_tiles = true;
        return 0;
    case KEY_ASSUME:
        if (scaling_assume(&out->assumptions, value, message) != NULL)
            argp_error(state, "--assume %s", message);
        return 0;
    case ARGP_KEY_ARG:
        if (out->filter != NULL)
            argp_error(state, "unexpected argument '%s': one FILTER only", value);
        out->filter = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int report_failure(void) {
    fprintf(stderr, "adele-bench: error: %s\n", adele_error_message());
    if (adele_error_hint()[0])
        fprintf(stderr, "  hint: %s\n", adele_error_hint());
    return 1;
}

static adele_status run_benchmarks(struct bench *bench) {
    if (!bench->options.is_list) {
        adele_status status = bench_ceilings(bench);
        if (status != ADELE_OK)
            return status;
        report_header(bench);
    }
    bench_networks(bench);
    bench_heads(bench);
    bench_steps(bench);
    if (bench->options.json != NULL && !bench->options.is_list)
        return report_json(bench);
    return ADELE_OK;
}

int main(int argc, char **argv) {
    static const struct argp argp = {
        options,
        parse,
        "[FILTER]",
        "Times every op at the shapes of the two pipelines.\vFILTER is a part of a case's name, "
        "OP/NETWORK/LAYER@SCALE/DIRECTION: conv2d, unet, @1.5, backward. GB/s counts each array "
        "that an op touches once; % of copy and matrix are of what this run measured. On cuda, "
        "convolutions take turns with cuDNN's and cuBLAS's where these are installed; the ratio is "
        "their time by ours, above 1 when ours is faster. Exit codes: 0 done, 1 failed or a check "
        "failed, 2 wrong usage.",
        0,
        0,
        0};
    struct bench_options parsed = {.device = "auto",
                                   .n_rounds = 31,
                                   .scale = 1.0,
                                   .assumptions = scaling_assumptions_default()};
    struct bench bench;
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, 0, &parsed);
    if (parsed.is_costs)
        return bench_costs(stdout) == ADELE_OK ? 0 : report_failure();
    if (parsed.is_scaling)
        return bench_scaling(stdout, &parsed.assumptions) == ADELE_OK ? 0 : report_failure();
    if (parsed.is_tiles) {
        bench_tiles(stdout);
        return 0;
    }
    adele_status status = bench_open(&parsed, &bench);
    if (status == ADELE_OK)
        status = run_benchmarks(&bench);
    int code = status == ADELE_OK ? 0 : report_failure();
    if (code == 0 && bench.n_seen == 0) {
        fprintf(stderr, "adele-bench: error: no case's name holds '%s'\n  hint: --list\n",
                parsed.filter);
        code = 1;
    }
    if (bench.n_failed > 0) {
        fprintf(stderr, "adele-bench: %d cases failed\n", bench.n_failed);
        code = 1;
    }
    bench_close(&bench);
    return code;
}
