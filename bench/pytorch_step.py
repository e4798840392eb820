#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times the same training step as bench_step.c in PyTorch: U-Net, three scales, the program's loss, SGD."""
import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


def block(c_in, c_out, c_mid=None):
    c_mid = c_mid or c_out
    return nn.Sequential(
        nn.Conv2d(c_in, c_mid, 3, padding=1), nn.BatchNorm2d(c_mid), nn.ReLU(inplace=True),
        nn.Conv2d(c_mid, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, n_channels, n_categories, width):
        super().__init__()
        w = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.inc = block(n_channels, w[0])
        self.down = nn.ModuleList(block(w[i], w[i + 1]) for i in range(4))
        outs = [4 * width, 2 * width, width, width]
        ins = [16 * width, 8 * width, 4 * width, 2 * width]
        self.up = nn.ModuleList(block(i, o, i // 2) for i, o in zip(ins, outs))
        self.outc = nn.Conv2d(width, n_categories, 1)

    def forward(self, x):
        skips = [self.inc(x)]
        for down in self.down:
            skips.append(down(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for up in self.up:
            skip = skips.pop()
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = up(torch.cat([skip, x], 1))
        return self.outc(x)


def loss_program(logits, labels, rho=0.8, weight=1.0):
    """METHOD section 4 with fixed weights 1/3; the total divided by 3."""
    n_scales = len(logits)
    probabilities = [F.softmax(z, 1) for z in logits]
    ce = sum(F.cross_entropy(z / n_scales, labels, reduction="none").mean() for z in logits)
    q = (sum(probabilities) / n_scales).clamp(1e-3, 1 - 1e-3)
    mask = (q.amax(dim=(1, 2, 3)) >= rho).float()
    kl = sum((p * (F.log_softmax(z, 1) - q.log())).sum(1) for p, z in zip(probabilities, logits))
    return (ce + weight * (mask[:, None, None] * kl).mean()) / 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--categories", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast of the network")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = UNet(1, args.categories, args.width).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.99)
    images = torch.randn(args.batch, 1, args.size, args.size)
    if args.channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    i = torch.arange(args.size * args.size)
    labels = ((i // 16 + i // (args.size * 16)) % args.categories).view(args.size, args.size)
    labels = labels.expand(args.batch, -1, -1).contiguous()
    inputs = [images] + [
        F.interpolate(images, size=(int(args.size * s),) * 2, mode="bilinear", align_corners=True)
        for s in (0.7, 1.5)]

    def forward_loss():
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            logits = [model(x) for x in inputs]
        logits = [z.float() for z in logits]
        logits = [logits[0]] + [
            F.interpolate(z, size=labels.shape[1:], mode="bilinear", align_corners=True)
            for z in logits[1:]]
        # As in our step: the pairs to count for the epoch's IoU.
        pairs = (logits[0].argmax(1) * args.categories + labels).flatten()
        return loss_program(logits, labels), pairs

    forward = torch.compile(forward_loss) if args.compile else forward_loss

    def step():
        optimizer.zero_grad()
        loss, pairs = forward()
        loss.backward()
        optimizer.step()
        torch.bincount(pairs, minlength=args.categories ** 2)
        return loss.item()

    first = [step() for _ in range(3)][0]  # as bench_step's first steps; the first one compiles
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({
        "what": " ".join([f"PyTorch {torch.__version__}", "compiled" if args.compile else "eager"] +
                         ["channels_last"] * args.channels_last + ["bf16"] * args.bf16),
        "width": args.width, "median_ms": round(statistics.median(times), 3),
        "min_ms": round(min(times), 3), "max_ms": round(max(times), 3), "loss": round(first, 6),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}))


if __name__ == "__main__":
    main()
