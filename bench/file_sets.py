# SPDX-License-Identifier: MIT
"""Synthetic sets of pictures with masks in Pascal VOC's layout, for compare_files.py. Python's own library only.

Each picture shows an ellipse, a rectangle and a triangle of a colour each on a noisy background, all from one seed. Rows are
put together from slices of noise, so that a picture takes a millisecond and not a second."""
import os
import random
import struct
import zlib

CLASSES = ["background", "ellipse", "rectangle", "triangle"]
COLOURS = [(90, 90, 90), (190, 80, 60), (70, 180, 80), (80, 90, 200)]
NOISE = 40  # of 255, to either side of the colour


def write_png(path, size, n_channels, rows):
    """8 bits; `rows` are bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", size, size, 8, 0 if n_channels == 1 else 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


class Painter:
    def __init__(self, size, seed):
        self.size, self.random = size, random.Random(seed)
        self.noise = [self.noisy(colour) for colour in COLOURS]

    def noisy(self, colour):
        """Pixels of a colour, a few rows more than a picture needs."""
        n = 3 * self.size * (self.size + 8)
        return bytes(colour[i % 3] - NOISE + value * 2 * NOISE // 255 for i, value in enumerate(self.random.randbytes(n)))

    def spans(self):
        """For each class that is drawn, a function from a row to the columns [begin, end) or to None."""
        size, draw = self.size, self.random.uniform
        x, y, a, b = draw(0.2, 0.5) * size, draw(0.2, 0.8) * size, draw(0.1, 0.2) * size, draw(0.1, 0.2) * size

        def ellipse(row):
            t = 1 - ((row - y) / b) ** 2
            return (x - a * t ** 0.5, x + a * t ** 0.5) if t > 0 else None

        left, top, w, h = draw(0.4, 0.7) * size, draw(0, 0.6) * size, draw(0.15, 0.3) * size, draw(0.15, 0.4) * size

        def rectangle(row):
            return (left, left + w) if top <= row < top + h else None

        tip, first, height = draw(0.2, 0.8) * size, draw(0.5, 0.7) * size, draw(0.2, 0.3) * size

        def triangle(row):
            return (tip - (row - first) / 2, tip + (row - first) / 2) if first <= row < first + height else None

        return [ellipse, rectangle, triangle]

    def picture(self):
        """Rows of RGB, and rows of the mask."""
        size, starts, spans = self.size, [3 * self.random.randrange(7 * self.size) for _ in COLOURS], self.spans()
        image, mask = [], []
        for row in range(size):
            at = [start + 3 * size * row for start in starts]
            pixels, values = bytearray(self.noise[0][at[0]:at[0] + 3 * size]), bytearray(size)
            for kind, span in enumerate(spans, 1):
                ends = span(row)
                if ends:
                    begin, end = (min(max(round(x), 0), size) for x in ends)
                    pixels[3 * begin:3 * end] = self.noise[kind][at[kind] + 3 * begin:at[kind] + 3 * end]
                    values[begin:end] = bytes([kind]) * (end - begin)
            image.append(bytes(pixels))
            mask.append(bytes(values))
        return image, mask


def write_set(root, size, n, seed=1):
    """ROOT/JPEGImages, SegmentationClass, class_names.txt, and the list train, of all of them."""
    images, masks, lists = (os.path.join(root, *parts) for parts in
                            (["JPEGImages"], ["SegmentationClass"], ["ImageSets", "Segmentation"]))
    for folder in (images, masks, lists):
        os.makedirs(folder)
    painter = Painter(size, seed)
    names = [f"im{i:06d}" for i in range(n)]
    for name in names:
        image, mask = painter.picture()
        write_png(os.path.join(images, name + ".png"), size, 3, image)
        write_png(os.path.join(masks, name + ".png"), size, 1, mask)
    with open(os.path.join(lists, "train.txt"), "w", encoding="ascii") as file:
        file.writelines(name + "\n" for name in names)
    with open(os.path.join(root, "class_names.txt"), "w", encoding="ascii") as file:
        file.write("\n".join(CLASSES) + "\n")
