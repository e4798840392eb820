// SPDX-License-Identifier: MIT
#include "scaling_model.h"

#include "base/fail.h"
#include "step/buckets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct scaling_assumption scaling_defaults[SCALING_COUNT] = {
#define SCALING_ROW(name, value, low, high, unit, meaning)                                         \
    [SCALING_##name] = {#name, value, low, high, unit, meaning},
    SCALING_ASSUMPTIONS(SCALING_ROW)
#undef SCALING_ROW
};

struct scaling_assumptions scaling_assumptions_default(void) {
    struct scaling_assumptions out;
    for (int i = 0; i < SCALING_COUNT; i++)
        out.value[i] = scaling_defaults[i].value;
    return out;
}

static bool is_count(const struct scaling_assumption *row) {
    return strcmp(row->unit, "") == 0 || strcmp(row->unit, "GPUs") == 0 ||
           strcmp(row->unit, "images") == 0;
}

// The GPUs of a machine are a power of two, so that any number of ranks that is one fills machines.
static bool is_allowed(const struct scaling_assumption *row, double number) {
    if (!(number >= row->low && number <= row->high) || (is_count(row) && number != floor(number)))
        return false;
    return strcmp(row->unit, "GPUs") != 0 || ((int)number & ((int)number - 1)) == 0;
}

const char *scaling_assume(struct scaling_assumptions *assumptions, const char *text,
                           char message[160]) {
    size_t length = strcspn(text, "=");
    for (int i = 0; i < SCALING_COUNT && text[length] == '='; i++) {
        const struct scaling_assumption *row = &scaling_defaults[i];
        if (strlen(row->name) != length || strncmp(row->name, text, length) != 0)
            continue;
        char *end;
        double number = strtod(text + length + 1, &end);
        if (end != text + length + 1 && *end == '\0' && is_allowed(row, number)) {
            assumptions->value[i] = number;
            return NULL;
        }
        snprintf(message, 160, "'%.60s' is not a %snumber from %g to %g%s", text,
                 is_count(row) ? "whole " : "", row->low, row->high,
                 i == SCALING_machine ? " that is a power of two" : "");
        return message;
    }
    snprintf(message, 160, "'%.60s' is not NAME=VALUE with a name that --scaling prints", text);
    return message;
}

// ---- one step -----------------------------------------------------------------------------------

#define LINE_FLOATS 16 // a cache line

int64_t scaling_vector_floats(const struct scaling_work *work, int n_parts) {
    int64_t multiple = (int64_t)n_parts * LINE_FLOATS;
    int64_t n_floats = work->n_weights + work->n_rest + n_parts;
    return (n_floats + multiple - 1) / multiple * multiple;
}

adele_status scaling_bytes_sent(const struct scaling_work *work, int n_parts, int n_ranks, int rank,
                                int64_t *out) {
    struct buckets buckets;
    int64_t n_floats = 0;
    int64_t n_rest = scaling_vector_floats(work, n_parts) - work->n_weights;
    TRY(buckets_init(&buckets, work->n_weights, n_rest, n_ranks));
    for (int i = 0; i < buckets.n; i++) {
        int64_t own = bucket_chunk(&buckets.all[i], rank).n;
        n_floats += buckets.all[i].n - own + (n_ranks - 1) * own;
    }
    buckets_deinit(&buckets);
    *out = n_floats * (int64_t)sizeof(float) + (n_ranks - 1) * (int64_t)sizeof(int64_t);
    return ADELE_OK;
}

int64_t scaling_bytes_through_host(const struct scaling_work *work, int n_parts, int n_ranks) {
    int64_t chunk = scaling_vector_floats(work, n_parts) / n_ranks;
    return 2 * (n_ranks - 1) * chunk * (int64_t)sizeof(float);
}

// Bytes that a rank sends inside of its machine and to other machines, and how many messages.
struct traffic {
    double link, network, link_messages, network_messages;
};

static struct traffic traffic_of(int levels, int64_t n_floats, int n_ranks, int n_local) {
    struct traffic out;
    double n_others = levels == 1 ? n_ranks - n_local : n_ranks / n_local - 1;
    double vector = (double)n_floats * (double)sizeof(float);
    double link_chunk = vector / (levels == 1 ? n_ranks : n_local);
    double network_chunk = vector / n_ranks;
    out.link_messages = 2.0 * (n_local - 1);
    out.network_messages = 2.0 * n_others;
    out.link = out.link_messages * link_chunk;
    out.network = out.network_messages * network_chunk;
    return out;
}

static int levels_of(const double *value) {
    return value[SCALING_through_host] != 0.0 ? 1 : (int)value[SCALING_levels];
}

static double latency(const double *value, double link_messages, double network_messages) {
    return 1e-6 * (link_messages * value[SCALING_link_latency] +
                   network_messages * value[SCALING_network_latency]);
}

static double sum_of(const double costs[COST_COUNT]) {
    double sum = 0.0;
    for (int i = 0; i < COST_COUNT; i++)
        sum += costs[i];
    return sum;
}

static void fill_costs(const double *value, const struct traffic *traffic, int64_t n_floats,
                       int n_ranks, int n_local, double costs[COST_COUNT]) {
    bool through_host = value[SCALING_through_host] != 0.0;
    double host_rate = 1e9 * value[SCALING_host_copy];
    double link_rate = through_host ? host_rate : 1e9 * value[SCALING_link];
    double sum_rate = through_host ? host_rate : 1e9 * value[SCALING_memory];
    double network_rate = 1e9 / 8.0 * value[SCALING_network] * value[SCALING_adapters] / n_local;
    double vector = (double)n_floats * (double)sizeof(float);
    costs[COST_LINK] = traffic->link / link_rate;
    costs[COST_NETWORK] = traffic->network / network_rate;
    // In one level a rank sends both ways at the same time.
    if (levels_of(value) == 1) {
        bool is_network = costs[COST_NETWORK] > costs[COST_LINK];
        costs[is_network ? COST_LINK : COST_NETWORK] = 0.0;
    }
    costs[COST_LATENCY] = latency(value, traffic->link_messages, traffic->network_messages);
    // n_ranks - 1 additions of its chunk, each of which reads two floats and writes one.
    costs[COST_SUMS] = 3.0 * vector * (n_ranks - 1) / n_ranks / sum_rate;
    costs[COST_HOST] = through_host ? 2.0 * vector / (1e9 * value[SCALING_pcie]) : 0.0;
}

static double bucket_time(const double *value, int64_t n_floats, int n_ranks, int n_local) {
    double costs[COST_COUNT];
    struct traffic traffic = traffic_of(levels_of(value), n_floats, n_ranks, n_local);
    fill_costs(value, &traffic, n_floats, n_ranks, n_local, costs);
    return sum_of(costs);
}

// Until the last bucket is exchanged, without the agreement.
static double time_overlapped(const double *value, const struct scaling_work *work, double computed,
                              int n_ranks, int n_local) {
    double exchanged = 0.0, time = 0.0;
    for (int i = 0; i < work->n_buckets; i++)
        exchanged += bucket_time(value, work->buckets[i].n_floats, n_ranks, n_local);
    // As if all of it were beside the computing, which is at most so.
    double stretched = computed + value[SCALING_beside] * exchanged;
    for (int i = 0; i < work->n_buckets; i++)
        time = fmax(time, work->buckets[i].ready * stretched) +
               bucket_time(value, work->buckets[i].n_floats, n_ranks, n_local);
    return fmax(time, stretched);
}

struct scaling_step scaling_step_of(const struct scaling_assumptions *assumptions,
                                    const struct scaling_work *work, int n_ranks, double n_images) {
    const double *value = assumptions->value;
    struct scaling_step out = {0};
    out.computed =
        n_images * work->flops_image / (1e12 * value[SCALING_peak] * value[SCALING_share]);
    int n_local = n_ranks < (int)value[SCALING_machine] ? n_ranks : (int)value[SCALING_machine];
    if (n_ranks > 1) {
        int64_t n_floats = scaling_vector_floats(work, n_ranks);
        struct traffic traffic = traffic_of(levels_of(value), n_floats, n_ranks, n_local);
        out.sent = traffic.link + traffic.network;
        out.sent_machine = traffic.network * n_local;
        fill_costs(value, &traffic, n_floats, n_ranks, n_local, out.costs);
        // The agreement at the step's start is a message to each of the other ranks.
        double agreement = latency(value, n_local - 1, n_ranks - n_local);
        out.costs[COST_LATENCY] += agreement;
        out.exchanged = sum_of(out.costs);
        if (work->n_buckets > 0 && value[SCALING_through_host] == 0.0)
            out.with_overlap =
                agreement + time_overlapped(value, work, out.computed, n_ranks, n_local);
    }
    out.without_overlap = out.computed + out.exchanged;
    if (out.with_overlap == 0.0)
        out.with_overlap = out.without_overlap;
    out.efficiency = out.computed / out.without_overlap;
    out.efficiency_overlap = out.computed / out.with_overlap;
    out.images_per_s = n_ranks * n_images / out.with_overlap;
    return out;
}

const char *scaling_limit(const struct scaling_step *step) {
    static const char *const texts[COST_COUNT] = {[COST_LINK] = "bandwidth inside of a machine",
                                                  [COST_NETWORK] = "bandwidth between machines",
                                                  [COST_LATENCY] = "latency",
                                                  [COST_SUMS] = "sums of the vectors",
                                                  [COST_HOST] = "copies to the host and back"};
    int i_largest = 0;
    for (int i = 1; i < COST_COUNT; i++)
        if (step->costs[i] > step->costs[i_largest])
            i_largest = i;
    return step->efficiency_overlap >= 0.99 ? "computing" : texts[i_largest];
}
