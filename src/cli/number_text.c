// SPDX-License-Identifier: MIT
#include "cli/number_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *number_text_grouped(int64_t value, char out[NUMBER_TEXT_BYTES]) {
    char digits[NUMBER_TEXT_BYTES];
    int n = snprintf(digits, sizeof digits, "%" PRId64, value), used = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

const char *number_text_bytes(size_t bytes, char out[NUMBER_TEXT_BYTES]) {
    if (bytes >= 1000000000)
        snprintf(out, NUMBER_TEXT_BYTES, "%.1f GB", (double)bytes / 1e9);
    else
        snprintf(out, NUMBER_TEXT_BYTES, "%.1f MB", (double)bytes / 1e6);
    return out;
}

const char *number_text_duration(double seconds, char out[NUMBER_TEXT_BYTES]) {
    double minutes = floor(seconds / 60.0 + 0.5);
    if (seconds < 10.0)
        snprintf(out, NUMBER_TEXT_BYTES, "%.2g s", seconds);
    else if (seconds < 90.0)
        snprintf(out, NUMBER_TEXT_BYTES, "%.0f s", seconds);
    else if (minutes < 90.0)
        snprintf(out, NUMBER_TEXT_BYTES, "%.0f min", minutes);
    else
        snprintf(out, NUMBER_TEXT_BYTES, "%.0f h %.0f min", floor(minutes / 60.0),
                 fmod(minutes, 60.0));
    return out;
}

const char *number_text_range(int low, int high, char out[NUMBER_TEXT_BYTES]) {
    if (low == high)
        snprintf(out, NUMBER_TEXT_BYTES, "%d", low);
    else
        snprintf(out, NUMBER_TEXT_BYTES, "%d to %d", low, high);
    return out;
}
