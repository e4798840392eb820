// SPDX-License-Identifier: MIT
// A trained model at work: opened once, then used for a split, a folder, or images in memory.
// n: images; H, W: height and width in pixels; C: channels; K: classes, with the background.
#ifndef ADELE_MODEL_H
#define ADELE_MODEL_H

#include "adele/scores.h"
#include "adele/status.h"
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct adele_ranks; // adele/ranks.h

// A checkpoint on a device. One thread at a time may use it; different models are independent.
struct adele_model;

// The library may append fields in later versions. Borrowed from the model.
struct adele_model_info {
    const char *path;               // of the checkpoint file
    int epoch;                      // after which it was saved
    int n_channels;                 // of its images: 1 or 3 for pictures
    int n_classes;                  // K
    const char *const *class_names; // (K)
    int height, width; // at which the network works; images of any size are brought to it
    // 1: the weights are the average that training kept (train.evaluate_averaged). (Added after the
    // first version of this struct.)
    int is_averaged;
};

// `path` is a checkpoint file, or a run's folder: then `checkpoint` chooses "last" or "best" of it
// (NULL: last). `device` as in adele_train_options (NULL: "auto"). Close *out with
// adele_model_close. Errors: ADELE_IO, ADELE_FORMAT (no checkpoint of adele), ADELE_DEVICE and
// ADELE_UNSUPPORTED, ADELE_NO_MEMORY; ADELE_INVALID_ARGUMENT for a `path` that is NULL, another
// `checkpoint` than these, and one that is named beside a file.
ADELE_MUST_CHECK adele_status adele_model_open(const char *path, const char *checkpoint,
                                               const char *device, struct adele_model **out);
// The same by all of the processes that have joined in `ranks`, which must outlive the model; NULL
// is one process. Each takes a GPU of its host, or its share of the cores. adele_model_evaluate,
// adele_model_predict and adele_model_audit of such a model are collective: each process predicts
// some of the cases and writes their masks, the first one writes all other files, and all have the
// same result, which is that of one process to the byte. A failure is that of all; callbacks are
// called in every process. Notes on pictures are logged by the first process for all, at the end.
// ADELE_INVALID_ARGUMENT where processes differ in their build, device, checkpoint, options or
// files, where hosts do not share the folder of the output, and for each call after one that has
// failed or was interrupted: such processes work together no more, and the program ends.
ADELE_MUST_CHECK adele_status adele_model_open_together(struct adele_ranks *ranks, const char *path,
                                                        const char *checkpoint, const char *device,
                                                        struct adele_model **out);
void adele_model_close(struct adele_model *model); // NULL is legal
const struct adele_model_info *adele_model_describe(const struct adele_model *model);

#define ADELE_MAX_INPUT_SCALES 8
// How an image is predicted. All zero: once, as it is.
struct adele_inference {
    int n_scales;                          // at most ADELE_MAX_INPUT_SCALES; 0: one, of 1.0
    double scales[ADELE_MAX_INPUT_SCALES]; // above 0, up to 8; probabilities are averaged over them
    int flip; // 1: averaged with the mirror image, too (not where left and right are classes)
    int crf_iterations; // 0: none; of a dense CRF that follows the image's edges; images of 8 bits
    int batch;          // 1 .. 4096 images, or windows, at a time; 0: 8
    // 1 .. 16384 pixels, or both 0: images are brought to the network's size. Otherwise they keep
    // their own size, and the network sees windows of this height and width, which overlap by half.
    // Scales, mirror images and the CRF then apply to each window. Probabilities are added with
    // Gaussian weights in a fixed order, so that the result does not depend on `batch`. (Added
    // after the first version of this struct.)
    int window_height, window_width;
};

// ---- images in memory ---------------------------------------------------------------------------
enum adele_element { ADELE_UINT8, ADELE_FLOAT32 };
enum adele_order {
    ADELE_NHWC, // the channels of a pixel side by side, as in a decoded picture
    ADELE_NCHW  // one plane a channel
};
struct adele_images {
    const void *pixels; // n x H x W x C elements without gaps; borrowed during the call
    enum adele_element element;
    enum adele_order order;
    int n;             // from 1
    int height, width; // 1 .. 32768
    int n_channels;    // the model's
};
// Segments n images of one size. `classes` (n, H, W), the caller's, gets each pixel's class at the
// images' own size; `probabilities` (n, K, H, W) gets those of all classes unless it is NULL.
//
// ADELE_UINT8 takes pixels as a file of 8 bits has them, and gives the same maps as
// adele_model_predict on that file. ADELE_FLOAT32 takes intensities in any unit, as a file of 16
// bits or a volume has them: each plane is brought to mean 0 and deviation 1, as in training (to
// the numbers of ImageNet, for values from 0 to 255, where data.normalize was imagenet).
// `inference` may be NULL. What it plans is kept for the next call with the same options and the
// same batch (which is at most n); other calls on the model release it.
//
// Errors, which leave the model usable: ADELE_INVALID_ARGUMENT for pixels or classes that are NULL,
// an element, an order or an extent that is none, another number of channels than the model's, and
// options out of their range; ADELE_DATA for a value that is not finite; ADELE_CONFIG for a CRF on
// ADELE_FLOAT32 and for a scale that leaves no pixel of an image; ADELE_NO_MEMORY, whose
// message names the largest batch that fits, where one does; ADELE_DEVICE.
ADELE_MUST_CHECK adele_status adele_model_segment(struct adele_model *model,
                                                  const struct adele_images *images,
                                                  const struct adele_inference *inference,
                                                  uint8_t *classes, float *probabilities);

// ---- files --------------------------------------------------------------------------------------
// Called on the calling thread; both may be NULL.
struct adele_watch {
    void (*on_case)(void *context, int i, int n); // case i of n, from 1, is done; of several
                                                  // processes: i cases are done by all
    int (*should_stop)(void *context); // asked before every batch; not 0: ADELE_INTERRUPTED
    void *context;
};

struct adele_evaluate_options {
    const char *data;         // folder of a data set; NULL: the run's own
    const char *split;        // "train", "val" or "test"; NULL: "test", or "val" of a data set that
                              // has validation but no test cases
    const char *masks_folder; // predicted label maps are written there; NULL: nowhere
    const char *scores_file;  // the scores are written there as JSON; NULL: nowhere
    int overwrite;            // 1: files that adele wrote there earlier are replaced
    struct adele_inference inference;
    struct adele_watch watch;
    // The scores of single cases (adele/scores.h), which take more time and memory than the counts
    // of the whole split. As CSV, a row a case and class; NULL: nowhere.
    const char *cases_file;
    // Their means and intervals, which scores_file has then too, as "cases"; NULL: not wanted.
    // Destroy *cases with adele_case_scores_destroy; NULL after a failure.
    struct adele_case_scores **cases;
};
struct adele_score {
    int n_classes, n_images;
    double iou[256], dice[256]; // NaN where a class is neither predicted nor labelled
    // Means of those that are not NaN; NaN when no foreground class has one.
    double miou, miou_foreground, dice_foreground;
    const char *split; // that was scored; static storage
};
// IoU and Dice on a split, at the label files' own size; counts are summed over the split. Errors:
// ADELE_DATA for an empty split or one without labels, ADELE_INVALID_ARGUMENT, before anything is
// written, when a file would fall into a data set or another run, or onto a file that is there;
// ADELE_IO, ADELE_FORMAT and others for files that cannot be read. `options` may be NULL.
ADELE_MUST_CHECK adele_status adele_model_evaluate(struct adele_model *model,
                                                   const struct adele_evaluate_options *options,
                                                   struct adele_score *out);

struct adele_predict_options {
    const char *input;  // folder of pictures or volumes; required
    const char *output; // folder of the label maps; required, made when it is not there
    int probabilities;  // 1: also NAME.safetensors with "probabilities" (slices, K, H, W)
    int overwrite;      // 1: files that adele wrote there earlier are replaced
    struct adele_inference inference;
    struct adele_watch watch;
};
// A label map for every image of the input, at the image's own size. With windows, and without
// probabilities, PNG and TIFF pictures are read and their maps are written by rows, in memory for
// one row of windows; data.memory_limit_mb does not apply to them. *out_cases, unless
// `out_cases` is NULL: how many, 0 after a failure. Errors as above.
ADELE_MUST_CHECK adele_status adele_model_predict(struct adele_model *model,
                                                  const struct adele_predict_options *options,
                                                  int *out_cases);

// ---- for other programs -------------------------------------------------------------------------
struct adele_export_options {
    const char *output; // the file; required, its folder is made when it is not there
    int overwrite;      // 1: a file that adele wrote there earlier is replaced
};
// Writes the network as an ONNX file (opset 17) that needs nothing else of the run.
//
// Input "image": float32 (n, C, H, W), values as the image files have them: 0 to 255 of pictures of
// 8 bits. The normalization of the training is inside. n, H and W are free in every call; results
// are those of adele_model_predict where H and W are those at which the network works (with
// pictures of 16 bits and volumes up to the half floats in which the library stores these). U-Net
// needs at least 16 x 16 pixels.
// Output "logits": float32 (n, K, H, W) of a single prediction without scales, flips and CRF;
// those of DeepLab are brought to the input's size as everywhere here, bilinear with align-corners.
// The file's metadata: "names" of the classes (a JSON array), "height" and "width" at which the
// network works, "normalization", "orientation" of the slices of volumes, "checkpoint", "epoch".
//
// Errors: ADELE_INVALID_ARGUMENT, before anything is written, for an `output` that is NULL, falls
// into a data set or another run, or onto a file that is there; ADELE_UNSUPPORTED for more than the
// 2 GB that the format allows; ADELE_IO, ADELE_NO_MEMORY.
ADELE_MUST_CHECK adele_status adele_model_export(struct adele_model *model,
                                                 const struct adele_export_options *options);

// ---- in one call --------------------------------------------------------------------------------
// Open (the last checkpoint), evaluate or predict with the defaults, and close; `out_cases` may be
// NULL.
ADELE_MUST_CHECK adele_status adele_evaluate(const char *path, const char *device, const char *data,
                                             const char *split, struct adele_score *out);
ADELE_MUST_CHECK adele_status adele_predict(const char *path, const char *device, const char *input,
                                            const char *output, int *out_cases);

#ifdef __cplusplus
}
#endif
#endif
