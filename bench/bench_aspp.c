// SPDX-License-Identifier: MIT
// Atrous pyramids at the shapes of the DeepLab heads: 4096 channels in, stride 8, batch 10. The
// branches are also timed one by one, as dilated convolutions, because this is what a library
// offers.
#include "bench.h"

#include <string.h>

#define C_IN  4096
#define BATCH 10

// A small pyramid of the same form, for tests/reference.
static struct adele_aspp_desc shrink(struct adele_aspp_desc desc) {
    desc.n = 2;
    desc.c_in = 40;
    desc.c_out = desc.c_out < 24 ? desc.c_out : 24;
    desc.h = desc.h < 15 ? desc.h : 15;
    desc.w = desc.w < 17 ? desc.w : 17;
    return desc;
}

static void run_pyramid(struct bench *bench, const char *head, const char *scale,
                        const struct adele_aspp_desc *desc) {
    char name[96];
    struct adele_aspp_desc small_desc = shrink(*desc);
    struct problem small, full;
    problem_aspp(&small_desc, &small);
    problem_aspp(desc, &full);
    snprintf(name, sizeof name, "aspp/%s@%s", head, scale);
    struct bench_case c = {.name = name, .full = &full, .small = &small};
    snprintf(c.shape, sizeof c.shape, "%dx%d>%dx%d %dx%d", desc->n, desc->c_in, desc->n_rates,
             desc->c_out, desc->h, desc->w);
    bench_run_case(bench, &c);
}

static void run_branch(struct bench *bench, const char *head, const char *scale,
                       const struct adele_aspp_desc *desc, int rate) {
    char name[96];
    struct adele_conv2d_desc branch = {.n = desc->n,
                                       .c_in = desc->c_in,
                                       .h_in = desc->h,
                                       .w_in = desc->w,
                                       .c_out = desc->c_out,
                                       .kernel = rate == 0 ? 1 : 3,
                                       .stride = 1,
                                       .pad = rate,
                                       .dilation = rate == 0 ? 1 : rate,
                                       .needs_d_src = true,
                                       .is_training = true,
                                       .precision = desc->precision};
    struct problem full;
    problem_conv2d(&branch, &full);
    snprintf(name, sizeof name, "conv2d/%s.rate%d@%s", head, rate, scale);
    struct bench_case c = {.name = name, .full = &full, .check = check_conv2d, .has_peers = true};
    snprintf(c.shape, sizeof c.shape, "%dx%d>%d %dx%d k%d d%d", desc->n, desc->c_in, desc->c_out,
             desc->h, desc->w, branch.kernel, branch.dilation);
    bench_run_case(bench, &c);
}

void bench_heads(struct bench *bench) {
    static const struct {
        const char *name;
        enum adele_aspp_form form;
        int c_out, n_rates, rates[4];
    } heads[] = {{"largefov", ADELE_ASPP_SUM, 512, 1, {12}},
                 {"v2", ADELE_ASPP_SUM, 21, 4, {6, 12, 18, 24}},
                 {"v2_wide", ADELE_ASPP_CONCAT, 512, 4, {6, 12, 18, 24}},
                 {"v3", ADELE_ASPP_CONCAT, 256, 4, {0, 6, 12, 18}}};
    static const struct {
        const char *name;
        int features;
    } scales[] = {{"1.0", 56}, {"0.7", 40}, {"1.5", 84}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
            struct adele_aspp_desc desc = {
                .form = heads[i].form,
                .n = BATCH,
                .c_in = bench_extent(bench, C_IN),
                .h = bench_extent(bench, scales[k].features),
                .w = bench_extent(bench, scales[k].features),
                .c_out = heads[i].c_out == 21 ? 21 : bench_extent(bench, heads[i].c_out),
                .n_rates = heads[i].n_rates,
                .has_bias = heads[i].form == ADELE_ASPP_SUM,
                .needs_d_src = true,
                .is_training = true,
                .precision = bench->options.precision};
            memcpy(desc.rates, heads[i].rates, sizeof heads[i].rates);
            run_pyramid(bench, heads[i].name, scales[k].name, &desc);
            for (int r = 0; r < desc.n_rates; r++)
                run_branch(bench, heads[i].name, scales[k].name, &desc, desc.rates[r]);
        }
}
