// SPDX-License-Identifier: MIT
// The choice of an instruction set, and that our own kernels compute the same bits with each: the
// tests of the ops run once more as children, one for every set that this processor has.
#include "cpu/isa.h"
#include "support/outputs.h"
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_and_sets_belong_together(void **state) {
    (void)state;
    static const char *const unknown[] = {"", "avx", "AVX2", "avx2 ", "avx512_bf1", "sse4.1"};
    for (int i = 0; i < CPU_ISA_COUNT; i++)
        assert_int_equal(cpu_isa_parse(cpu_isa_name((enum cpu_isa)i)), i);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_int_equal(cpu_isa_parse(unknown[i]), CPU_ISA_COUNT);
    assert_int_equal(cpu_isa_parse("sse41"), CPU_ISA_SSE41);
    assert_int_equal(cpu_isa_parse("avx512_bf16"), CPU_ISA_AVX512_BF16);
}

// Whoever has a set has those below it: a choice between them goes by their order.
static void a_set_comes_with_those_below_it(void **state) {
    (void)state;
    assert_true(cpu_isa_is_there(CPU_ISA_SSE41));
    assert_false(cpu_isa_is_there(CPU_ISA_COUNT));
    for (int i = 1; i < CPU_ISA_COUNT; i++)
        assert_true(cpu_isa_is_there((enum cpu_isa)(i - 1)) || !cpu_isa_is_there((enum cpu_isa)i));
}

#if defined(__x86_64__)

// Bits of Intel's manual, volume 2, CPUID, and of volume 1, XCR0.
#define SSE41   (1u << 19)
#define AVX_FMA (1u << 28 | 1u << 12)
#define OSXSAVE (1u << 27)
#define AVX2    (1u << 5)
#define F       (1u << 16)
#define DQ      (1u << 17)
#define BW      (1u << 30)
#define VL      (1u << 31)
#define BF16    (1u << 5)
#define ECX     (SSE41 | AVX_FMA | OSXSAVE)
#define EBX     (AVX2 | F | DQ | BW | VL)
#define ALL     0xffffffffu

static void made_up_processors_have_what_they_say(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct cpu_registers registers; // leaf 1 ECX, leaf 7 EBX, leaf 7.1 EAX, XCR0
        enum cpu_isa best;              // CPU_ISA_COUNT: none
    } cases[] = {
        {"nothing", {0, 0, 0, 0}, CPU_ISA_COUNT},
        {"before SSE4.1", {ALL & ~SSE41, ALL, ALL, ALL}, CPU_ISA_COUNT},
        {"Nehalem", {SSE41, 0, 0, 0}, CPU_ISA_SSE41},
        {"Sandy Bridge: AVX alone", {SSE41 | OSXSAVE | 1u << 28, 0, 0, 0x07}, CPU_ISA_SSE41},
        {"AVX2 without FMA", {ECX & ~(1u << 12), AVX2, 0, 0x07}, CPU_ISA_SSE41},
        {"AVX2 without AVX", {ECX & ~(1u << 28), AVX2, 0, 0x07}, CPU_ISA_SSE41},
        {"Haswell", {ECX, AVX2, 0, 0x07}, CPU_ISA_AVX2},
        {"Haswell, nothing saved", {ECX & ~OSXSAVE, AVX2, 0, 0x07}, CPU_ISA_SSE41},
        {"Haswell, SSE saved", {ECX, AVX2, 0, 0x03}, CPU_ISA_SSE41},
        {"Knights Landing: F without the rest", {ECX, AVX2 | F, 0, 0xe7}, CPU_ISA_AVX2},
        {"without DQ", {ECX, EBX & ~DQ, BF16, 0xe7}, CPU_ISA_AVX2},
        {"without BW", {ECX, EBX & ~BW, BF16, 0xe7}, CPU_ISA_AVX2},
        {"without VL", {ECX, EBX & ~VL, BF16, 0xe7}, CPU_ISA_AVX2},
        {"without F", {ECX, EBX & ~F, BF16, 0xe7}, CPU_ISA_AVX2},
        {"without AVX2", {ECX, EBX & ~AVX2, BF16, 0xe7}, CPU_ISA_SSE41},
        {"Skylake-X", {ECX, EBX, 0, 0xe7}, CPU_ISA_AVX512},
        {"all but BF16", {ALL, ALL, ~BF16, ALL}, CPU_ISA_AVX512},
        {"Skylake-X, YMM saved", {ECX, EBX, 0, 0x07}, CPU_ISA_AVX2},
        {"masks not saved", {ECX, EBX, BF16, 0xc7}, CPU_ISA_AVX2},
        {"upper halves not saved", {ECX, EBX, BF16, 0xa7}, CPU_ISA_AVX2},
        {"upper 16 not saved", {ECX, EBX, BF16, 0x67}, CPU_ISA_AVX2},
        {"YMM not saved", {ECX, EBX, BF16, 0xe3}, CPU_ISA_SSE41},
        {"Cooper Lake", {ECX, EBX, BF16, 0xe7}, CPU_ISA_AVX512_BF16},
        {"everything", {ALL, ALL, ALL, ALL}, CPU_ISA_AVX512_BF16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int isa = 0; isa < CPU_ISA_COUNT; isa++) {
            bool want = cases[i].best != CPU_ISA_COUNT && isa <= (int)cases[i].best;
            if (cpu_isa_is_in(&cases[i].registers, (enum cpu_isa)isa) != want)
                fail_msg("%s: %s", cases[i].name, cpu_isa_name((enum cpu_isa)isa));
        }
}

// The compiler's library reads the same processor in its own way.
static void this_processor_has_what_the_compiler_says(void **state) {
    (void)state;
    bool is_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool is_avx512 = is_avx2 && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
    assert_int_equal(cpu_isa_is_there(CPU_ISA_AVX2), is_avx2);
    assert_int_equal(cpu_isa_is_there(CPU_ISA_AVX512), is_avx512);
    assert_int_equal(cpu_isa_is_there(CPU_ISA_AVX512_BF16),
                     is_avx512 && __builtin_cpu_supports("avx512bf16"));
}

#endif

// Runs the program with ADELE_CPU_ISA=name.
static void run_with(const char *name, const char *const *argv, struct program_result *out) {
    assert_int_equal(setenv("ADELE_CPU_ISA", name, 1), 0);
    program_run(argv, out);
    assert_int_equal(unsetenv("ADELE_CPU_ISA"), 0);
}

static void the_program_uses_what_the_environment_names(void **state) {
    (void)state;
    static const char *const argv[] = {ADELE_CLI, "info", NULL};
    struct program_result result;
    if (ADELE_CLI[0] == '\0')
        skip();
    for (int i = 0; i < CPU_ISA_COUNT; i++) {
        char part[64];
        const char *name = cpu_isa_name((enum cpu_isa)i);
        bool is_there = cpu_isa_is_there((enum cpu_isa)i);
        (void)snprintf(part, sizeof part, is_there ? ", %s, " : "this processor has no %s", name);
        run_with(name, argv, &result);
        if (!strstr(result.out, part) && !strstr(result.err, part))
            fail_msg("'%s' is not in: %s%s", part, result.out, result.err);
        program_result_deinit(&result);
    }
    run_with("avx3", argv, &result);
    assert_true(strstr(result.out, "unknown instruction set \"avx3\"") ||
                strstr(result.err, "unknown instruction set \"avx3\""));
    program_result_deinit(&result);
}

// The line of hash and count that the test of an op prints with this set.
static void outputs_of(const char *op, const char *set, char *out, size_t size) {
    char program[4096];
    struct program_result result;
    (void)snprintf(program, sizeof program, "%s/test_%s", ADELE_TEST_FOLDER, op);
    run_with(set, (const char *const[]){program, NULL}, &result);
    if (result.code != 0)
        fail_msg("%s with %s: code %d\n%s%s", program, set, result.code, result.out, result.err);
    const char *line = strstr(result.out, OUTPUTS_LINE);
    if (!line)
        fail_msg("%s printed no hash of its outputs", program);
    (void)snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
    program_result_deinit(&result);
}

// isa.h promises it of every CPU_KERNEL. These ops have no other kernels; convolutions do, of
// oneDNN and with FMA, and their bits are those of a set. On a processor of one set there is
// nothing to compare.
static void kernels_compute_the_same_bits_with_every_set(void **state) {
    (void)state;
    char ops[] = ADELE_ISA_SAME_BITS;
    assert_int_equal(setenv(OUTPUTS_VARIABLE, "1", 1), 0);
    assert_int_equal(unsetenv("ADELE_TEST_DEVICES"), 0);
    for (char *op = strtok(ops, " "); op; op = strtok(NULL, " ")) {
        char first[128], other[128];
        outputs_of(op, cpu_isa_name(CPU_ISA_SSE41), first, sizeof first);
        print_message("%s: %s\n", op, first);
        for (int i = 1; i < CPU_ISA_COUNT; i++) {
            if (!cpu_isa_is_there((enum cpu_isa)i))
                continue;
            const char *set = cpu_isa_name((enum cpu_isa)i);
            outputs_of(op, set, other, sizeof other);
            if (strcmp(first, other) != 0)
                fail_msg("%s: %s with sse41, %s with %s", op, first, other, set);
        }
    }
    assert_int_equal(unsetenv(OUTPUTS_VARIABLE), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sets_belong_together),
        cmocka_unit_test(a_set_comes_with_those_below_it),
#if defined(__x86_64__)
        cmocka_unit_test(made_up_processors_have_what_they_say),
        cmocka_unit_test(this_processor_has_what_the_compiler_says),
#endif
        cmocka_unit_test(the_program_uses_what_the_environment_names),
        cmocka_unit_test(kernels_compute_the_same_bits_with_every_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
