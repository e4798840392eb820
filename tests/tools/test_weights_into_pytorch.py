#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A trained checkpoint in PyTorch: strict=True into a plain module, same probabilities, and back.

Without PyTorch it ends with 77, which CTest shows as skipped. ADELE_CLI names the program."""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "tools", "convert_weights.py")
sys.path.insert(0, HERE)

try:
    import torch
except ImportError:
    print("SKIPPED: there is no PyTorch here (Debian: python3-torch)")
    sys.exit(77)

from tiny_training import N_CATEGORIES, SIZE, WIDTH, Training, checkpoint, loss  # noqa: E402
from weight_samples import read_safetensors  # noqa: E402

nn = torch.nn


class DoubleConv(nn.Module):
    def __init__(self, c_in, c_mid, c_out):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(c_in, c_mid, 3, padding=1),
            nn.BatchNorm2d(c_mid),
            nn.ReLU(),
            nn.Conv2d(c_mid, c_out, 3, padding=1),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(c_in, c_out, c_out))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv = DoubleConv(c_in, c_in // 2, c_out)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], 1))


class Out(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """The U-Net of METHOD section 5 as one writes it in PyTorch."""

    def __init__(self, n_channels, n_categories, w):
        super().__init__()
        self.inc = DoubleConv(n_channels, w, w)
        self.down1, self.down2 = Down(w, 2 * w), Down(2 * w, 4 * w)
        self.down3, self.down4 = Down(4 * w, 8 * w), Down(8 * w, 8 * w)
        self.up1, self.up2 = Up(16 * w, 4 * w), Up(8 * w, 2 * w)
        self.up3, self.up4 = Up(4 * w, w), Up(2 * w, w)
        self.outc = Out(w, n_categories)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up1(self.down4(x4), x4)
        return self.outc(self.up4(self.up3(self.up2(x, x3), x2), x1))


TYPES = {"F32": torch.float32, "I64": torch.int64}


def as_torch(entries):
    return {
        name: torch.tensor(values, dtype=TYPES[dtype]).reshape(shape)
        for name, (dtype, shape, values) in entries.items()
    }


def write_gray_png(path, pixels):
    """8 bits; rows of numbers."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    rows = b"".join(b"\0" + bytes(row) for row in pixels)
    head = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
        file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class IntoPyTorch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.training = Training(os.environ["ADELE_CLI"], cls.scratch)
        result, cls.run_folder = cls.training.train("run")
        if result.returncode != 0:
            raise RuntimeError(result.stderr)
        found = read_safetensors(checkpoint(cls.run_folder))[0]
        cls.weights = as_torch(
            {name[6:]: entry for name, entry in found.items() if name.startswith("model.")}
        )

    def load(self):
        model = UNet(1, N_CATEGORIES, WIDTH)
        model.load_state_dict(dict(self.weights), strict=True)
        return model.eval()

    def test_strict_loading_takes_every_tensor(self):
        model = self.load()
        state = model.state_dict()
        for name, value in self.weights.items():
            self.assertTrue(torch.equal(state[name], value), name)
        self.assertEqual(
            {name for name in state if not name.endswith("num_batches_tracked")}, set(self.weights)
        )
        # That strict means strict: one name too few, one too many.
        fewer = {name: value for name, value in self.weights.items() if name != "outc.conv.bias"}
        for wrong in (fewer, self.weights | {"foreign": torch.zeros(1)}):
            with self.assertRaises(RuntimeError):
                UNet(1, N_CATEGORIES, WIDTH).load_state_dict(wrong, strict=True)

    def test_probabilities_are_the_same(self):
        images, masks = os.path.join(self.scratch, "images"), os.path.join(self.scratch, "masks")
        os.mkdir(images)
        generator = torch.Generator().manual_seed(5)
        pixels = torch.randint(0, 256, (SIZE, SIZE), generator=generator)
        pixels[16:40, 20:50] //= 4
        write_gray_png(os.path.join(images, "x_0000.png"), pixels.tolist())
        result = self.training.run(
            *("predict", checkpoint(self.run_folder), "-i", images, "-o", masks, "-p", "-d", "cpu")
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        (name,) = [name for name in os.listdir(masks) if name.endswith(".safetensors")]
        (ours,) = as_torch(read_safetensors(os.path.join(masks, name))[0]).values()

        image = pixels.double()
        image = ((image - image.mean()) / image.std(unbiased=False)).float()
        with torch.no_grad():
            theirs = torch.softmax(self.load()(image[None, None]), 1)[0]
        difference = (ours.reshape(theirs.shape) - theirs).abs().max().item()
        self.assertTrue(difference <= 1e-4, difference)  # fp32 sums in another order
        self.assertGreater(theirs.std().item(), 0.01)  # not all alike

    def test_a_file_that_pytorch_saved_is_converted(self):
        pth = os.path.join(self.scratch, "x.pth")
        out = os.path.join(self.scratch, "x.safetensors")
        model = nn.DataParallel(self.load())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for is_nested in (False, True):
            state = model.state_dict()
            if is_nested:
                state = {"epoch": 1, "state_dict": state, "optimizer": optimizer.state_dict()}
            torch.save(state, pth)
            subprocess.run([sys.executable, PROGRAM, pth, out], check=True, capture_output=True)
            found = as_torch(read_safetensors(out)[0])
            self.assertEqual(set(found), set(model.module.state_dict()))
            for name, value in self.weights.items():
                self.assertTrue(torch.equal(found[name], value), name)
        result, run = self.training.train("back", "model.init=" + out)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLess(loss(run), loss(self.run_folder))


if __name__ == "__main__":
    unittest.main()
