# SPDX-License-Identifier: MIT
"""Trains small U-Nets by the command line on a few of the bundled radiographs."""

import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data", "Dataset101_JSRT")
SIZE, WIDTH, N_CATEGORIES = 64, 4, 4

CONFIG = f"""data: {{root: ROOT, size: [{SIZE}, {SIZE}]}}
model: {{name: unet, width: {WIDTH}}}
train: {{epochs: 1, batch: 4, optimizer: {{lr: 0.01, momentum: 0.9}}}}
loss: {{form: plain, scales: [1.0], lambda: 0.0}}
correction: {{enabled: false}}
"""


def write_data(root):
    """Eight radiographs to train on and two to validate with."""
    names = sorted(
        name.removesuffix(".png") for name in os.listdir(os.path.join(DATA, "labelsTr"))
    )[:10]
    for folder, ending in (("imagesTr", "_0000.png"), ("labelsTr", ".png")):
        os.makedirs(os.path.join(root, folder))
        for name in names:
            shutil.copy(os.path.join(DATA, folder, name + ending), os.path.join(root, folder))
    with open(os.path.join(DATA, "dataset.json"), encoding="utf-8") as file:
        about = json.load(file)
    about["numTraining"] = len(names)
    for name, content in (
        ("dataset.json", about),
        ("splits_final.json", [{"train": names[:8], "val": names[8:]}]),
    ):
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            json.dump(content, file)


class Training:
    def __init__(self, program, scratch):
        self.program, self.scratch = program, scratch
        self.data = os.path.join(scratch, "data")
        write_data(self.data)
        self.config = os.path.join(scratch, "config.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.replace("ROOT", self.data))

    def run(self, *arguments):
        environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, timeout=300, env=environment
        )

    def train(self, name, *sets):
        """The process's result and the run's folder."""
        run = os.path.join(self.scratch, name)
        options = [option for value in sets for option in ("--set", value)]
        return self.run("train", self.config, "--device", "cpu", "--run", run, *options), run


def checkpoint(run):
    return os.path.join(run, "checkpoints", "last.safetensors")


def loss(run):
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
        return json.loads(file.readline())["train/loss"]
