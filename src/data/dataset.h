// SPDX-License-Identifier: MIT
// A data set on disk: which cases there are, where their files lie, and how they become resident
// images and label maps. Layouts: nnU-Net raw, Pascal VOC, img_dir/ann_dir (MMSegmentation).
#ifndef ADELE_DATA_DATASET_H
#define ADELE_DATA_DATASET_H

#include "adele/status.h"
#include "image/nifti_geometry.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATASET_MAX_FILES 8 // channel files of a case

enum dataset_layout { LAYOUT_AUTO, LAYOUT_NNUNET, LAYOUT_VOC, LAYOUT_IMG_ANN };
// Pictures: by each image's own mean and deviation, or by those of ImageNet (RGB).
enum image_normalize { NORMALIZE_IMAGE, NORMALIZE_IMAGENET };
enum dataset_split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_COUNT };
const char *dataset_layout_name(enum dataset_layout layout); // "auto", "nnunet", "voc", "img_ann"
const char *dataset_split_name(enum dataset_split split);    // "train", "val", "test"
// The split of that name; false, and *out untouched, when there is none (NULL is none).
bool dataset_split_find(const char *name, enum dataset_split *out);

// Values of the files -> categories: pairs (from, to); values not named become `other` (-1: an
// error, 255: ignored).
struct label_map {
    int n;
    const int *from;
    const uint8_t *to;
    int other;
    int n_names; // optional names of the new categories, [0] = background
    const char *const *names;
};

struct dataset_config {
    const char *root;
    enum dataset_layout layout;
    // A split is one of
    //   NULL or "": the layout's own (splits_final.json fold 0: train and val, all of imagesTr as
    //       train when that file is not there, imagesTs as test; ImageSets/Segmentation/train.txt,
    //       val.txt, test.txt; img_dir/train, val, test);
    //   "FILE.txt": case names, one a line; the path as it is, or inside `root`;
    //   "NAME": that list of the layout ("trainaug" of ImageSets, a folder of img_dir, "imagesTr",
    //       "fold1" of splits_final.json: its val part when the split is val; train and val follow
    //       each other when only one names a fold);
    //   "none": no cases.
    // Names of cases in lists with '/' or ".." in them are refused, as are symbolic links that lead
    // out of the folder they lie in, unless follow_links says that they may.
    const char *split[SPLIT_COUNT];
    const char *noisy_labels; // folder of the training labels' noisy versions, same file names;
                              // NULL: the layout's labels are what is trained on
    const char *true_labels;  // folder of ground truth for the training cases; NULL: when
                              // noisy_labels is given, the layout's own labels
    int height, width;        // resident size; 0, 0: as the files are (all must agree)
    struct label_map map;     // n = 0: none
    enum image_normalize normalize;
    bool foreground_slices_only; // volumes: only slices whose label has foreground (training; the
                                 // paper's rule)
    struct nifti_codes orientation; // volumes are brought to it; "": to the most frequent one of
                                    // the training images
    size_t memory_limit;            // bytes for one decoded file, 0 = 4 GiB
    bool follow_links;              // files may be symbolic links to elsewhere
};

// One training image: a 2-D file, or one slice of a volume.
struct dataset_case {
    char *name;          // unique: the file stem, slices have no suffix (see slice)
    char *image_path[8]; // one a channel file (nnU-Net _0000, _0001 ...); [1..] NULL when one file
                         // has all channels
    char *label_path;    // the layout's own labels; NULL when there is none (prediction inputs)
    char *noisy_path, *truth_path;  // as configured; NULL when not there
    int n_files;                    // channel files
    int n_slices;                   // 1 for a picture; of a volume in the set's orientation
    struct nifti_geometry geometry; // of the first image file of a volume, as stored
};

struct dataset {
    enum dataset_layout layout;
    char *root;
    int n_categories;      // with the background
    char **category_names; // n_categories
    int n_channels;
    bool has_rgb;                   // pictures of three channels: gray ones among them become RGB
    bool is_volume;                 // NIfTI
    struct nifti_codes orientation; // in which slices are cut; "" = pictures, or volumes whose
                                    // files do not say how they lie
    bool has_palette;               // label files are indexed PNG
    char file_ending[16];           // ".png", ".nii.gz", ".nii", of the labels
    char input_ending[16];          // nnU-Net: of the set's own files; pictures are written as .png
    bool has_plain_names;           // nnU-Net: images without _0000, as in the Medical Decathlon
    struct dataset_case *cases[SPLIT_COUNT];
    int n_cases[SPLIT_COUNT];
    int ignore_value;      // what ignored pixels are in the label files: 255, or nnU-Net's "ignore"
                           // label
    bool has_ignore_label; // nnU-Net's; else 255 has its meaning from us alone
    struct label_map map;  // deep copy of the configuration's
    struct dataset_config config;      // strings deep-copied
    struct label_lookup *lookup;       // label_lookup.h: values of the files -> categories
    unsigned *logged_notes;            // notes.h: what was said already, case by case
    struct folder_cache *folder_cache; // folder_cache.h
    struct palette_check *palettes;    // palette_check.h
    char **own_names; // what the layout calls the values, where a label_map names categories
    int n_own_names;
};

// Names of categories: dataset.json; class_names.txt or classes.txt, one name a line, the first
// names value 0 whatever it is (VOC's own 21 names when a VOC set has no such file; img_ann needs
// one, or a label_map). nnU-Net's label "ignore" is 255 in memory.
// Finds the layout, the splits and the files; reads no pixels. One clear error when something is
// missing: names the folder or file and what was looked for. An empty train split is an error; val
// and test may be empty.
ADELE_MUST_CHECK adele_status dataset_open(const struct dataset_config *config,
                                           struct dataset **out);
void dataset_close(struct dataset *dataset); // NULL is legal
// Pictures of one file each as another number of channels, where that loses nothing: gray as RGB,
// and RGB that is gray in every pixel as gray (loading others fails). For a model that takes so
// many.
void dataset_set_channels(struct dataset *dataset, int n_channels);
// Brings the categories into the order of `names`, the model's, by their names; label files are
// read and written accordingly. ADELE_DATA with both lists when the names differ.
ADELE_MUST_CHECK adele_status dataset_match_categories(struct dataset *dataset, int n,
                                                       char *const *names);
// A plain folder of pictures or volumes (for predict): cases of SPLIT_TEST without labels; nnU-Net
// _0000 suffixes are understood. n_channels is the model's; a mismatch is an error that names the
// file.
ADELE_MUST_CHECK adele_status dataset_open_folder(const char *folder, int n_channels,
                                                  const struct dataset_config *config,
                                                  struct dataset **out);

// The layout's folder of a split's labels, "labelsTr" say. Static storage.
const char *dataset_label_folder(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_case *item);
// The labels that a split's case is trained on or compared with; NULL when there are none.
const char *dataset_label_source(const struct dataset_case *item, enum dataset_split split);
ADELE_MUST_CHECK adele_status dataset_create(const struct dataset_config *config,
                                             struct dataset **out);
size_t dataset_memory_limit(const struct dataset *dataset);
void dataset_case_deinit(struct dataset_case *item);
#endif
