#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a .pth file over tools/convert_weights.py into `adele train`. ADELE_CLI names it."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "tools", "convert_weights.py")
sys.path.insert(0, HERE)

from tiny_training import Training, checkpoint, loss  # noqa: E402
from weight_samples import Storage, View, read_safetensors, state_dict, write_pth  # noqa: E402


def turned(shape, values):
    """The same tensor, its first two axes exchanged in memory, as PyTorch stores a transpose."""
    if len(shape) != 4:
        return View(Storage("Float", values), shape)
    o, i, h, w = shape
    moved = [
        values[((a * i + b) * h + y) * w + x]
        for b in range(i)
        for a in range(o)
        for y in range(h)
        for x in range(w)
    ]
    return View(Storage("Float", moved), shape, [h * w, o * h * w, w, 1])


class IntoTraining(unittest.TestCase):
    def test_a_converted_file_trains_as_the_checkpoint_does(self):
        with tempfile.TemporaryDirectory() as scratch:
            training = Training(os.environ["ADELE_CLI"], scratch)
            result, first = training.train("first")
            self.assertEqual(result.returncode, 0, result.stderr)
            tensors = {
                name.removeprefix("model."): entry
                for name, entry in read_safetensors(checkpoint(first))[0].items()
                if name.startswith("model.")
            }
            pth, out = os.path.join(scratch, "x.pth"), os.path.join(scratch, "x.safetensors")
            write_pth(
                pth,
                {
                    "epoch": 1,
                    "state_dict": state_dict(
                        **{
                            "module." + name: turned(shape, values)
                            for name, (_, shape, values) in tensors.items()
                        },
                        **{
                            "module.inc.double_conv.1.num_batches_tracked": View(
                                Storage("Long", [9]), []
                            )
                        }
                    ),
                },
            )

            subprocess.run([sys.executable, PROGRAM, pth, out], check=True, capture_output=True)
            found = read_safetensors(out)[0]
            self.assertEqual(found.pop("inc.double_conv.1.num_batches_tracked"), ("I64", [], [9]))
            self.assertEqual(found, tensors)
            result, by_checkpoint = training.train(
                "by_checkpoint", "model.init=" + checkpoint(first)
            )
            self.assertEqual(result.returncode, 0, result.stderr)
            result, by_file = training.train("by_file", "model.init=" + out)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(loss(by_file), loss(by_checkpoint))
            self.assertLess(loss(by_file), loss(first))

            # Another head: named, unless it is allowed to begin at random.
            subprocess.run(
                [sys.executable, PROGRAM, pth, out, "--rename", "outc.conv.=fc."],
                check=True,
                capture_output=True,
            )
            result, _ = training.train("strict", "model.init=" + out)
            self.assertNotEqual(result.returncode, 0)
            for part in (
                "x.safetensors",
                "missing outc.conv.weight, outc.conv.bias",
                "fc.weight",
                "fc.bias",
                "model.init_strict",
            ):
                self.assertIn(part, result.stderr)
            result, _ = training.train("lenient", "model.init=" + out, "model.init_strict=false")
            self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main()
