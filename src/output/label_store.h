// SPDX-License-Identifier: MIT
// Writes label maps and predictions as files of the input's layout and type.
#ifndef ADELE_OUTPUT_LABEL_STORE_H
#define ADELE_OUTPUT_LABEL_STORE_H

#include "data/images.h"
#include "output/changes.h"

// Writes the label maps of a split's images (u8 at the resident size (N, h, w), in `images`
// order) as files in the input's own layout and type under `folder`: nnU-Net
// labelsTr/NAME.png|.nii.gz, VOC SegmentationClass/NAME.png (palette), img_ann
// ann_dir/train/NAME.png. Maps are resized to the file's own size (nearest); values are mapped
// back when a label_map is set (the first `from` of each category). Pixels whose category at the
// resident size did not change against `before` (may be NULL) keep the source file's original
// value, so that an unchanged map reproduces the original pixels exactly; slices that were not
// loaded keep the source's values. Files keep their type: volumes have the source's header, data
// type and slope and the bytes of each voxel that did not change; pictures of 16 bits have 16. Each
// file is written atomically. changes.csv: case,slice,changed_pixels,changed_fraction, per category
// from->to counts; most changed first.
// `out`: how much changed of all pixels of the files; may be NULL.
ADELE_MUST_CHECK adele_status label_store_export(const struct dataset *dataset,
                                                 enum dataset_split split,
                                                 const struct dataset_images *images,
                                                 const uint8_t *labels, const uint8_t *before,
                                                 const char *folder, struct changes_sum *out);
// The same for one case of the split, whose images `images` holds alone; its rows are added to
// `changes`, which borrows the case's name. changes.csv is the caller's, with changes_save.
ADELE_MUST_CHECK adele_status label_store_export_case(const struct dataset *dataset,
                                                      enum dataset_split split, int i_case,
                                                      const struct dataset_images *images,
                                                      const uint8_t *labels, const uint8_t *before,
                                                      const char *folder, struct changes *changes);
// One predicted map (n_slices, h, w at resident size) of one case -> FOLDER/NAME + ending, at the
// source's size and, for volumes, with the image's header. Pictures: gray PNG, or indexed with the
// VOC palette when the data set has palettes.
ADELE_MUST_CHECK adele_status label_store_save_prediction(const struct dataset *dataset,
                                                          const struct dataset_case *item,
                                                          int n_slices, int h, int w,
                                                          const uint8_t *prediction,
                                                          const char *folder);

int label_store_prediction_bits(const struct dataset *dataset); // of a picture's mask: 8 or 16

// A tensor (slices, n_planes, h, w) of a case in the set's orientation -> the order in which the
// case's image is stored. `extents` (w, h, slices) become those of the file, *values is replaced.
ADELE_MUST_CHECK adele_status label_store_turn_back(const struct dataset *dataset,
                                                    const struct dataset_case *item, int n_planes,
                                                    int extents[3], float **values);

// Where label_store_export writes the labels of a case, "labelsTr/NAME.png" say.
// NULL when memory is out; caller frees with memory_free.
char *label_store_name(const struct dataset *dataset, enum dataset_split split,
                       const struct dataset_case *item);
#endif
