// SPDX-License-Identifier: MIT
// A data set on disk: which cases there are, where their files lie, and how they become resident
// images and label maps. Layouts: nnU-Net raw, Pascal VOC, img_dir/ann_dir (MMSegmentation),
// which two folders of any names may be.
#ifndef ADELE_DATA_DATASET_H
#define ADELE_DATA_DATASET_H

#include "adele/data.h"
#include "base/file.h"
#include "base/memory.h"
#include "image/nifti_geometry.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATASET_MAX_FILES 8 // channel files of a case

enum dataset_layout {
    LAYOUT_AUTO,
#define LAYOUT_ENUM(id, name) LAYOUT_##id,
    ADELE_LAYOUTS(LAYOUT_ENUM)
#undef LAYOUT_ENUM
        LAYOUT_COUNT
};
// Normalization of pictures: by each image's own mean and deviation, or by those of ImageNet (RGB).
enum image_normalize { NORMALIZE_IMAGE, NORMALIZE_IMAGENET };
enum dataset_split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLIT_COUNT };
const char *dataset_layout_name(enum dataset_layout layout); // "auto", "nnunet", "voc", "img_ann"
const char *dataset_split_name(enum dataset_split split);    // "train", "val", "test"
// The split of that name; false, with *out unchanged, when there is none (or `name` is NULL).
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
    bool
        is_of_run; // the root is that of a run's configuration, in whose place --data names another
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
    // out of their folder, unless follow_links is set.
    const char *split[SPLIT_COUNT];
    // Layout img_ann: its two folders, inside `root`; NULL: img_dir and ann_dir. Each holds the
    // folders train, val, test, or the files themselves; where "{split}" is in the name, it stands
    // for train, val, test ("{split}/images").
    const char *image_folder, *mask_folder;
    const char *mask_suffix;  // layout img_ann: the mask of NAME is NAME + this; NULL: ""
    const char *noisy_labels; // folder of the training labels' noisy versions, same file names;
                              // NULL: training uses the layout's labels
    const char *true_labels;  // folder of ground truth for the training cases; NULL: when
                              // noisy_labels is given, the layout's own labels
    int height, width;        // resident size; 0, 0: as the files are (all must agree)
    bool is_padded;           // with 0, 0: images of several sizes are padded to the largest one
    struct label_map map;     // n = 0: none
    enum image_normalize normalize;
    bool foreground_slices_only; // volumes: only slices whose label has foreground (training; the
                                 // paper's rule)
    // Of slices of volumes; "": the most frequent one of the training images.
    struct nifti_codes orientation;
    size_t memory_limit; // bytes for one decoded file, 0 = 4 GiB
    bool follow_links;   // files may be symbolic links to other folders
};

// A picture, or a volume with all of its slices, and its labels.
struct dataset_case {
    char *name; // unique in its split: the file's name without its ending
    // One a channel file (nnU-Net _0000, _0001 ...); [1..] NULL when one file has all channels.
    char *image_path[DATASET_MAX_FILES];
    char *label_path; // the layout's own labels; NULL when there is none (prediction inputs)
    char *noisy_path, *truth_path;  // as configured; NULL when there is no file
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
    bool has_rgb;   // pictures of three channels: gray ones among them become RGB
    bool is_volume; // NIfTI
    struct nifti_codes
        orientation;  // of slices; "" for pictures, and for volumes whose files have no orientation
    bool has_palette; // label files are indexed PNG
    char file_ending[16];  // ".png", ".nii.gz", ".nii", of the labels
    char input_ending[16]; // nnU-Net: of the set's own files; pictures are written as .png
    bool has_plain_names;  // nnU-Net: images without _0000, as in the Medical Decathlon
    struct dataset_case *cases[SPLIT_COUNT];
    int n_cases[SPLIT_COUNT];
    int ignore_value;      // of ignored pixels in the label files: 255, or nnU-Net's "ignore" label
    bool has_ignore_label; // nnU-Net: dataset.json names it; otherwise 255 is ignored by our
                           // convention
    struct label_map map;  // deep copy of the configuration's
    struct dataset_config config;      // strings deep-copied
    struct label_lookup *lookup;       // label_lookup.h: values of the files -> categories
    struct notes *logged_notes;        // notes.h: on single cases, which were logged already
    struct folder_cache *folder_cache; // folder_cache.h
    struct palette_check *palettes;    // palette_check.h
    char *image_folders[SPLIT_COUNT];  // layout img_ann: of each split, relative to the root
    char *label_folders[SPLIT_COUNT];
    bool is_flat;          // layout img_ann: no folders of splits
    int n_lone_masks;      // layout img_ann, where problems are reported: masks without an image
    char *first_lone_mask; // its file name
    // The layout's names of the values, where a label_map names the categories.
    struct file_list own_names;
};

// Names of categories: dataset.json; class_names.txt or classes.txt, one name a line, the first
// names value 0, background or not (VOC's own 21 names when a VOC set has no such file; img_ann
// needs one, or a label_map). nnU-Net's label "ignore" is 255 in memory. Finds the layout, the
// splits and the files; reads no pixels. When something is missing, the error names the folder or
// file and what was expected there. An empty train split is an error; val and test may be empty.
ADELE_MUST_CHECK adele_status dataset_open(const struct dataset_config *config,
                                           struct dataset **out);
// The same, with the problems of single cases in the report.
struct check_report;
ADELE_MUST_CHECK adele_status dataset_open_reported(const struct dataset_config *config,
                                                    struct check_report *report,
                                                    struct dataset **out);
void dataset_close(struct dataset *dataset); // NULL is legal
OWNER(dataset_close, struct dataset)
// Loads pictures of one file with the number of channels that a model needs, where that loses
// nothing: gray as RGB, and RGB that is gray in every pixel as gray (loading other pictures fails).
void dataset_set_channels(struct dataset *dataset, int n_channels);
// Reorders the categories by name into the order of `names` (the model's); label files are read and
// written accordingly. ADELE_DATA with both lists when the names differ.
ADELE_MUST_CHECK adele_status dataset_match_categories(struct dataset *dataset, int n,
                                                       char *const *names);
// A plain folder of pictures or volumes (for predict): cases of SPLIT_TEST without labels; nnU-Net
// _0000 suffixes are recognized. n_channels is the model's; a mismatch is an error that names the
// file.
ADELE_MUST_CHECK adele_status dataset_open_folder(const char *folder, int n_channels,
                                                  const struct dataset_config *config,
                                                  struct dataset **out);

// The layout's folder for a split's labels, such as "labelsTr". Borrowed from the data set.
const char *dataset_label_folder(const struct dataset *dataset, enum dataset_split split,
                                 const struct dataset_case *item);
// The labels that a split's case is trained on or compared with; NULL when there are none.
const char *dataset_label_source(const struct dataset_case *item, enum dataset_split split);
// What the names of masks have behind those of their images; "" for most data sets. Borrowed.
const char *dataset_mask_suffix(const struct dataset *dataset);
ADELE_MUST_CHECK adele_status dataset_create(const struct dataset_config *config,
                                             struct dataset **out);
size_t dataset_memory_limit(const struct dataset *dataset);
void dataset_case_deinit(struct dataset_case *item);
#endif
