// SPDX-License-Identifier: MIT
// From a YAML text to a checked configuration.
#include "config/config.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/key_table.h"

#include <string.h>

#define MAX_CONFIG_BYTES ((size_t)1 << 20)

// ---- what depends on other keys -----------------------------------------------------------------

static adele_status resolve_name(struct config *config) {
    if (config->name != NULL)
        return ADELE_OK;
    const char *base = file_base_name(config->source_path);
    size_t n = strlen(base);
    if (file_has_suffix(base, ".yaml"))
        n -= 5;
    else if (file_has_suffix(base, ".yml"))
        n -= 4;
    config->name = memory_printf("%.*s", (int)n, base);
    return CHECK_MEMORY(config->name);
}

// Values whose 0 means that another key decides.
static void resolve_automatic(struct config *config) {
    bool is_thirds =
        config->correction.pipeline == ONSET_SEGTHOR && config->loss.form == ADELE_LOSS_PROGRAM;
    if (config->loss.divisor == 0.0)
        config->loss.divisor = is_thirds ? 3.0 : 1.0;
    if (config->correction.tau_background == 0.0)
        config->correction.tau_background = config->correction.tau;
    if (config->correction.temperature == 0.0)
        config->correction.temperature =
            config->correction.average == ADELE_ENSEMBLE_LOGITS ? 3.0 : 1.0;
}

static adele_status check_network(const struct config *config) {
    struct network_config network;
    config_network(config, &network);
    TRY(network_check_names(&network));
    if (network.is_frozen && strcmp(config->model.init, "default") == 0)
        return FAIL(ADELE_CONFIG,
                    "Name the backbone's trained weights in model.init, or leave model.batch_norm "
                    "out.",
                    "model.batch_norm is frozen, but model.init is default: random weights "
                    "have no statistics worth freezing");
    return ADELE_OK;
}

static adele_status check_patch(const struct config *config) {
    const int *patch = config->data.patch, *size = config->data.size, *crop = config->data.crop;
    if ((patch[0] == 0) != (patch[1] == 0))
        return FAIL(ADELE_CONFIG, "Write [0, 0] to train on whole images.",
                    "data.patch is [%d, %d]; either both are 0 or none", patch[0], patch[1]);
    if (patch[0] == 0)
        return ADELE_OK;
    if (size[0] > 0)
        return FAIL(ADELE_CONFIG, "Set data.size: [0, 0], or leave data.patch out.",
                    "data.patch cuts from images at the files' own size, but data.size is [%d, "
                    "%d]",
                    size[0], size[1]);
    if (crop[0] > 0)
        return FAIL(ADELE_CONFIG, "Leave one of the two out.",
                    "data.patch is [%d, %d] and data.crop is [%d, %d]", patch[0], patch[1], crop[0],
                    crop[1]);
    if (config_has_ensemble(config))
        return FAIL(ADELE_CONFIG, "Set correction.method: adele, or leave data.patch out.",
                    "correction.method: ensemble averages predictions of whole images, but "
                    "data.patch is [%d, %d]",
                    patch[0], patch[1]);
    if (config->correction.enabled && config->correction.source == SOURCE_TRAINING_PASS)
        return FAIL(ADELE_CONFIG, "Set correction.source: inference, or correction.enabled: false.",
                    "correction.source: training_pass cannot be used with data.patch: the "
                    "training sees parts of the images");
    return ADELE_OK;
}

// The gate's thresholds are for the decision by area; without a guided filter, the most probable
// class would be compared with itself.
static adele_status check_gate(const struct config *config) {
    if (!config_has_ensemble(config) || config->correction.gate == GATE_NONE ||
        config->correction.decision == ADELE_AREA_THRESHOLDS)
        return ADELE_OK;
    return FAIL(ADELE_CONFIG, "Set correction.gate: false, or correction.decision: area.",
                "correction.decision is argmax, but correction.gate: %s measures the "
                "decision by area",
                config->correction.gate == GATE_FULL ? "true" : "learned");
}

static adele_status check_parts(const struct config *config) {
    int parts = config->train.parts, batch = config->train.batch;
    if ((parts & (parts - 1)) != 0)
        return FAIL(ADELE_CONFIG, "Write 1, 2, 4, 8, ..", "train.parts is %d, no power of two",
                    parts);
    if (batch % parts != 0)
        return FAIL(ADELE_CONFIG, "Make train.batch a multiple of train.parts.",
                    "train.batch is %d, which train.parts: %d does not divide", batch, parts);
    if (parts > 1 && config->train.accumulate > 1)
        return FAIL(ADELE_CONFIG, "Leave one of the two out: more parts do the same.",
                    "train.parts is %d and train.accumulate is %d", parts,
                    config->train.accumulate);
    return ADELE_OK;
}

static adele_status check_elastic(const struct config *config) {
    const struct adele_augment *augment = &config->data.augment;
    double shift = augment->elastic_shift, spacing = augment->elastic_spacing;
    if (!augment->enabled || shift == 0.0)
        return ADELE_OK;
    if (augment->kind != ADELE_AUGMENT_AFFINE)
        return FAIL(ADELE_CONFIG, "Set data.augment.kind: affine, or leave the key out.",
                    "data.augment.elastic is [%g, %g], but data.augment.kind is voc", shift,
                    spacing);
    if (spacing < ADELE_ELASTIC_SPACING || shift > ADELE_ELASTIC_SHARE * spacing)
        return FAIL(ADELE_CONFIG,
                    "Make the distance of the grid points at least 8, and the shift at most 0.48 "
                    "of it: the image would fold.",
                    "data.augment.elastic is [%g, %g]", shift, spacing);
    return ADELE_OK;
}

static adele_status check_together(const struct config *config) {
    const int *size = config->data.size;
    const struct noise_config *noise = &config->data.noise;
    const struct adele_augment *augment = &config->data.augment;
    if ((size[0] == 0) != (size[1] == 0))
        return FAIL(ADELE_CONFIG, "Write [0, 0] to keep the files' size.",
                    "data.size is [%d, %d]; either both are 0 or none", size[0], size[1]);
    if ((config->data.crop[0] == 0) != (config->data.crop[1] == 0))
        return FAIL(ADELE_CONFIG, "Write [0, 0] to train on whole images.",
                    "data.crop is [%d, %d]; either both are 0 or none", config->data.crop[0],
                    config->data.crop[1]);
    if (config->data.crop[0] > 0 && (!augment->enabled || augment->kind != ADELE_AUGMENT_VOC))
        return FAIL(ADELE_CONFIG, "Set data.augment: {enabled: true, kind: voc}, or no data.crop.",
                    "data.crop is [%d, %d], but only data.augment.kind: voc crops",
                    config->data.crop[0], config->data.crop[1]);
    TRY(check_patch(config));
    TRY(check_parts(config));
    TRY(check_gate(config));
    TRY(check_elastic(config));
    if (noise->iterations_low > noise->iterations_high)
        return FAIL(ADELE_CONFIG, "Write the lower number first.",
                    "data.noise.iterations is [%d, %d]", noise->iterations_low,
                    noise->iterations_high);
    if (noise->corners_low > noise->corners_high)
        return FAIL(ADELE_CONFIG, "Write the lower number first.", "data.noise.corners is [%d, %d]",
                    noise->corners_low, noise->corners_high);
    if (!(augment->scale_low <= augment->scale_high))
        return FAIL(ADELE_CONFIG, "Write the lower number first.", "data.augment.scale is [%g, %g]",
                    augment->scale_low, augment->scale_high);
    if (noise->kind != NOISE_NONE && config->data.noisy_labels != NULL)
        return FAIL(ADELE_CONFIG, "Leave one of the two out.",
                    "data.noise.kind asks for synthetic noise, but data.noisy_labels is %s",
                    config->data.noisy_labels);
    if (config->train.patience > 0 && config->train.select != SELECT_BEST_VAL)
        return FAIL(ADELE_CONFIG, "Set train.best_by: val, or train.patience: 0.",
                    "train.patience is %d, but train.best_by: last compares no scores",
                    config->train.patience);
    if (config->train.evaluate_averaged && !config->train.average)
        return FAIL(ADELE_CONFIG, "Set train.average: true, or leave train.evaluate_averaged out.",
                    "train.evaluate_averaged is true, but train.average is false");
    if (config->loss.scales[0] != 1.0)
        return FAIL(ADELE_CONFIG, "Write 1.0 first: labels and predictions are at that scale.",
                    "loss.scales begins with %g; allowed: 1.0", config->loss.scales[0]);
    if (strcmp(config->model.init, "default") != 0 &&
        !file_has_suffix(config->model.init, ".safetensors"))
        return FAIL(
            ADELE_CONFIG, "Convert the weights: tools/convert_weights.py WEIGHTS OUT.safetensors.",
            "model.init is \"%s\"; allowed: default or a .safetensors file", config->model.init);
    return check_network(config);
}

// ---- loading ------------------------------------------------------------------------------------

static const struct config_slot *slot_of(const struct config_raw *raw, const char *path) {
    static const struct config_slot none = {0};
    int i_key = -1;
    return config_is_known(path, &i_key) ? config_raw_slot(raw, i_key) : &none;
}

static adele_status store_all(const char *name, const struct config_raw *raw,
                              struct config *config) {
    // First those on which the defaults of other keys depend.
    static const char *const first[] = {"correction.pipeline", "correction.method"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        int i_key = -1;
        if (!config_is_known(first[i], &i_key))
            return FAIL(ADELE_CONFIG, "", "%s: no key %s", name, first[i]);
        TRY(config_value_store(name, &config_keys[i_key], config_raw_slot(raw, i_key), config));
    }
    for (int i = 0; i < CONFIG_N_KEYS; i++)
        if (strcmp(config_keys[i].path, first[0]) != 0 &&
            strcmp(config_keys[i].path, first[1]) != 0)
            TRY(config_value_store(name, &config_keys[i], config_raw_slot(raw, i), config));
    TRY(resolve_name(config));
    resolve_automatic(config);
    if (config_is_null(slot_of(raw, "train.evaluate_averaged")->text))
        config->train.evaluate_averaged = config->train.average;
    adele_status status = check_together(config);
    if (status == ADELE_OK)
        status = config_check_unused(raw, config);
    return config_name_origin(config, status);
}

adele_status config_parse(const char *name, const char *text, size_t bytes, int n_sets,
                          const char *const *sets, struct config **out) {
    *out = NULL;
    OWNED_BY(config_destroy) struct config *config = NULL;
    TRY(ALLOCATE(&config, 1));
    config->source_path = memory_strdup(name);
    TRY(CHECK_MEMORY(config->source_path));
    TRY(config_raw_parse(name, text, bytes, &config->raw));
    for (int i = 0; i < n_sets; i++)
        TRY(config_raw_set(config->raw, sets[i]));
    TRY(store_all(name, config->raw, config));
    *out = config;
    config = NULL;
    return ADELE_OK;
}

adele_status config_load(const char *path, int n_sets, const char *const *sets,
                         struct config **out) {
    *out = NULL;
    OWNED char *text = NULL;
    size_t bytes = 0;
    if (file_is_directory(path))
        return FAIL(ADELE_IO,
                    "`adele init FOLDER -o FILE.yaml` writes a configuration for a folder.",
                    "%s: is a folder, not a configuration", path);
    TRY(file_read(path, MAX_CONFIG_BYTES, &text, &bytes));
    return config_parse(path, text, bytes, n_sets, sets, out);
}

void config_destroy(struct config *config) {
    if (config == NULL)
        return;
    for (int i = 0; i < CONFIG_N_KEYS; i++) {
        if (config_keys[i].kind == CONFIG_TEXT)
            memory_free(*(char **)((char *)config + config_keys[i].offset));
    }
    for (int i = 0; i < config->data.n_map_names; i++)
        memory_free(config->data.map_names[i]);
    memory_free(config->data.map_names);
    memory_free(config->data.map_from);
    memory_free(config->data.map_to);
    memory_free(config->source_path);
    config_raw_destroy(config->raw);
    memory_free(config);
}

void config_dataset(const struct config *config, struct dataset_config *out) {
    *out = (struct dataset_config){
        .root = config->data.root,
        .is_of_run = config->is_of_run,
        .layout = config->data.layout,
        .noisy_labels = config->data.noisy_labels,
        .true_labels = config->data.true_labels,
        .normalize = config->data.normalize,
        .height = config->data.size[0],
        .width = config->data.size[1],
        .is_padded = config->data.patch[0] > 0,
        .map = {.n = config->data.n_label_map,
                .from = config->data.map_from,
                .to = config->data.map_to,
                .other = config->data.map_other,
                .n_names = config->data.n_map_names,
                .names = (const char *const *)config->data.map_names},
        .foreground_slices_only = config->data.foreground_slices_only,
        .memory_limit = (size_t)config->data.memory_limit_mb << 20,
        .follow_links = config->data.follow_links,
    };
    out->image_folder = config->data.image_folder;
    out->mask_folder = config->data.mask_folder;
    out->mask_suffix = config->data.mask_suffix;
    for (int i = 0; i < SPLIT_COUNT; i++)
        out->split[i] = config->data.split[i];
}

void config_network(const struct config *config, struct network_config *out) {
    *out = (struct network_config){.name = config->model.name,
                                   .backbone = config->model.backbone,
                                   .width = config->model.width,
                                   .rate = config->model.rate,
                                   .is_frozen = config->model.batch_norm == BATCH_NORM_FROZEN,
                                   .groups = config->train.groups,
                                   .seed = config->train.seed,
                                   .precision = config->train.precision};
}

void config_list_paths(struct config *config, struct config_path out[CONFIG_N_PATHS]) {
    const struct config_path paths[CONFIG_N_PATHS] = {
        {"data.root", &config->data.root},
        {"data.noisy_labels", &config->data.noisy_labels},
        {"data.true_labels", &config->data.true_labels},
        {"data.split.train", &config->data.split[SPLIT_TRAIN]},
        {"data.split.val", &config->data.split[SPLIT_VAL]},
        {"data.split.test", &config->data.split[SPLIT_TEST]},
    };
    memcpy(out, paths, sizeof paths);
}
