"""A stand-in for a GPU: code that runs on it keeps its tensors where a GPU would need them, and no GPU is there.

with fake_gpu():
    train(task, plan, folder, device=GPU)

A tensor on it says that it is on a device that nobody has, `lazy:0`; its values are behind it, on the CPU. So results
are those of the CPU, and what a GPU refuses is an error: an operation on tensors of both devices, `numpy()`, a
generator of the CPU. It knows no sparse tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from vitruve.threads import one_torch_thread

GPU = "lazy:0"
_DEVICE = torch.device(GPU)
# As on a GPU, these may be asked for with places that are on the CPU.
_PLACES_ON_CPU = ("aten::index", "aten::index_put_", "aten::index_put", "aten::_unsafe_index")
_COPY = "aten::copy_"  # into a tensor that is there, from any device


class _OnGpu(Tensor):
    """A tensor on the stand-in; `values` are on the CPU."""

    values: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, values: Tensor) -> _OnGpu:
        made = Tensor._make_wrapper_subclass(
            cls, values.shape, strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype,
            device=_DEVICE, requires_grad=values.requires_grad,
        )  # fmt: skip
        made.values = values
        return made

    def tolist(self) -> Any:
        return self.values.tolist()

    def __format__(self, spec: str) -> str:
        return format(self.values, spec)

    def __repr__(self) -> str:
        return f"{self.values!r} on the GPU"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _FakeGpu(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do on the CPU what a GPU would do, or refuse."""
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    on_gpu = [tensor for tensor in tensors if isinstance(tensor, _OnGpu)]
    asked = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    to_gpu = bool(on_gpu) if asked is None else asked.type == _DEVICE.type
    if kwargs.get("generator") is not None and to_gpu:
        raise RuntimeError(f"{name}: the generator is on the CPU, the tensor on the GPU")
    if not on_gpu and not to_gpu:
        return func(*args, **kwargs)
    if on_gpu and name != _COPY:
        free = tree_leaves(args[1]) if name in _PLACES_ON_CPU and isinstance(args[0], _OnGpu) else []
        wrong = [t for t in tensors if not isinstance(t, _OnGpu) and t.ndim and not any(t is place for place in free)]
        if wrong:
            raise RuntimeError(f"{name}: a tensor {list(wrong[0].shape)} on the CPU, others on the GPU")
    behind = {id(tensor.values): tensor for tensor in on_gpu}
    args, kwargs = tree_map(lambda leaf: leaf.values if isinstance(leaf, _OnGpu) else leaf, (args, kwargs))
    if asked is not None:
        kwargs["device"] = torch.device("cpu")
    out = func(*args, **kwargs)
    if asked is not None and any(out is tensor for tensor in tensors):
        out = out.clone()
    if name == _COPY:
        return behind.get(id(out), out)
    return tree_map(lambda leaf: _there(leaf, behind, to_gpu), out)


def _there(leaf: Any, behind: dict[int, _OnGpu], to_gpu: bool) -> Any:
    """A result where it belongs: what was changed in place is the tensor that was given."""
    if not isinstance(leaf, Tensor) or not to_gpu:
        return leaf
    return behind[id(leaf)] if id(leaf) in behind else _OnGpu(leaf)


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Inside, the device `GPU` behaves as one does. Work runs on one thread: others would not know."""
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(
        True
    )  # so that torch.tensor(..., device=GPU) asks for a copy, as any other does
    try:
        with one_torch_thread(), _FakeGpu():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
