"""What one answer of a network for ImageNet costs here: a ResNet-50 of random weights, since speed does not ask for others."""

import time

import numpy as np
import torch
from torch import nn

from adv_companion.pytorch import TorchModel
from adv_companion.smoothing import SmoothedClassifier


class Bottleneck(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        parts = []
        for k, (a, b, size, s) in enumerate(((inside, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1))):
            parts += [nn.Conv2d(a, b, size, s, size // 2, bias=False), nn.BatchNorm2d(b)] + [nn.ReLU()] * (k < 2)
        self.way = nn.Sequential(*parts)
        same = inside == 4 * width and stride == 1
        self.short = nn.Identity() if same else nn.Sequential(nn.Conv2d(inside, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        return torch.relu(self.way(x) + self.short(x))


def resnet50():
    parts = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(blocks):
            parts.append(Bottleneck(inside, width, stride if k == 0 else 1))
            inside = 4 * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000)).eval()


def seconds_per_answer(answers=128, repeats=4):
    """The least time of a noisy answer, in seconds: noise drawn, network run, vote counted."""
    image, least = torch.rand(1, 3 * 224 * 224), float("inf")
    smooth = SmoothedClassifier(TorchModel(resnet50(), (3, 224, 224)), 0.25, 1000)
    for seed in range(repeats):
        start = time.perf_counter()
        smooth.votes(image, answers, np.random.default_rng(seed))
        least = min(least, (time.perf_counter() - start) / answers)
    return least


if __name__ == "__main__":
    print(f"{sum(p.numel() for p in resnet50().parameters())} parameters, {1e3 * seconds_per_answer():.1f} ms an answer")
