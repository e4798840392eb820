// SPDX-License-Identifier: MIT
// The rows of a case: check it, then time each direction that matches the filter.
#include "bench.h"

#include "base/fail.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

static const char *const passes[] = {"forward", "backward"};

int bench_extent(const struct bench *bench, double extent) {
    return (int)fmax(1.0, floor(extent * bench->options.scale));
}

// Whether the filter matches this direction of the case; with --list it is printed instead.
static bool is_wanted(struct bench *bench, const struct bench_case *c, int pass) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s", c->name, passes[pass]);
    if (bench->options.filter != NULL && strstr(name, bench->options.filter) == NULL)
        return false;
    bench->n_seen++;
    if (bench->options.is_list)
        printf("%-66s %s\n", name, c->shape);
    return !bench->options.is_list;
}

static void report_failure(struct bench *bench, const struct bench_case *c, const char *what) {
    printf("%-62s %-34s FAILED: %s: %s\n", c->name, c->shape, what, adele_error_message());
    fflush(stdout);
    bench->n_failed++;
}

static void keep_row(struct bench *bench, const struct row *row) {
    struct row *rows = memory_realloc(bench->rows, (size_t)bench->n_rows + 1, sizeof *bench->rows);
    if (rows == NULL)
        return;
    bench->rows = rows;
    rows[bench->n_rows++] = *row;
}

static adele_status check(struct bench *bench, const struct bench_case *c,
                          struct instance *instance, char text[48]) {
    if (c->check != NULL)
        return c->check(instance, c->full, text);
    snprintf(text, 48, "reference");
    return problem_check(bench->device, c->small);
}

// A peer must compute the same values. It has memory of its own, because gradients are added to
// earlier ones.
static adele_status check_peer(struct bench *bench, const struct bench_case *c,
                               struct adele_device *peer) {
    struct bench of_peer = *bench;
    struct instance alone = {0};
    char text[48];
    of_peer.device = peer;
    TRY(instance_open(peer, c->full, &alone));
    adele_status status = check(&of_peer, c, &alone, text);
    instance_close(&alone);
    return status;
}

// A library's engine, if it supports this shape and its results are right.
static void open_peers(struct bench *bench, const struct bench_case *c, const struct instance *ours,
                       struct instance peers[MAX_PEERS], int *n_peers) {
    static const char *const libraries[MAX_PEERS] = {"cudnn", "cublas"};
    *n_peers = 0;
    for (int i = 0; i < MAX_PEERS && c->has_peers; i++) {
        struct instance *peer = &peers[*n_peers];
        if (bench->peers[i] == NULL ||
            instance_share(bench->peers[i], c->full, ours, peer) != ADELE_OK)
            continue;
        bool is_taken = peer->op->engine != NULL && strstr(peer->op->engine, libraries[i]) != NULL;
        if (is_taken && check_peer(bench, c, bench->peers[i]) != ADELE_OK) {
            char what[32];
            snprintf(what, sizeof what, "check of %s", libraries[i]);
            report_failure(bench, c, what);
            is_taken = false;
        }
        if (is_taken)
            ++*n_peers;
        else
            instance_close(peer);
    }
}

static adele_status time_pass(struct bench *bench, const struct bench_case *c,
                              struct instance *ours, struct instance *peers, int n_peers, int pass,
                              struct row *row) {
    snprintf(row->name, sizeof row->name, "%s/%s", c->name, passes[pass]);
    snprintf(row->shape, sizeof row->shape, "%s", c->shape);
    snprintf(row->engine, sizeof row->engine, "%s", ours->op->engine ? ours->op->engine : "");
    row->flops = pass == 0 ? ours->op->flops_forward : ours->op->flops_backward;
    row->bytes = problem_bytes(c->full, bench->device, pass == 1);
    for (int i = 0; i < n_peers; i++)
        snprintf(row->peer[i], sizeof row->peer[i], "%s", peers[i].op->engine);
    return bench_time(bench, ours, pass == 1, peers, n_peers, row);
}

void bench_run_case(struct bench *bench, const struct bench_case *c) {
    bool wanted[2];
    for (int pass = 0; pass < 2; pass++)
        wanted[pass] = (pass == 0 || problem_has_backward(c->full)) && is_wanted(bench, c, pass);
    if (!wanted[0] && !wanted[1])
        return;
    struct instance ours = {0}, peers[MAX_PEERS] = {{0}};
    struct row row = {0};
    int n_peers = 0;
    if (instance_open(bench->device, c->full, &ours) != ADELE_OK) {
        report_failure(bench, c, "create");
        return;
    }
    adele_status status = check(bench, c, &ours, row.checked);
    if (status != ADELE_OK) {
        report_failure(bench, c, "check");
    } else {
        open_peers(bench, c, &ours, peers, &n_peers);
        for (int pass = 0; pass < 2; pass++) {
            if (!wanted[pass])
                continue;
            // Backward reads what forward leaves.
            if (pass == 1)
                status = instance_run(&ours, false);
            if (status == ADELE_OK)
                status = time_pass(bench, c, &ours, peers, n_peers, pass, &row);
            if (status != ADELE_OK) {
                report_failure(bench, c, passes[pass]);
                break;
            }
            report_row(bench, &row);
            keep_row(bench, &row);
        }
    }
    for (int i = 0; i < n_peers; i++)
        instance_close(&peers[i]);
    instance_close(&ours);
}
