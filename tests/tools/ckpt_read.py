"""Checks with Python's safetensors what ckpt_exchange_test.cpp exported: ckpt_read.py DIRECTORY SHARDED."""

import json
import sys

import numpy as np
from safetensors import safe_open

expected = {
    "wte.weight": np.arange(64000, dtype=np.float32).reshape(1000, 64),
    "fc.bias": np.array([1, -2, 3], np.float64),
    "mask": np.array([True, False]),
    "scale": np.array(7, np.int64),
    "none": np.zeros((0, 4), np.float32),
}


def check(path, names):
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}, file.metadata()
        assert set(file.keys()) == set(names), file.keys()
        for name in set(names) - {"half"}:  # NumPy has no bf16
            got = file.get_tensor(name)
            assert got.dtype == expected[name].dtype and got.shape == expected[name].shape, (name, got)
            assert (got == expected[name]).all(), (name, got)


check(f"{sys.argv[1]}/model.safetensors", [*expected, "half"])

# As transformers and huggingface_hub read it.
text = open(f"{sys.argv[2]}/model.safetensors.index.json").read()
index = json.loads(text)
assert text == json.dumps(index, indent=2, sort_keys=True) + "\n"
assert set(index["weight_map"]) == {*expected, "half"}
assert len(set(index["weight_map"].values())) > 2
for name in set(index["weight_map"].values()):
    check(f"{sys.argv[2]}/{name}", [tensor for tensor, file in index["weight_map"].items() if file == name])
