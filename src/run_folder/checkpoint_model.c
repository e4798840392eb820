// SPDX-License-Identifier: MIT
#include "run_folder/checkpoint_model.h"

#include "base/fail.h"
#include "base/number.h"
#include "data/dataset.h"
#include "device/device.h"

#include <string.h>

double checkpoint_number(const struct safetensors *file, const char *key, double otherwise) {
    const char *text = safetensors_metadata(file, key);
    return text ? number_parse(text, NULL) : otherwise;
}

const char *checkpoint_model_prefix(const struct safetensors *file) {
    return checkpoint_number(file, "model.averaged", 0.0) != 0.0 ? CHECKPOINT_AVERAGE : "model.";
}

adele_status checkpoint_check(const struct safetensors *file) {
    const char *format = safetensors_metadata(file, "adele.format");
    if (!format)
        return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                    "not a checkpoint of adele (no adele.format)");
    if (strcmp(format, CHECKPOINT_FORMAT) != 0)
        return FAIL(ADELE_FORMAT, "Use the version of adele that wrote it.",
                    "checkpoint format %s, this build reads " CHECKPOINT_FORMAT, format);
    // A damaged header may have lost the entries that show the damage.
    if (!safetensors_is_hashed(file))
        return FAIL(ADELE_FORMAT, "Take another checkpoint of the run, or start the run anew.",
                    "the hashes that every checkpoint has are not all there: it is damaged");
    return ADELE_OK;
}

adele_status checkpoint_read_model(const struct safetensors *file, struct checkpoint_model *out) {
    memset(out, 0, sizeof *out);
    TRY(checkpoint_check(file));
    out->width = (int)checkpoint_number(file, "model.width", 0.0);
    out->rate = (int)checkpoint_number(file, "model.rate",
                                       0.0); // missing: written before there was a choice
    out->n_channels = (int)checkpoint_number(file, "model.channels", 0.0);
    out->n_categories = (int)checkpoint_number(file, "model.categories", 0.0);
    out->height = (int)checkpoint_number(file, "data.height", 0.0);
    out->image_width = (int)checkpoint_number(file, "data.width", 0.0);
    out->epoch = (int)checkpoint_number(file, "epoch", 0.0);
    out->has_palette = checkpoint_number(file, "data.has_palette", 0.0) != 0.0;
    out->normalize = checkpoint_number(file, "data.normalize", 0.0) == NORMALIZE_IMAGENET;
    out->is_averaged = checkpoint_number(file, "model.averaged", 0.0) != 0.0 ||
                       checkpoint_number(file, "model.is_average", 0.0) != 0.0;
    out->orientation = safetensors_metadata(file, "data.orientation");
    out->orientation = out->orientation != NULL ? out->orientation : "";
    out->name = safetensors_metadata(file, "model.name");
    out->backbone = safetensors_metadata(file, "model.backbone"); // NULL: written before there were
    out->categories = safetensors_metadata(file, "data.categories");
    if (out->orientation[0] != '\0' && !nifti_codes_are_valid(out->orientation))
        return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                    "the checkpoint says that volumes have the orientation \"%.16s\"",
                    out->orientation);
    if (!out->name || !out->categories || out->width < 1 || out->rate < 0 || out->n_channels < 1 ||
        out->n_categories < 2 || out->n_categories > ADELE_MAX_CATEGORIES || out->height < 1 ||
        out->image_width < 1)
        return FAIL(ADELE_FORMAT, "Name a checkpoint that `adele train` wrote.",
                    "the checkpoint's description of the model is incomplete");
    return ADELE_OK;
}
