// SPDX-License-Identifier: MIT
#include "noise/noise_images.h"

#include "base/fail.h"
#include "base/memory.h"

#include <string.h>

// The names that the noise of each image is keyed by: CASE#SLICE.
static adele_status fill_list(const struct dataset *dataset, const struct dataset_images *images,
                              struct noise_image *list) {
    size_t map = dataset_images_plane_size(images);
    for (int i = 0; i < images->n; i++) {
        const struct dataset_origin *origin = &images->origin[i];
        const char *name = dataset->cases[SPLIT_TRAIN][origin->i_case].name;
        list[i] = (struct noise_image){.name = memory_printf("%s#%d", name, origin->slice),
                                       .height = images->h,
                                       .width = images->w,
                                       .clean = images->truth + (size_t)i * map,
                                       .noisy = images->labels + (size_t)i * map};
        TRY(CHECK_MEMORY(list[i].name));
    }
    return ADELE_OK;
}

adele_status noise_images_apply(const struct noise_config *config, const struct dataset *dataset,
                                struct dataset_images *images, struct noise_report *out) {
    size_t bytes = (size_t)images->n * dataset_images_plane_size(images);
    OWNED struct noise_image *list = NULL;
    TRY(ALLOCATE(&images->truth, bytes));
    memcpy(images->truth, images->labels, bytes);
    TRY(ALLOCATE(&list, images->n));
    adele_status status = fill_list(dataset, images, list);
    if (status == ADELE_OK)
        status = noise_apply(config, dataset->n_categories, images->n, list, out);
    for (int i = 0; i < images->n; i++)
        memory_free((void *)list[i].name);
    return status;
}
