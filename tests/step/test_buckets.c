// SPDX-License-Identifier: MIT
// The division of gradients: every float belongs to one chunk of one rank, in buckets whose
// boundaries do not depend on the number of ranks.
#include "step/buckets.h"

#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// Behind each other in the vector; and the chunks of a rank among those that it has.
static void assert_divided(const struct buckets *buckets, int64_t n_floats) {
    int64_t at = 0, of_own = 0;
    for (int b = 0; b < buckets->n; b++) {
        const struct bucket *bucket = &buckets->all[b];
        assert_true(bucket->first == at && bucket->n > 0);
        assert_true(bucket->chunk_floats % 16 == 0 && bucket->at == of_own);
        for (int rank = 0; rank < buckets->n_ranks; rank++) {
            struct chunk chunk = bucket_chunk(bucket, rank);
            assert_true(chunk.n >= 0 && chunk.n <= bucket->chunk_floats);
            assert_true(chunk.n == 0 || chunk.first == at);
            at += chunk.n;
        }
        assert_true(at == bucket->first + bucket->n);
        of_own += bucket->chunk_floats;
    }
    assert_true(at == n_floats && of_own == buckets->own_floats);
}

static void every_float_has_one_owner(void **state) {
    static const int64_t sizes[] = {16, 48, 16384, 16400, 131072, 1000000, 30000016};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int n_ranks = 1; n_ranks <= 64; n_ranks *= 2) {
            struct buckets buckets;
            check_ok(buckets_init(&buckets, sizes[i], 33, n_ranks));
            assert_divided(&buckets, sizes[i] + 33);
            buckets_deinit(&buckets);
        }
}

// A rank has its share of the gradients, and what fills up a cache line in each bucket.
static void boundaries_depend_on_the_network_alone(void **state) {
    const int64_t n = 1000000;
    struct buckets two, many;
    (void)state;
    check_ok(buckets_init(&two, n, 33, 2));
    check_ok(buckets_init(&many, n, 4000, 32));
    assert_int_equal(two.n, many.n);
    assert_true(two.n > 8);
    for (int b = 0; b + 1 < two.n; b++)
        assert_true(two.all[b].first == many.all[b].first && two.all[b].n == many.all[b].n);
    assert_true(two.all[two.n - 1].at <= n / 2 + 16 * two.n);
    assert_true(many.all[many.n - 1].at <= n / 32 + 16 * many.n);
    buckets_deinit(&two);
    buckets_deinit(&many);
    // Of the sizes that buckets.c states: 64 KB, an eighth, and 16 MB.
    static const struct {
        int64_t n, bucket;
    } sizes[] = {{20000, 16384}, {131072, 16384}, {262144, 32768}, {100000000, 1 << 22}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_ok(buckets_init(&two, sizes[i].n, 16, 2));
        assert_true(two.all[0].n == sizes[i].bucket);
        buckets_deinit(&two);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_float_has_one_owner),
        cmocka_unit_test(boundaries_depend_on_the_network_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
