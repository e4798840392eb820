# SPDX-License-Identifier: MIT
"""safetensors: uint64 length of the header, the header (JSON), the data. Written whole or not at
all."""

import json
import os
import struct

from weight_files.tensor import DTYPE_BYTES, Tensor, WeightsError, shown

MAX_HEADER_BYTES = 100000000  # the format's own limit
CHECKPOINT_KEY = "adele.format"  # in the metadata of the engine's checkpoints


# ---- reading ------------------------------------------------------------------------------------


def unique_pairs(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise WeightsError("its header names something twice")
    return made


def read_header(file, file_bytes):
    raw = file.read(8)
    n = struct.unpack("<Q", raw)[0] if len(raw) == 8 else file_bytes
    if n > min(MAX_HEADER_BYTES, file_bytes - 8):
        raise WeightsError(f"says that its header has {n} bytes, the file has {file_bytes}")
    try:
        header = json.loads(file.read(n).decode("utf-8"), object_pairs_hook=unique_pairs)
    except (ValueError, RecursionError):
        raise WeightsError("its header is not JSON") from None
    metadata = header.pop("__metadata__", {}) if type(header) is dict else None
    if type(metadata) is not dict:
        raise WeightsError("its header is not one JSON object, or its __metadata__ is none")
    return header, metadata, 8 + n


def fetcher(file, at, n_bytes):
    def fetch():
        file.seek(at)
        data = file.read(n_bytes)
        if len(data) != n_bytes:
            raise WeightsError(f"{n_bytes} bytes at {at} could not be read: the file grew shorter")
        return data

    return fetch


def read_entry(file, name, entry, data_at, n_data):
    what = f"tensor {shown(name)}"
    if type(entry) is not dict or type(entry.get("shape")) is not list:
        raise WeightsError(f"{what} has no shape")
    dtype, offsets = entry.get("dtype"), entry.get("data_offsets")
    if type(dtype) is not str or dtype not in DTYPE_BYTES:
        raise WeightsError(f"{what} has dtype {shown(dtype)}; known are {', '.join(DTYPE_BYTES)}")
    if (
        type(offsets) is not list
        or len(offsets) != 2
        or any(type(offset) is not int for offset in offsets)
    ):
        raise WeightsError(f"{what}: its data_offsets are not two byte counts")
    begin, end = offsets
    if not 0 <= begin <= end <= n_data:
        raise WeightsError(f"{what}: its data_offsets are outside of the {n_data} bytes of data")
    tensor = Tensor(name, dtype, entry["shape"], fetcher(file, data_at + begin, end - begin))
    if tensor.n_bytes != end - begin:
        raise WeightsError(f"{what} has {end - begin} bytes, its shape asks for {tensor.n_bytes}")
    return begin, end, tensor


def read(file, file_bytes):
    """The tensors of an open file; of a checkpoint of the engine the weights of its model."""
    header, metadata, data_at = read_header(file, file_bytes)
    entries = [
        read_entry(file, name, entry, data_at, file_bytes - data_at)
        for name, entry in header.items()
    ]
    at = 0
    for begin, end, tensor in sorted(entries, key=lambda entry: entry[:2]):
        if begin != at:
            raise WeightsError(
                f"tensor {shown(tensor.name)} does not begin where the one before it ends"
            )
        at = end
    if at != file_bytes - data_at:
        raise WeightsError(f"{file_bytes - data_at - at} bytes at its end belong to no tensor")
    tensors = [tensor for _, _, tensor in entries]
    if CHECKPOINT_KEY in metadata:
        # Of a run whose model is the average of its weights, that average.
        prefix = "average." if metadata.get("model.averaged") == "1" else "model."
        tensors = [tensor for tensor in tensors if tensor.name.startswith(prefix)]
        for tensor in tensors:
            tensor.name = tensor.name.removeprefix(prefix)
    return tensors


# ---- writing ------------------------------------------------------------------------------------


def make_header(tensors):
    # As PyTorch's own writer; the engine asks for no hashes of files that it did not write.
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [at, at + tensor.n_bytes],
        }
        at += tensor.n_bytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise WeightsError(
            f"the header would have {len(text)} bytes, the format allows {MAX_HEADER_BYTES}"
        )
    return struct.pack("<Q", len(text)) + text


def write(path, tensors):
    """Writes to a temporary file beside `path` and renames it. Same tensors, same bytes."""
    # The widest first, so that each lies at a multiple of its element.
    tensors = sorted(tensors, key=lambda tensor: (-DTYPE_BYTES[tensor.dtype], tensor.name))
    header = make_header(tensors)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.tmp.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as out:
            out.write(header)
            for tensor in tensors:
                data = tensor.fetch()
                if len(data) != tensor.n_bytes:
                    raise WeightsError(
                        f"tensor {shown(tensor.name)} gave {len(data)} bytes, want {tensor.n_bytes}"
                    )
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder_descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)
