#!/usr/bin/env python3
"""Operations of `tutti-bench ops --device cuda` beside PyTorch's, eager and by torch.compile, by turns on one GPU.

    benchmarks/versus_torch_ops.py --bench build/release/benchmarks/tutti-bench --dtype bf16

A round is a run of tutti-bench with one round, and then of PyTorch; printed are the medians over rounds, what share of the
measured copy bandwidth Tutti's time is at the fewest bytes, and how many times as fast Tutti is as the best of PyTorch's.
Attention is measured as PyTorch chooses, and by cuDNN.
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


def seconds_of(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    begin = time.monotonic()
    call()
    torch.cuda.synchronize()
    times = max(1, int(2e-3 / (time.monotonic() - begin)))
    begin = time.monotonic()
    for _ in range(times):
        call()
    torch.cuda.synchronize()
    return (time.monotonic() - begin) / times


def function_of(name):
    """The operation that `name` begins with, and the shapes of its operands."""
    sizes = [int(n) for n in re.findall(r"\d+", name)]
    rows = lambda: [(sizes[0], sizes[1])]
    many = lambda: [(sizes[0] << 20,)]
    if name.startswith("layer_norm"):
        return lambda x, w, b: F.layer_norm(x, w.shape, w, b), rows() + [(sizes[1],)] * 2
    if name.startswith("add_layer_norm"):
        return lambda x, r, w, b: (total := x + r, F.layer_norm(total, w.shape, w, b)), rows() * 2 + [(sizes[1],)] * 2
    if name.startswith("rms_norm"):
        return lambda x, w: F.rms_norm(x, w.shape, w, 1e-5), rows() + [(sizes[1],)]
    if name.startswith("softmax"):
        return lambda x: F.softmax(x, -1), rows()
    if name.startswith("cross_entropy"):
        targets = torch.randint(sizes[1], (sizes[0],), device="cuda")
        return lambda x: F.cross_entropy(x, targets), rows()
    if name.startswith("embedding"):
        tokens = torch.randint(sizes[1], (sizes[0],), device="cuda")
        return lambda w: F.embedding(tokens, w), [(sizes[1], sizes[2])]
    if name.startswith("sum of columns"):
        return lambda x: x.sum(0), rows()
    if name.startswith("sum"):
        return lambda x: x.sum(), rows()
    if re.match(r"add \d+ M", name):
        return lambda x, y: x + y, many() * 2
    if name.startswith("gelu (tanh)"):
        return lambda x: F.gelu(x, approximate="tanh"), many()
    if name.startswith("gelu (erf)"):
        return lambda x: F.gelu(x), many()
    if name.startswith("silu"):
        return lambda x: F.silu(x), many()
    if name.startswith("attention"):
        batch, heads, width, tokens = sizes
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [(batch, heads, tokens, width)] * 3
    if name.startswith("conv2d"):
        n, channels, side, out = sizes[3], sizes[4], sizes[5], sizes[-1]
        return lambda x, w: F.conv2d(x, w, padding=1), [(n, channels, side, side), (out, channels, 3, 3)]
    if name.startswith("max_pool2d"):
        return lambda x: F.max_pool2d(x, 2), [tuple(sizes[3:])]
    if name.startswith("matmul"):
        m, n, k = sizes
        first, second = ((k, m), (m, k))["weight" not in name], ((n, k), (k, n))["forward" not in name]
        turn = lambda x, shape, wanted: x if shape == wanted else x.T
        return lambda a, b: turn(a, first, (m, k)) @ turn(b, second, (k, n)), [first, second]
    return None


def adamw(name, dtype, compiled):
    """PyTorch's fused AdamW; of 16-bit parameters on f32 copies, which are then rounded."""
    count = int(re.findall(r"\d+", name)[0]) << 20
    master = torch.randn(count, device="cuda")
    narrow = master.to(dtype) if dtype.itemsize == 2 else None
    grad = torch.randn(count, device="cuda", dtype=dtype)
    optimizer = torch.optim.AdamW([master], fused=True)

    def step():
        master.grad = grad.float() if narrow is not None else grad
        optimizer.step()
        if narrow is not None:
            narrow.copy_(master)

    return None if compiled else step


def call_of(name, dtype, compiled):
    if name.startswith("AdamW"):
        return adamw(name, dtype, compiled)
    found = function_of(name)
    if not found:
        return None
    f, shapes = found
    f = torch.compile(f) if compiled else f
    grad = name.endswith("gradients too")
    x = [torch.randn(shape, device="cuda", dtype=dtype, requires_grad=grad) for shape in shapes]
    if not grad:
        return lambda: f(*x)
    results = f(*x)
    g = [torch.full_like(y, 0.5) for y in (results if isinstance(results, tuple) else (results,))]

    def both():
        for one in x:
            one.grad = None
        torch.autograd.backward(f(*x), g)

    return both


def kinds_of(name, dtype):
    if name.startswith("attention"):
        return ("eager", "cudnn") if dtype.itemsize == 2 else ("eager",)
    return ("eager",) if name.startswith("matmul") else ("eager", "compiled")  # one call of a library


def peer_seconds(name, dtype, kind):
    """None of what PyTorch has not."""
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION) if kind == "cudnn" else contextlib.nullcontext():
        call = call_of(name, dtype, kind == "compiled")
        return seconds_of(call) if call else None


def ours(given):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [given.bench, "ops", "--device", "cuda", "--dtype", given.dtype, "--rounds", "1", "--json", file.name]
        subprocess.run([*command, "--filter", given.filter], check=True, stdout=subprocess.DEVNULL)
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help="tutti-bench, of a release build with CUDA")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--filter", default="", help="operations with this in their name")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[given.dtype]

    times, peers, bytes_of, copies = {}, {}, {}, []
    for _ in range(given.rounds):
        document = ours(given)
        copies.append(document["copy_bytes_per_s"])
        for row in document["rows"]:
            name = row["name"]
            times.setdefault(name, []).append(row["us"])
            bytes_of[name] = row["bytes"]
            print(f"{name}: {row['us']:.1f} us", end="", file=sys.stderr)
            for kind in kinds_of(name, dtype):
                if seconds := peer_seconds(name, dtype, kind):
                    peers.setdefault(name, {}).setdefault(kind, []).append(seconds * 1e6)
                    print(f", {kind} {seconds * 1e6:.1f}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            torch._dynamo.reset()
            torch.cuda.empty_cache()

    copy = statistics.median(copies)
    print(f"# Tutti {document['tutti']}, PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, {given.dtype}")
    print(f"# copying moves {copy / 1e9:.0f} GB/s, read and written; medians of {given.rounds} rounds, in us")
    kinds = ("eager", "compiled", "cudnn")
    print(f"{'':<58}{'tutti':>10}{'of copy':>9}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'ratio':>8}")
    for name, values in times.items():
        mine = statistics.median(values)
        share = f"{bytes_of[name] / copy / mine * 1e8:.0f} %" if bytes_of[name] else ""
        theirs = {kind: statistics.median(values) for kind, values in peers.get(name, {}).items()}
        cells = "".join(f"{theirs[kind]:>10.1f}" if kind in theirs else f"{'':>10}" for kind in kinds)
        ratio = f"{min(theirs.values()) / mine:>8.2f}" if theirs else ""
        print(f"{name:<58}{mine:>10.1f}{share:>9}{cells}{ratio}")


if __name__ == "__main__":
    main()
