"""Calls per second beside the progress bar."""

from __future__ import annotations

from smeft_unbinned.progress import Rate


def test_a_rate_is_calls_over_seconds() -> None:
    now = [10.0]
    rate = Rate(clock=lambda: now[0])
    assert str(rate) == "0 calls/s"
    rate.add(600)
    rate.add()
    assert rate.per_second == 0.0
    now[0] = 10.5
    assert rate.calls == 601
    assert rate.per_second == 1202.0
    assert str(rate) == "1,202 calls/s"
    now[0] = 610.0
    assert str(rate) == "1 calls/s"
    slow = Rate("fits", clock=lambda: now[0])
    slow.add()
    now[0] += 8.0
    assert str(slow) == "0.12 fits/s"
