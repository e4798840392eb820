#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MXNet's lists of arrays: versions, names of ResNet38, headers that claim too much."""

import os
import struct
import sys
import unittest

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
from weight_samples import (  # noqa: E402
    mxnet_array,
    mxnet_list,
)


class MXNet(Case):
    def test_every_version_of_an_array(self):
        data = struct.pack("<6f", *range(6))
        arrays = [mxnet_array([2, 3], data, version) for version in range(4)]
        arrays += [
            mxnet_array([2], struct.pack("<2d", 1, 2), 2, dtype=1),
            mxnet_array([2], b"\x00\x3c\x00\xc0", 2, dtype=2),
            mxnet_array([2], b"\x01\xff", 2, dtype=3),
            mxnet_array([2], b"\x01\xff", 2, dtype=5),
            mxnet_array([1], struct.pack("<q", -9), 2, dtype=6),
            mxnet_array([1], struct.pack("<i", -9), 1, dtype=4),
        ]
        names = [f"arg:a{i}" for i in range(len(arrays) - 1)] + ["aux:b"]
        found = self.convert(
            self.path("x.params", mxnet_list(arrays, names)), "--mxnet-names", "keep"
        )
        for i in range(4):
            self.assertEqual(found[f"a{i}"], ("F32", [2, 3], list(range(6))))
        self.assertEqual(
            [found[f"a{i}"] for i in range(4, 9)],
            [
                ("F64", [2], [1, 2]),
                ("F16", [2], [1, -2]),
                ("U8", [2], [1, 255]),
                ("I32", [2], [1, -1]),
                ("I64", [1], [-9]),
            ],
        )
        self.assertEqual(found["b"], ("I32", [1], [-9]))

    def test_names_of_resnet38(self):
        names = {
            "arg:conv1a_weight": "conv1a.weight",
            "arg:res2a_branch1_weight": "b2.conv_branch1.weight",
            "arg:res4b5_branch2a_weight": "b4_5.conv_branch2a.weight",
            "arg:res7a_branch2b2_weight": "b7.conv_branch2b2.weight",
            "arg:bn5a_branch2b1_gamma": "b5.bn_branch2b1.weight",
            "arg:bn5b2_branch2a_beta": "b5_2.bn_branch2a.bias",
            "aux:bn6a_branch2b2_moving_mean": "b6.bn_branch2b2.running_mean",
            "aux:bn2b1_branch2a_moving_var": "b2_1.bn_branch2a.running_var",
            "arg:bn7_gamma": "bn7.weight",
            "aux:bn7_moving_var": "bn7.running_var",
        }
        every = list(names) + ["arg:linear1000_weight", "arg:linear1000_bias"]
        arrays = [mxnet_array([1], struct.pack("<f", i)) for i in range(len(every))]
        found = self.convert(self.path("x.params", mxnet_list(arrays, every)))
        self.assertEqual(
            found, {"backbone." + ours: ("F32", [1], [i]) for i, ours in enumerate(names.values())}
        )
        os.unlink(self.out)
        for wrong in (
            "arg:fc1_weight",
            "arg:bn7_moving_mean",
            "aux:bn7_gamma",
            "arg:res8a_branch1_weight",
            "arg:res2c_branch1_weight",
            "arg:bn2a_branch1_gamma",
            "bn7_gamma",
            "arg:res2a_branch2a_weight\n",
        ):
            self.refuse(
                self.path("x.params", mxnet_list(arrays[:1], [wrong])),
                "ResNet38 has no",
                ascii(wrong),
            )

    def test_absurd_headers_are_refused_before_allocating(self):
        good, name = mxnet_array([2], bytes(8)), ["arg:conv1a_weight"]
        huge = (1 << 63) - 1
        cases = [
            (mxnet_list([], [], magic=0x113), "none of"),
            (mxnet_list([good], name, n_arrays=1 << 60), "arrays"),
            (mxnet_list([good], name, n_arrays=900000), "array 1 "),
            (mxnet_list([good], name, n_names=1 << 60), "names"),
            (mxnet_list([good], []), "1 arrays and 0 names"),
            (mxnet_list([good], ["a" * 5000]), "5000 bytes"),
            (mxnet_list([good], name) + b"x", "belong to nothing"),
            (mxnet_list([good], name)[:-1], "cut off"),
            (mxnet_list([mxnet_array([1 << 40], b"", 2)], name), "cut off"),
            (mxnet_list([mxnet_array([huge, huge], b"", 2)], name), "not a count"),
            (mxnet_list([mxnet_array([1 << 50, 1 << 50], b"", 1)], name), "too many elements"),
            (mxnet_list([mxnet_array([-1], b"", 2)], name), "not a count"),
            (mxnet_list([mxnet_array([0xFFFFFFFF, 0xFFFF], b"")], name), "cut off"),
            (mxnet_list([mxnet_array([], b"")], name), "0 dimensions"),
            (mxnet_list([struct.pack("<I", 0xFFFFFFFF)], name), "4294967295 dimensions"),
            (mxnet_list([struct.pack("<Ii", 0xF993FAC8, 1 << 30)], name), "dimensions"),
            (mxnet_list([mxnet_array([2], bytes(8), 2, storage=1)], name), "storage type 1"),
            (mxnet_list([mxnet_array([2], bytes(8), dtype=99)], name), "element type 99"),
            (struct.pack("<Q", 0x112), "needs 8 bytes"),
        ]
        for content, part in cases:
            self.refuse(self.path("x.params", content), part)


if __name__ == "__main__":
    unittest.main()
