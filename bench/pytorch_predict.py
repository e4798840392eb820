#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Predicts or evaluates a folder of pictures in PyTorch, as `adele predict` and `adele evaluate` do, and times it.

    pytorch_predict.py WEIGHTS.safetensors IMAGES [--masks OUT] [--labels MASKS] [--scales 1,0.75] [--flip] [--crf 10]

A DataLoader of two processes decodes beside computing, and a thread writes the masks (zlib and the disk leave Python to
others meanwhile). --labels counts a confusion matrix over the set. What is timed begins after one batch of warming up, with
the first picture that is read, and ends with the last mask written or the last pixel counted; importing PyTorch and reading
the weights are left out."""
import argparse
import json
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
from PIL import Image
from torch.nn import functional as F

from crf_peer import refine
from pytorch_peer import peer_name, read_safetensors
from pytorch_step import UNet

WRITES_AHEAD = 64  # masks that wait for the thread


class Pictures(torch.utils.data.Dataset):
    """RGB, each channel standardized by its own mean and deviation; with labels, the mask too."""

    def __init__(self, images, labels, with_rgb):
        self.folder, self.labels, self.with_rgb = images, labels, with_rgb
        self.names = sorted(os.listdir(images))

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        pixels = numpy.array(Image.open(os.path.join(self.folder, self.names[i])).convert("RGB"))
        image = torch.from_numpy(pixels).permute(2, 0, 1).float()
        deviation, mean = torch.std_mean(image, dim=(1, 2), correction=0, keepdim=True)
        item = {"i": i, "image": (image - mean) / torch.where(deviation > 0, deviation, 1.0)}
        if self.labels:
            item["labels"] = torch.from_numpy(numpy.array(Image.open(os.path.join(self.labels, self.names[i]))))
        if self.with_rgb:
            item["rgb"] = torch.from_numpy(pixels)
        return item


def probabilities_of(model, images, scales, flip):
    """The mean over scales and mirror images, at the size of the images."""
    size, total = images.shape[2:], 0
    for scale in scales:
        scaled = images
        if scale != 1:
            scaled = F.interpolate(images, size=[int(n * scale) for n in size], mode="bilinear", align_corners=True)
        for turned in (False, True) if flip else (False,):
            logits = model(scaled.flip(3) if turned else scaled)
            logits = logits.flip(3) if turned else logits
            if logits.shape[2:] != size:
                logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=True)
            total = total + F.softmax(logits, 1)
    return total / (len(scales) * (2 if flip else 1))


class Masks:
    """Writes masks on a thread, and keeps at most WRITES_AHEAD of them in memory."""

    def __init__(self, folder):
        self.folder, self.thread, self.pending = folder, ThreadPoolExecutor(1), []
        os.makedirs(folder)

    def add(self, name, classes):
        self.pending.append(self.thread.submit(Image.fromarray(classes).save, os.path.join(self.folder, name)))
        if len(self.pending) > WRITES_AHEAD:
            self.pending.pop(0).result()

    def finish(self):
        for write in self.pending:
            write.result()


def run(model, pictures, args):
    """The confusion matrix, or zeros."""
    masks = Masks(args.masks) if args.masks else None
    confusion = torch.zeros(args.classes ** 2, dtype=torch.int64)
    for batch in torch.utils.data.DataLoader(pictures, batch_size=args.batch, num_workers=args.workers):
        images = batch["image"]
        if args.channels_last:
            images = images.to(memory_format=torch.channels_last)
        if args.scales == [1.0] and not args.flip and not args.crf:
            classes = model(images).argmax(1)
        else:
            classes = probabilities_of(model, images, args.scales, args.flip)
            if args.crf:
                refined = [refine(p, rgb, args.crf).argmax(0) for p, rgb in zip(classes.numpy(), batch["rgb"].numpy())]
                classes = torch.from_numpy(numpy.stack(refined))
            else:
                classes = classes.argmax(1)
        if "labels" in batch:
            confusion += torch.bincount((batch["labels"] * args.classes + classes).flatten(), minlength=args.classes ** 2)
        if masks:
            for i, found in zip(batch["i"].tolist(), classes.to(torch.uint8).numpy()):
                masks.add(pictures.names[i], found)
    if masks:
        masks.finish()
    return confusion.view(args.classes, args.classes)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="as tools/convert_weights.py writes them")
    parser.add_argument("images")
    parser.add_argument("--masks")
    parser.add_argument("--labels")
    parser.add_argument("--scales", type=lambda text: [float(x) for x in text.split(",")], default=[1.0])
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--crf", type=int, default=0)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def main():
    args = parse()
    model = UNet(3, args.classes, args.width)
    model.load_state_dict({peer_name(k): v for k, v in read_safetensors(args.weights).items()}, strict=False)
    model = model.eval()
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
    pictures = Pictures(args.images, args.labels, args.crf > 0)
    with torch.inference_mode():
        first = torch.stack([pictures[i]["image"] for i in range(min(args.batch, len(pictures)))])
        probabilities_of(model, first, args.scales, args.flip)
        start = time.perf_counter()
        confusion = run(model, pictures, args)
        seconds = time.perf_counter() - start
    both = confusion.diag().double()
    iou = both / (confusion.sum(0) + confusion.sum(1) - both)
    print(json.dumps({
        "what": f"PyTorch {torch.__version__} " + ("channels_last" if args.channels_last else "contiguous"),
        "seconds": round(seconds, 4), "images": len(pictures),
        "iou": [round(x, 6) for x in iou.nan_to_num(-1).tolist()],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}))


if __name__ == "__main__":
    main()
