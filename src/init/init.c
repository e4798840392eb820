// SPDX-License-Identifier: MIT
// What is in the folder is looked at twice, first for the values of its masks, which say what its
// classes are, then with these classes.
#include "init/init.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "data/dataset.h"
#include "data/fingerprint.h"
#include "data/name_list.h"
#include "init/init_choices.h"
#include "output/output.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

OWNER(adele_device_close, struct adele_device)

#define MAX_FILES 3 // the configuration, and the lists of two splits

// The public report comes first, so that its address is that of the whole.
struct init {
    struct adele_init_report report;
    struct init_choices choices;
    struct adele_fingerprint *fingerprint;
    struct dataset *dataset;
    char *root;          // absolute
    char *folder, *stem; // of the output: "configs", and "lungs" of configs/lungs.yaml
    char *files[MAX_FILES];
};

void init_report_destroy(struct adele_init_report *report) {
    struct init *init = (struct init *)report;
    if (init == NULL)
        return;
    label_guess_deinit(&init->choices.labels);
    fingerprint_destroy(init->fingerprint);
    dataset_close(init->dataset);
    for (int i = 0; i < MAX_FILES; i++)
        memory_free(init->files[i]);
    memory_free(init->choices.lists[SPLIT_TRAIN]);
    memory_free(init->choices.lists[SPLIT_VAL]);
    memory_free(init->folder);
    memory_free(init->stem);
    memory_free(init->root);
    memory_free(init);
}
OWNER(init_report_destroy, struct adele_init_report)

// ---- paths --------------------------------------------------------------------------------------

// So that the configuration holds from whatever folder it is used. Links stay as they are.
static adele_status make_absolute(const char *path, char **out) {
    char here[4096];
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return FAIL(ADELE_IO, "Change to a folder that exists.",
                    "the current folder cannot be found: %s", strerror(errno));
    while (path[0] == '.' && path[1] == '/')
        for (path += 2; *path == '/';)
            path++;
    if (strcmp(path, ".") == 0)
        *out = memory_strdup(here);
    else
        *out = path[0] == '/' ? memory_strdup(path) : file_join(here, path);
    TRY(CHECK_MEMORY(*out));
    for (size_t n = strlen(*out); n > 1 && (*out)[n - 1] == '/';)
        (*out)[--n] = '\0';
    return ADELE_OK;
}

static adele_status split_output(struct init *init, const char *output) {
    const char *name = file_base_name(output);
    size_t n = strlen(name);
    if (file_has_suffix(name, ".yaml"))
        n -= strlen(".yaml");
    else if (file_has_suffix(name, ".yml"))
        n -= strlen(".yml");
    else
        n = 0;
    if (n == 0)
        return FAIL(ADELE_INVALID_ARGUMENT, "Name a file such as config.yaml.",
                    "the output \"%s\" is not named like a YAML file", output);
    init->folder = path_folder(output);
    init->stem = memory_printf("%.*s", (int)n, name);
    init->files[0] = memory_strdup(output);
    TRY(CHECK_MEMORY(init->folder));
    TRY(CHECK_MEMORY(init->stem));
    return CHECK_MEMORY(init->files[0]);
}

static adele_status name_lists(struct init *init) {
    for (int split = SPLIT_TRAIN; split <= SPLIT_VAL; split++) {
        char **path = &init->files[1 + split];
        const char *output = init->files[0];
        *path = memory_printf("%.*s%s_%s.txt", (int)(file_base_name(output) - output), output,
                              init->stem, dataset_split_name(split));
        TRY(CHECK_MEMORY(*path));
        TRY(make_absolute(*path, &init->choices.lists[split]));
    }
    return ADELE_OK;
}

// ---- the data set -------------------------------------------------------------------------------

// Opens it with a label map, so that no class has to be known. Problems of single cases do not
// matter here: `adele check` reports them. Without a training case there is nothing to look at.
static adele_status open_with(const struct init *init, const struct label_map *map,
                              struct dataset **out) {
    const struct folder_guess *folders = &init->choices.folders;
    struct dataset_config config = {.root = init->root,
                                    .layout = folders->layout,
                                    .image_folder = folders->image_folder,
                                    .mask_folder = folders->mask_folder,
                                    .mask_suffix = folders->mask_suffix,
                                    .map = *map,
                                    .foreground_slices_only = true,
                                    .follow_links = init->choices.follow_links};
    CLEANUP(check_report_deinit) struct check_report problems = {0};
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    TRY(dataset_open_reported(&config, &problems, &dataset));
    for (int i = 0; dataset->n_cases[SPLIT_TRAIN] == 0 && i < problems.n_problems; i++)
        if (problems.problems[i].kind == CHECK_EMPTY_SPLIT)
            return FAIL(ADELE_DATA, problems.problems[i].hint, "%s", problems.problems[i].text);
    *out = dataset;
    dataset = NULL;
    return ADELE_OK;
}

static adele_status scan_split(const struct dataset *dataset, enum dataset_split split,
                               struct mask_values *values, bool *has_failed) {
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        const char *path = dataset->cases[split][i].label_path;
        CLEANUP(case_labels_deinit) struct case_labels labels = {0};
        if (path == NULL)
            continue;
        adele_status status = case_labels_load(dataset, path, &labels);
        *has_failed = *has_failed || status != ADELE_OK;
        if (status != ADELE_OK && status != ADELE_NO_MEMORY)
            continue;
        TRY(status);
        TRY(mask_values_add(values, &labels));
    }
    return ADELE_OK;
}

static adele_status find_labels(struct init *init) {
    static const int from[] = {0};
    static const uint8_t to[] = {0};
    const struct label_map any = {.n = 1, .from = from, .to = to, .other = 1};
    OWNED_BY(dataset_close) struct dataset *dataset = NULL;
    CLEANUP(mask_values_deinit) struct mask_values values = {0};
    bool has_failed = false;
    TRY(open_with(init, &any, &dataset));
    for (int split = SPLIT_TRAIN; split <= SPLIT_VAL; split++)
        TRY(scan_split(dataset, (enum dataset_split)split, &values, &has_failed));
    if (values.n_masks == 0 && has_failed)
        return FAIL(ADELE_DATA, adele_error_hint(), "no mask can be read; the last one: %s",
                    adele_error_message());
    if (values.n_masks == 0)
        return FAIL(ADELE_DATA, "Give every image a mask of the same name, in the folder of masks.",
                    "%s: no case of layout %s has a mask", init->root,
                    dataset_layout_name(dataset->layout));
    return label_guess(dataset, &values, &init->choices.labels);
}

// A list has a name a line, and spaces around it do not count.
static adele_status check_names(const struct dataset *dataset, enum dataset_split split) {
    for (int i = 0; i < dataset->n_cases[split]; i++) {
        const char *name = dataset->cases[split][i].name;
        size_t n = strlen(name);
        bool is_fine = name_check(name, "") == ADELE_OK && n > 0 &&
                       !isspace((unsigned char)name[0]) && !isspace((unsigned char)name[n - 1]);
        if (!is_fine)
            return FAIL(ADELE_DATA, "Rename the image and its mask.",
                        "%s: the name \"%.200s\" cannot stand in a list of cases: it holds a "
                        "control character, \"..\" or a backslash, or has a space at an end",
                        dataset->cases[split][i].image_path[0], name);
    }
    return ADELE_OK;
}

static adele_status look_at_data(struct init *init) {
    struct init_choices *choices = &init->choices;
    TRY(folder_guess(init->root, &choices->folders));
    TRY(find_labels(init));
    const struct label_guess *labels = &choices->labels;
    const struct label_map map = {.n = labels->n,
                                  .from = labels->from,
                                  .to = labels->to,
                                  .other = labels->other,
                                  .n_names = labels->n_names,
                                  .names = (const char *const *)labels->names};
    TRY(open_with(init, &map, &init->dataset));
    TRY(split_guess(init->dataset, choices->seed, &choices->split));
    for (int split = SPLIT_TRAIN; choices->split.has_lists && split <= SPLIT_VAL; split++)
        TRY(check_names(init->dataset, (enum dataset_split)split));
    TRY(fingerprint_dataset(init->dataset, &init->fingerprint));
    choices->dataset = init->dataset;
    choices->fingerprint = init->fingerprint;
    return ADELE_OK;
}

static adele_status fit_device(struct init *init, const struct adele_init_options *options) {
    bool is_ensemble = options->method != NULL && strcmp(options->method, "ensemble") == 0;
    const char *name = options->device;
    OWNED_BY(adele_device_close) struct adele_device *device = NULL;
    TRY(adele_device_open(name != NULL ? name : "auto", ADELE_PRECISION_FP32, &device));
    return init_fit(device, init->dataset, init->fingerprint, is_ensemble, &init->choices.fit);
}

// ---- the files ----------------------------------------------------------------------------------

static adele_status write_list(const struct dataset *dataset, enum dataset_split split,
                               const char *path) {
    CLEANUP(buffer_deinit) struct buffer text = {0};
    TRY(buffer_text(&text, ""));
    for (int i = 0; i < dataset->n_cases[split]; i++)
        TRY(buffer_printf(&text, "%s\n", dataset->cases[split][i].name));
    return file_write(path, text.data, text.n_bytes);
}

static adele_status plan_files(const struct init *init, int n_files, bool is_overwriting,
                               struct output **out) {
    TRY(output_create(init->folder, is_overwriting, out));
    output_set_named(*out);
    TRY(output_guard_add_data(output_guard(*out), init->root));
    if (init->dataset != NULL)
        TRY(output_guard_add_dataset(output_guard(*out), init->dataset));
    for (int i = 0; i < n_files; i++)
        TRY(output_add(*out, "%s", file_base_name(init->files[i])));
    return output_check(*out);
}

// Refuses a wrong output before the data set is read, which may take minutes.
static adele_status check_output(const struct init *init, bool is_overwriting) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    return plan_files(init, 1, is_overwriting, &output);
}

static adele_status write_files(const struct init *init, const struct buffer *yaml) {
    for (int split = SPLIT_TRAIN; init->choices.split.has_lists && split <= SPLIT_VAL; split++)
        TRY(write_list(init->dataset, (enum dataset_split)split, init->files[1 + split]));
    return file_write(init->files[0], yaml->data, yaml->n_bytes);
}

static adele_status write_output(struct init *init, bool is_overwriting) {
    OWNED_BY(output_destroy) struct output *output = NULL;
    OWNED_BY(config_destroy) struct config *config = NULL;
    CLEANUP(buffer_deinit) struct buffer yaml = {0};
    init->report.n_files = init->choices.split.has_lists ? MAX_FILES : 1;
    TRY(init_yaml_write(&init->choices, &yaml));
    TRY(config_parse(init->files[0], yaml.data, yaml.n_bytes, 0, NULL, &config));
    TRY(plan_files(init, init->report.n_files, is_overwriting, &output));
    TRY(output_begin(output));
    return output_end(output, write_files(init, &yaml));
}

adele_status init_write(const struct adele_data *data, const struct adele_init_options *options,
                        struct adele_init_report **out) {
    struct init *init = NULL;
    *out = NULL;
    TRY(ALLOCATE(&init, 1));
    OWNED_BY(init_report_destroy) struct adele_init_report *report = &init->report;
    init->choices.follow_links = data->follow_links != 0;
    init->choices.seed = options->seed;
    TRY(make_absolute(data->root, &init->root));
    TRY(split_output(init, options->output));
    TRY(name_lists(init));
    TRY(check_output(init, options->overwrite != 0));
    init->choices.root = init->root;
    TRY(look_at_data(init));
    TRY(fit_device(init, options));
    TRY(write_output(init, options->overwrite != 0));
    report->root = init->root;
    report->fingerprint = init->fingerprint;
    report->files = (const char *const *)init->files;
    report->n_without_mask = init->choices.split.n_without_mask;
    report->first_without_mask = init->choices.split.first_without_mask;
    report->n_without_image = init->dataset->n_lone_masks;
    report->first_without_image =
        init->dataset->n_lone_masks > 0 ? init->dataset->first_lone_mask : "";
    report->n_absent = init->choices.split.n_absent;
    report->first_absent = init->choices.split.first_absent;
    *out = report;
    report = NULL;
    return ADELE_OK;
}
