#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fully connected CRF by itself, beside pydensecrf: bench_crf and this file with --peer in alternation.

    crf_peer.py BENCH_CRF [--size 500x375x21 --size 128x128x4] [--image PHOTO] [--rounds 5] [--runs 5]
                [--iterations 10] [--isa avx2|avx512] [--markdown FILE]

A size is width x height x classes. Both get the same image, of blobs with texture and grain or a photograph, and the
same probabilities; kernels and weights are those of METHOD section 3. A run begins with the probabilities and ends with
those after the last iteration. Ours uses all processors, pydensecrf has one thread. The most probable class must be the
same in 99 % of the pixels: the two approximate the same Gaussians by lattices that differ.

The table has milliseconds of the wall clock and those of all processors, medians over the rounds, and the
ratios of both; above 1: ours is faster. Where others used more than 0.2 of a processor, the wall clock says little.
Ends with 77 without pydensecrf or numpy, and with 1 when the results disagree."""
import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time

from compare_step import LIMITS, OURS_WAITS, Runner, write_table

# METHOD section 3, as src/predict/inference_maps.c sets them.
CRF = {"spatial_sigma": 3, "spatial_weight": 3, "bilateral_sigma": 32, "colour_sigma": 13, "bilateral_weight": 10}
LEAST_AGREEMENT = 0.99  # of the pixels
GRAIN = 4.0  # standard deviation of a pixel, in gray levels


def refine(probabilities, rgb, iterations):
    """(C, H, W) after a dense CRF of pydensecrf."""
    import numpy
    from pydensecrf import densecrf
    n_classes, h, w = probabilities.shape
    crf = densecrf.DenseCRF2D(w, h, n_classes)
    crf.setUnaryEnergy(numpy.ascontiguousarray(-numpy.log(probabilities.clip(1e-5)).reshape(n_classes, -1)))
    crf.addPairwiseGaussian(sxy=CRF["spatial_sigma"], compat=CRF["spatial_weight"])
    crf.addPairwiseBilateral(sxy=CRF["bilateral_sigma"], srgb=CRF["colour_sigma"], rgbim=numpy.ascontiguousarray(rgb),
                             compat=CRF["bilateral_weight"])
    return numpy.array(crf.inference(iterations)).reshape(n_classes, h, w)


# ---- the scene ----------------------------------------------------------------------------------


def smooth_noise(rng, h, w, period):
    """(H, W): noise of deviation 1 or less, interpolated between points `period` pixels apart."""
    import numpy
    rows, columns = (numpy.arange(n) / period for n in (h, w))
    points = rng.standard_normal((int(rows[-1]) + 2, int(columns[-1]) + 2))
    y, x = rows.astype(int), columns.astype(int)
    fy, fx = (rows - y)[:, None], (columns - x)[None]
    above = points[y][:, x] * (1 - fx) + points[y][:, x + 1] * fx
    below = points[y + 1][:, x] * (1 - fx) + points[y + 1][:, x + 1] * fx
    return above * (1 - fy) + below * fy


def make_scene(rng, h, w, n_classes, photo):
    """The image (H, W, 3), and probabilities (C, H, W) that are unsure of it and wrong in places."""
    import numpy
    fields = numpy.stack([smooth_noise(rng, h, w, 60) for _ in range(n_classes)])
    classes = fields.argmax(0)
    if photo:
        from PIL import Image
        image = numpy.array(Image.open(photo).convert("RGB").resize((w, h)))
    else:
        base = rng.uniform(40, 215, (n_classes, 3))[classes]
        for period, deviation in ((40, 14.0), (7, 7.0), (2, 4.0)):
            base += deviation * numpy.stack([smooth_noise(rng, h, w, period)] * 3, -1)
        image = (base + rng.normal(0, GRAIN, base.shape)).clip(0, 255).astype(numpy.uint8)
    logits = 3.0 * rng.random((n_classes, h, w)) + 1.0 * (numpy.arange(n_classes)[:, None, None] == classes)
    probabilities = numpy.exp(logits)
    return image, (probabilities / probabilities.sum(0)).astype(numpy.float32)


# ---- both sides ---------------------------------------------------------------------------------


def peer(args):
    """Child process: times pydensecrf on files, and prints the medians as JSON."""
    import numpy
    w, h, n_classes = parse_size(args.size[0])
    image = numpy.fromfile(args.peer[0], numpy.uint8).reshape(3, h, w).transpose(1, 2, 0)
    probabilities = numpy.fromfile(args.peer[1], numpy.float32).reshape(n_classes, h, w)
    walls, processors = [], []
    for _ in range(args.runs + 1):
        wall, processor = time.perf_counter(), time.process_time()
        refined = refine(probabilities, image, args.iterations)
        walls.append(1e3 * (time.perf_counter() - wall))
        processors.append(1e3 * (time.process_time() - processor))
    refined.astype(numpy.float32).tofile(args.peer[2])
    # The first run warmed up.
    print(json.dumps({"median_ms": statistics.median(walls[1:]), "processor_ms": statistics.median(processors[1:])}))
    return 0


def parse_size(text):
    return [int(x) for x in text.split("x")]


class Case:
    """One size: the files, and the commands of both sides."""

    def __init__(self, args, size, folder):
        import numpy
        self.size = size
        self.w, self.h, self.n_classes = parse_size(size)
        image, probabilities = make_scene(numpy.random.default_rng(0), self.h, self.w, self.n_classes, args.image)
        names = ("image", "probabilities", "ours", "theirs")
        self.paths = {name: os.path.join(folder, name) for name in names}
        numpy.ascontiguousarray(image.transpose(2, 0, 1)).tofile(self.paths["image"])
        probabilities.tofile(self.paths["probabilities"])
        inputs = [self.paths["image"], self.paths["probabilities"]]
        common = ["--iterations", str(args.iterations), "--runs", str(args.runs)]
        self.ours = [args.bench, *inputs, self.paths["ours"], "--height", str(self.h), "--width", str(self.w), "--categories",
                     str(self.n_classes), *common]
        self.theirs = [sys.executable, os.path.abspath(__file__), args.bench, "--size", size, *common, "--peer", *inputs,
                       self.paths["theirs"]]

    def agreement(self):
        """The share of pixels with the same class."""
        import numpy
        ours, theirs = (numpy.fromfile(self.paths[name], numpy.float32).reshape(self.n_classes, -1).argmax(0)
                        for name in ("ours", "theirs"))
        return (ours == theirs).mean()


def compare(args, runner, case):
    """A row of the table, or None where the results disagree."""
    rounds, load = [], 0.0
    for number in range(args.rounds):
        ours = runner.run(case.ours, **OURS_WAITS)
        others = runner.load
        theirs = runner.run(case.theirs)
        others = max(others, runner.load)
        load = max(load, others)
        rounds.append((ours["median_ms"], theirs["median_ms"], ours["processor_ms"], theirs["processor_ms"]))
        print(f"  round {number + 1}: adele {ours['median_ms']:.1f} ms ({ours['processor_ms']:.1f} of processors), pydensecrf "
              f"{theirs['median_ms']:.1f} ({theirs['processor_ms']:.1f}), others used {others:.2f} processors", flush=True)
    share = case.agreement()
    print(f"  the same class in {100 * share:.2f} % of the pixels")
    if not share >= LEAST_AGREEMENT:
        print(f"crf_peer.py: {case.size}: that is less than {100 * LEAST_AGREEMENT:.0f} %, so the times mean nothing")
        return None
    wall, peer_wall, processor, peer_processor = (statistics.median(x) for x in zip(*rounds))
    ratio, processor_ratio = (statistics.median([r[i + 1] / r[i] for r in rounds]) for i in (0, 2))
    return [case.size, f"{wall:.1f}", f"{peer_wall:.1f}", f"**{ratio:.2f}**", f"{processor:.1f}", f"{peer_processor:.1f}",
            f"**{processor_ratio:.2f}**", f"{load:.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the program bench_crf")
    parser.add_argument("--size", action="append", help="width x height x classes, as in 500x375x21")
    parser.add_argument("--image", help="a photograph, which is scaled to each size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5, help="of a round")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--isa", choices=sorted(LIMITS))
    parser.add_argument("--markdown", help="write the table here")
    parser.add_argument("--peer", nargs=3, metavar=("IMAGE", "PROBABILITIES", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    missing = [name for name in ("pydensecrf", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{', '.join(missing)}: not installed: SKIPPED")
        return 77
    if args.peer:
        return peer(args)
    runner, rows = Runner(args.isa, is_bound=False), []
    for size in args.size or ["500x375x21", "128x128x4"]:
        print(f"{size}, {args.iterations} iterations:", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(args, runner, Case(args, size, folder)))
    head = ["width x height x classes", "adele, ms", "pydensecrf, ms", "ratio", "adele, ms of processors",
            "pydensecrf, ms of processors", "ratio of processors", "others used"]
    write_table([head, ["---:"] * len(head)] + [row for row in rows if row], args.markdown)
    return 0 if all(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
