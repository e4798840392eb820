// SPDX-License-Identifier: MIT
// Opens a model and segments an image that is in memory: here one that is drawn, elsewhere one that
// a camera or a decoder gave. segment RUN
#include <adele/adele.h>
#include <stdio.h>

enum { H = 96, W = 128, MAX_CHANNELS = 8 };

static int fail(const char *what) {
    fprintf(stderr, "segment: %s: %s\n%s\n", what, adele_error_message(), adele_error_hint());
    return 1;
}

// A bright disc on a dark ground, in all channels.
static void draw(unsigned char *pixels, int n_channels) {
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int channel = 0; channel < n_channels; channel++) {
                int dx = x - W / 2, dy = y - H / 2;
                *pixels++ = dx * dx + dy * dy < 900 ? 200 : 30;
            }
}

int main(int argc, char **argv) {
    static unsigned char pixels[H * W * MAX_CHANNELS], classes[H * W];
    struct adele_model *model = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: segment RUN\n");
        return 2;
    }
    if (adele_model_open(argv[1], "last", NULL, &model) != ADELE_OK)
        return fail("open");
    const struct adele_model_info *info = adele_model_describe(model);
    if (info->n_channels > MAX_CHANNELS) {
        fprintf(stderr, "segment: the model takes images of %d channels\n", info->n_channels);
        adele_model_close(model);
        return 1;
    }
    struct adele_images images = {.pixels = pixels, // of 8 bits, the channels side by side
                                  .n = 1,
                                  .height = H,
                                  .width = W,
                                  .n_channels = info->n_channels};
    struct adele_inference inference = {.n_scales = 2, .scales = {1.0, 1.5}};
    draw(pixels, info->n_channels);
    if (adele_model_segment(model, &images, &inference, classes, NULL) != ADELE_OK) {
        adele_model_close(model); // keeps the message
        return fail("segment");
    }
    for (int c = 0; c < info->n_classes; c++) {
        int n = 0;
        for (int i = 0; i < H * W; i++)
            n += classes[i] == c;
        printf("%-20s %6d pixels\n", info->class_names[c], n);
    }
    adele_model_close(model);
    return 0;
}
