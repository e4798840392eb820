// SPDX-License-Identifier: MIT
#include "report/class_colour.h"

#include "report/plot.h"

#define N_FIXED   7
#define HUE_STEP  205 // of 256, coprime to it: every hue once, and following ones far apart
#define HUE_COUNT 256
#define N_LEVELS  4
#define MAX_VALUE 255
#define IGNORED   255

// From hue (0 .. 255), saturation and value (0 .. 255) in whole numbers, so that the result is the
// same on every machine.
static uint32_t from_hsv(int hue, int saturation, int value) {
    int position = hue * 6;
    int sextant = position / HUE_COUNT, rest = position % HUE_COUNT;
    int low = value * (MAX_VALUE - saturation) / MAX_VALUE;
    int rising = low + (value - low) * rest / HUE_COUNT;
    int falling = value - (value - low) * rest / HUE_COUNT;
    const int rgb[6][3] = {{value, rising, low},  {falling, value, low}, {low, value, rising},
                           {low, falling, value}, {rising, low, value},  {value, low, falling}};
    const int *out = rgb[sextant];
    return (uint32_t)out[0] << 16 | (uint32_t)out[1] << 8 | (uint32_t)out[2];
}

uint32_t class_colour(int category) {
    static const uint32_t fixed[N_FIXED] = {PLOT_SKY,    PLOT_ORANGE, PLOT_GREEN,     PLOT_PURPLE,
                                            PLOT_YELLOW, PLOT_BLUE,   PLOT_VERMILLION};
    static const int saturations[N_LEVELS] = {255, 130, 255, 90};
    static const int values[N_LEVELS] = {240, 170, 110, 250};
    if (category <= 0 || category >= IGNORED)
        return category == IGNORED ? PLOT_GRID : 0;
    if (category <= N_FIXED)
        return fixed[category - 1];
    int i = category - N_FIXED - 1;
    return from_hsv(i * HUE_STEP % HUE_COUNT, saturations[i % N_LEVELS], values[i % N_LEVELS]);
}
