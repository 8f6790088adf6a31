"""A stand-in for a GPU: code that runs on it keeps its tensors where a GPU would need them, and no GPU is there.

with fake_gpu():
    train(task, plan, folder, device="meta")

Tensors on torch's device `meta` have shapes and types, no values. The mode below adds what a GPU does: an operation on
tensors of both devices is an error, and a value can be read, or copied to the CPU (it is one, or ones).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READS = ("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::equal")
_COPIES = ("aten::_to_copy", "aten::copy_")
# As on a GPU, these may be asked for with places that are on the CPU.
_PLACES_ON_CPU = ("aten::index", "aten::index_put_", "aten::index_put")


class _FakeGpu(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_gpu = [tensor.is_meta for tensor in tensors]
        if kwargs.get("generator") is not None and (any(on_gpu) or str(kwargs.get("device")) == "meta"):
            raise RuntimeError(f"{name}: the generator is on the CPU, the tensor on the GPU")
        if not any(on_gpu):
            return func(*args, **kwargs)
        if name in _COPIES:
            return self._copy(name, func, args, kwargs)
        free = tree_leaves(args[1]) if name in _PLACES_ON_CPU and on_gpu[0] else []
        wrong = [t for t in tensors if not t.is_meta and t.ndim and not any(t is place for place in free)]
        if wrong:
            raise RuntimeError(f"{name}: a tensor {list(wrong[0].shape)} on the CPU, others on the GPU")
        if name in _READS:
            return 1.0 if tensors[0].is_floating_point() else 1
        return func(*args, **kwargs)

    def _copy(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        if name == "aten::copy_":  # into a tensor that is there
            target, source = args[:2]
            return target.fill_(1) if source.is_meta and not target.is_meta else target
        device = torch.device(kwargs.get("device") or args[0].device)
        if device.type == "cpu":
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        return func(*args, **kwargs)


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Inside, the device `meta` behaves as a GPU does."""
    with warnings.catch_warnings(), _FakeGpu():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        yield
