// SPDX-License-Identifier: MIT
#include "run/provenance.h"

#include "base/fail.h"
#include "device/families.h"

#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#if defined(__clang__)
#define COMPILER __VERSION__ // begins with the compiler's name
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *provenance_compiler(void) {
    return COMPILER;
}

static const struct {
    const char *key, *name;
} rows[PROVENANCE_COUNT] = {
    [PROVENANCE_VERSION] = {"adele.version", "adele"},
    [PROVENANCE_COMPILER] = {"made.compiler", "compiler"},
    [PROVENANCE_DEVICE] = {"made.device", "device"},
    [PROVENANCE_ENGINE] = {"made.engine", "engine"},
    [PROVENANCE_INSTRUCTION_SET] = {"made.instruction_set", "instruction set"},
    [PROVENANCE_LIBRARIES] = {"made.libraries", "libraries"},
};

const char *provenance_row_name(enum provenance_row row) {
    return rows[row].name;
}

// The C library is included because learning rates and the fits of the curves use its pow and exp.
static const char *c_library(void) {
#ifdef __GLIBC__
    return gnu_get_libc_version();
#else
    return "";
#endif
}

void provenance_of(const struct adele_device *device, struct provenance *out) {
    const char *const values[PROVENANCE_COUNT] = {ADELE_VERSION,           COMPILER,
                                                  device->iface->name,     device->engine,
                                                  device->instruction_set, device->libraries};
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        (void)snprintf(out->rows[i], PROVENANCE_BYTES, "%s", values[i]);
    if (device->disabled_families != 0) { // the kernels that replace them sum in another order
        char *engine = out->rows[PROVENANCE_ENGINE];
        size_t used = (size_t)snprintf(engine, PROVENANCE_BYTES, "%s without ", device->engine);
        families_print(device->disabled_families, engine + used, PROVENANCE_BYTES - used);
    }
    char *libraries = out->rows[PROVENANCE_LIBRARIES];
    size_t used = strlen(libraries);
    if (c_library()[0] != '\0')
        (void)snprintf(libraries + used, PROVENANCE_BYTES - used, "%sglibc %s",
                       used > 0 ? ", " : "", c_library());
}

adele_status provenance_add(const struct provenance *self, struct safetensors_writer *writer) {
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        if (self->rows[i][0] != '\0')
            TRY(safetensors_writer_metadata(writer, rows[i].key, self->rows[i]));
    return ADELE_OK;
}

// Checkpoints had the version before they had the other rows; alone it does not determine the
// bytes.
void provenance_read(const struct safetensors *file, struct provenance *out) {
    memset(out, 0, sizeof *out);
    if (safetensors_metadata(file, rows[PROVENANCE_DEVICE].key) == NULL)
        return;
    for (int i = 0; i < PROVENANCE_COUNT; i++) {
        const char *value = safetensors_metadata(file, rows[i].key);
        (void)snprintf(out->rows[i], PROVENANCE_BYTES, "%s", value != NULL ? value : "");
    }
}

static bool differs(const struct provenance *a, const struct provenance *b, int row) {
    return a->rows[row][0] != '\0' && b->rows[row][0] != '\0' &&
           strcmp(a->rows[row], b->rows[row]) != 0;
}

bool provenance_is_same(const struct provenance *a, const struct provenance *b) {
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        if (differs(a, b, i))
            return false;
    return true;
}

static void print_row(const struct provenance *self, int row, char *out, size_t bytes) {
    size_t used = strlen(out);
    (void)snprintf(out + used, bytes - used, "%s%s %s", used > 0 ? " / " : "", rows[row].name,
                   self->rows[row]);
}

void provenance_print(const struct provenance *self, char *out, size_t bytes) {
    out[0] = '\0';
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        if (self->rows[i][0] != '\0')
            print_row(self, i, out, bytes);
}

void provenance_print_differences(const struct provenance *self, const struct provenance *other,
                                  char *out, size_t bytes) {
    out[0] = '\0';
    for (int i = 0; i < PROVENANCE_COUNT; i++)
        if (differs(self, other, i))
            print_row(self, i, out, bytes);
}
