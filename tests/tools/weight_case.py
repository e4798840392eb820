# SPDX-License-Identifier: MIT
"""What the tests of tools/convert_weights.py share: a scratch folder, runs that convert or refuse.

A refusal is exit 1 with one line, without an output and without a temporary file."""

import collections
import contextlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "tools", "convert_weights.py")
sys.path.insert(0, os.path.dirname(PROGRAM))

import convert_weights  # noqa: E402
from weight_samples import read_safetensors, write_pth  # noqa: E402

# Of every test; a header that claims more must not make the program allocate.
MEMORY_LIMIT = 1 << 29


def setUpModule():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    # A disk at work takes a second for each; that the program asks for them is a test of its own.
    patch = unittest.mock.patch("os.fsync")
    patch.start()
    unittest.addModuleCleanup(patch.stop)


Result = collections.namedtuple("Result", "returncode stdout stderr")


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.out = self.path("out.safetensors")

    def path(self, name, content=None):
        path = os.path.join(self.scratch.name, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def run_program(self, *arguments):
        """The main of the program, in this process: to start Python so often takes too long."""
        out, err = io.StringIO(), io.StringIO()
        before, sys.argv = sys.argv, [PROGRAM, *arguments]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = convert_weights.main()
        except SystemExit as end:  # argparse
            code = end.code
        finally:
            sys.argv = before
        return Result(code, out.getvalue(), err.getvalue())

    def run_apart(self, *arguments):
        return subprocess.run(
            [sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=120
        )

    def convert(self, path, *options):
        result = self.run_program(path, self.out, *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return read_safetensors(self.out)[0]

    def refuse(self, path, *parts, options=()):
        """Exit 1, one line that has the parts, no output and nothing temporary left."""
        result = self.run_program(path, self.out, *options)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for part in (os.path.basename(path), *parts):
            self.assertIn(part, result.stderr)
        self.assertEqual(
            [name for name in os.listdir(self.scratch.name) if "out.safetensors" in name], []
        )

    def pth(self, value, **options):
        path = self.path("weights.pth")
        write_pth(path, value, **options)
        return path
