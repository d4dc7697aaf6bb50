#!/usr/bin/env python3
"""tutti-bench train beside PyTorch's DistributedDataParallel (ddp.py), by turns: the same GPT, the same weights and data.

    benchmarks/versus_ddp.py --bench build/release/benchmarks/tutti-bench --python venv/bin/python3 [-n 2] [--rounds 5]

A round is a run of each, of --steps steps after --warmup; its figure is the median of its steps. Printed are the medians
over rounds, with the least and the most, and how many times faster Tutti is. "plain" is PyTorch without the options of its
own that make it faster here. All begin from the same file, so their losses have to agree.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

DDP = pathlib.Path(__file__).resolve().parent / "ddp.py"
ONE_THREAD = {name: "1" for name in ("TUTTI_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def run(command, directory, environment):
    result = os.path.join(directory, "result.json")
    environment = os.environ | environment
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # they make OpenBLAS pick slow kernels
        environment.pop(name, None)
    done = subprocess.run([*command, "--json", result], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    with open(result) as file:
        return json.load(file)


def spread(values, digits=0):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def check_losses(documents):
    """Whether all trained the same model. Sums in another order come apart with the steps, so a little is granted."""
    for which in ("first_loss", "last_loss"):
        losses = {name: runs[-1]["rows"][0][which] for name, runs in documents.items()}
        print(f"# {which.replace('_', ' ')}: " + ", ".join(f"{name} {loss:.6f}" for name, loss in losses.items()))
        if max(losses.values()) > min(losses.values()) * 1.01:
            raise SystemExit("the losses differ: these are not the same model")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="tutti-bench, of a release build")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and safetensors")
    parser.add_argument("--backend", default="shm", help="of Tutti")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="also write all results to a file")
    shape = {"ranks": 2, "steps": 10, "warmup": 3, "micro-batch": 4}
    shape |= {"layers": 6, "width": 384, "heads": 6, "context": 256, "vocabulary": 65}
    for name, value in shape.items():
        parser.add_argument(*(["-n"] if name == "ranks" else []), f"--{name}", type=int, default=value)
    given = parser.parse_args()
    options = [text for name in shape for text in (f"--{name}", str(getattr(given, name.replace("-", "_"))))]

    ours = ["--backend", given.backend, "--logical-ranks", str(given.ranks)]  # one micro-batch on each rank

    with tempfile.TemporaryDirectory() as directory:
        begin = os.path.join(directory, "begin.safetensors")
        commands = {
            "tutti": [given.bench, "train", *options, *ours, "--save", begin],
            "pytorch": [given.python, DDP, *options, "--load", begin],
            "pytorch plain": [given.python, DDP, *options, "--load", begin, "--plain"],
        }
        documents = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, command in commands.items():
                documents[name].append(run(command, directory, ONE_THREAD))

    ours, theirs = documents["tutti"][0], documents["pytorch"][0]
    batch = f"micro-batches of {given.micro_batch} x {given.context} tokens"
    print(f"# Tutti {ours['tutti']} over {ours['backend']}, PyTorch {theirs['pytorch']} over Gloo, on the CPU")
    print(f"# {given.ranks} ranks of one thread, {ours['parameters']} parameters, {batch}")
    print(f"# {given.rounds} rounds of {given.steps} steps; medians (least to most)")
    check_losses(documents)
    rates = {name: [one["rows"][0]["units_per_s"] for one in runs] for name, runs in documents.items()}
    for name, values in rates.items():
        peak = max(max(one["peak_rss_bytes"]) for one in documents[name]) / 1e6
        print(f"{name:<14} tokens/s: {spread(values):<24} peak MB of a rank: {peak:.0f}")
    for name in ("pytorch", "pytorch plain"):
        of_medians = statistics.median(rates["tutti"]) / statistics.median(rates[name])
        by_round = spread([ours / theirs for ours, theirs in zip(rates["tutti"], rates[name])], 3)
        print(f"tutti / {name}: {of_medians:.3f}; by round {by_round}")
    if given.json:
        with open(given.json, "w") as file:
            json.dump(documents, file, indent=2)


if __name__ == "__main__":
    main()
