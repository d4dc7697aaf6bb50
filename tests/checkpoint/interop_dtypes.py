"""All dtypes of the format, by Python's safetensors: interop_dtypes.py DIRECTORY.

Writes python.safetensors, of every dtype that it can write, and checks tutti.safetensors, which interop_test.cpp made of the
former, and six.safetensors, of the dtypes that it can only read.
"""

import ctypes
import os
import sys

from safetensors import TensorSpec, deserialize, serialize

# What it calls them, and the bytes of an element.
DTYPES = {
    "bool": 1, "uint8": 1, "int8": 1, "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e8m0fnu": 1, "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "uint32": 4, "float32": 4,
    "complex64": 8, "float64": 8, "int64": 8, "uint64": 8, "float4_e2m1fn_x2": 1,
}  # fmt: skip
ODD = "größe/\U0001f600 \"quoted\"\\\n\u0000"

directory = sys.argv[1]
buffers = []  # that TensorSpec points into


def spec(dtype, shape, data):
    buffers.append(ctypes.create_string_buffer(data, max(len(data), 1)))
    return TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=len(data))


def python_file():
    tensors = {}
    for number, (dtype, size) in enumerate(DTYPES.items()):
        data = bytes((number + i) % (2 if dtype == "bool" else 256) for i in range(6 * size))
        tensors[dtype] = spec(dtype, [2, 3], data)
        tensors[f"{dtype}, none"] = spec(dtype, [0, 2**40], b"")
        if dtype != "float4_e2m1fn_x2":  # half a byte is no tensor
            tensors[f"{dtype}, scalar"] = spec(dtype, [], data[:size])
    tensors[ODD] = spec("int8", [1], b"\xd6")
    return serialize(tensors, {"größe": ODD})


path = f"{directory}/tutti.safetensors"
if not os.path.exists(path):
    with open(f"{directory}/python.safetensors", "wb") as file:
        file.write(python_file())
else:
    # Both order tensors alike, so the files are the same to the byte.
    assert open(path, "rb").read() == python_file()
    six = {name: (x["dtype"], x["shape"], bytes(x["data"])) for name, x in deserialize(open(f"{directory}/six.safetensors", "rb").read())}
    assert six == {
        "a": ("F6_E2M3", [4], b"abc"),
        "b": ("F6_E3M2", [2, 4], b"defghi"),
        "c": ("F4", [2], b"j"),
        "d": ("F6_E2M3", [0], b""),
    }, six
