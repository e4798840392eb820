// SPDX-License-Identifier: MIT
// The command line with one device more, `simt`: the CUDA sources on the emulator. With it what is
// meant for a machine with a GPU is tried on one without.
#include "device/device.h"
#include "runtime/cuda_device.h"

int adele_main(int argc, char **argv); // src/cli/main.c, renamed

static adele_status open_simt(enum adele_precision precision, struct adele_device **out) {
    const struct cuda_options options = {0, precision, CUDA_ENGINE_DIRECT};
    return simt_device_create(&options, out);
}

int main(int argc, char **argv) {
    adele_device_provide("simt", open_simt);
    return adele_main(argc, argv);
}
