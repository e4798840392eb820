// SPDX-License-Identifier: MIT
#include "cpu/isa.h"
#include "base/fail.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// oneDNN is limited to the same set, even where it supports a better one (AMX, VNNI), so that the
// name of the set determines the bytes of results. oneDNN's variable DNNL_MAX_CPU_ISA has no
// effect.
static const struct {
    const char *name;
    dnnl_cpu_isa_t onednn;
} sets[CPU_ISA_COUNT] = {
    [CPU_ISA_SSE41] = {"sse41", dnnl_cpu_isa_sse41},
    [CPU_ISA_AVX2] = {"avx2", dnnl_cpu_isa_avx2},
    [CPU_ISA_AVX512] = {"avx512", dnnl_cpu_isa_avx512_core},
    [CPU_ISA_AVX512_BF16] = {"avx512_bf16", dnnl_cpu_isa_avx512_core_bf16},
};

static enum cpu_isa used = CPU_ISA_SSE41;

enum cpu_isa cpu_isa(void) {
    return used;
}

const char *cpu_isa_name(enum cpu_isa isa) {
    return sets[isa].name;
}

enum cpu_isa cpu_isa_parse(const char *name) {
    int i = 0;
    while (i < CPU_ISA_COUNT && strcmp(name, sets[i].name) != 0)
        i++;
    return (enum cpu_isa)i;
}

#if defined(__x86_64__)

// What the system does not save (XCR0) must not be touched, even where the processor has it.
#define SAVES_YMM 0x06
#define SAVES_ZMM 0xe6

static bool has_all(uint32_t bits, uint32_t wanted) {
    return (bits & wanted) == wanted;
}

bool cpu_isa_is_in(const struct cpu_registers *has, enum cpu_isa isa) {
    bool is_avx2 = has_all(has->leaf1_ecx, bit_SSE4_1 | bit_AVX | bit_FMA | bit_OSXSAVE) &&
                   has_all(has->xcr0, SAVES_YMM) && has_all(has->leaf7_ebx, bit_AVX2);
    bool is_avx512 =
        is_avx2 && has_all(has->xcr0, SAVES_ZMM) &&
        has_all(has->leaf7_ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
    switch (isa) {
    case CPU_ISA_SSE41:
        return has_all(has->leaf1_ecx, bit_SSE4_1);
    case CPU_ISA_AVX2:
        return is_avx2;
    case CPU_ISA_AVX512:
        return is_avx512;
    case CPU_ISA_AVX512_BF16:
        return is_avx512 && has_all(has->leaf7_1_eax, bit_AVX512BF16);
    case CPU_ISA_COUNT:
        break;
    }
    return false;
}

static void read_registers(struct cpu_registers *out) {
    uint32_t eax, ebx, ecx, edx;
    memset(out, 0, sizeof *out);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        out->leaf1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
        out->leaf7_ebx = ebx;
        if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
            out->leaf7_1_eax = eax;
    }
    if (has_all(out->leaf1_ecx, bit_OSXSAVE))
        __asm__ volatile("xgetbv" : "=a"(out->xcr0), "=d"(edx) : "c"(0));
}

bool cpu_isa_is_there(enum cpu_isa isa) {
    struct cpu_registers registers;
    read_registers(&registers);
    return cpu_isa_is_in(&registers, isa);
}

#else

bool cpu_isa_is_there(enum cpu_isa isa) {
    return isa == CPU_ISA_SSE41; // the plain variants of the kernels
}

#endif

enum cpu_isa cpu_isa_best(void) {
    enum cpu_isa best = CPU_ISA_AVX512_BF16;
    while (best > CPU_ISA_SSE41 && !cpu_isa_is_there(best))
        best--;
    return best;
}

static const char *name_sets(char hint[128]) {
    strcpy(hint, "Leave ADELE_CPU_ISA unset, or use one of those that this processor has:");
    for (int i = 0; i < CPU_ISA_COUNT && cpu_isa_is_there((enum cpu_isa)i); i++) {
        strcat(hint, " ");
        strcat(hint, sets[i].name);
    }
    return hint;
}

static adele_status choose_isa(enum cpu_isa *out) {
    const char *wanted = getenv("ADELE_CPU_ISA");
    char hint[128];
    if (!cpu_isa_is_there(CPU_ISA_SSE41))
        return FAIL(ADELE_UNSUPPORTED, "Run on a processor made since 2008.",
                    "cpu: this processor has no SSE4.1");
    if (wanted == NULL || *wanted == '\0') {
        *out = cpu_isa_best();
        return ADELE_OK;
    }
    *out = cpu_isa_parse(wanted);
    if (*out == CPU_ISA_COUNT)
        return FAIL(ADELE_INVALID_ARGUMENT, name_sets(hint),
                    "ADELE_CPU_ISA: unknown instruction set \"%s\"", wanted);
    if (!cpu_isa_is_there(*out))
        return FAIL(ADELE_UNSUPPORTED, name_sets(hint), "ADELE_CPU_ISA: this processor has no %s",
                    wanted);
    return ADELE_OK;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_open;

static adele_status open_locked(void) {
    enum cpu_isa isa;
    TRY(choose_isa(&isa));
#if defined(__x86_64__)
    // oneDNN accepts the limit only before its first use in the process. Afterwards it uses the
    // best set of the processor, which is also our choice unless ADELE_CPU_ISA names another.
    const char *wanted = getenv("ADELE_CPU_ISA");
    if (dnnl_set_max_cpu_isa(sets[isa].onednn) != dnnl_success && wanted != NULL)
        return FAIL(ADELE_DEVICE, "Open adele's CPU device before the program uses oneDNN itself.",
                    "cpu: oneDNN cannot be limited to %s any more", sets[isa].name);
#endif
    used = isa;
    is_open = true;
    return ADELE_OK;
}

adele_status cpu_isa_open(void) {
    (void)pthread_mutex_lock(&lock);
    adele_status status = is_open ? ADELE_OK : open_locked();
    (void)pthread_mutex_unlock(&lock);
    return status;
}
