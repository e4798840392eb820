#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_onnx_runtime.py PROGRAM: logits of ONNX Runtime beside those of this library, for each network.

Without ONNX Runtime it ends with 77, which CTest shows as skipped. PROGRAM is onnx_results (tests/onnx),
which writes NAME.onnx and NAME.safetensors with images and logits."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy
    import onnxruntime
except ImportError:
    print("SKIPPED: there is no onnxruntime here (pip install onnxruntime)")
    sys.exit(77)

PROGRAM = sys.argv.pop(1)
TOLERANCE = 1e-4  # roundings of two programs differ by some 2e-5 in 101 layers
NAMES = ["unet", "unet_rgb", "deeplabv1", "deeplabv2", "deeplabv3", "deeplabv3_resnet101", "trained"]


def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = numpy.frombuffer(content[start + begin : start + end], numpy.float32)
            tensors[name] = values.reshape(entry["shape"])
    return tensors


class Logits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([PROGRAM, cls.folder.name], check=True, timeout=300)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def session(self, name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        path = os.path.join(self.folder.name, f"{name}.onnx")
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def test_all_networks(self):
        for name in NAMES:
            session = self.session(name)
            tensors = read_safetensors(os.path.join(self.folder.name, f"{name}.safetensors"))
            for i in range(3):
                image, wanted = tensors[f"image.{i}"], tensors[f"logits.{i}"]
                with self.subTest(name, shape=image.shape):
                    (logits,) = session.run(["logits"], {"image": image})
                    self.assertEqual(logits.shape, wanted.shape)
                    deviation = wanted.std(axis=(2, 3)).min()
                    self.assertGreater(deviation, 0.01)  # or a constant would do
                    difference = abs(logits - wanted).max()
                    print(f"{name} {image.shape}: deviation {deviation:.2g}, off by {difference:.2g}")
                    self.assertLessEqual(difference, TOLERANCE)

    def test_metadata(self):
        metadata = self.session("trained").get_modelmeta().custom_metadata_map
        self.assertEqual(json.loads(metadata["names"]), ["background", "disc", "box"])
        self.assertEqual((metadata["height"], metadata["width"]), ("32", "28"))
        self.assertEqual((metadata["checkpoint"], metadata["epoch"]), ("last.safetensors", "2"))
        self.assertTrue(metadata["normalization"].startswith("inside"))

    def test_the_specification(self):
        """onnx.checker, where the package onnx is installed too."""
        try:
            import onnx
        except ImportError:
            self.skipTest("there is no package onnx here")
        for name in NAMES:
            onnx.checker.check_model(os.path.join(self.folder.name, f"{name}.onnx"), full_check=True)


if __name__ == "__main__":
    unittest.main()
