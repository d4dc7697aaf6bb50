"""Encrypts with Tink what encryption_interop_test.cpp reads: encryption_write.py KEY_FILE CHECKPOINT NAME=BYTES...
keys.json is there already; byte i of a file is i * 7 % 251."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "scripts"))
from decrypt import associated_data, open_key, stream_of

checkpoint = pathlib.Path(sys.argv[2])
data_key, uuid = open_key(sys.argv[1], checkpoint)
period = bytes(i * 7 % 251 for i in range(251))
for argument in sys.argv[3:]:
    name, size = argument.split("=")
    size = int(size)
    plain = (period * (size // 251 + 1))[:size]
    sink = (checkpoint / (name + ".enc")).open("wb")
    with stream_of(data_key).new_encrypting_stream(sink, associated_data(uuid, checkpoint, name)) as stream:
        stream.write(plain)
