// SPDX-License-Identifier: MIT
#include "report/class_correction.h"

#include "base/json.h"
#include "correction/gate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// An epoch, or 0.
static int epoch_of(const cJSON *object, const char *name) {
    double value = json_number(object, name);
    return value >= 1.0 && value <= 1e9 ? (int)value : 0;
}

static void say(struct class_correction *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct class_correction *out, const char *format, ...) {
    size_t used = strlen(out->explanation);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(out->explanation + used, sizeof out->explanation - used, format, arguments);
    va_end(arguments);
}

// A sentence: what the veto measured when the class came nearest to a correction.
static void explain_veto(const cJSON *veto, struct class_correction *out) {
    double itself = json_number(veto, "iou_with_itself"),
           labels = json_number(veto, "iou_with_labels");
    bool is_early = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(veto, "is_early"));
    if (!isfinite(itself) || !isfinite(labels)) {
        say(out, "The network did not predict the class, so that its labels could not be compared "
                 "with predictions.");
        return;
    }
    say(out,
        "A correction takes predictions whose IoU with each other is more than %.3g above that "
        "with the labels (correction.veto%s). Nearest to that was epoch %d: %.3f with each other, "
        "%.3f with the labels, a difference of %.3f.",
        json_number(veto, "margin"),
        is_early ? ", a quarter wider before correction.min_points values" : "",
        epoch_of(veto, "epoch"), itself, labels, itself - labels);
}

// A class that the network predicts nowhere has such values; as few as the onset takes say nothing.
#define NOT_LEARNED 0.01
#define MIN_VALUES  3

// The last values of the curve that are so low; 0: fewer than its half. A fit to such a curve has
// no meaning, however it began.
static int count_not_learned(const cJSON *iou) {
    int n = 0;
    for (const cJSON *value = iou != NULL ? iou->child : NULL; value != NULL; value = value->next)
        n = cJSON_IsNumber(value) && value->valuedouble < NOT_LEARNED ? n + 1 : 0;
    return n >= MIN_VALUES && 2 * n >= cJSON_GetArraySize(iou) ? n : 0;
}

// The method ensemble was measured with sgd.
static void explain_not_learned(const cJSON *iou, int n, bool is_ensemble,
                                struct class_correction *out) {
    say(out,
        "never corrected, because the network has not learned it: it predicts the class almost "
        "nowhere in the training images, and the last %d of the %d values of its curve are below "
        "%g. Raise train.optimizer.lr or train.epochs%s.",
        n, cJSON_GetArraySize(iou), NOT_LEARNED,
        is_ensemble ? ""
                    : "; on small sets train.optimizer.name: adamw with a rate of 0.001 takes "
                      "fewer epochs");
}

static bool lacks_a_value(const cJSON *iou) {
    for (const cJSON *value = iou->child; value != NULL; value = value->next)
        if (!cJSON_IsNumber(value))
            return true;
    return false;
}

static void explain_missing_onset(const cJSON *onset, const cJSON *iou,
                                  struct class_correction *out) {
    int n = cJSON_GetArraySize(iou);
    double n_needed = json_number(onset, "min_points");
    say(out, "never corrected, because ");
    if (out->onset_epoch > 0)
        say(out,
            "the run ended before that: its curve of %d value%s has its onset at epoch %d, and the "
            "correction follows after epoch %d. Raise train.epochs, or lower correction.r.",
            n, n == 1 ? "" : "s", out->onset_epoch, out->onset_epoch + 1);
    else if (n < n_needed)
        say(out, "its curve has %d value%s, and an onset takes %.0f. Raise train.epochs.", n,
            n == 1 ? "" : "s", n_needed);
    else if (iou != NULL && lacks_a_value(iou))
        say(out, "its curve lacks a value: in some epoch the class was neither labelled nor "
                 "predicted.");
    else
        say(out,
            "its curve of %d values shows no onset: it still rises, or does not change. Raise "
            "train.epochs, or try another train.optimizer.lr.",
            n);
}

static void explain_clean(const cJSON *veto, int due, struct class_correction *out) {
    if (!cJSON_IsObject(veto)) {
        say(out, "not corrected yet: its correction is due since epoch %d.", due);
        return;
    }
    say(out, "never corrected, because its labels look clean. ");
    explain_veto(veto, out);
    say(out, " Lower correction.veto only where you know that the masks are wrong.");
}

static void explain_delay(const cJSON *veto, int due, struct class_correction *out) {
    say(out,
        "first corrected after epoch %d. Its whole curve has the onset at epoch %d, but the onset "
        "is computed anew after each epoch, and epoch %d was the first by whose values it had "
        "passed.",
        out->first_epoch, out->onset_epoch, due);
    if (out->first_epoch > due && cJSON_IsObject(veto)) {
        say(out, " From then until epoch %d its labels looked clean. ", out->first_epoch - 1);
        explain_veto(veto, out);
    }
}

// Why the gate of the method ensemble kept the labels.
static void explain_gate(const cJSON *gate, struct class_correction *out) {
    const struct gate_result result = {.known = json_number(gate, "known"),
                                       .deviation = json_number(gate, "area_deviation"),
                                       .one_sided = json_number(gate, "one_sided"),
                                       .with_decided = json_number(gate, "iou_of_decisions"),
                                       .with_labels = json_number(gate, "iou_with_labels")};
    char why[GATE_TEXT];
    gate_explain(&result, why, sizeof why);
    say(out, "never corrected: after epoch %d %s.", epoch_of(gate, "epoch"), why);
    if (gate_looks_clean(&result))
        say(out, " Set correction.gate: learned where you know that its masks are wrong.");
    else if (result.known < GATE_KNOWN)
        say(out, " Train longer (train.epochs), or raise correction.at: but the later a correction "
                 "is, the more wrong masks the network has learned by heart.");
}

// The method ensemble with correction.timing: fixed. `epoch`: at whose end it corrects.
static void explain_fixed(int epoch, bool has_ended, struct class_correction *out) {
    if (out->first_epoch > 0)
        return;
    if (has_ended)
        say(out,
            "never corrected, because the run ended before epoch %d, after which the ensemble "
            "corrects. Lower correction.at, or raise train.patience.",
            epoch);
    else
        say(out, "not corrected yet: the ensemble corrects after epoch %d.", epoch);
}

bool class_correction_read(const cJSON *onset, const cJSON *category,
                           struct class_correction *out) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(category, "name");
    const cJSON *veto = cJSON_GetObjectItemCaseSensitive(category, "veto");
    const cJSON *gate = cJSON_GetObjectItemCaseSensitive(category, "gate");
    const cJSON *corrected = cJSON_GetObjectItemCaseSensitive(category, "corrected_epochs");
    const cJSON *first = cJSON_IsArray(corrected) ? corrected->child : NULL;
    const cJSON *iou = cJSON_GetObjectItemCaseSensitive(category, "iou");
    int due = epoch_of(category, "due_epoch"), fixed = epoch_of(onset, "ensemble_epoch");
    *out = (struct class_correction){.name = cJSON_GetStringValue(name),
                                     .onset_epoch = epoch_of(category, "onset_epoch"),
                                     .first_epoch = cJSON_IsNumber(first) ? first->valueint : 0,
                                     .n_not_learned = count_not_learned(iou)};
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(onset, "corrects")) || !out->name)
        return false;
    if (out->first_epoch == 0 && out->n_not_learned > 0)
        explain_not_learned(iou, out->n_not_learned, fixed > 0 || cJSON_IsObject(gate), out);
    else if (out->first_epoch == 0 && cJSON_IsObject(gate))
        explain_gate(gate, out);
    else if (fixed > 0)
        explain_fixed(fixed, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(onset, "has_ended")),
                      out);
    else if (out->first_epoch == 0 && due == 0)
        explain_missing_onset(onset, iou, out);
    else if (out->first_epoch == 0)
        explain_clean(veto, due, out);
    else if (out->onset_epoch > 0 && out->first_epoch != out->onset_epoch + 1)
        explain_delay(veto, due, out);
    return true;
}
