#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One training step of ours beside PyTorch's on the CPU: bench_step and pytorch_step.py in alternation.

    compare_step.py BENCH_STEP [--width 16 --width 64] [--rounds 5] [--precision bf16] [--isa avx2|avx512] [--no-compile]
                    [--no-bf16] [--markdown FILE]

PyTorch runs in each of its ways once (eager and torch.compile, contiguous and channels_last, fp32 and bf16 autocast), and
then in its fastest way, in alternation with ours, which computes in fp32 unless --precision says bf16. Every process has
the same processors and as many threads. --isa limits both sides to an instruction set. --no-compile and --no-bf16 leave
ways of PyTorch out (compiling takes minutes). What the rest of the machine does is read from /proc/stat: a round in which
others took more than 0.2 of a processor is void. --markdown writes the table. A ratio above 1: ours is faster. Ends with 77
when there is no PyTorch, and with 1 when every round of a width was void."""
import argparse
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time

# How threads wait: ours as the program adele sets it, PyTorch as it sets it itself.
OURS_WAITS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch_step.py")
WAYS = [list(flags) for flags in itertools.product(("", "--compile"), ("", "--channels-last"), ("", "--bf16"))]
MOST_LOAD = 0.2  # processors that others may use during a round
LIMITS = {"avx2": {"ADELE_CPU_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2"},
          "avx512": {"ADELE_CPU_ISA": "avx512", "DNNL_MAX_CPU_ISA": "AVX512_CORE"}}


def busy_seconds():
    """Seconds that all processors together have worked since the machine started."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, *rest = (int(x) for x in file.readline().split()[1:])
    return (user + nice + system + irq + softirq + (rest[0] if rest else 0)) / os.sysconf("SC_CLK_TCK")


def child_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Runner:
    """Runs commands on the same processors, and measures what else the machine did meanwhile.

    Threads of OpenMP are bound to one processor each, unless a command has other threads or processes beside
    them: those would all inherit the first processor."""

    def __init__(self, isa, is_bound=True):
        cores = sorted(os.sched_getaffinity(0))
        self.environment = dict(os.environ)
        for name in [*OURS_WAITS, "OMP_PROC_BIND", "OMP_PLACES"]:
            self.environment.pop(name, None)
        self.environment.update(OMP_NUM_THREADS=str(len(cores)), **LIMITS.get(isa, {}))
        if is_bound:
            self.environment.update(OMP_PROC_BIND="true", OMP_PLACES="cores")
        self.load = 0.0
        self.seconds = self.processor_seconds = 0.0  # of the last command

    def run_text(self, command, **environment):
        """What the command prints."""
        wall, busy, own = time.monotonic(), busy_seconds(), child_seconds()
        result = subprocess.run(command, capture_output=True, text=True, env={**self.environment, **environment})
        if result.returncode != 0:
            name = os.path.basename(sys.argv[0])
            raise SystemExit(f"{name}: {' '.join(command)} failed: {result.stderr.strip()[-500:]}")
        self.seconds, self.processor_seconds = time.monotonic() - wall, child_seconds() - own
        self.load = max(0.0, (busy_seconds() - busy - self.processor_seconds) / self.seconds)
        return result.stdout

    def run(self, command, **environment):
        return json.loads(self.run_text(command, **environment))


def write_table(rows, path):
    """Prints the table, and writes it."""
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    print(table)
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(table + "\n")


def fastest_way(runner, size, left_out):
    """Runs PyTorch's ways once each; the flags and the results of the fastest."""
    best = None
    for flags in WAYS:
        flags = [f for f in flags if f]
        if left_out & set(flags):
            continue
        result = runner.run([sys.executable, PEER] + flags + size)
        print(f"  {result['what']}: {result['median_ms']:.1f} ms, peak {result['peak_mb']:.0f} MB "
              f"(others used {runner.load:.2f} processors)", flush=True)
        if best is None or result["median_ms"] < best[1]["median_ms"]:
            best = flags, result
    return best


def compare(runner, command, width, steps, rounds, left_out):
    """A row of the table, or None."""
    size = ["--width", str(width), "--steps", str(steps)]
    print(f"width {width}:", flush=True)
    flags, peer = fastest_way(runner, size, left_out)
    ours, theirs, ratios, peaks = [], [], [], []
    for number in range(rounds):
        mine = runner.run(command + size, **OURS_WAITS)
        load = runner.load
        other = runner.run([sys.executable, PEER] + flags + size)
        load = max(load, runner.load)
        is_void = load > MOST_LOAD
        print(f"  round {number + 1}: adele {mine['median_ms']:.1f} ms, {peer['what']} {other['median_ms']:.1f} ms, ratio "
              f"{other['median_ms'] / mine['median_ms']:.2f}, others used {load:.2f} processors{': VOID' if is_void else ''}",
              flush=True)
        if not is_void:
            ours.append(mine["median_ms"])
            theirs.append(other["median_ms"])
            ratios.append(other["median_ms"] / mine["median_ms"])
            peaks.append(mine["peak_mb"] / other["peak_mb"])
    if not ratios:
        print(f"width {width}: every round was void, because the machine was busy")
        return None
    return [str(width), f"{statistics.median(ours):.0f}", f"{statistics.median(theirs):.0f} ({peer['what']})",
            f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} rounds)",
            f"{statistics.median(peaks):.2f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the program bench_step")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of ours")
    parser.add_argument("--isa", choices=sorted(LIMITS))
    parser.add_argument("--no-compile", action="append_const", dest="left_out", const="--compile")
    parser.add_argument("--no-bf16", action="append_const", dest="left_out", const="--bf16")
    parser.add_argument("--markdown")
    args = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: SKIPPED")
        return 77
    runner = Runner(args.isa)
    widths = args.width or [16, 64]
    command = [args.bench, "--precision", args.precision]
    rows = [compare(runner, command, width, 10 if width < 64 else 3, args.rounds, set(args.left_out or [])) for width in widths]
    head = ["width", f"adele, {args.precision}, ms", "PyTorch's fastest way, ms", "ratio", "peak memory, adele / PyTorch"]
    write_table([head, ["---:"] * len(head)] + [row for row in rows if row], args.markdown)
    return 0 if all(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
