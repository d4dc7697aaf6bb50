"""Writes the inputs that fuzzing starts from into corpus/: make_corpus.py. What fuzzing found lies beside them."""

import gzip
import json
import pathlib
import struct

corpus = pathlib.Path(__file__).parent / "corpus"


def put(kind, name, data):
    path = corpus / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def header(text, data=b"", length=None):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors(name, tensors, data=b""):
    put("safetensors", name, header(json.dumps(tensors, ensure_ascii=False), data))


one = tensor("F32", [1], 0, 4)
safetensors("empty", {})
safetensors("scalar", {"x": tensor("F32", [], 0, 4)}, bytes(4))
safetensors("metadata", {"__metadata__": {"k": "v", "größe": "\n\"\\"}, "x": one}, b"\0\0\x80\x3f")
safetensors("no-elements", {"a": tensor("F64", [0, 3], 0, 0), "b": tensor("I8", [0], 0, 0)})
safetensors("huge-no-elements", {"x": tensor("F32", [0, 2**62, 1], 0, 0)})
safetensors("huge-then-none", {"x": tensor("U8", [2**60, 0], 0, 0)})
safetensors("bool", {"x": tensor("BOOL", [3], 0, 3)}, b"\1\0\1")
safetensors("bool-of-2", {"x": tensor("BOOL", [3], 0, 3)}, b"\1\0\2")
safetensors("half-bytes", {"x": tensor("F4", [4], 0, 2)}, b"ab")
safetensors("half-a-byte", {"x": tensor("F4", [3], 0, 2)}, b"ab")
safetensors("rank-9", {"x": tensor("U8", [1] * 9, 0, 1)}, b"a")
safetensors("overflow", {"x": tensor("F32", [2**32, 2**32], 0, 0)})
safetensors("hole", {"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, b"abc")
safetensors("overlap", {"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, b"abc")
safetensors("backwards", {"x": tensor("U8", [1], 1, 0)}, b"a")
safetensors("trailing", {"x": tensor("U8", [1], 0, 1)}, b"ab")
safetensors("truncated", {"x": tensor("U8", [9], 0, 9)}, b"a")
safetensors("negative", {"x": tensor("U8", [-1], 0, 1)}, b"a")
safetensors("float-size", {"x": tensor("U8", [1.0], 0, 1)}, b"a")
safetensors("three-offsets", {"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}}, b"a")
safetensors("unknown-dtype", {"x": tensor("F5", [1], 0, 1)}, b"a")
safetensors("unknown-field", {"x": one | {"y": 1}}, bytes(4))
safetensors("missing-field", {"x": {"dtype": "U8", "shape": [1]}}, b"a")
safetensors("number-in-metadata", {"__metadata__": {"k": 1}})
safetensors("nested", {"x": {"dtype": {"y": {}}}})
types = ["F64", "I64", "I32", "F16", "BF16", "U8"]
sizes = [8, 8, 4, 2, 2, 1]
safetensors("types", {t: tensor(t, [1, 1], sum(sizes[:i]), sum(sizes[: i + 1])) for i, t in enumerate(types)}, bytes(range(25)))
pair = json.dumps(one)
put("safetensors", "duplicate-name", header('{"x":%s,"x":%s}' % (pair, pair), bytes(4)))
put("safetensors", "duplicate-field", header('{"x":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"a"))
put("safetensors", "padded", header(' {"x":%s}  ' % pair, bytes(4)))
put("safetensors", "surrogates", header('{"\\ud83d\\ude00\\u0000":%s}' % pair, bytes(4)))
put("safetensors", "lone-surrogate", header('{"\\ud83d":%s}' % pair, bytes(4)))
put("safetensors", "no-utf8", header(b'{"\xff":%s}' % pair.encode(), bytes(4)))
put("safetensors", "nul", header(b"{}\0"))
put("safetensors", "array", header("[]"))
put("safetensors", "unclosed", header('{"x":'))
put("safetensors", "short", b"\2\0\0")
put("safetensors", "length-too-large", header("{}", length=3))
put("safetensors", "length-over-limit", header("{}", length=2**63))


def idx(code, sizes, payload, rank=None):
    head = bytes([0, 0, code, len(sizes) if rank is None else rank])
    return head + b"".join(struct.pack(">I", size) for size in sizes) + payload


def compress(data):
    return gzip.compress(data, mtime=0)


image = idx(0x08, [2, 2, 3], bytes(range(12)))
put("idx", "u8", image)
put("idx", "i32", idx(0x0C, [2], struct.pack(">ii", 258, -2)))
put("idx", "f32", idx(0x0D, [1, 2], struct.pack(">ff", 1, -0.5)))
put("idx", "f64", idx(0x0E, [1], struct.pack(">d", -2)))
put("idx", "rank-8", idx(0x08, [1] * 8, b"a"))
put("idx", "rank-9", idx(0x08, [1] * 9, b"a"))
put("idx", "rank-0", idx(0x08, [], b"a"))
put("idx", "no-elements", idx(0x08, [0, 28, 28], b""))
put("idx", "huge-no-elements", idx(0x08, [0] + [2**32 - 1] * 7, b""))
put("idx", "overflow", idx(0x0E, [2**32 - 1] * 4, b"a"))
put("idx", "i8", idx(0x09, [1], b"a"))
put("idx", "magic", b"\1" + image[1:])
put("idx", "short-magic", image[:3])
put("idx", "short-size", image[:9])
put("idx", "short-payload", image[:-1])
put("idx", "trailing", image + b"a")
put("idx", "gzip", compress(image))
put("idx", "gzip-two-members", compress(image[:5]) + compress(image[5:]))
put("idx", "gzip-empty-member", compress(b"") + compress(image))
put("idx", "gzip-truncated", compress(image)[:-9])
put("idx", "gzip-checksum", compress(image)[:-5] + b"\0" * 5)
put("idx", "gzip-trailing", compress(image) + b"a")
put("idx", "gzip-of-gzip", compress(compress(image)))
put("idx", "gzip-zeros", compress(idx(0x08, [4096], bytes(4096))))
put("idx", "gzip-claims", compress(idx(0x08, [2**32 - 1], b"abc")))
put("idx", "empty", b"")
