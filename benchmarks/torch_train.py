#!/usr/bin/env python3
"""Whole training steps in PyTorch, in one process: what `tutti-bench train -n 1` does, by its peer.

    benchmarks/torch_train.py --model gpt --threads 2 --steps 20 --json torch.json      (needs torch, safetensors for --load)

AdamW is the fused one; with 16 bits, forward and backward run under autocast on f32 parameters, as nanoGPT trains. With
--graph a step is captured and replayed. benchmarks/versus_torch.py runs both by turns.
"""

import argparse
import json
import resource
import statistics
import time

import torch

from torch_models import make


def start(a):
    torch.manual_seed(1)
    model = make(a)
    if a.load:
        from safetensors.torch import load_file

        state = load_file(a.load)
        inputs, targets = state.pop("inputs.0"), state.pop("targets.0")
        model.load_state_dict(state)
    elif a.model == "gpt":
        text = torch.randint(a.vocabulary, (a.micro_batch, a.context + 1))
        inputs, targets = text[:, :-1].contiguous(), text[:, 1:].contiguous()
    else:
        sides = (3, 32, 32) if a.model == "resnet20" else (1, 28, 28)
        inputs, targets = torch.randn(a.micro_batch, *sides), torch.randint(10, (a.micro_batch,))
    if a.channels_last:
        model, inputs = model.to(memory_format=torch.channels_last), inputs.to(memory_format=torch.channels_last)
    return model.to(a.device), inputs.to(a.device), targets.to(a.device)


def text_of(a):
    """Inputs and targets of a step, as tutti-bench train --text has them: sequence i begins at byte 104729 i, in the round."""
    text = torch.frombuffer(bytearray(open(a.text, "rb").read()), dtype=torch.uint8).long()

    def batch(step):
        numbers = step * a.micro_batch + torch.arange(a.micro_batch)
        places = (numbers * 104729 % (len(text) - a.context - 1))[:, None] + torch.arange(a.context)
        return text[places], text[places + 1]

    return batch


def replayed(step):
    """`step` as a CUDA graph; it has to have run before."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay():
        graph.replay()
        return loss

    return replay


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt", choices=["gpt", "mlp", "cnn", "lenet", "resnet20"])
    parser.add_argument("--threads", type=int, default=1)
    shape = {"micro-batch": 4, "steps": 20, "warmup": 3, "layers": 6, "width": 384, "heads": 6, "context": 256}
    for name, value in (shape | {"vocabulary": 65}).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--channels-last", action="store_true", help="images and weights of convolutions so")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16", "f16"])
    parser.add_argument("--graph", action="store_true", help="capture a step in a CUDA graph and replay it")
    parser.add_argument("--text", help="train the GPT on the bytes of this file, others at each step")
    parser.add_argument("--load", help="begin from what tutti-bench train wrote by --save")
    parser.add_argument("--json", help="also write the result to a file")
    a = parser.parse_args()

    torch.set_num_threads(a.threads)
    model, inputs, targets = start(a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, weight_decay=0.1, fused=True, capturable=a.graph)
    loss_of = torch.compile(model) if a.compile else model
    narrow = {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}[a.dtype]

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(torch.device(a.device).type, dtype=narrow, enabled=narrow is not None):
            loss = loss_of(inputs, targets)
        loss.backward()
        optimizer.step()
        return loss.detach()  # else its graph would tie the next step to this one's stream

    on_gpu = a.device.startswith("cuda")
    read = text_of(a) if a.text else None
    seconds, losses = [], []
    for i in range(a.warmup + a.steps):
        if read:
            for to, new in zip((inputs, targets), read(i)):
                to.copy_(new)
        if a.graph and i == 1:
            step = replayed(step)
        begin = time.monotonic()
        loss = step()
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.monotonic() - begin)
        losses.append(loss.item())
    seconds = [s * 1e3 for s in seconds[a.warmup :]]
    row = {"step_ms": statistics.median(seconds), "first_loss": losses[0], "last_loss": losses[-1], "losses": losses}
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"# PyTorch {torch.__version__}, {a.model}, {a.device}, {a.threads} threads; median (least to most)")
    print(f"step: {row['step_ms']:.2f} ms ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"loss: {losses[0]:.6f} at first, {losses[-1]:.6f} at last\npeak MB: {peak / 1e6:.1f}")
    if a.json:
        with open(a.json, "w") as file:
            json.dump({"pytorch": torch.__version__, "rows": [row], "peak_rss_bytes": [peak]}, file, indent=2)


if __name__ == "__main__":
    main()
