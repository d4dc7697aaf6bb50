#!/usr/bin/env python3
"""PyTorch's DistributedDataParallel over Gloo, on CPUs: what `tutti-bench train --model gpt` does, by its peer.

    benchmarks/ddp.py -n 2 --micro-batch 4 --steps 20 --json ddp.json         (needs torch; safetensors for --load)

The model is nanoGPT's, with GPT-2's approximate GELU, trained by AdamW; each rank is a process of one thread. A step is
timed as there: from when the last rank begins it to when the last one ends it. benchmarks/versus_ddp.py runs both by turns.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn as nn

from torch_models import Gpt


def start(a, rank):
    """The model and the micro-batch of `rank`: those of a file, or random ones."""
    torch.manual_seed(1)
    model = Gpt(a)
    if a.load:
        from safetensors.torch import load_file

        state = load_file(a.load)
        tokens, targets = state[f"inputs.{rank}"], state[f"targets.{rank}"]
        model.load_state_dict({name: x for name, x in state.items() if not name.startswith(("inputs.", "targets."))})
    else:
        text = torch.randint(a.vocabulary, (a.ranks, a.micro_batch, a.context + 1))[rank]
        tokens, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()
    return model, tokens, targets


def train(rank, a, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=a.ranks)
    model, tokens, targets = start(a, rank)
    parameters = sum(x.numel() for x in model.parameters())
    faster = {} if a.plain else {"gradient_as_bucket_view": True, "static_graph": True}
    parallel = nn.parallel.DistributedDataParallel(model, **faster)
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, weight_decay=0.1, fused=None if a.plain else True)

    times, losses = [], []
    for _ in range(a.warmup + a.steps):
        dist.barrier()
        begin = time.monotonic()
        loss = parallel(tokens, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append((begin, time.monotonic()))
        losses.append(loss.detach())

    def of_all_ranks(values):
        parts = [torch.empty_like(values) for _ in range(a.ranks)]
        dist.all_gather(parts, values)
        return torch.stack(parts)

    begin, end = of_all_ranks(torch.tensor(times[a.warmup :], dtype=torch.float64)).amax(0).unbind(1)
    loss = of_all_ranks(torch.stack(losses).double()).mean(0)
    peak = of_all_ranks(torch.tensor([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024])).flatten()
    if rank == 0:
        report(a, parameters, (end - begin).tolist(), loss, peak.tolist())
    dist.destroy_process_group()


def report(a, parameters, seconds, loss, peak):
    units = a.ranks * a.micro_batch * a.context
    rate = [units / s for s in seconds]
    middle, least, most = statistics.median(seconds) * 1e3, min(seconds) * 1e3, max(seconds) * 1e3
    print(f"# PyTorch {torch.__version__}, DistributedDataParallel over Gloo, CPU: {a.ranks} ranks of one thread")
    print(f"# gpt of {parameters} parameters, micro-batches of {a.micro_batch} x {a.context} tokens; median (least to most)")
    print(f"step: {middle:.1f} ms ({least:.1f} to {most:.1f})")
    print(f"tokens/s: {statistics.median(rate):.0f} ({min(rate):.0f} to {max(rate):.0f})")
    print(f"loss: {loss[0]:.6f} at first, {loss[-1]:.6f} at last")
    print("peak MB of each rank:", *(f"{x / 1e6:.1f}" for x in peak))
    if a.json:
        row = {"first_loss": loss[0].item(), "last_loss": loss[-1].item()}
        row |= {"step_ms": middle, "units_per_s": statistics.median(rate)}
        document = {"pytorch": torch.__version__, "ranks": a.ranks, "plain": a.plain, "parameters": parameters}
        with open(a.json, "w") as file:
            json.dump(document | {"rows": [row], "peak_rss_bytes": peak}, file, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--ranks", type=int, default=2)
    for name, value in {"micro-batch": 4, "steps": 20, "warmup": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, value in {"layers": 6, "width": 384, "heads": 6, "context": 256, "vocabulary": 65}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=3e-4)
    without = "without gradient_as_bucket_view, static_graph and the fused AdamW"
    parser.add_argument("--plain", action="store_true", help=without)
    parser.add_argument("--load", help="begin from what tutti-bench train wrote by --save")
    parser.add_argument("--json", help="also write the result to a file")
    a = parser.parse_args()
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as directory:
        torch.multiprocessing.spawn(train, (a, os.path.join(directory, "store")), nprocs=a.ranks)


if __name__ == "__main__":
    main()
