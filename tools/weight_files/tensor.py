# SPDX-License-Identifier: MIT
"""What the readers hand to the writer: named tensors, their bytes fetched only when written."""

import array
import sys

# Element types of the engine's reader (src/base/safetensors.h) and their bytes.
DTYPE_BYTES = {"U8": 1, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}

MAX_DIMENSIONS = 8  # SAFETENSORS_MAX_DIMENSIONS
MAX_ELEMENTS = 1 << 53  # extents and their product stay exact in JSON's doubles


class WeightsError(Exception):
    """What is wrong with a file, in one line: the only error that a reader raises."""


def shown(value):
    """A name or number from a file as it may stand in a one-line message."""
    if type(value) not in (str, int, float, bool, type(None)):
        return f"a {type(value).__name__}"
    line = ascii(value)
    return line if len(line) <= 120 else line[:117] + "..."


def count_elements(what, shape):
    """The product of a shape's extents; refuses what no tensor has."""
    if len(shape) > MAX_DIMENSIONS:
        raise WeightsError(
            f"{what} has {len(shape)} dimensions, at most {MAX_DIMENSIONS} are known"
        )
    n, is_empty = 1, False
    for extent in shape:
        if type(extent) is not int or not 0 <= extent <= MAX_ELEMENTS:
            raise WeightsError(f"{what}: an extent of its shape is not a count: {shown(extent)}")
        is_empty = is_empty or extent == 0
        n *= max(extent, 1)
        if n > MAX_ELEMENTS:
            raise WeightsError(f"{what}: its shape {list(shape)} has too many elements")
    return 0 if is_empty else n


def widen(data, code):
    """Integers of array's type `code` as those of 32 bits; both little endian."""
    narrow = array.array(code, data)
    if sys.byteorder == "big":
        narrow.byteswap()
    wide = array.array("i", narrow)
    if sys.byteorder == "big":
        wide.byteswap()
    return wide.tobytes()


class Tensor:
    """Name, element type, shape; `fetch()` gives the elements in C order, little endian."""

    def __init__(self, name, dtype, shape, fetch):
        self.name = name
        self.dtype = dtype
        self.shape = list(shape)
        self.n_bytes = count_elements(f"tensor {shown(name)}", self.shape) * DTYPE_BYTES[dtype]
        self.fetch = fetch
