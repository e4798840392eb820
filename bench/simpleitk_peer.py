#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scores.csv of `adele evaluate` beside SimpleITK's values for the same masks.

Usage: simpleitk_peer.py SCORES.csv MASKS LABELS

MASKS is the folder of `adele evaluate --save-masks`, LABELS that of the label files under the same names: PNG or
NIfTI, whose values are the classes in the order of SCORES.csv. Distances of volumes are in mm with the spacing in
their files, of pictures in pixels. Each row of a class but the background is measured again, by the functions that
tests/scores/oracle_scores.py tests random masks with. Prints the largest difference of each measure, of the numbers
of lesions, and of the values; ends with 1 when one of them is above 1e-6, and with 77 without SimpleITK and numpy.

  adele evaluate RUN --split test --csv scores.csv --save-masks masks
  bench/simpleitk_peer.py scores.csv masks DATA/labelsTs
"""
import csv
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "scores"))
import oracle_scores  # noqa: E402 (ends with 77 without SimpleITK)
import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from PIL import Image  # noqa: E402

TOLERANCE = 1e-6  # files hold nine digits
MEASURES = ("hd95", "assd", "boundary_iou", "dice", "lesion_tp", "lesion_fp", "lesion_fn")


def read_mask(folder, case):
    """The values (depth, height, width), and the spacing along the same axes."""
    path = os.path.join(folder, case)
    if os.path.exists(path + ".png"):  # SimpleITK would give the colours of the palette
        return np.array(Image.open(path + ".png"))[None], (1.0, 1.0, 1.0)
    for ending in (".nii.gz", ".nii"):
        if os.path.exists(path + ending):
            image = sitk.ReadImage(path + ending)
            return sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]
    sys.exit(f"{folder}: no mask of {case}")


def measure(prediction, labels, spacing):
    """By name of the column."""
    inside = labels & prediction
    values = {"iou": inside.sum() / (labels | prediction).sum()}
    diagonal = math.hypot(*labels.shape[1:])
    width = max(1, round(0.02 * diagonal))
    values.update(zip(MEASURES, oracle_scores.measure(labels, prediction, np.array(spacing), width)))
    return values


def main(path, masks, labels_folder):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["class"] for row in rows))
    largest, n_rows, read = {}, 0, {}
    for row in rows:
        if row["case"] not in read:
            read = {row["case"]: (read_mask(masks, row["case"])[0], *read_mask(labels_folder, row["case"]))}
        prediction, labels, spacing = read[row["case"]]
        c = names.index(row["class"])
        if c == 0 or not row["hd95"]:
            continue  # the distances of a class that one mask lacks are undefined
        n_rows += 1
        counts = labels != 255
        for name, want in measure((prediction == c) & counts, labels == c, spacing).items():
            difference = abs(float(row[name]) - want)
            largest[name] = max(largest.get(name, (-1.0,)), (difference, want, row["case"], row["class"]))
    print(f"{n_rows} rows of {len({row['case'] for row in rows})} cases")
    for name, (difference, want, case, kind) in largest.items():
        print(f"{name:13s} off by {difference:.2g} at most: {want:.9g} ({case}, {kind})")
    return int(not n_rows or any(not item[0] <= TOLERANCE * max(1.0, abs(item[1])) for item in largest.values()))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
