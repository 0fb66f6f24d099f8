"""Sixty-four bytes at a time: which of them are quotes, brackets, line ends.

Each function takes a pointer to bytes and a position with 64 readable bytes behind it, and
returns a uint64 whose bit ``i`` tells of byte ``at + i``. LLVM turns the comparison
of a whole vector into the widest instructions that the processor has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llvmlite import ir
from numba import types

from connectors.scan.compiled import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH: Final = 64
_BYTE: Final = ir.IntType(8)
_VECTOR: Final = ir.VectorType(_BYTE, _WIDTH)


def _splat(byte: int) -> Any:
    return ir.Constant(_VECTOR, [byte] * _WIDTH)


def _mask(operator: str, byte: int, fold: int = 0) -> Callable[..., Any]:
    """Bits of the bytes for which ``(byte | fold) operator byte`` holds, unsigned."""

    def bits_at(_typing: Any, data: Any, at: Any) -> Any:
        def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.gep(arguments[0], [arguments[1]])
            vector = builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=1)
            if fold:
                vector = builder.or_(vector, _splat(fold))
            bits = builder.icmp_unsigned(operator, vector, _splat(byte))
            return builder.bitcast(bits, ir.IntType(_WIDTH))

        return types.uint64(data, types.intp), emit

    return intrinsic(bits_at)


quotes_at: Final = _mask("==", ord('"'))
escapes_at: Final = _mask("==", ord("\\"))
# "{" and "[", "}" and "]" differ by the bit 0x20 only, and no other byte joins them.
opens_at: Final = _mask("==", ord("{"), fold=0x20)
closes_at: Final = _mask("==", ord("}"), fold=0x20)
controls_at: Final = _mask("<", 0x20)
foreign_at: Final = _mask(">=", 0x80)


@intrinsic
def pointer(_typing: Any, array: Any) -> Any:
    """Where the items of a C-contiguous array stand; ``pointer(a)[i]`` is ``a[i]``, flat.

    Compiled code counts the references to an array at every call, which costs more than
    all the work on a line; a pointer is a number. The caller keeps the array alive.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), emit


@intrinsic
def word_at(_typing: Any, data: Any, at: Any) -> Any:
    """The eight bytes at a position as one uint64, wherever it stands."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.gep(arguments[0], [arguments[1]])
        return builder.load(builder.bitcast(pointer, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(data, types.intp), emit


def _count(name: str) -> Callable[..., Any]:
    def count(_typing: Any, bits: Any) -> Any:
        def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            if name == "ctpop":
                return builder.ctpop(arguments[0])
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), emit

    return intrinsic(count)


ones: Final = _count("ctpop")
first_one: Final = _count("cttz")
