// SPDX-License-Identifier: MIT
// Moving channels between a device's tensors (N, ceil(C / B), H, W, B) of equal N, H and W.
#ifndef ADELE_CPU_CHANNELS_H
#define ADELE_CPU_CHANNELS_H

#include "cpu/cpu.h"

// Some of a tensor's channels.
struct channels {
    struct adele_shape shape; // of the tensor
    int first;
};

// Copies `count` channels of every image, or adds them: whole blocks where both sides begin at one,
// single channels otherwise. Lanes behind the last channel are not written.
void channels_move(const struct adele_device *device, struct channels to_channels, void *to,
                   struct channels from_channels, const void *from, int count, bool accumulate);
// Zeros the padding channels: the lanes of the last block that hold no channel.
void channels_zero_padding(const struct adele_device *device, struct adele_shape shape,
                           void *tensor);

#endif
