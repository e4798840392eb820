#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a .safetensors file for model.init of weights in another format. Executes nothing it reads.

    convert_weights.py WEIGHTS OUT.safetensors [--drop NAME]... [--rename OLD=NEW]...
    convert_weights.py --list WEIGHTS

WEIGHTS is, told by its first bytes:
  PyTorch      .pth, .pt (since PyTorch 1.6): a dict of tensors, or one under "state_dict",
               "model" or --key; "module." before every name is left out
  MXNet        .params: the ResNet38 of ImageNet gets this program's names;
               --mxnet-names keep leaves names as they are
  safetensors  also checkpoints of adele: their weights under PyTorch's names

OLD and NAME are whole names, or beginnings when they end with a dot; an empty OLD stands for the
beginning of every name: --rename =backbone. puts "backbone." before all. They apply in the order
given, after --drop, and one that fits no name is an error. Ends with 0, or with 1 and one line on
what is wrong."""

import argparse
import os
import sys

sys.dont_write_bytecode = True

from weight_files import mxnet, pytorch, safetensors_file  # noqa: E402
from weight_files.tensor import WeightsError, shown  # noqa: E402

MAX_OUTPUT_FACTOR = 16  # tensors may share a storage, but no honest file grows more than this
MIN_OUTPUT_LIMIT = 1 << 20


def read(file, file_bytes, key, scheme):
    """The tensors of an open file of any of the formats. It stays open until they are written."""
    begin = file.read(9)
    file.seek(0)
    if begin[:4] == b"PK\x03\x04":
        return pytorch.read(file, file_bytes, key)
    if begin[:8] == mxnet.LIST_MAGIC.to_bytes(8, "little"):
        return mxnet.read(file, file_bytes, scheme)
    if begin[8:9] == b"{":
        return safetensors_file.read(file, file_bytes)
    if begin[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
        raise WeightsError(
            "is of PyTorch before 1.6: load it there and save it again with torch.save"
        )
    raise WeightsError("is none of: PyTorch (zip), MXNet arrays, safetensors")


def fits(name, pattern):
    return name == pattern or (pattern.endswith(".") or not pattern) and name.startswith(pattern)


def rename(tensors, drops, renames):
    for pattern in drops:
        kept = [tensor for tensor in tensors if not fits(tensor.name, pattern)]
        if len(kept) == len(tensors):
            raise WeightsError(f"has no tensor {shown(pattern)} to drop; --list shows the names")
        tensors = kept
    for old, new in renames:
        found = [tensor for tensor in tensors if fits(tensor.name, old)]
        if not found:
            raise WeightsError(f"has no tensor {shown(old)} to rename; --list shows the names")
        for tensor in found:
            tensor.name = new + tensor.name[len(old) :]
    return tensors


def check_names(tensors, file_bytes):
    names = set()
    for tensor in tensors:
        name = tensor.name
        if (
            not name
            or "\0" in name
            or name == "__metadata__"
            or any("\ud800" <= c <= "\udfff" for c in name)
        ):
            raise WeightsError(
                f"has a tensor that cannot be named {shown(name)} in the output; see --rename"
            )
        if name in names:
            raise WeightsError(
                f"would have two tensors named {shown(name)} in the output; see --rename and --drop"
            )
        names.add(name)
    if not tensors:
        raise WeightsError("has no tensors to write")
    total = sum(tensor.n_bytes for tensor in tensors)
    if total > max(MAX_OUTPUT_FACTOR * file_bytes, MIN_OUTPUT_LIMIT):
        raise WeightsError(
            f"has {file_bytes} bytes and would become {total}: its tensors share their storages "
            "too often"
        )


def convert(args, file):
    file_bytes = os.fstat(file.fileno()).st_size
    tensors = rename(read(file, file_bytes, args.key, args.mxnet_names), args.drop, args.rename)
    check_names(tensors, file_bytes)
    if args.list:
        for tensor in tensors:
            print(f"{shown(tensor.name)[1:-1]}  {tensor.dtype}  {tensor.shape}")
    else:
        safetensors_file.write(args.out, tensors)
        print(
            f"{args.out}: {len(tensors)} tensors, {sum(tensor.n_bytes for tensor in tensors)} bytes"
        )


def old_and_new(text):
    old, sign, new = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not OLD=NEW")
    return old, new


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", metavar="WEIGHTS")
    parser.add_argument("out", metavar="OUT.safetensors", nargs="?")
    parser.add_argument(
        "--list", action="store_true", help="print name, element type and shape of each tensor"
    )
    parser.add_argument(
        "--drop", metavar="NAME", action="append", default=[], help="leave tensors out"
    )
    parser.add_argument(
        "--rename", metavar="OLD=NEW", action="append", default=[], type=old_and_new
    )
    parser.add_argument("--key", help="PyTorch: the dict of tensors lies under this key")
    parser.add_argument("--mxnet-names", choices=["resnet38", "keep"], default="resnet38")
    args = parser.parse_args()
    if args.list != (args.out is None):
        parser.error("give either OUT.safetensors or --list")
    if args.out is not None and not args.out.endswith(".safetensors"):
        parser.error(f"{args.out} does not end with .safetensors")
    return args


def main():
    args = parse_arguments()
    try:
        with open(args.weights, "rb") as file:
            convert(args, file)
    except WeightsError as error:
        print(f"convert_weights.py: {args.weights}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"convert_weights.py: {error.filename or args.weights}: {error.strerror or error}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
