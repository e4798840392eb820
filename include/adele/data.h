// SPDX-License-Identifier: MIT
// Data sets: what one consists of and what is wrong with it, a configuration for it, noisy versions
// of its labels, and the corrected labels of a run. Layouts: "nnunet" (nnU-Net raw), "voc" (Pascal
// VOC), "img_ann" (img_dir and ann_dir of MMSegmentation), "auto" (detected).
#ifndef ADELE_DATA_H
#define ADELE_DATA_H

#include "adele/status.h"
#include <stdint.h>

// The layouts, a row each: ROW(what the library's own code calls it, its name). "auto" takes the
// first one that has left one of its marks in the folder.
#define ADELE_LAYOUTS(ROW)                                                                         \
    ROW(NNUNET, nnunet)                                                                            \
    ROW(VOC, voc)                                                                                  \
    ROW(IMG_ANN, img_ann)

#ifdef __cplusplus
extern "C" {
#endif

// Which data set. All members may be 0 or NULL, but `root` or `config` must be given. What is given
// here wins over the configuration.
struct adele_data {
    const char *root;         // its folder
    const char *config;       // YAML file whose section `data` describes it
    const char *layout;       // NULL: the configuration's, "auto" without one; "auto" detects it,
                              // whatever the configuration says
    const char *split[3];     // train, val, test: as data.split.train; NULL: the layout's own
    const char *noisy_labels; // folder of noisy versions of the training labels
    const char *true_labels;  // folder of ground truth of the training labels
    int follow_links;         // 1: symbolic links may lead out of the folder
};

// ---- fingerprint --------------------------------------------------------------------------------
struct adele_range {
    double low, median, high;
};
struct adele_class_share {
    const char *name;
    double share; // of the pixels of all masks that are not ignored
    int n_cases;  // whose mask has the class
};
struct adele_value_share {
    int value;    // in the files of the masks
    double share; // of the pixels of all masks
    int n_cases;  // whose mask has the value
};
#define ADELE_N_PERCENTILES 5 // 1, 25, 50, 75, 99
// What a data set consists of. The library may append fields in later versions. Owned by the report
// that it is in.
struct adele_fingerprint {
    const char *layout; // "nnunet", "voc", "img_ann"
    int is_volume;
    int n_cases[3]; // train, val, test
    int n_masks;    // that were read
    int n_channels;
    int n_bits;                    // of pictures: 8, or 16 when all are
    struct adele_range extents[3]; // width, height, slices (1 for pictures)
    int n_sizes;                   // different ones
    int common_size[3];            // the most frequent one, of n_common cases
    int n_common;
    struct adele_range spacing[3]; // volumes: mm along the stored axes x, y, z; else 0
    // (n_channels): percentiles 1, 25, 50, 75, 99 of the intensities as stored, from a sample that
    // is the same each time; exact for a small data set. NULL when no image was read.
    const double (*intensity)[ADELE_N_PERCENTILES];
    int n_classes;                           // with the background
    const struct adele_class_share *classes; // (n_classes)
    double ignored_share;                    // of the pixels of all masks
    int n_values;
    const struct adele_value_share *values; // (n_values), ascending; at most 1024 of them
    int n_odd;
    const char *const *odd; // (n_odd): what may be a mistake, one line each
    int n_unreadable;       // cases with a file that cannot be read
    int n_other_size;       // masks of pictures that differ in size from their image
};

// ---- check --------------------------------------------------------------------------------------
struct adele_problem {
    int is_error; // else a warning
    // "label_out_of_range", "size_mismatch", "geometry", "missing_partner", "duplicate_case",
    // "patient_in_two_splits", "unreadable", "empty_split", "not_finite", "channels",
    // "no_foreground", "palette" or "reading"; static storage. Later versions may add others.
    const char *kind;
    const char *text; // file, pixel, value
    const char *hint; // what to do; "" when there is nothing to add
    int n;            // so many problems differ in nothing but paths and numbers
};
// The library may append fields in later versions. Owned by the report.
struct adele_check_report {
    const char *root; // the folder that was checked
    int n_files;      // read
    int n_errors, n_warnings;
    int n_problems;                       // errors and warnings
    const struct adele_problem *problems; // (n_problems), one by one: n is 1
    int n_groups;
    const struct adele_problem *groups; // (n_groups): problems alike are one, n says how many
    const struct adele_fingerprint *fingerprint;
};
// Reads every file of a data set. Problems of the data are in the report, not errors; destroy it
// with adele_check_report_destroy. Errors: ADELE_DATA or ADELE_IO when the data set cannot be
// looked at at all, ADELE_CONFIG, ADELE_INVALID_ARGUMENT, ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_check(const struct adele_data *data,
                                          struct adele_check_report **out);
void adele_check_report_destroy(struct adele_check_report *report); // NULL is legal

// ---- init ---------------------------------------------------------------------------------------
struct adele_init_options {
    const char *output; // the YAML file; required
    uint64_t seed;      // of the split, and of the training
    const char *device; // that will train: "cpu", "cuda", "auto"; NULL: "auto"
    int overwrite;      // 1: files that adele wrote there earlier are replaced
    const char *method; // of the correction: "adele", "ensemble"; NULL: "adele"
};
// The library may append fields in later versions. Owned by the report.
struct adele_init_report {
    const char *root;                            // the folder that was looked at
    const struct adele_fingerprint *fingerprint; // with the splits of the configuration
    int n_files;
    const char *const *files; // (n_files), written: the YAML file, then the lists of the splits
    int n_without_mask;       // images without a mask, which the lists leave out
    const char *first_without_mask; // file name of the first one; "" for none
    int n_without_image;            // masks without an image: no case has them
    const char *first_without_image;
    int n_absent;             // names in the layout's lists that have no image; left out too
    const char *first_absent; // "" for none
};
// Looks at a folder and writes a configuration that trains on it: layout, classes, a split where
// there is none, size, batch and width for the memory of the device. Of `data`, root (required) and
// follow_links are used; symbolic links are then allowed by the configuration too. Destroy *out
// with adele_init_report_destroy. Errors: ADELE_DATA says what was found where nothing fits,
// ADELE_INVALID_ARGUMENT, before anything is written, when a file would fall into a data set or a
// run, or onto a file that is there; ADELE_NO_MEMORY also when not even a batch of two small images
// fits; ADELE_CONFIG for a path that YAML cannot hold (not UTF-8); ADELE_IO, ADELE_FORMAT,
// ADELE_DEVICE, ADELE_UNSUPPORTED.
ADELE_MUST_CHECK adele_status adele_init(const struct adele_data *data,
                                         const struct adele_init_options *options,
                                         struct adele_init_report **out);
void adele_init_report_destroy(struct adele_init_report *report); // NULL is legal

// ---- noise --------------------------------------------------------------------------------------
struct adele_noise_options {
    const char *output; // folder of the noisy labels; required
    int overwrite;      // 1: files that adele wrote there earlier are replaced
    const char *kind;   // as data.noise.kind: "under-over", "flip", "mixed", "boundary" ...
    // 0 .. below 1: foreground mean IoU against the clean labels; 0: the noise is as strong as the
    // numbers below say.
    double target_miou;
    // Erosions or dilations, or steps of boundary, of an image are drawn from low .. high; 1 ..
    // 100, low <= high. It and flip_fraction have to be within their range for every kind, the
    // numbers behind the seed for the kinds that use them.
    int iterations_low, iterations_high;
    double flip_fraction; // 0 .. 1: share of pixels that flip or mixed changes
    uint64_t seed;
    double outward;                // 0 .. 1: share of a contour that boundary moves outward
    int corners_low, corners_high; // 3 .. 100: of a polygon of coarse
    double object_fraction; // 0 .. 1: share of the objects that missing, extra or confuse changes
    double shift_fraction;  // 0 .. 1: mean distance of shift, as a share of the shorter side
};
// under-over, 2 to 4 iterations, 0.05 of the pixels, seed 0; outward 0.5, 4 to 8 corners, 0.2 of
// the objects, distance 0.05.
void adele_noise_options_init(struct adele_noise_options *out);

// The library may append fields in later versions. Owned by the report.
struct adele_noise_report {
    int n_images;                   // label maps that took part
    int n_classes;                  // with the background
    const char *const *class_names; // (n_classes)
    const double *iou;      // (n_classes), noisy against clean; NaN where a class is in neither
    double miou_foreground; // NaN when there is no foreground
    double strength;        // that reached the target; 1: as given
};
// Writes noisy versions of the training labels in the layout and file type of the input, with
// changes.csv and noise.json. data->noisy_labels and true_labels are not used. Destroy *out with
// adele_noise_report_destroy. Errors: ADELE_DATA when the target cannot be reached,
// ADELE_INVALID_ARGUMENT, before anything is written, for an option out of its range, and when a
// file would fall into a data set or a run, or onto a file that is there; ADELE_CONFIG, ADELE_IO,
// ADELE_FORMAT, ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_noise(const struct adele_data *data,
                                          const struct adele_noise_options *options,
                                          struct adele_noise_report **out);
void adele_noise_report_destroy(struct adele_noise_report *report); // NULL is legal

// ---- corrected labels ---------------------------------------------------------------------------
struct adele_labels_options {
    const char *run_folder; // required
    const char *output;     // folder of the labels; required
    const char *data;       // where the run's data set is now; NULL: where it was
    int epoch;              // above 0: the labels after the correction of that epoch. Otherwise
                            // those of the checkpoint that the next member names
    const char *checkpoint; // "last" (NULL) or "best"
    int overwrite;          // 1: files that adele wrote there earlier are replaced
    long long *n_changed; // gets the pixels that corrections changed, of the label files. NULL: it
                          // is not wanted
};
// The corrected training labels of a run as files of the input's own layout and type, with
// changes.csv. Errors: ADELE_DATA when the data set is not the one that the run was trained on,
// ADELE_INVALID_ARGUMENT as above, ADELE_IO, ADELE_FORMAT, ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_labels(const struct adele_labels_options *options);
// The same in short; epoch < 1: the last checkpoint's.
ADELE_MUST_CHECK adele_status adele_export_labels(const char *run_folder, int epoch,
                                                  const char *output);

#ifdef __cplusplus
}
#endif
#endif
