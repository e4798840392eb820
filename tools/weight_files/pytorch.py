# SPDX-License-Identifier: MIT
"""PyTorch's .pth and .pt files since 1.6: a zip archive of NAME/data.pkl and NAME/data/KEY, one for
each storage."""

import struct
import zipfile
import zlib

from weight_files import pickle_opcodes
from weight_files.pickle_opcodes import StoredTensor
from weight_files.tensor import MAX_DIMENSIONS, Tensor, WeightsError, count_elements, shown, widen

MAX_PICKLE_BYTES = 64 << 20  # names and shapes only: a thousand times what a large network needs
ZIP_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
)

# Element types the engine does not read become the next wider one that it reads.
WIDENED = {"I8": ("b", "I32"), "I16": ("h", "I32")}


class Archive:
    """A PyTorch archive, whose entries are stored as they are."""

    def __init__(self, file, file_bytes):
        self.file_bytes = file_bytes
        try:
            self.zip = zipfile.ZipFile(file)
            self.names = {info.filename: info for info in self.zip.infolist()}
        except ZIP_ERRORS as error:
            raise WeightsError(f"its zip archive is damaged: {shown(str(error))}") from None
        roots = [name.removesuffix("data.pkl") for name in self.names if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise WeightsError(
                f"its zip archive has {len(roots)} entries */data.pkl, a file of PyTorch has one"
            )
        self.root = roots[0]
        if self.root + "byteorder" in self.names and self.read("byteorder", 16) != b"little":
            raise WeightsError(
                "its numbers are big endian; save it again on a little-endian machine"
            )

    def info(self, entry, max_bytes):
        info = self.names.get(self.root + entry)
        if info is None:
            raise WeightsError(f"its zip archive lacks {shown(self.root + entry)}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise WeightsError(f"{shown(info.filename)} is compressed; PyTorch stores it as it is")
        if info.file_size > min(max_bytes, self.file_bytes):
            raise WeightsError(
                f"{shown(info.filename)} claims {info.file_size} bytes, "
                f"at most {min(max_bytes, self.file_bytes)} are possible"
            )
        return info

    def read(self, entry, max_bytes):
        info = self.info(entry, max_bytes)
        try:
            with self.zip.open(info) as stream:
                data = stream.read(info.file_size + 1)  # to its end, so that its CRC is looked at
        except ZIP_ERRORS as error:
            raise WeightsError(f"{shown(info.filename)} is damaged: {shown(str(error))}") from None
        if len(data) != info.file_size:
            raise WeightsError(
                f"{shown(info.filename)} has {len(data)} bytes, should have {info.file_size}"
            )
        return data


def gather(data, element_bytes, stored):
    """The elements of a view in C order."""
    if not all(stored.shape):
        return b""
    view = memoryview(data).cast({1: "B", 2: "H", 4: "I", 8: "Q"}[element_bytes])
    expected, is_contiguous = 1, True
    for extent, stride in zip(reversed(stored.shape), reversed(stored.strides)):
        is_contiguous = is_contiguous and (extent == 1 or stride == expected)
        expected *= extent
    if is_contiguous:
        return view[stored.offset : stored.offset + expected].tobytes()
    out = bytearray()
    *outer, n = stored.shape
    *outer_strides, stride = stored.strides
    stride = stride if n > 1 else 1
    index = [0] * len(outer)
    begin = stored.offset
    while True:
        out += view[begin : begin + (n - 1) * stride + 1 : stride].tobytes()
        for axis in range(len(outer) - 1, -1, -1):
            index[axis] += 1
            begin += outer_strides[axis]
            if index[axis] < outer[axis]:
                break
            begin -= index[axis] * outer_strides[axis]
            index[axis] = 0
        else:
            return bytes(out)


def check_view(what, stored):
    n = count_elements(what, stored.shape)
    if n == 0:
        return
    if any(extent > 1 and stride == 0 for extent, stride in zip(stored.shape, stored.strides)):
        raise WeightsError(
            f"{what} repeats its elements (a stride of 0); save a copy: tensor.clone()"
        )
    last = stored.offset + sum(
        (extent - 1) * stride for extent, stride in zip(stored.shape, stored.strides)
    )
    if n > stored.storage.n or last >= stored.storage.n:
        raise WeightsError(f"{what} reaches beyond its storage of {stored.storage.n} elements")


def to_tensor(archive, name, stored):
    storage = stored.storage
    what = f"tensor {shown(name)}"
    if len(stored.shape) > MAX_DIMENSIONS:
        raise WeightsError(
            f"{what} has {len(stored.shape)} dimensions, at most {MAX_DIMENSIONS} are known"
        )
    check_view(what, stored)
    entry, n_bytes = "data/" + storage.key, storage.n * storage.element_bytes
    if archive.info(entry, n_bytes).file_size != n_bytes:
        raise WeightsError(
            f"{what}: its storage {shown(entry)} has another size than its {storage.n} elements"
        )
    code, dtype = WIDENED.get(storage.dtype, (None, storage.dtype))

    def fetch():
        raw = gather(archive.read(entry, n_bytes), storage.element_bytes, stored)
        return widen(raw, code) if code else raw

    return Tensor(name, dtype, stored.shape, fetch)


def state_dict_of(root, key):
    """The dict of tensors: the file's object, or what lies under `key`, "state_dict" or "model"."""
    for wanted in [key] if key else ["state_dict", "model"]:
        if type(root) is dict and type(root.get(wanted)) is dict:
            root = root[wanted]
        elif key:
            raise WeightsError(f"holds no dict under the key {shown(key)}")
    if type(root) is not dict:
        raise WeightsError(
            f"holds a {type(root).__name__}, not a dict of tensors; {pickle_opcodes.HINT}"
        )
    tensors = {name: value for name, value in root.items() if type(value) is StoredTensor}
    if not tensors:
        keys = ", ".join(shown(name) for name in list(root)[:8])
        raise WeightsError(
            f"has no tensors at its top, but the keys {keys or '(none)'}; choose one by --key"
        )
    for name in tensors:
        if type(name) is not str:
            raise WeightsError(f"has a tensor whose name is no text: {shown(name)}")
    return tensors


def read(file, file_bytes, key):
    """The tensors of an open file, without the "module." that DataParallel puts before names."""
    archive = Archive(file, file_bytes)
    stored = state_dict_of(pickle_opcodes.load(archive.read("data.pkl", MAX_PICKLE_BYTES)), key)
    prefix = "module." if all(name.startswith("module.") for name in stored) else ""
    return [to_tensor(archive, name.removeprefix(prefix), view) for name, view in stored.items()]
