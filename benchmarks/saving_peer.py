#!/usr/bin/env python3
"""What PyTorch and safetensors take to save and load a state: the peers of `tutti-bench checkpoint`, one after another.

    benchmarks/saving_peer.py --shapes checkpoint.json --directory /mnt/disk -n 2 --json peers.json      (needs torch and safetensors)

The tensors are those of the JSON of tutti-bench: each cut into as many flat pieces as there are processes, which save theirs side
by side. Times are of the slowest process, all beginning together. Before a load, what was saved is synced and dropped from
the page cache. benchmarks/versus_checkpoint.py runs it and Tutti by turns.
"""

import argparse
import json
import os
import pathlib
import shutil
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing
from safetensors.torch import load_file, save_file


def pieces(shapes, rank, ranks):
    """This process's part: of each tensor of the model and of AdamW's moments, elements of its own."""
    state = {}
    for role in ("model", "exp_avg", "exp_avg_sq"):
        for tensor in shapes:
            count = 1
            for size in tensor["shape"]:
                count *= size
            begin, end = count * rank // ranks, count * (rank + 1) // ranks
            state[f"{role}.{tensor['name']}.{rank}"] = torch.arange(begin, end, dtype=torch.float32)
    return state


def slowest(action):
    """Seconds, and what the action returned."""
    dist.barrier()
    begin = time.perf_counter()
    result = action()
    taken = torch.tensor([time.perf_counter() - begin], dtype=torch.float64)
    dist.all_reduce(taken, dist.ReduceOp.MAX)
    return taken.item(), result


def forget(path):
    """Syncs and drops from the page cache all files of `path`."""
    for file in path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def torch_save_and_sync(state, path):
    with open(path, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def whole(save, load, file):
    """One call that saves: the loop is held until it returns."""

    def measure(state, directory, rank):
        path = directory / f"{rank}.{file}"
        saved, _ = slowest(lambda: save(state, path))
        dist.barrier()
        if rank == 0:
            forget(directory)
        loaded, back = slowest(lambda: load(path))
        return {"stall_s": saved, "save_s": saved, "load_s": loaded}, back

    return measure


def distributed(state, directory, rank):
    """torch.distributed.checkpoint.async_save: held for the copy."""
    done = []

    def save():
        begin = time.perf_counter()
        future = dcp.async_save(state, checkpoint_id=str(directory))
        done.append(time.perf_counter() - begin)
        future.result()

    saved, _ = slowest(save)
    stall = torch.tensor(done, dtype=torch.float64)
    dist.all_reduce(stall, dist.ReduceOp.MAX)
    if rank == 0:
        forget(directory)
    back = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    loaded, _ = slowest(lambda: dcp.load(back, checkpoint_id=str(directory)))
    return {"stall_s": stall.item(), "save_s": saved, "load_s": loaded}, back


PEERS = {
    "torch.save": whole(torch.save, torch.load, "pt"),
    "torch.save and fsync": whole(torch_save_and_sync, torch.load, "pt"),
    "DCP async_save": distributed,
    "safetensors": whole(save_file, load_file, "safetensors"),
}


def worker(rank, given, directory):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{directory / 'store'}", rank=rank, world_size=given.ranks)
    with open(given.shapes) as file:
        state = pieces(json.load(file)["tensors"], rank, given.ranks)
    results = {}
    for name, measure in PEERS.items():
        place = directory / name.replace(" ", "-")
        if rank == 0:
            place.mkdir()
            sync(directory)
        dist.barrier()
        results[name], back = measure(state, place, rank)
        if any(not torch.equal(tensor, back[key]) for key, tensor in state.items()):
            raise SystemExit(f"{name}: what came back is not what was saved")
        del back
        dist.barrier()
        if rank == 0:
            shutil.rmtree(place)
    if rank == 0 and given.json:
        size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        with open(given.json, "w") as file:
            json.dump({"pytorch": torch.__version__, "bytes_of_rank_0": size, "peers": results}, file, indent=2)
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", required=True, help="JSON of tutti-bench checkpoint")
    parser.add_argument("--directory", default=".", help="on the disk that is meant")
    parser.add_argument("-n", "--ranks", type=int, default=2)
    parser.add_argument("--json", help="where the results go")
    given = parser.parse_args()
    directory = pathlib.Path(given.directory, f"saving-peer-{os.getpid()}")
    directory.mkdir()
    try:
        torch.multiprocessing.spawn(worker, (given, directory), given.ranks)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
