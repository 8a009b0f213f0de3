"""Eight floats at a time for numba: a vector type and what can be done with it. Knows no model.

LLVM makes of `<8 x float>` one AVX register where there is one, and several smaller ones elsewhere. Sums are
always taken in the same order.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

LANES = 8
_FLOAT = ir.FloatType()
_LANES = ir.VectorType(_FLOAT, LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)


class _LanesType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="EightFloats")


lanes_type = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, kind) -> None:
        super().__init__(manager, kind, _LANES)


def _place(context, builder, kind, array, index) -> Any:
    """Address of one number of an array of one dimension."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


def _constant(value: float) -> Any:
    return ir.Constant(_LANES, [value] * LANES)


def _spread(builder, value) -> Any:
    one = builder.insert_element(ir.Constant(_LANES, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_LANES, ir.Undefined), ir.Constant(_INTS, [0] * LANES))


def _call(builder, name, kind, *values) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [v.type for v in values]), name)
    return builder.call(function, values)


def _added(builder, x, y, z) -> Any:
    return _call(builder, "llvm.fmuladd.v8f32", _LANES, x, y, z)


@intrinsic
def load(typing, array, index):
    """Eight numbers of a float32 array from an index on."""

    def code(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load(builder.bitcast(place, _LANES.as_pointer()), align=4)

    return lanes_type(array, types.intp), code


@intrinsic
def store(typing, array, index, lanes):
    """Puts eight numbers into a float32 array."""

    def code(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], builder.bitcast(place, _LANES.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), code


@intrinsic
def spread(typing, number):
    """One number in all lanes."""
    return lanes_type(types.float32), lambda _context, builder, _signature, arguments: _spread(builder, arguments[0])


@intrinsic
def zeros(typing):
    """Zero in all lanes."""
    return lanes_type(), lambda _context, _builder, _signature, _arguments: _constant(0.0)


@intrinsic
def multiply_add(typing, x, y, z):
    """X * y + z, rounded once where the machine can."""
    kind = lanes_type(lanes_type, lanes_type, lanes_type)
    return kind, lambda _context, builder, _signature, arguments: _added(builder, *arguments)


@intrinsic
def add(typing, x, y):
    """X + y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fadd(*arguments)


@intrinsic
def subtract(typing, x, y):
    """X - y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fsub(*arguments)


@intrinsic
def multiply(typing, x, y):
    """X * y."""
    return lanes_type(lanes_type, lanes_type), lambda _context, builder, _signature, arguments: builder.fmul(*arguments)


def _halves(builder, x, y, lower, upper) -> Any:
    """Sum of two choices of lanes out of a pair of vectors."""
    choices = (ir.Constant(ir.VectorType(ir.IntType(32), LANES), places) for places in (lower, upper))
    return builder.fadd(*(builder.shuffle_vector(x, y, places) for places in choices))


def _pairs(builder, x, y) -> Any:
    """Neighbouring lanes summed: those of x and of y take turns, four and four, as one AVX instruction has them."""
    return _halves(builder, x, y, [0, 2, 8, 10, 4, 6, 12, 14], [1, 3, 9, 11, 5, 7, 13, 15])


@intrinsic
def sums(typing, a, b, c, d, e, f, g, h):
    """The sum of each of eight vectors, in eight lanes."""

    def code(_context, builder, _signature, v):
        quads = [_pairs(builder, v[i], v[i + 1]) for i in range(0, 8, 2)]
        low, high = _pairs(builder, quads[0], quads[1]), _pairs(builder, quads[2], quads[3])
        return _halves(builder, low, high, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])

    return lanes_type(*[lanes_type] * 8), code


@intrinsic
def sigmoid(typing, x):
    """1 / (1 + exp -x) to 2e-7, by exp y = 2^n exp r with a polynomial for r in (-ln 2 / 2, ln 2 / 2)."""

    def code(_context, builder, _signature, arguments):
        bounded = _call(builder, "llvm.minnum.v8f32", _LANES, arguments[0], _constant(80.0))
        bounded = _call(builder, "llvm.maxnum.v8f32", _LANES, bounded, _constant(-80.0))
        y = builder.fneg(bounded)
        scaled = builder.fmul(y, _constant(1.4426950408889634))
        whole = _call(builder, "llvm.nearbyint.v8f32", _LANES, scaled)
        rest = _added(builder, whole, _constant(-0.693359375), y)
        rest = _added(builder, whole, _constant(2.12194440e-4), rest)
        value = _constant(1.0 / 5040)
        for factorial in (720, 120, 24, 6, 2, 1, 1):
            value = _added(builder, value, rest, _constant(1.0 / factorial))
        bits = builder.add(builder.fptosi(whole, _INTS), ir.Constant(_INTS, [127] * LANES))
        power = builder.bitcast(builder.shl(bits, ir.Constant(_INTS, [23] * LANES)), _LANES)
        return builder.fdiv(_constant(1.0), _added(builder, value, power, _constant(1.0)))

    return lanes_type(lanes_type), code


@intrinsic
def prefetch(typing, array, index):
    """Asks for the cache line with one number of an array."""

    def code(context, builder, signature, arguments):
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(_place(context, builder, signature.args[0], *arguments), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, *(ir.Constant(whole, number) for number in (1, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), code
