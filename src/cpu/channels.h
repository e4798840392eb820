// SPDX-License-Identifier: MIT
// Moving channels between blocked tensors (N, ceil(C / B), H, W, B) of equal N, H and W.
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
void channels_move(int block, struct channels to_channels, float *to, struct channels from_channels,
                   const float *from, int count, bool accumulate);
// Zeros the padding channels: the lanes of the last block that hold no channel.
void channels_zero_padding(int block, struct adele_shape shape, float *tensor);

#endif
