// SPDX-License-Identifier: MIT
#include "audit/audit.h"

#include "audit/audit_bias.h"
#include "audit/audit_gallery.h"
#include "audit/audit_gather.h"
#include "audit/audit_mask.h"
#include "audit/audit_table.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/safetensors.h"
#include "data/label_lookup.h"
#include "noise/noise_images.h"
#include "output/label_store.h"
#include "predict/case_findings.h"
#include "predict/case_ranks.h"
#include "predict/model_output.h"
#include "predict/shared_output.h"
#include "ranks/rank_facts.h"
#include "run_folder/run_folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_LOGGED 5 // of the most doubtful images

struct audit {
    const struct audit_options *options;
    struct dataset *dataset;
    enum dataset_split split;
    char *folder;
    struct output *output;
    struct dataset_images noisy; // the labels of a run with data.noise; n = 0: the files' are meant
    int i_noisy;                 // row of the next image
    struct doubt doubt;
    struct audit_table table;
    struct audit_gallery gallery;
    struct changes changes; // of masked labels
    bool is_mask_value_new; // the data set does not ignore options->mask_value yet
    uint8_t *masked;        // (slices, h, w) of the present case; NULL without
    const bool *is_wanted;  // of each case; NULL: all
    int n_folds;            // 0: one model predicts all cases
};

void audit_options_init(struct audit_options *out) {
    memset(out, 0, sizeof *out);
    model_options_init(&out->model);
    out->model.split = SPLIT_TRAIN;
    out->limits = (struct doubt_limits){.confidence = 0.5}; // and pixels by the image
    out->max_regions = 10000;
    out->max_pictures = 32;
    out->mask_value = -1;
}

static void audit_deinit(struct audit *audit) {
    output_destroy(audit->output);
    changes_deinit(&audit->changes);
    audit_gallery_deinit(&audit->gallery);
    audit_table_deinit(&audit->table);
    doubt_deinit(&audit->doubt);
    dataset_images_deinit(&audit->noisy);
    dataset_close(audit->dataset);
    memory_free(audit->masked);
    memory_free(audit->folder);
}

// ---- the data set and its labels ----------------------------------------------------------------

static adele_status open_dataset(struct audit *audit, const struct model *model) {
    const struct audit_options *options = audit->options;
    if (options->labels && audit->split != SPLIT_TRAIN)
        return FAIL(ADELE_INVALID_ARGUMENT, "Leave it out, or audit the train split.",
                    "%s: a folder of labels is of the train split, not of %s", options->labels,
                    dataset_split_name(audit->split));
    const char *labels = options->labels;
    if (!labels && !options->model.data && model->config)
        labels = model->config->data.noisy_labels;
    TRY(model_open_dataset(model, &options->model, labels, &audit->dataset));
    TRY(dataset_match_categories(audit->dataset, model->n_categories, model->category_names));
    if (audit->dataset->n_cases[audit->split] > 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Choose another with --split: train, val or test.",
                "%s: the %s split is empty", audit->dataset->root,
                dataset_split_name(audit->split));
}

// The noisy labels must be those of the run. Its best checkpoint does not say which they were.
static adele_status check_noise(const struct audit *audit, const struct model *model) {
    OWNED_BY(safetensors_close) struct safetensors *file = NULL;
    char is[HASH_HEX_BYTES];
    size_t bytes = (size_t)audit->noisy.n * dataset_images_plane_size(&audit->noisy);
    hash_xxh3_hex(audit->noisy.labels, bytes, is);
    TRY(safetensors_open(model->path, &file));
    const char *was = safetensors_metadata(file, "data.noisy_xxh3");
    if (was && strcmp(was, is) != 0)
        return FAIL(ADELE_DATA, "Leave the data set as it was when the run was made.",
                    "%s: data.noise gives labels of XXH3 %s, the run was trained on %s",
                    audit->dataset->root, is, was);
    return ADELE_OK;
}

// No file holds the labels that data.noise made: they are made again.
static adele_status make_noise(struct audit *audit, const struct model *model) {
    const struct audit_options *options = audit->options;
    struct noise_report report;
    if (options->model.data || options->labels || audit->split != SPLIT_TRAIN ||
        model->config->data.noise.kind == NOISE_NONE)
        return ADELE_OK;
    if (options->model.inference.window_h > 0 || model->window_h > 0)
        return FAIL(ADELE_INVALID_ARGUMENT,
                    "Audit a run without data.patch, or leave the window out.",
                    "the labels of %s are known at the size of its training alone, not at the "
                    "files' own size, which windows are cut from",
                    model->path);
    TRY(dataset_load(audit->dataset, SPLIT_TRAIN, false, &audit->noisy));
    memory_free(audit->noisy.images);
    audit->noisy.images = NULL;
    TRY(noise_images_apply(&model->config->data.noise, audit->dataset, &audit->noisy, &report));
    log_line(LOG_INFO, "the labels are those of data.noise, at %d x %d pixels (height x width)",
             audit->noisy.h, audit->noisy.w);
    return check_noise(audit, model);
}

// ---- output -------------------------------------------------------------------------------------

static adele_status find_folder(struct audit *audit, const struct model *model) {
    const char *folder = audit->options->folder;
    if (!folder && !model->run_folder)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name the folder of the output with -o DIR.",
                    "%s lies in no run folder, so the output has no place of its own", model->path);
    audit->folder = folder ? memory_strdup(folder) : file_join(model->run_folder, "audit");
    return CHECK_MEMORY(audit->folder);
}

static adele_status add_pictures(const struct audit *audit) {
    const struct dataset *dataset = audit->dataset;
    int64_t n = 0;
    for (int i = 0; i < dataset->n_cases[audit->split]; i++)
        n += dataset->cases[audit->split][i].n_slices;
    for (int i = 0; i < audit->options->max_pictures && i < n; i++)
        for (int k = 0; audit_picture_kinds[k] != NULL; k++)
            TRY(output_add(audit->output, "overlays/%04d_%s.png", i + 1, audit_picture_kinds[k]));
    return ADELE_OK;
}

// NULL `model`: there is none yet.
static adele_status plan_files(struct audit *audit, const struct model *model) {
    const struct audit_options *options = audit->options;
    TRY(audit_mask_choose(audit->dataset, options->mask_value, &audit->is_mask_value_new));
    TRY(output_create(audit->folder, options->model.is_overwriting, &audit->output));
    struct output_guard *guard = output_guard(audit->output);
    if (model)
        TRY(model_guard_inputs(model, &options->model, guard));
    TRY(output_guard_add(guard, options->labels, "the folder of labels"));
    TRY(output_guard_add_dataset(guard, audit->dataset));
    static const char *const names[] = {"audit.csv", "classes.csv", "regions.csv"};
    for (int i = 0; i < 3; i++)
        TRY(output_add(audit->output, "%s", names[i]));
    TRY(add_pictures(audit));
    if (audit->n_folds > 0)
        TRY(output_add(audit->output, "%s", AUDIT_FOLDS_CONFIG));
    for (int i = 0; i < audit->n_folds; i++)
        TRY(output_add(audit->output, AUDIT_FOLD_LIST, i + 1));
    if (options->mask_value >= 0)
        TRY(output_add_labels(audit->output, audit->dataset, audit->split));
    return output_check(audit->output);
}

// ---- one image ----------------------------------------------------------------------------------

// The row of the image among the noisy labels; -1: it has none, because training left it out.
static int find_noisy(struct audit *audit, const struct dataset_origin *origin, int i_case) {
    const struct dataset_images *noisy = &audit->noisy;
    while (audit->i_noisy < noisy->n) {
        const struct dataset_origin *row = &noisy->origin[audit->i_noisy];
        if (row->i_case > i_case || (row->i_case == i_case && row->slice >= origin->slice))
            break;
        audit->i_noisy++;
    }
    if (audit->i_noisy == noisy->n)
        return -1;
    const struct dataset_origin *row = &noisy->origin[audit->i_noisy];
    return row->i_case == i_case && row->slice == origin->slice ? audit->i_noisy : -1;
}

static const uint8_t *find_labels(struct audit *audit, const struct model_view *view) {
    size_t plane = (size_t)view->h * (size_t)view->w;
    int i = find_noisy(audit, &view->images->origin[view->i], view->i_case);
    return i >= 0 ? audit->noisy.labels + (size_t)i * plane
                  : view->images->labels + (size_t)view->i * plane;
}

static adele_status keep_masked(struct audit *audit, const struct model_view *view,
                                const uint8_t *labels) {
    size_t plane = (size_t)view->h * (size_t)view->w;
    if (audit->options->mask_value < 0)
        return ADELE_OK;
    if (!audit->masked)
        TRY(ALLOCATE(&audit->masked, (size_t)view->images->n * plane));
    uint8_t *masked = audit->masked + (size_t)view->i * plane;
    for (size_t i = 0; i < plane; i++)
        masked[i] = audit->doubt.is_doubtful[i] ? LABEL_IGNORE : labels[i];
    return ADELE_OK;
}

static adele_status add_region(void *context, const struct doubt_region *region) {
    audit_table_add_region(context, region);
    return ADELE_OK;
}

// Regions of a few pixels are noise of the prediction along contours: there are hundreds of them,
// and nobody would change the label for one.
int64_t audit_smallest_region(int h, int w) {
    int64_t part = ((int64_t)h * w + AUDIT_REGION_PART - 1) / AUDIT_REGION_PART;
    return part > AUDIT_REGION_PIXELS ? part : AUDIT_REGION_PIXELS;
}

static struct doubt_limits limits_of(const struct audit *audit, const struct model_view *view) {
    struct doubt_limits limits = audit->options->limits;
    if (limits.n_pixels == 0)
        limits.n_pixels = audit_smallest_region(view->h, view->w);
    return limits;
}

static adele_status visit(void *context, const struct model_view *view) {
    struct audit *audit = context;
    const struct dataset_case *item = &audit->dataset->cases[audit->split][view->i_case];
    struct doubt_score score;
    if (!view->images->labels)
        return FAIL(ADELE_DATA, "Audit a split that has labels.", "%s: case %s has no labels",
                    audit->dataset->root, item->name);
    struct doubt_image image = {.n_categories = audit->table.n_categories,
                                .h = view->h,
                                .w = view->w,
                                .labels = find_labels(audit, view),
                                .probabilities = view->probabilities};
    TRY(doubt_score(&audit->doubt, &image, &score));
    int order = audit->table.n_rows;
    TRY(audit_table_add_image(&audit->table, item->name, view->images->origin[view->i].slice,
                              &score));
    const struct doubt_limits limits = limits_of(audit, view);
    TRY(doubt_find_regions(&audit->doubt, &image, &limits, add_region, &audit->table));
    TRY(keep_masked(audit, view, image.labels));
    return audit_gallery_add(&audit->gallery, score.score, order, view->images, view->i,
                             image.labels, &audit->doubt);
}

static adele_status end_case(void *context, int i_case, const struct dataset_images *images) {
    struct audit *audit = context;
    if (!audit->masked)
        return ADELE_OK;
    adele_status status =
        label_store_export_case(audit->dataset, audit->split, i_case, images, audit->masked,
                                images->labels, audit->folder, &audit->changes);
    memory_free(audit->masked);
    audit->masked = NULL;
    return status;
}

// ---- the whole set ------------------------------------------------------------------------------

static adele_status save_changes(struct audit *audit) {
    if (audit->options->mask_value < 0)
        return ADELE_OK;
    return changes_save(&audit->changes, audit->dataset->n_categories,
                        audit->dataset->category_names, audit->folder);
}

static adele_status init_tables(struct audit *audit, int n_categories) {
    const struct audit_options *options = audit->options;
    TRY(audit_table_init(&audit->table, n_categories, options->max_regions));
    TRY(audit_gallery_init(&audit->gallery, options->max_pictures));
    return options->mask_value >= 0 ? changes_init(&audit->changes) : ADELE_OK;
}

// Begins `output` unless that is NULL.
static adele_status visit_cases(struct audit *audit, struct model *model, struct output *output) {
    struct model_options options = audit->options->model;
    if (audit->n_folds > 0) // a rank predicts the whole of its folds
        options.ranks = NULL;
    struct model_visitor visitor = {.is_wanted = audit->is_wanted,
                                    .at_network_size = audit->noisy.n > 0,
                                    .visit = visit,
                                    .end_case = end_case,
                                    .context = audit};
    return model_visit(model, &options, audit->dataset, output, &visitor);
}

// The first rows of audit.csv.
static void log_most_doubtful(const struct audit *audit) {
    for (int i = 0; i < audit->table.n_rows && i < N_LOGGED; i++) {
        const struct audit_row *row = &audit->table.rows[i];
        char slice[32] = "", class[300] = "";
        if (audit->dataset->is_volume)
            (void)snprintf(slice, sizeof slice, ", slice %d", row->slice);
        if (row->worst_class >= 0)
            (void)snprintf(class, sizeof class, ", lowest class %s with %.4f",
                           audit->dataset->category_names[row->worst_class], row->worst_score);
        log_line(LOG_INFO, "most doubtful %d: %s%s: score %.4f%s; %d doubtful region%s", i + 1,
                 row->name, slice, row->score, class, row->n_regions,
                 row->n_regions == 1 ? "" : "s");
    }
}

// The ranking is that of what the network has learned: without the class, every label of it is
// doubtful, the wrong ones no more than the others.
static void log_unpredicted(const struct audit *audit) {
    for (int c = 1; c < audit->table.n_categories; c++) {
        const struct audit_class *class = &audit->table.classes[c];
        if (class->n_pixels > 0 && class->n_predicted == 0)
            log_line(LOG_WARNING,
                     "the network predicts %s in no pixel of these images, though labels hold it: "
                     "it has not learned the class, and the ranking says little about its labels",
                     audit->dataset->category_names[c]);
    }
}

static adele_status save_tables(struct audit *audit) {
    TRY(save_changes(audit));
    TRY(audit_table_save(&audit->table, audit->dataset->category_names, audit->folder));
    audit_mask_log(audit->dataset, audit->split, audit->options->mask_value,
                   audit->is_mask_value_new, audit->folder);
    audit_bias_log(&audit->table, audit->dataset->category_names);
    log_most_doubtful(audit);
    log_unpredicted(audit);
    return ADELE_OK;
}

// Each rank writes the pictures of its own images, rank 0 the tables.
static adele_status save_results(struct audit *audit, int first) {
    struct audit_table *table = &audit->table;
    TRY(audit_bias_remove(table));
    TRY(audit_table_number_pictures(table, audit->options->max_pictures, audit->gallery.max));
    TRY(audit_gallery_save(&audit->gallery, table, first, audit->folder));
    return ranks_index(audit->options->model.ranks) == 0 ? save_tables(audit) : ADELE_OK;
}

static adele_status gather_and_save(struct audit *audit) {
    struct ranks *ranks = audit->options->model.ranks;
    int first = 0;
    TRY(audit_gather_table(ranks, &audit->table, &first));
    if (audit->options->mask_value >= 0)
        TRY(audit_gather_changes(ranks, audit->dataset, audit->split, &audit->changes));
    return ranks_agree(ranks, save_results(audit, first));
}

static adele_status visit_all(struct audit *audit, struct model *model) {
    TRY(visit_cases(audit, model, audit->output));
    return gather_and_save(audit);
}

static adele_status compare_options(const struct audit_options *options) {
    char text[RANK_FACT_BYTES];
    struct rank_fact facts[2];
    (void)snprintf(text, sizeof text,
                   "confidence %.6g, smallest region %" PRId64 ", regions %d, overlays %d, mask %d",
                   options->limits.confidence, options->limits.n_pixels, options->max_regions,
                   options->max_pictures, options->mask_value);
    rank_fact_set_option(&facts[0], "options of the audit", text);
    rank_fact_set_option(&facts[1], "folder of labels", options->labels);
    return rank_facts_compare(options->model.ranks, 2, facts);
}

static adele_status prepare(struct audit *audit, const struct model *model) {
    TRY(open_dataset(audit, model));
    TRY(find_folder(audit, model));
    TRY(plan_files(audit, model));
    TRY(make_noise(audit, model));
    return init_tables(audit, model->n_categories);
}

static void fill_result(const struct audit_table *table, struct audit_result *out) {
    out->n_images = table->n_rows;
    out->n_regions = table->n_found;
    for (int i = 0; i < table->n_rows; i++) {
        out->n_pixels += table->rows[i].n_pixels;
        out->n_doubtful += table->rows[i].n_doubtful;
    }
    for (int c = 0; c < table->n_categories; c++) {
        const struct audit_class *class = &table->classes[c];
        out->score[c] = audit_table_class_score(table, c);
        out->n_class_pixels[c] = class->n_pixels;
        out->n_class_doubtful[c] = class->n_doubtful;
    }
}

adele_status model_audit(struct model *model, const struct audit_options *options,
                         struct audit_result *out) {
    CLEANUP(audit_deinit) struct audit audit = {.options = options, .split = options->model.split};
    memset(out, 0, sizeof *out);
    TRY(ranks_agree(options->model.ranks, prepare(&audit, model)));
    TRY(compare_options(options));
    TRY(output_end(audit.output, visit_all(&audit, model)));
    fill_result(&audit.table, out);
    return ADELE_OK;
}

// ---- folds --------------------------------------------------------------------------------------

static adele_status prepare_folds(struct audit *audit, const struct dataset_config *data) {
    TRY(dataset_open(data, &audit->dataset));
    int n = audit->dataset->n_cases[SPLIT_TRAIN];
    if (audit->n_folds < 2 || audit->n_folds > n)
        return FAIL(ADELE_INVALID_ARGUMENT, "Every fold needs a case.",
                    "%d folds of %d training cases: not from 2 to %d", audit->n_folds, n, n);
    audit->folder = memory_strdup(audit->options->folder);
    TRY(CHECK_MEMORY(audit->folder));
    TRY(plan_files(audit, NULL));
    return init_tables(audit, audit->dataset->n_categories);
}

static adele_status compare_folds(const struct audit *audit) {
    struct ranks *ranks = audit->options->model.ranks;
    char text[RANK_FACT_BYTES];
    struct rank_fact fact;
    (void)snprintf(text, sizeof text, "%d", audit->n_folds);
    rank_fact_set_option(&fact, "number of folds", text);
    TRY(rank_facts_compare(ranks, 1, &fact));
    return compare_options(audit->options);
}

static void tell_alive(void *ranks) {
    ranks_tell_alive(ranks);
}

adele_status audit_begin(const struct audit_options *options, const struct dataset_config *data,
                         int n_folds, struct audit **out) {
    struct ranks *ranks = options->model.ranks;
    struct audit *audit = NULL;
    TRY(ranks_agree(ranks, ALLOCATE(&audit, 1)));
    *audit = (struct audit){.options = options, .split = SPLIT_TRAIN, .n_folds = n_folds};
    *out = audit;
    adele_status status = prepare_folds(audit, data);
    TRY(case_ranks_begin(&options->model, audit->dataset, status));
    TRY(compare_folds(audit));
    TRY(ranks_agree(ranks, ranks_index(ranks) == 0 ? output_begin(audit->output) : ADELE_OK));
    output_set_watch(audit->output, tell_alive, ranks);
    return shared_output_check(ranks, audit->output);
}

const struct dataset *audit_dataset(const struct audit *audit) {
    return audit->dataset;
}

// The slices that the fold's network was trained on are those that it predicts.
static adele_status check_orientation(const struct audit *audit, const struct model *model) {
    const char *is = audit->dataset->orientation.letters, *was = model->orientation.letters;
    if (strcmp(is, was) == 0)
        return ADELE_OK;
    return FAIL(ADELE_DATA, "Bring the volumes into one orientation.",
                "%s: the slices of all volumes are cut as %s, those of a fold as %s",
                audit->dataset->root, is, was);
}

adele_status audit_fold(struct audit *audit, struct model *model, const bool *is_wanted) {
    TRY(check_orientation(audit, model));
    TRY(dataset_match_categories(audit->dataset, model->n_categories, model->category_names));
    audit->dataset->config.height = model->height;
    audit->dataset->config.width = model->width;
    audit->is_wanted = is_wanted;
    return visit_cases(audit, model, NULL);
}

static adele_status end_folds(struct audit *audit) {
    TRY(case_findings_share(audit->options->model.ranks, audit->dataset));
    return gather_and_save(audit);
}

adele_status audit_end(struct audit *audit, adele_status status, struct audit_result *out) {
    memset(out, 0, sizeof *out);
    if (!audit)
        return status;
    const bool are_done = status == ADELE_OK;
    if (are_done)
        status = end_folds(audit);
    status = output_end(audit->output, status);
    if (are_done)
        status = ranks_agree(audit->options->model.ranks, status);
    if (status == ADELE_OK)
        fill_result(&audit->table, out);
    audit_deinit(audit);
    memory_free(audit);
    return status;
}
