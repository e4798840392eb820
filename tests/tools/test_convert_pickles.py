#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pickles that would do something, and pickles that are broken."""

import os
import sys
import unittest

sys.dont_write_bytecode = True

from weight_case import Case, setUpModule  # noqa: E402,F401
from weight_samples import (  # noqa: E402
    state_dict,
    write_zip,
)


class Pickles(Case):
    def test_nothing_of_a_pickle_is_executed(self):
        mark = self.path("executed")
        for function, arguments in (
            (os.system, (f"touch {mark}",)),
            (eval, (f"open({mark!r}, 'w')",)),
            (exec, (f"open({mark!r}, 'w')",)),
            (open, (mark, "w")),
            (getattr, (os, "system")),
        ):

            class Evil:
                def __reduce__(
                    self,
                    call=(function, arguments if function is not getattr else ("os", "system")),
                ):
                    return call

            for value in (Evil(), {"state_dict": Evil()}, state_dict(a=Evil())):
                for protocol in (2, 4):
                    self.refuse(
                        self.pth(value, protocol=protocol),
                        "which is not executed",
                        function.__name__,
                    )
        by_hand = {
            b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\nNNtR.": "'copyreg._reconstructor'",
            b"cos\nsystem\n(X\x02\x00\x00\x00id" + b"tR.": "'os.system'",
            b"(S'id'\nios\nsystem\n.": "opcode 0x53",
            b"(ios\nsystem\n.": "opcode 0x69",
            b"\x82\x01.": "opcode 0x82",
            b"Pid\n.": "opcode 0x50",
            b")\x81.": "opcode 0x81",
            b"ctorch.storage\n_load_from_bytes\n.": "'torch.storage._load_from_bytes'",
        }
        for code, part in by_hand.items():
            path = self.path("weights.pth")
            write_zip(path, b"\x80\x02" + code, [])
            self.refuse(path, part)
        self.assertFalse(os.path.exists(mark))

    def test_broken_pickles(self):
        head = b"\x80\x02"
        cases = {
            b".": "empty stack",
            b"K": "within an opcode",
            b"t.": "lacks a mark",
            b"(.": "empty stack",
            b"NN.": "left over",
            b"}K\x01a.": "fills what is no list",
            b"h\x00.": "object 0",
            b"q\x00.": "not there",
            b"Na.": "fills what is no list",
            b"X\xff\xff\xff\xffa.": "within an opcode",
            b"\x8c\x01\xff.": "not UTF-8",
            b"}(Nu.": "without a value",
            b"}]Ns.": "a key of type list",
            b"NQ.": "no storage",
            b"N)R.": "no known function",
            b"N.": "not a dict",
            b"ccollections\nOrderedDict\nNb.": "fills what is no dict",
            b"}Nb.": "a NoneType",
            b"K\x01)R.": "no known function",
            b"ctorch\nFloatStorage\n)R.": "arguments that PyTorch does not write",
            b"\x80\x09.": "protocol 9",
            b"c" + b"a" * 1000: "does not end",
            b"}.": "(none)",
            b"NN\x93.": "without a name",
        }
        for code, part in cases.items():
            write_zip(self.path("weights.pth"), head + code, [])
            self.refuse(self.path("weights.pth"), part)


if __name__ == "__main__":
    unittest.main()
