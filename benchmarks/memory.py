"""Memory that a dataset pass takes, beside a plain forward and backward pass: each in a process of its own."""

import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from contests import glocal_of_lcrp
from subjects import Logits, Subject, subject
from timing import Report

TARGETS = 3
PAGE = resource.getpagesize()


def memory(name: str, num_images: int) -> Report:
    """Peak beyond what the network itself takes, in bytes, for one chunk."""
    found = {
        kind: float(
            subprocess.run(
                [sys.executable, __file__, kind, name, str(num_images)], capture_output=True, text=True, check=True
            ).stdout
        )
        for kind in KINDS
    }
    return {
        **{f"{kind}, bytes": value for kind, value in found.items()},
        "lcrp / plain": found["lcrp"] / found["plain"],
    }


def plain(one: Subject, images: torch.Tensor) -> None:
    """A forward pass and the gradient of the first target of every image."""
    x = images.clone().requires_grad_()
    torch.autograd.grad(Logits(one.network, 1)(x).sum(), x)


KINDS: dict[str, Callable[[Subject, torch.Tensor], None]] = {
    "plain": plain,
    "lcrp": partial(glocal_of_lcrp, num_targets=TARGETS),
}


def main(kind: str, name: str, num_images: int) -> None:
    """Print the bytes by which memory grew at most."""
    torch.set_num_threads(2)
    one = subject(name)
    images = one.images(num_images)
    before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE
    KINDS[kind](one, images)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
