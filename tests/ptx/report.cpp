// SPDX-License-Identifier: MIT
// PTX_REPORT=FILE: when the program ends, a line with the size and time of the program's file, and
// one for each kernel that it has and for each that ran are written to the file, and with
// PTX_REPORT_LINES=1 those of the instructions that never ran. kernels.cmake reads the lines.
// PTX_TRACE: see machine.h.
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ptx {

static std::vector<struct ptx_kernel *> &launched() {
    static auto *all = new std::vector<struct ptx_kernel *>; // until the very end
    return *all;
}

static std::vector<std::string> &known() {
    static auto *all = new std::vector<std::string>;
    return *all;
}

static void write_kernel(FILE *file, const struct ptx_kernel *kernel) {
    size_t n_run = 0;
    uint64_t n_steps = 0;
    for (const struct inst &i : kernel->code) {
        n_run += i.n_executed != 0;
        n_steps += i.n_executed;
    }
    fprintf(file, "ran %s: launches %llu, blocks %llu, instructions %zu of %zu, steps %llu\n",
            kernel->name.c_str(), (unsigned long long)kernel->n_launches,
            (unsigned long long)kernel->n_blocks, n_run, kernel->code.size() - 1,
            (unsigned long long)n_steps);
    if (getenv("PTX_REPORT_LINES") == NULL)
        return;
    for (size_t k = 0; k < kernel->code.size(); k++)
        if (kernel->code[k].n_executed == 0)
            fprintf(file, "  never: %s (%s)\n", kernel->sources[k].text.c_str(),
                    kernel->sources[k].where.c_str());
}

static void write_report(void) {
    FILE *file = fopen(getenv("PTX_REPORT"), "w");
    if (file == NULL) {
        fprintf(stderr, "ptx: cannot write PTX_REPORT=%s\n", getenv("PTX_REPORT"));
        _exit(2);
    }
    struct stat program;
    if (stat("/proc/self/exe", &program) == 0)
        fprintf(file, "program %lld %lld\n", (long long)program.st_size,
                (long long)program.st_mtime);
    for (const std::string &name : known())
        fprintf(file, "has %s\n", name.c_str());
    for (const struct ptx_kernel *kernel : launched())
        write_kernel(file, kernel);
    fclose(file);
}

static void write_at_end(void) {
    static int is_registered = atexit(write_report) == 0;
    (void)is_registered;
}

void report_launched(struct ptx_kernel *kernel) {
    if (kernel->n_launches != 1 || getenv("PTX_REPORT") == NULL)
        return;
    write_at_end();
    launched().push_back(kernel);
}

int traced_lane(const struct warp &w) {
    static const char *text = getenv("PTX_TRACE");
    char name[200];
    unsigned launch = 0, thread = 0;
    if (text == NULL || sscanf(text, "%199[^:]:%u:%u", name, &launch, &thread) != 3 ||
        w.block->kernel->n_launches != launch ||
        strstr(w.block->kernel->name.c_str(), name) == NULL ||
        (unsigned)w.index != thread / N_LANES)
        return -1;
    return (int)(thread % N_LANES);
}

void trace(const struct warp &w, const struct inst &i, int lane) {
    const uint8_t *place = w.registers + i.place[0];
    uint32_t bits;
    float value;
    memcpy(&bits, place + 4 * lane, sizeof bits);
    memcpy(&value, &bits, sizeof value);
    const struct inst_source &source = w.block->kernel->sources[w.pc];
    fprintf(stderr, "trace %u: %s  -> %08x (%g) %s\n", w.pc, source.text.c_str(), bits,
            (double)value, source.where.c_str());
}

} // namespace ptx

void ptx_report_kernel(const char *name) {
    if (getenv("PTX_REPORT") == NULL)
        return;
    ptx::write_at_end();
    ptx::known().push_back(name);
}
