#!/usr/bin/env python3
"""The smallest operation, x + y of 16 numbers, in Tutti and in PyTorch's C++ interface, by turns on one thread.

    benchmarks/versus_torch_add.py --bench build/release/benchmarks/tutti-bench --python venv/bin/python3

Compiles torch/add.cpp with the headers and libraries of that Python's PyTorch. Printed are the medians over rounds, with
the least and the most, and how many times as fast Tutti is.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from versus_ddp import run, spread

PEER = pathlib.Path(__file__).resolve().parent / "torch" / "add.cpp"
FIND = "import torch, torch.utils.cpp_extension as e; print(*e.include_paths(), e.library_paths()[0], sep='\\n')"


def build(python, directory):
    *headers, libraries = subprocess.check_output([python, "-c", FIND], text=True).split()
    program = os.path.join(directory, "add")
    command = ["g++", "-std=c++20", "-O2", PEER, "-o", program, *(f"-I{path}" for path in headers)]
    command += [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10"]
    subprocess.run(command, check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="tutti-bench, of a release build")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    ours, theirs = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        program = build(given.python, directory)
        for _ in range(given.rounds):
            command = [given.bench, "ops", "--filter", "add of 16", "--rounds", "25"]
            for row in run(command, directory, {"TUTTI_THREADS": "1"})["rows"]:
                ours.setdefault(row["name"], []).append(row["us"])
            peer = json.loads(subprocess.check_output([program, "25"], text=True))
            for name in ours:
                theirs.setdefault(name, []).append(peer[name])
    print(f"# PyTorch {peer['torch']}; one thread, {given.rounds} rounds; medians (least to most)")
    for name in ours:
        ratios = [b / a for a, b in zip(ours[name], theirs[name])]
        print(f"{name}: tutti {spread(ours[name], 2)} us, pytorch {spread(theirs[name], 2)} us, {spread(ratios, 1)} times as fast")


if __name__ == "__main__":
    main()
