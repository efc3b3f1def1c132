"""Convolutions by pixel, which one thread takes another way, beside torch's own, and their adjoints beside autograd."""

from collections.abc import Iterator

import pytest
import torch

from lcrp.composites.arithmetic import convolved
from lcrp.composites.operations.linear_map import Geometry, LinearMap


@pytest.fixture(params=[1, 2])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, is_last: bool) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))
    return values.contiguous(memory_format=torch.channels_last) if is_last else values


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("is_last", [True, False])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(
    ("batch", "kernel", "stride", "padding", "groups"),
    [
        *((3, 1, 1, 0, 1), (17, 1, 1, 0, 1), (3, 1, 2, 0, 1), (3, 1, 1, 1, 1)),
        *((2, 1, 1, 0, 4), (2, 3, 1, 1, 1), (0, 1, 1, 0, 1)),
    ],
)
def test_a_convolution_is_that_of_torch(batch, kernel, stride, padding, groups, is_last, has_bias):
    x, weight = drawn(batch, 8, 6, 5, is_last=is_last), drawn(12, 8 // groups, kernel, kernel, is_last=is_last)
    bias = drawn(12, is_last=False) if has_bias else None
    geometry = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups
    found = convolved(x, weight, bias, *geometry)
    doubled = None if bias is None else bias.double()
    expected = torch.convolution(x.double(), weight.double(), doubled, *geometry)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups"),
    [(1, 1, 0, 1), (1, 2, 0, 1), (1, 3, 1, 1), (1, 1, 0, 4), (3, 2, 1, 1), (3, 1, 1, 4)],
)
def test_an_adjoint_is_the_gradient(kernel, stride, padding, groups):
    x, weight = drawn(2, 8, 7, 6, is_last=True), drawn(12, 8 // groups, kernel, kernel, is_last=True)
    pair = [(one, one) for one in (stride, padding, 1, 0)]
    geometry = Geometry(stride=pair[0], padding=pair[1], dilation=pair[2], output_padding=pair[3], groups=groups)
    exact = x.double().requires_grad_()
    output = torch.nn.functional.conv2d(exact, weight.double(), None, pair[0], pair[1], pair[2], groups)
    upper = drawn(*output.shape, is_last=True)
    (expected,) = torch.autograd.grad(output, exact, upper.double())
    found = LinearMap(weight=weight, bias=None, geometry=geometry).adjoint(upper, x, weight)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_one_thread_computes_pixels_by_onednn():
    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        names: tuple[str, ...] = ()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names += (func.overloadpacket._qualified_op_name,)
            return func(*args, **(kwargs or {}))

    x, weight = torch.ones(1, 2, 3, 3), torch.ones(2, 2, 1, 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with Seen() as seen, torch.no_grad():
            convolved(x, weight, None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1)
    finally:
        torch.set_num_threads(before)
    is_there = torch.backends.mkldnn.is_available()
    assert seen.names == ("aten::mkldnn_convolution" if is_there else "aten::convolution",)
