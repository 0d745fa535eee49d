"""Entropy parameters are integers: equal to an int64 reference, in any order of summation."""

import pytest
import torch

from vcm.codec.nets.integer import ACTIVATION_MAX, IntConv2d, compand, relu_int


def _reference(conv, a):
    """The same convolution with Python-exact int64 arithmetic."""
    weight, bias, scale = (t.detach() for t in conv.scaled())
    patches = torch.nn.functional.unfold(a, conv.kernel_size, padding=conv.padding).long()
    total = torch.einsum("oi,bin->bon", weight.flatten(1).long(), patches) + bias.long()[:, None]
    return total.view(len(a), -1, *a.shape[2:]) / scale[:, None, None].double()


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("spread", [0.02, 1.0, 30.0])
def test_equals_int64(kernel, spread):
    torch.manual_seed(0)
    conv = IntConv2d(192, 16, kernel).eval()
    torch.nn.init.normal_(conv.weight, std=spread)
    torch.nn.init.normal_(conv.bias, std=spread)
    a = torch.randint(-ACTIVATION_MAX, ACTIVATION_MAX + 1, (2, 192, 5, 6)).float()
    assert torch.equal(conv(a).double(), _reference(conv, a))


def test_no_partial_sum_reaches_the_limit_of_float32():
    conv = IntConv2d(400, 8, 3)
    torch.nn.init.constant_(conv.weight, 0.37)
    weight, bias, _ = conv.scaled()
    assert weight.abs().sum((1, 2, 3)).max() * ACTIVATION_MAX + bias.abs().max() < 2**24
    assert weight.abs().max() <= 127 and weight.abs().max() > 0


def test_frozen_equals_derived():
    conv = IntConv2d(8, 8, 3).eval()
    a = torch.randint(0, 256, (1, 8, 4, 4)).float()
    before = conv(a)
    conv.freeze()
    assert torch.equal(conv(a), before)


@pytest.mark.parametrize("change", ["a step", "in place", "loaded", "replaced", "moved"])
def test_a_frozen_layer_computes_what_its_parameters_say(change):
    conv, other = IntConv2d(8, 8, 3), IntConv2d(8, 8, 3)
    a = torch.randint(0, 256, (1, 8, 4, 4)).float()
    conv.requires_grad_(False).eval().freeze()
    before = conv(a)
    assert conv.frozen() is not None and torch.equal(conv.relu(a.byte()).float(), conv.relu(a))
    if change == "a step":  # in evaluation mode, and frozen again by nobody
        conv.bias.requires_grad_()
        conv(a).square().sum().backward()
        assert conv.bias.grad.abs().sum() > 0
        torch.optim.SGD([conv.bias], 1e-6).step()
        conv.requires_grad_(False)
    elif change == "in place":
        conv.weight.mul_(-1)
    elif change == "loaded":
        conv.load_state_dict(other.state_dict())
    elif change == "replaced":
        conv.weight = other.weight
    elif change == "moved":
        conv.weight.data = other.weight.data
    plain = IntConv2d(8, 8, 3).eval()
    plain.load_state_dict(conv.state_dict())
    assert conv.frozen() is None
    assert torch.equal(conv(a), plain(a)) and not torch.equal(conv(a), before)
    assert torch.equal(conv.relu(a.byte()), plain.relu(a).byte())


@pytest.mark.parametrize(("signed", "groups", "size"), [(True, 1, 3), (False, 1, 3), (False, 4, 1)])
def test_bytes_give_what_floats_give(signed, groups, size):
    """Also at the largest sums, where older processors' instructions for bytes overflow."""
    torch.manual_seed(0)
    conv = IntConv2d(64, 32, size, groups=groups, signed=signed).eval()
    torch.nn.init.uniform_(conv.bias, -5, 5)
    low, high = (-127, 127) if signed else (0, 255)
    drawn = torch.randint(low, high + 1, (2, 64, 7, 5)).float()
    for weight in (conv.weight.detach(), conv.weight.sign() / 2):
        torch.nn.init.zeros_(conv.weight)
        conv.weight.data += weight
        conv.freeze()
        for a in (drawn, torch.full_like(drawn, low), torch.full_like(drawn, high)):
            stored = (a + conv.zero).to(torch.uint8)
            assert torch.equal(conv(stored), conv(a))
            activated = conv.relu(stored)
            assert activated.dtype == torch.uint8
            assert torch.equal(activated.float(), relu_int(conv(a)))


def test_gradient_passes_the_rounding():
    conv = IntConv2d(3, 4, 3)
    a = torch.rand(1, 3, 4, 4, requires_grad=True)
    relu_int(conv(a) + 5).sum().backward()
    assert conv.weight.grad.abs().sum() > 0 and a.grad.abs().sum() > 0


def test_compand_is_odd_monotone_and_bounded():
    v = torch.arange(-5000, 5001).float()
    c = compand(v)
    assert torch.equal(c, -c.flip(0)) and (c.diff() >= 0).all() and c.abs().max() <= 127
    assert torch.equal(c, c.round()) and c[5000] == 0 and c[5016] > 0
