// SPDX-License-Identifier: MIT
#ifndef ADELE_REPORT_CLASS_COLOUR_H
#define ADELE_REPORT_CLASS_COLOUR_H

#include <stdint.h>

// 0xRRGGBB of a class 1 .. 254, another one for each; 0 (background) is black and 255 (ignored
// pixels) light gray. The first seven are told apart by colour-blind readers too.
uint32_t class_colour(int category);

#endif
