// SPDX-License-Identifier: MIT
#include "init/init_choices.h"

#include "base/fail.h"

#include <inttypes.h>

// With more classes than this, several stand on a line, so that the file stays short.
#define MAP_LINES 6

// A JSON string is a YAML string too, whatever is in it.
static adele_status put_text(struct buffer *out, const char *key, const char *text,
                             const char *end) {
    TRY(buffer_text(out, key));
    TRY(buffer_json_string(out, text));
    return buffer_text(out, end);
}

static adele_status put_head(const struct init_choices *self, struct buffer *out) {
    const struct adele_fingerprint *found = self->fingerprint;
    TRY(buffer_printf(out,
                      "# Written by adele init: %d training and %d validation cases, %d channel%s, "
                      "%d classes.\n",
                      found->n_cases[SPLIT_TRAIN], found->n_cases[SPLIT_VAL], found->n_channels,
                      found->n_channels == 1 ? "" : "s", found->n_classes));
    return buffer_text(out,
                       "# configs/KEYS.md explains every key; configs/schema.json lets an editor "
                       "complete them.\n");
}

static adele_status put_layout(const struct init_choices *self, struct buffer *out) {
    TRY(put_text(out, "data:\n  root: ", self->root, "\n"));
    TRY(buffer_printf(out, "  layout: %s\n", dataset_layout_name(self->folders.layout)));
    if (self->folders.image_folder[0] != '\0') {
        TRY(put_text(out, "  image_folder: ", self->folders.image_folder, "\n"));
        bool has_suffix = self->folders.mask_suffix[0] != '\0';
        TRY(put_text(out, "  mask_folder: ", self->folders.mask_folder,
                     has_suffix ? "\n" : " # the same names as the images\n"));
        if (has_suffix)
            TRY(put_text(out, "  mask_suffix: ", self->folders.mask_suffix,
                         " # behind the name of the image\n"));
    }
    return self->follow_links ? buffer_text(out, "  follow_links: true\n") : ADELE_OK;
}

static adele_status put_split(const struct init_choices *self, struct buffer *out) {
    const struct split_guess *split = &self->split;
    if (!split->has_lists)
        return buffer_text(out, "  # The splits are those of the layout.\n");
    if (split->n_patients > 0)
        TRY(buffer_printf(out,
                          "  # A fifth for validation, drawn with seed %" PRIu64
                          "; %d patients, none in both (by their names).\n",
                          self->seed, split->n_patients));
    else if (split->is_drawn)
        TRY(buffer_printf(out,
                          "  # A fifth for validation, drawn with seed %" PRIu64
                          "; the names show no patients with several images.\n",
                          self->seed));
    else
        TRY(buffer_printf(out, "  # The splits of the layout, without %d case%s image or mask.\n",
                          split->n_left_out,
                          split->n_left_out == 1 ? " that lacks" : "s that lack"));
    if (split->n_without_mask > 0) {
        TRY(buffer_printf(out, "  # Left out: %d image%s without a mask.\n", split->n_without_mask,
                          split->n_without_mask == 1 ? "" : "s"));
    }
    TRY(put_text(out, "  split:\n    train: ", self->lists[SPLIT_TRAIN], "\n"));
    return put_text(out, "    val: ", self->lists[SPLIT_VAL], "\n");
}

static adele_status put_class(const struct label_guess *labels, int c, struct buffer *out) {
    int n = 0, n_put = 0;
    for (int i = 0; i < labels->n; i++)
        n += labels->to[i] == c;
    TRY(buffer_text(out, n > 1 ? "{from: [" : "{from: "));
    for (int i = 0; i < labels->n; i++)
        if (labels->to[i] == c)
            TRY(buffer_printf(out, "%s%d", n_put++ > 0 ? ", " : "", labels->from[i]));
    TRY(buffer_printf(out, "%s, to: %d", n > 1 ? "]" : "", c));
    return put_text(out, ", name: ", labels->names[c], "}");
}

// "- {...}" lines, or a list in brackets where there are many classes.
static adele_status put_labels(const struct init_choices *self, struct buffer *out) {
    const struct label_guess *labels = &self->labels;
    int per_line = (labels->n_names + MAP_LINES - 1) / MAP_LINES;
    if (labels->n == 0)
        return buffer_text(out, "  # The classes are those of the layout.\n");
    TRY(buffer_printf(out, "  label_map: # %s\n", labels->why));
    for (int c = 0; c < labels->n_names; c++) {
        bool is_first = c % per_line == 0, is_last = c + 1 == labels->n_names;
        if (per_line == 1)
            TRY(buffer_text(out, "    - "));
        else
            TRY(buffer_text(out, c == 0 ? "    [" : is_first ? "     " : " "));
        TRY(put_class(labels, c, out));
        if (per_line > 1)
            TRY(buffer_text(out, is_last ? "]" : ","));
        if (per_line == 1 || is_last || (c + 1) % per_line == 0)
            TRY(buffer_text(out, "\n"));
    }
    return labels->other >= 0 ? buffer_printf(out, "  label_map_other: %d\n", labels->other)
                              : ADELE_OK;
}

// With the coarser way beside it, which takes less time.
static adele_status put_patch(const struct init_fit *fit, const struct adele_fingerprint *found,
                              struct buffer *out) {
    TRY(buffer_printf(
        out,
        "  # The files have %g x %g (height x width), more than a training takes as a "
        "whole: it sees random patches.\n"
        "  # size: [%d, %d] without patch trains on whole images: faster, and "
        "coarser.\n",
        found->extents[1].median, found->extents[0].median, fit->whole_height, fit->whole_width));
    TRY(buffer_text(out, "  size: [0, 0] # the files' own\n"));
    return buffer_printf(out,
                         "  patch: [%d, %d] # height, width; masks come out at the files' own "
                         "size\n",
                         fit->height, fit->width);
}

// "about 220 x 240 (median)" where the files differ in size.
static adele_status put_size(const struct init_choices *self, struct buffer *out) {
    const struct adele_range *extents = self->fingerprint->extents;
    bool is_one = self->fingerprint->n_sizes == 1;
    return buffer_printf(
        out,
        "  size: [%d, %d] # height, width in training; the files have %s%g x %g%s, "
        "and masks come out at %s size\n",
        self->fit.height, self->fit.width, is_one ? "" : "about ", extents[1].median,
        extents[0].median, is_one ? "" : " (median)", is_one ? "that" : "their own");
}

// With the settings that the method was measured with (configs/jsrt_unet_ensemble.yaml).
static adele_status put_ensemble(struct buffer *out) {
    return buffer_text(
        out, "  optimizer: {name: sgd, lr: 0.05, momentum: 0.9} # the method was measured "
             "with this and with the loss below\n"
             "loss: {form: plain, scales: [1.0]}\n"
             "# Labels that look wrong are corrected once, after a third of the epochs; "
             "enabled: false is plain training.\n"
             "correction: {enabled: true, method: ensemble}\n");
}

static adele_status put_adele(const struct init_fit *fit, struct buffer *out) {
    TRY(buffer_text(out, "  optimizer: {name: adamw, lr: 0.001} # learns small sets in fewer "
                         "epochs than the paper's sgd\n"));
    TRY(buffer_text(out, "# Labels that look wrong are corrected while it trains; enabled: false "
                         "is plain training.\n"));
    return buffer_text(out, fit->is_patch ? "correction: {enabled: true, source: inference} # "
                                            "by windows of the patch's size\n"
                                          : "correction: {enabled: true}\n");
}

static adele_status put_training(const struct init_choices *self, struct buffer *out) {
    const struct init_fit *fit = &self->fit;
    TRY(fit->is_patch ? put_patch(fit, self->fingerprint, out) : put_size(self, out));
    TRY(buffer_printf(out, "model: {name: unet, width: %d}%s\n", fit->channels,
                      fit->is_gpu ? "" : " # small, for a CPU; 64 on a GPU"));
    TRY(buffer_printf(out, "train:\n  epochs: %d\n  batch: %d # takes ", fit->epochs, fit->batch));
    double gigabytes = (double)fit->needed_bytes / 1e9;
    TRY(buffer_text(out, gigabytes < 0.05 ? "less than " : "about "));
    TRY(buffer_fixed(out, gigabytes < 0.05 ? 0.1 : gigabytes, 1));
    TRY(buffer_printf(out, " GB of memory\n  seed: %" PRIu64 "\n", self->seed));
    return fit->is_ensemble ? put_ensemble(out) : put_adele(fit, out);
}

adele_status init_yaml_write(const struct init_choices *choices, struct buffer *out) {
    TRY(put_head(choices, out));
    TRY(put_layout(choices, out));
    TRY(put_split(choices, out));
    TRY(put_labels(choices, out));
    return put_training(choices, out);
}
