// SPDX-License-Identifier: MIT
// The noisy version of one label map at one strength.
#ifndef ADELE_NOISE_NOISE_RENDER_H
#define ADELE_NOISE_NOISE_RENDER_H

#include "noise/noise.h"

#define NOISE_ALL_UNDER 16.0 // from this strength on, under-over draws all images too small

// Fills image->noisy. `config` has passed noise_config_check. ADELE_INVALID_ARGUMENT for a map of
// no extent; ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status noise_render(const struct noise_config *config, int n_categories,
                                           double strength, const struct noise_image *image);
#endif
