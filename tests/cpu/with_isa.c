// SPDX-License-Identifier: MIT
// with_isa SET PROGRAM [ARGUMENT ...]: runs the program with ADELE_CPU_ISA=SET. Ends with 77, which
// CTest shows as skipped, where this processor lacks the set, and where it is the one that the
// program uses anyway: the test without a set runs that.
#include "cpu/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SKIPPED 77

int main(int argc, char **argv) {
    enum cpu_isa isa = argc > 2 ? cpu_isa_parse(argv[1]) : CPU_ISA_COUNT;
    if (isa == CPU_ISA_COUNT) {
        (void)fprintf(stderr, "usage: with_isa SET PROGRAM [ARGUMENT ...]\n");
        return 2;
    }
    if (!cpu_isa_is_there(isa)) {
        (void)printf("skipped: this processor has no %s\n", argv[1]);
        return SKIPPED;
    }
    if (cpu_isa_open() == ADELE_OK && isa == cpu_isa()) {
        (void)printf("skipped: %s is what the test without a set uses\n", argv[1]);
        return SKIPPED;
    }
    if (setenv("ADELE_CPU_ISA", argv[1], 1) == 0)
        (void)execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
