#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PyTorch's archives: element types, views, nesting, and what PyTorch does not write."""

import os
import pickle
import struct
import sys
import unittest
import zipfile

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
from weight_samples import (  # noqa: E402
    Storage,
    View,
    make_pickle,
    state_dict,
    write_zip,
)


class PyTorch(Case):
    numbers = list(range(24))

    def test_every_element_type(self):
        kinds = {
            "Float": "F32",
            "Double": "F64",
            "Half": "F16",
            "BFloat16": "BF16",
            "Long": "I64",
            "Int": "I32",
            "Short": "I32",
            "Char": "I32",
            "Byte": "U8",
            "Bool": "U8",
        }
        values = {
            kind: [1, 0] if kind in ("Byte", "Bool", "BFloat16") else [-3, 5] for kind in kinds
        }
        found = self.convert(
            self.pth(
                state_dict(**{kind: View(Storage(kind, values[kind]), [2, 1]) for kind in kinds})
            )
        )
        for kind, dtype in kinds.items():
            self.assertEqual(found[kind], (dtype, [2, 1], values[kind]))

    def test_strides_and_offsets(self):
        shared = Storage("Float", self.numbers)
        found = self.convert(
            self.pth(
                state_dict(
                    plain=View(shared, [2, 3, 4]),
                    turned=View(shared, [4, 2, 3], [1, 12, 4]),
                    part=View(shared, [2, 2, 2], [12, 4, 2], offset=5),
                    one=View(shared, [], offset=23),
                    single=View(shared, [3, 1], [4, 99], offset=2),
                    none=View(shared, [0, 3]),
                )
            )
        )
        self.assertEqual(found["plain"], ("F32", [2, 3, 4], self.numbers))
        self.assertEqual(
            found["turned"][2],
            [12 * b + 4 * c + a for a in range(4) for b in range(2) for c in range(3)],
        )
        self.assertEqual(found["part"][2], [5, 7, 9, 11, 17, 19, 21, 23])
        self.assertEqual(found["one"], ("F32", [], [23]))
        self.assertEqual(found["single"], ("F32", [3, 1], [2, 6, 10]))
        self.assertEqual(found["none"], ("F32", [0, 3], []))

    def test_nested_dicts_prefixes_and_parameters(self):
        weights = state_dict(
            module__a=View(Storage("Float", [1, 2]), [2], is_parameter=True),
            module__b=View(Storage("Long", [7]), []),
        )
        for protocol in (2, 3, 4, 5):
            for key in ("state_dict", "model"):
                found = self.convert(
                    self.pth(
                        {
                            "epoch": 3,
                            "rate": 0.1,
                            "big": 10**30,
                            "best": None,
                            "on": True,
                            "history": [1, (2, 3)],
                            key: weights,
                        },
                        protocol=protocol,
                    )
                )
                self.assertEqual(found, {"a": ("F32", [2], [1, 2]), "b": ("I64", [], [7])})
        os.unlink(self.out)
        self.refuse(self.pth({"net": weights}), "'net'", "--key")
        self.assertEqual(set(self.convert(self.path("weights.pth"), "--key", "net")), {"a", "b"})

    def test_tensors_beyond_their_storage(self):
        storage = Storage("Float", self.numbers)
        for view, part in (
            (View(storage, [25]), "beyond its storage"),
            (View(storage, [2], [24]), "beyond its storage"),
            (View(storage, [1], offset=24), "beyond its storage"),
            (View(storage, [2, 24], [0, 1]), "stride of 0"),
            (View(storage, [1 << 40, 1 << 40], [1, 1]), "too many elements"),
            (View(storage, [-1]), "no valid"),
            (View(storage, [2], [-1], offset=3), "no valid"),
            (View(storage, [2], [True]), "no valid"),
            (View(storage, [1] * 9), "9 dimensions"),
            (View(storage, [1 << 62], [1]), "no valid"),
        ):
            self.refuse(self.pth(state_dict(a=view)), part)
        code, storages = make_pickle(state_dict(a=View(storage, [2])))
        storages[0].data = storages[0].data[:-4]
        write_zip(self.path("weights.pth"), code, storages)
        self.refuse(self.path("weights.pth"), "another size than its 24 elements")
        write_zip(self.path("weights.pth"), code, [])
        self.refuse(self.path("weights.pth"), "lacks 'archive/data/0'")
        self.refuse(self.pth({3: View(storage, [1])}), "name is no text")

    def test_many_views_of_one_storage_do_not_blow_up(self):
        storage = Storage("Float", [0.0] * 20000)
        self.refuse(
            self.pth({str(i): View(storage, [20000]) for i in range(400)}), "share their storages"
        )

    def test_archives_that_pytorch_does_not_write(self):
        weights = state_dict(a=View(Storage("Float", self.numbers), [24]))
        self.refuse(self.pth(weights, compression=zipfile.ZIP_DEFLATED), "is compressed")
        self.refuse(self.pth(weights, extra=[("byteorder", "big")]), "big endian")
        self.refuse(self.pth(weights, extra=[("code/data.pkl", "")]), "2 entries")
        self.convert(self.pth(weights, extra=[("byteorder", "little"), ("version", "3\n")]))
        os.unlink(self.out)
        with zipfile.ZipFile(self.path("other.zip"), "w") as archive:
            archive.writestr("readme", "text")
        self.refuse(self.path("other.zip"), "0 entries")
        self.refuse(self.path("old.pth", pickle.dumps({}, 2)), "before 1.6")
        self.refuse(self.path("text.pth", b"hello, world"), "none of")
        self.refuse(self.path("empty.pth", b""), "none of")
        self.refuse(self.path("not there.pth"), "No such file")
        self.refuse(self.scratch.name, "Is a directory")

    def test_truncated_and_flipped_archives(self):
        path = self.pth(state_dict(a=View(Storage("Float", self.numbers), [24])))
        with open(path, "rb") as file:
            whole = file.read()
        for n in (3, 4, 30, len(whole) // 2, len(whole) - 30, len(whole) - 1):
            self.refuse(self.path("weights.pth", whole[:n]))
        at = whole.index(struct.pack("<24f", *self.numbers)) + 50
        self.refuse(
            self.path("weights.pth", whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]),
            "damaged",
            "CRC",
        )


if __name__ == "__main__":
    unittest.main()
