// SPDX-License-Identifier: MIT
// Runs with train.optimizer.name: adamw: they learn, and a resumed one is the same to the byte.
#include "base/safetensors.h"
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

// Learned scale weights are a second group of parameters, with updates of their own.
#define ADAMW                                                                                      \
    "train.optimizer.name=adamw", "train.optimizer.momentum=", "train.optimizer.lr=0.01",          \
        "train.optimizer.weight_decay=0.01", "loss.learn_scale_weights=true", "train.epochs=3",    \
        "train.evaluate_test=false", "correction.enabled=false"

// 5 steps an epoch, so that step 7 is the second of epoch 2.
static void a_resumed_run_is_the_same(void **state) {
    check_ok(tiny_run(state, "whole", false, SETS(ADAMW), NULL));
    tiny_run_interrupted(state, "parts", 7, SETS(ADAMW));
    check_ok(tiny_run(state, "parts", true, SETS(ADAMW), NULL));
    tiny_run_assert_same(state, "whole", "parts");
}

static void a_checkpoint_has_the_state(void **state) {
    struct safetensors *file = NULL;
    check_ok(safetensors_open(scratch_path(state, "whole/checkpoints/last.safetensors"), &file));
    const struct safetensors_entry *updates = safetensors_find(file, "adamw.updates");
    const struct safetensors_entry *scales = safetensors_find(file, "adamw.scale_weights");
    const struct safetensors_entry *second =
        safetensors_find(file, "second_moment.inc.double_conv.0.weight");
    const struct safetensors_entry *first =
        safetensors_find(file, "momentum.inc.double_conv.0.weight");
    assert_true(updates && scales && second && first);
    assert_int_equal(((const int64_t *)updates->data)[0], 15);
    assert_int_equal(((const int64_t *)updates->data)[1], 15);
    assert_true(((const float *)scales->data)[0] > 0.0f);
    assert_int_equal(second->bytes, first->bytes);
    for (size_t i = 0; i < second->bytes / sizeof(float); i++)
        assert_true(((const float *)second->data)[i] >= 0.0f);
    safetensors_close(file);
}

// Far from the bound: it falls by a tenth.
static void the_loss_falls(void **state) {
    double first = tiny_run_metric(state, "whole", 1, "train/loss");
    double last = tiny_run_metric(state, "whole", 3, "train/loss");
    if (!(last < 0.97 * first))
        fail_msg("the loss was %g in epoch 1 and is %g in epoch 3", first, last);
}

// The settings are compared before the checkpoint is read.
static void another_optimizer_cannot_resume(void **state) {
    assert_int_equal(tiny_run(state, "whole", true,
                              SETS("loss.learn_scale_weights=true", "train.epochs=3",
                                   "train.evaluate_test=false", "correction.enabled=false"),
                              NULL),
                     ADELE_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_is_the_same),
        cmocka_unit_test(a_checkpoint_has_the_state),
        cmocka_unit_test(the_loss_falls),
        cmocka_unit_test(another_optimizer_cannot_resume),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
