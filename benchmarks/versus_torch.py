#!/usr/bin/env python3
"""Training steps of tutti-bench beside PyTorch's (torch_train.py), by turns: the same model, weights, data and threads.

    benchmarks/versus_torch.py --bench build/release/benchmarks/tutti-bench --python venv/bin/python3 --model gpt --threads 2

A round is a run of each, of --steps steps after --warmup; its figure is the median of its steps. Printed are the medians
over rounds, with the least and the most, and how many times faster Tutti is. PyTorch runs as installed; with memory that is
kept by malloc ("kept"), which spares it page faults; so for images with channels last; and with --compile by torch.compile.
All begin from the same file, so their losses have to agree. On a GPU (--device cuda) PyTorch runs as it is, in a CUDA graph
with --graph (as Tutti then does too), and by torch.compile; peak MB is of the GPU's memory. With --text each step has other
bytes of a file, and printed is how far the losses of a step are from PyTorch's, the mean over all steps.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

from versus_ddp import check_losses, run, spread

PEER = pathlib.Path(__file__).resolve().parent / "torch_train.py"
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(32 << 30), "MALLOC_TOP_PAD_": str(256 << 20)}


def contestants(given, options, begin):
    threads = {name: str(given.threads) for name in ("TUTTI_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    peer = [given.python, PEER, *options, "--threads", str(given.threads), "--load", begin]
    graph = ["--graph"] if given.graph else []
    yield "tutti", [given.bench, "train", "-n", "1", *options, *graph, "--save", begin], threads
    yield "pytorch", peer, threads
    if given.device != "cpu":
        if given.graph:
            yield "pytorch graph", [*peer, *graph], threads
        if given.compile:
            yield "pytorch compiled", [*peer, "--compile"], threads
        return
    yield "pytorch kept", peer, threads | KEPT
    if given.model in ("cnn", "lenet", "resnet20"):
        yield "pytorch channels last", [*peer, "--channels-last"], threads | KEPT
    if given.compile:
        yield "pytorch compiled", [*peer, "--compile"], threads | KEPT


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="tutti-bench, of a release build")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and safetensors")
    parser.add_argument("--model", default="gpt", choices=["gpt", "mlp", "cnn", "lenet", "resnet20"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--graph", action="store_true", help="on a GPU, steps captured in a graph")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--text", help="train a GPT on the bytes of this file")
    parser.add_argument("--json", help="also write all results to a file")
    shape = {"steps": 20, "warmup": 5, "micro-batch": 0, "layers": 6, "width": 384, "heads": 6, "context": 256}
    shape |= {"vocabulary": 256}
    for name, value in shape.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    given.micro_batch = given.micro_batch or {"gpt": 4, "cnn": 64}.get(given.model, 128)
    options = [text for name in shape for text in (f"--{name}", str(getattr(given, name.replace("-", "_"))))]
    options += ["--model", given.model, "--device", given.device, "--dtype", given.dtype]
    options += ["--text", given.text] if given.text else []

    with tempfile.TemporaryDirectory() as directory:
        begin = os.path.join(directory, "begin.safetensors")
        entries = list(contestants(given, options, begin))
        documents = {name: [] for name, _, _ in entries}
        for _ in range(given.rounds):
            for name, command, environment in entries:
                documents[name].append(run(command, directory, environment))

    ours, theirs = documents["tutti"][0], documents["pytorch"][0]
    print(f"# Tutti {ours['tutti']}, PyTorch {theirs['pytorch']}: {given.model} of {ours['parameters']} parameters")
    print(f"# {given.threads} threads, batch {given.micro_batch}, {given.rounds} rounds of {given.steps} steps; medians (least to most)")
    times = {name: [one["rows"][0]["step_ms"] for one in runs] for name, runs in documents.items()}
    for name, values in times.items():
        gpu = given.device != "cpu" and name == "tutti"
        peak = max(sum(one["peak_tensor_bytes"].values()) if gpu else max(one["peak_rss_bytes"]) for one in documents[name]) / 1e6
        faster = [theirs / ours for ours, theirs in zip(times["tutti"], values)]
        ratio = "" if name == "tutti" else f"  tutti is {spread(faster, 2)} times as fast"
        print(f"{name:<22} ms: {spread(values, 2):<26} peak MB: {peak:<6.0f}{ratio}")
    if given.json:
        with open(given.json, "w") as file:
            json.dump(documents, file, indent=2)
    if not given.text:
        return check_losses(documents)
    losses = {name: runs[-1]["rows"][0]["losses"] for name, runs in documents.items()}
    for name, values in losses.items():
        apart = statistics.mean(abs(x - y) for x, y in zip(values, losses["pytorch"]))
        print(f"{name:<22} loss: {values[0]:.4f} at first, {statistics.mean(values[-10:]):.4f} in the last 10, {apart:.4f} from pytorch's")


if __name__ == "__main__":
    main()
