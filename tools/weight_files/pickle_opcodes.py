# SPDX-License-Identifier: MIT
"""A reader of the few pickle opcodes that PyTorch writes for tensors in dicts, lists and tuples.

Nothing is imported and nothing is called: a global is a mark with a name, of a fixed list, and
"calling" one builds a plain record here. Any other opcode or global is an error that names it."""

import struct

from weight_files.tensor import WeightsError, shown

STORAGE_TYPES = {  # torch.X: element type of the output, bytes an element takes in the file
    "FloatStorage": ("F32", 4),
    "DoubleStorage": ("F64", 8),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("U8", 1),
}
REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
ORDERED_DICT = "collections.OrderedDict"
GLOBALS = {REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT} | {
    "torch." + name for name in STORAGE_TYPES
}

HINT = "save the weights alone in PyTorch: torch.save(model.state_dict(), FILE)"
MARK = object()


class Global:
    def __init__(self, name):
        self.name = name


class Storage:
    def __init__(self, dtype, element_bytes, key, n):
        self.dtype, self.element_bytes, self.key, self.n = dtype, element_bytes, key, n


class StoredTensor:
    """A view of a storage, in elements."""

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides


def is_count(value):
    return type(value) is int and 0 <= value < 1 << 62


def are_counts(values):
    return type(values) is tuple and all(is_count(value) for value in values)


class Reader:
    """One pickle. Every object made is a dict, list, tuple, str, number, None or a class above."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.stack, self.memo = [], {}

    # ---- bytes ----------------------------------------------------------------------------------

    def take(self, n):
        if n > len(self.data) - self.at:
            raise WeightsError(f"its pickle ends within an opcode (byte {self.at})")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self):
        end = self.data.find(b"\n", self.at, self.at + 300)
        if end < 0:
            raise WeightsError(f"a name in its pickle does not end (byte {self.at})")
        return self.text(self.take(end + 1 - self.at)[:-1])

    def text(self, raw):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise WeightsError(f"a text in its pickle is not UTF-8 (byte {self.at})") from None

    # ---- stack ----------------------------------------------------------------------------------

    def pop(self):
        if not self.stack or self.stack[-1] is MARK:
            raise WeightsError(f"its pickle takes from an empty stack (byte {self.at})")
        return self.stack.pop()

    def pop_to_mark(self):
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise WeightsError(f"its pickle lacks a mark (byte {self.at})")

    def top(self, kind):
        if not self.stack or type(self.stack[-1]) is not kind:
            raise WeightsError(f"its pickle fills what is no {kind.__name__} (byte {self.at})")
        return self.stack[-1]

    # ---- what is built --------------------------------------------------------------------------

    def find_global(self, module, name):
        full = f"{module}.{name}"
        if full not in GLOBALS:
            raise WeightsError(f"its pickle asks for {shown(full)}, which is not executed; {HINT}")
        return Global(full)

    def set_items(self, items):
        target = self.top(dict)
        if len(items) % 2:
            raise WeightsError(f"a dict in its pickle has a key without a value (byte {self.at})")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in (str, int, float, bool, type(None)):
                raise WeightsError(
                    f"a dict in its pickle has a key of type {type(key).__name__}; {HINT}"
                )
            target[key] = value

    def reduce(self):
        arguments, function = self.pop(), self.pop()
        name = function.name if type(function) is Global else None
        if type(arguments) is tuple:
            if name == ORDERED_DICT and not arguments:
                return {}
            if name == REBUILD_TENSOR and len(arguments) in (6, 7):
                return self.tensor(*arguments[:4])
            if (
                name == REBUILD_PARAMETER
                and len(arguments) == 3
                and type(arguments[0]) is StoredTensor
            ):
                return arguments[0]
        what = shown(name) if name else "what is no known function"
        raise WeightsError(f"its pickle calls {what} with arguments that PyTorch does not write")

    def tensor(self, storage, offset, shape, strides):
        if not (
            type(storage) is Storage
            and is_count(offset)
            and are_counts(shape)
            and are_counts(strides)
            and len(shape) == len(strides)
        ):
            raise WeightsError(
                "a tensor of its pickle has no valid storage, offset, shape and strides "
                f"(byte {self.at})"
            )
        return StoredTensor(storage, offset, shape, strides)

    def storage(self):
        identity = self.pop()
        if not (
            type(identity) is tuple
            and len(identity) == 5
            and identity[0] == "storage"
            and type(identity[1]) is Global
            and type(identity[2]) is str
            and is_count(identity[4])
        ):
            raise WeightsError(
                f"its pickle refers to what is no storage of a tensor (byte {self.at})"
            )
        name = identity[1].name.removeprefix("torch.")
        if name not in STORAGE_TYPES:
            raise WeightsError(f"its pickle has a storage of type {shown(identity[1].name)}")
        return Storage(*STORAGE_TYPES[name], identity[2], identity[4])

    def build(self):
        # PyTorch hangs version numbers (_metadata) on a state_dict; nothing here depends on them.
        state = self.pop()
        self.top(dict)
        if type(state) is not dict:
            raise WeightsError(
                f"its pickle sets the state of a dict to a {type(state).__name__} (byte {self.at})"
            )

    def remember(self, number):
        if not self.stack or self.stack[-1] is MARK:
            raise WeightsError(f"its pickle remembers what is not there (byte {self.at})")
        self.memo[number] = self.stack[-1]

    def recall(self, number):
        if number not in self.memo:
            raise WeightsError(
                f"its pickle refers to object {number}, which is not there (byte {self.at})"
            )
        return self.memo[number]

    # ---- the loop -------------------------------------------------------------------------------

    def load(self):
        while True:
            opcode = self.take(1)
            if opcode == b".":
                result = self.pop()
                if self.stack:
                    raise WeightsError("its pickle ends with objects left over")
                return result
            action = OPCODES.get(opcode)
            if action is None:
                raise WeightsError(
                    f"its pickle has opcode 0x{opcode[0]:02x} at byte {self.at - 1}, which is not "
                    f"one of those PyTorch writes for tensors; {HINT}"
                )
            action(self)


def pushes(make):
    return lambda reader: reader.stack.append(make(reader))


def push_tuple(n):
    def action(reader):
        items = [reader.pop() for _ in range(n)]
        reader.stack.append(tuple(reversed(items)))

    return action


def protocol(reader):
    version = reader.number("<B")
    if not 2 <= version <= 5:
        raise WeightsError(f"its pickle has protocol {version}, known are 2 to 5")


def set_item(reader):
    value, key = reader.pop(), reader.pop()
    reader.set_items([key, value])


def append(reader):
    item = reader.pop()
    reader.top(list).append(item)


def appends(reader):
    items = reader.pop_to_mark()
    reader.top(list).extend(items)


def stack_global(reader):
    name, module = reader.pop(), reader.pop()
    if type(name) is not str or type(module) is not str:
        raise WeightsError(f"its pickle has a global without a name (byte {reader.at})")
    return reader.find_global(module, name)


OPCODES = {
    b"\x80": protocol,
    b"\x95": lambda reader: reader.take(8),  # FRAME: its length tells nothing that we need
    b"(": pushes(lambda reader: MARK),
    b"N": pushes(lambda reader: None),
    b"\x88": pushes(lambda reader: True),
    b"\x89": pushes(lambda reader: False),
    b"J": pushes(lambda reader: reader.number("<i")),
    b"K": pushes(lambda reader: reader.number("<B")),
    b"M": pushes(lambda reader: reader.number("<H")),
    b"\x8a": pushes(
        lambda reader: int.from_bytes(reader.take(reader.number("<B")), "little", signed=True)
    ),
    b"G": pushes(lambda reader: reader.number(">d")),
    b"X": pushes(lambda reader: reader.text(reader.take(reader.number("<I")))),
    b"\x8c": pushes(lambda reader: reader.text(reader.take(reader.number("<B")))),
    b"}": pushes(lambda reader: {}),
    b"]": pushes(lambda reader: []),
    b")": pushes(lambda reader: ()),
    b"t": pushes(lambda reader: tuple(reader.pop_to_mark())),
    b"\x85": push_tuple(1),
    b"\x86": push_tuple(2),
    b"\x87": push_tuple(3),
    b"s": set_item,
    b"u": lambda reader: reader.set_items(reader.pop_to_mark()),
    b"a": append,
    b"e": appends,
    b"c": pushes(lambda reader: reader.find_global(reader.line(), reader.line())),
    b"\x93": pushes(stack_global),
    b"R": pushes(Reader.reduce),
    b"b": Reader.build,
    b"Q": pushes(Reader.storage),
    b"q": lambda reader: reader.remember(reader.number("<B")),
    b"r": lambda reader: reader.remember(reader.number("<I")),
    b"\x94": lambda reader: reader.remember(len(reader.memo)),
    b"h": pushes(lambda reader: reader.recall(reader.number("<B"))),
    b"j": pushes(lambda reader: reader.recall(reader.number("<I"))),
}


def load(data):
    """The object that a pickle describes."""
    return Reader(data).load()
