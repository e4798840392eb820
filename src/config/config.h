// SPDX-License-Identifier: MIT
// The configuration of a run: a YAML file, --set overrides, defaults. Structure by libcyaml's
// schema, then a pass of ours for ranges. A key nobody knows is an error that names the nearest
// one. Every key with its default and meaning is in configs/KEYS.md, which a test compares with
// this code (config_write_keys).
#ifndef ADELE_CONFIG_CONFIG_H
#define ADELE_CONFIG_CONFIG_H

#include "data/dataset.h"
#include "data/noise.h"
#include "device/device.h"
#include "method/onset.h"
#include "nn/network.h"

enum residency { RESIDENCY_AUTO, RESIDENCY_DEVICE, RESIDENCY_HOST }; // of the images
enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_POLY };
enum correction_source { SOURCE_TRAINING_PASS, SOURCE_INFERENCE };
enum correction_base { BASE_CURRENT, BASE_ORIGINAL };
enum nan_handling { ON_NAN_STOP, ON_NAN_SKIP, ON_NAN_ROLLBACK };
enum model_selection { SELECT_LAST, SELECT_BEST_VAL };
enum batch_norm_mode { BATCH_NORM_BATCH, BATCH_NORM_FROZEN };

// YAML names in brackets where they are not the C path. All strings are owned by the config; a text
// that is not given is NULL. Values whose 0 means "by another key" (divisor, tau_background,
// temperature) are resolved.
struct config {
    struct {
        char *root;                 // required
        enum dataset_layout layout; // auto | nnunet | voc | img_ann
        char *split[SPLIT_COUNT];   // data.split.train, .val, .test; empty = the layout's own
        int size[2]; // [height, width], default [256, 256]; [0, 0] = as the files are
        int crop[2]; // [0, 0]: the whole image; augment.kind voc: what is cut from the scaled image
        enum image_normalize normalize; // image | imagenet
        char *noisy_labels, *true_labels;
        int n_label_map; // data.label_map: list of {from: [ints], to: int, name: text}
        int *map_from;
        uint8_t *map_to;
        int map_other; // data.label_map_other: -1 error (default), 0..255
        int n_map_names;
        char **map_names;
        bool foreground_slices_only; // default true
        bool follow_links;
        int64_t memory_limit_mb;   // default 4096
        enum residency residency;  // auto | device | host
        struct noise_config noise; // data.noise: {kind: none|under-over|flip|mixed, target_miou: 0,
                                   // iterations: [2, 4], flip_fraction: 0.05, seed: 0}
        struct adele_augment augment; // data.augment: {enabled: false, rotate: 45, translate: 0.1,
                                      // scale: [0.8, 1.5], flip: 0, kind: affine | voc, hsv: 10};
                                      // pipeline voc: kind voc, [0.5, 1.5], 0.5
    } data;
    struct {
        char *name;     // unet | deeplabv1 | deeplabv2 | deeplabv3
        char *backbone; // "default" = resnet38d for DeepLab; resnet18, resnet50, resnet101
        int width;      // 64
        int rate;       // 12
        enum batch_norm_mode batch_norm; // batch | frozen
        char *init;                      // "default" or a .safetensors file
        bool init_strict; // true: the file must hold every tensor of the network and no other
    } model;
    struct {
        int epochs, iterations, batch; // 100, 0 = by epochs, 5
        double lr, momentum,
            weight_decay; // train.optimizer: {name: sgd, lr: 0.01, momentum: 0.99, weight_decay: 0}
        enum rate_groups groups;        // train.optimizer.groups: uniform | voc
        enum schedule_kind schedule;    // constant | poly
        double poly_power;              // 0.9
        uint64_t seed;                  // 0
        enum adele_precision precision; // fp32 | bf16
        bool drop_last;                 // false
        enum nan_handling on_nan;       // stop | skip | rollback
        int checkpoint_every;           // epochs, 1
        enum model_selection
            select;         // train.best_by: val | last (what checkpoints/best holds), default val
        int evaluate_every; // epochs, 1: val (and test with evaluate_test)
        bool evaluate_test; // false: also evaluate the test split after each epoch (for tables)
    } train;
    struct {
        enum adele_loss_form form; // plain | program | paper, default program
        int n_scales;
        double scales[ADELE_MAX_SCALES]; // [1.0, 0.7, 1.5]; the first must be 1.0
        double lambda, rho;              // 1.0, 0.8
        double divisor;           // 0 = by pipeline: 3 segthor with form program, 1 otherwise
        bool learn_scale_weights; // false
    } loss;
    struct {
        bool enabled, per_category;   // true, true
        enum schedule_mode all_from;  // without per_category: first | mean
        enum onset_pipeline pipeline; // segthor | voc
        double r;                     // 0.9
        double tau, tau_background;   // 0.7 segthor (program), 0.8 voc; tau_background: 0 = tau
        int interval;                 // 100: voc, iterations between two values of the curves
        int every;                    // 10
        enum adele_correct_rule rule; // both | single
        bool class_constraint, mask, logic255, guard; // true, false, false, false
        enum correction_base base;                    // current | original
        enum correction_source source;                // training_pass | inference
        int n_scales;
        double scales[ADELE_MAX_SCALES];
        bool flip;                        // inference: [1.0, 0.7, 1.5], true
        enum adele_ensemble_mode average; // probabilities | logits
        double temperature;               // 1 (logits: 3)
        int crf_iterations;               // 0 segthor, 1 voc
        int crf_from_epoch;               // 1 segthor, 9 voc
        int smooth;                       // 1 = off
        int min_points;                   // 8; the paper's presets: 3
        bool while_rising;                // false; the paper's presets: true
        double veto;                      // 0.12; 0 = off, as in the paper's presets
    } correction;
    char *name;        // run name for reports; default: the config file's stem
    char *source_path; // the file it came from
};

// Reads FILE, applies `n_sets` texts "key.path=value" (YAML values), fills defaults, checks ranges.
// ADELE_CONFIG names file, line or key, value, and what is allowed. Relative data.root and other
// paths are taken relative to the current folder. The pipeline's preset (segthor or voc) gives the
// defaults of r, tau, every, rule, base, source, guard, average, temperature; keys that are written
// win.
ADELE_MUST_CHECK adele_status config_load(const char *path, int n_sets, const char *const *sets,
                                          struct config **out);
// The same from text (tests; resume reads the resolved file by config_load).
ADELE_MUST_CHECK adele_status config_parse(const char *name, const char *text, size_t bytes,
                                           int n_sets, const char *const *sets,
                                           struct config **out);
void config_destroy(struct config *config); // NULL is legal
// Every key with its value, as YAML that config_load reads back to the same struct; same config,
// same bytes. Caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status config_to_yaml(const struct config *config, char **out);
// configs/KEYS.md: a table of every key, default and meaning, from the same table that parses.
// Caller frees.
ADELE_MUST_CHECK adele_status config_write_keys(char **out);
// The data room's view of it, and the nn room's (channels and categories are the data's); borrowed
// from config.
void config_dataset(const struct config *config, struct dataset_config *out);
void config_network(const struct config *config, struct network_config *out);
#endif
