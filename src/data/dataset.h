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
    struct dataset_config config;   // strings deep-copied
    struct label_lookup *lookup;    // label_lookup.h: values of the files -> categories
    unsigned *said;                 // notes.h: what was said already, case by case
    struct folder_looks *looks;     // folder_look.h
    struct palette_watch *palettes; // palette_watch.h
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
void dataset_ask_channels(struct dataset *dataset, int n_channels);
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

// Where image i of a loaded set comes from.
struct dataset_origin {
    int i_case, slice; // slice 0 for pictures; of volumes in the set's orientation
    int height, width; // of the file (in that orientation), before resizing
};

// A split in host memory, at the configured size.
struct dataset_images {
    int n, c, h, w;
    bool is_f16;  // else u8
    void *images; // (N, C, H, W)
    // (N, C): standardization (x - mean) * inv_std of each image, METHOD section 5. Pictures of 8
    // bits are raw. Volumes, and all pictures of a split in which a file has 16 bits, are
    // standardized before they become f16, so theirs are 0 and 1: 30000 and 30010 are one half.
    // With NORMALIZE_IMAGENET the numbers are the same for all images.
    float *mean, *inv_std;
    uint8_t *labels; // (N, H, W): what is trained on (noisy when configured), NULL when no labels
    uint8_t *truth;  // (N, H, W), NULL when there is none
    struct dataset_origin *origin; // (N)
    unsigned notes;                // notes.h: of a single case
    struct palette_use *palette;   // palette_watch.h: the same, NULL = none
};
// Images are resized bilinearly (antialiased), labels nearest. Every label value is checked against
// n_categories (255 = ignore). Unlabelled cases (predict) give labels = NULL. `keep_empty_slices`:
// also slices without foreground (evaluation, prediction).
ADELE_MUST_CHECK adele_status dataset_load(const struct dataset *dataset, enum dataset_split split,
                                           bool keep_empty_slices, struct dataset_images *out);
// The same for one case of the split (prediction goes case by case).
ADELE_MUST_CHECK adele_status dataset_load_case(const struct dataset *dataset,
                                                enum dataset_split split, int i_case,
                                                struct dataset_images *out);
// The same at the file's own size, whatever the configuration says.
ADELE_MUST_CHECK adele_status dataset_load_case_whole(const struct dataset *dataset,
                                                      enum dataset_split split, int i_case,
                                                      struct dataset_images *out);
void dataset_images_deinit(struct dataset_images *images);

// ---- label_store.c: label maps back into files --------------------------------------------------
// Writes the label maps of a split's images (u8 at the resident size (N, h, w), in `images`
// order) as files in the input's own layout and type under `folder`: nnU-Net
// labelsTr/NAME.png|.nii.gz, VOC SegmentationClass/NAME.png (palette), img_ann
// ann_dir/train/NAME.png. Maps are brought to the file's own size (nearest); values are mapped
// back when a label_map is set (the first `from` of each category). Pixels whose category at the
// resident size did not change against `before` (may be NULL) keep the source file's original
// value, so that an unchanged map gives back the original pixels exactly; slices that were not
// loaded keep the source's values. Files keep their type: volumes have the source's header, data
// type and slope and the bytes of each voxel that did not change; pictures of 16 bits have 16. Each
// file is written atomically. changes.csv: case,slice,changed_pixels,changed_fraction, per category
// from->to counts; most changed first.
// `out`: how much changed of all pixels of the files; may be NULL.
struct changes_sum;
ADELE_MUST_CHECK adele_status label_store_export(const struct dataset *dataset,
                                                 enum dataset_split split,
                                                 const struct dataset_images *images,
                                                 const uint8_t *labels, const uint8_t *before,
                                                 const char *folder, struct changes_sum *out);
// One predicted map (n_slices, h, w at resident size) of one case -> FOLDER/NAME + ending, at the
// source's size and, for volumes, with the image's header. Pictures: gray PNG, or indexed with the
// VOC palette when the data set has palettes.
ADELE_MUST_CHECK adele_status label_store_save_prediction(const struct dataset *dataset,
                                                          const struct dataset_case *item,
                                                          int n_slices, int h, int w,
                                                          const uint8_t *prediction,
                                                          const char *folder);

// A tensor (slices, n_planes, h, w) of a case in the set's orientation -> the order in which the
// case's image is stored. `extents` (w, h, slices) become those of the file, *values is replaced.
ADELE_MUST_CHECK adele_status label_store_turn_back(const struct dataset *dataset,
                                                    const struct dataset_case *item, int n_planes,
                                                    int extents[3], float **values);

// ---- check.c: `adele check` ---------------------------------------------------------------------
enum check_kind {
    CHECK_LABEL_OUT_OF_RANGE,
    CHECK_SIZE_MISMATCH,
    CHECK_GEOMETRY,
    CHECK_MISSING_PARTNER,
    CHECK_DUPLICATE_CASE,
    CHECK_PATIENT_IN_TWO_SPLITS,
    CHECK_UNREADABLE,
    CHECK_EMPTY_SPLIT,
    CHECK_NOT_FINITE,
    CHECK_CHANNELS,
    CHECK_NO_FOREGROUND,
    CHECK_PALETTE,
    CHECK_READING,
    CHECK_KINDS
};
struct check_problem {
    enum check_kind kind;
    bool is_error; // else a warning
    char *text;    // file, pixel, value
    char *hint;    // what to do
};
struct check_report {
    struct check_problem *problems;
    int n_problems;
    int n_files; // looked at
};
const char *check_kind_name(enum check_kind kind); // "label_out_of_range" ...
// Reads every file. Fails only when the data set cannot be looked at at all; problems are in the
// report.
ADELE_MUST_CHECK adele_status check_run(const struct dataset_config *config,
                                        struct check_report *out);
void check_report_deinit(struct check_report *report);
#endif
