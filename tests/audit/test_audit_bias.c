// SPDX-License-Identifier: MIT
// Discs, and labels of them that are right, too large or too small, beside predictions that may
// themselves be too large.
#include "audit/audit_bias.h"

#include "base/log.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIZE      128
#define N_PIXELS  (SIZE * SIZE)
#define N         12
#define TOO_LARGE 3 // images
#define TOO_SMALL 8

static char *const names[] = {"ground", "heart"};

static bool is_inside(int i, double radius) {
    double y = i / SIZE - SIZE / 2, x = i % SIZE - SIZE / 2;
    return y * y + x * x < radius * radius;
}

static void add_disc(struct audit_table *table, double label, double predicted) {
    static uint8_t labels[N_PIXELS];
    static float p[2 * N_PIXELS];
    struct doubt_image image = {2, SIZE, SIZE, labels, p};
    struct doubt doubt = {0};
    struct doubt_score score;
    for (int i = 0; i < N_PIXELS; i++) {
        labels[i] = is_inside(i, label);
        p[N_PIXELS + i] = is_inside(i, predicted) ? 1.0f : 0.0f;
        p[i] = 1.0f - p[N_PIXELS + i];
    }
    assert_int_equal(doubt_score(&doubt, &image, &score), ADELE_OK);
    assert_int_equal(audit_table_add_image(table, "disc", 0, &score), ADELE_OK);
    doubt_deinit(&doubt);
}

// The areas of the two wrong labels are 1.25 times and 1 / 1.25 of the right ones.
static void fill(struct audit_table *table, int n, double factor) {
    assert_int_equal(audit_table_init(table, 2, 0), ADELE_OK);
    for (int i = 0; i < n; i++) {
        double radius = 40.0, change = sqrt(1.25);
        double label = i == TOO_LARGE ? radius * change : i == TOO_SMALL ? radius / change : radius;
        add_disc(table, label, radius * factor);
    }
}

static void assert_same(const struct audit_table *a, const struct audit_table *b) {
    for (int i = 0; i < a->n_rows; i++) {
        assert_memory_equal(&a->rows[i].score, &b->rows[i].score, sizeof(double));
        assert_memory_equal(&a->rows[i].worst_score, &b->rows[i].worst_score, sizeof(double));
    }
    for (int c = 0; c < a->n_categories; c++)
        assert_int_equal(a->classes[c].score_sum, b->classes[c].score_sum);
}

static void labels_too_large_and_too_small_rank_alike_for_predictions_too_large(void **state) {
    (void)state;
    struct audit_table table;
    fill(&table, N, 1.05);
    const struct audit_row *large = &table.rows[TOO_LARGE], *small = &table.rows[TOO_SMALL];
    assert_true(large->score > small->score + 0.1); // as the network says
    assert_int_equal(audit_bias_remove(&table), ADELE_OK);
    assert_true(fabs(table.bias[1] - 1.05 * 1.05) <= 0.01);
    assert_true(fabs(large->score - 0.8) <= 0.01);
    assert_true(fabs(small->score - 0.8) <= 0.01);
    double sum = 0.0;
    for (int i = 0; i < N; i++) {
        sum += table.rows[i].worst_score;
        if (i != TOO_LARGE && i != TOO_SMALL)
            assert_true(table.rows[i].score > 0.999);
    }
    assert_true(fabs(audit_table_class_score(&table, 1) - sum / N) <= 1e-9);
    audit_table_deinit(&table);
}

static void labels_too_large_and_too_small_rank_alike_for_predictions_too_small(void **state) {
    (void)state;
    struct audit_table table;
    fill(&table, N, 0.95);
    const struct audit_row *large = &table.rows[TOO_LARGE], *small = &table.rows[TOO_SMALL];
    assert_true(small->score > large->score + 0.1);
    assert_int_equal(audit_bias_remove(&table), ADELE_OK);
    assert_true(fabs(table.bias[1] - 0.95 * 0.95) <= 0.01);
    assert_true(fabs(large->score - 0.8) <= 0.01);
    assert_true(fabs(small->score - 0.8) <= 0.01);
    assert_true(table.rows[0].score > 0.999);
    audit_table_deinit(&table);
}

static void without_a_bias_scores_stay(void **state) {
    (void)state;
    struct audit_table table, before;
    fill(&table, N, 1.0);
    fill(&before, N, 1.0);
    assert_int_equal(audit_bias_remove(&table), ADELE_OK);
    assert_true(table.bias[1] >= 1.0 && table.bias[1] <= 1.0);
    assert_same(&table, &before);
    audit_table_deinit(&table);
    audit_table_deinit(&before);
}

static void fewer_than_eight_images_have_no_bias(void **state) {
    (void)state;
    for (int n = AUDIT_BIAS_IMAGES - 1; n <= AUDIT_BIAS_IMAGES; n++) {
        struct audit_table table, before;
        fill(&table, n, 1.05);
        fill(&before, n, 1.05);
        add_disc(&table, 40.0, 0.0); // labelled and not predicted: does not count
        add_disc(&before, 40.0, 0.0);
        assert_int_equal(audit_bias_remove(&table), ADELE_OK);
        if (n < AUDIT_BIAS_IMAGES)
            assert_same(&table, &before);
        else
            assert_true(table.bias[1] > 1.05 && table.rows[0].score > before.rows[0].score);
        audit_table_deinit(&table);
        audit_table_deinit(&before);
    }
}

static void a_class_that_is_not_learned_has_no_bias(void **state) {
    (void)state;
    struct audit_table table, before;
    fill(&table, N, 0.5);
    fill(&before, N, 0.5);
    assert_int_equal(audit_bias_remove(&table), ADELE_OK);
    assert_same(&table, &before);
    audit_table_deinit(&table);
    audit_table_deinit(&before);
}

static void the_pictures_are_of_rows_that_were_kept(void **state) {
    (void)state;
    struct audit_table table;
    fill(&table, N, 1.0);
    for (int i = 0; i < N; i++) {
        table.rows[i].first_score = 0.01 * i;
        table.rows[i].score = 0.5 - 0.01 * i; // the last one is the most doubtful at the end
    }
    assert_int_equal(audit_table_number_pictures(&table, 3, N - 1), ADELE_OK);
    for (int i = 0; i < N; i++)
        assert_int_equal(table.rows[i].picture, i == N - 2 ? 2 : i == N - 3 ? 3 : 0);
    audit_table_deinit(&table);
}

static void keep_line(void *context, enum log_level level, const char *line) {
    char *lines = context;
    (void)level;
    size_t n = strlen(lines);
    (void)snprintf(lines + n, 512 - n, "%s\n", line);
}

static void the_log_says_the_bias(void **state) {
    (void)state;
    struct audit_table table = {.n_categories = 2, .bias = {1.0, 1.084}};
    char lines[512] = "";
    log_set_sink(keep_line, lines);
    audit_bias_log(&table, names);
    table.bias[1] = 0.9;
    audit_bias_log(&table, names);
    table.bias[1] = 1.0;
    audit_bias_log(&table, names);
    log_set_sink(NULL, NULL);
    assert_string_equal(
        lines, "heart: predictions are 8 % larger than the labels in the median; scores allow for "
               "it\n"
               "heart: predictions are 10 % smaller than the labels in the median; scores allow "
               "for it\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_too_large_and_too_small_rank_alike_for_predictions_too_large),
        cmocka_unit_test(labels_too_large_and_too_small_rank_alike_for_predictions_too_small),
        cmocka_unit_test(without_a_bias_scores_stay),
        cmocka_unit_test(fewer_than_eight_images_have_no_bias),
        cmocka_unit_test(a_class_that_is_not_learned_has_no_bias),
        cmocka_unit_test(the_log_says_the_bias),
        cmocka_unit_test(the_pictures_are_of_rows_that_were_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
