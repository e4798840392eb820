// SPDX-License-Identifier: MIT
#include "audit/audit_table.h"

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *const names[] = {"ground", "disc", "box, red"};

static struct doubt_score score_of(double ground, double disc, double box) {
    struct doubt_score score = {.worst_class = -1, .worst_score = 1.0};
    double of_class[3] = {ground, disc, box}, sum = 0.0;
    int n = 0;
    for (int c = 0; c < 3; c++) {
        score.of_class[c] = of_class[c];
        if (isnan(of_class[c]))
            continue;
        sum += of_class[c];
        n++;
        if (score.worst_class < 0 || of_class[c] < score.worst_score) {
            score.worst_class = c;
            score.worst_score = of_class[c];
        }
        score.overlap[c].n_labelled = 50;
        score.n_pixels += 50;
    }
    score.score = sum / n;
    return score;
}

static struct doubt_region region_of(int x, double doubt) {
    return (struct doubt_region){.x = x,
                                 .y = 2,
                                 .width = 3,
                                 .height = 4,
                                 .from = 1,
                                 .to = 2,
                                 .n_pixels = 10,
                                 .confidence = 0.75,
                                 .doubt = doubt};
}

static void assert_file(void *const *state, const char *name, const char *want) {
    char *text = NULL;
    size_t n;
    assert_int_equal(file_read(scratch_path(state, name), 0, &text, &n), ADELE_OK);
    assert_string_equal(text, want);
    memory_free(text);
}

static void add_image(struct audit_table *table, const char *name, int slice, double ground,
                      double disc, double box) {
    struct doubt_score score = score_of(ground, disc, box);
    assert_int_equal(audit_table_add_image(table, name, slice, &score), ADELE_OK);
}

static void the_files_have_the_most_doubtful_first(void **state) {
    struct audit_table table;
    struct doubt_region a = region_of(1, 5.0), b = region_of(2, 7.0), c = region_of(3, 6.0);
    assert_int_equal(audit_table_init(&table, 3, 2), ADELE_OK);
    add_image(&table, "one", 0, 1.0, 0.5, (double)NAN);
    audit_table_add_region(&table, &a);
    add_image(&table, "two, \"x\"", 4, 1.0, 0.75, 0.25);
    audit_table_add_region(&table, &b);
    audit_table_add_region(&table, &c);
    add_image(&table, "three", 0, 1.0, 0.5, (double)NAN); // as good as "one", so behind it
    assert_int_equal(audit_table_number_pictures(&table, 1, 1), ADELE_OK);
    assert_int_equal(audit_table_save(&table, names, scratch_path(state, ".")), ADELE_OK);
    assert_file(state, "audit.csv",
                "rank,case,slice,score,worst_class,worst_class_score,pixels,doubtful_pixels,"
                "doubtful_fraction,regions,overlay\n"
                "1,\"two, \"\"x\"\"\",4,0.666667,\"box, red\",0.250000,150,20,0.133333,2,"
                "overlays/0001\n"
                "2,one,0,0.750000,disc,0.500000,100,10,0.100000,1,\n"
                "3,three,0,0.750000,disc,0.500000,100,0,0.000000,0,\n");
    assert_file(state, "regions.csv",
                "rank,case,slice,x,y,width,height,from,to,pixels,confidence,doubt\n"
                "1,\"two, \"\"x\"\"\",4,2,2,3,4,disc,\"box, red\",10,0.750000,7.000000\n"
                "2,\"two, \"\"x\"\"\",4,3,2,3,4,disc,\"box, red\",10,0.750000,6.000000\n");
    assert_file(state, "classes.csv",
                "class,score,images,pixels,doubtful_pixels,doubtful_fraction,most_often\n"
                "\"box, red\",0.250000,1,50,0,0.000000,\n"
                "disc,0.583333,3,150,30,0.200000,\"box, red\"\n"
                "ground,1.000000,3,150,0,0.000000,\n");
    assert_int_equal(table.n_found, 3);
    audit_table_deinit(&table);
}

static void a_class_in_no_image_has_no_score(void **state) {
    struct audit_table table;
    assert_int_equal(audit_table_init(&table, 3, 0), ADELE_OK);
    add_image(&table, "one", 0, 1.0, (double)NAN, 0.5);
    struct doubt_region region = region_of(1, 5.0);
    audit_table_add_region(&table, &region); // no row of regions.csv is wanted
    assert_int_equal(audit_table_save(&table, names, scratch_path(state, ".")), ADELE_OK);
    assert_file(state, "classes.csv",
                "class,score,images,pixels,doubtful_pixels,doubtful_fraction,most_often\n"
                "\"box, red\",0.500000,1,50,0,0.000000,\n"
                "ground,1.000000,1,50,0,0.000000,\n"
                "disc,,0,0,10,0.000000,\"box, red\"\n");
    assert_file(state, "regions.csv",
                "rank,case,slice,x,y,width,height,from,to,pixels,confidence,doubt\n");
    audit_table_deinit(&table);
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a < b) - (a > b);
}

// A million regions leave the 100 most doubtful, in the memory of 100.
static void the_regions_are_the_most_doubtful_of_all(void **state) {
    (void)state;
    enum { N = 1000000, MAX = 100, PER_IMAGE = 1000 };
    struct audit_table table;
    double *all = malloc(N * sizeof *all);
    assert_non_null(all);
    assert_int_equal(audit_table_init(&table, 3, MAX), ADELE_OK);
    uint32_t random = 1;
    memory_fail_at(-1); // counts from here
    for (int i = 0; i < N; i++) {
        if (i % PER_IMAGE == 0)
            add_image(&table, "one", i, 1.0, 0.5, 0.5);
        random = random * 1664525u + 1013904223u;
        all[i] = (double)(random >> 8);
        struct doubt_region region = region_of(i, all[i]);
        audit_table_add_region(&table, &region);
    }
    // One allocation a row (its name) and those of two growing arrays; none for a region.
    assert_true(memory_count() <= N / PER_IMAGE + 32);
    assert_int_equal(table.n_regions, MAX);
    assert_int_equal(table.n_found, N);
    assert_int_equal(audit_table_save(&table, names, scratch_path(state, ".")), ADELE_OK);
    qsort(all, N, sizeof *all, compare_doubles);
    for (int i = 0; i < MAX; i++)
        if (!(fabs(table.regions[i].region.doubt - all[i]) <= 0.0))
            fail_msg("region %d: %g instead of %g", i, table.regions[i].region.doubt, all[i]);
    audit_table_deinit(&table);
    free(all);
}

// Of regions that are as doubtful the first stay, so that the file does not depend on the heap.
static void equal_regions_stay_in_their_order(void **state) {
    struct audit_table table;
    assert_int_equal(audit_table_init(&table, 3, 3), ADELE_OK);
    add_image(&table, "one", 0, 1.0, 0.5, 0.5);
    for (int x = 0; x < 8; x++) {
        struct doubt_region region = region_of(x, 1.0);
        audit_table_add_region(&table, &region);
    }
    assert_int_equal(audit_table_save(&table, names, scratch_path(state, ".")), ADELE_OK);
    for (int x = 0; x < 3; x++)
        assert_int_equal(table.regions[x].region.x, x);
    audit_table_deinit(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_files_have_the_most_doubtful_first, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(a_class_in_no_image_has_no_score, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(the_regions_are_the_most_doubtful_of_all, scratch_setup,
                                        scratch_teardown),
        cmocka_unit_test_setup_teardown(equal_regions_stay_in_their_order, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
