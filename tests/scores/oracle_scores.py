# SPDX-License-Identifier: MIT
"""Measures pairs of masks by SimpleITK (and scipy, where it is installed too, which must agree).

Reads a file of pairs: six 32-bit numbers (depth, height, width, and the spacings along them in thousandths),
the width of the boundary, then the bytes of both masks. Prints one line for each pair:
hd95 assd boundary_iou dice found false missed. Ends with 77 without SimpleITK and numpy."""
import struct
import sys

try:
    import numpy as np
    import SimpleITK as sitk
except ImportError:
    print("needs SimpleITK and numpy")
    sys.exit(77)
try:
    from scipy import ndimage
except ImportError:
    ndimage = None



def to_image(mask, spacing):
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(s) for s in reversed(spacing)])
    return image


def surface_of(mask):
    """Voxels that an erosion by a cross takes away; the outside counts as outside of the mask."""
    padded = to_image(np.pad(mask, 1), [1] * mask.ndim)
    contour = sitk.GetArrayFromImage(sitk.LabelContour(padded, fullyConnected=False)) != 0
    return contour[tuple(slice(1, -1) for _ in range(mask.ndim))]


def distances(surface, at, spacing):
    # Inside of a thick surface the signed distance is negative: such a voxel lies on the surface.
    signed = sitk.SignedMaurerDistanceMap(to_image(surface, spacing), insideIsPositive=False,
                                          squaredDistance=False, useImageSpacing=True)
    found = np.maximum(sitk.GetArrayFromImage(signed).astype(np.float64), 0)[at]
    if ndimage is not None:
        other = ndimage.distance_transform_edt(~surface, sampling=spacing)[at]
        assert np.allclose(found, other, rtol=1e-5, atol=1e-5), np.abs(found - other).max()
        return other
    return found


def boundary(mask, width):
    """As the authors of boundary IoU do: padded, eroded by a square of 3 so many times."""
    padded = np.pad(mask, width + 1)
    eroded = sitk.GetArrayFromImage(sitk.BinaryErode(to_image(padded, [1, 1]), [width, width], sitk.sitkBox))
    inside = slice(width + 1, -width - 1)
    return mask & (eroded[inside, inside] == 0)


def lesions(mask, other):
    labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(to_image(mask, [1] * mask.ndim), True))
    touched = len(set(labels[mask & other].tolist()))
    return touched, int(labels.max()) - touched


def measure(a, b, spacing, width):
    both = either = 0
    for slice_a, slice_b in zip(a, b):
        edge_a, edge_b = boundary(slice_a, width), boundary(slice_b, width)
        both += np.count_nonzero(edge_a & edge_b)
        either += np.count_nonzero(edge_a | edge_b)
    if a.shape[0] == 1:
        a, b, spacing = a[0], b[0], spacing[1:]
    surface_a, surface_b = surface_of(a), surface_of(b)
    from_a, from_b = distances(surface_b, surface_a, spacing), distances(surface_a, surface_b, spacing)
    hd95 = max(np.percentile(from_a, 95), np.percentile(from_b, 95))
    assd = np.concatenate([from_a, from_b]).mean()
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(to_image(a, spacing), to_image(b, spacing))
    found, missed = lesions(a, b)
    false = lesions(b, a)[1]
    return hd95, assd, both / either, overlap.GetDiceCoefficient(), found, false, missed


def main(path):
    with open(path, "rb") as file:
        content = file.read()
    at = 0
    while at < len(content):
        numbers = struct.unpack_from("<7i", content, at)
        at += 28
        shape, spacing, width = numbers[:3], np.array(numbers[3:6]) / 1000, numbers[6]
        n = int(np.prod(shape))
        masks = [np.frombuffer(content, np.uint8, n, at + k * n).reshape(shape) != 0 for k in range(2)]
        at += 2 * n
        print(" ".join("%.17g" % value for value in measure(masks[0], masks[1], spacing, width)))


if __name__ == "__main__":
    main(sys.argv[1])
