// SPDX-License-Identifier: MIT
// Which part of the name of a case is the patient, in names as data sets have them.
#include "data/patient_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define MAX_NAMES 32

// The names of a data set, and the patient of its first case; "" where names show none.
struct names {
    const char *patient;
    const char *names[MAX_NAMES];
};

static void expect(const struct names *set) {
    enum patient_rule rule;
    int n = 0;
    while (n < MAX_NAMES && set->names[n] != NULL)
        n++;
    assert_int_equal(patient_rule_choose(set->names, n, &rule), ADELE_OK);
    size_t bytes = patient_name_bytes(rule, set->names[0]);
    if (bytes != strlen(set->patient) || strncmp(set->names[0], set->patient, bytes) != 0)
        fail_msg("%s: patient \"%.*s\", not \"%s\"", set->names[0], (int)bytes, set->names[0],
                 set->patient);
}

static void patients_with_several_images_are_found(void **state) {
    static const struct names sets[] = {
        {"patient01", {"patient01_a", "patient01_b", "patient02_a", "patient02_b"}},
        {"patient01", {"patient01_a", "patient01_b", "patient02_a"}},
        {"p7", {"p7-1", "p7-2", "p8-1", "p8-2"}},
        {"p7", {"p7_left", "p7_right", "p8_Left"}},
        {"case12", {"case12_s001", "case12_s002", "case13_s001"}},
        {"anna", {"anna_1", "anna_2", "ben_1", "ben_2", "eva_1", "eva_2", "tom_1", "tom_2"}},
        {"p1",
         {"p1_front", "p1_lateral", "p2_front", "p2_lateral", "p3_front", "p3_lateral", "p4_front",
          "p4_lateral"}},
        {"Image_01",
         {"Image_01L", "Image_01R", "Image_02L", "Image_02R", "Image_03L", "Image_03R", "Image_04L",
          "Image_04R"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        expect(&sets[i]);
}

// One group for all, or few large ones, is a data set or a class rather than a patient.
static void other_names_stay_apart(void **state) {
    static const struct names sets[] = {
        {"", {"BRATS_001", "BRATS_002", "BRATS_003", "BRATS_004", "BRATS_005"}},
        {"",
         {"2007_000032", "2007_000033", "2008_000001", "2008_000002", "2009_000007", "2009_000008",
          "2010_000001", "2010_000002"}},
        {"", {"cat_1", "cat_2", "cat_3", "dog_1", "dog_2", "dog_3", "cow_1", "cow_2", "cow_3"}},
        {"",
         {"a_1", "a_2", "a_3", "a_4", "a_5", "a_6", "a_7", "a_8", "a_9", "b_1", "b_2", "c_1", "c_2",
          "d_1", "d_2", "e_1", "e_2"}},
        {"",
         {"a_1", "a_2", "b_1", "b_2", "c_1", "c_2", "d_1", "d_2", "f_1", "g_1", "h_1", "i_1", "j_1",
          "k_1", "l_1", "m_1", "n_1"}},
        {"", {"img1", "img2", "img3", "img4", "img5"}},
        {"", {"1a", "1b", "2a", "2b", "3a", "3b"}}, // three groups only
        {"", {"_a", "-1", "_1", ""}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        expect(&sets[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patients_with_several_images_are_found),
        cmocka_unit_test(other_names_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
