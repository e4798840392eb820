#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The program itself: its options, and that a file is written whole or not at all."""

import collections
import os
import struct
import sys
import unittest

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
from weight_samples import (  # noqa: E402
    Storage,
    View,
    read_safetensors,
    state_dict,
    write_pth,
)


class Options(Case):
    numbers = list(range(24))

    def test_renaming_and_dropping(self):
        def one(value):
            return View(Storage("Float", [value]), [1])

        path = self.pth(state_dict(conv__weight=one(1), conv__bias=one(2), fc__weight=one(3)))
        found = self.convert(
            path,
            "--drop",
            "fc.",
            "--rename",
            "conv.bias=shift",
            "--rename",
            "conv.=b1.",
            "--rename",
            "=net.",
        )
        self.assertEqual(
            {name: entry[2] for name, entry in found.items()},
            {"net.b1.weight": [1], "net.shift": [2]},
        )
        os.unlink(self.out)
        self.refuse(path, "no tensor 'fc' to drop", options=["--drop", "fc"])
        self.refuse(path, "no tensor 'x' to rename", options=["--rename", "x=y"])
        self.refuse(
            path, "two tensors named 'conv.bias'", options=["--rename", "conv.weight=conv.bias"]
        )
        self.refuse(path, "no tensors to write", options=["--drop", ""])

    def test_list_prints_names_types_and_shapes(self):
        path = self.pth(
            state_dict(
                a__weight=View(Storage("Half", self.numbers), [2, 3, 4]),
                n=View(Storage("Long", [1]), []),
            )
        )
        result = self.run_program("--list", path)
        self.assertEqual(
            (result.returncode, result.stdout), (0, "a.weight  F16  [2, 3, 4]\nn  I64  []\n")
        )
        self.assertEqual(self.run_program(path).returncode, 2)
        self.assertEqual(self.run_program(path, "out.npz").returncode, 2)
        self.assertIn("--rename", self.run_program("--help").stdout)

    def test_the_program_by_itself(self):
        path = self.pth(state_dict(a=View(Storage("Float", self.numbers), [24])))
        result = self.run_apart(path, self.out)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(read_safetensors(self.out)[0]["a"][2], self.numbers)
        result = self.run_apart(self.path("x.pth", b"PK\x03\x04"), self.out)
        self.assertEqual((result.returncode, result.stdout, result.stderr.count("\n")), (1, "", 1))


class Writing(Case):
    def test_an_old_output_stays_when_writing_fails(self):
        path = self.path("x.pth")
        write_pth(path, collections.OrderedDict(a=View(Storage("Float", [1, 2]), [2])))
        os.fsync.reset_mock()
        self.convert(path)
        self.assertEqual(
            os.fsync.call_count, 2
        )  # of the file, and of the folder that has its new name
        with open(self.out, "rb") as file:
            before = file.read()
        with open(path, "rb") as file:
            whole = file.read()
        at = whole.index(struct.pack("<2f", 1, 2))
        damaged = self.path("damaged.pth", whole[:at] + b"\x01" + whole[at + 1 :])
        result = self.run_program(damaged, self.out)
        self.assertEqual(result.returncode, 1)
        with open(self.out, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(
            sorted(os.listdir(self.scratch.name)), ["damaged.pth", "out.safetensors", "x.pth"]
        )
        self.assertEqual(
            self.run_program(path, self.path("no/such/folder.safetensors")).returncode, 1
        )
        self.convert(path)
        with open(self.out, "rb") as file:
            self.assertEqual(file.read(), before)


if __name__ == "__main__":
    unittest.main()
