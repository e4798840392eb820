#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From files to files: `adele predict` and `adele evaluate` beside a PyTorch program with a data loader, in alternation.

    compare_files.py ADELE [--images 200] [--rounds 3] [--task predict ...] [--isa avx2|avx512] [--markdown FILE]
    compare_files.py ADELE --curve [--images 10000] [--markdown FILE]

ADELE is the program. A synthetic set of pictures of 128 x 128 (file_sets.py) and a U-Net of width 16 that was trained on a
few of them; PyTorch (pytorch_predict.py) gets its weights from tools/convert_weights.py. The tasks:

  predict    masks of a folder of pictures
  evaluate   scores of a split; ours also measures the surfaces of each case, PyTorch counts a confusion matrix
  scales     predict, averaged over three scales and mirror images, which is how labels are corrected; on a quarter of
             the pictures, as the next one
  crf        the same with a dense CRF of 10 iterations, PyTorch with pydensecrf

PyTorch runs each task once contiguous and once in channels_last, and then in its faster way in alternation with ours. Our
time is that of the whole process, PyTorch's begins after imports, reading weights and one batch. Masks must agree in 99.9 %
of the pixels, and IoUs within 0.001. As in compare_step.py, every process has the same processors, and a round in
which others used more than 0.2 of one is void. A ratio above 1: ours is faster. Ends with 77 when PyTorch is missing,
and with 1 when results disagree or every round of a task was void. Without pydensecrf the task crf is skipped.

--curve times `check`, `noise`, `evaluate`, `predict` and, as "load", `train --dry-run` alone on sets of 64 x 64 that grow
tenfold up to --images; the last one reads the set into memory and measures the same few steps whatever the set. What grows
faster than the number of images shows in the seconds per image, of the wall clock and of the processors."""
import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from compare_step import LIMITS, MOST_LOAD, OURS_WAITS, Runner, write_table
from file_sets import CLASSES, write_set

HERE = os.path.dirname(os.path.abspath(__file__))
PEER = os.path.join(HERE, "pytorch_predict.py")
CONVERTER = os.path.join(HERE, "..", "tools", "convert_weights.py")
LEAST_AGREEMENT = 0.999  # of the pixels of all masks
LARGEST_DIFFERENCE = 0.001  # of an IoU
N_TRAIN = 32
CURVE_SIZE, CURVE_WIDTH = 64, 4
CONFIG = """data: {{root: {root}, size: [{size}, {size}], split: {{val: none}}}}
model: {{name: unet, width: {width}}}
train: {{epochs: {epochs}, batch: 8, optimizer: {{lr: 0.01, momentum: 0.9}}}}
loss: {{form: plain, scales: [1.0], lambda: 0.0}}
correction: {{enabled: false}}
"""

# Options of ours, of PyTorch's, and the share of the pictures.
TASKS = {"predict": ([], [], 1.0),
         "evaluate": ([], [], 1.0),
         "scales": (["--scales", "1,0.75,1.25", "--flip"], ["--scales", "1,0.75,1.25", "--flip"], 0.25),
         "crf": (["--scales", "1,0.75,1.25", "--flip", "--crf=10"],
                 ["--scales", "1,0.75,1.25", "--flip", "--crf", "10"], 0.25)}


class Adele:
    def __init__(self, runner, program, folder):
        self.runner, self.program, self.folder = runner, os.path.abspath(program), folder

    def run(self, *arguments):
        return self.runner.run_text([self.program, *arguments], **OURS_WAITS)

    def configure(self, root, size, width, epochs):
        """The file of a configuration."""
        config = os.path.join(self.folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(root=root, size=size, width=width, epochs=epochs))
        return config

    def train(self, root, size, width, epochs):
        """The folder of a run."""
        run = os.path.join(self.folder, "run")
        self.run("train", self.configure(root, size, width, epochs), "--device", "cpu", "--run", run)
        return run


# ---- beside PyTorch -----------------------------------------------------------------------------


def agreement(ours, theirs):
    """The share of equal pixels in two folders of masks."""
    from PIL import Image
    n = n_equal = 0
    for name in sorted(os.listdir(theirs)):
        pixels = [Image.open(os.path.join(folder, name)).tobytes() for folder in (ours, theirs)]
        if len(pixels[0]) != len(pixels[1]):
            return 0.0
        n += len(pixels[0])
        n_equal += sum(a == b for a, b in zip(*pixels))
    return n_equal / n


class Task:
    """One task, ours and PyTorch's."""

    def __init__(self, name, adele, run, weights, sets):
        self.name, self.adele, self.run, self.weights = name, adele, run, weights
        self.options, self.peer_options, share = TASKS[name]
        self.root = sets[share]
        self.images = os.path.join(self.root, "JPEGImages")
        self.n_images = len(os.listdir(self.images))
        self.scratch = os.path.join(adele.folder, "results")

    def place(self, name):
        """A new place for results."""
        path = os.path.join(self.scratch, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(self.scratch, exist_ok=True)
        return path

    def ours(self):
        """Images per second, and the results."""
        out = self.place("ours")
        if self.name == "evaluate":
            os.makedirs(out)
            out = os.path.join(out, "scores.json")
            self.adele.run("evaluate", self.run, "--device", "cpu", "--data", self.root, "--split", "train",
                           "--json", out)
        else:
            self.adele.run("predict", self.run, "--device", "cpu", "-i", self.images, "-o", out, *self.options)
        return self.n_images / self.adele.runner.seconds, out

    def theirs(self, flags):
        out = self.place("theirs")
        task = ["--labels", os.path.join(self.root, "SegmentationClass")] if self.name == "evaluate" else ["--masks", out]
        result = self.adele.runner.run([sys.executable, PEER, self.weights, self.images, *task, "--classes",
                                         str(len(CLASSES)), *self.peer_options, *flags])
        result["speed"], result["out"] = result["images"] / result["seconds"], out
        return result

    def difference(self, out, peer):
        """A sentence, or None."""
        if self.name == "evaluate":
            with open(out, encoding="utf-8") as file:
                ours = json.load(file)["iou"]
            print(f"  IoUs of ours {ours}, of PyTorch {peer['iou']}")
            if not max(abs(a - b) for a, b in zip(ours, peer["iou"], strict=True)) <= LARGEST_DIFFERENCE:
                return "the IoUs differ"
            return None
        share = agreement(out, peer["out"])
        print(f"  masks agree in {100 * share:.4f} % of the pixels")
        return None if share >= LEAST_AGREEMENT else f"the masks agree in {100 * share:.2f} % of the pixels only"

    def compare(self, n_rounds):
        """A row of the table, or None."""
        print(f"{self.name}, {self.n_images} images:", flush=True)
        ways = [(self.theirs(flags), flags) for flags in ([], ["--channels-last"])]
        for way, _ in ways:
            print(f"  {way['what']}: {way['speed']:.1f} images/s, peak {way['peak_mb']:.0f} MB", flush=True)
        _, flags = max(ways, key=lambda way: way[0]["speed"])
        ours, theirs, ratios = [], [], []
        for number in range(n_rounds):
            speed, out = self.ours()
            load = self.adele.runner.load
            peer = self.theirs(flags)
            load = max(load, self.adele.runner.load)
            is_void = load > MOST_LOAD
            print(f"  round {number + 1}: adele {speed:.1f} images/s, {peer['what']} {peer['speed']:.1f}, ratio "
                  f"{speed / peer['speed']:.2f}, others used {load:.2f} processors{': VOID' if is_void else ''}", flush=True)
            wrong = self.difference(out, peer) if number == 0 else None
            if wrong:
                raise SystemExit(f"compare_files.py: {self.name}: {wrong}, so the times mean nothing")
            if not is_void:
                ours.append(speed)
                theirs.append(peer["speed"])
                ratios.append(speed / peer["speed"])
        if not ratios:
            print(f"{self.name}: every round was void, because the machine was busy")
            return None
        return [self.name, str(self.n_images), f"{statistics.median(ours):.1f}",
                f"{statistics.median(theirs):.1f} ({peer['what']})",
                f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)"]


def skip_reason(task):
    if task == "crf" and importlib.util.find_spec("pydensecrf") is None:
        return "pydensecrf is not installed"
    return None


def compare(args, runner, folder):
    adele, sets = Adele(runner, args.adele, folder), {}
    tasks = [task for task in args.task or TASKS if not skip_reason(task)]
    for task in args.task or TASKS:
        if skip_reason(task):
            print(f"{task}: {skip_reason(task)}: SKIPPED", flush=True)
    for share in {TASKS[task][2] for task in tasks}:
        sets[share] = os.path.join(folder, f"set{share}")
        write_set(sets[share], args.size, max(2, int(args.images * share)), seed=2)
    train = os.path.join(folder, "train")
    write_set(train, args.size, N_TRAIN)
    run = adele.train(train, args.size, args.width, epochs=10)
    weights = os.path.join(folder, "weights.safetensors")
    subprocess.run([sys.executable, CONVERTER, os.path.join(run, "checkpoints", "last.safetensors"), weights],
                   check=True, stdout=subprocess.DEVNULL)
    rows = [Task(task, adele, run, weights, sets).compare(args.rounds) for task in tasks]
    head = ["task", "images", "adele, images/s", "PyTorch's faster way, images/s", "ratio"]
    write_table([head, ["---", "---:", "---:", "---:", "---:"]] + [row for row in rows if row], args.markdown)
    return 0 if all(rows) else 1


# ---- the curve ----------------------------------------------------------------------------------


def time_verbs(adele, run, root):
    """{verb: (seconds, seconds of the processors)}"""
    results, out = {}, os.path.join(adele.folder, "out")
    config = adele.configure(root, CURVE_SIZE, CURVE_WIDTH, epochs=1)
    verbs = {"check": ["check", root], "noise": ["noise", root, "-o", out],
             "evaluate": ["evaluate", run, "--device", "cpu", "--data", root, "--split", "train"],
             "predict": ["predict", run, "--device", "cpu", "-i", os.path.join(root, "JPEGImages"), "-o", out],
             "load": ["train", config, "--device", "cpu", "--run", out, "--dry-run"]}
    for verb, arguments in verbs.items():
        shutil.rmtree(out, ignore_errors=True)
        adele.run(*arguments)
        results[verb] = adele.runner.seconds, adele.runner.processor_seconds
        print(f"  {verb}: {results[verb][0]:.2f} s, processors {results[verb][1]:.2f} s, others used "
              f"{adele.runner.load:.2f} processors", flush=True)
    return results


def curve(args, runner, folder):
    adele, times = Adele(runner, args.adele, folder), {}
    train = os.path.join(folder, "train")
    write_set(train, CURVE_SIZE, N_TRAIN)
    run = adele.train(train, CURVE_SIZE, CURVE_WIDTH, epochs=1)
    counts = [n for n in (args.images // 100, args.images // 10, args.images) if n > 0]
    for n in counts:
        root = os.path.join(folder, f"set{n}")
        write_set(root, CURVE_SIZE, n, seed=3)
        print(f"{n} images of {CURVE_SIZE} x {CURVE_SIZE}:", flush=True)
        times[n] = time_verbs(adele, run, root)
        shutil.rmtree(root)
    rows = [["verb"] + [f"{n} images, ms an image (processors)" for n in counts] + ["last / first", "last / middle"]]
    rows.append(["---"] + ["---:"] * (len(rows[0]) - 1))
    for verb in times[counts[0]]:
        each = [[1e3 * x / n for x in times[n][verb]] for n in counts]
        rows.append([verb] + [f"{wall:.2f} ({processors:.2f})" for wall, processors in each] +
                    [f"{each[-1][0] / each[i][0]:.2f} ({each[-1][1] / each[i][1]:.2f})" for i in (0, -2)])
    write_table(rows, args.markdown)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adele", help="the program")
    parser.add_argument("--images", type=int, help="default: 200, or 10000 with --curve")
    parser.add_argument("--size", type=int, default=128, help="of the pictures, a multiple of 16")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--isa", choices=sorted(LIMITS))
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--markdown")
    parser.add_argument("--folder", help="where the sets lie meanwhile (default: that of temporary files)")
    args = parser.parse_args()
    args.images = args.images or (10000 if args.curve else 200)
    if args.images < 8 or args.curve and args.images < 100:
        parser.error(f"--images {args.images}: at least 8, and 100 for --curve")
    missing = [name for name in ("torch", "numpy", "PIL") if importlib.util.find_spec(name) is None]
    if missing and not args.curve:
        print(f"{', '.join(missing)}: not installed: SKIPPED")
        return 77
    runner = Runner(args.isa, is_bound=False)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        return (curve if args.curve else compare)(args, runner, folder)


if __name__ == "__main__":
    sys.exit(main())
