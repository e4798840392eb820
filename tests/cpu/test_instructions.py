# SPDX-License-Identifier: MIT
"""test_instructions.py LIBRARY [--release]: every function of the library uses only instructions of the set that its name
declares, which the processor is asked for (src/cpu/isa.c) before the function is called: a wider one would end the program
on a processor that nobody here has. GNU as judges: it gets the disassembled instructions back, and knows only that set."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

# What isa.c asks for, in the words of `as -march`. A function without a suffix runs everywhere; xgetbv, of the set xsave,
# is how isa.c asks.
BASE = "generic64+sse4.1+xsave"
AVX2 = BASE + "+avx2+fma"
AVX512 = AVX2 + "+avx512f+avx512bw+avx512dq+avx512vl"
SETS = {"": BASE, "_avx2": AVX2, "_avx512": AVX512, "_avx512_bf16": AVX512 + "+avx512_bf16"}
LIBRARY = ""
IS_RELEASE = False


def set_of(function):
    """The suffix that declares a set; GCC appends .constprop.0, .part.0 and so on."""
    return re.search(r"(_avx2|_avx512(_bf16)?)?(\..*)?$", function)[1] or ""


def instructions_of(path):
    """(object file, function, instruction) of all that can be disassembled."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    name = function = ""
    for line in text.splitlines():
        if match := re.match(r"(\S+):\s+file format", line):
            name = match[1]
        elif match := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            function = match[1]
        elif match := re.match(r" *[0-9a-f]+:\t(.*?) *(<.*|#.*)?$", line):
            yield name, function, match[1]


def foreign(found):
    """Messages about instructions outside of the sets that their functions declare."""
    places = {suffix: {} for suffix in SETS}
    for name, function, instruction in found:
        # Jumps carry addresses, and fillers more prefixes than GNU as writes; both are in every set.
        if not re.match(r"(bnd |notrack )?(j[a-z]+|call) |(data16 |cs )*nop", instruction):
            places[set_of(function)].setdefault(instruction, f"{name}: {function}")
    messages = []
    for suffix, march in SETS.items():
        lines = list(places[suffix])
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(["as", f"-march={march}", "-o", os.path.join(folder, "o"), "-"], capture_output=True,
                                    input="".join(f"{line}\n" for line in lines), text=True, env={**os.environ, "LC_ALL": "C"})
        for number, what in re.findall(r":(\d+): Error: (.*)", result.stderr):
            instruction = lines[int(number) - 1]
            messages.append(f"{places[suffix][instruction]}: {instruction}: {what}")
        if result.returncode != 0 and not messages:
            messages.append(result.stderr)
    return messages


class Library(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.found = list(instructions_of(LIBRARY))

    def test_functions_use_the_set_that_they_declare(self):
        self.assertEqual("\n".join(foreign(self.found)), "")

    def kernels(self, suffix):
        """{(object, kernel): its instructions} of the functions that CPU_KERNEL made, which have both variants."""
        parts = {}
        for name, function, instruction in self.found:
            if set_of(function):
                key = (name, function.partition("_avx")[0])
                parts.setdefault(key, {}).setdefault(set_of(function), []).append(instruction)
        return {key: variants[suffix] for key, variants in parts.items() if len(variants) == 2}

    def test_kernels_contract_no_product_and_sum(self):
        for suffix in ("_avx2", "_avx512"):
            kernels = self.kernels(suffix)
            self.assertGreater(len(kernels), 20)
            for key, instructions in kernels.items():
                self.assertEqual([line for line in instructions if re.match(r"vfn?m(add|sub)", line)], [], key)

    def test_variants_use_the_registers_of_their_set(self):
        if not IS_RELEASE:
            self.skipTest("only an optimized build makes vector code")
        for suffix, register in (("_avx2", "%ymm"), ("_avx512", "%zmm")):
            kernels = self.kernels(suffix)
            wide = [key for key, lines in kernels.items() if any(register in line for line in lines)]
            self.assertGreater(2 * len(wide), len(kernels), suffix)


class Check(unittest.TestCase):
    """The check itself: one instruction in a function of each set."""

    def messages(self, function, instruction):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "planted.o")
            subprocess.run(["as", "-o", path, "-"], input=f"{function}:\n{instruction}\n", text=True, check=True)
            return foreign(instructions_of(path))

    def test_what_a_set_has_passes(self):
        for function, instruction in (("f", "addps %xmm1, %xmm2"), ("f", "pminud %xmm1, %xmm2"),
                                      ("f_avx2", "vfmadd231ps %ymm1, %ymm2, %ymm3"), ("f_avx512", "vpaddd %zmm1, %zmm2, %zmm3"),
                                      ("f_avx512.constprop.0", "vpaddw %zmm1, %zmm2, %zmm3{%k1}{z}"),
                                      ("f_avx512.part.0", "vxorps %ymm17, %ymm2, %ymm3"), ("f_avx512", "addps 8(%rip), %xmm2"),
                                      ("f_avx512_bf16", "vdpbf16ps %zmm1, %zmm2, %zmm3"),
                                      ("f_avx512_bf16.part.0", "vcvtneps2bf16 %zmm1, %ymm2")):
            self.assertEqual(self.messages(function, instruction), [], instruction)

    def test_what_it_lacks_is_found(self):
        for function, instruction in (("f", "vaddps %xmm1, %xmm2, %xmm3"), ("f", "crc32 %al, %ebx"), ("f", "popcnt %eax, %ebx"),
                                      ("f_avx2_x", "vaddps %ymm1, %ymm2, %ymm3"), ("f_avx2", "vaddps %zmm1, %zmm2, %zmm3"),
                                      ("f_avx2", "vxorps %ymm17, %ymm2, %ymm3"), ("f_avx512", "vdpbf16ps %zmm1, %zmm2, %zmm3"),
                                      ("f_avx512.part.0", "vpermb %zmm1, %zmm2, %zmm3"),
                                      ("f_avx512", "vpdpbusd %zmm1, %zmm2, %zmm3"), ("f_avx512", "vpopcntd %zmm1, %zmm2"),
                                      ("f_avx512_bf16", "vpdpbusd %zmm1, %zmm2, %zmm3"),
                                      ("f_bf16", "vdpbf16ps %zmm1, %zmm2, %zmm3")):
            messages = self.messages(function, instruction)
            self.assertEqual(len(messages), 1, instruction)
            self.assertIn(function + ": " + instruction.split()[0], messages[0])


if __name__ == "__main__":
    IS_RELEASE = "--release" in sys.argv
    LIBRARY = sys.argv[1]
    unittest.main(argv=sys.argv[:1])
