// SPDX-License-Identifier: MIT
// The ensemble of correction.method: ensemble (METHOD section 9): an exponential average of the
// predictions of the training set over epochs, which is made into one class a pixel when labels are
// corrected, and freed then. Every rank has the maps of its share of the images
// (ranks/image_share.h).
//
// Maps are kept for whole batches of the share, so that the empty rows of a last batch have a place
// too. They lie on the device, or in host memory, from where those of one batch at a time come to
// the device: so with data.residency: host, and with auto where they do not fit.
#ifndef ADELE_CORRECTION_ENSEMBLE_H
#define ADELE_CORRECTION_ENSEMBLE_H

#include "loader/epoch_plan.h"
#include "loader/run_data.h"
#include "ranks/image_share.h"

// How maps become a class of each pixel.
struct ensemble_decider {
    struct adele_op *filter, *decide;
};

struct ensemble {
    struct run_data *data;           // borrowed
    const struct epoch_plan *epochs; // borrowed
    int batch;
    int kept_epoch; // of the correction, as the checkpoint of a resumed run has it; 0: as
                    // configured
    struct image_share share;
    struct inference *inference;
    struct adele_shape logits; // of a batch
    struct adele_op *accumulate;
    struct ensemble_decider configured, plain;
    uint16_t *maps;      // plain (whole batches of the share, C, h, w), half precision; NULL: freed
    uint16_t *slot;      // device: plain (batch, C, h, w); NULL: the maps lie on the device
    int32_t *sample_ids; // device: plain (batch)
    int32_t *host_ids[2]; // (batch): of the batch and of the next one
    float *q;             // device: plain (batch, C, H, W); it and the next three go with the maps
    float *area_factors;  // device: plain (C); read where is_calibrated (class_areas.h)
    bool is_calibrated;
    void *workspace;
    uint8_t *decided;    // device: plain (n_images, H, W); the share's images alone
    uint16_t *collected; // host: plain (n_images, C, h, w); NULL: not collected
};

// Plans the network; `batch`: of the plans. Borrows data, whose counts of the maps' bytes it sets.
// After an error, ensemble_deinit frees what was made.
ADELE_MUST_CHECK adele_status ensemble_init(struct ensemble *out, struct run_data *data,
                                            struct network *network,
                                            const struct epoch_plan *epochs);
void ensemble_deinit(struct ensemble *ensemble); // also zeroes it; legal on a zeroed struct

// Whether labels may still be corrected: there are maps.
static inline bool ensemble_is_open(const struct ensemble *ensemble) {
    return ensemble->maps != NULL;
}
// The epoch after which all classes are corrected, with correction.timing: fixed. A run that is
// resumed with another number of epochs keeps the one that it began with, so that its labels do not
// depend on when it was interrupted; the second function does not regard that.
int ensemble_epoch(const struct ensemble *ensemble);
int ensemble_epoch_by_config(const struct ensemble *ensemble);

// Predicts the share's images with the weights that the network has, and adds them to the maps.
ADELE_MUST_CHECK adele_status ensemble_accumulate(struct ensemble *ensemble);
// After `epoch` epochs, each of which was accumulated: the class of every pixel of the share's
// images into `map` (device, plain (n_images, H, W)); as configured, or plain: the most probable
// class, without a filter. The device has finished.
ADELE_MUST_CHECK adele_status ensemble_decide(struct ensemble *ensemble, int epoch, bool is_plain,
                                              uint8_t *map);
// What the maps are multiplied by, to be probabilities.
float ensemble_scale(const struct ensemble *ensemble, int epoch);
// Of an image of the share, to the host: its original labels (H, W), and its maps, plain (C, h, w)
// of ensemble->logits, half precision.
ADELE_MUST_CHECK adele_status ensemble_download(const struct ensemble *ensemble, int i_image,
                                                uint8_t *labels, uint16_t *maps);
// Frees the maps and `decided`: no label will be corrected any more.
ADELE_MUST_CHECK adele_status ensemble_close(struct ensemble *ensemble);

// For a checkpoint. Collective: brings the maps of all images into ensemble->collected on rank 0.
// Nothing after ensemble_close.
ADELE_MUST_CHECK adele_status ensemble_collect(struct ensemble *ensemble);
void ensemble_drop_collected(struct ensemble *ensemble);
// The bytes of that: of all images.
size_t ensemble_bytes(const struct ensemble *ensemble);
// Takes maps of all images over; NULL: as ensemble_close. Allocates them again where they were
// freed.
ADELE_MUST_CHECK adele_status ensemble_restore(struct ensemble *ensemble, const uint16_t *maps);
#endif
