// SPDX-License-Identifier: MIT
// Faults planted in a kernel, for the tests of the self-test. ADELE_SIMT_PLANT in the environment
// is FAULT:FILE:KERNEL, "wrong:conv2d_fma.cu:fma_kernel" for instance: of each launch in that file
// of a kernel whose name begins so, `wrong` leaves out the first block, `crash` ends the process by
// SIGSEGV, and `hang` never comes back. The stand-ins of the libraries count as "cublas:gemm" and
// "cudnn:execute", of which `wrong` leaves out the first results. "wrong:tensor_map:pitches" is a
// driver that takes the elements of every tensor map to lie side by side. The interpreter has its
// own way (PTX_PLANT in tests/ptx/ptx.h).
#ifndef ADELE_TESTS_SIMT_PLANT_H
#define ADELE_TESTS_SIMT_PLANT_H

// Before each launch. `kernel`: as the launch spells it, with a parenthesis before a template.
void simt_plant_launch(const char *file, const char *kernel);
// Of that launch: whether its first block is left out.
bool simt_plant_leaves_out_first();
// Of tensor maps.
bool simt_plant_ignores_pitches();
#endif
