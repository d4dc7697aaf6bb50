"""Writes the inputs that fuzzing starts from into corpus/: make_corpus.py. What fuzzing found lies beside them."""

import gzip
import hmac
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
foreign = ["U64", "C64", "U32", "U16", "I16", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8"]
sizes = [8, 8, 4, 2, 2, 1, 1, 1, 1, 1, 1]
tensors = {t: tensor(t, [1], sum(sizes[:i]), sum(sizes[: i + 1])) for i, t in enumerate(foreign)}
safetensors("foreign-types", tensors | {"F6": tensor("F6_E3M2", [4], 30, 33)}, bytes(range(33)))
safetensors("parts", {"x": tensor("I32", [7], 0, 28), "flags": tensor("BOOL", [4], 28, 32)}, bytes(range(28)) + b"\1\0\0\1")
safetensors("tail", {"x": tensor("F32", [2], 0, 8)}, bytes(8) + b"<html>")
safetensors("tail-after-nothing", {}, b"PK\3\4")
safetensors("tail-and-hole", {"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, b"abcd")
safetensors("tail-and-no-elements", {"a": tensor("U8", [1], 0, 1), "b": tensor("F64", [0, 9], 1, 1)}, b"abc")
safetensors("unaligned", {"a": tensor("U8", [1], 0, 1), "b": tensor("F64", [1], 1, 9)}, bytes(9))
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


def hkdf(key, info):
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


data_key = bytes(range(32))
recipient = {"id": "fuzz", "wrapped": bytes(255 - b for b in data_key).hex()}  # as key_blob_fuzz.cpp unwraps it
blob = {
    "format": 1,
    "checkpoint": "00000000-0000-4000-8000-00000000000a",
    "algorithm": "AES256-GCM-HKDF-1MB",
    "commitment": hkdf(data_key, b"tutti key commitment v1").hex(),
    "recipients": [recipient],
}


def keys(name, **changes):
    put("key_blob", name, json.dumps(blob | changes, ensure_ascii=False).encode())


keys("good")
keys("two-recipients", recipients=[{"id": "größe", "wrapped": "00ff"}, recipient])
keys("same-recipient-twice", recipients=[recipient, recipient])
keys("no-recipient", recipients=[])
keys("other-recipient", recipients=[recipient | {"id": "other"}])
keys("long-id", recipients=[recipient | {"id": "a" * 257}])
keys("wrapped-odd", recipients=[recipient | {"wrapped": "0"}])
keys("wrapped-no-hex", recipients=[recipient | {"wrapped": "0x"}])
keys("wrapped-long", recipients=[recipient | {"wrapped": "00" * 2049}])
keys("other-key", recipients=[recipient | {"wrapped": "00" * 32}])
keys("recipient-is-number", recipients=[1])
keys("format-2", format=2)
keys("format-true", format=True)
keys("format-float", format=1.0)
keys("algorithm-4kb", algorithm="AES256-GCM-HKDF-4KB")
keys("commitment-short", commitment="00")
keys("checkpoint-slash", checkpoint="a/b")
keys("unknown-field", more=1)
put("key_blob", "duplicate-key", b'{"format":1,' + json.dumps(blob).encode()[1:])
put("key_blob", "nested", b"[" * 1000)
put("key_blob", "empty", b"")
put("key_blob", "lone-surrogate", b'{"format":1,"\\ud800":1}')

# manifest_fuzz.cpp appends the digest.
file = {"name": "shard-00000-of-00001.safetensors", "prefix": "", "bytes": 4196, "head_bytes": 4096, "head_digest": 32 * "a"}
piece = {"name": "model.w", "dtype": "F32", "shape": [5, 5], "offset": 0, "share": 128}
manifest = {
    "format": "tutti-checkpoint",
    "version": 1,
    "features": [],
    "tutti": "1.0.0",
    "uuid": 32 * "b",
    "steps": 100,
    "world_size": 2,
    "logical_ranks": 2,
    "files": [file],
    "tensors": [piece],
}


def manifests(name, **changes):
    put("manifest", name, json.dumps(manifest | changes, ensure_ascii=False).encode()[:-1])


other = file | {"name": "model.safetensors", "prefix": "model."}
whole = {"name": "model.w", "dtype": "F32", "shape": [5, 5], "file": 1}
manifests("good")
manifests("whole", files=[file, other], tensors=[whole])
manifests("no-tensors", files=[], tensors=[])
manifests("version-2", version=2)
manifests("feature", features=["tiles"])
manifests("negative-steps", steps=-1)
manifests("steps-float", steps=1e3)
manifests("uuid-short", uuid="b")
manifests("file-twice", files=[file, file])
manifests("file-up", files=[file | {"name": "../x"}])
manifests("file-hidden", files=[file | {"name": ".lock"}])
manifests("file-slash", files=[file | {"name": "/etc/passwd"}])
manifests("head-beyond", files=[file | {"head_bytes": 5000}])
manifests("tensor-twice", tensors=[piece, piece])
manifests("no-such-file", tensors=[whole])
manifests("no-such-prefix", files=[file, other], tensors=[whole | {"name": "data.w"}])
manifests("beyond-shares", tensors=[piece | {"offset": 64}])
manifests("inside-element", tensors=[piece | {"share": 130}])
manifests("share-overflow", tensors=[piece | {"share": 2**62}])
manifests("shape-overflow", tensors=[piece | {"shape": [2**40, 2**40]}])
manifests("no-elements", tensors=[piece | {"shape": [0, 2**40]}])
manifests("rank-9", tensors=[piece | {"shape": [1] * 9}])
manifests("dtype-lower", tensors=[piece | {"dtype": "f32"}])
manifests("names", tensors=[piece | {"name": "größe\n\"\\\u0000"}])

# The first byte chooses the text, then seven for each change: what, where, and what of it.
put("encrypted_stream", "empty-text", b"\0")
put("encrypted_stream", "small-text", b"\x64")
put("encrypted_stream", "two-segments", b"\xfe")
put("encrypted_stream", "three-segments", b"\xff")
put("encrypted_stream", "header-bit", b"\x64" + b"\0" + b"\5\0\0" + b"\1\0\0")
put("encrypted_stream", "tag-bit", b"\0" + b"\0" + b"\x37\0\0" + b"\x80\0\0")
put("encrypted_stream", "cut", b"\x64" + b"\1" + b"\x40\0\0" + b"\0\0\0")
put("encrypted_stream", "cut-at-segment", b"\xff" + b"\1" + b"\0\0\x20" + b"\0\0\0")
put("encrypted_stream", "longer", b"\x64" + b"\2" + b"\x40\0\0" + b"\1\0\0")
put("encrypted_stream", "segment-erased", b"\xff" + b"\3" + b"\0\0\x10" + b"\0\0\x20")
put("encrypted_stream", "segments-swapped", b"\xff" + b"\4" + b"\0\0\0" + b"\1\0\0")
put("encrypted_stream", "changed-and-back", b"\x64" + 2 * (b"\0" + b"\x32\0\0" + b"\1\0\0"))
put("encrypted_stream", "bytes-like-a-file", b"\x28" + bytes(55))
