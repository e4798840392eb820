// SPDX-License-Identifier: MIT
// Prediction of a resident set, batch by batch: of whole images (inference.h), or, with a window in
// the configuration, of each image by a sliding window (sliding.h). The functions are those of
// inference.h.
#ifndef ADELE_PREDICT_SET_INFERENCE_H
#define ADELE_PREDICT_SET_INFERENCE_H

#include "base/memory.h"
#include "predict/inference.h"
#include "ranks/image_share.h"

struct set_inference;

// At one scale without flips; by windows of data.patch where that is set.
struct inference_config set_inference_config(const struct config *config, int batch, double scale);

// `origin`: with a window, (n_images): image i is the upper left part of the set's extents that has
// the extents origin[i].height x origin[i].width; borrowed. NULL: images fill the extents.
ADELE_MUST_CHECK adele_status set_inference_create(const struct adele_device *device,
                                                   struct network *network,
                                                   const struct inference_config *config,
                                                   const struct dataset_origin *origin,
                                                   int n_categories, int c, int h, int w,
                                                   struct set_inference **out);
void set_inference_destroy(struct set_inference *self); // NULL is legal
OWNER(set_inference_destroy, struct set_inference)
// With a window: maps have the images' size (output.h and w are 0) and no probabilities are given.
// Outside of an image the prediction is 255 and confidences are 0.
ADELE_MUST_CHECK adele_status set_inference_begin(struct set_inference *self,
                                                  struct resident *resident,
                                                  const struct inference_output *output);
ADELE_MUST_CHECK adele_status set_inference_next(struct set_inference *self, int *out_first,
                                                 int *out_n);
ADELE_MUST_CHECK adele_status set_inference_run(struct set_inference *self,
                                                struct resident *resident,
                                                const struct inference_output *output);
// The same for a share, which may have no image: then nothing is done. first and end of `output`
// are not read.
ADELE_MUST_CHECK adele_status set_inference_run_share(struct set_inference *self,
                                                      struct image_share share,
                                                      struct resident *resident,
                                                      const struct inference_output *output);
#endif
