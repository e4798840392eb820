// SPDX-License-Identifier: MIT
#include "device/conv2d_box_work.h"

#include <stddef.h>

enum { STEP_ROW_BYTES = 128 }; // 64 channels of a pixel

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static int item_steps(const struct conv2d_box_work *work, int item) {
    const struct conv2d_box_tile *tile =
        &work->tiles[item / work->n_columns * (work->is_paired ? 2 : 1)];
    return conv2d_box_count_taps(tile->taps) * work->n_chunks;
}

static int workers_of(const struct conv2d_box_work *work, int n_blocks) {
    int n = work->is_paired ? n_blocks / 2 : n_blocks;
    return n < 1 ? 1 : n < CONV2D_WORK_MOST_BLOCKS ? n : CONV2D_WORK_MOST_BLOCKS;
}

// Of a step while all multiprocessors are busy; of one as fast as the tensor cores are; and beside
// the steps: of an item that is finished at once, and of a slot.
struct costs {
    int64_t step, alone, whole, slot;
};

static struct costs costs_of(const struct conv2d_box_work *work) {
    const int64_t rows = CONV2D_BOX_PIXELS, of_pair = work->is_paired ? 2 : 1;
    return (struct costs){.step = (rows + work->bn / of_pair) * STEP_ROW_BYTES,
                          .alone = (int64_t)work->bn * 113, // 4.8 cycles a channel
                          .whole = rows * work->bn * 2,
                          .slot = rows * work->bn * 4};
}

// ---- segments -----------------------------------------------------------------------------------

// What is written, or with NULL only counted in `work`.
struct listing {
    struct conv2d_box_work *work;
    struct conv2d_box_segment *segments;
    struct conv2d_box_sum *sums;
};

static void add_segment(const struct listing *list, int item, int first, int n_steps,
                        bool is_whole) {
    struct conv2d_box_work *work = list->work;
    const struct conv2d_box_segment segment = {.tile = item / work->n_columns *
                                                       (work->is_paired ? 2 : 1),
                                               .column = item % work->n_columns * work->bn,
                                               .first = first,
                                               .n_steps = n_steps,
                                               .slot = is_whole ? -1 : work->n_slots};
    if (list->segments != NULL)
        list->segments[work->n_segments] = segment;
    work->n_segments++;
    if (is_whole)
        return;
    if (first == 0) {
        if (list->sums != NULL)
            list->sums[work->n_sums] =
                (struct conv2d_box_sum){segment.tile, segment.column, segment.slot, 0};
        work->n_sums++;
    }
    if (list->sums != NULL)
        list->sums[work->n_sums - 1].n_slots++;
    work->n_slots++;
}

// What a worker has of its whole items. Where they are fewer than the workers that there could be,
// each has more of the cache than its share.
static int64_t whole_cost(const struct conv2d_box_work *work, int i_worker) {
    const struct costs costs = costs_of(work);
    const int n_all = workers_of(work, work->split_blocks);
    int64_t cost = 0, step = costs.step;
    if (work->n_items < n_all && work->n_sharers == 0) {
        step = costs.step * work->n_items / n_all;
        step = step > costs.alone ? step : costs.alone;
    }
    for (int item = i_worker; item < work->n_whole; item += work->n_workers)
        cost += costs.whole + item_steps(work, item) * step;
    return cost;
}

// ---- shares -------------------------------------------------------------------------------------

// The item that is being shared, and how many of its steps somebody has.
struct place {
    int item, done;
};

// A sharer takes steps until it has cost `level`.
static void take_shares(const struct listing *list, int64_t used, int64_t level, struct place *at) {
    const struct conv2d_box_work *work = list->work;
    const struct costs costs = costs_of(work);
    while (at->item < work->n_items) {
        int64_t steps = item_steps(work, at->item), left = steps - at->done;
        int64_t fitting = (level - used - costs.slot) / costs.step;
        bool is_whole = at->done == 0 && used + costs.whole + steps * costs.step <= level;
        int64_t share = is_whole || left < fitting ? left : fitting;
        if (share <= 0)
            return;
        add_segment(list, at->item, at->done, (int)share, is_whole);
        used += (is_whole ? costs.whole : costs.slot) + share * costs.step;
        at->done += (int)share;
        if (at->done == steps)
            *at = (struct place){at->item + 1, 0};
    }
}

static bool is_sharer(const struct conv2d_box_work *work, int i_worker) {
    return i_worker >= work->n_workers - work->n_sharers;
}

// Whether the sharers can take all that is not whole. whole: each worker's cost so far.
static bool is_enough(struct conv2d_box_work *work, const int64_t *whole, int64_t level) {
    const struct listing list = {.work = work};
    struct place at = {work->n_whole, 0};
    work->n_segments = work->n_whole;
    work->n_slots = work->n_sums = 0;
    for (int i = work->n_workers - work->n_sharers; i < work->n_workers; i++)
        take_shares(&list, whole[i], level, &at);
    return at.item == work->n_items;
}

// The lowest cost at which all shared items are taken, and the numbers of the list.
static void choose_level(struct conv2d_box_work *work, const int64_t *whole) {
    int64_t low = 0, high = 1;
    while (!is_enough(work, whole, high))
        high *= 2;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (is_enough(work, whole, middle))
            high = middle;
        else
            low = middle + 1;
    }
    (void)is_enough(work, whole, low);
    work->level = low;
}

void conv2d_box_work_list(const struct conv2d_box_work *work, struct conv2d_box_segment *segments,
                          int *starts, struct conv2d_box_sum *sums) {
    struct conv2d_box_work counted = *work;
    struct place at = {work->n_whole, 0};
    counted.n_segments = counted.n_slots = counted.n_sums = 0;
    const struct listing list = {&counted, segments, sums};
    for (int i = 0; i < work->n_workers; i++) {
        starts[i] = counted.n_segments;
        for (int item = i; item < work->n_whole; item += work->n_workers)
            add_segment(&list, item, 0, item_steps(work, item), true);
        if (is_sharer(work, i))
            take_shares(&list, whole_cost(work, i), work->level, &at);
    }
    starts[work->n_workers] = counted.n_segments;
}

// ---- the choice ---------------------------------------------------------------------------------

// Of the slowest worker, and of the second kernel.
static int64_t work_cost(struct conv2d_box_work *work) {
    int64_t whole[CONV2D_WORK_MOST_BLOCKS], most = 0;
    const int64_t n_blocks = work->is_paired ? 2 : 1;
    const struct costs costs = costs_of(work);
    for (int i = 0; i < work->n_workers; i++) {
        whole[i] = whole_cost(work, i);
        most = most > whole[i] ? most : whole[i];
    }
    choose_level(work, whole);
    most = most > work->level ? most : work->level;
    if (work->n_slots == 0)
        return most;
    // All multiprocessors together read the slots, which the cache still has, and write to memory,
    // which has half of the cache's rate.
    int64_t bytes = n_blocks * (work->n_slots * costs.slot + 2 * work->n_sums * costs.whole);
    return most + CONV2D_LAUNCH_COST + bytes / CONV2D_WORK_BLOCKS;
}

static void keep_best(struct conv2d_box_work *work, int64_t *least, struct conv2d_box_work *best) {
    int64_t cost = work_cost(work);
    if (cost < *least) {
        *least = cost;
        *best = *work;
    }
}

// All items whole; compared as if the GPU had as many multiprocessors as the splits are made for.
static void try_whole(struct conv2d_box_work *work, int64_t *least, struct conv2d_box_work *best) {
    int n_workers = workers_of(work, work->split_blocks);
    work->n_workers = n_workers < work->n_items ? n_workers : work->n_items;
    work->n_whole = work->n_items;
    work->n_sharers = 0;
    keep_best(work, least, best);
}

// The last rounds split, more than one where the items of all rounds before differ, since those
// with most steps come first and the last ones even them out; among all workers, or among so many
// that each item has equally many shares.
static void try_splits(struct conv2d_box_work *work, int64_t *least, struct conv2d_box_work *best) {
    int n_workers = workers_of(work, work->split_blocks);
    work->n_workers = n_workers;
    if (item_steps(work, work->n_items - 1) == 0)
        return; // nobody would write that item
    for (int rounds = 0; rounds < 6; rounds++) {
        int n_whole = ((work->n_items - 1) / n_workers - rounds) * n_workers;
        if (n_whole < 0)
            break;
        int n_shared = work->n_items - n_whole;
        work->n_whole = n_whole;
        work->n_sharers = n_workers;
        keep_best(work, least, best);
        work->n_sharers = n_workers / n_shared * n_shared;
        if (work->n_sharers > n_shared)
            keep_best(work, least, best);
    }
}

void conv2d_box_work_choose(struct conv2d_box_work *work) {
    const int wanted = work->bn;
    struct conv2d_box_work best = *work;
    int64_t least = INT64_MAX;
    for (int bn = 256; bn >= 64; bn /= 2) {
        if (wanted != 0 && bn != wanted)
            continue;
        work->bn = bn;
        work->n_columns = divide_up(work->c_target, bn);
        work->n_items = work->n_tiles / (work->is_paired ? 2 : 1) * work->n_columns;
        if (work->split != CONV2D_SPLIT_ALWAYS)
            try_whole(work, &least, &best);
        if (work->split != CONV2D_SPLIT_NEVER)
            try_splits(work, &least, &best);
    }
    if (least == INT64_MAX) { // items without steps, which cannot be split
        work->split = CONV2D_SPLIT_NEVER;
        work->bn = wanted;
        conv2d_box_work_choose(work);
        return;
    }
    *work = best;
    if (work->n_sharers == 0) { // whole items may go to any number of workers
        int n_workers = workers_of(work, work->gpu_blocks);
        work->n_workers = n_workers < work->n_items ? n_workers : work->n_items;
    }
}
