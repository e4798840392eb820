// SPDX-License-Identifier: MIT
// The list of taps of an atrous pyramid, and the order of pixels in which tiles agree in their live
// taps. Host code, run once when the op is made; the tables go to the device.
#include "aspp/aspp_parts.cuh"

#include <string.h>

namespace adele_cuda {

// ---- taps ---------------------------------------------------------------------------------------

static void add_tap(struct aspp_gather *gather, int y, int x, int channel, bool is_data_gradient) {
    struct aspp_group *group = &gather->groups[gather->n_groups - 1];
    struct aspp_tap *tap = &gather->taps[group->tap_first + group->n_taps++];
    tap->y = (int16_t)(is_data_gradient ? -y : y);
    tap->x = (int16_t)(is_data_gradient ? -x : x);
    tap->channel = channel;
}

static struct aspp_group *add_group(struct aspp_gather *gather) {
    struct aspp_group *group = &gather->groups[gather->n_groups];
    if (gather->n_groups > 0)
        group->tap_first = group[-1].tap_first + group[-1].n_taps;
    gather->n_groups++;
    return group;
}

// The taps of a branch in row order, with or without its centre.
static void add_branch(struct aspp_gather *gather, int rate, bool has_centre, int channel,
                       bool is_data_gradient) {
    int reach = rate > 0 ? 1 : 0;
    for (int ky = -reach; ky <= reach; ky++)
        for (int kx = -reach; kx <= reach; kx++)
            if (has_centre || ky != 0 || kx != 0)
                add_tap(gather, ky * rate, kx * rate, channel, is_data_gradient);
}

static void list_sum(const struct adele_aspp_desc *desc, bool is_data_gradient,
                     struct aspp_gather *gather) {
    struct aspp_group *group = add_group(gather);
    group->channels = gather->p_target;
    group->n_biases = desc->has_bias && !is_data_gradient ? desc->n_rates : 0;
    add_tap(gather, 0, 0, 0, is_data_gradient);
    for (int r = 0; r < desc->n_rates; r++)
        add_branch(gather, desc->rates[r], false, 0, is_data_gradient);
}

static void list_concat_forward(const struct adele_aspp_desc *desc, struct aspp_gather *gather) {
    for (int r = 0; r < desc->n_rates; r++) {
        struct aspp_group *group = add_group(gather);
        group->channel_first = r * desc->c_out;
        group->channels =
            r + 1 < desc->n_rates ? desc->c_out : gather->p_target - group->channel_first;
        group->bias_first = r;
        group->n_biases = desc->has_bias ? 1 : 0;
        add_branch(gather, desc->rates[r], true, 0, false);
        if (r > 0)
            group->weights = group[-1].weights +
                             (int64_t)group[-1].channels * group[-1].n_taps * gather->k_width;
    }
}

// Branch r's channels of d_dst begin anywhere; a tap reads from the vector of 8 that holds the
// first of them, and the packed weights of the channels before it are zero.
static void list_concat_data_gradient(const struct adele_aspp_desc *desc,
                                      struct aspp_gather *gather) {
    struct aspp_group *group = add_group(gather);
    group->channels = gather->p_target;
    gather->k_width = 0;
    for (int r = 0; r < desc->n_rates; r++) {
        int first = r * desc->c_out / 8 * 8;
        int width = padded_channels((r + 1) * desc->c_out - first);
        gather->k_width = width > gather->k_width ? width : gather->k_width;
        add_branch(gather, desc->rates[r], true, first, true);
    }
}

// ---- order of pixels ----------------------------------------------------------------------------

#define MAX_CUTS (2 * ADELE_MAX_RATES + 2)

static bool reaches(int at, int extent) {
    return at >= 0 && at < extent;
}

// Where an axis of `extent` pixels is cut, ascending from 0 to the extent; returns the number of
// segments between the cuts. `coordinates`: the taps' offsets along it.
static int cut_axis(int extent, const int *offsets, int n_offsets, int cuts[MAX_CUTS]) {
    int n_segments = 0;
    cuts[0] = 0;
    for (int at = 1; at < extent && n_segments + 2 < MAX_CUTS; at++)
        for (int i = 0; i < n_offsets; i++)
            if (reaches(at + offsets[i], extent) != reaches(at - 1 + offsets[i], extent)) {
                cuts[++n_segments] = at;
                break;
            }
    cuts[++n_segments] = extent;
    return n_segments;
}

// Numbers the pixels of one group: rectangle by rectangle, in each image by image, row by row.
static void order_pixels(const struct aspp_gather *gather, const struct aspp_group *group,
                         int *order) {
    int offsets_y[ASPP_MAX_TAPS], offsets_x[ASPP_MAX_TAPS], cuts_y[MAX_CUTS], cuts_x[MAX_CUTS];
    for (int t = 0; t < group->n_taps; t++) {
        offsets_y[t] = gather->taps[group->tap_first + t].y;
        offsets_x[t] = gather->taps[group->tap_first + t].x;
    }
    int n_y = cut_axis(gather->h, offsets_y, group->n_taps, cuts_y);
    int n_x = cut_axis(gather->w, offsets_x, group->n_taps, cuts_x);
    int next = 0;
    for (int i_y = 0; i_y < n_y; i_y++)
        for (int i_x = 0; i_x < n_x; i_x++)
            for (int n = 0; n < gather->n; n++)
                for (int y = cuts_y[i_y]; y < cuts_y[i_y + 1]; y++)
                    for (int x = cuts_x[i_x]; x < cuts_x[i_x + 1]; x++)
                        order[next++] = (n * gather->h + y) * gather->w + x;
    while (next < gather->n_tiles * ASPP_TILE)
        order[next++] = -1;
}

// The taps that any pixel of a tile meets.
static void mask_tile(const struct aspp_gather *gather, const struct aspp_group *group,
                      const int *tile, uint32_t mask[ASPP_MASK_WORDS]) {
    for (int t = 0; t < group->n_taps; t++) {
        struct aspp_tap tap = gather->taps[group->tap_first + t];
        bool is_live = false;
        for (int i = 0; i < ASPP_TILE && !is_live && tile[i] >= 0; i++) {
            int x = tile[i] % gather->w, y = tile[i] / gather->w % gather->h;
            is_live = reaches(y + tap.y, gather->h) && reaches(x + tap.x, gather->w);
        }
        if (is_live)
            mask[t / 32] |= 1u << (t % 32);
    }
}

static int count_taps(const uint32_t mask[ASPP_MASK_WORDS]) {
    int count = 0;
    for (int t = 0; t < ASPP_MAX_TAPS; t++)
        count += (int)(mask[t / 32] >> (t % 32) & 1u);
    return count;
}

// One group's part of the tables, tiles with most taps first, and otherwise in their order. The
// scratch tables hold them as they come.
static void fill_group(const struct aspp_gather *gather, const struct aspp_group *group,
                       int *scratch_order, uint32_t *scratch_masks, int *order, uint32_t *masks) {
    order_pixels(gather, group, scratch_order);
    memset(scratch_masks, 0, (size_t)gather->n_tiles * ASPP_MASK_WORDS * sizeof *masks);
    for (int i = 0; i < gather->n_tiles; i++)
        mask_tile(gather, group, scratch_order + i * ASPP_TILE,
                  scratch_masks + i * ASPP_MASK_WORDS);
    for (int n_live = group->n_taps; n_live >= 0; n_live--)
        for (int i = 0; i < gather->n_tiles; i++) {
            const uint32_t *mask = scratch_masks + i * ASPP_MASK_WORDS;
            if (count_taps(mask) != n_live)
                continue;
            memcpy(order, scratch_order + i * ASPP_TILE, ASPP_TILE * sizeof *order);
            memcpy(masks, mask, ASPP_MASK_WORDS * sizeof *masks);
            order += ASPP_TILE;
            masks += ASPP_MASK_WORDS;
        }
}

adele_status aspp_gather_tables(struct cuda_op *op, struct aspp_gather *gather) {
    adele_status status;
    size_t n_order = (size_t)gather->n_tiles * ASPP_TILE;
    size_t n_masks = (size_t)gather->n_tiles * ASPP_MASK_WORDS;
    size_t n_groups = (size_t)gather->n_groups;
    int *order = NULL;
    uint32_t *masks = NULL;
    TRY_GOTO(ALLOCATE(&order, (n_groups + 1) * n_order), done);
    TRY_GOTO(ALLOCATE(&masks, (n_groups + 1) * n_masks), done);
    for (size_t g = 0; g < n_groups; g++)
        fill_group(gather, &gather->groups[g], order + n_groups * n_order,
                   masks + n_groups * n_masks, order + g * n_order, masks + g * n_masks);
    TRY_GOTO(table_create(op, order, n_groups * n_order, &gather->order), done);
    status = table_create(op, masks, n_groups * n_masks, &gather->masks);
done:
    memory_free(order);
    memory_free(masks);
    return status;
}

void aspp_gather_list(const struct adele_aspp_desc *desc, bool is_data_gradient,
                      struct aspp_gather *out) {
    memset(out, 0, sizeof *out);
    int c_dst = aspp_dst_channels(desc);
    out->n = desc->n;
    out->h = desc->h;
    out->w = desc->w;
    out->c_source = is_data_gradient ? c_dst : desc->c_in;
    out->p_source = padded_channels(out->c_source);
    out->p_target = padded_channels(is_data_gradient ? desc->c_in : c_dst);
    out->k_width = out->p_source;
    out->n_tiles = ceil_div(desc->n * desc->h * desc->w, ASPP_TILE);
    if (desc->form == ADELE_ASPP_SUM)
        list_sum(desc, is_data_gradient, out);
    else if (is_data_gradient)
        list_concat_data_gradient(desc, out);
    else
        list_concat_forward(desc, out);
}

} // namespace adele_cuda
