// SPDX-License-Identifier: MIT
#include "device/families.h"

#include "base/fail.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum adele_op_kind op;
    enum family_kind kind;
} rows[] = {
#define ROW(name, op, kind) {#name, ADELE_OP_##op, FAMILY_##kind},
    ADELE_FAMILIES(ROW)
#undef ROW
};
_Static_assert(ADELE_FAMILY_COUNT <= 64, "a set of families is the bits of a uint64_t");

const char *family_name(enum family family) {
    return rows[family].name;
}

enum adele_op_kind family_op(enum family family) {
    return rows[family].op;
}

enum family_kind family_kind(enum family family) {
    return rows[family].kind;
}

uint64_t families_of_kind(enum family_kind kind) {
    uint64_t families = 0;
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++)
        if (rows[i].kind == kind)
            families |= family_bit((enum family)i);
    return families;
}

uint64_t families_of_op(enum adele_op_kind op) {
    uint64_t families = 0;
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++)
        if (rows[i].op == op)
            families |= family_bit((enum family)i);
    return families;
}

uint64_t families_of_hopper(void) {
    return family_bit(ADELE_FAMILY_conv2d_hopper) |
           family_bit(ADELE_FAMILY_weight_gradient_hopper) | family_bit(ADELE_FAMILY_aspp_hopper) |
           family_bit(ADELE_FAMILY_conv2d_scales);
}

// ---- text ---------------------------------------------------------------------------------------

void families_print(uint64_t families, char *out, size_t bytes) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < ADELE_FAMILY_COUNT && used < bytes; i++)
        if ((families & family_bit((enum family)i)) != 0)
            used += (size_t)snprintf(out + used, bytes - used, "%s%s", used > 0 ? ", " : "",
                                     rows[i].name);
}

static bool find(const char *name, size_t length, uint64_t *families) {
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++)
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, name, length) == 0) {
            *families |= family_bit((enum family)i);
            return true;
        }
    return false;
}

bool families_parse(const char *text, uint64_t *out) {
    *out = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        if (!find(text, length, out))
            return false;
        text += length;
        if (*text == ',') {
            text++;
            text += *text == ' ';
            if (*text == '\0')
                return false;
        }
    }
    return true;
}

// ---- refusals -----------------------------------------------------------------------------------

adele_status family_check(const struct adele_device *device, enum family family) {
    if (!family_is_disabled(device, family))
        return ADELE_OK;
    return FAIL(ADELE_DEVICE,
                "Use --device cpu. `adele selftest` tests this device again, for instance with "
                "another driver.",
                "%s: the self-test found the kernels '%s' faulty, and no others can take their "
                "place here",
                device->description, family_name(family));
}

adele_status families_check_op(const struct adele_device *device, enum adele_op_kind op,
                               bool wants_plain) {
    uint64_t all = families_of_op(op), tuned = all & families_of_kind(FAMILY_TUNED);
    TRY(family_check(device, ADELE_FAMILY_tensor));
    if (!wants_plain && tuned != 0 && (tuned & ~device->disabled_families) != 0)
        return ADELE_OK;
    for (int i = 0; i < ADELE_FAMILY_COUNT; i++)
        if (rows[i].op == op && (rows[i].kind == FAMILY_PLAIN || rows[i].kind == FAMILY_ONLY))
            TRY(family_check(device, (enum family)i));
    return ADELE_OK;
}
