"""Writes the *.safetensors of this folder: what PyTorch computes, for the tests of this folder to compare with.

    python3 make_golden.py            (needs torch, transformers and safetensors)

All values are of PyTorch's CPU kernels in f32; the files' metadata name the version that made them.
"""

import os

import torch
from safetensors.torch import save_file

import cases
import gpt
import hugging_face
import losses
import modules
import ops
import optimizers

HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, tensors):
    assert all(value.isfinite().all() for value in tensors.values())
    path = os.path.join(HERE, f"{name}.safetensors")
    save_file(
        {key: value.detach().clone().contiguous() for key, value in tensors.items()},
        path,
        metadata={"pytorch": torch.__version__},
    )
    print(f"{path}: {len(tensors)} tensors, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    write("ops", cases.golden(ops.CASES))
    write("losses", cases.golden(losses.CASES))
    write("modules", modules.golden())
    write("optimizers", optimizers.golden())
    write("gpt", gpt.golden())
    write("hugging_face", hugging_face.golden())
