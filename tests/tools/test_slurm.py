# SPDX-License-Identifier: MIT
"""tools/slurm.sh with programs in the places of Slurm's that write down how they were called."""
import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "slurm.sh"
SRUN = "--mpi=pmix --kill-on-bad-exit=1 adele train c.yaml --run {run}"


class Slurm(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.run_folder = self.root / "run"
        for name, code in (("srun", "${CODE}"), ("scontrol", "0")):
            program = self.root / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >> {self.root}/calls\nexit {code}\n')
            program.chmod(0o755)

    def job(self, *options, code=0, arguments=None, job="7"):
        """(exit code, calls of Slurm's programs) of a job whose training ends with `code`."""
        environment = {**os.environ, "PATH": f"{self.root}:{os.environ['PATH']}", "CODE": str(code)}
        environment.pop("SLURM_JOB_ID", None)
        if job:
            environment["SLURM_JOB_ID"] = job
        arguments = ["c.yaml", self.run_folder, *options] if arguments is None else arguments
        result = subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True)
        calls = self.root / "calls"
        return result.returncode, calls.read_text().splitlines() if calls.exists() else []

    def srun(self, rest=""):
        return "srun " + SRUN.format(run=self.run_folder) + rest

    def test_a_new_run(self):
        self.assertEqual(self.job("--set", "train.parts=8"), (0, [self.srun(" --set train.parts=8")]))

    def test_a_run_goes_on(self):
        (self.run_folder / "checkpoints").mkdir(parents=True)
        (self.run_folder / "checkpoints" / "last.safetensors").touch()
        self.assertEqual(self.job("--device", "cuda"), (0, [self.srun(" --resume --device cuda")]))

    def test_only_an_interrupted_job_goes_back_into_the_queue(self):
        self.assertEqual(self.job(code=1), (1, [self.srun()]))
        self.assertEqual(self.job(code=130), (130, [self.srun(), self.srun(), "scontrol requeue 7"]))

    def test_wrong_use(self):
        self.assertEqual(self.job(arguments=["c.yaml"]), (2, []))
        self.assertEqual(self.job(job=None), (2, []))


if __name__ == "__main__":
    unittest.main()
