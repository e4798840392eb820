// SPDX-License-Identifier: MIT
// The memory of the CPU device: a large block asks for large pages, up to its last whole one, which
// the system's own table of this process shows.
#include "cpu/cpu.h"
#include "support/devices.h"
#include "support/skip.h"
#include "support/train_step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SMAPS "/proc/self/smaps"

// Whether the mapping of that address has the flag "hg"; *is_known: whether the system lists flags.
static bool asks_for_large_pages(const char *address, bool *is_known) {
    char line[512];
    bool is_inside = false, asks = false;
    FILE *file = fopen(SMAPS, "r");
    *is_known = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        void *start, *end;
        if (sscanf(line, "%p-%p ", &start, &end) == 2)
            is_inside = address >= (char *)start && address < (char *)end;
        if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            *is_known = true;
            asks = strstr(line, " hg") != NULL;
        }
    }
    if (file != NULL)
        (void)fclose(file);
    return asks;
}

static bool system_has_large_pages(void) {
    static char probe;
    bool is_known;
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file == NULL)
        return false;
    (void)fclose(file);
    (void)asks_for_large_pages(&probe, &is_known);
    return is_known;
}

static void test_large_block(void **state) {
    (void)state;
    struct adele_device *device;
    check_ok(cpu_device_create(ADELE_PRECISION_FP32, &device));
    const size_t bytes = ((size_t)16 << 20) + 5000;
    void *block;
    bool is_known;
    check_ok(device->iface->alloc(device, bytes, &block));
    assert_true(asks_for_large_pages((char *)block + 4096, &is_known));
    assert_true(asks_for_large_pages((char *)block + bytes - 4097, &is_known));
    device->iface->release(device, block);
    adele_device_close(device);
}

int main(void) {
    if (!system_has_large_pages())
        return skip_program("a system with transparent huge pages and " SMAPS);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_large_block)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
