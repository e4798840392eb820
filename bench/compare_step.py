#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs bench_step and pytorch_step.py in alternation and prints medians and the ratio round by round.

Usage: compare_step.py BENCH_STEP [ROUNDS]. PyTorch runs as it does best of contiguous and channels_last. Skips, and
says so, when Python has no torch."""
import importlib.util
import json
import os
import statistics
import subprocess
import sys


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    bench = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    peer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch_step.py")
    has_torch = importlib.util.find_spec("torch") is not None
    if not has_torch:
        print("PyTorch is not installed: SKIPPED the comparison, timing adele alone")
    for width, steps in ((16, 10), (64, 3)):
        size = ["--width", str(width), "--steps", str(steps)]
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(run([bench] + size))
            if has_torch:
                both = [run([sys.executable, peer] + size),
                        run([sys.executable, peer, "--channels-last"] + size)]
                theirs.append(min(both, key=lambda r: r["median_ms"]))
        times = [r["median_ms"] for r in ours]
        print(f"width {width}: adele median {statistics.median(times):.1f} ms "
              f"({min(times):.1f} .. {max(times):.1f}), peak {max(r['peak_mb'] for r in ours):.0f} MB")
        if not has_torch:
            continue
        peer_times = [r["median_ms"] for r in theirs]
        ratios = [b / a for a, b in zip(times, peer_times)]
        print(f"width {width}: {theirs[0]['what']} median {statistics.median(peer_times):.1f} ms "
              f"({min(peer_times):.1f} .. {max(peer_times):.1f}), peak {min(r['peak_mb'] for r in theirs):.0f} MB")
        print(f"width {width}: adele is {statistics.median(ratios):.2f} times as fast "
              f"({min(ratios):.2f} .. {max(ratios):.2f} over {rounds} rounds)")


if __name__ == "__main__":
    main()
