#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random damage to files of every format, the same at each run."""

import io
import random
import sys
import unittest

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
import convert_weights  # noqa: E402
from weight_files import pickle_opcodes  # noqa: E402
from weight_files.tensor import WeightsError  # noqa: E402
from weight_samples import (  # noqa: E402
    Storage,
    View,
    make_pickle,
    make_safetensors,
    mxnet_array,
    mxnet_list,
    state_dict,
    write_zip,
)

FUZZ_SEED = 20220613


class Fuzz(Case):
    """Random damage: only the readers' own error may come out, and what is read can be written."""

    def read_all(self, content):
        try:
            tensors = convert_weights.read(io.BytesIO(content), len(content), None, "keep")
            convert_weights.check_names(tensors, len(content))
            for tensor in tensors:
                self.assertEqual(len(tensor.fetch()), tensor.n_bytes)
            return True
        except WeightsError as error:
            self.assertNotIn("\n", str(error))
            return False

    def damage(self, source, data):
        data = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 5))):
            at = source.randrange(len(data)) if data else 0
            what = source.randrange(5)
            if what == 0:
                data[at : at + 1] = bytes([source.randrange(256)])
            elif what == 1:
                data[at : at + 1] = bytes([data[at] ^ 1 << source.randrange(8)]) if data else b""
            elif what == 2:
                del data[at : at + source.randrange(1, 9)]
            elif what == 3:
                data[at:at] = source.randbytes(source.randrange(1, 9))
            else:
                data[at : at + 8] = source.choice(
                    (b"\xff" * 8, bytes(8), b"\x00" * 7 + b"\x80", b"\xff\xff\xff\x7f" + bytes(4))
                )
        return bytes(data)

    def fuzz(self, data, n, pack=bytes):
        """How many of n damaged copies, packed into a file, could still be read."""
        source = random.Random(FUZZ_SEED)
        n_read = 0
        for _ in range(n):
            damaged = self.damage(source, data)
            try:
                n_read += self.read_all(pack(damaged))
            except Exception:
                sys.stderr.write(f"damaged: {damaged.hex()}\n")
                raise
        self.assertLess(n_read, n)
        return n_read

    def test_pytorch(self):
        storage = Storage("Float", list(range(24)))
        weights = state_dict(
            a=View(storage, [2, 3, 4]),
            b=View(storage, [4, 6], [1, 4]),
            c=View(Storage("Char", [1, 2]), [2]),
        )
        code, storages = make_pickle({"epoch": 1, "state_dict": weights})

        def pack(pickled):
            file = io.BytesIO()
            write_zip(file, pickled, storages)
            return file.getvalue()

        # The pickle damaged behind a right checksum, then the archive itself.
        self.assertGreater(self.fuzz(code, 4000, pack), 0)
        self.fuzz(pack(code), 3000)

    def test_pickle_opcodes_at_random(self):
        source = random.Random(FUZZ_SEED)
        opcodes = b"".join(pickle_opcodes.OPCODES)
        for _ in range(20000):
            code = bytes(
                source.choice(opcodes) if source.random() < 0.8 else source.randrange(256)
                for _ in range(source.randrange(1, 40))
            )
            try:
                pickle_opcodes.load(b"\x80\x02" + code + b".")
            except WeightsError:
                pass

    def test_mxnet(self):
        arrays = [mxnet_array([2, 3], bytes(24), version) for version in range(4)] + [
            mxnet_array([5], bytes(5), 2, dtype=5)
        ]
        self.assertGreater(
            self.fuzz(mxnet_list(arrays, ["arg:a", "arg:b", "aux:c", "arg:d", "e"]), 20000), 0
        )

    def test_safetensors(self):
        header = {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
        }
        self.assertGreater(self.fuzz(make_safetensors(header, bytes(32)), 10000), 0)


if __name__ == "__main__":
    unittest.main()
