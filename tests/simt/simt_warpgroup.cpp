// SPDX-License-Identifier: MIT
// What the four warps of a warpgroup do together: they meet at each instruction ("aligned": all
// threads execute the same one), and take and give registers (PTX ISA, section "setmaxnreg").
#include "simt_async.h"

#include <stdio.h>

static const int n_group = 128;
static const int most_groups = SIMT_MAX_THREADS / 128;
static const int registers_per_block = 65536;

struct meeting {
    struct simt_group_call *calls[n_group];
    int n_here;
    int n_registers; // of each thread
};
static struct meeting meetings[most_groups];
static std::vector<int> waiting_for_registers;

// Of a thread: what ptxas gives a kernel that is compiled for one block of this size on a
// multiprocessor.
static int registers_at_launch() {
    int n = registers_per_block / simt_run.n_threads / 8 * 8;
    return n > 256 ? 256 : n;
}

void simt_warpgroups_begin() {
    for (struct meeting &meeting : meetings) {
        meeting = {};
        meeting.n_registers = registers_at_launch();
    }
    waiting_for_registers.clear();
}

// ---- meeting ------------------------------------------------------------------------------------

static void describe(const struct simt_thread *self, char *out, size_t bytes) {
    const struct simt_group_call *call = (const struct simt_group_call *)self->object;
    snprintf(out, bytes, "%s, to which %d of the 128 threads of the warpgroup have come",
             call->name, meetings[self->detail].n_here);
}

static void check_same(const struct simt_group_call *a, const struct simt_group_call *b) {
    if (strcmp(a->name, b->name) != 0 || a->line != b->line || strcmp(a->file, b->file) != 0)
        simt_fail("the threads of a warpgroup must execute one instruction together: some are in "
                  "%s at %s:%d, others in %s at %s:%d",
                  a->name, simt_file_name(a->file), a->line, b->name, simt_file_name(b->file),
                  b->line);
    if (a->a != b->a || a->b != b->b || a->adds != b->adds || a->argument != b->argument)
        simt_fail("%s at %s:%d: the threads of the warpgroup bring different descriptors or "
                  "arguments",
                  a->name, simt_file_name(a->file), a->line);
}

int simt_warpgroup() {
    int in_block = simt_run.current % simt_run.n_threads;
    return (simt_rank() * simt_run.n_threads + in_block / n_group * n_group) / n_group;
}

void simt_warpgroup_meet(struct simt_group_call *call,
                         void (*complete)(struct simt_group_call *const calls[128])) {
    simt_require_hopper(call->name, call->file, call->line);
    if (simt_run.n_threads % n_group != 0)
        simt_fail("%s at %s:%d in a block of %d threads, which is no multiple of 128", call->name,
                  simt_file_name(call->file), call->line, simt_run.n_threads);
    struct meeting *meeting = &meetings[simt_warpgroup()];
    int first = simt_run.current / n_group * n_group;
    meeting->calls[simt_run.current - first] = call;
    if (++meeting->n_here < n_group) {
        simt_wait_for(call, (uint32_t)simt_warpgroup(), describe, call->file, call->line);
        return;
    }
    for (int i = 0; i < n_group; i++)
        check_same(meeting->calls[i], call);
    complete(meeting->calls);
    meeting->n_here = 0;
    for (int i = 0; i < n_group; i++)
        if (first + i != simt_run.current)
            simt_make_ready(first + i);
}

// ---- registers ----------------------------------------------------------------------------------

// Of the block, when the running thread's warpgroup has n.
static int registers_with(int n) {
    int groups = simt_run.n_threads / n_group, total = 0;
    for (int i = 0; i < groups; i++) {
        int group = simt_rank() * groups + i;
        total += n_group * (group == simt_warpgroup() ? n : meetings[group].n_registers);
    }
    return total;
}

static void describe_registers(const struct simt_thread *self, char *out, size_t bytes) {
    snprintf(out, bytes,
             "set_max_registers_increase<%u>: the other warpgroups have not left so many of the "
             "%d registers of the block",
             self->detail, registers_at_launch() * simt_run.n_threads);
}

static void meet_only(struct simt_group_call *const *) {
}

void simt_set_max_registers(bool increases, int n, const char *file, int line) {
    const char *name = increases ? "set_max_registers_increase" : "set_max_registers_decrease";
    simt_require_hopper(name, file, line);
    struct simt_group_call call = {name, 0, 0, false, n, NULL, file, line};
    int *now = &meetings[simt_warpgroup()].n_registers;
    int before = *now;
    if (increases ? n < before : n > before)
        simt_fail("%s<%d> at %s:%d: the threads have %d registers", name, n, simt_file_name(file),
                  line, before);
    simt_warpgroup_meet(&call, meet_only);
    while (registers_with(n) > registers_at_launch() * simt_run.n_threads) {
        waiting_for_registers.push_back(simt_run.current);
        simt_wait_for(NULL, (uint32_t)n, describe_registers, file, line);
    }
    *now = n;
    for (int thread : waiting_for_registers)
        simt_make_ready(thread);
    waiting_for_registers.clear();
}
