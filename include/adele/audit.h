// SPDX-License-Identifier: MIT
// Ranks the images, classes and connected regions of a data set by how doubtful their labels are,
// given what a trained network predicts.
#ifndef ADELE_AUDIT_H
#define ADELE_AUDIT_H

#include "adele/data.h"
#include "adele/model.h"
#include "adele/ranks.h"

#ifdef __cplusplus
extern "C" {
#endif

struct adele_audit_options {
    const char *output; // folder; NULL: the folder `audit` of the model's run
    const char *data;   // folder of another data set; NULL: the run's own
    const char *labels; // folder of other training labels, same file names; NULL: those that the
                        // run was given, or those of `data`
    const char *split;  // "train", "val" or "test"; NULL: "train"
    // A region is doubtful from so many pixels and from that mean probability of the predicted
    // class on. 0 pixels: a 20,000th of those of the image, and 4 at least.
    int64_t min_pixels;
    double confidence; // 0 .. 1
    int n_regions;     // 0 .. 10,000,000 rows of regions.csv, the most doubtful
    int n_overlays;    // 0 .. 9,999 images with pictures, the most doubtful
    int mask_value;    // the value that label files ignore: also writes the labels with doubtful
                       // regions ignored; -1: does not
    int overwrite;     // 1: files that adele wrote there earlier are replaced
    struct adele_inference inference;
    struct adele_watch watch;
    // Of adele_audit_folds: the processes that divide the folds; NULL: this one alone. A model has
    // those that have opened it.
    struct adele_ranks *ranks;
};
// The run's labels, regions from a 20,000th of the image's pixels and 0.5 on, 10,000 rows, 32
// images with pictures, no masks.
void adele_audit_options_init(struct adele_audit_options *out);

// The library may append fields in later versions.
struct adele_audit_summary {
    int n_classes, n_images;
    int64_t n_pixels, n_doubtful_pixels; // that count; of them in doubtful regions
    int64_t n_regions;                   // doubtful ones, of which the files may name fewer
    double score[256];                   // of each class, 0 .. 1; low: doubtful; NaN: in no image
    int64_t class_pixels[256], class_doubtful_pixels[256];
};
// Writes into the output's folder:
//   audit.csv    a row an image (slice), most doubtful first. The score of a class is the IoU
//                that its label is expected to have under the prediction; that of an image is the
//                same of all classes but the background together. Where the predictions of a
//                class are larger or smaller than its labels in the median of 8 images or more,
//                their areas are divided by that factor first, unless it is beyond 1/2 .. 2
//   classes.csv  a row a class, most doubtful first
//   regions.csv  connected regions (8 neighbours) of one label and one other prediction: bounding
//                box, from, to, pixels, mean probability of `to`; most doubtful first
//   overlays/    pictures of the most doubtful images, of at most 512 pixels a side; none of an
//                image that only these factors have brought in front of more than 32 others
//   with mask_value: label files in the input's own layout and type, and changes.csv, as
//   adele_labels
// Memory: that of one image, its probabilities, the rows and pictures above, and 32 bytes an image
// and class; not of the set. Only a run with data.noise has its labels in memory, because no file
// holds them. *out is zeroed after a failure. Errors: ADELE_DATA for an empty split or one without
// labels, and for data.noise that gives other labels than the run had; ADELE_INVALID_ARGUMENT,
// before anything is written, for options out of their range, and when a file would fall into a
// data set or another run, or onto a file that is there; ADELE_INTERRUPTED, ADELE_IO, ADELE_FORMAT,
// ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_model_audit(struct adele_model *model,
                                                const struct adele_audit_options *options,
                                                struct adele_audit_summary *out);

// The same without a model: for each of n_folds parts of the training split (neighbours of the list
// stay together), a network is trained on the others and audits the part, so that no label is
// judged by a network that has learned it. data->config, if given, is the trainings' configuration,
// whose data.root and labels are those of `data` where that gives them; without it a small U-Net is
// trained for some 400 steps at 128 x 128 pixels. options->output is required, and also holds the
// folds' runs, fold_1 and so on, which a later call with `overwrite` continues where this one was
// stopped; data and labels of `options` are NULL, and its split is not used. Errors as above and
// those of adele_train; ADELE_CONFIG for a configuration with data.noise, ADELE_INVALID_ARGUMENT
// for fewer than 2 folds or more than cases. Memory: that of a training, which holds its images.
// With options->ranks each process trains and audits folds of its own, with a memory of its own for
// each; all pass the same arguments, and get the same result, which is that of one process to the
// byte. ADELE_INTERRUPTED is of all, after the folds that others train at that time; an error of
// one process alone ends the others in adele_ranks_leave.
ADELE_MUST_CHECK adele_status adele_audit_folds(const struct adele_data *data, int n_folds,
                                                const char *device,
                                                const struct adele_audit_options *options,
                                                struct adele_audit_summary *out);

#ifdef __cplusplus
}
#endif
#endif
