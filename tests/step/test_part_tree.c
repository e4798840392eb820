// SPDX-License-Identifier: MIT
// The order of the sum of parts, against sums that are written out: floats round, so that another
// order gives other bits.
#include "base/memory.h"
#include "step/part_tree.h"
#include "support/devices.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N 3 // floats of a vector

// Large ones that cancel, and small ones that are lost beside them.
static const float values[8][N] = {
    {1e8f, 0.1f, 3.0f},  {1.0f, 0.2f, 16777216.0f}, {-1e8f, 0.3f, 1.0f}, {1.0f, 0.4f, 1.0f},
    {1e8f, 0.55f, 1.0f}, {3.0f, 0.7f, 1.0f},        {5.0f, 0.9f, 1.0f},  {-1e8f, 1.3f, 1.0f}};

static float pair(int i, int c) {
    return values[i][c] + values[i + 1][c];
}

static float written_out(int n, int c) {
    switch (n) {
    case 1:
        return values[0][c];
    case 2:
        return pair(0, c);
    case 4:
        return pair(0, c) + pair(2, c);
    default:
        return (pair(0, c) + pair(2, c)) + (pair(4, c) + pair(6, c));
    }
}

// One after another, as an order that the tree must not have.
static float in_a_row(int n, int c) {
    float sum = values[0][c];
    for (int i = 1; i < n; i++)
        sum += values[i][c];
    return sum;
}

// The sum of parts first .. first + n - 1, into out.
static void sum_parts(struct part_tree *tree, int first, int n, float out[N]) {
    const struct adele_device *device = tree->device;
    for (int i = first; i < first + n; i++) {
        check_ok(device->iface->upload(device, part_tree_next(tree), values[i], sizeof values[i]));
        check_ok(part_tree_add(tree));
    }
    check_ok(device->iface->synchronize(device));
    check_ok(device->iface->download(device, out, part_tree_end(tree), N * sizeof *out));
}

static void assert_bits(const float got[N], const float want[N]) {
    for (int c = 0; c < N; c++)
        if (memcmp(&got[c], &want[c], sizeof *got) != 0)
            fail_msg("entry %d is %.9g instead of %.9g", c, (double)got[c], (double)want[c]);
}

static void check_sums(struct adele_device *device) {
    for (int n = 1; n <= 8; n *= 2) {
        struct part_tree tree;
        float got[N], want[N], row[N];
        check_ok(part_tree_init(&tree, device, N, n));
        for (int c = 0; c < N; c++) {
            want[c] = written_out(n, c);
            row[c] = in_a_row(n, c);
        }
        if (n > 2)
            assert_true(memcmp(want, row, sizeof want) != 0); // so the order matters here
        for (int step = 0; step < 2; step++) {                // the second finds an empty tree
            sum_parts(&tree, 0, n, got);
            assert_bits(got, want);
        }
        part_tree_deinit(&tree);
    }
}

// Two processes of 4 parts, or four of 2, whose sums are added in the same tree, have the bits of
// one process.
static void check_divided(struct adele_device *device) {
    for (int n_own = 2; n_own <= 4; n_own *= 2) {
        struct part_tree tree;
        float of_rank[4][N], want[N];
        check_ok(part_tree_init(&tree, device, N, n_own));
        for (int r = 0; r < 8 / n_own; r++)
            sum_parts(&tree, r * n_own, n_own, of_rank[r]);
        for (int apart = 1; apart < 8 / n_own; apart *= 2)
            for (int r = 0; r < 8 / n_own; r += 2 * apart)
                for (int c = 0; c < N; c++)
                    of_rank[r][c] += of_rank[r + apart][c];
        for (int c = 0; c < N; c++)
            want[c] = written_out(8, c);
        assert_bits(of_rank[0], want);
        part_tree_deinit(&tree);
    }
}

static void check_memory(struct adele_device *device) {
    for (long i = 0; i < 1; i++) {
        struct part_tree tree;
        memory_fail_at(i);
        assert_int_equal(part_tree_init(&tree, device, N, 4), ADELE_NO_MEMORY);
        memory_fail_at(-1);
        part_tree_deinit(&tree);
    }
    struct part_tree tree;
    check_ok(part_tree_init(&tree, device, N, 8));
    assert_int_equal(tree.bytes, 4 * N * sizeof(float)); // 3 sums that wait, and the next part
    part_tree_deinit(&tree);
}

ON_EACH_DEVICE(sums)
ON_EACH_DEVICE(divided)
ON_EACH_DEVICE(memory)

// 2^53 + 1 is not a double: the tree of rows adds the two small ones first.
static void rows_are_a_tree_too(void **state) {
    (void)state;
    double rows[4][2] = {{9007199254740992.0, 1.0}, {0.0, 2.0}, {1.0, 3.0}, {1.0, 4.0}};
    part_tree_sum_rows(&rows[0][0], 4, 2);
    assert_true(rows[0][0] == 9007199254740994.0);
    assert_true(rows[0][1] == 10.0);
    double one[2] = {5.0, 6.0};
    part_tree_sum_rows(one, 1, 2);
    assert_true(one[0] == 5.0 && one[1] == 6.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_divided),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(rows_are_a_tree_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
