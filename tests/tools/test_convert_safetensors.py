#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""safetensors files of other programs, and broken ones."""

import struct
import sys
import unittest

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
from weight_samples import (  # noqa: E402
    make_safetensors,
    read_safetensors,
)


class Safetensors(Case):
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

    def test_another_programs_file(self):
        data = struct.pack("<2f", 1, 2)
        path = self.path(
            "x.safetensors",
            make_safetensors({"__metadata__": {"format": "tf"}, "a": self.entry}, data),
        )
        self.assertEqual(self.convert(path), {"a": ("F32", [2], [1, 2])})
        self.assertEqual(read_safetensors(self.out)[1], {"format": "pt"})

    def test_a_checkpoint_of_adele_gives_its_weights(self):
        momentum = {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}
        path = self.path(
            "x.safetensors",
            make_safetensors(
                {
                    "__metadata__": {"adele.format": "1"},
                    "model.a": self.entry,
                    "momentum.a": momentum,
                },
                bytes(16),
            ),
        )
        self.assertEqual(set(self.convert(path)), {"a"})

    def test_broken_headers(self):
        def bent(**changes):
            return make_safetensors({"a": self.entry | changes}, bytes(8))

        cases = [
            (b"\xff" * 8 + b"{}", "header has"),
            (make_safetensors(b"{", b""), "not JSON"),
            (make_safetensors(b'{"a":' + b"[" * 100000, b""), "not JSON"),
            (bent(shape=None), "no shape"),
            (bent(shape=[1.5]), "not a count"),
            (bent(shape=[[1]]), "not a count"),
            (bent(shape=[3]), "asks for 12"),
            (bent(dtype="F8_E4M3"), "'F8_E4M3'"),
            (bent(dtype=[1]), "a list"),
            (bent(data_offsets=[0]), "two byte counts"),
            (bent(data_offsets=[0, 1 << 70]), "outside"),
            (bent(shape=[1 << 60]), "not a count"),
            (bent(shape=[1] * 9), "9 dimensions"),
            (bent(shape=[1], data_offsets=[0, 4]), "belong to no tensor"),
            (bent(shape=[1], data_offsets=[4, 8]), "does not begin"),
            (make_safetensors(b'{"a":{"dtype":"F32"},"a":{}}', b""), "twice"),
            (make_safetensors({"a": 1}, b""), "no shape"),
            (make_safetensors({"\ud800": self.entry}, bytes(8)), "cannot be named"),
            (make_safetensors({"__metadata__": 3}, b""), "__metadata__"),
        ]
        for content, part in cases:
            self.refuse(self.path("x.safetensors", content), part)


if __name__ == "__main__":
    unittest.main()
