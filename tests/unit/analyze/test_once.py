"""What is computed of a record is computed once."""

import dataclasses

from harness.analyze.once import once


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True)
class Number:
    value: int


def counted():
    calls = []

    @once
    def product(number, factor=2):
        calls.append((number.value, factor))
        return number.value * factor

    return product, calls


def test_a_record_is_computed_once():
    """However often it is asked for."""
    product, calls = counted()
    number = Number(3)
    assert (product(number), product(number)) == (6, 6)
    assert calls == [(3, 2)]


def test_another_argument_is_another_result():
    """By its value."""
    product, calls = counted()
    number = Number(3)
    assert (product(number), product(number, 5), product(number, 5)) == (6, 15, 15)
    assert calls == [(3, 2), (3, 5)]


def test_equal_records_are_told_apart():
    """To compare them would take long."""
    product, calls = counted()
    one, other = Number(3), Number(3)
    assert product(one) == product(other)
    assert len(calls) == 2


def test_nothing_is_kept_of_a_record_that_is_gone():
    """A later one may get its place in memory."""
    product, _ = counted()
    assert [product(Number(value)) for value in range(4)] == [0, 2, 4, 6]
