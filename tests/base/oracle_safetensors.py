# SPDX-License-Identifier: MIT
"""Reads a safetensors file by json and struct alone and prints what test_oracle_safetensors compares:
one line a tensor, by name: name, dtype, extents, CRC-32 of the bytes, then the metadata's keys. Prints
"refused" for a file that is not one."""
import json
import struct
import sys
import zlib

SIZES = {"U8": 1, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}


def describe(content):
    (n_header,) = struct.unpack_from("<Q", content)
    if n_header > len(content) - 8 or content[8:9] != b"{":
        raise ValueError("header")
    pairs = json.loads(content[8 : 8 + n_header].decode("utf-8"), object_pairs_hook=list)
    header, data, lines, spans = dict(pairs), content[8 + n_header :], [], []
    if len(header) != len(pairs):
        raise ValueError("a name twice")
    metadata = dict(header.pop("__metadata__", []))
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("metadata")
    for name, entry in header.items():
        entry = dict(entry)
        begin, end = entry["data_offsets"]
        n = SIZES[entry["dtype"]]
        for extent in entry["shape"]:
            if not isinstance(extent, int) or extent < 0:
                raise ValueError("extent")
            n *= extent
        if not (0 <= begin <= end <= len(data)) or end - begin != n:
            raise ValueError("offsets")
        spans.append((begin, end))
        extents = " ".join(str(extent) for extent in entry["shape"])
        lines.append(f"{name} {entry['dtype']} [{extents}] {zlib.crc32(data[begin:end]):08x}")
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise ValueError("gap or overlap")
        at = end
    if at != len(data):
        raise ValueError("rest")
    return sorted(lines) + sorted(f"{key}={value}" for key, value in metadata.items())


for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            print("\n".join(describe(file.read())))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error):
        print("refused")
    print("--")
