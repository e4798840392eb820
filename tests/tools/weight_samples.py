# SPDX-License-Identifier: MIT
"""Writes weight files as PyTorch and MXNet do, without either."""

import collections
import io
import json
import pickle
import struct
import sys
import types
import zipfile

STRUCT_CODES = {"F32": "f", "F64": "d", "F16": "e", "U8": "B", "I32": "i", "I64": "q", "BF16": "H"}
STORAGES = {
    "Float": "f",
    "Double": "d",
    "Half": "e",
    "BFloat16": "H",
    "Long": "q",
    "Int": "i",
    "Short": "h",
    "Char": "b",
    "Byte": "B",
    "Bool": "B",
}


def fake_torch():
    """Modules whose names the pickler writes; the functions do nothing."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch._utils = utils
    for function in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        stand_in = eval("lambda *arguments: None")
        stand_in.__module__, stand_in.__qualname__, stand_in.__name__ = (
            "torch._utils",
            function,
            function,
        )
        setattr(utils, function, stand_in)
    for name in STORAGES:
        setattr(torch, name + "Storage", type(name + "Storage", (), {"__module__": "torch"}))
    return {"torch": torch, "torch._utils": utils}


TORCH = fake_torch()


class Storage:
    def __init__(self, kind, values):
        self.kind, self.n = kind, len(values)
        self.data = struct.pack(f"<{len(values)}{STORAGES[kind]}", *values)


class View:
    """A tensor: elements of a storage by offset and strides."""

    def __init__(self, storage, shape, strides=None, offset=0, is_parameter=False):
        if strides is None:
            strides, step = [], 1
            for extent in reversed(shape):
                strides.insert(0, step)
                step *= extent
        self.arguments = (
            storage,
            offset,
            tuple(shape),
            tuple(strides),
            False,
            collections.OrderedDict(),
        )
        self.is_parameter = is_parameter

    def __reduce__(self):
        utils = TORCH["torch._utils"]
        if self.is_parameter:
            return utils._rebuild_parameter, (
                View(*self.arguments[:1], *self.arguments[2:4], self.arguments[1]),
                True,
                collections.OrderedDict(),
            )
        return utils._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, value):
        if type(value) is not Storage:
            return None
        if value not in self.storages:
            self.storages.append(value)
        key = str(self.storages.index(value))
        return "storage", getattr(TORCH["torch"], value.kind + "Storage"), key, "cpu", value.n


def make_pickle(value, protocol=2):
    file = io.BytesIO()
    pickler = Pickler(file, protocol)
    before = {name: sys.modules.get(name) for name in TORCH}
    sys.modules.update(TORCH)
    try:
        pickler.dump(value)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return file.getvalue(), pickler.storages


def write_zip(path, data_pkl, storages, extra=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        for i, storage in enumerate(storages):
            archive.writestr(f"archive/data/{i}", storage.data)
        for name, content in extra:
            archive.writestr(f"archive/{name}", content)


def write_pth(path, value, protocol=2, **options):
    write_zip(path, *make_pickle(value, protocol), **options)


def state_dict(**tensors):
    """As PyTorch's: an OrderedDict with version numbers hung on."""
    made = collections.OrderedDict(
        (name.replace("__", "."), tensor) for name, tensor in tensors.items()
    )
    made._metadata = collections.OrderedDict([("", {"version": 1})])
    return made


# ---- MXNet --------------------------------------------------------------------------------------


def mxnet_array(shape, data, version=0, dtype=0, storage=0):
    """`version` 0 (before 1), 1, 2 or 3."""
    if version == 0:
        head = struct.pack(f"<I{len(shape)}I", len(shape), *shape)
    else:
        head = struct.pack("<I", 0xF993FAC7 + version)
        if version > 1:
            head += struct.pack("<i", storage)
        head += struct.pack(f"<i{len(shape)}q", len(shape), *shape)
    return head + struct.pack("<iii", 1, 0, dtype) + data


def mxnet_list(arrays, names, magic=0x112, n_arrays=None, n_names=None):
    out = struct.pack("<QQQ", magic, 0, len(arrays) if n_arrays is None else n_arrays) + b"".join(
        arrays
    )
    out += struct.pack("<Q", len(names) if n_names is None else n_names)
    for name in names:
        out += struct.pack("<Q", len(name)) + name.encode()
    return out


# ---- safetensors --------------------------------------------------------------------------------


def read_safetensors(path):
    """{name: (dtype, shape, values)}, metadata; checks that the data is whole and aligned."""
    with open(path, "rb") as file:
        n = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(n)), file.read()
    metadata, found, at = header.pop("__metadata__", {}), {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        code = STRUCT_CODES[entry["dtype"]]
        assert begin == at and (8 + n + begin) % struct.calcsize(code) == 0
        found[name] = (
            entry["dtype"],
            entry["shape"],
            [value for value, in struct.iter_unpack("<" + code, data[begin:end])],
        )
        at = end
    assert at == len(data)
    return found, metadata


def make_safetensors(header, data):
    text = header if type(header) is bytes else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
