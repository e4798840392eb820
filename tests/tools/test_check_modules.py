# SPDX-License-Identifier: MIT
"""tools/check-modules itself: what it must find is planted in a small tree of sources and found by it."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-modules"
DRAWING = "```mermaid\ngraph TD\n    top --> low & side\n    side --> low\n```\n"

# Module top uses side and low; all that low does is to be called.
SOUND = {
    "src/low/low.h": "int low(void);\n",
    "src/low/low.c": '#include "low/low.h"\nint low(void) { return 1; }\n',
    "src/side/side.h": "int side(void);\n",
    "src/side/side.c": '#include "side/side.h"\n#include "low/low.h"\nint side(void) { return low() + 1; }\n',
    "src/top/top.c": '#include "side/side.h"\n#include "low/low.h"\nint top(void) { return side() + low(); }\n',
}


class CheckModules(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def check(self, sources, drawing=DRAWING, compiled=True):
        """(exit code, what the check says) of SOUND with these sources added or replaced."""
        arguments = [sys.executable, CHECK, "--root", self.root]
        objects = []
        (self.root / "CONTRIBUTING.md").write_text(drawing)
        for name, text in {**SOUND, **sources}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if compiled and name.endswith(".c"):
                objects.append(f"{self.root}/plain.dir/{name}.o")
                pathlib.Path(objects[-1]).parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cc", f"-I{self.root}/src", "-c", path, "-o", objects[-1]], check=True)
        if compiled:
            (self.root / "objects").write_text("\n".join(objects))
            arguments.append(self.root / "objects")
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr

    def test_sound(self):
        for compiled in (False, True):
            code, text = self.check({}, compiled=compiled)
            self.assertEqual(code, 0, text)
        self.assertIn("3 modules, 5 files, 3 pairs", text)

    def test_missing_objects(self):
        self.check({})
        (self.root / "objects").write_text("")
        result = subprocess.run([sys.executable, CHECK, "--root", self.root, self.root / "objects"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no object is named for src/low/low.c", result.stderr)

    def test_call_upwards(self):
        """Declared by hand, so that no #include shows it."""
        code, text = self.check({"src/low/low.c": "int side(void);\nint low(void) { return side(); }\n"})
        self.assertEqual(code, 1)
        self.assertIn("src/low/low.c calls side of src/side/side.c, and no arrow leads from low to side", text)

    def test_include_upwards(self):
        code, text = self.check({"src/low/low.h": '#include "side/side.h"\n'}, compiled=False)
        self.assertEqual(code, 1)
        self.assertIn("src/low/low.h includes a header of side, and no arrow leads from low to side", text)

    def test_circle_of_files(self):
        sources = {
            "src/low/low.c": "int second(void);\nint low(void) { return second(); }\n",
            "src/low/second.c": "int third(void);\nint second(void) { return third(); }\n",
            "src/low/third.c": "int low(void);\nint third(void) { return low(); }\n",
        }
        code, text = self.check(sources)
        self.assertEqual(code, 1)
        self.assertIn("files that call each other in a circle", text)
        self.assertIn("src/low/third.c calls low of src/low/low.c", text)

    def test_a_table_is_no_call(self):
        sources = {
            "src/low/low.c": "int second(void);\nint (*const table[])(void) = {second};\nint low(void) { return 1; }\n",
            "src/low/second.c": "int low(void);\nint second(void) { return low(); }\n",
        }
        code, text = self.check(sources)
        self.assertEqual(code, 0, text)

    def test_drawing(self):
        for planted, message in (
            ("    low --> side\n", "the arrows of CONTRIBUTING.md lead in a circle: low, side"),
            ("    low --> lower\n", "draws lower, which is no module"),
            ("    low -> side\n", '"low -> side" is no arrow'),
        ):
            code, text = self.check({}, DRAWING[:-4] + planted + "```\n")
            self.assertEqual(code, 1)
            self.assertIn(message, text)
        code, text = self.check({"src/new/new.c": "int fresh(void) { return 1; }\n"})
        self.assertIn("module new is not drawn", text)

    def test_named_files(self):
        code, text = self.check({}, DRAWING + "`low/low.c` and `side/gone.c`\n", compiled=False)
        self.assertEqual(code, 1)
        self.assertIn("CONTRIBUTING.md names side/gone.c, which is not there", text)
        self.assertNotIn("low/low.c,", text)

    def test_idle_arrow(self):
        top = '#include "low/low.h"\nint top(void) { return low(); }\n'
        code, text = self.check({"src/top/top.c": top})
        self.assertEqual(code, 1)
        self.assertIn("nothing of top uses side", text)


if __name__ == "__main__":
    unittest.main()
