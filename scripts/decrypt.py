#!/usr/bin/env python3
"""Decrypts a checkpoint with stock packages (pip install tink cryptography), without Tutti:
decrypt.py KEY_FILE run/step-0000000100 OUTPUT_DIRECTORY"""

import json
import pathlib
import re
import sys

import tink
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2 as streaming_pb2
from tink.proto import tink_pb2


def hkdf(key, info, length):
    return HKDF(SHA256(), length, None, info).derive(key)


def open_key(key_path, checkpoint):
    """The data key of a checkpoint and its id."""
    blob = json.loads((checkpoint / "keys.json").read_text())
    if blob["format"] != 1 or blob["algorithm"] != "AES256-GCM-HKDF-1MB":
        sys.exit(f"keys.json: unknown format {blob['format']} or algorithm {blob['algorithm']}")
    key = pathlib.Path(key_path).read_bytes()
    key = key if len(key) == 32 else bytes.fromhex(key.decode())
    key_id = "file:" + hkdf(key, b"tutti key id v1", 8).hex()
    wrapped = [bytes.fromhex(r["wrapped"]) for r in blob["recipients"] if r["id"] == key_id]
    if not wrapped:
        sys.exit(f"keys.json: not for {key_id}, but for {[r['id'] for r in blob['recipients']]}")
    context = f"tutti checkpoint v1 {blob['checkpoint']}".encode()
    data_key = AESGCM(key).decrypt(wrapped[0][:12], wrapped[0][12:], context)
    if hkdf(data_key, b"tutti key commitment v1", 32).hex() != blob["commitment"]:
        sys.exit("keys.json: the commitment is of another data key")
    return data_key, blob["checkpoint"]


def stream_of(data_key):
    """Tink's primitive for files under this key."""
    streaming_aead.register()
    template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    params = streaming_pb2.AesGcmHkdfStreamingKeyFormat.FromString(template.value).params
    value = streaming_pb2.AesGcmHkdfStreamingKey(params=params, key_value=data_key).SerializeToString()
    data = tink_pb2.KeyData(type_url=template.type_url, value=value, key_material_type=tink_pb2.KeyData.SYMMETRIC)
    key = tink_pb2.Keyset.Key(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW, key_data=data)
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[key])
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    return handle.primitive(streaming_aead.StreamingAead)


def associated_data(uuid, checkpoint, name):
    step = re.fullmatch(r"step-(\d+)", checkpoint.resolve().name)
    if step is None:
        sys.exit(f"{checkpoint}: a checkpoint's directory is named step- and the number of steps")
    return f"tutti checkpoint v1\n{uuid}\n{int(step[1])}\n{name}".encode()


def main(key_path, checkpoint, output):
    checkpoint, output = pathlib.Path(checkpoint), pathlib.Path(output)
    data_key, uuid = open_key(key_path, checkpoint)
    stream = stream_of(data_key)
    output.mkdir(parents=True, exist_ok=True)
    for path in sorted(checkpoint.glob("*.enc")):
        plain = output / path.stem
        part = output / (path.stem + ".part")  # renamed when its last segment was found good
        with stream.new_decrypting_stream(path.open("rb"), associated_data(uuid, checkpoint, plain.name)) as source:
            with part.open("wb") as sink:
                while piece := source.read(1 << 20):
                    sink.write(piece)
        part.rename(plain)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
