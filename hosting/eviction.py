"""Which models stay when not all of them fit: the ones used last.

A tier of a multi-model container (its memory, its disk) has a budget; what was used longest ago
leaves first, and what is in use stays. SageMaker says that it unloads *unused* models under memory
pressure and deletes unused ones from a full disk, not in which order: least recently used is our
choice. Source: https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoints.html
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class DoesNotFitError(Exception):
    """There is no room, whatever is evicted.

    ``ever`` says whether waiting may help: some of the room is taken by what is in use now.
    """

    def __init__(self, message: str, *, ever: bool) -> None:
        super().__init__(message)
        self.ever = ever


class LeastRecentlyUsed(Generic[Name]):
    """What a tier holds, in order of use, and how much of its budget that takes.

    Sizes and the budget share a unit of the caller's, such as bytes.

    >>> tier = LeastRecentlyUsed[str](budget=10)
    >>> tier.admit("austin", 4), tier.admit("boise", 4)
    ([], [])
    >>> tier.touch("austin")
    >>> tier.admit("chicago", 5)
    ['boise']
    """

    def __init__(self, budget: int) -> None:
        if budget < 0:
            raise ValueError(f"budget must be 0 or more, got {budget}")
        self.budget = budget
        self.used = 0
        self._sizes: OrderedDict[Name, int] = OrderedDict()  # oldest use first
        self._pins: Counter[Name] = Counter()

    def __contains__(self, name: Name) -> bool:
        return name in self._sizes

    def __iter__(self) -> Iterator[Name]:
        """Every name, the one used longest ago first."""
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def size(self, name: Name) -> int:
        """What ``name`` takes of the budget."""
        return self._sizes[name]

    def touch(self, name: Name) -> None:
        """``name`` is used now."""
        self._sizes.move_to_end(name)

    def pin(self, name: Name) -> None:
        """Keep ``name`` until it is unpinned as often as it was pinned."""
        if name not in self._sizes:
            raise KeyError(name)
        self._pins[name] += 1

    def unpin(self, name: Name) -> None:
        """Take back one pin."""
        if name not in self._pins:
            raise KeyError(name)
        self._pins[name] -= 1
        if self._pins[name] == 0:
            del self._pins[name]

    def pinned(self, name: Name) -> bool:
        """Whether ``name`` is in use."""
        return name in self._pins

    def admit(self, name: Name, size: int) -> list[Name]:
        """Take ``name`` in as the one used last.

        Returns:
            What had to leave for it, oldest use first.

        Raises:
            DoesNotFitError: what is not in use does not make enough room; nothing has changed.
        """
        if name in self._sizes:
            raise ValueError(f"name must not be in the tier yet, got {name!r}")
        if size < 0:
            raise ValueError(f"size must be 0 or more, got {size}")
        evicted = self._victims(size)
        for victim in evicted:
            self.remove(victim)
        self._sizes[name] = size
        self.used += size
        return evicted

    def resize(self, name: Name, size: int) -> list[Name]:
        """``name`` turns out to take ``size``.

        That has happened already, so there is nothing to refuse: the tier is over its budget while
        what is in use, with ``name``, takes more than it.

        Returns:
            What leaves to come back within the budget, oldest use first; never ``name``.
        """
        if size < 0:
            raise ValueError(f"size must be 0 or more, got {size}")
        self.used += size - self._sizes[name]
        self._sizes[name] = size
        return self.shrink(keep=name)

    def shrink(self, *, keep: Name | None = None) -> list[Name]:
        """Evict until the budget is met or all that is left is in use, or ``keep``.

        Returns:
            What left, oldest use first.
        """
        evicted = []
        for victim in list(self._sizes):
            if self.used <= self.budget:
                break
            if victim != keep and victim not in self._pins:
                self.remove(victim)
                evicted.append(victim)
        return evicted

    def oldest_unused(self) -> Name | None:
        """What would leave next, if anything is not in use."""
        return next((name for name in self._sizes if name not in self._pins), None)

    def remove(self, name: Name) -> None:
        """``name`` has left, whether it was in use or not."""
        self.used -= self._sizes.pop(name)
        self._pins.pop(name, None)

    def _victims(self, size: int) -> list[Name]:
        room = self.budget - self.used
        victims: list[Name] = []
        for name, taken in self._sizes.items():
            if room >= size:
                break
            if name not in self._pins:
                victims.append(name)
                room += taken
        if room < size:
            raise DoesNotFitError(
                f"size must be at most {room} of {self.budget}, the rest is in use; got {size}",
                ever=size <= self.budget,
            )
        return victims
