#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our training step beside PyTorch's: the same weights, the same batch, taking turns.

    pytorch_peer.py BENCH_STEP [--pipeline segthor|voc] [--device cuda|cpu] [--precision bf16|tf32|fp32] [--width 64]
                    [--batch 5] [--size 256] [--categories 5] [--steps 30] [--rounds 5] [--no-compile] [--json FILE]
    pytorch_peer.py --loss ADELE_BENCH ...     the loss alone, at the shapes of both pipelines

A SegTHOR step: U-Net at the scales 1, 0.7 and 1.5, the program's loss, backward, SGD. A VOC step: DeepLabv1 on ResNet38d,
batch 10, 448 x 448, 21 categories unless said otherwise, without dropout. bench_step exports what it starts with;
PyTorch runs eager and, unless --no-compile, compiled, in channels_last and, for bf16, under autocast. The losses of the
first steps must agree, and how much the loss changed in them, or the ratio is void. A ratio above 1: ours is faster. Ends
with 1 when a loss disagrees, with 77 when there is no PyTorch or no GPU.

The VOC step is taken at a hundredth of its rate, which costs the same time. At the full rate the losses of a small network
go apart without anybody's fault: a unit that lies within rounding of a ReLU's edge passes its gradient on one side
only (VOC at width 4, 160 x 160, batch 2: bn_fov2's scale has its gradient to 9e-7, its shift, which such a unit enters, to
1e-3), and from a fresh start every step multiplies what came of it. There ours and PyTorch's fp32 stood 4.7e-3 and 0.7e-3
from PyTorch's float64 in the third loss, and PyTorch's own up to 8e-3 when its start was moved by half a unit in the last
place; at the hundredth they stand 5.1e-6 and 4.7e-6 from it, where the loss changes by 4.6e-2."""
import argparse
import importlib.util
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

N_LOSSES = 3
# Of the loss, relative, of the first and of the third step. They are narrow because any untrained network has a loss near
# log(categories); in fp32 the change from the first to the third must agree too, so that a wrong momentum, rate or gradient
# is detected.
TOLERANCE = {"fp32": (1e-5, 2e-5), "tf32": (2e-4, 4e-4), "bf16": (5e-4, 1e-3)}
CHANGE_TOLERANCE = {"segthor": 0.1, "voc": 0.02}
RATE = {"segthor": 0.01, "voc": 1e-5}


def read_safetensors(path):
    """{name: tensor} of a file of floats and bytes."""
    import torch
    dtypes = {"F32": torch.float32, "U8": torch.uint8}
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in dtypes:
            continue
        begin, end = (8 + length + o for o in entry["data_offsets"])
        block = bytearray(data[begin:end])
        tensors[name] = torch.frombuffer(block, dtype=dtypes[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def peer_name(name):
    """The name that pytorch_step.py's U-Net gives a parameter of the published program's."""
    name = name.removeprefix("model.").replace("double_conv.", "").replace("outc.conv.", "outc.")
    for i in range(4):
        name = name.replace(f"down{i + 1}.maxpool_conv.1.", f"down.{i}.").replace(f"up{i + 1}.conv.", f"up.{i}.")
    return name


class Peer:
    """The step in PyTorch, from the state that bench_step exported."""

    def __init__(self, start, args, compiled):
        import torch
        from pytorch_deeplab import DeepLabV1
        from pytorch_step import UNet, loss_program
        self.torch, self.loss_program = torch, loss_program
        self.args = args
        self.name = f"pytorch {torch.__version__} " + ("compiled" if compiled else "eager")
        is_voc = args.pipeline == "voc"
        model = (DeepLabV1(args.categories, args.width) if is_voc else UNet(1, args.categories, args.width)).train()
        name_of = (lambda name: name.removeprefix("model.")) if is_voc else peer_name
        state = {name_of(k): v for k, v in start.items() if k.startswith("model.")}
        missing, extra = model.load_state_dict(state, strict=False)
        wrong = extra + [k for k in missing if not k.endswith("num_batches_tracked")]
        if wrong:
            raise SystemExit(f"pytorch_peer: the export does not fit the peer's network: {wrong}")
        model = model.to(args.device, memory_format=torch.channels_last)
        self.inputs = [start[f"images.{k}"].to(args.device, memory_format=torch.channels_last) for k in range(3)]
        self.labels = start["labels"].to(args.device).long()
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=RATE[args.pipeline], momentum=0.9 if is_voc else 0.99)
        self.loss_factor = 3 if is_voc else 1  # loss_program divides by 3, as SegTHOR does
        self.forward = torch.compile(self.forward_loss, mode=args.compile_mode) if compiled else self.forward_loss
        self.model = model
        self.losses = [self.step() for _ in range(N_LOSSES)]

    def forward_loss(self):
        torch, functional = self.torch, self.torch.nn.functional
        kind = self.args.device.split(":")[0]
        with torch.autocast(kind, torch.bfloat16, enabled=self.args.precision == "bf16"):
            logits = [self.model(x) for x in self.inputs]
        logits = [z.float() for z in logits]
        size = self.labels.shape[1:]
        logits = [z if z.shape[2:] == size else
                  functional.interpolate(z, size=size, mode="bilinear", align_corners=True) for z in logits]
        # As in our step: the counts for the epoch's IoU.
        joint = (logits[0].argmax(1) * self.args.categories + self.labels).flatten()
        return self.loss_factor * self.loss_program(logits, self.labels), joint

    def step(self):
        self.optimizer.zero_grad()
        loss, joint = self.forward()
        loss.backward()
        self.optimizer.step()
        self.torch.bincount(joint, minlength=self.args.categories ** 2)
        return loss.item()  # waits for the device, as bench_step does

    def time(self, n_steps):
        times = []
        for _ in range(n_steps):
            start = time.perf_counter()
            self.step()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)


def disagreement(ours, theirs, precision, change_tolerance):
    """A sentence, or None."""
    for i, limit in ((0, TOLERANCE[precision][0]), (N_LOSSES - 1, TOLERANCE[precision][1])):
        off = abs(ours[i] - theirs[i]) / abs(theirs[i])
        if not off <= limit:
            return f"loss of step {i + 1}: {ours[i]:.6f} and {theirs[i]:.6f}, {100 * off:.3f} % apart"
    change, their_change = ours[-1] - ours[0], theirs[-1] - theirs[0]
    if precision == "fp32" and not abs(change - their_change) <= change_tolerance * abs(their_change):
        return f"the loss changed by {change:.3e} and {their_change:.3e}"
    return None


def run_ours(args, export=None):
    command = [args.bench] + [x for key in ("pipeline", "width", "batch", "size", "categories", "steps", "device",
                                                "precision")
                              for x in (f"--{key}", str(getattr(args, key)))] + ["--rate", str(RATE[args.pipeline])]
    if export:
        command += ["--export", export]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"pytorch_peer: {' '.join(command)} failed: {result.stderr.strip()}")
    return json.loads(result.stdout)


def compare_steps(args):
    with tempfile.TemporaryDirectory() as folder:
        export = os.path.join(folder, "start.safetensors")
        first = run_ours(args, export)
        start = read_safetensors(export)
    peers = [Peer(start, args, False)]
    if args.compile:
        peers.append(Peer(start, args, True))
    report = {"what": f"{args.pipeline} step", "device": device_text(args), "precision": args.precision, "width": args.width,
              "batch": args.batch, "size": args.size, "losses": first["losses"], "peers": []}
    ours, theirs = [], [[] for _ in peers]
    for _ in range(args.rounds):
        ours.append(run_ours(args)["median_ms"])
        for times, peer in zip(theirs, peers):
            times.append(peer.time(args.steps))
    report["median_ms"] = statistics.median(ours)
    print(f"adele, {args.precision}, {report['device']}: median {report['median_ms']:.3f} ms "
          f"({min(ours):.3f} .. {max(ours):.3f} over {args.rounds} rounds), losses {first['losses']}")
    for peer, times in zip(peers, theirs):
        ratios = [b / a for a, b in zip(ours, times)]
        problem = disagreement(first["losses"], peer.losses, args.precision, CHANGE_TOLERANCE[args.pipeline])
        report["peers"].append({"name": peer.name, "median_ms": statistics.median(times), "losses": peer.losses,
                                "ratio": None if problem else statistics.median(ratios), "void": problem})
        verdict = (f"VOID: {problem}" if problem else
                   f"adele is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} .. {max(ratios):.2f})")
        print(f"{peer.name}: median {statistics.median(times):.3f} ms, losses "
              f"{[round(x, 6) for x in peer.losses]}; {verdict}")
    return report, any(p["void"] for p in report["peers"])


def eager_loss(args, batch, categories, size, logits_sizes):
    """ms of upsampling, loss and its backward, the argmax and the counts, in eager PyTorch."""
    import torch
    from torch.nn import functional
    from pytorch_step import loss_program
    torch.manual_seed(0)
    logits = [(8 * torch.randn(batch, categories, s, s, device=args.device)).requires_grad_() for s in logits_sizes]
    labels = torch.randint(categories, (batch, size, size), device=args.device)

    def step():
        full = [functional.interpolate(z, size=(size, size), mode="bilinear", align_corners=True)
                if z.shape[2] != size else z for z in logits]
        loss_program(full, labels).backward()
        torch.bincount((full[0].argmax(1) * categories + labels).flatten(), minlength=categories ** 2)
        for z in logits:
            z.grad = None
        if args.device != "cpu":
            torch.cuda.synchronize()

    times = []
    for i in range(3 + args.steps):
        start = time.perf_counter()
        step()
        if i >= 3:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def compare_losses(args):
    scale = args.scale
    report = {"what": "loss", "device": device_text(args), "precision": args.precision, "scale": scale, "cases": []}
    for name, batch, categories, size, sizes in (("segthor", 5, 5, 256, (256, 179, 384)),
                                                 ("voc", 10, 21, 448, (56, 40, 84))):
        ours, theirs = [], []
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "loss.json")
                subprocess.run([args.bench, f"loss/{name}", "--device", args.device, "--precision", args.precision,
                                "--scale", str(scale), "--rounds", str(args.steps), "--json", path], check=True,
                               capture_output=True)
                with open(path, encoding="utf-8") as file:
                    ours.append(json.load(file)["rows"][0]["median_ms"])
            theirs.append(eager_loss(args, batch, categories, max(1, int(size * scale)),
                                     [max(1, int(s * scale)) for s in sizes]))
        ratio = statistics.median(b / a for a, b in zip(ours, theirs))
        report["cases"].append({"name": name, "median_ms": statistics.median(ours),
                                "eager_ms": statistics.median(theirs), "ratio": ratio})
        print(f"loss/{name}: adele {statistics.median(ours):.4f} ms, PyTorch eager {statistics.median(theirs):.4f} ms, "
              f"ratio {ratio:.2f}")
    return report, False


def device_text(args):
    import torch
    return torch.cuda.get_device_name() if args.device.startswith("cuda") else "cpu"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help="the program bench_step, or with --loss adele-bench")
    parser.add_argument("--loss", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bf16", choices=sorted(TOLERANCE))
    parser.add_argument("--pipeline", default="segthor", choices=("segthor", "voc"))
    for name, value in (("width", 64), ("steps", 30), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name in ("batch", "size", "categories"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--scale", type=float, default=1.0, help="with --loss: of all extents")
    parser.add_argument("--compile-mode", default="max-autotune", help="of torch.compile")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--no-onednn", action="store_true",
                        help="on the CPU: PyTorch without oneDNN, whose backward of wide dilations crashes in 2.15")
    parser.add_argument("--json")
    args = parser.parse_args()
    presets = {"batch": (5, 10), "size": (256, 448), "categories": (5, 21)}
    for name, values in presets.items():
        if getattr(args, name) is None:
            setattr(args, name, values[args.pipeline == "voc"])
    return args


def main():
    args = parse()
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: SKIPPED")
        return 77
    import torch
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("PyTorch sees no GPU: SKIPPED")
        return 77
    torch.backends.cudnn.benchmark = True
    torch.backends.mkldnn.enabled = not args.no_onednn
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision != "fp32"
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    report, is_void = compare_losses(args) if args.loss else compare_steps(args)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return 1 if is_void else 0


if __name__ == "__main__":
    sys.exit(main())
