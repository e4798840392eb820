// SPDX-License-Identifier: MIT
// Runs with loss.dice: its value is in the loss, with both reductions, and a resumed run is the
// same to the byte.
#include "support/scratch.h"
#include "support/tiny_run.h"
#include "support/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SHORT                                                                                      \
    "train.epochs=2", "train.evaluate_test=false", "correction.enabled=false", "loss.form=plain",  \
        "loss.divisor=2"

// The loss is the cross-entropy over the divisor, and the weight times a mean of 1 - Dice, which
// lies between 0 and 1.
static void the_loss_has_a_dice_part(void **state) {
    static const char *const reductions[] = {"loss.dice_reduction=batch",
                                             "loss.dice_reduction=image"};
    static const char *const names[] = {"batch", "image"};
    double parts[2];
    for (int i = 0; i < 2; i++) {
        check_ok(
            tiny_run(state, names[i], false, SETS(SHORT, "loss.dice=0.5", reductions[i]), NULL));
        parts[i] = tiny_run_metric(state, names[i], 1, "train/loss") -
                   tiny_run_metric(state, names[i], 1, "train/cross_entropy") / 2.0;
        assert_true(parts[i] > 0.05 && parts[i] < 0.5);
        double last = tiny_run_metric(state, names[i], 2, "train/loss");
        assert_true(last < tiny_run_metric(state, names[i], 1, "train/loss"));
    }
    assert_true(fabs(parts[0] - parts[1]) > 1e-6);
}

static void a_resumed_run_is_the_same(void **state) {
    tiny_run_interrupted(state, "parts", 7, SETS(SHORT, "loss.dice=0.5"));
    check_ok(tiny_run(state, "parts", true, SETS(SHORT, "loss.dice=0.5"), NULL));
    tiny_run_assert_same(state, "batch", "parts");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_has_a_dice_part),
        cmocka_unit_test(a_resumed_run_is_the_same),
    };
    return cmocka_run_group_tests(tests, tiny_run_setup, scratch_teardown);
}
