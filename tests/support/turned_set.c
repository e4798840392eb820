// SPDX-License-Identifier: MIT
#include "support/turned_set.h"

#include "support/tiny_dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

const int turned_straight[3] = {0, 1, 2}, turned_no_flip[3] = {0, 0, 0};
const struct turned_order turned_orders[TURNED_N_ORDERS] = {
    {{0, 1, 2}, {1, 0, 0}, "flipped along x"},
    {{0, 1, 2}, {1, 1, 0}, "flipped along x and y"},
    {{0, 1, 2}, {0, 0, 1}, "flipped along z"},
    {{0, 2, 1}, {0, 0, 0}, "axes y and z exchanged"},
    {{2, 1, 0}, {0, 1, 0}, "axes x and z exchanged, flipped along y"},
    {{1, 2, 0}, {0, 0, 1}, "axes in the order"}};

void turned_volume(int seed, bool is_label, struct tiny_nifti *out) {
    tiny_nifti_init(out, (const int[3]){TURNED_NX, TURNED_NY, TURNED_NZ},
                    (const double[3]){1.0, 1.5, 3.0});
    out->affine[0][3] = -20.0;
    out->affine[2][3] = 7.5;
    out->datatype = is_label ? 2 : 4;
    for (int i = 0; i < TURNED_PLANE * TURNED_NZ; i++) {
        int x = i % TURNED_NX, y = i / TURNED_NX % TURNED_NY, z = i / TURNED_PLANE;
        out->values[i] =
            is_label ? (x >= 2 && y >= z ? 1 + (x + y > 6) : 0) : (i * 31 + seed * 17) % 401 - 100;
    }
}

void turned_write(void *const *state, const char *root, const char *path, int seed, bool is_label,
                  const int axis[3], const int flip[3]) {
    static struct tiny_nifti volume, turned;
    char full[256];
    turned_volume(seed, is_label, &volume);
    tiny_nifti_turn(&volume, axis, flip, &turned);
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    tiny_nifti_write(state, full, &turned);
}

void turned_set_write(void *const *state, const char *root) {
    char name[64];
    (void)snprintf(name, sizeof name, "%s/dataset.json", root);
    tiny_text(state, name,
              "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"labels\": {\"background\": 0, "
              "\"one\": 1, \"two\": 2}, \"file_ending\": \".nii\"}");
    for (int i = 0; i < 3; i++) {
        for (int channel = 0; channel < 2; channel++) {
            (void)snprintf(name, sizeof name, "imagesTr/%c_%04d.nii", 'a' + i, channel);
            turned_write(state, root, name, 2 * i + channel, false, turned_straight,
                         turned_no_flip);
        }
        (void)snprintf(name, sizeof name, "labelsTr/%c.nii", 'a' + i);
        turned_write(state, root, name, i, true, turned_straight, turned_no_flip);
    }
}

void turned_set_load(const struct dataset *dataset, struct dataset_images *out) {
    if (dataset_load(dataset, SPLIT_TRAIN, false, out) != ADELE_OK)
        fail_msg("%s", adele_error_message());
}
