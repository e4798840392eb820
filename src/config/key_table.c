// SPDX-License-Identifier: MIT
// Every key of the configuration with its default, its range and its meaning.
#include "config/key_table.h"

#include <limits.h>

#define AT(field)       .offset = offsetof(struct config, field)
#define RANGE(from, to) .low = (from), .high = (to)
#define ABOVE(from, to) .low = (from), .high = (to), .is_above_low = true

_Static_assert(sizeof(enum onset_pipeline) == sizeof(int), "enums are stored as int");
_Static_assert(offsetof(struct noise_config, iterations_high) ==
                   offsetof(struct noise_config, iterations_low) + sizeof(int),
               "data.noise.iterations is stored as a pair");
_Static_assert(offsetof(struct noise_config, corners_high) ==
                   offsetof(struct noise_config, corners_low) + sizeof(int),
               "data.noise.corners is stored as a pair");
_Static_assert(offsetof(struct adele_augment, scale_high) ==
                   offsetof(struct adele_augment, scale_low) + sizeof(double),
               "data.augment.scale is stored as a pair");
_Static_assert(offsetof(struct adele_augment, elastic_spacing) ==
                   offsetof(struct adele_augment, elastic_shift) + sizeof(double),
               "data.augment.elastic is stored as a pair");

#define LAYOUT_NAME(id, name) [LAYOUT_##id] = #name,
static const char *const layouts[] = {[LAYOUT_AUTO] = "auto", ADELE_LAYOUTS(LAYOUT_NAME) NULL};
static const char *const normalizations[] = {
    [NORMALIZE_IMAGE] = "image", [NORMALIZE_IMAGENET] = "imagenet", NULL};
static const char *const residencies[] = {
    [RESIDENCY_AUTO] = "auto", [RESIDENCY_DEVICE] = "device", [RESIDENCY_HOST] = "host", NULL};
static const char *const augment_kinds[] = {
    [ADELE_AUGMENT_AFFINE] = "affine", [ADELE_AUGMENT_VOC] = "voc", NULL};
static const char *const batch_norms[] = {
    [BATCH_NORM_BATCH] = "batch", [BATCH_NORM_FROZEN] = "frozen", NULL};
static const char *const groups[] = {[RATES_UNIFORM] = "uniform", [RATES_VOC] = "voc", NULL};
static const char *const optimizers[] = {
    [OPTIMIZER_SGD] = "sgd", [OPTIMIZER_ADAMW] = "adamw", NULL};
static const char *const schedules[] = {
    [SCHEDULE_CONSTANT] = "constant", [SCHEDULE_POLY] = "poly", [SCHEDULE_COSINE] = "cosine", NULL};
static const char *const precisions[] = {[ADELE_PRECISION_FP32] = "fp32",
                                         [ADELE_PRECISION_BF16] = "bf16",
                                         [ADELE_PRECISION_TF32] = "tf32",
                                         NULL};
const char *config_precision_name(enum adele_precision precision) {
    return precisions[precision];
}
static const char *const selections[] = {[SELECT_LAST] = "last", [SELECT_BEST_VAL] = "val", NULL};
static const char *const nan_handlings[] = {
    [ON_NAN_STOP] = "stop", [ON_NAN_SKIP] = "skip", [ON_NAN_ROLLBACK] = "rollback", NULL};
static const char *const forms[] = {[ADELE_LOSS_PLAIN] = "plain",
                                    [ADELE_LOSS_PROGRAM] = "official",
                                    [ADELE_LOSS_PAPER] = "paper",
                                    NULL};
static const char *const dice_reductions[] = {
    [DICE_OF_BATCH] = "batch", [DICE_OF_IMAGE] = "image", NULL};
static const char *const pipelines[] = {[ONSET_SEGTHOR] = "segthor", [ONSET_VOC] = "voc", NULL};
static const char *const methods[] = {
    [METHOD_ADELE] = "adele", [METHOD_ENSEMBLE] = "ensemble", NULL};
static const char *const timings[] = {[TIMING_FIXED] = "fixed", [TIMING_ONSET] = "onset", NULL};
static const char *const gates[] = {
    [GATE_FULL] = "true", [GATE_LEARNED] = "learned", [GATE_NONE] = "false", NULL};
static const char *const decisions[] = {
    [ADELE_AREA_THRESHOLDS] = "area", [ADELE_AREA_ARGMAX] = "argmax", NULL};
static const char *const beginnings[] = {
    [SCHEDULE_ALL_FROM_FIRST] = "first", [SCHEDULE_ALL_FROM_MEAN] = "mean", NULL};
static const char *const rules[] = {
    [ADELE_CORRECT_BOTH] = "both", [ADELE_CORRECT_SINGLE] = "single", NULL};
static const char *const bases[] = {[BASE_CURRENT] = "current", [BASE_ORIGINAL] = "original", NULL};
static const char *const sources[] = {
    [SOURCE_TRAINING_PASS] = "training_pass", [SOURCE_INFERENCE] = "inference", NULL};
static const char *const averages[] = {
    [ADELE_ENSEMBLE_PROBABILITIES] = "probabilities", [ADELE_ENSEMBLE_LOGITS] = "logits", NULL};

// clang-format off
const struct config_key config_keys[CONFIG_N_KEYS] = {
    {"name", CONFIG_TEXT, AT(name), .fallback = "",
     .meaning = "The run's name in reports; without it, the configuration file's name."},

    {"data.root", CONFIG_TEXT, AT(data.root), .fallback = "", .is_required = true,
     .meaning = "The data set's folder."},
    {"data.layout", CONFIG_ENUM, AT(data.layout), .fallback = "auto", .names = layouts,
     .meaning = "How the folder is laid out: nnU-Net raw, Pascal VOC, or img_dir with ann_dir."},
    {"data.split.train", CONFIG_TEXT, AT(data.split[SPLIT_TRAIN]), .fallback = "",
     .meaning = "Training cases: a .txt file of case names, or the name of a list of the layout; without it, the layout's own."},
    {"data.split.val", CONFIG_TEXT, AT(data.split[SPLIT_VAL]), .fallback = "",
     .meaning = "Validation cases, in the same way."},
    {"data.split.test", CONFIG_TEXT, AT(data.split[SPLIT_TEST]), .fallback = "",
     .meaning = "Test cases, in the same way."},
    {"data.image_folder", CONFIG_TEXT, AT(data.image_folder), .fallback = "",
     .meaning = "Layout img_ann: the folder of images in data.root; without it, img_dir. It holds the images, or the folders train, val and test; where these are outside, {split} stands for them: \"{split}/images\"."},
    {"data.mask_folder", CONFIG_TEXT, AT(data.mask_folder), .fallback = "",
     .meaning = "Layout img_ann: the folder of masks with the names of their images, in the same way; without it, ann_dir."},
    {"data.mask_suffix", CONFIG_TEXT, AT(data.mask_suffix), .fallback = "",
     .meaning = "Layout img_ann: what the names of masks have behind those of their images: _mask, where the mask of a.jpg is a_mask.png."},
    {"data.size", CONFIG_INT_PAIR, AT(data.size), .fallback = "[256, 256]", RANGE(0, 16384),
     .meaning = "Height and width to which images are resized; [0, 0] leaves them as the files are."},
    {"data.crop", CONFIG_INT_PAIR, AT(data.crop), .fallback = "[0, 0]", RANGE(0, 16384),
     .meaning = "data.augment.kind voc: height and width of the training crop; [0, 0] is that of data.size."},
    {"data.patch", CONFIG_INT_PAIR, AT(data.patch), .fallback = "[0, 0]", RANGE(0, 16384),
     .meaning = "Height and width of random patches to train on, one of each image an epoch, cut from the images at the files' own size (data.size: [0, 0]), which may differ; evaluation and correction slide a window of that size. [0, 0] trains on whole images."},
    {"data.patch_foreground", CONFIG_REAL, AT(data.patch_foreground), .fallback = "0.33", RANGE(0, 1),
     .meaning = "data.patch: share of the patches that are centred on a random foreground pixel of the labels as corrected so far."},
    {"data.normalize", CONFIG_ENUM, AT(data.normalize), .fallback = "image", .names = normalizations,
     .meaning = "Pictures: standardized by each image's own mean and deviation, or by those of ImageNet (RGB)."},
    {"data.noisy_labels", CONFIG_TEXT, AT(data.noisy_labels), .fallback = "",
     .meaning = "Folder of the noisy training labels, with the file names of the layout's labels."},
    {"data.true_labels", CONFIG_TEXT, AT(data.true_labels), .fallback = "",
     .meaning = "Folder of the true training labels, for the diagnostics; never trained on."},
    {"data.label_map", CONFIG_LABEL_MAP, AT(data.n_label_map), .fallback = "[]",
     .meaning = "Values of the label files to classes: a list of {from: value or [values], to: class, name: text}; class 255 is ignored."},
    {"data.label_map_other", CONFIG_INT, AT(data.map_other), .fallback = "-1", RANGE(-1, 255),
     .meaning = "Class of the values that label_map does not list; -1 is an error, 255 is ignored."},
    {"data.foreground_slices_only", CONFIG_BOOL, AT(data.foreground_slices_only), .fallback = "true",
     .meaning = "Volumes: train only on slices whose label holds foreground."},
    {"data.follow_links", CONFIG_BOOL, AT(data.follow_links), .fallback = "false",
     .meaning = "Whether symbolic links may lead out of the data set's folder, for example to a store of files."},
    {"data.memory_limit_mb", CONFIG_INT64, AT(data.memory_limit_mb), .fallback = "4096", RANGE(1, 1 << 30),
     .meaning = "The most memory, in MiB, that one decoded file may take."},
    {"data.residency", CONFIG_ENUM, AT(data.residency), .fallback = "auto", .names = residencies,
     .meaning = "Where the images are kept: on the device; in host memory, each batch copied to the device during the step before; auto is the device when they fit."},
    {"data.noise.kind", CONFIG_ENUM, AT(data.noise.kind), .fallback = "none", .names = noise_kind_names,
     .meaning = "Synthetic noise put into the training labels: under-over, flip and mixed are the paper's; boundary moves contours at random, coarse draws polygons of few corners, missing leaves out whole objects, extra adds copies, confuse gives objects another class, shift moves the whole map."},
    {"data.noise.target_miou", CONFIG_REAL, AT(data.noise.target_miou), .fallback = "0", RANGE(0, 1),
     .meaning = "Mean foreground IoU of noisy against clean labels to aim at; 0 takes the other numbers as they are."},
    {"data.noise.iterations", CONFIG_INT_PAIR, AT(data.noise.iterations_low), .fallback = "[2, 4]", RANGE(1, 100),
     .meaning = "under-over: erosions or dilations, boundary: steps of the contour, drawn from this range for each image."},
    {"data.noise.flip_fraction", CONFIG_REAL, AT(data.noise.flip_fraction), .fallback = "0.05", RANGE(0, 1),
     .meaning = "flip: share of all pixels that get another class."},
    {"data.noise.outward", CONFIG_REAL, AT(data.noise.outward), .fallback = "0.5", RANGE(0, 1),
     .meaning = "boundary: share of a contour that tends to move outward; the rest tends to move inward."},
    {"data.noise.corners", CONFIG_INT_PAIR, AT(data.noise.corners_low), .fallback = "[4, 8]", RANGE(3, 100),
     .meaning = "coarse: corners of a polygon, drawn from this range for each object."},
    {"data.noise.object_fraction", CONFIG_REAL, AT(data.noise.object_fraction), .fallback = "0.2", RANGE(0, 1),
     .meaning = "missing, extra, confuse: share of the objects that are left out, copied, or get another class."},
    {"data.noise.shift_fraction", CONFIG_REAL, AT(data.noise.shift_fraction), .fallback = "0.05", RANGE(0, 1),
     .meaning = "shift: mean distance, as a share of the shorter side."},
    {"data.noise.seed", CONFIG_SEED, AT(data.noise.seed), .fallback = "0",
     .meaning = "Seed of the noise, independent of train.seed."},
    {"data.augment.enabled", CONFIG_BOOL, AT(data.augment.enabled), .fallback = "false",
     .meaning = "Whether training images are augmented."},
    {"data.augment.kind", CONFIG_ENUM, AT(data.augment.kind), .fallback = "affine", .fallback_voc = "voc", .names = augment_kinds,
     .meaning = "affine: rotate, translate, scale, flip; voc: hsv, flip, scale, and a random crop that is filled up with ignored pixels."},
    {"data.augment.rotate", CONFIG_REAL, AT(data.augment.rotate_degrees), .fallback = "45", RANGE(0, 180),
     .meaning = "Kind affine: degrees of rotation to either side."},
    {"data.augment.translate", CONFIG_REAL, AT(data.augment.translate), .fallback = "0.1", RANGE(0, 1),
     .meaning = "Kind affine: shift to either side, as a fraction of the extent."},
    {"data.augment.scale", CONFIG_REAL_PAIR, AT(data.augment.scale_low), .fallback = "[0.8, 1.5]", .fallback_voc = "[0.5, 1.5]", RANGE(0.05, 20),
     .meaning = "Lowest and highest factor of scaling."},
    {"data.augment.flip", CONFIG_REAL, AT(data.augment.flip), .fallback = "0", .fallback_voc = "0.5", RANGE(0, 1),
     .meaning = "Probability of a horizontal flip."},
    {"data.augment.hsv", CONFIG_REAL, AT(data.augment.hsv), .fallback = "10", RANGE(0, 180),
     .meaning = "Kind voc: degrees of hue, and 255ths of saturation and value, to either side; 0 for images that are not 8-bit RGB."},
    {"data.augment.elastic", CONFIG_REAL_PAIR, AT(data.augment.elastic_shift), .fallback = "[0, 32]", RANGE(0, 16384),
     .meaning = "Kind affine: image and labels are bent by smooth shifts of up to that many pixels to either side, drawn at the points of a grid so many pixels apart; at most 0.48 of that distance, which is at least 8. 0 bends nothing."},
    {"data.augment.brightness", CONFIG_REAL, AT(data.intensity.brightness), .fallback = "0", RANGE(0, 1),
     .meaning = "Either kind: probability that an image's channels are each multiplied by 0.75 to 1.25, after normalization; nnU-Net's is 0.15."},
    {"data.augment.contrast", CONFIG_REAL, AT(data.intensity.contrast), .fallback = "0", RANGE(0, 1),
     .meaning = "Probability that the contrast of an image's channels changes by a factor of 0.75 to 1.25 within their range; nnU-Net's is 0.15."},
    {"data.augment.gamma", CONFIG_REAL, AT(data.intensity.gamma), .fallback = "0", RANGE(0, 1),
     .meaning = "Probability of a gamma of 0.7 to 1.5 that keeps mean and deviation, one time in four on the inverted image; nnU-Net's is 0.4 in all."},
    {"data.augment.noise", CONFIG_REAL, AT(data.intensity.noise), .fallback = "0", RANGE(0, 1),
     .meaning = "Probability of Gaussian noise with a deviation of up to 0.1 after normalization; nnU-Net's is 0.1."},
    {"data.augment.blur", CONFIG_REAL, AT(data.intensity.blur), .fallback = "0", RANGE(0, 1),
     .meaning = "Probability of a Gaussian blur with a deviation of 0.5 to 1 pixels; nnU-Net's is 0.2."},

    {"model.name", CONFIG_TEXT, AT(model.name), .fallback = "unet",
     .meaning = "The network: unet, deeplabv1 (LargeFOV), deeplabv2 (rates 6 to 24, summed) or deeplabv3 (rates 6 to 18 and image pooling)."},
    {"model.backbone", CONFIG_TEXT, AT(model.backbone), .fallback = "default",
     .meaning = "DeepLab's backbone: resnet38d (the default), resnet18 (small enough to train from scratch), resnet50 or resnet101; none for unet."},
    {"model.width", CONFIG_INT, AT(model.width), .fallback = "64", RANGE(1, 1024),
     .meaning = "Channels of the network's first level; weights trained elsewhere have 64."},
    {"model.rate", CONFIG_INT, AT(model.rate), .fallback = "12", RANGE(1, 64),
     .meaning = "DeepLab: dilation of LargeFOV, and the middle one of the pyramids, whose other rates scale with it; 12 suits crops of 450 pixels."},
    {"model.batch_norm", CONFIG_ENUM, AT(model.batch_norm), .fallback = "batch", .names = batch_norms,
     .meaning = "The backbone's batch norm: statistics of the batch, or frozen as loaded, together with the first convolution."},
    {"model.init", CONFIG_TEXT, AT(model.init), .fallback = "default",
     .meaning = "Initial weights: default (random, by the seed) or a .safetensors file."},
    {"model.init_strict", CONFIG_BOOL, AT(model.init_strict), .fallback = "true",
     .meaning = "Whether that file must hold every tensor and no other; false loads those it has and logs the others (a new head, for example)."},

    {"train.epochs", CONFIG_INT, AT(train.epochs), .fallback = "100", RANGE(1, 1000000),
     .meaning = "Passes over the training set. A run that is resumed may have another number; correction.at then stays at its epoch, while train.schedule follows the new number."},
    {"train.iterations", CONFIG_INT, AT(train.iterations), .fallback = "0", RANGE(0, 1000000000),
     .meaning = "Above 0: total number of steps, instead of epochs; the last epoch may be incomplete."},
    {"train.batch", CONFIG_INT, AT(train.batch), .fallback = "5", RANGE(1, 4096),
     .meaning = "Images per step."},
    {"train.parts", CONFIG_INT, AT(train.parts), .fallback = "1", RANGE(1, 1024),
     .meaning = "A power of two that divides train.batch: parts of equal size that each batch is divided into. Each part is a forward and backward pass of its own, with its own batch-norm statistics; the update takes the mean of the parts' gradients, the running statistics are the mean of the parts' running statistics, and the loss is the mean of the parts' mean losses. So memory is needed for one part, not for the batch. The images at the end of an epoch that do not fill a batch are divided as well; those of them that do not fill a part are left out of that epoch, and all of them where a part would have no image, or one image though a batch norm needs two. Not together with train.accumulate."},
    {"train.accumulate", CONFIG_INT, AT(train.accumulate), .fallback = "1", RANGE(1, 4096),
     .meaning = "Steps whose gradients are averaged for one update of the weights; an epoch's last update takes those that are left. train.iterations and train.schedule count steps. A batch norm has the statistics of one batch, so that it is not the same as a batch so many times larger."},
    {"train.drop_last", CONFIG_BOOL, AT(train.drop_last), .fallback = "false",
     .meaning = "Drop the images at the end of an epoch that do not fill a batch. Otherwise they are a smaller batch; a single one joins the batch before it when a batch norm would get one value per channel."},
    {"train.optimizer.name", CONFIG_ENUM, AT(train.optimizer), .fallback = "sgd", .names = optimizers,
     .meaning = "The optimizer: stochastic gradient descent with momentum, or AdamW (which wants a rate of about 0.001)."},
    {"train.optimizer.lr", CONFIG_REAL, AT(train.lr), .fallback = "0.01", ABOVE(0, 1000),
     .meaning = "Learning rate at the start."},
    {"train.optimizer.momentum", CONFIG_REAL, AT(train.momentum), .fallback = "0.99", RANGE(0, 1),
     .meaning = "sgd: share of the last update that is added to the next."},
    {"train.optimizer.weight_decay", CONFIG_REAL, AT(train.weight_decay), .fallback = "0", RANGE(0, 1),
     .meaning = "Weight decay; biases have none. sgd adds it to the gradient (L2); adamw takes rate x weight_decay of each weight away, beside its step."},
    {"train.optimizer.betas", CONFIG_REAL_PAIR, AT(train.betas), .fallback = "[0.9, 0.999]", RANGE(0, 0.999999),
     .meaning = "adamw: how much the running means of the gradient and of its square keep at each update."},
    {"train.optimizer.eps", CONFIG_REAL, AT(train.eps), .fallback = "1e-08", RANGE(1e-15, 1),
     .meaning = "adamw: what is added to the root of the mean square."},
    {"train.optimizer.groups", CONFIG_ENUM, AT(train.groups), .fallback = "uniform", .fallback_voc = "voc", .names = groups,
     .meaning = "Rates of the parameters: all the same, or biases twice, a head's new layers 10 times, their biases 20 times."},
    {"train.schedule", CONFIG_ENUM, AT(train.schedule), .fallback = "constant", .names = schedules,
     .meaning = "The learning rate over time: constant, or falling to zero by (1 - step / steps)^poly_power, or by (1 + cos(pi step / steps)) / 2."},
    {"train.poly_power", CONFIG_REAL, AT(train.poly_power), .fallback = "0.9", ABOVE(0, 10),
     .meaning = "The power of the poly schedule."},
    {"train.warmup_epochs", CONFIG_REAL, AT(train.warmup_epochs), .fallback = "0", RANGE(0, 1000000),
     .meaning = "Epochs, or a part of one, in which the learning rate rises in equal steps to train.optimizer.lr; train.schedule covers the steps that follow."},
    {"train.seed", CONFIG_SEED, AT(train.seed), .fallback = "0",
     .meaning = "Seed of weights, order and augmentation."},
    {"train.precision", CONFIG_ENUM, AT(train.precision), .fallback = "fp32", .names = precisions,
     .meaning = "Number format of the activations; weights are always kept in fp32."},
    {"train.on_nan", CONFIG_ENUM, AT(train.on_nan), .fallback = "stop", .names = nan_handlings,
     .meaning = "When a loss or a gradient is not finite: stop, skip the step, or roll back to the last checkpoint."},
    {"train.checkpoint_every", CONFIG_INT, AT(train.checkpoint_every), .fallback = "1", RANGE(1, 1000000),
     .meaning = "Epochs between checkpoints."},
    {"train.best_by", CONFIG_ENUM, AT(train.select), .fallback = "val", .names = selections,
     .meaning = "What checkpoints/best holds: the epoch best on the validation split, or the last one."},
    {"train.patience", CONFIG_INT, AT(train.patience), .fallback = "0", RANGE(0, 1000000),
     .meaning = "Above 0: the run ends early after an evaluation when the validation score has not become better for so many epochs; needs a validation split and train.best_by: val. An end before the onset of memorization, or before correction.at of the method ensemble, is one before any correction."},
    {"train.evaluate_every", CONFIG_INT, AT(train.evaluate_every), .fallback = "1", RANGE(1, 1000000),
     .meaning = "Epochs between evaluations, at the training size; `adele evaluate` scores at the files' own size."},
    {"train.evaluate_test", CONFIG_BOOL, AT(train.evaluate_test), .fallback = "false",
     .meaning = "Also evaluate the test split; for tables, never for selection."},
    {"train.average", CONFIG_BOOL, AT(train.average), .fallback = "false", .fallback_ensemble = "true",
     .meaning = "Keep an average of the weights and running statistics: after update t, counted from 0, average = d average + (1 - d) weights, d = min(0.99, (1 + t) / (10 + t)). Method ensemble: the averaged weights make the predictions from which it corrects; with false, those of each epoch's last step do. It takes the memory of one more copy of the weights."},
    {"train.evaluate_averaged", CONFIG_BOOL, AT(train.evaluate_averaged), .fallback = "false", .fallback_ensemble = "true",
     .meaning = "Whether the averaged weights are the model that is evaluated, kept as the best one, and exported; where it is not written, as train.average."},

    {"loss.form", CONFIG_ENUM, AT(loss.form), .fallback = "official", .names = forms,
     .meaning = "The loss: plain cross-entropy, that of the authors' official program, or that of the paper's equations."},
    {"loss.scales", CONFIG_SCALES, AT(loss.scales), .count_offset = offsetof(struct config, loss.n_scales),
     .fallback = "[1.0, 0.7, 1.5]", ABOVE(0, 4),
     .meaning = "Scales of the input in training; the first is 1.0."},
    {"loss.lambda", CONFIG_REAL, AT(loss.lambda), .fallback = "1", RANGE(0, 1000),
     .meaning = "Weight of the consistency term."},
    {"loss.rho", CONFIG_REAL, AT(loss.rho), .fallback = "0.8", RANGE(0, 1),
     .meaning = "Confidence from which an image takes part in the consistency term."},
    {"loss.divisor", CONFIG_REAL, AT(loss.divisor), .fallback = "0", RANGE(0, 1000),
     .meaning = "What the loss is divided by; 0 is 3 for form official of the segthor pipeline, and 1 otherwise."},
    {"loss.learn_scale_weights", CONFIG_BOOL, AT(loss.learn_scale_weights), .fallback = "false",
     .meaning = "Learn the weights of the scales instead of weighting all the same."},
    {"loss.dice", CONFIG_REAL, AT(loss.dice), .fallback = "0", RANGE(0, 1000),
     .meaning = "Weight of a soft Dice loss of the foreground classes (1 - Dice, smoothed by 1e-5, without ignored pixels) of the prediction at scale 1.0, which is added to the loss of any form behind loss.divisor; 0 is none."},
    {"loss.dice_reduction", CONFIG_ENUM, AT(loss.dice_reduction), .fallback = "batch", .names = dice_reductions,
     .meaning = "Whether its sums are those of the whole batch, or of each image, whose losses are averaged."},
    {"loss.class_weights", CONFIG_WEIGHTS, AT(loss.class_weights), .count_offset = offsetof(struct config, loss.n_class_weights),
     .fallback = "[]", RANGE(0, 1000),
     .meaning = "What the cross-entropy of a pixel is multiplied by, for each class of its label, at every scale of every form; the consistency term has no weights. The mean divides by the sum of the pixels' weights, as PyTorch's does (forms official and paper: ignored pixels, which their mean counts, have the mean weight of the others). inverse: (1 / n) / m for a class with n pixels in the training labels, m the mean of 1 / n, so that the weights' mean is 1."},

    {"correction.enabled", CONFIG_BOOL, AT(correction.enabled), .fallback = "true",
     .meaning = "Whether labels are corrected."},
    {"correction.method", CONFIG_ENUM, AT(correction.method), .fallback = "adele", .names = methods,
     .meaning = "adele: the paper's, each class from its onset of memorization on; ensemble: once, from the predictions of all epochs so far, decided by area (rule both, all classes, no threshold of confidence)."},
    {"correction.at", CONFIG_REAL, AT(correction.at), .fallback = "0.3333333333333333", RANGE(0, 1),
     .meaning = "Method ensemble with timing fixed: the share of the epochs after which labels are corrected, rounded to an epoch, at least the first. A run that is resumed with another train.epochs keeps the epoch with which it began."},
    {"correction.timing", CONFIG_ENUM, AT(correction.timing), .fallback = "fixed", .names = timings,
     .meaning = "Method ensemble: all classes at correction.at, or each class once at its own onset, which is found as with the method adele."},
    {"correction.beta", CONFIG_REAL, AT(correction.beta), .fallback = "0.9", RANGE(0, 0.999),
     .meaning = "Method ensemble: what the average of predictions keeps at each epoch; its memory is two bytes for each class of each pixel of the network's output, for all training images."},
    {"correction.guide", CONFIG_REAL, AT(correction.guide), .fallback = "0.06", RANGE(0, 1),
     .meaning = "Method ensemble: radius of the guided filter that makes the average follow the edges of the image, as a share of the image's shorter side; 0 is no filter. The guide is the image in 0..1: values of 8 bits divided by 255, others scaled from the smallest to the largest value of each image, so that a single outlier weakens all edges of its image."},
    {"correction.guide_eps", CONFIG_REAL, AT(correction.guide_eps), .fallback = "0.001", ABOVE(0, 1),
     .meaning = "Method ensemble: what the filter adds to the variance of the image, whose values are 0 to 1; edges of less contrast are smoothed."},
    {"correction.decision", CONFIG_ENUM, AT(correction.decision), .fallback = "area", .names = decisions,
     .meaning = "Method ensemble: how a pixel's class is chosen: each class with a threshold of its own, at which it has the area that its probabilities sum up to; or the most probable class (needs correction.gate: false)."},
    {"correction.calibrate", CONFIG_BOOL, AT(correction.calibrate), .fallback = "true",
     .meaning = "Method ensemble, decision area: bring the areas of each class halfway (their geometric mean) from what the ensemble's probabilities give to it in all training images to what all original masks do; the averages of the first epochs give small classes too much."},
    {"correction.gate", CONFIG_ENUM, AT(correction.gate), .fallback = "true", .names = gates,
     .meaning = "Method ensemble: true: the labels of a class stay as they are where they are not clearly wrong, or where the network has not learned the class; learned: in the second case alone, for masks that are known to be wrong; false: all classes are corrected, which makes labels worse where the network has not learned the class. The log and the report say what was measured."},
    {"correction.per_category", CONFIG_BOOL, AT(correction.per_category), .fallback = "true",
     .meaning = "Method adele, and ensemble with timing onset: each class from its own onset; false: all from the same epoch on."},
    {"correction.all_from", CONFIG_ENUM, AT(correction.all_from), .fallback = "first", .names = beginnings,
     .meaning = "Without per_category (methods as there), that epoch: the first class's onset, or the onset of the mean foreground curve."},
    {"correction.pipeline", CONFIG_ENUM, AT(correction.pipeline), .fallback = "segthor", .names = pipelines,
     .meaning = "Which pipeline of the paper gives the defaults below."},
    {"correction.r", CONFIG_REAL, AT(correction.r), .fallback = "0.9", ABOVE(0, 1),
     .meaning = "Method adele, and ensemble with timing onset: relative change of the fitted curve's slope at which memorization is taken to begin."},
    {"correction.tau", CONFIG_REAL, AT(correction.tau), .fallback = "0.7", .fallback_voc = "0.8", RANGE(0, 1),
     .meaning = "Method adele: confidence above which a pixel is corrected."},
    {"correction.tau_background", CONFIG_REAL, AT(correction.tau_background), .fallback = "0", RANGE(0, 1),
     .meaning = "Method adele: the same for pixels predicted as background; 0 is tau."},
    {"correction.interval", CONFIG_INT, AT(correction.interval), .fallback = "100", RANGE(1, 1000000),
     .meaning = "Both methods, pipeline voc: iterations between two values of the IoU curves that are fitted; segthor has one per epoch."},
    {"correction.every", CONFIG_INT, AT(correction.every), .fallback = "10", .fallback_voc = "1", RANGE(1, 1000000),
     .meaning = "Method adele: each class is corrected once in so many epochs."},
    {"correction.rule", CONFIG_ENUM, AT(correction.rule), .fallback = "both", .fallback_voc = "single", .names = rules,
     .meaning = "Method adele: whether label and prediction both have to be of corrected classes, or the prediction alone."},
    {"correction.class_constraint", CONFIG_BOOL, AT(correction.class_constraint), .fallback = "true",
     .meaning = "Both methods: only write classes that the image's label already holds."},
    {"correction.mask", CONFIG_BOOL, AT(correction.mask), .fallback = "false",
     .meaning = "Method adele: write 255 (ignored) instead of the prediction."},
    {"correction.logic255", CONFIG_BOOL, AT(correction.logic255), .fallback = "false",
     .meaning = "Method adele, rule both: write 255 where a foreground label is predicted background."},
    {"correction.guard", CONFIG_BOOL, AT(correction.guard), .fallback = "false", .fallback_voc = "true",
     .meaning = "Method adele, rule single: do not correct an image whose foreground would almost vanish."},
    {"correction.base", CONFIG_ENUM, AT(correction.base), .fallback = "current", .fallback_voc = "original", .names = bases,
     .meaning = "Method adele: what is corrected: the labels as last corrected, or the original ones anew."},
    {"correction.source", CONFIG_ENUM, AT(correction.source), .fallback = "training_pass", .fallback_voc = "inference", .names = sources,
     .meaning = "Method adele: which prediction is used: that of the training pass (needs augmentation off), or a separate inference."},
    {"correction.scales", CONFIG_SCALES, AT(correction.scales), .count_offset = offsetof(struct config, correction.n_scales),
     .fallback = "[1.0, 0.7, 1.5]", .fallback_voc = "[0.75, 1.0, 1.5]", ABOVE(0, 4),
     .meaning = "Method adele, source inference: scales that are averaged."},
    {"correction.flip", CONFIG_BOOL, AT(correction.flip), .fallback = "true",
     .meaning = "Method adele, source inference: average with the horizontally flipped image."},
    {"correction.average", CONFIG_ENUM, AT(correction.average), .fallback = "probabilities", .fallback_voc = "logits", .names = averages,
     .meaning = "Method adele, source inference: what is averaged."},
    {"correction.temperature", CONFIG_REAL, AT(correction.temperature), .fallback = "0", RANGE(0, 1000),
     .meaning = "Method adele, source inference: what averaged logits are divided by; 0 is 3 for logits, and 1 otherwise."},
    {"correction.crf_iterations", CONFIG_INT, AT(correction.crf_iterations), .fallback = "0", .fallback_voc = "1", RANGE(0, 1000),
     .meaning = "Method adele, source inference: mean-field iterations of a dense CRF on the averaged prediction (needs images of 8 bits, 1 or 3 channels); 0 is none."},
    {"correction.crf_from_epoch", CONFIG_INT, AT(correction.crf_from_epoch), .fallback = "1", .fallback_voc = "10", RANGE(1, 1000000),
     .meaning = "Method adele, source inference: first epoch, counted from 1, whose correction uses the CRF (the official program counts from 0, and begins with 9)."},
    {"correction.smooth", CONFIG_INT, AT(correction.smooth), .fallback = "1", RANGE(1, 1000),
     .meaning = "Method adele, and ensemble with timing onset: moving average over so many IoU values before the fit; 1 is off."},
    {"correction.min_points", CONFIG_INT, AT(correction.min_points), .fallback = "8", RANGE(3, 1000000),
     .meaning = "Method adele, and ensemble with timing onset: before its IoU curve has so many values, a class's correction begins only with a margin a quarter above correction.veto, and without the veto, or with the ensemble, not at all; the paper's rule is 3."},
    {"correction.while_rising", CONFIG_BOOL, AT(correction.while_rising), .fallback = "false",
     .meaning = "Method adele, and ensemble with timing onset: whether correction may begin while the curve still rises (its last value is more than 0.02 above all before); the paper's rule is true."},
    {"correction.veto", CONFIG_REAL, AT(correction.veto), .fallback = "0.12", RANGE(0, 1),
     .meaning = "Method adele: keeps clean labels clean: a class is corrected only if the IoU of the network's predictions at two scales (1, and the one of loss.scales that agrees best; 1.5 where there is no other) exceeds its IoU with the original labels by more than this; 0 is off, the paper's rule."},
};
// clang-format on
