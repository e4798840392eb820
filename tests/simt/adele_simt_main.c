// SPDX-License-Identifier: MIT
// The command line with the emulator as one device more: simt, and simt/plain, simt/cublas,
// simt/cudnn (SIMT_LIBRARIES=all). With it what is meant for a machine with a GPU is tried on one
// without.
#include "support/simt_devices.h"

int adele_main(int argc, char **argv); // src/cli/main.c, renamed

int main(int argc, char **argv) {
    simt_devices_provide();
    return adele_main(argc, argv);
}
