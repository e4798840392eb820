// SPDX-License-Identifier: MIT
// The emulator as the devices simt, simt/plain, simt/cublas and simt/cudnn of adele_device_open,
// and simt/cudnn1 and simt/cudnn2, which take another way of cuDNN first, as the self-test wants
// it. simt itself is the engine direct. The libraries are stand-ins (tests/simt/simt_libraries.h).
#ifndef ADELE_TESTS_SUPPORT_SIMT_DEVICES_H
#define ADELE_TESTS_SUPPORT_SIMT_DEVICES_H

void simt_devices_provide(void); // does nothing in a build without the emulator
#endif
