"""PyTorch's caching allocator in small: what it reserves while it serves a list of allocations.

Rules of c10/cuda/CUDACachingAllocator.cpp: sizes round up to 512 bytes; up to 1 MiB comes from 2-MiB segments, the rest from segments of 20 MiB (below 10 MiB) or of
its own size in steps of 2 MiB; the smallest free block of the same stream that is large enough is taken, of several the one at the lowest address, and split where enough
remains; neighbours that are free become one. With expandable segments each stream has one segment that grows by pages at its end. Nothing is given back.
"""

MIB = 2**20


class Allocator:
    def __init__(self, expandable):
        self.expandable, self.reserved, self.segments, self.ends, self.free, self.used = expandable, 0, 0, {}, [], {}

    def allocate(self, key, size, stream):
        size = max(512, -(-size // 512) * 512)
        small = size <= MIB
        pool = (stream, small)
        fitting = [index for index, block in enumerate(self.free) if block[3] == pool and block[0] >= size]
        if not fitting:
            fitting = [self.grow(pool, size, small)]
        length, segment, start, _ = self.free.pop(min(fitting, key=lambda index: self.free[index][:3]))
        if length - size >= 512 if small else length - size > MIB:
            self.free.append((length - size, segment, start + size, pool))
            length = size
        self.used[key] = (length, segment, start, pool)

    def grow(self, pool, size, small):
        if not self.expandable:
            length = 2 * MIB if small else 20 * MIB if size < 10 * MIB else -(-size // (2 * MIB)) * 2 * MIB
            self.segments += 1
            self.free.append((length, self.segments, 0, pool))
            self.reserved += length
            return len(self.free) - 1
        page, end = (2 if small else 20) * MIB, self.ends.get(pool, 0)
        last = next((i for i, block in enumerate(self.free) if block[3] == pool and block[2] + block[0] == end), None)
        held = self.free[last] if last is not None else (0, 0, end, pool)
        more = -(-(size - held[0]) // page) * page
        if last is not None:
            self.free.pop(last)
        self.free.append((held[0] + more, 0, held[2], pool))
        self.ends[pool] = end + more
        self.reserved += more
        return len(self.free) - 1

    def release(self, key):
        length, segment, start, pool = self.used.pop(key)
        rest = []
        for block in self.free:
            if block[3] != pool or block[1] != segment:
                rest.append(block)
            elif block[2] + block[0] == start:
                start, length = block[2], length + block[0]
            elif start + length == block[2]:
                length += block[0]
            else:
                rest.append(block)
        self.free = [*rest, (length, segment, start, pool)]


def reserved(events, expandable):
    """Bytes. Events are (key, size, stream) for an allocation, (key,) where it is freed."""
    allocator = Allocator(expandable)
    for event in events:
        if len(event) == 3 and event[1] > 0:
            allocator.allocate(*event)
        elif event[0] in allocator.used:
            allocator.release(event[0])
    return allocator.reserved
