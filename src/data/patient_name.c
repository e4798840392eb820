// SPDX-License-Identifier: MIT
#include "data/patient_name.h"

#include "base/fail.h"
#include "base/memory.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// Many single names fit a weak rule by chance. It is taken only if it finds this many patients with
// several images, and none with more images than that: otherwise its groups are probably the
// classes or the parts of the data set.
#define MIN_GROUPS 4
#define MAX_IMAGES 8

// ---- one name -----------------------------------------------------------------------------------

static bool is_year(const char *text, size_t bytes) {
    if (bytes != 4 || (strncmp(text, "19", 2) != 0 && strncmp(text, "20", 2) != 0))
        return false;
    return isdigit((unsigned char)text[2]) && isdigit((unsigned char)text[3]);
}

// "012", "s012", "a", "left"
static bool is_slice(const char *text) {
    size_t letters = 0;
    while (isalpha((unsigned char)text[letters]))
        letters++;
    size_t digits = strspn(text + letters, "0123456789");
    if (text[letters + digits] != '\0')
        return false;
    if (digits > 0)
        return letters <= 5;
    return letters == 1 || strcasecmp(text, "left") == 0 || strcasecmp(text, "right") == 0;
}

static size_t bytes_before_letter(const char *name) {
    size_t n = strlen(name);
    bool has_letter = n > 1 && isalpha((unsigned char)name[n - 1]);
    return has_letter && isdigit((unsigned char)name[n - 2]) ? n - 1 : 0;
}

size_t patient_name_bytes(enum patient_rule rule, const char *name) {
    size_t bytes = 0;
    bool has_digit = false;
    if (rule == PATIENT_LETTER)
        return bytes_before_letter(name);
    for (size_t i = 0; name[i] != '\0'; i++)
        if (name[i] == '_' || name[i] == '-')
            bytes = i;
    if (bytes == 0 || is_year(name, bytes))
        return 0;
    if (rule == PATIENT_ANY_SUFFIX)
        return bytes;
    for (size_t i = 0; i < bytes; i++)
        has_digit = has_digit || isdigit((unsigned char)name[i]);
    return has_digit && is_slice(name + bytes + 1) ? bytes : 0;
}

// ---- all names ----------------------------------------------------------------------------------

struct patient {
    const char *name;
    size_t bytes;
};

static int compare_patients(const void *left, const void *right) {
    const struct patient *a = left, *b = right;
    int order = strncmp(a->name, b->name, a->bytes < b->bytes ? a->bytes : b->bytes);
    return order != 0 ? order : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

struct groups {
    int n;            // patients
    int n_several;    // patients with several images
    int n_together;   // the images of those
    int n_of_largest; // images of the patient with most
};

static void find_groups(enum patient_rule rule, const char *const *names, int n,
                        struct patient *patients, struct groups *out) {
    int n_patients = 0;
    *out = (struct groups){0};
    for (int i = 0; i < n; i++) {
        size_t bytes = patient_name_bytes(rule, names[i]);
        if (bytes > 0)
            patients[n_patients++] = (struct patient){names[i], bytes};
    }
    qsort(patients, (size_t)n_patients, sizeof *patients, compare_patients);
    for (int first = 0, next; first < n_patients; first = next) {
        next = first + 1;
        while (next < n_patients && compare_patients(&patients[first], &patients[next]) == 0)
            next++;
        int n_images = next - first;
        out->n++;
        out->n_several += n_images > 1;
        out->n_together += n_images > 1 ? n_images : 0;
        if (n_images > out->n_of_largest)
            out->n_of_largest = n_images;
    }
}

adele_status patient_rule_choose(const char *const *names, int n, enum patient_rule *out) {
    OWNED struct patient *patients = NULL;
    struct groups groups;
    *out = PATIENT_SLICE;
    TRY(ALLOCATE(&patients, (size_t)n + 1));
    find_groups(PATIENT_SLICE, names, n, patients, &groups);
    bool is_found = groups.n > 1 && groups.n_several > 0;
    for (int rule = PATIENT_ANY_SUFFIX; rule <= PATIENT_LETTER && !is_found; rule++) {
        find_groups((enum patient_rule)rule, names, n, patients, &groups);
        is_found = groups.n_several >= MIN_GROUPS && groups.n_of_largest <= MAX_IMAGES &&
                   groups.n_together > n / 2;
        if (is_found)
            *out = (enum patient_rule)rule;
    }
    return ADELE_OK;
}
