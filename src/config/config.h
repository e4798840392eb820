// SPDX-License-Identifier: MIT
// The configuration of a run: a YAML file, --set overrides, defaults. An unknown key is an error
// that names the nearest one. Every key with its default and meaning is in configs/KEYS.md, which a
// test compares with the table of keys (config_write_keys).
#ifndef ADELE_CONFIG_CONFIG_H
#define ADELE_CONFIG_CONFIG_H

#include "base/memory.h"
#include "data/dataset.h"
#include "device/device.h"
#include "nn/network.h"
#include "noise/noise.h"
#include "onset/onset.h"

enum residency { RESIDENCY_AUTO, RESIDENCY_DEVICE, RESIDENCY_HOST }; // of the images
enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_POLY, SCHEDULE_COSINE };
enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_ADAMW };
enum correction_source { SOURCE_TRAINING_PASS, SOURCE_INFERENCE };
enum correction_base { BASE_CURRENT, BASE_ORIGINAL };
enum correction_method { METHOD_ADELE, METHOD_ENSEMBLE };
enum correction_timing { TIMING_FIXED, TIMING_ONSET };
// Which classes the ensemble may correct: those whose labels are clearly wrong and that the network
// has learned; all that it has learned; all.
enum correction_gate { GATE_FULL, GATE_LEARNED, GATE_NONE };
enum nan_handling { ON_NAN_STOP, ON_NAN_SKIP, ON_NAN_ROLLBACK };
enum model_selection { SELECT_LAST, SELECT_BEST_VAL };
enum dice_reduction { DICE_OF_BATCH, DICE_OF_IMAGE };
#define CLASS_WEIGHTS_INVERSE (-1)
enum batch_norm_mode { BATCH_NORM_BATCH, BATCH_NORM_FROZEN };

// Every field is a key of key_table.c, which has its name, default, range and meaning. Texts are
// owned by the config; a text that is not given is NULL. Values whose 0 means "derived from another
// key" (divisor, tau_background, temperature) are resolved.
struct config {
    struct {
        char *root;
        enum dataset_layout layout;
        char *split[SPLIT_COUNT]; // NULL: the layout's own
        char *image_folder, *mask_folder, *mask_suffix;
        int size[2];  // height, width; 0, 0: as the files are
        int crop[2];  // height, width; 0, 0: the whole image
        int patch[2]; // height, width; 0, 0: whole images
        double patch_foreground;
        enum image_normalize normalize;
        char *noisy_labels, *true_labels;
        int n_label_map; // pairs of map_from and map_to
        int *map_from;
        uint8_t *map_to;
        int map_other;
        int n_map_names;
        char **map_names;
        bool foreground_slices_only, follow_links;
        int64_t memory_limit_mb;
        enum residency residency;
        struct noise_config noise;
        struct adele_augment augment;
        struct adele_intensity intensity; // of data.augment; not used when that is off
    } data;
    struct {
        char *name, *backbone;
        int width, rate;
        enum batch_norm_mode batch_norm;
        char *init; // "default" or a .safetensors file
        bool init_strict;
    } model;
    struct {
        int epochs, iterations; // iterations 0: by epochs
        int batch, parts, accumulate;
        enum optimizer_kind optimizer;
        double lr, momentum, weight_decay;
        double betas[2], eps; // AdamW
        enum rate_groups groups;
        enum schedule_kind schedule;
        double poly_power, warmup_epochs;
        uint64_t seed;
        enum adele_precision precision;
        bool drop_last;
        enum nan_handling on_nan;
        int checkpoint_every; // epochs
        enum model_selection select;
        int patience;       // epochs; 0: off
        int evaluate_every; // epochs
        bool evaluate_test;
        bool average, evaluate_averaged;
    } train;
    struct {
        enum adele_loss_form form;
        int n_scales;
        double scales[ADELE_MAX_SCALES]; // the first is 1
        double lambda, rho, divisor;
        bool learn_scale_weights;
        double dice; // weight; 0: off
        enum dice_reduction dice_reduction;
        int n_class_weights; // 0: none; CLASS_WEIGHTS_INVERSE: found in the training labels
        double class_weights[ADELE_MAX_CATEGORIES];
    } loss;
    struct {
        bool enabled;
        enum correction_method method;
        // Of the method ensemble:
        double at; // share of the epochs
        enum correction_timing timing;
        double beta;
        double guide, guide_eps; // share of the shorter side; 0: no filter
        enum adele_area_mode decision;
        bool calibrate;
        // Of ADELE, and of timing onset:
        bool per_category;
        enum schedule_mode all_from;
        enum onset_pipeline pipeline;
        double r;
        double tau, tau_background;
        int interval; // iterations
        int every;    // epochs
        enum adele_correct_rule rule;
        bool class_constraint, mask, logic255, guard;
        enum correction_base base;
        enum correction_source source;
        int n_scales;
        double scales[ADELE_MAX_SCALES];
        bool flip;
        enum adele_ensemble_mode average;
        double temperature;
        int crf_iterations, crf_from_epoch;
        int smooth, min_points;
        bool while_rising;
        double veto;               // 0 = off
        enum correction_gate gate; // of the method ensemble
    } correction;
    char *name;             // of the run, in reports
    char *source_path;      // the file it came from
    bool is_of_run;         // which is that of a run: --data names other data
    struct config_raw *raw; // what was written there and by --set, for messages (key_table.h)
};

// Reads FILE, applies `n_sets` texts "key.path=value" (YAML values), fills defaults, checks ranges.
// ADELE_CONFIG names file, line or key, value, and what is allowed. Relative data.root and other
// paths are relative to the current folder. correction.pipeline and correction.method choose
// between the defaults that some keys have; a key that is written wins over them.
ADELE_MUST_CHECK adele_status config_load(const char *path, int n_sets, const char *const *sets,
                                          struct config **out);
// The same from text (tests; resume reads the resolved file by config_load).
ADELE_MUST_CHECK adele_status config_parse(const char *name, const char *text, size_t bytes,
                                           int n_sets, const char *const *sets,
                                           struct config **out);
void config_destroy(struct config *config); // NULL is legal
OWNER(config_destroy, struct config)
// check_new.c: ADELE_CONFIG for what no new run may have. Earlier versions have trained with it,
// and their runs are still resumed, evaluated and exported, so config_load takes it.
ADELE_MUST_CHECK adele_status config_check_new(const struct config *config);
// Whether labels are corrected by that method.
static inline bool config_has_ensemble(const struct config *config) {
    return config->correction.enabled && config->correction.method == METHOD_ENSEMBLE;
}
static inline bool config_has_adele(const struct config *config) {
    return config->correction.enabled && config->correction.method == METHOD_ADELE;
}
static inline bool config_has_intensity(const struct config *config) {
    const struct adele_intensity *intensity = &config->data.intensity;
    return config->data.augment.enabled &&
           (intensity->brightness > 0.0 || intensity->contrast > 0.0 || intensity->gamma > 0.0 ||
            intensity->noise > 0.0 || intensity->blur > 0.0);
}
const char *config_precision_name(enum adele_precision precision); // as it is written there
// Every key with its value, as YAML that config_load reads back to the same struct; same config,
// same bytes. Caller frees *out with memory_free.
ADELE_MUST_CHECK adele_status config_to_yaml(const struct config *config, char **out);
// The keys that are not at their defaults and that the method of the correction does not use,
// separated by ", ", into `out`; "" where there are none, or nothing is corrected.
ADELE_MUST_CHECK adele_status config_ignored_keys(const struct config *config, char *out,
                                                  size_t out_bytes);
// The part that `data` reads, and the part that `nn` reads, whose channels and categories follow
// from the data set. Texts are borrowed from config.
void config_dataset(const struct config *config, struct dataset_config *out);
void config_network(const struct config *config, struct network_config *out);

// The keys whose values are paths.
#define CONFIG_N_PATHS 6

struct config_path {
    const char *key;
    char **text; // owned by the configuration; NULL where it is not given
};
// The first one is data.root.
void config_list_paths(struct config *config, struct config_path out[CONFIG_N_PATHS]);
#endif
