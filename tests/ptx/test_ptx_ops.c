// SPDX-License-Identifier: MIT
// Instructions of a single lane with literal operands and the results that the PTX ISA gives them.
#include "literal.h"

// %r2, %r3, %r4 and %rd3, %rd4, %rd5 hold a, b and c; the result is in %r10 or in %rd10.
struct row {
    const char *code;
    uint64_t a, b, c, want;
};

#define NAN_BITS   0x7fffffffu
#define INF        0x7f800000u
#define ONE        0x3f800000u
#define MINUS_ZERO 0x80000000u

static void check(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t buffer[5] = {rows[i].a, rows[i].b, rows[i].c, 0, 0};
        char body[2000];
        (void)snprintf(body, sizeof body,
                       "ld.global.u64 %%rd3, [%%rd1]; ld.global.u64 %%rd4, [%%rd1+8];"
                       "ld.global.u64 %%rd5, [%%rd1+16];"
                       "ld.global.u32 %%r2, [%%rd1]; ld.global.u32 %%r3, [%%rd1+8];"
                       "ld.global.u32 %%r4, [%%rd1+16]; mov.u32 %%r10, 0; mov.u64 %%rd10, 0;\n"
                       "%s;\n"
                       "st.global.u32 [%%rd1+24], %%r10; st.global.u64 [%%rd1+32], %%rd10;",
                       rows[i].code);
        ASSERT_RUNS(body, 1, buffer, sizeof buffer);
        uint64_t got = (buffer[3] & 0xffffffffu) | buffer[4];
        if (got != rows[i].want)
            fail_msg("%s of %llx, %llx, %llx: %llx, not %llx", rows[i].code,
                     (unsigned long long)rows[i].a, (unsigned long long)rows[i].b,
                     (unsigned long long)rows[i].c, (unsigned long long)got,
                     (unsigned long long)rows[i].want);
    }
}
#define CHECK(rows) check(rows, sizeof rows / sizeof rows[0])

static void integers(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"add.s32 %r10, %r2, %r3", 0x7fffffff, 1, 0, 0x80000000},
        {"sub.s32 %r10, %r2, %r3", 0, 1, 0, 0xffffffff},
        {"mul.lo.s32 %r10, %r2, %r3", 0x10001, 0x10001, 0, 0x20001},
        {"mul.hi.s32 %r10, %r2, %r3", 0xffffffff, 2, 0, 0xffffffff},
        {"mul.hi.u32 %r10, %r2, %r3", 0xffffffff, 2, 0, 1},
        {"mul.hi.u64 %rd10, %rd3, %rd4", UINT64_MAX, UINT64_MAX, 0, UINT64_MAX - 1},
        {"mul.wide.s32 %rd10, %r2, %r3", 0xffffffff, 3, 0, (uint64_t)-3},
        {"mul.wide.u32 %rd10, %r2, %r3", 0xffffffff, 3, 0, 0x2fffffffd},
        {"mad.lo.s32 %r10, %r2, %r3, %r4", 7, 8, 5, 61},
        {"mad.wide.u32 %rd10, %r2, %r3, %rd5", 0x80000000, 4, 1, 0x200000001},
        {"div.s32 %r10, %r2, %r3", (uint32_t)-7, 2, 0, (uint32_t)-3},
        {"rem.s32 %r10, %r2, %r3", (uint32_t)-7, 2, 0, (uint32_t)-1},
        {"div.u32 %r10, %r2, %r3", 7, 0, 0, 0xffffffff},
        {"div.s32 %r10, %r2, %r3", 0x80000000, 0xffffffff, 0, 0x80000000},
        {"neg.s32 %r10, %r2", 5, 0, 0, (uint32_t)-5},
        {"abs.s32 %r10, %r2", (uint32_t)-5, 0, 0, 5},
        {"min.s32 %r10, %r2, %r3", (uint32_t)-5, 3, 0, (uint32_t)-5},
        {"min.u32 %r10, %r2, %r3", (uint32_t)-5, 3, 0, 3},
        {"max.s64 %rd10, %rd3, %rd4", (uint64_t)-5, 3, 0, 3},
        {"add.cc.u32 %r10, %r2, %r3; addc.u32 %r10, %r4, 0", 0xffffffff, 1, 4, 5},
        {"sub.cc.u32 %r10, %r2, %r3; subc.u32 %r10, %r4, 0", 0, 1, 4, 3},
        {"mad.lo.cc.u32 %r10, %r2, %r3, %r4; madc.hi.u32 %r10, %r2, %r3, 0", 0x10000, 0x10000, 7,
         1},
    };
    CHECK(rows);
}

static void bits(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"and.b32 %r10, %r2, %r3", 0xff00ff, 0xffff, 0, 0xff},
        {"xor.b64 %rd10, %rd3, %rd4", 0xff, 0x0f, 0, 0xf0},
        {"not.b32 %r10, %r2", 0xff, 0, 0, 0xffffff00},
        {"shl.b32 %r10, %r2, %r3", 3, 31, 0, 0x80000000},
        {"shl.b32 %r10, %r2, %r3", 3, 32, 0, 0},
        {"shr.u32 %r10, %r2, %r3", 0x80000000, 31, 0, 1},
        {"shr.s32 %r10, %r2, %r3", 0x80000000, 40, 0, 0xffffffff},
        {"shr.u64 %rd10, %rd3, %r3", 1ull << 63, 64, 0, 0},
        {"bfi.b32 %r10, %r2, %r3, 8, 4", 0xf5, 0xffffffff, 0, 0xfffff5ff},
        {"prmt.b32 %r10, %r2, %r3, 0x7210", 0x33221100, 0x77665544, 0, 0x77221100},
        {"prmt.b32 %r10, %r2, %r3, 0x8b8b", 0x80000080, 0x7f, 0, 0xffffffff},
        {"popc.b64 %r10, %rd3", 0xf0f0000000000001, 0, 0, 9},
        {"brev.b32 %r10, %r2", 0x80000005, 0, 0, 0xa0000001},
        {"bfind.u32 %r10, %r2", 0x1234, 0, 0, 12},
        {"bfind.u32 %r10, %r2", 0, 0, 0, 0xffffffff},
        {"bfind.shiftamt.u32 %r10, %r2", 0x1234, 0, 0, 19},
        {"bfind.shiftamt.u32 %r10, %r2", 0, 0, 0, 0xffffffff},
        {"clz.b32 %r10, %r2", 1, 0, 0, 31},
        {"clz.b32 %r10, %r2", 0, 0, 0, 32},
        {"clz.b64 %r10, %rd3", 1, 0, 0, 63},
        {"mov.b64 %rd10, {%r2, %r3}", 1, 2, 0, 0x200000001},
        {"mov.b64 {%r11, %r10}, %rd3", 0x200000001, 0, 0, 2},
        {".reg .b16 %h<2>; mov.b32 {%h0, %h1}, %r2; mov.b32 %r10, {%h1, %h0}", 0x12345678, 0, 0,
         0x56781234},
    };
    CHECK(rows);
}

static void floats(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"add.f32 %r10, %r2, 0f33800000", ONE, 0, 0, ONE}, // a tie: to even
        {"add.rn.f32 %r10, %r2, 0f33800001", ONE, 0, 0, ONE + 1},
        {"sub.f32 %r10, %r2, %r2", INF, 0, 0, 0xffc00000},
        // (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24, which a product rounded before would lose
        {"fma.rn.f32 %r10, %r2, %r2, 0fBF800000", 0x3f800800, 0, 0, 0x3a000400},
        // Towards minus infinity: 1 - 2^-24 is exact, 1 - 2^-30 is not.
        {"fma.rm.f32 %r10, %r2, 0f3F800000, 0fB0800000", ONE, 0, 0, ONE - 1},
        {"div.rn.f32 %r10, %r2, %r3", ONE, 0x40400000, 0, 0x3eaaaaab},
        {"rcp.rn.f32 %r10, %r2", 0x40400000, 0, 0, 0x3eaaaaab},
        {"sqrt.rn.f32 %r10, %r2", 0x40000000, 0, 0, 0x3fb504f3},
        {"ex2.approx.ftz.f32 %r10, %r2", 0x40400000, 0, 0, 0x41000000},
        {"min.f32 %r10, %r2, %r3", NAN_BITS, ONE, 0, ONE},
        {"max.f32 %r10, %r2, %r3", ONE, NAN_BITS, 0, ONE},
        {"min.f32 %r10, %r2, %r3", 0, MINUS_ZERO, 0, MINUS_ZERO},
        {"max.f32 %r10, %r2, %r3", MINUS_ZERO, 0, 0, 0},
        {"neg.f32 %r10, %r2", ONE, 0, 0, 0xbf800000},
        {"abs.f32 %r10, %r2", MINUS_ZERO, 0, 0, 0},
        {"fma.rn.f64 %rd10, %rd3, %rd3, 0dBFF0000000000000", 0x3ff0000000000001, 0, 0,
         0x3cc0000000000000},
    };
    CHECK(rows);
}

static void conversions(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"cvt.s64.s32 %rd10, %r2", 0xffffffff, 0, 0, UINT64_MAX},
        {"cvt.u64.u32 %rd10, %r2", 0xffffffff, 0, 0, 0xffffffff},
        {"cvt.s64.s32 %rd10, %rd3", 0x1ffffffff, 0, 0, UINT64_MAX}, // the lower half
        {"cvt.u32.u64 %r10, %rd3", 0x1234567890, 0, 0, 0x34567890},
        {"cvt.rn.f32.s32 %r10, %r2", 16777217, 0, 0, 0x4b800000},
        {"cvt.rn.f32.f64 %r10, %rd3", 0x3ff0000010000000, 0, 0, ONE}, // a tie: to even
        {"cvt.f64.f32 %rd10, %r2", ONE, 0, 0, 0x3ff0000000000000},
        {"cvt.rzi.s32.f32 %r10, %r2", 0xbfc00000, 0, 0, (uint32_t)-1}, // -1.5
        {"cvt.rni.s32.f32 %r10, %r2", 0x40200000, 0, 0, 2},            // 2.5
        {"cvt.rmi.s32.f32 %r10, %r2", 0xbfc00000, 0, 0, (uint32_t)-2},
        {"cvt.rpi.s32.f32 %r10, %r2", 0xbfc00000, 0, 0, (uint32_t)-1},
        {"cvt.rzi.s32.f32 %r10, %r2", NAN_BITS, 0, 0, 0},
        {"cvt.rzi.s32.f32 %r10, %r2", 0x60ad78ec, 0, 0, 0x7fffffff}, // 1e20
        {"cvt.rzi.u32.f32 %r10, %r2", 0xbf800000, 0, 0, 0},
        {"cvt.rmi.f32.f32 %r10, %r2", 0xbfc00000, 0, 0, 0xc0000000},
        {"cvt.sat.f32.f32 %r10, %r2", 0x40400000, 0, 0, ONE},
        {"cvt.sat.f32.f32 %r10, %r2", NAN_BITS, 0, 0, 0},
        {"cvt.rn.bf16.f32 %r10, %r2", 0x3f808000, 0, 0, 0x3f80}, // a tie: to even
        {"cvt.rn.bf16.f32 %r10, %r2", 0x3f818000, 0, 0, 0x3f82},
        {"cvt.f32.f16 %r10, %r2", 0x3c00, 0, 0, ONE},
        {"cvt.f32.f16 %r10, %r2", 0xc100, 0, 0, 0xc0200000}, // -2.5
        {"cvt.f32.f16 %r10, %r2", 0x0001, 0, 0, 0x33800000}, // the smallest, 2^-24
        {"cvt.f32.f16 %r10, %r2", 0xfc00, 0, 0, 0xff800000},
        {"cvt.rn.bf16x2.f32 %r10, %r2, %r3", ONE, 0x40000000, 0, 0x3f804000},
        {"cvt.rna.tf32.f32 %r10, %r2", 0x3f801000, 0, 0, 0x3f802000}, // a tie: away from zero
        {"cvt.rna.tf32.f32 %r10, %r2", 0x3f800fff, 0, 0, ONE},
    };
    CHECK(rows);
}

static void comparisons(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"setp.lt.s32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", (uint32_t)-1, 0, 0, 1},
        {"setp.lt.u32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", (uint32_t)-1, 0, 0, 2},
        {"setp.lt.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", NAN_BITS, ONE, 0, 2},
        {"setp.ltu.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", NAN_BITS, ONE, 0, 1},
        {"setp.ne.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", NAN_BITS, ONE, 0, 2},
        {"setp.neu.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", NAN_BITS, ONE, 0, 1},
        {"setp.nan.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", NAN_BITS, ONE, 0, 1},
        {"setp.eq.f32 %p1, %r2, %r3; selp.b32 %r10, 1, 2, %p1", MINUS_ZERO, 0, 0, 1},
        {"setp.eq.s64 %p1, %rd3, %rd4; not.pred %p2, %p1; @%p2 bra DONE; mov.u32 %r10, 7; DONE:",
         1ull << 40, 1ull << 41, 0, 0},
        {"setp.eq.s32 %p1, %r2, 1; setp.eq.s32 %p2, %r3, 1; xor.pred %p3, %p1, %p2;"
         "@%p3 mov.u32 %r10, 9; @!%p3 mov.u32 %r10, 8",
         1, 2, 0, 9},
    };
    CHECK(rows);
}

// A function is put in where it is called; its names are its own.
static void calls(void **state) {
    (void)state;
    static const char text[] =
        ".version 8.0\n.target sm_80\n.address_size 64\n"
        ".global .align 4 .b32 table[3] = {10, 20, 30};\n"
        ".func (.param .b32 result) twice(.param .b32 value) {\n"
        ".reg .b32 %r<3>; .reg .pred %p<2>; ld.param.b32 %r1, [value];"
        "setp.eq.s32 %p1, %r1, 0; @%p1 bra LAST; add.s32 %r1, %r1, %r1;\n"
        "LAST: st.param.b32 [result], %r1; ret; }\n"
        ".visible .entry kernel(.param .u64 buffer) {\n"
        ".reg .b32 %r<9>; .reg .b64 %rd<9>; ld.param.u64 %rd1, [buffer];"
        "mov.u64 %rd2, table; ld.global.u32 %r1, [%rd2+8];\n"
        "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call.uni (b), twice, (a);"
        "ld.param.b32 %r2, [b]; }\n"
        "{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r2; call.uni (b), twice, (a);"
        "ld.param.b32 %r3, [b]; }\n"
        "st.global.v2.u32 [%rd1], {%r2, %r3}; ret; }\n";
    const char *error;
    struct ptx_module *module = ptx_module_load(text, sizeof text - 1, &error);
    uint32_t out[2] = {0, 0};
    uint64_t address = (uintptr_t)out;
    struct ptx_launch launch = {{1, 1, 1}, {1, 1, 1}, 0, 48 << 10, &address, {0, 0, 0}};
    assert_non_null(module);
    ptx_memory_add(out, sizeof out);
    error = ptx_run(ptx_kernel_find(module, "kernel"), &launch);
    ptx_memory_remove(out);
    if (error != NULL)
        fail_msg("%s", error);
    assert_int_equal(out[0], 60);
    assert_int_equal(out[1], 120);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),    cmocka_unit_test(bits),        cmocka_unit_test(floats),
        cmocka_unit_test(conversions), cmocka_unit_test(comparisons), cmocka_unit_test(calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
