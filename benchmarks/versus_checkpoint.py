#!/usr/bin/env python3
"""tutti-bench checkpoint beside torch.save, torch.distributed.checkpoint and safetensors (saving_peer.py), by turns: the same
tensors, cut over the same number of processes.

    benchmarks/versus_checkpoint.py --bench build/release/benchmarks/tutti-bench --python venv/bin/python3 --directory /mnt/disk

A round is a run of each. Printed are medians over rounds, with the least and the most, how many times as long as Tutti each
takes, and what one has when a save has returned, which is not the same.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEER = pathlib.Path(__file__).resolve().parent / "saving_peer.py"

# As seen of the system calls, and after a bit was flipped, of PyTorch 2.15 and safetensors 0.8. "file", "names": whether what is in it, and that it is there, outlives a power cut.
GUARANTEES = {
    "tutti": "file: yes, names: yes, checksums: yes, all or nothing: yes",
    "torch.save": "file: no, names: no, checksums: no (CRC32 written, not checked), all or nothing: no",
    "torch.save and fsync": "file: yes, names: no, checksums: no (CRC32 written, not checked), all or nothing: no",
    "DCP async_save": "file: yes, names: no, checksums: no, all or nothing: by the rename of .metadata",
    "safetensors": "file: no, names: no, checksums: no, all or nothing: by a rename, but not in a power cut",
}


def run(command, result):
    done = subprocess.run([*command, "--json", result], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    with open(result) as file:
        return json.load(file)


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="tutti-bench, of a release build")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and safetensors")
    parser.add_argument("--directory", default=".", help="on the disk that is meant")
    parser.add_argument("--bytes", default="1000000000", help="of the state, over all processes")
    parser.add_argument("-n", "--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="also write all results to a file")
    given = parser.parse_args()

    where = ["-n", str(given.ranks), "--directory", given.directory]
    times = {}
    documents = []
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = os.path.join(directory, "tutti.json"), os.path.join(directory, "peers.json")
        for _ in range(given.rounds):
            document = run([given.bench, "checkpoint", *where, "--bytes", given.bytes, "--rounds", "1"], ours)
            peers = run([given.python, PEER, *where, "--shapes", ours], theirs)
            documents.append({"tutti": document, "peers": peers})
            seconds = {key: document["seconds"][key][0] for key in ("stall_s", "save_s", "load_s")}
            for name, one in {"tutti": seconds, **peers["peers"]}.items():
                for key, value in one.items():
                    times.setdefault(name, {}).setdefault(key, []).append(value)

    print(f"# Tutti {document['tutti']}, PyTorch {peers['pytorch']}: {document['state_bytes'] / 1e9:.3f} GB, {given.ranks} processes")
    print(f"# {given.rounds} rounds; seconds of the slowest process: medians (least to most), and how many times Tutti's")
    for title, key in (("held by a save", "stall_s"), ("save, until done", "save_s"), ("load", "load_s")):
        print(f"{title}:")
        for name, one in times.items():
            ratio = [theirs / ours for theirs, ours in zip(one[key], times["tutti"][key])]
            print(f"  {name:<22} {spread(one[key]):<28} {spread(ratio)}")
    print("what one has when it is done:")
    for name in times:
        print(f"  {name:<22} {GUARANTEES[name]}")
    if given.json:
        with open(given.json, "w") as file:
            json.dump(documents, file, indent=2)


if __name__ == "__main__":
    main()
