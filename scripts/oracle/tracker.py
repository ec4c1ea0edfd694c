"""Counts the bytes that PyTorch has allocated, operation by operation, without a GPU and without the memory.

Tensors are fake (shapes and dtypes alone), so a step of a model of real width runs in seconds. Every storage that an operation makes is counted until it is freed, as
torch.cuda.memory_allocated would; what a kernel needs inside of itself is not seen.
"""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default}


class Tracker(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.live, self.freed, self.total, self.phase, self.peaks, self.at = {}, {}, 0, "start", {}, {}
        self.stream, self.events, self.names = "compute", [], {}
        self.workspace, self.thread, self.threads = 0, None, set()

    def track(self, tensor, operation="model"):
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.live:
            return
        size = storage.nbytes()
        self.live[key] = (size, operation, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        self.total += size
        self.happen(key, size, self.stream)
        self.freed[key] = weakref.ref(storage, lambda _: self.forget(key))

    def forget(self, key):
        self.total -= self.live.pop(key)[0]
        self.events.append((self.names[key][0],))

    def happen(self, key, size, stream):
        """For the allocator: a storage that is made again has another name."""
        self.names[key] = (len(self.events), stream)
        self.events.append((len(self.events), size, stream))

    def note(self):
        if self.total > self.peaks.get(self.phase, 0):
            self.peaks[self.phase] = self.total
            self.at[self.phase] = list(self.live.values())

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(kind.__name__ == "DTensor" for kind in types):
            return NotImplemented  # its local operations come here by themselves
        result = function(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, torch.Tensor):
                self.track(tensor, str(function))
        self.note()
        if function in PRODUCTS and self.workspace and self.thread not in self.threads:
            # The first product of a thread takes a workspace that stays: for the allocator alone, since a peak counts tensors.
            self.threads.add(self.thread)
            self.events.append((len(self.events), self.workspace, self.stream))
        return result

    def resize(self, storage, size):
        """FSDP frees and makes storages again by resizing them."""
        result = self.resize_storage(storage, size)
        if (key := storage._cdata) in self.live:
            old, *rest = self.live[key]
            self.live[key] = (size, *rest)
            self.total += size - old
            self.events.append((self.names[key][0],))
            self.happen(key, size, self.names[key][1])
        self.note()
        return result

    def __enter__(self):
        self.resize_storage = torch.UntypedStorage.resize_
        torch.UntypedStorage.resize_ = lambda storage, size: self.resize(storage, size)
        return super().__enter__()

    def __exit__(self, *error):
        torch.UntypedStorage.resize_ = self.resize_storage
        return super().__exit__(*error)

    def describe(self, phase, rows=30):
        """What was alive at the peak of a phase, the largest first."""
        groups = {}
        for size, operation, shape, dtype in self.at[phase]:
            group = groups.setdefault((operation, shape, dtype), [0, 0])
            group[0] += size
            group[1] += 1
        lines = [f"{phase}: {self.peaks[phase] / 2**20:.1f} MiB"]
        for (operation, shape, dtype), (size, count) in sorted(groups.items(), key=lambda one: -one[1][0])[:rows]:
            lines.append(f"  {size / 2**20:10.2f} MiB in {count:3} {dtype:9} {shape} {operation}")
        return "\n".join(lines)
