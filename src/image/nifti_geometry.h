// SPDX-License-Identifier: MIT
// The position of a volume's voxels in the world, and the order in which they are stored.
//
// World axes are those of NIfTI: x to the patient's right, y to the front, z up, in mm. "Stored"
// axes x, y, z are those of the file, x fastest.
#ifndef ADELE_IMAGE_NIFTI_GEOMETRY_H
#define ADELE_IMAGE_NIFTI_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>

struct nifti_header;

// One letter a stored axis, 'R', 'L', 'A', 'P', 'S' or 'I': the world direction nearest to the one
// in which its index grows. "RAS" is NIfTI's own; "" is unknown.
struct nifti_codes {
    char letters[4];
};

struct nifti_geometry {
    int n[3];            // voxels along x, y, z; all 0: nothing is known
    double spacing[3];   // mm, from the header's voxel sizes
    bool has_affine;     // false: the file does not give its position
    double affine[3][4]; // voxel (x, y, z, 1) -> mm, where has_affine
    double angle_error;  // radians: the uncertainty from rounding of a quaternion
};

// Axis i of the result is axis axis[i] of the stored volume, read backwards where is_reversed[i].
struct nifti_order {
    int axis[3];
    bool is_reversed[3];
};

// From the bytes of a header that was parsed. As nibabel and ITK choose: sform when its code is
// above 0, else qform when its code is, else nothing; a matrix that is not finite or cannot be
// inverted counts as not given.
void nifti_geometry_read(const unsigned char *bytes, const struct nifti_header *header,
                         struct nifti_geometry *out);
// "" for a geometry without an affine.
struct nifti_codes nifti_geometry_codes(const struct nifti_geometry *geometry);

// ---- nifti_order.c ------------------------------------------------------------------------------
struct nifti_order nifti_order_identity(void);
bool nifti_order_is_identity(const struct nifti_order *order);
// Whether the text has one letter for each of the three world axes.
bool nifti_codes_are_valid(const char *text);
// First `first`, then `second` on its result.
struct nifti_order nifti_order_compose(const struct nifti_order *first,
                                       const struct nifti_order *second);
struct nifti_order nifti_order_inverse(const struct nifti_order *order);
// The order that makes a volume of codes `from` one of codes `to`; the identity when either is "".
struct nifti_order nifti_order_between(struct nifti_codes from, struct nifti_codes to);
struct nifti_codes nifti_order_codes(const struct nifti_order *order, struct nifti_codes stored);
void nifti_order_extents(const struct nifti_order *order, const int stored[3], int out[3]);
// Voxel i of the reordered volume is this voxel of the stored one.
size_t nifti_order_stored_index(const struct nifti_order *order, const int stored[3], size_t i);
// Copies stored voxels of `bytes` bytes each into their new order; the two do not overlap.
void nifti_order_apply(const struct nifti_order *order, const int stored[3], size_t bytes,
                       const void *from, void *to);
// "flipped along x and y", "axes y and z exchanged", ...; "" for the identity.
void nifti_order_describe(const struct nifti_order *order, char *text, size_t size);

// ---- nifti_match.c ------------------------------------------------------------------------------
enum nifti_match { NIFTI_SAME_PLACE, NIFTI_OTHER_EXTENTS, NIFTI_OTHER_PLACE };
// Whether `other` lies where `reference` lies: the same voxels, to a hundredth of a voxel at all
// corners. *order then brings other's storage to the reference's. Where one of the two has no
// affine, only extents and spacing are compared. `text` describes the first difference
// ("flipped along x", "100 mm away along z"); empty when there is none or the extents differ.
enum nifti_match nifti_geometry_match(const struct nifti_geometry *reference,
                                      const struct nifti_geometry *other, struct nifti_order *order,
                                      char *text, size_t size);
#endif
