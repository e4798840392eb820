// SPDX-License-Identifier: MIT
// The 48 orders in which the voxels of a volume can be stored: which axis comes first, and in which
// direction each one runs.
#include "image/nifti_geometry.h"

#include <stdio.h>
#include <string.h>

struct nifti_order nifti_order_identity(void) {
    return (struct nifti_order){.axis = {0, 1, 2}};
}

bool nifti_order_is_identity(const struct nifti_order *order) {
    for (int i = 0; i < 3; i++)
        if (order->axis[i] != i || order->is_reversed[i])
            return false;
    return true;
}

struct nifti_order nifti_order_compose(const struct nifti_order *first,
                                       const struct nifti_order *second) {
    struct nifti_order out;
    for (int i = 0; i < 3; i++) {
        int middle = second->axis[i];
        out.axis[i] = first->axis[middle];
        out.is_reversed[i] = first->is_reversed[middle] != second->is_reversed[i];
    }
    return out;
}

struct nifti_order nifti_order_inverse(const struct nifti_order *order) {
    struct nifti_order out = nifti_order_identity();
    for (int i = 0; i < 3; i++) {
        out.axis[order->axis[i]] = i;
        out.is_reversed[order->axis[i]] = order->is_reversed[i];
    }
    return out;
}

// 0, 1, 2 for the world axes x, y, z; -1 for other letters.
static int world_axis(char letter) {
    static const char letters[] = "RLAPSI";
    const char *at = letter != '\0' ? strchr(letters, letter) : NULL;
    return at != NULL ? (int)(at - letters) / 2 : -1;
}

bool nifti_codes_are_valid(const char *text) {
    int axes = 0;
    if (strlen(text) != 3)
        return false;
    for (int i = 0; i < 3; i++)
        axes |= world_axis(text[i]) >= 0 ? 1 << world_axis(text[i]) : 0;
    return axes == 7;
}

struct nifti_order nifti_order_between(struct nifti_codes from, struct nifti_codes to) {
    struct nifti_order out = nifti_order_identity();
    for (int i = 0; i < 3; i++) {
        int axis = -1;
        for (int k = 0; k < 3; k++)
            if (world_axis(to.letters[i]) >= 0 &&
                world_axis(from.letters[k]) == world_axis(to.letters[i]))
                axis = k;
        if (axis < 0)
            return nifti_order_identity();
        out.axis[i] = axis;
        out.is_reversed[i] = from.letters[axis] != to.letters[i];
    }
    return out;
}

struct nifti_codes nifti_order_codes(const struct nifti_order *order, struct nifti_codes stored) {
    static const char pairs[] = "RLAPSI";
    struct nifti_codes out = {""};
    for (int i = 0; i < 3 && stored.letters[0] != '\0'; i++) {
        int at = (int)(strchr(pairs, stored.letters[order->axis[i]]) - pairs);
        out.letters[i] = pairs[order->is_reversed[i] ? at ^ 1 : at];
    }
    return out;
}

void nifti_order_extents(const struct nifti_order *order, const int stored[3], int out[3]) {
    for (int i = 0; i < 3; i++)
        out[i] = stored[order->axis[i]];
}

// How far apart two voxels lie that follow each other along axis i of the result, and where the
// first one lies.
static size_t strides(const struct nifti_order *order, const int stored[3], ptrdiff_t step[3]) {
    const ptrdiff_t stored_step[3] = {1, stored[0], (ptrdiff_t)stored[0] * stored[1]};
    ptrdiff_t first = 0;
    for (int i = 0; i < 3; i++) {
        ptrdiff_t s = stored_step[order->axis[i]];
        step[i] = order->is_reversed[i] ? -s : s;
        if (order->is_reversed[i])
            first += s * (stored[order->axis[i]] - 1);
    }
    return (size_t)first;
}

size_t nifti_order_stored_index(const struct nifti_order *order, const int stored[3], size_t i) {
    int n[3];
    ptrdiff_t step[3];
    nifti_order_extents(order, stored, n);
    size_t plane = (size_t)n[0] * (size_t)n[1];
    size_t at = strides(order, stored, step);
    return at + (size_t)((ptrdiff_t)(i % (size_t)n[0]) * step[0] +
                         (ptrdiff_t)(i % plane / (size_t)n[0]) * step[1] +
                         (ptrdiff_t)(i / plane) * step[2]);
}

void nifti_order_apply(const struct nifti_order *order, const int stored[3], size_t bytes,
                       const void *from, void *to) {
    int n[3];
    ptrdiff_t step[3];
    nifti_order_extents(order, stored, n);
    ptrdiff_t first = (ptrdiff_t)strides(order, stored, step);
    unsigned char *out = to;
    for (int z = 0; z < n[2]; z++)
        for (int y = 0; y < n[1]; y++) {
            ptrdiff_t at = first + y * step[1] + z * step[2];
            for (int x = 0; x < n[0]; x++, at += step[0], out += bytes)
                memcpy(out, (const unsigned char *)from + (size_t)at * bytes, bytes);
        }
}

void nifti_order_describe(const struct nifti_order *order, char *text, size_t size) {
    static const char names[] = "xyz";
    char axes[64] = "";
    const int *axis = order->axis;
    for (int i = 0; i < 3; i++) // exactly one axis stays in place: the other two are exchanged
        if (axis[i] == i && axis[(i + 1) % 3] == (i + 2) % 3)
            (void)snprintf(axes, sizeof axes, "axes %c and %c exchanged", names[i == 0 ? 1 : 0],
                           names[i == 2 ? 1 : 2]);
    if (axes[0] == '\0' && axis[0] != 0)
        (void)snprintf(axes, sizeof axes, "axes in the order %c, %c, %c", names[axis[0]],
                       names[axis[1]], names[axis[2]]);
    char flips[64] = "";
    size_t length = 0;
    int n_flips = 0;
    for (int i = 0; i < 3; i++)
        if (order->is_reversed[i]) // the axis is named as in the result
            length += (size_t)snprintf(flips + length, sizeof flips - length, "%s%c",
                                       n_flips++ == 0 ? "flipped along " : " and ", names[i]);
    (void)snprintf(text, size, "%s%s%s", axes, axes[0] != '\0' && n_flips > 0 ? ", " : "", flips);
}
