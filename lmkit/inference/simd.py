"""Eight floats at a time for numba, from memory in several precisions, and integers that threads share. Knows no model.

Memory is named by addresses, so that one function serves any array. LLVM makes of `<8 x float>` one AVX register where
there is one, and several smaller ones elsewhere; sums are always taken in the same order.
"""

import platform
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

LANES = 8
_BYTE, _HALF, _SHORT, _WHOLE, _LONG = ir.IntType(8), ir.HalfType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_FLOAT = ir.FloatType()
_LANES = ir.VectorType(_FLOAT, LANES)
_WHOLES = ir.VectorType(_WHOLE, LANES)
_X86 = platform.machine() in ("x86_64", "AMD64")


def halves_convert() -> bool:
    """Whether the processor converts fp16, as all do but old ones."""
    return not _X86 or bool(binding.get_host_cpu_features().get("f16c"))


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="EightFloatsFromMemory")


lanes_type = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _LANES)


def _vector(kind, count) -> Any:
    return ir.VectorType(kind, count)


def _loaded(builder, address, kind, offset=0) -> Any:
    """What lies at an address and some bytes."""
    place = builder.add(address, ir.Constant(_LONG, offset)) if offset else address
    return builder.load(builder.inttoptr(place, kind.as_pointer()), align=1)


def _call(builder, name, kind, *values) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [v.type for v in values]), name)
    return builder.call(function, values)


def _added(builder, x, y, z) -> Any:
    return _call(builder, "llvm.fmuladd.v8f32", _LANES, x, y, z)


def _spread(builder, value) -> Any:
    one = builder.insert_element(ir.Constant(_LANES, ir.Undefined), value, ir.Constant(_WHOLE, 0))
    return builder.shuffle_vector(one, ir.Constant(_LANES, ir.Undefined), ir.Constant(_WHOLES, [0] * LANES))


def _floats(builder, address, offset=0) -> Any:
    return _loaded(builder, address, _LANES, offset)


def _half(builder, address, offset=0) -> Any:
    """An fp16 in all lanes."""
    return _spread(builder, builder.fpext(_loaded(builder, address, _HALF, offset), _FLOAT))


@intrinsic
def zeros(typing):
    """Zero in all lanes."""
    return lanes_type(), lambda _context, _builder, _signature, _arguments: ir.Constant(_LANES, [0.0] * LANES)


@intrinsic
def add(typing, x, y):
    """X + y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fadd(*arguments)


@intrinsic
def multiply_add(typing, x, y, z):
    """X * y + z, rounded once where the machine can."""
    kind = lanes_type(lanes_type, lanes_type, lanes_type)
    return kind, lambda _context, builder, _signature, arguments: _added(builder, *arguments)


@intrinsic
def store(typing, address, lanes):
    """Puts eight floats where an address says."""

    def code(context, builder, _signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, lanes_type), code


@intrinsic
def put(typing, address, number):
    """Puts one float where an address says."""

    def code(context, builder, _signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], _FLOAT.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), code


@intrinsic
def float_at(typing, address):
    """The float at an address."""
    return types.float32(types.int64), lambda _context, builder, _signature, arguments: _loaded(
        builder, arguments[0], _FLOAT
    )


@intrinsic
def floats_at(typing, address):
    """Eight float32."""
    return lanes_type(types.int64), lambda _context, builder, _signature, arguments: _floats(builder, arguments[0])


@intrinsic
def multiply(typing, x, y):
    """X * y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fmul(*arguments)


@intrinsic
def divide(typing, x, y):
    """X / y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fdiv(*arguments)


@intrinsic
def spread(typing, number):
    """One number in all lanes."""
    return lanes_type(types.float32), lambda _context, builder, _signature, arguments: _spread(builder, arguments[0])


def _constant(value) -> Any:
    return ir.Constant(_LANES, [value] * LANES)


@intrinsic
def exp(typing, x):
    """Exp x to 2e-7, of x from -87 to 87: 2^n exp r with a polynomial for r in (-ln 2 / 2, ln 2 / 2)."""

    def code(_context, builder, _signature, arguments):
        x = _call(builder, "llvm.minnum.v8f32", _LANES, arguments[0], _constant(87.0))
        x = _call(builder, "llvm.maxnum.v8f32", _LANES, x, _constant(-87.0))
        n = _call(builder, "llvm.nearbyint.v8f32", _LANES, builder.fmul(x, _constant(1.4426950408889634)))
        rest = _added(builder, n, _constant(-0.693359375), x)
        rest = _added(builder, n, _constant(2.12194440e-4), rest)
        value = _constant(1.0 / 5040)
        for factorial in (720, 120, 24, 6, 2, 1, 1):
            value = _added(builder, value, rest, _constant(1.0 / factorial))
        bits = builder.add(builder.fptosi(n, _WHOLES), ir.Constant(_WHOLES, [127] * LANES))
        power = builder.bitcast(builder.shl(bits, ir.Constant(_WHOLES, [23] * LANES)), _LANES)
        return builder.fmul(value, power)

    return lanes_type(lanes_type), code


@intrinsic
def spread_at(typing, address):
    """A float32 in all lanes."""

    def code(_context, builder, _signature, arguments):
        return _spread(builder, _loaded(builder, arguments[0], _FLOAT))

    return lanes_type(types.int64), code


@intrinsic
def bf16_at(typing, address):
    """Eight bf16 as floats."""

    def code(_context, builder, _signature, arguments):
        wide = builder.zext(_loaded(builder, arguments[0], _vector(_SHORT, LANES)), _WHOLES)
        return builder.bitcast(builder.shl(wide, ir.Constant(_WHOLES, [16] * LANES)), _LANES)

    return lanes_type(types.int64), code


@intrinsic
def fp16_at(typing, address):
    """Eight fp16 as floats."""

    def code(_context, builder, _signature, arguments):
        return builder.fpext(_loaded(builder, arguments[0], _vector(_HALF, LANES)), _LANES)

    return lanes_type(types.int64), code


def _times(builder, quarters, x) -> Any:
    """Sums over four quarters of eight q each by the x at an address."""
    total = None
    for number, quarter in enumerate(quarters):
        q = builder.sitofp(quarter, _LANES)
        own = _floats(builder, x, 32 * number)
        total = builder.fmul(q, own) if total is None else _added(builder, q, own, total)
    return total


def _nibbles(builder, address, offset, less) -> list[Any]:
    """The four quarters of 32 numbers of four bits, each less some number."""
    wide = _vector(_BYTE, 16)
    packed = _loaded(builder, address, wide, offset)
    found = []
    for half in (
        builder.and_(packed, ir.Constant(wide, [15] * 16)),
        builder.lshr(packed, ir.Constant(wide, [4] * 16)),
    ):
        moved = builder.sub(half, ir.Constant(wide, [less] * 16)) if less else half
        for begin in (0, LANES):
            places = ir.Constant(_vector(_WHOLE, LANES), list(range(begin, begin + LANES)))
            eight = builder.shuffle_vector(moved, ir.Constant(wide, ir.Undefined), places)
            found.append(builder.sext(eight, _WHOLES) if less else builder.zext(eight, _WHOLES))
    return found


@intrinsic
def q8_0_dot(typing, address, x, total):
    """The total and a block of q8_0 times 32 numbers."""

    def code(_context, builder, _signature, arguments):
        block, own, before = arguments
        return _added(builder, _half(builder, block), _times(builder, _bytes(builder, block), own), before)

    return lanes_type(types.int64, types.int64, lanes_type), code


@intrinsic
def q4_0_dot(typing, address, x, total):
    """The total and a block of q4_0 times 32 numbers."""

    def code(_context, builder, _signature, arguments):
        block, own, before = arguments
        quarters = _nibbles(builder, block, 2, 8)
        return _added(builder, _half(builder, block), _times(builder, quarters, own), before)

    return lanes_type(types.int64, types.int64, lanes_type), code


@intrinsic
def q4_1_dot(typing, address, x, folded, total):
    """The total and a block of q4_1 times 32 numbers, whose sums over four quarters lie at `folded`."""

    def code(_context, builder, _signature, arguments):
        block, own, sums, before = arguments
        quarters = _nibbles(builder, block, 4, 0)
        before = _added(builder, _half(builder, block, 2), _floats(builder, sums), before)
        return _added(builder, _half(builder, block), _times(builder, quarters, own), before)

    return lanes_type(types.int64, types.int64, types.int64, lanes_type), code


def _scaled(builder, quarters, scale, shift, out) -> None:
    """Puts 32 numbers, q d + m, where an address says."""
    for number, quarter in enumerate(quarters):
        made = builder.sitofp(quarter, _LANES)
        made = builder.fmul(made, scale) if shift is None else builder.fadd(builder.fmul(made, scale), shift)
        place = builder.add(out, ir.Constant(_LONG, 32 * number))
        builder.store(made, builder.inttoptr(place, _LANES.as_pointer()), align=4)


def _expander(quarters, shift):
    """The code of an intrinsic that makes floats of a block; `quarters` gives its q, and where m is, if it has one."""

    def code(context, builder, _signature, arguments):
        block, out = arguments
        scale = _half(builder, block)
        _scaled(builder, quarters(builder, block), scale, _half(builder, block, shift) if shift else None, out)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


def _bytes(builder, block) -> list[Any]:
    """The four quarters of 32 numbers of eight bits."""
    return [
        builder.sext(_loaded(builder, block, _vector(_BYTE, LANES), 2 + LANES * number), _WHOLES) for number in range(4)
    ]


@intrinsic
def q8_0_expand(typing, address, out):
    """Puts the numbers of a block of q8_0."""
    return _expander(_bytes, 0)


@intrinsic
def q4_0_expand(typing, address, out):
    """Puts the numbers of a block of q4_0."""
    return _expander(lambda builder, block: _nibbles(builder, block, 2, 8), 0)


@intrinsic
def q4_1_expand(typing, address, out):
    """Puts the numbers of a block of q4_1."""
    return _expander(lambda builder, block: _nibbles(builder, block, 4, 0), 2)


@intrinsic
def total(typing, lanes):
    """The sum of the lanes."""

    def code(_context, builder, _signature, arguments):
        found = arguments[0]
        for step in (4, 2, 1):
            places = [lane + step if lane + step < LANES else lane for lane in range(LANES)]
            other = builder.shuffle_vector(found, ir.Constant(_LANES, ir.Undefined), ir.Constant(_WHOLES, places))
            found = builder.fadd(found, other)
        return builder.extract_element(found, ir.Constant(_WHOLE, 0))

    return types.float32(lanes_type), code


@intrinsic
def address_of(typing, array):
    """Where an array's first number is."""

    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _LONG)

    return types.int64(array), code


@intrinsic
def shared(typing, address):
    """An integer that other threads change; what they wrote before it is seen after it."""

    def code(_context, builder, _signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], _LONG.as_pointer()), "acquire", 8)

    return types.int64(types.int64), code


@intrinsic
def share(typing, address, number):
    """Changes an integer that other threads see, after all that was written before."""

    def code(context, builder, _signature, arguments):
        builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], _LONG.as_pointer()), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def replace(typing, address, old, new):
    """Changes an integer from an old value to a new one; whether it had the old one."""

    def code(_context, builder, _signature, arguments):
        place = builder.inttoptr(arguments[0], _LONG.as_pointer())
        both = builder.cmpxchg(place, arguments[1], arguments[2], "seq_cst", "seq_cst")
        return builder.extract_value(both, 1)

    return types.boolean(types.int64, types.int64, types.int64), code


@intrinsic
def pause(typing):
    """Waits a moment."""

    def code(context, builder, _signature, _arguments):
        if _X86:
            _call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), code
