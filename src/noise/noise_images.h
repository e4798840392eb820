// SPDX-License-Identifier: MIT
// Noise for the labels of the loaded train split: what data.noise does to them.
#ifndef ADELE_NOISE_NOISE_IMAGES_H
#define ADELE_NOISE_NOISE_IMAGES_H

#include "data/images.h"
#include "noise/noise.h"

// The labels become the truth, and noisy ones take their place. The same set, size and
// configuration give the same labels. images->truth must be NULL.
ADELE_MUST_CHECK adele_status noise_images_apply(const struct noise_config *config,
                                                 const struct dataset *dataset,
                                                 struct dataset_images *images,
                                                 struct noise_report *out);
#endif
