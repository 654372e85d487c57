"""A sampling profiler for a process of ours: where its service thread is, each millisecond.

A sample counts for the time since the one before, on the clock and on the thread's own processor
clock, so that a call into C, in which nobody can look, counts in full. It is put down to the
innermost function of the project: what a library does counts for the function that called it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Final

SAMPLE_S: Final = 0.001

_ROOT: Final = Path(__file__).parents[1]
_ROOMS: Final = tuple(f"{_ROOT / room}/" for room in ("energymarket", "services"))
_ELSEWHERE: Final = "elsewhere"


class Sampler:
    """Watches the thread that makes it, once ``start`` was called."""

    def __init__(self) -> None:
        self._watched = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._watched)
        self._names: dict[tuple[str, str], str] = {}
        self.begin()

    def start(self) -> None:
        """Samples until the process ends."""
        # The interpreter's own turn of 5 ms would be the finest grain of all.
        sys.setswitchinterval(SAMPLE_S / 2)
        threading.Thread(target=self._sample, name="sampler", daemon=True).start()

    def begin(self) -> None:
        """Counts from now on."""
        self._seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._process_s = time.process_time()

    def write(self, file: Path) -> None:
        """Writes what was counted: by function, seconds on the clock and of the processor; and the
        processor time of the whole process. The file is there when it is whole."""
        found = {
            "functions": {name: list(each) for name, each in list(self._seconds.items())},
            "process_cpu_s": time.process_time() - self._process_s,
        }
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(found))
        draft.rename(file)

    def _sample(self) -> None:
        before, before_cpu = time.perf_counter(), time.clock_gettime(self._clock)
        while True:
            time.sleep(SAMPLE_S)
            frame = sys._current_frames().get(self._watched)
            now, now_cpu = time.perf_counter(), time.clock_gettime(self._clock)
            counted = self._seconds[self._where(frame)]
            counted[0] += now - before
            counted[1] += now_cpu - before_cpu
            before, before_cpu = now, now_cpu

    def _where(self, frame: FrameType | None) -> str:
        """The innermost function of the project, as ``file function``."""
        while frame is not None:
            code = frame.f_code
            key = code.co_filename, code.co_qualname
            name = self._names.get(key)
            if name is None:
                ours = key[0].startswith(_ROOMS)
                place = key[0].removeprefix(f"{_ROOT}/")
                name = self._names[key] = f"{place} {key[1]}" if ours else ""
            if name:
                return name
            frame = frame.f_back
        return _ELSEWHERE
