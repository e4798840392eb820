// SPDX-License-Identifier: MIT
// From files to the images that a run trains on: an image with its label map, both made of the
// input. Bits of the first byte: volumes (raw NIfTI, with all that its header can say) or pictures
// (PNG around the bytes, so that no checksum hides what is behind the decoder), a label map, a
// size, slices without foreground, 16 bits, color.
#include "data/dataset.h"
#include "data/load.h"
#include "fuzz.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IS_VOLUME = 1, HAS_MAP = 2, HAS_SIZE = 4, KEEP_EMPTY = 8, IS_WIDE = 16, IS_COLOR = 32 };

#define MAX_EXTENT 12

struct input {
    const uint8_t *bytes;
    size_t n;
};

static unsigned take(struct input *input) {
    if (input->n == 0)
        return 0;
    input->n--;
    return *input->bytes++;
}

static void prepare(void) {
    static const char text[] = "{\"channel_names\": {\"0\": \"x\"}, \"file_ending\": \"%s\", "
                               "\"labels\": {\"background\": 0, \"one\": 1, \"two\": 2}}";
    char json[256];
    fuzz_store("volumes/dataset.json", json, (size_t)snprintf(json, sizeof json, text, ".nii"));
    fuzz_store("pictures/dataset.json", json, (size_t)snprintf(json, sizeof json, text, ".png"));
    fuzz_store("pictures/imagesTr/a_0000.png", "", 0);
    fuzz_store("pictures/labelsTr/a.png", "", 0);
}

// The image takes what the two bytes in front say, the label map the rest.
static void store_volumes(struct input *input) {
    size_t n_image = take(input);
    n_image = n_image << 8 | take(input);
    n_image = n_image < input->n ? n_image : input->n;
    fuzz_store("volumes/imagesTr/a_0000.nii", input->bytes, n_image);
    fuzz_store("volumes/labelsTr/a.nii", input->bytes + n_image, input->n - n_image);
}

static void store_picture(const char *name, struct input *input, int n_channels, int n_bits) {
    struct image image;
    char path[512];
    int width = 1 + (int)take(input) % MAX_EXTENT, height = 1 + (int)take(input) % MAX_EXTENT;
    FUZZ_REQUIRE(image_init(&image, width, height, n_channels, n_bits) == ADELE_OK);
    size_t n_bytes = (size_t)(width * height * n_channels) * (size_t)(n_bits / 8);
    for (size_t i = 0; i < n_bytes; i++)
        ((uint8_t *)image.pixels)[i] = (uint8_t)take(input);
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FUZZ_REQUIRE(image_save_png(path, &image) == ADELE_OK);
    image_deinit(&image);
}

static void store_pictures(struct input *input, unsigned flags) {
    store_picture("pictures/imagesTr/a_0000.png", input, flags & IS_COLOR ? 3 : 1,
                  flags & IS_WIDE ? 16 : 8);
    store_picture("pictures/labelsTr/a.png", input, 1, 8);
}

static void check_images(const struct dataset *dataset, const struct dataset_images *images) {
    size_t plane = (size_t)images->h * (size_t)images->w, n = (size_t)images->n;
    size_t n_planes = n * (size_t)images->c;
    FUZZ_REQUIRE(images->n > 0 && images->h > 0 && images->w > 0);
    FUZZ_REQUIRE(images->c == dataset->n_channels && images->labels != NULL);
    FUZZ_REQUIRE(dataset->config.height == 0 || images->h == dataset->config.height);
    fuzz_touch(images->images, n_planes * plane * (images->is_f16 ? 2 : 1));
    for (size_t i = 0; i < n * plane; i++)
        FUZZ_REQUIRE(images->labels[i] == 255 || images->labels[i] < dataset->n_categories);
    for (size_t i = 0; i < n_planes; i++)
        FUZZ_REQUIRE(isfinite(images->mean[i]) && isfinite(images->inv_std[i]));
    for (size_t i = 0; i < n_planes * plane && images->is_f16; i++) // no NaN, no infinity
        FUZZ_REQUIRE((((const uint16_t *)images->images)[i] & 0x7c00) != 0x7c00);
    for (size_t i = 0; i < n; i++) {
        const struct dataset_origin *origin = &images->origin[i];
        FUZZ_REQUIRE(origin->i_case == 0 && origin->slice >= 0);
        FUZZ_REQUIRE(origin->slice < dataset->cases[SPLIT_TRAIN][0].n_slices);
    }
}

static void load(unsigned flags) {
    static const int from[] = {1, 2, 300};
    static const uint8_t to[] = {1, 255, 1};
    char root[512];
    snprintf(root, sizeof root, "%s/%s", fuzz_folder(), flags & IS_VOLUME ? "volumes" : "pictures");
    struct dataset_config config = {.root = root,
                                    .map = {.other = 0},
                                    .foreground_slices_only = true,
                                    .memory_limit = FUZZ_MEMORY_LIMIT};
    if (flags & HAS_MAP)
        config.map = (struct label_map){.n = 3, .from = from, .to = to, .other = 0};
    if (flags & HAS_SIZE)
        config.height = 5, config.width = 7;
    struct dataset *dataset = NULL;
    struct dataset_images images;
    adele_status status = dataset_open(&config, &dataset);
    fuzz_check_status(status);
    if (status != ADELE_OK)
        return;
    status = dataset_load(dataset, SPLIT_TRAIN, (flags & KEEP_EMPTY) != 0, &images);
    fuzz_check_status(status);
    if (status == ADELE_OK)
        check_images(dataset, &images);
    else
        FUZZ_REQUIRE(images.images == NULL && images.labels == NULL);
    dataset_images_deinit(&images);
    dataset_close(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static int is_ready;
    if (!is_ready)
        prepare();
    is_ready = 1;
    struct input input = {data, n_bytes};
    unsigned flags = take(&input);
    if (flags & IS_VOLUME)
        store_volumes(&input);
    else
        store_pictures(&input, flags);
    load(flags);
    return 0;
}
