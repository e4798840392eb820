#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scores of `adele audit` beside those of cleanlab.segmentation, on the same predictions.

Usage: cleanlab_peer.py ADELE RUN IMAGES LABELS TRUTH [--map FROM:TO,...] [--checkpoint last|best] [--data DIR]
       cleanlab_peer.py mix OUT FOLDER...

LABELS and TRUTH are folders of label PNGs with the same names; `adele predict --probabilities` predicts IMAGES in
portions of a few dozen, so that the probabilities of the whole set lie nowhere but in the file that cleanlab's
num_pixel_issues needs (a memory-mapped one of 16-bit floats). An image is wrong where the IoU of its label with the
truth, mean over the foreground classes in either, is below 0.7. Printed for each score: the area under precision and
recall (average precision) of finding the wrong ones, and Spearman's correlation with that IoU.

cleanlab does not know ignored pixels: softmin gets the other pixels alone, and num_pixel_issues the predicted class
in their place. `mix` writes label maps of several folders in turn (the first name from the first folder, ...): some
clean, some noisy. Skips, and says so, without cleanlab.

JSRT at 64 x 64 (DATA: Dataset101_JSRT at 256 x 256), a third clean, a third of mIoU 0.8, a third of 0.58:

  adele noise DATA -o n8 --target-miou 0.8 --seed 1 && adele noise DATA -o n58 --target-miou 0.58 --seed 1
  bench/cleanlab_peer.py mix mixed DATA/labelsTr n8/labelsTr n58/labelsTr
  adele train configs/demo_adele.yaml --set data.root=DATA --set data.noise.kind=none \\
    --set data.noisy_labels=mixed --set data.true_labels=DATA/labelsTr --run run
  bench/cleanlab_peer.py adele run DATA/imagesTr mixed DATA/labelsTr
"""
import argparse
import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile

PORTION = 32
WRONG_BELOW = 0.7
SKIPPED = 77


def mix(out, folders):
    names = sorted(set.intersection(*(set(os.listdir(folder)) for folder in folders[1:] or folders)))
    os.makedirs(out)
    for i, name in enumerate(names):
        shutil.copy(os.path.join(folders[i % len(folders)], name), os.path.join(out, name))
    print(f"{len(names)} label maps in {out}")


def average_precision(np, scores, is_wrong):
    hits = is_wrong[np.argsort(scores, kind="stable")].astype(float)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum())


def ranks(np, values):
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]


def spearman(np, a, b):
    return float(np.corrcoef(ranks(np, np.asarray(a)), ranks(np, np.asarray(b)))[0, 1])


def read_probabilities(np, path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        tensor = json.loads(file.read(size))["probabilities"]
        begin, end = tensor["data_offsets"]
        file.seek(8 + size + begin)
        return np.frombuffer(file.read(end - begin), np.float32).reshape(tensor["shape"])[0]


def portions(adele, run, checkpoint, images, names):
    """Yields the name and the file of the probabilities of each image."""
    files = {}
    for file in os.listdir(images):
        stem = os.path.splitext(file)[0]
        files.setdefault(stem[:-5] if stem.endswith("_0000") else stem, []).append(file)
    for first in range(0, len(names), PORTION):
        with tempfile.TemporaryDirectory() as folder:
            source, out = os.path.join(folder, "in"), os.path.join(folder, "out")
            os.mkdir(source)
            for name in names[first:first + PORTION]:
                shutil.copy(os.path.join(images, files[name][0]), source)
            subprocess.run([adele, "predict", run, "-i", source, "-o", out, "--probabilities", "--device", "cpu"]
                           + checkpoint, check=True, capture_output=True)
            for name in names[first:first + PORTION]:
                yield name, os.path.join(out, name + ".safetensors")


def true_iou(np, labels, truth, n_classes):
    values = []
    for c in range(1, n_classes):
        a, b = (labels == c) & (labels != 255), (truth == c) & (labels != 255)
        if (a | b).any():
            values.append((a & b).sum() / (a | b).sum())
    return float(np.mean(values)) if values else 1.0


def cleanlab_scores(np, arguments, names, read_map):
    """Scores of cleanlab by name of the method, and the true IoU."""
    from cleanlab.internal.multilabel_scorer import softmin
    from cleanlab.segmentation.rank import get_label_quality_scores
    scores, iou, maps = {}, [], None
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = ["--checkpoint", arguments.checkpoint] if arguments.checkpoint else []
        for i, (name, path) in enumerate(portions(arguments.adele, arguments.run, checkpoint, arguments.images,
                                                  names)):
            p = read_probabilities(np, path)
            labels, truth = read_map(arguments.labels, name), read_map(arguments.truth, name)
            iou.append(true_iou(np, labels, truth, len(p)))
            counts = labels != 255
            own = np.take_along_axis(p, np.where(counts, labels, 0)[None].astype(int), 0)[0][counts].astype(float)
            for temperature in (0.03, 0.1, 0.3, 1.0):
                scores.setdefault(f"cleanlab softmin {temperature}", []).append(
                    float(softmin(own[None], axis=1, temperature=temperature)[0]))
            scores.setdefault("cleanlab mean self-confidence", []).append(float(own.mean()))
            every = arguments.every
            if maps is None:
                maps = np.memmap(os.path.join(folder, "p"), np.float16, "w+",
                                 shape=(len(names), *p[:, ::every, ::every].shape))
                all_labels = np.zeros((len(names), *maps.shape[2:]), np.int16)
            maps[i] = p[:, ::every, ::every]
            all_labels[i] = np.where(counts, labels, p.argmax(0))[::every, ::every]
        result, _ = get_label_quality_scores(all_labels, maps, method="num_pixel_issues", downsample=1, n_jobs=1,
                                             verbose=False)
    scores["cleanlab num_pixel_issues"] = list(result)
    return scores, np.array(iou)


def audit_scores(arguments, names):
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.adele, "audit", arguments.run, "-o", os.path.join(folder, "audit"), "--overlays", "0",
                   "--regions", "0", "--labels", arguments.labels, "--device", "cpu"]
        if arguments.checkpoint:
            command += ["--checkpoint", arguments.checkpoint]
        if arguments.data:
            command += ["--data", arguments.data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(folder, "audit", "audit.csv"), newline="", encoding="utf-8") as file:
            rows = {row["case"]: float(row["score"]) for row in csv.DictReader(file)}
    return {name: rows[name] for name in names if name in rows}


def main():
    if sys.argv[1:2] == ["mix"] and len(sys.argv) > 3:
        mix(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("adele", "run", "images", "labels", "truth"):
        parser.add_argument(name)
    parser.add_argument("--map", help="values of the files that are classes, others are ignored")
    parser.add_argument("--checkpoint", choices=("last", "best"))
    parser.add_argument("--every", type=int, default=1, help="num_pixel_issues, which needs some twenty bytes for each "
                        "probability of the whole set, gets every N-th row and column")
    parser.add_argument("--data", help="for a RUN that is a checkpoint file")
    arguments = parser.parse_args()
    missing = [name for name in ("cleanlab", "numpy", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"SKIPPED: Python has no {', '.join(missing)}")
        return SKIPPED
    import numpy as np
    from PIL import Image
    lookup = np.arange(256)
    if arguments.map:
        lookup[:] = 255
        for pair in arguments.map.split(","):
            value, to = pair.split(":")
            lookup[int(value)] = int(to)

    def read_map(folder, name):
        return lookup[np.array(Image.open(os.path.join(folder, name + ".png")))]

    names = sorted(os.path.splitext(file)[0] for file in os.listdir(arguments.labels) if file.endswith(".png"))
    audited = audit_scores(arguments, names)
    names = [name for name in names if name in audited]
    scores, iou = cleanlab_scores(np, arguments, names, read_map)
    scores["adele audit"] = [audited[name] for name in names]
    is_wrong = iou < WRONG_BELOW
    print(f"{len(names)} images, {is_wrong.sum()} with an IoU below {WRONG_BELOW}, mean IoU {iou.mean():.4f}")
    print(f"{'score':32s} {'AUPR':>7s} {'Spearman':>9s}")
    for name, values in sorted(scores.items(), reverse=True):
        values = np.array(values)
        print(f"{name:32s} {average_precision(np, values, is_wrong):7.4f} {spearman(np, values, iou):9.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
