"""Checks with Python's safetensors what interop_test.cpp wrote: interop_read.py DIRECTORY."""

import json
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save

path = f"{sys.argv[1]}/tutti.safetensors"
raw = open(path, "rb").read()
header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
bf16 = header.pop("bf16")  # NumPy has no such type: looked at by hand
assert bf16["dtype"] == "BF16" and bf16["shape"] == [2], bf16
begin = 8 + int.from_bytes(raw[:8], "little") + bf16["data_offsets"][0]
assert raw[begin : begin + 4] == b"\x80\x3f\x40\xc0", raw[begin : begin + 4]  # 1, -3

expected = {
    "f32": np.array([[1, 4], [2, 5], [3, 6]], np.float32),
    "f64": np.array([0.1, -1e300]),
    "f16": np.array([1.5, -2], np.float16),
    "i32": np.array([-7, 7], np.int32),
    "i64": np.array(2**62, np.int64),
    "u8": np.array([0, 255], np.uint8),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
    "größe/\U0001f600 \"quoted\"\\": np.array([42], np.int32),
}
with safe_open(path, "np") as file:
    assert file.metadata() == {"größe": "ä\n\t\"{}"}, file.metadata()
    assert set(file.keys()) == set(expected) | {"bf16"}, file.keys()
    for name, value in expected.items():
        got = file.get_tensor(name)
        assert got.dtype == value.dtype and got.shape == value.shape, (name, got)
        assert got.tobytes() == value.tobytes(), (name, got)

# What both can write is the same, byte for byte.
same = load_file(f"{sys.argv[1]}/same.safetensors")
assert save(same, metadata={"k": "v"}) == open(f"{sys.argv[1]}/same.safetensors", "rb").read()
