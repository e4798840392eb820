// SPDX-License-Identifier: MIT
// Volumes for tests: the library only writes the geometry of volumes that it has read.
#ifndef ADELE_TESTS_NEW_VOLUME_H
#define ADELE_TESTS_NEW_VOLUME_H

#include "image/nifti.h"

// A plain NIfTI-1 volume of float32: extents and spacing in mm, identity orientation, voxels 0.
ADELE_MUST_CHECK adele_status new_volume_init(struct nifti_volume *out, int nx, int ny, int nz,
                                              const float spacing[3]);
// Writes float32 values with the geometry of `like`, in its version and byte order.
ADELE_MUST_CHECK adele_status new_volume_save(const char *path, const struct nifti_volume *like,
                                              const float *voxels);
#endif
