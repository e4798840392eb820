// SPDX-License-Identifier: MIT
#include "report/curves.h"

#include "base/fail.h"
#include "base/json.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

#define N_FIT_SAMPLES 160 // a point each 1.5 units of a plot's width, so that the line looks smooth

static adele_status malformed(const struct report_run *run, const char *what) {
    return FAIL(ADELE_FORMAT, "Train the run again, or remove the file to go without the figure.",
                "%s/onset.json: %s", run->path, what);
}

// An array of numbers; null becomes NaN. *out is NULL and *n 0 when there is none.
static adele_status read_numbers(const cJSON *array, double **out, int *n) {
    *out = NULL;
    *n = 0;
    int n_items = cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
    if (n_items == 0)
        return ADELE_OK;
    double *values = NULL;
    TRY(ALLOCATE(&values, n_items));
    for (const cJSON *node = array->child; node != NULL; node = node->next)
        values[(*n)++] = cJSON_IsNumber(node) ? node->valuedouble : NAN;
    *out = values;
    return ADELE_OK;
}

// Where the values lie on the epoch axis. Pipeline segthor has one value per epoch, so its place is
// the epoch's number; voc has one per so many iterations, at the abscissa of the fit, in epochs.
struct placing {
    bool is_by_epoch;
    double n_dropped, t0, dt; // value i of the fitted part has the abscissa t0 + i * dt
};

static double epoch_of_value(const struct placing *placing, double i) {
    if (placing->is_by_epoch)
        return i + 1.0;
    return placing->t0 + (i - placing->n_dropped) * placing->dt;
}

static adele_status sample_fit(const struct placing *placing, struct category_curve *curve) {
    TRY(ALLOCATE(&curve->fit_epochs, N_FIT_SAMPLES));
    TRY(ALLOCATE(&curve->fit_iou, N_FIT_SAMPLES));
    double n_fitted = curve->n - placing->n_dropped;
    for (int k = 0; k < N_FIT_SAMPLES; k++) {
        double i = (n_fitted - 1.0) * k / (N_FIT_SAMPLES - 1);
        double t = placing->t0 + i * placing->dt;
        curve->fit_epochs[k] = epoch_of_value(placing, placing->n_dropped + i);
        curve->fit_iou[k] = curve_fit_value(&curve->fit, fmax(t, 0.0));
    }
    curve->n_fit = N_FIT_SAMPLES;
    return ADELE_OK;
}

static adele_status load_fit(const struct report_run *run, const cJSON *node,
                             struct category_curve *curve) {
    const cJSON *fit = cJSON_GetObjectItemCaseSensitive(node, "fit");
    const cJSON *pipeline = cJSON_GetObjectItemCaseSensitive(run->onset, "pipeline");
    struct placing placing = {.is_by_epoch = true,
                              .n_dropped = json_number(node, "n_dropped"),
                              .t0 = json_number(node, "t0"),
                              .dt = json_number(node, "dt")};
    if (!(placing.n_dropped >= 0.0 && placing.n_dropped < curve->n))
        placing.n_dropped = 0.0;
    bool has_abscissa = isfinite(placing.t0) && placing.dt > 0.0 && isfinite(placing.dt);
    if (cJSON_IsString(pipeline) && strcmp(pipeline->valuestring, "voc") == 0) {
        placing.is_by_epoch = false;
        if (!has_abscissa) { // no fit yet: spread the values over the epochs that were run
            placing.dt = run->epochs[run->records.n - 1] / curve->n;
            placing.t0 = placing.dt;
        }
    }
    for (int i = 0; i < curve->n; i++)
        curve->epochs[i] = epoch_of_value(&placing, i);
    curve->fit.a = json_number(fit, "a");
    curve->fit.b = json_number(fit, "b");
    curve->fit.c = json_number(fit, "c");
    curve->has_fit = has_abscissa && curve->n - placing.n_dropped >= 2.0 &&
                     isfinite(curve->fit.a) && isfinite(curve->fit.b) && curve->fit.c > 0.0;
    return curve->has_fit ? sample_fit(&placing, curve) : ADELE_OK;
}

static adele_status load_category(const struct report_run *run, const cJSON *node,
                                  struct category_curve *curve) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(node, "name");
    if (!cJSON_IsString(name))
        return malformed(run, "a class without a name");
    curve->name = name->valuestring;
    TRY(read_numbers(cJSON_GetObjectItemCaseSensitive(node, "iou"), &curve->iou, &curve->n));
    if (curve->n > 0) {
        TRY(ALLOCATE(&curve->epochs, curve->n));
        TRY(load_fit(run, node, curve));
    }
    TRY(read_numbers(cJSON_GetObjectItemCaseSensitive(node, "corrected_epochs"), &curve->corrected,
                     &curve->n_corrected));
    // A baseline has onsets too, but no corrections.
    curve->is_corrected = curve->n_corrected > 0;
    curve->fitted_onset = json_number(node, "onset_epoch");
    curve->onset_epoch = curve->is_corrected ? curve->corrected[0] : curve->fitted_onset;
    TRY(report_run_series(run, &curve->early_learning, "train/early_learning/iou/%s", curve->name));
    return report_run_series(run, &curve->memorization, "train/memorization/iou/%s", curve->name);
}

static void category_deinit(struct category_curve *curve) {
    memory_free(curve->epochs);
    memory_free(curve->iou);
    memory_free(curve->fit_epochs);
    memory_free(curve->fit_iou);
    memory_free(curve->corrected);
    memory_free(curve->early_learning);
    memory_free(curve->memorization);
    *curve = (struct category_curve){0};
}

void category_curves_deinit(struct category_curves *curves) {
    for (int i = 0; i < curves->n; i++)
        category_deinit(&curves->items[i]);
    memory_free(curves->items);
    *curves = (struct category_curves){0};
}

static bool is_drawn(const struct category_curve *curve) {
    bool is_background =
        strcmp(curve->name, "background") == 0 && !curve->has_fit && !isfinite(curve->onset_epoch);
    return curve->n > 0 && !is_background;
}

adele_status category_curves_load(const struct report_run *run, struct category_curves *out) {
    *out = (struct category_curves){0};
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(run->onset, "categories");
    if (!cJSON_IsArray(categories))
        return malformed(run, "no array \"categories\"");
    size_t n = (size_t)cJSON_GetArraySize(categories);
    TRY(ALLOCATE(&out->items, n));
    for (const cJSON *node = categories->child; node != NULL; node = node->next) {
        struct category_curve *curve = &out->items[out->n++]; // counted first: deinit frees it
        TRY(load_category(run, node, curve));
        if (!is_drawn(curve)) {
            category_deinit(curve);
            out->n--;
            continue;
        }
        out->has_fit = out->has_fit || curve->has_fit;
        out->has_diagnostics =
            out->has_diagnostics || curve->early_learning != NULL || curve->memorization != NULL;
    }
    return ADELE_OK;
}
