// SPDX-License-Identifier: MIT
// Which rank corrects which image.
#include "ranks/image_owner.h"

#include "base/random.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 5, MOST = 40 };

static void shares(void **state) {
    int owners[11];
    static const int want[11] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    (void)state;
    image_owners_of_shares(11, 3, 2, owners);
    assert_memory_equal(owners, want, sizeof want);
}

// The rank whose part of the batch has the image, of n_parts parts, n_parts / n_ranks neighbouring
// ones a rank; -1: no step of the epoch has it.
static int owner_by_hand(const struct epoch_batches *batches, int epoch, int n_steps, int n_images,
                         int n_parts, int n_ranks, int image) {
    int order[MOST];
    random_permutation(SEED, RANDOM_ORDER, (uint32_t)epoch, n_images, order);
    for (int s = 0; s < n_steps; s++) {
        int n = s == batches->n_steps - 1 ? batches->n_last_images : batches->batch;
        for (int i = 0; i < n; i++)
            if (order[s * batches->batch + i] == image)
                return i / (n / n_parts) / (n_parts / n_ranks);
    }
    return -1;
}

// With 40 images in batches of 16: two full steps and one of 8.
static void parts_of_batches(void **state) {
    const struct epoch_batches batches = {.batch = 16, .n_steps = 3, .n_last_images = 8};
    int owners[MOST], n_of_rank[4];
    (void)state;
    for (int n_ranks = 1; n_ranks <= 4; n_ranks *= 2) {
        check_ok(image_owners_of_training(&batches, SEED, 3, 3, MOST, n_ranks, owners));
        memset(n_of_rank, 0, sizeof n_of_rank);
        for (int i = 0; i < MOST; i++) {
            assert_int_equal(owners[i], owner_by_hand(&batches, 3, 3, MOST, 4, n_ranks, i));
            n_of_rank[owners[i]]++;
        }
        for (int r = 0; r < n_ranks; r++)
            assert_int_equal(n_of_rank[r], MOST / n_ranks);
    }
}

// What an epoch has not reached is of the epoch before, and in the first epoch of rank 0.
static void images_that_were_not_reached(void **state) {
    const struct epoch_batches batches = {.batch = 16, .n_steps = 3, .n_last_images = 8};
    int owners[MOST], n_earlier = 0;
    (void)state;
    check_ok(image_owners_of_training(&batches, SEED, 4, 1, MOST, 2, owners));
    for (int i = 0; i < MOST; i++) {
        int want = owner_by_hand(&batches, 4, 1, MOST, 4, 2, i);
        n_earlier += want < 0;
        assert_int_equal(owners[i],
                         want >= 0 ? want : owner_by_hand(&batches, 3, 3, MOST, 4, 2, i));
    }
    assert_int_equal(n_earlier, 24);
    check_ok(image_owners_of_training(&batches, SEED, 1, 1, MOST, 2, owners));
    for (int i = 0; i < MOST; i++) {
        int want = owner_by_hand(&batches, 1, 1, MOST, 4, 2, i);
        assert_int_equal(owners[i], want >= 0 ? want : 0);
    }
}

// An epoch that leaves 7 images out.
static void images_that_are_left_out(void **state) {
    const struct epoch_batches batches = {.batch = 16, .n_steps = 2, .n_last_images = 16};
    enum { N = 39 };
    int owners[N];
    (void)state;
    check_ok(image_owners_of_training(&batches, SEED, 2, 2, N, 4, owners));
    for (int i = 0; i < N; i++) {
        int want = owner_by_hand(&batches, 2, 2, N, 4, 4, i);
        if (want < 0)
            want = owner_by_hand(&batches, 1, 2, N, 4, 4, i);
        assert_int_equal(owners[i], want < 0 ? 0 : want);
    }
}

static void neighbours_of_other_ranks(void **state) {
    static const int owners[] = {1, 1, 0, 2, 0, 0, 1};
    static const struct image_share want[] = {{0, 2}, {3, 4}, {6, 7}};
    struct image_share range = {0, 0};
    (void)state;
    for (int k = 0; k < 3; k++) {
        assert_true(image_owners_next_others(owners, 7, 0, &range));
        assert_memory_equal(&range, &want[k], sizeof range);
    }
    assert_false(image_owners_next_others(owners, 7, 0, &range));
    range = (struct image_share){0, 0};
    assert_false(image_owners_next_others(owners + 4, 2, 0, &range));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares),
        cmocka_unit_test(parts_of_batches),
        cmocka_unit_test(images_that_were_not_reached),
        cmocka_unit_test(images_that_are_left_out),
        cmocka_unit_test(neighbours_of_other_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
