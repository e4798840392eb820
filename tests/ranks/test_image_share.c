// SPDX-License-Identifier: MIT
// Batches of a set, divided among the ranks.
#include "ranks/image_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

// One behind the other, the shares are the whole set; each begins with a batch; none has more than
// one batch more than another.
static void check_shares(int n_images, int batch, int n_ranks) {
    int next = 0, least = n_images, most = 0;
    for (int r = 0; r < n_ranks; r++) {
        struct image_share share = image_share_of(n_images, batch, r, n_ranks);
        int n = share.end - share.first, n_batches = (n + batch - 1) / batch;
        assert_int_equal(share.first, next);
        assert_true(n >= 0);
        if (n > 0)
            assert_int_equal(share.first % batch, 0);
        assert_true(share.end % batch == 0 || share.end == n_images);
        least = n_batches < least ? n_batches : least;
        most = n_batches > most ? n_batches : most;
        next = share.end;
    }
    assert_int_equal(next, n_images);
    assert_true(most - least <= 1);
    if (n_images > 0)
        assert_true(image_share_of(n_images, batch, 0, n_ranks).end > 0);
}

static void each_batch_is_of_one_rank(void **state) {
    static const int batches[] = {1, 4, 5, 64};
    (void)state;
    for (int n_ranks = 1; n_ranks <= 8; n_ranks *= 2)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            for (int n_images = 0; n_images <= 70; n_images++)
                check_shares(n_images, batches[b], n_ranks);
    check_shares(INT32_MAX, 16, 8); // no product overflows
}

static void literal_shares(void **state) {
    static const struct {
        int n_images, batch, i_rank, n_ranks, first, end;
    } cases[] = {{18, 4, 0, 1, 0, 18}, {18, 4, 0, 2, 0, 12}, {18, 4, 1, 2, 12, 18},
                 {3, 4, 0, 2, 0, 3},   {3, 4, 1, 2, 3, 3},   {9, 4, 2, 4, 8, 9},
                 {9, 4, 3, 4, 9, 9},   {16, 2, 7, 8, 14, 16}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_share share =
            image_share_of(cases[i].n_images, cases[i].batch, cases[i].i_rank, cases[i].n_ranks);
        assert_int_equal(share.first, cases[i].first);
        assert_int_equal(share.end, cases[i].end);
    }
    struct image_share all = image_share_mine(NULL, 18, 4); // one process
    assert_true(all.first == 0 && all.end == 18);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_batch_is_of_one_rank),
        cmocka_unit_test(literal_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
