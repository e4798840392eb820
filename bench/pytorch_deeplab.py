# SPDX-License-Identifier: MIT
"""DeepLabv1 LargeFOV on ResNet38d in PyTorch, with the parameter names of src/nn/resnet38.c and deeplab.c: the peer of the
VOC step. No dropout. Batch norm runs on batch statistics and its scales and shifts are not trained, as in the authors'
program (METHOD section 5)."""
import torch
from torch import nn
from torch.nn import functional as F

# name, middle and output channels in widths (0: bottleneck), stride, dilation of the first 3 x 3 and of the second
BLOCKS = ([("b2", 2, 2, 2, 1, 1), ("b2_1", 2, 2, 1, 1, 1), ("b2_2", 2, 2, 1, 1, 1),
           ("b3", 4, 4, 2, 1, 1), ("b3_1", 4, 4, 1, 1, 1), ("b3_2", 4, 4, 1, 1, 1), ("b4", 8, 8, 2, 1, 1)]
          + [(f"b4_{i}", 8, 8, 1, 1, 1) for i in range(1, 6)]
          + [("b5", 8, 16, 1, 1, 2), ("b5_1", 8, 16, 1, 2, 2), ("b5_2", 8, 16, 1, 2, 2),
             ("b6", 0, 32, 1, 1, 4), ("b7", 0, 64, 1, 1, 4)])


def conv(c_in, c_out, kernel, stride=1, dilation=1):
    return nn.Conv2d(c_in, c_out, kernel, stride, dilation if kernel == 3 else 0, dilation, bias=False)


def norm(channels):
    layer = nn.BatchNorm2d(channels, momentum=3e-4)
    layer.weight.requires_grad_(False)
    layer.bias.requires_grad_(False)
    return layer


class Block(nn.Module):
    def __init__(self, c_in, c_mid, c_out, stride, first, second):
        super().__init__()
        self.bn_branch2a = norm(c_in)
        if c_in != c_out or stride != 1:
            self.conv_branch1 = conv(c_in, c_out, 1, stride)
        if c_mid:
            self.conv_branch2a = conv(c_in, c_mid, 3, stride, first)
            self.bn_branch2b1 = norm(c_mid)
            self.conv_branch2b1 = conv(c_mid, c_out, 3, 1, second)
        else:
            self.conv_branch2a = conv(c_in, c_out // 4, 1, stride)
            self.bn_branch2b1 = norm(c_out // 4)
            self.conv_branch2b1 = conv(c_out // 4, c_out // 2, 3, 1, second)
            self.bn_branch2b2 = norm(c_out // 2)
            self.conv_branch2b2 = conv(c_out // 2, c_out, 1)

    def forward(self, x):
        y = F.relu(self.bn_branch2a(x))
        skip = self.conv_branch1(y) if hasattr(self, "conv_branch1") else x
        y = self.conv_branch2b1(F.relu(self.bn_branch2b1(self.conv_branch2a(y))))
        if hasattr(self, "bn_branch2b2"):
            y = self.conv_branch2b2(F.relu(self.bn_branch2b2(y)))
        return skip + y


class Backbone(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1a = conv(3, width, 3)
        c_in = width
        for name, c_mid, c_out, stride, first, second in BLOCKS:
            self.add_module(name, Block(c_in, c_mid * width, c_out * width, stride, first, second))
            c_in = c_out * width
        self.bn7 = norm(c_in)

    def forward(self, x):
        x = self.conv1a(x)
        for block in BLOCKS:
            x = getattr(self, block[0])(x)
        return F.relu(self.bn7(x))


class DeepLabV1(nn.Module):
    def __init__(self, n_categories, width):
        super().__init__()
        self.backbone = Backbone(width)
        head = 8 * width
        self.conv_fov = conv(64 * width, head, 3, 1, 12)
        self.bn_fov = nn.BatchNorm2d(head, momentum=3e-4)
        self.conv_fov2 = conv(head, head, 1)
        self.bn_fov2 = nn.BatchNorm2d(head, momentum=3e-4)
        self.cls_conv = nn.Conv2d(head, n_categories, 1)

    def forward(self, x):
        x = F.relu(self.bn_fov(self.conv_fov(self.backbone(x))))
        return self.cls_conv(F.relu(self.bn_fov2(self.conv_fov2(x))))
