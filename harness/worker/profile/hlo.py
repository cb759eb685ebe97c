"""Read a compiled program of XLA: which layer each of its instructions is for.

The program is in the trace as a message of protocol buffers. The numbers of its fields are those of
`xla/service/hlo.proto`, which never change; the classes for it would import TensorFlow.

XLA keeps the scopes of most instructions. Those that it makes itself have none: an operation whose
results go to a layer is for that layer, and one whose results go to the optimizer is the gradient
of the variable that is changed there. A copy of a result is for what made the result.
"""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.worker.profile.scopes import is_backward, row_of

Row = tuple[str | None, bool]  # a layer or a part of the step, and whether it computes gradients
UNKNOWN: Row = (None, False)
_OPTIMIZER = "optimizer"
_NOTHING = ("parameter", "constant")  # instructions that take no time
_COPIES = ("copy", "bitcast", "transpose", "get-tuple-element")
# `data[0][0][4]`: the fifth trainable variable in the state that the step is called with.
_VARIABLE = re.compile(r"^\w+(?:\[0\])?\[0\]\[(\d+)\]$")


@dataclass(frozen=True, slots=True)
class _Instruction:
    name: str
    opcode: str
    paths: tuple[str, ...]  # in the scopes of the model; empty or one
    operands: tuple[int, ...]
    called: tuple[int, ...]  # computations


def rows(program: bytes, variables: Sequence[str | None]) -> dict[str, Row]:
    """Map the instructions of a program to layers, where they are known.

    Args:
        program: The serialized `HloProto`.
        variables: The rows of the layers that own the trainable variables, in their order.
    """
    computations = read(program)
    found: dict[str, Row] = {}
    for instructions in computations.values():
        inner = {
            number: [
                path
                for one in its.called
                for i in computations.get(one, {}).values()
                for path in i.paths
            ]
            if its.opcode == "fusion"
            else []
            for number, its in instructions.items()
        }
        found |= _Program(instructions, inner, variables).rows()
    return found


class _Program:
    """The instructions of one computation, by their numbers."""

    def __init__(
        self,
        instructions: dict[int, _Instruction],
        inner: dict[int, list[str]],
        variables: Sequence[str | None],
    ) -> None:
        self._its = instructions
        self._variables = variables
        self._users = defaultdict(list)
        for number, one in instructions.items():
            for operand in one.operands:
                self._users[operand].append(number)
        self._own = {n: _marked([*one.paths, *inner[n]]) for n, one in instructions.items()}

    def rows(self) -> dict[str, Row]:
        known = dict(self._own)
        for number in reversed(self._its):  # users come after what they use
            if known[number] == UNKNOWN:
                known[number] = self._by_users(number, known)
        for number, one in self._its.items():  # a copy of a result that nothing else uses
            if known[number] == UNKNOWN and one.opcode in _COPIES:
                known[number] = known[one.operands[0]]
        return {
            one.name: known[number]
            for number, one in self._its.items()
            if one.opcode not in _NOTHING and known[number] != UNKNOWN
        }

    def _by_users(self, number: int, known: dict[int, Row]) -> Row:
        users = [known[user] for user in self._users[number]]
        layers = Counter(row for row in users if row[0] not in (None, _OPTIMIZER))
        if layers:
            return layers.most_common(1)[0][0]
        if any(row[0] == _OPTIMIZER for row in users):
            changed = self._changed(number)
            return (_OPTIMIZER, False) if changed is None else (changed, True)
        return UNKNOWN

    def _changed(self, number: int) -> str | None:
        """The layer whose variable the optimizer changes by a result: the nearest on its way."""
        waiting, seen = deque([number]), {number}
        while waiting:
            for user in self._users[waiting.popleft()]:
                if user in seen or self._own[user][0] not in (None, _OPTIMIZER):
                    continue
                seen.add(user)
                waiting.append(user)
                for operand in self._its[user].operands:
                    if (layer := self._owner(operand)) is not None:
                        return layer
        return None

    def _owner(self, number: int) -> str | None:
        """The layer of the variable that an operand is, perhaps in another layout.

        JAX names its variables; one of TensorFlow is that of the layer that reads it.
        """
        while self._its[number].opcode in _COPIES:
            (number, *_) = self._its[number].operands
        for path in self._its[number].paths:
            match = _VARIABLE.match(path)
            if match and int(match[1]) < len(self._variables):
                return self._variables[int(match[1])]
        if self._its[number].opcode != "parameter":
            return None
        rows = (self._own[reader][0] for reader in self._readers(number))
        layers = Counter(row for row in rows if row is not None and row.isdigit())
        return max(layers, key=lambda row: layers[row], default=None)

    def _readers(self, number: int) -> Iterator[int]:
        """Yield what uses a result, or a copy of the result."""
        for user in self._users[number]:
            if self._its[user].opcode in _COPIES:
                yield from self._readers(user)
            else:
                yield user


def _marked(paths: Sequence[str]) -> Row:
    """The row of an instruction by its own path, else the one that most of what it fuses have."""
    found = [(row, is_backward(path)) for path in paths if (row := row_of(path)) is not None]
    if not found:
        return UNKNOWN
    return found[0] if row_of(paths[0]) is not None else Counter(found).most_common(1)[0][0]


def read(program: bytes) -> dict[int, dict[int, _Instruction]]:
    """The computations of a program by their numbers, each with its instructions by theirs."""
    found = {}
    for module in _fields(program)[1]:  # HloProto
        for computation in map(_fields, _fields(module)[3]):  # HloModuleProto
            instructions = {}
            for its in map(_fields, computation[2]):  # HloComputationProto
                metadata = [path for one in its[7] for path in _fields(one)[2]]  # OpMetadata
                (number,) = _numbers(its[35])
                instructions[number] = _Instruction(
                    name=its[1][0].decode(),
                    opcode=its[2][0].decode(),
                    paths=tuple(path.decode() for path in metadata),
                    operands=tuple(_numbers(its[36])),
                    called=tuple(_numbers(its[38])),
                )
            (number,) = _numbers(computation[5])
            found[number] = instructions
    return found


def _numbers(values: Sequence[Any]) -> Iterator[int]:
    """Yield the integers of a field; several may be packed into bytes of variable length."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        number = shift = 0
        for byte in value:
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                yield number
                number = shift = 0


def _fields(message: bytes) -> defaultdict[int, list[Any]]:
    """The values of the fields of a message by their numbers: bytes, or integers."""
    # It has no types.
    from google.protobuf import empty_pb2, unknown_fields  # type: ignore[import-untyped]

    parsed = empty_pb2.Empty()
    parsed.ParseFromString(message)
    found = defaultdict(list)
    for one in unknown_fields.UnknownFieldSet(parsed):
        found[one.field_number].append(one.data)
    return found
