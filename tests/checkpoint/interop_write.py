"""Writes with Python's safetensors what interop_test.cpp reads: interop_write.py DIRECTORY."""

import sys

import numpy as np
from safetensors.numpy import save_file

directory = sys.argv[1]
save_file(
    {
        "f32": np.array([[1.5, -2, 0], [np.inf, 1e-40, 3]], np.float32),
        "f64": np.array([0.1, -1e300]),
        "f16": np.array([1.5, -65504, 6e-8], np.float16),
        "i32": np.array([-(2**31), 2**31 - 1], np.int32),
        "i64": np.array([-(2**63), 2**63 - 1], np.int64),
        "u8": np.array([0, 255], np.uint8),
        "bool": np.array([True, False, True]),
        "scalar": np.array(7, np.int64),
        "empty": np.zeros((2, 0, 3), np.float32),
        "größe/\U0001f600 \"quoted\"\\": np.array([42], np.int32),
    },
    f"{directory}/python.safetensors",
    metadata={"format": "np", "größe": "ä\n\t\"{}"},
)
save_file({"x": np.array([1, 2], np.int8)}, f"{directory}/int8.safetensors")
save_file({"x": np.zeros([1] * 9, np.float32)}, f"{directory}/rank9.safetensors")
