# SPDX-License-Identifier: MIT
"""MXNet's .params files: a list of arrays, then a list of as many names.

All numbers little endian. File: uint64 0x112, uint64 0, uint64 n, n arrays, uint64 n, n texts
(uint64 length, bytes). An array begins with a uint32:
    0xF993FAC9, 0xF993FACA (versions 2, 3): int32 storage type (0: dense), shape, place, elements
    0xF993FAC8 (version 1): shape, place, elements
    any other (before version 1): the count of dimensions, each a uint32; place, elements
with shape = int32 count, int64 for each; place = int32, int32; elements = int32 type, then
the data. Source of each of these: NDArray::Save, Load and LegacyLoad in apache/mxnet,
src/ndarray/ndarray.cc.

Names of the ResNet38 of Wu, Shen and van den Hengel (Model A1, ImageNet) and ours (nn/resnet38.c):

| in the file | ours | source |
| --- | --- | --- |
| arg:conv1a_weight | backbone.conv1a.weight | (1), (3) |
| arg:res5a_branch2a_weight | backbone.b5.conv_branch2a.weight: "a" is a level's first | (1), (3) |
| arg:res5b2_branch2a_weight | backbone.b5_2.conv_branch2a.weight | (1), (3) |
| arg:bn5a_branch2b1_gamma | backbone.b5.bn_branch2b1.weight (fix_gamma off, eps 1e-5) | (2), (3) |
| arg:bn5a_branch2b1_beta | backbone.b5.bn_branch2b1.bias | (2), (3) |
| aux:bn5a_branch2b1_moving_mean | backbone.b5.bn_branch2b1.running_mean | (2), (3) |
| aux:bn5a_branch2b1_moving_var | backbone.b5.bn_branch2b1.running_var | (2), (3) |
| arg:bn7_gamma and so on | backbone.bn7.weight and so on | (1), (3) |
| arg:linear1000_weight, _bias | left out: the classifier of ImageNet | (1), (3) |

(1) itijyou/ademxapp util/symbol/resnet_v2.py: rna_feat, res_block; (2) its symbol.py: bn;
(3) convert_mxnet_to_torch, which the PyTorch programs on this network share (network/resnet38d.py).
Branches 1, 2a, 2b1, 2b2 keep their names; both store convolutions as (out, in, height, width)."""

import re
import struct

from weight_files.tensor import DTYPE_BYTES, Tensor, WeightsError, count_elements, shown, widen

LIST_MAGIC = 0x112
V1_MAGIC, V2_MAGIC, V3_MAGIC = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
MAX_ARRAYS = 1000000
MAX_NAME_BYTES = 4096
DTYPES = {0: "F32", 1: "F64", 2: "F16", 3: "U8", 4: "I32", 5: "I8", 6: "I64", 7: "U8", 12: "BF16"}


class Cursor:
    """Reads on in a file, and knows before it allocates how much is left."""

    def __init__(self, file, file_bytes):
        self.file, self.left = file, file_bytes

    def need(self, n, what):
        if n > self.left:
            raise WeightsError(
                f"{what} needs {n} bytes, the file has {self.left} more: it is cut off or damaged"
            )

    def number(self, form, what):
        n = struct.calcsize(form)
        return struct.unpack(form, self.take(n, what))[0]

    def take(self, n, what):
        self.need(n, what)
        self.left -= n
        data = self.file.read(n)
        if len(data) != n:
            raise WeightsError(f"{what} could not be read: the file grew shorter")
        return data

    def skip(self, n, what):
        self.need(n, what)
        self.left -= n
        return self.file.seek(n, 1) - n


def read_shape(cursor, what, is_old, n_dimensions):
    if not is_old:
        n_dimensions = cursor.number("<i", what)
    if not 1 <= n_dimensions <= 8:
        raise WeightsError(
            f"{what} has {n_dimensions} dimensions, want 1 to 8: it is empty, damaged or of "
            "another kind"
        )
    return [cursor.number("<I" if is_old else "<q", what) for _ in range(n_dimensions)]


def read_array(cursor, what):
    """Element type, shape and place in the file of the next array."""
    magic = cursor.number("<I", what)
    if magic in (V2_MAGIC, V3_MAGIC):
        storage = cursor.number("<i", what)
        if storage != 0:
            raise WeightsError(
                f"{what} is of storage type {storage}; only dense arrays (0) are known"
            )
    is_old = magic not in (V1_MAGIC, V2_MAGIC, V3_MAGIC)
    shape = read_shape(cursor, what, is_old, magic)
    n = count_elements(what, shape)
    cursor.take(8, what)  # the device it lay on
    kind = cursor.number("<i", what)
    if kind not in DTYPES:
        raise WeightsError(
            f"{what} has element type {kind}, known are {', '.join(map(str, DTYPES))}"
        )
    dtype = DTYPES[kind]
    n_bytes = n * DTYPE_BYTES.get(dtype, 1)
    return dtype, shape, n_bytes, cursor.skip(n_bytes, what)


def read_name(cursor, i):
    what = f"name {i}"
    n = cursor.number("<Q", what)
    if n > MAX_NAME_BYTES:
        raise WeightsError(f"{what} claims {n} bytes, at most {MAX_NAME_BYTES} are allowed")
    try:
        return cursor.take(n, what).decode("utf-8")
    except UnicodeDecodeError:
        raise WeightsError(f"{what} is not UTF-8") from None


def fetcher(file, dtype, n_bytes, at):
    def fetch():
        file.seek(at)
        data = file.read(n_bytes)
        if len(data) != n_bytes:
            raise WeightsError(f"{n_bytes} bytes at {at} could not be read: the file grew shorter")
        return widen(data, "b") if dtype == "I8" else data

    return fetch


def resnet38_name(name):
    """Our name; "" for what is left out, None for what the model does not have."""
    if name == "arg:conv1a_weight":
        return "backbone.conv1a.weight"
    if name in ("arg:linear1000_weight", "arg:linear1000_bias"):
        return ""
    leaves = {
        "arg": {"gamma": "weight", "beta": "bias"},
        "aux": {"moving_mean": "running_mean", "moving_var": "running_var"},
    }
    match = re.fullmatch(r"arg:res([2-7])(?:a|b([1-9]))_(branch(?:1|2a|2b1|2b2))_weight", name)
    if match:
        level, block, branch = match.groups()
        return f"backbone.b{level}{'_' + block if block else ''}.conv_{branch}.weight"
    match = re.fullmatch(
        r"(arg|aux):bn(7|([2-7])(?:a|b([1-9]))_(branch(?:2a|2b1|2b2)))_(\w+)", name
    )
    leaf = match and leaves[match[1]].get(match[6])
    if not leaf:
        return None
    if match[2] == "7":
        return f"backbone.bn7.{leaf}"
    return f"backbone.b{match[3]}{'_' + match[4] if match[4] else ''}.bn_{match[5]}.{leaf}"


def our_names(names, scheme):
    if scheme == "keep":
        return [re.sub("^(arg|aux):", "", name) for name in names]
    ours = [resnet38_name(name) for name in names]
    unknown = [name for name, our in zip(names, ours) if our is None]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise WeightsError(
            f"ResNet38 has no {', '.join(shown(name) for name in unknown[:5])}{more}; "
            "for another network use --mxnet-names keep, and --rename"
        )
    return ours


def read(file, file_bytes, scheme):
    """The tensors of an open file, named by `scheme`: resnet38 or keep."""
    cursor = Cursor(file, file_bytes)
    if cursor.number("<Q", "its header") != LIST_MAGIC or cursor.number("<Q", "its header") != 0:
        raise WeightsError("does not begin as a list of MXNet arrays does")
    n = cursor.number("<Q", "its header")
    if n > MAX_ARRAYS:
        raise WeightsError(f"claims {n} arrays, at most {MAX_ARRAYS} are allowed")
    arrays = [read_array(cursor, f"array {i}") for i in range(n)]
    n_names = cursor.number("<Q", "its count of names")
    if n_names != n:
        raise WeightsError(f"has {n} arrays and {n_names} names; a model has a name for each")
    names = [read_name(cursor, i) for i in range(n)]
    if cursor.left:
        raise WeightsError(f"{cursor.left} bytes at its end belong to nothing")
    return [
        Tensor(our, "I32" if dtype == "I8" else dtype, shape, fetcher(file, dtype, n_bytes, at))
        for our, (dtype, shape, n_bytes, at) in zip(our_names(names, scheme), arrays)
        if our
    ]
