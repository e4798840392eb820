// SPDX-License-Identifier: MIT
// Pixels of a loaded set as gray values or colours that a person can look at.
#ifndef ADELE_DATA_DISPLAY_H
#define ADELE_DATA_DISPLAY_H

#include "data/images.h"

// Image i of the set as u8 (C, H, W), into the caller's `out`. Pictures of 8 bits in colour (three
// channels) keep their values. Of other images the values from the 0.5th to the 99.5th percentile
// are spread over 0..255 and what lies outside becomes 0 or 255: channel by channel, or with one
// window for the three channels of a colour picture, so that its hues stay. Values that are not
// finite become 0; so does a channel with a single value.
ADELE_MUST_CHECK adele_status display_image(const struct dataset_images *images, int i,
                                            uint8_t *out);
#endif
