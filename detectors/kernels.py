"""Loops of the int8 engine over rows, compiled by numba: each reads a product of matrices once and
leaves what the next product reads, where PyTorch goes through memory for every step. And the
product itself (`multiply`), for CPUs on which PyTorch has no fast one.

They are written in vectors of 16 float32, which LLVM cuts into what the CPU has. So the order of
every sum is in the open, and a row is computed alike wherever it stands.

What is compiled is kept in `__pycache__`, or where that is read-only in the user's cache folder
(numba's NUMBA_CACHE_DIR names another); only the first use waits some seconds for it.

Posts of whatever lengths lie end to end. Arguments of that name are the same everywhere (n tokens
of all posts):

    starts     int64 (posts + 1,): where each post begins, and at the end n; none is empty
    products   float32 (n + posts, n_out): sums of integers, each times its channel's scale; below
               all rows those of what rounding left of the posts' first rows, of which 254 make
               one. They are added to the others in place.
    scale, offset   float32 (n,): the products are those of x = (integers + offset) * scale
    bias       float32 (n_out,)
    integers   int8 (n + posts, n_in), out: what the next products are made of
    scale_out, offset_out   float32 (n,), out: theirs

All widths are multiples of LANES, that of states of twice as many: `detectors.fused.fits` sees to
it. Nothing is checked here: with another width, other memory would be read.
"""

from __future__ import annotations

from collections.abc import Callable
from math import e, factorial, log, log2
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

LANES = 16

# what numba says of its types is too little for a checker
_numba: Any = numba
_cgutils: Any = cgutils

_f = np.float32
_ZERO, _HALF, _ONE = _f(0), _f(0.5), _f(1)
#: See `detectors.runtime`, which has the same numbers. Here they are part of what is compiled,
#: which is made anew only when this file changes.
_LEAST = _f(1e-20)
_ROUNDS = 12582912.0
_REST, _OF_REST = _f(254), _f(1 / 254)
_GELU_FLOOR = _f(-0.17)
_MOST, _NEGATIVE_MOST, _ALL = _f(127), _f(-127), _f(254)
_NEVER = -1e30

# GELU(x) = x (1/2 + c P(2 c^2 / 25 - 1)), x at least -5, c = x up to 5, P about
# erf(c / sqrt 2) / 2c: a polynomial fitted at Chebyshev nodes. At most 1.5e-6 from GELU, and 3e-7
# of it where x is large.
_FAR, _NEGATIVE_FAR, _TO_UNIT, _NEGATIVE_ONE = _f(5), _f(-5), _f(2 / 25), _f(-1)
_G0, _G1, _G2, _G3 = _f(0.141363782), _f(-0.0702963333), _f(0.0515209995), _f(-0.0404414291)
_G4, _G5, _G6, _G7 = _f(0.0314360581), _f(-0.023275877), _f(0.0164303977), _f(-0.0111465478)
_G8, _G9, _G10, _G11 = _f(0.00635232831), _f(-0.00270449884), _f(0.00177753844), _f(-0.00160602351)
_G12 = _f(0.000589574183)

# 2^r for r in -1/2..1/2: the first terms of its series. At most 1.2e-7 of it away. What is less
# than 2^-100 counts as that: nothing beside a sum of at least 1, and not so small that CPUs are
# slow at it.
_LOG2_E, _TO_NOTHING = _f(log2(e)), _f(-100)
_E1, _E2, _E3, _E4, _E5, _E6 = (_f(log(2) ** k / factorial(k)) for k in range(1, 7))


def _take_whole_registers() -> None:
    """LLVM uses halves of 512-bit registers unless told, which takes half as long again."""
    features = llvmlite.binding.get_host_cpu_features()
    if _numba.config.CPU_FEATURES is None and features.get("avx512f"):
        features["prefer-256-bit"] = False
        _numba.config.CPU_FEATURES = features.flatten()


_take_whole_registers()


def _compiled(function: Callable[..., object]) -> Any:
    """Compiled when first called; other threads run while it runs."""
    return _numba.njit(nogil=True, cache=True, error_model="numpy")(function)


def _inlined(function: Callable[..., object]) -> Any:
    """Part of what calls it."""
    return _numba.njit(inline="always", error_model="numpy")(function)


def _intrinsic(function: Callable[..., Any]) -> Any:
    """What numba compiles to what `function` builds."""
    return intrinsic(function)


# Vectors


def _passed_as(name: str, built: Any) -> Any:
    """A type of numba's that LLVM knows as `built`."""

    class Kind(types.Type):
        pass

    @register_model(Kind)
    class Model(models.PrimitiveModel):
        def __init__(self, manager: Any, kind: Any) -> None:
            super().__init__(manager, kind, built)  # type: ignore[no-untyped-call]

    return Kind(name=name)


_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_PAIRS = ir.VectorType(ir.IntType(16), 2 * LANES)
#: LANES float32, LANES int32, LANES pairs of int16.
_vector = _passed_as("float32x16", _VECTOR)
_sums = _passed_as("int32x16", _INTS)
_pairs = _passed_as("int16x32", _PAIRS)


def _all(kind: Any, value: Any) -> Any:
    return ir.Constant(kind, [value] * LANES)


def _operation(
    result: Any, arguments: tuple[Any, ...], generate: Callable[[Any, list[Any]], Any]
) -> Any:
    """A function that numba compiles to what `generate(builder, arguments)` builds."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return generate(builder, args)

    if len(arguments) == 1:

        def one(context: Any, x: Any) -> Any:
            return result(*arguments), emit

        return _intrinsic(one)
    if len(arguments) == 2:

        def two(context: Any, x: Any, y: Any) -> Any:
            return result(*arguments), emit

        return _intrinsic(two)

    def three(context: Any, x: Any, y: Any, z: Any) -> Any:
        return result(*arguments), emit

    return _intrinsic(three)


def _llvm(name: str, flags: tuple[str, ...] = ()) -> Callable[[Any, list[Any]], Any]:
    """A call of one of LLVM's functions of vectors."""

    def generate(builder: Any, args: list[Any]) -> Any:
        kinds = [arg.type for arg in args]
        result = _VECTOR.element if ".reduce." in name else _VECTOR
        called = _cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(result, kinds), f"{name}.v{LANES}f32"
        )
        return builder.call(called, args, fastmath=flags)

    return generate


_FINITE = ("nnan", "nsz")
_add = _operation(_vector, (_vector, _vector), lambda b, a: b.fadd(*a))
_sub = _operation(_vector, (_vector, _vector), lambda b, a: b.fsub(*a))
_mul = _operation(_vector, (_vector, _vector), lambda b, a: b.fmul(*a))
_divide = _operation(_vector, (_vector, _vector), lambda b, a: b.fdiv(*a))
_larger = _operation(_vector, (_vector, _vector), _llvm("llvm.maxnum", _FINITE))
_smaller = _operation(_vector, (_vector, _vector), _llvm("llvm.minnum", _FINITE))
_magnitude = _operation(_vector, (_vector,), _llvm("llvm.fabs"))
#: x y + z, rounded once.
_fma = _operation(_vector, (_vector, _vector, _vector), _llvm("llvm.fma"))
_largest = _operation(types.float32, (_vector,), _llvm("llvm.vector.reduce.fmax", _FINITE))
#: Halves are added to each other: the same order everywhere.
_add_up = _operation(
    types.float32,
    (_vector,),
    lambda b, a: _llvm("llvm.vector.reduce.fadd", ("reassoc",))(b, [_VECTOR.element(0.0), *a]),
)


def _splatted(builder: Any, value: Any, kind: Any = _VECTOR) -> Any:
    none = ir.Constant(kind, None)
    single = builder.insert_element(none, value, ir.IntType(32)(0))
    return builder.shuffle_vector(single, none, ir.Constant(_INTS, [0] * LANES))


#: A number in every lane.
_splat = _operation(_vector, (types.float32,), lambda b, a: _splatted(b, a[0]))


def _rounding(builder: Any, x: Any) -> Any:
    """The nearest integers (ties to even), |x| < 2^22, in the lowest bits of a float."""
    return builder.fadd(x, _all(_VECTOR, _ROUNDS))


#: The nearest integers.
_whole = _operation(
    _vector, (_vector,), lambda b, a: b.fsub(_rounding(b, a[0]), _all(_VECTOR, _ROUNDS))
)


def _power(builder: Any, args: list[Any]) -> Any:
    bits = builder.bitcast(_rounding(builder, args[0]), _INTS)
    # the lowest bits of the rounding float, and 127 is the exponent of one
    return builder.bitcast(
        builder.shl(builder.add(bits, _all(_INTS, 127)), _all(_INTS, 23)), _VECTOR
    )


#: 2^n, n whole and -126..127.
_two_to = _operation(_vector, (_vector,), _power)


def _address(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    made = context.make_array(kind)(context, builder, array)
    return builder.gep(made.data, [at])


def _loading(kind: Any, read: Callable[[Any, Any], Any]) -> Any:
    """A function of an array and a place, counted in elements of the whole array, that numba
    compiles to what `read(builder, pointer)` builds."""

    def load(context: Any, array: Any, at: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return read(builder, _address(context, builder, signature.args[0], *args))

        return kind(array, types.int64), emit

    return _intrinsic(load)


def _there(builder: Any, place: Any, kind: Any, align: int) -> Any:
    """What lies at a place, read as another kind; align: bytes of an array's element."""
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=align)


#: The vector that begins there.
_load = _loading(_vector, lambda b, place: _there(b, place, _VECTOR, 4))
#: The number there in every lane.
_load_one = _loading(_vector, lambda b, place: _splatted(b, b.load(place)))


@_intrinsic
def _store(context: Any, array: Any, at: Any, x: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _address(context, builder, signature.args[0], *args[:2])
        builder.store(args[2], builder.bitcast(place, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, _vector), emit


@_intrinsic
def _store_rounded(context: Any, array: Any, at: Any, x: Any) -> Any:
    """As int8: the lowest byte of the nearest integers."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _address(context, builder, signature.args[0], *args[:2])
        bits = builder.bitcast(_rounding(builder, args[2]), _INTS)
        place = builder.bitcast(place, _BYTES.as_pointer())
        builder.store(builder.trunc(bits, _BYTES), place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, _vector), emit


# Products of integers

#: Whether `multiply` can be had: an x86 CPU with its instruction of AVX2.
MULTIPLIES = bool(llvmlite.binding.get_host_cpu_features().get("avx2"))

#: The LANES pairs that begin there.
_load_pairs = _loading(_pairs, lambda b, place: _there(b, place, _PAIRS, 2))
#: The pair that begins there, LANES times.
_load_pair = _loading(
    _pairs,
    lambda b, place: b.bitcast(_splatted(b, _there(b, place, ir.IntType(32), 2), _INTS), _PAIRS),
)


def _add_products_of_pairs(builder: Any, args: list[Any]) -> Any:
    sums, ours, others = args
    half = ir.VectorType(ir.IntType(16), LANES)
    result = ir.VectorType(ir.IntType(32), LANES // 2)
    called = _cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [half, half]), "llvm.x86.avx2.pmadd.wd"
    )

    def cut(x: Any, first: int) -> Any:
        places = ir.Constant(_INTS, list(range(first, first + LANES)))
        return builder.shuffle_vector(x, ir.Constant(_PAIRS, None), places)

    low, high = (builder.call(called, [cut(ours, i), cut(others, i)]) for i in (0, LANES))
    together = builder.shuffle_vector(low, high, ir.Constant(_INTS, list(range(LANES))))
    return builder.add(sums, together)


#: To each sum the products of a pair with the other.
_add_pairs = _operation(_sums, (_sums, _pairs, _pairs), _add_products_of_pairs)
_to_floats = _operation(_vector, (_sums,), lambda b, a: b.sitofp(a[0], _VECTOR))


@_intrinsic
def _no_sums(context: Any) -> Any:
    return _sums(), lambda context, builder, signature, args: ir.Constant(_INTS, None)


@_inlined
def _gelu(x: Any) -> Any:
    x = _larger(x, _splat(_NEGATIVE_FAR))
    c = _smaller(x, _splat(_FAR))
    u = _fma(_mul(c, c), _splat(_TO_UNIT), _splat(_NEGATIVE_ONE))
    p = _fma(_splat(_G12), u, _splat(_G11))
    p = _fma(p, u, _splat(_G10))
    p = _fma(p, u, _splat(_G9))
    p = _fma(p, u, _splat(_G8))
    p = _fma(p, u, _splat(_G7))
    p = _fma(p, u, _splat(_G6))
    p = _fma(p, u, _splat(_G5))
    p = _fma(p, u, _splat(_G4))
    p = _fma(p, u, _splat(_G3))
    p = _fma(p, u, _splat(_G2))
    p = _fma(p, u, _splat(_G1))
    p = _fma(p, u, _splat(_G0))
    return _mul(x, _fma(c, p, _splat(_HALF)))


@_inlined
def _exp(x: Any) -> Any:
    """e^x for x <= 0: 2^n 2^r, n whole and |r| <= 1/2."""
    y = _larger(_mul(x, _splat(_LOG2_E)), _splat(_TO_NOTHING))
    n = _whole(y)
    r = _sub(y, n)
    p = _fma(_splat(_E6), r, _splat(_E5))
    p = _fma(p, r, _splat(_E4))
    p = _fma(p, r, _splat(_E3))
    p = _fma(p, r, _splat(_E2))
    p = _fma(p, r, _splat(_E1))
    p = _fma(p, r, _splat(_ONE))
    return _mul(p, _two_to(n))


# Steps that loops share


@_inlined
def _add_rests(products: Any, starts: Any) -> Any:
    """To the products of posts' first rows those of what rounding had left of the rows."""
    n_posts, width = starts.shape[0] - 1, products.shape[1]
    for post in range(n_posts):
        own, rest = starts[post] * width, (starts[n_posts] + post) * width
        for j in range(0, width, LANES):
            x = _fma(_load(products, rest + j), _splat(_OF_REST), _load(products, own + j))
            _store(products, own + j, x)


@_inlined
def _row_of_rest(starts: Any, post: Any, i: Any) -> Any:
    """Where what rounding leaves of row i goes; 0 for all but the first of a post: nowhere."""
    return starts[starts.shape[0] - 1] + post if i == starts[post] else 0


@_inlined
def _reach(rows: Any, at: Any, width: Any) -> Any:
    """The largest magnitude in a row that begins at `at`."""
    reaches = _splat(_LEAST)
    for j in range(0, width, LANES):
        reaches = _larger(reaches, _magnitude(_load(rows, at + j)))
    return _largest(reaches)


@_inlined
def _quantise(
    rows: Any, at: Any, width: Any, reach: Any, i: Any, rest: Any, integers: Any, scale_out: Any
) -> Any:  # fmt: skip
    """See `detectors.runtime.Int8Engine.quantised`, without a floor. The row begins at `at`. rest:
    see `_row_of_rest`."""
    steps = _splat(_MOST / reach)
    scale_out[i] = reach / _MOST
    for j in range(0, width, LANES):
        _store_rounded(integers, i * width + j, _mul(_load(rows, at + j), steps))
    if rest:
        for j in range(0, width, LANES):
            _store_left(integers, rest * width + j, _mul(_load(rows, at + j), steps))


@_inlined
def _store_left(integers: Any, at: Any, x: Any) -> Any:
    """What rounding x leaves, in steps of which 254 make one."""
    left = _mul(_sub(x, _whole(x)), _splat(_REST))
    left = _smaller(_larger(left, _splat(_NEGATIVE_MOST)), _splat(_MOST))
    _store_rounded(integers, at, left)


@_inlined
def _norm_and_quantise(
    row: Any, sums: Any, gain: Any, shift: Any, epsilon: Any, i: Any, rest: Any, states: Any,
    integers: Any, scale_out: Any,
) -> Any:  # fmt: skip
    """Layer norm, in place and into row i of states, and its integers. sums: the row's, lane by
    lane."""
    width = row.shape[0]
    mean = _splat(_add_up(sums) / _f(width))
    even, odd = _splat(_ZERO), _splat(_ZERO)  # two sums, since one would wait for itself
    for j in range(0, width, 2 * LANES):
        away = _sub(_load(row, j), mean)
        even = _fma(away, away, even)
        away = _sub(_load(row, j + LANES), mean)
        odd = _fma(away, away, odd)
    inverse = _splat(_ONE / np.sqrt(_add_up(_add(even, odd)) / _f(width) + epsilon))
    reaches = _splat(_LEAST)
    for j in range(0, width, LANES):
        x = _mul(_sub(_load(row, j), mean), inverse)
        x = _fma(x, _load(gain, j), _load(shift, j))
        reaches = _larger(reaches, _magnitude(x))
        _store(row, j, x)
        _store(states, i * width + j, x)
    _quantise(row, 0, width, _largest(reaches), i, rest, integers, scale_out)


@_inlined
def _eight_rows(
    a: Any, a_at: Any, a_row: Any, a_step: Any, b: Any, b_at: Any, b_step: Any, n: Any
) -> Any:
    """sum_k a[row, k] b[k, lane] for k < n: eight rows of a, LANES columns of b."""
    x0 = x1 = x2 = x3 = x4 = x5 = x6 = x7 = _splat(_ZERO)
    for k in range(n):
        y, at = _load(b, b_at + k * b_step), a_at + k * a_step
        x0 = _fma(_load_one(a, at), y, x0)
        x1 = _fma(_load_one(a, at + a_row), y, x1)
        x2 = _fma(_load_one(a, at + 2 * a_row), y, x2)
        x3 = _fma(_load_one(a, at + 3 * a_row), y, x3)
        x4 = _fma(_load_one(a, at + 4 * a_row), y, x4)
        x5 = _fma(_load_one(a, at + 5 * a_row), y, x5)
        x6 = _fma(_load_one(a, at + 6 * a_row), y, x6)
        x7 = _fma(_load_one(a, at + 7 * a_row), y, x7)
    return x0, x1, x2, x3, x4, x5, x6, x7


@_inlined
def _store_eight(x: Any, out: Any, at: Any, step: Any) -> Any:
    _store(out, at, x[0])
    _store(out, at + step, x[1])
    _store(out, at + 2 * step, x[2])
    _store(out, at + 3 * step, x[3])
    _store(out, at + 4 * step, x[4])
    _store(out, at + 5 * step, x[5])
    _store(out, at + 6 * step, x[6])
    _store(out, at + 7 * step, x[7])


@_inlined
def _softmax(columns: Any, count: Any) -> Any:
    """e^(x - the column's largest) in place. columns: (count, LANES). Returns 1 / the sums of the
    columns, by which they are not multiplied."""
    tops, n_whole = _load(columns, 0), count - count % 4
    for j in range(0, n_whole * LANES, 4 * LANES):
        two = _larger(_load(columns, j), _load(columns, j + LANES))
        others = _larger(_load(columns, j + 2 * LANES), _load(columns, j + 3 * LANES))
        tops = _larger(tops, _larger(two, others))
    for j in range(n_whole * LANES, count * LANES, LANES):
        tops = _larger(tops, _load(columns, j))
    total = _splat(_ZERO)
    for j in range(0, count * LANES, LANES):
        x = _exp(_sub(_load(columns, j), tops))
        _store(columns, j, x)
        total = _add(total, x)
    return _divide(_splat(_ONE), total)


# The loops

#: `multiply` computes so many rows together, and lays so many out at once.
_TOGETHER, _LAID_OUT = 6, 96


def lay_out(integers: NDArray[np.int8]) -> NDArray[np.int16]:
    """Weights (n_in, n_out) as `multiply` reads them: LANES channels side by side, of each two
    inputs. n_in is even, n_out a multiple of LANES."""
    n_in, n_out = integers.shape
    apart = integers.astype(np.int16).reshape(n_in // 2, 2, n_out // LANES, LANES)
    return np.ascontiguousarray(apart.transpose(2, 0, 3, 1))


@_compiled
def multiply(integers: Any, weight: Any, scale: Any, products: Any) -> Any:
    """Sums of products of 8-bit integers, exact, each times its channel's scale.

    integers: int8 (n, n_in). weight: of `lay_out`. scale: float32 (n_out,). products: float32
    (n, n_out), out. Two products of 16-bit integers and their sum are one instruction.
    """
    n, n_in = integers.shape
    n_out = scale.shape[0]
    rows = np.zeros(_LAID_OUT * n_in, np.int16)
    for first in range(0, n, _LAID_OUT):
        n_rows = min(_LAID_OUT, n - first)
        for i in range(n_rows):
            for k in range(n_in):
                rows[i * n_in + k] = integers[first + i, k]
        for j in range(0, n_out, LANES):
            channels, panel = _load(scale, j), j * n_in
            for i in range(0, n_rows, _TOGETHER):
                at = i * n_in
                x0 = x1 = x2 = x3 = x4 = x5 = _no_sums()
                for k in range(0, n_in, 2):
                    w = _load_pairs(weight, panel + k * LANES)
                    x0 = _add_pairs(x0, _load_pair(rows, at + k), w)
                    x1 = _add_pairs(x1, _load_pair(rows, at + n_in + k), w)
                    x2 = _add_pairs(x2, _load_pair(rows, at + 2 * n_in + k), w)
                    x3 = _add_pairs(x3, _load_pair(rows, at + 3 * n_in + k), w)
                    x4 = _add_pairs(x4, _load_pair(rows, at + 4 * n_in + k), w)
                    x5 = _add_pairs(x5, _load_pair(rows, at + 5 * n_in + k), w)
                out, left = (first + i) * n_out + j, n_rows - i
                _store(products, out, _mul(_to_floats(x0), channels))
                if left > 1:
                    _store(products, out + n_out, _mul(_to_floats(x1), channels))
                if left > 2:
                    _store(products, out + 2 * n_out, _mul(_to_floats(x2), channels))
                if left > 3:
                    _store(products, out + 3 * n_out, _mul(_to_floats(x3), channels))
                if left > 4:
                    _store(products, out + 4 * n_out, _mul(_to_floats(x4), channels))
                if left > 5:
                    _store(products, out + 5 * n_out, _mul(_to_floats(x5), channels))


@_compiled
def embed(
    ids: Any, starts: Any, words: Any, positions: Any, gain: Any, shift: Any, epsilon: Any,
    states: Any, integers: Any, scale_out: Any,
) -> Any:  # fmt: skip
    """What enters the first layer. ids: int64 (posts, at least the tokens of each). words: float32
    (n_words, hidden). positions: float32 (at least the tokens of any post, hidden). gain, shift: of
    the layer norm. states: float32 (n, hidden), out."""
    width = states.shape[1]
    row = np.empty(width, np.float32)
    for post in range(starts.shape[0] - 1):
        for i in range(starts[post], starts[post + 1]):
            token = i - starts[post]
            word, sums = ids[post, token] * width, _splat(_ZERO)
            for j in range(0, width, LANES):
                x = _add(_load(words, word + j), _load(positions, token * width + j))
                sums = _add(sums, x)
                _store(row, j, x)
            rest = _row_of_rest(starts, post, i)
            _norm_and_quantise(
                row, sums, gain, shift, epsilon, i, rest, states, integers, scale_out
            )


@_compiled
def attend(
    asking: Any, asking_scale: Any, asking_bias: Any, asking_starts: Any, products: Any,
    scale: Any, bias: Any, starts: Any, n_heads: Any, integers: Any, scale_out: Any,
) -> Any:  # fmt: skip
    """softmax(query key^T) value, the heads of a token side by side.

    asking: products whose first channels are the queries of tokens; the same array as products if
    all tokens ask. products: their last channels are keys and values. Each has its starts.
    integers, scale_out: of the tokens that ask.
    """
    n_posts, hidden = starts.shape[0] - 1, integers.shape[1]
    width, all_width, asking_width = hidden // n_heads, products.shape[1], asking.shape[1]
    first_key, first_value = all_width - 2 * hidden, all_width - hidden
    most = most_asking = 0
    for post in range(n_posts):
        most = max(most, starts[post + 1] - starts[post])
        most_asking = max(most_asking, asking_starts[post + 1] - asking_starts[post])
    most_columns = (most_asking + LANES - 1) // LANES * LANES
    query = np.zeros(width * most_columns, np.float32)  # (width, n_columns)
    key = np.zeros((most + 7) // 8 * 8 * width, np.float32)
    value = np.empty(most * width, np.float32)
    weights = np.empty((most + 7) // 8 * 8 * LANES, np.float32)  # (tokens, asking)
    one = np.empty(LANES, np.float32)
    found = np.empty(most_columns * hidden, np.float32)
    _add_rests(products, starts)
    if asking_width < all_width:  # they are apart
        _add_rests(asking, asking_starts)
    for post in range(n_posts):
        start, first_asking = starts[post], asking_starts[post]
        count, n_asking = starts[post + 1] - start, asking_starts[post + 1] - first_asking
        n_columns = (n_asking + LANES - 1) // LANES * LANES
        for head in range(n_heads):
            channel = head * width
            for token in range(n_asking):
                i = first_asking + token
                s = _splat(asking_scale[i])
                for j in range(0, width, LANES):
                    x = _load(asking, i * asking_width + channel + j)
                    _store(one, 0, _fma(x, s, _load(asking_bias, channel + j)))
                    for lane in range(LANES):
                        query[(j + lane) * n_columns + token] = one[lane]
            for token in range(count):
                s, row = _splat(scale[start + token]), (start + token) * all_width
                for j in range(0, width, LANES):
                    at = first_key + channel + j
                    x = _fma(_load(products, row + at), s, _load(bias, at))
                    _store(key, token * width + j, x)
                    at = first_value + channel + j
                    x = _fma(_load(products, row + at), s, _load(bias, at))
                    _store(value, token * width + j, x)
            for first in range(0, n_asking, LANES):
                for token in range(0, count, 8):
                    x8 = _eight_rows(key, token * width, width, 1, query, first, n_columns, width)
                    _store_eight(x8, weights, token * LANES, LANES)
                _store(one, 0, _softmax(weights, count))
                for j in range(0, min(LANES, n_asking - first), 8):
                    for k in range(0, width, LANES):
                        x8 = _eight_rows(weights, j, 1, LANES, value, k, width, count)
                        at = (first + j) * hidden + channel + k
                        for_each = (
                            _mul(x8[0], _load_one(one, j)),
                            _mul(x8[1], _load_one(one, j + 1)),
                            _mul(x8[2], _load_one(one, j + 2)),
                            _mul(x8[3], _load_one(one, j + 3)),
                            _mul(x8[4], _load_one(one, j + 4)),
                            _mul(x8[5], _load_one(one, j + 5)),
                            _mul(x8[6], _load_one(one, j + 6)),
                            _mul(x8[7], _load_one(one, j + 7)),
                        )
                        _store_eight(for_each, found, at, hidden)
        for token in range(n_asking):
            i, at = first_asking + token, token * hidden
            rest = _row_of_rest(asking_starts, post, i)
            _quantise(found, at, hidden, _reach(found, at, hidden), i, rest, integers, scale_out)


@_compiled
def add_and_norm(
    products: Any, scale: Any, offset: Any, sums: Any, bias: Any, before: Any, level: Any,
    gain: Any, shift: Any, epsilon: Any, starts: Any, states: Any, integers: Any, scale_out: Any,
) -> Any:  # fmt: skip
    """The end of either half of a layer: a map's result and what the half read, normed.

    sums: float32 (hidden,), what an offset of 1 adds to the products. before: float32 (n, hidden),
    what the half read, which was divided by level (hidden,). states: float32 (n, hidden), out.
    """
    width = states.shape[1]
    row = np.empty(width, np.float32)
    _add_rests(products, starts)
    for post in range(starts.shape[0] - 1):
        for i in range(starts[post], starts[post + 1]):
            s, o, total = _splat(scale[i]), _splat(offset[i]), _splat(_ZERO)
            for j in range(0, width, LANES):
                x = _fma(o, _load(sums, j), _load(products, i * width + j))
                x = _fma(x, s, _load(bias, j))
                x = _fma(_load(before, i * width + j), _load(level, j), x)
                total = _add(total, x)
                _store(row, j, x)
            rest = _row_of_rest(starts, post, i)
            _norm_and_quantise(
                row, total, gain, shift, epsilon, i, rest, states, integers, scale_out
            )


@_compiled
def widen(
    products: Any, scale: Any, bias: Any, starts: Any, integers: Any, scale_out: Any,
    offset_out: Any,
) -> Any:  # fmt: skip
    """GELU, from its floor to the row's greatest: see `detectors.runtime.Int8Engine.quantised`."""
    width = products.shape[1]
    row = np.empty(width, np.float32)
    _add_rests(products, starts)
    for post in range(starts.shape[0] - 1):
        for i in range(starts[post], starts[post + 1]):
            s, tops = _splat(scale[i]), _splat(_GELU_FLOOR)
            for j in range(0, width, LANES):
                x = _gelu(_fma(_load(products, i * width + j), s, _load(bias, j)))
                _store(row, j, x)
                tops = _larger(tops, x)
            reach = max(_largest(tops) - _GELU_FLOOR, _LEAST)
            step = _ALL / reach
            zero = _f(128) - np.rint(step * -_GELU_FLOOR)
            scale_out[i], offset_out[i] = reach / _ALL, zero
            steps, zeros = _splat(step), _splat(-zero)
            for j in range(0, width, LANES):
                _store_rounded(integers, i * width + j, _fma(_load(row, j), steps, zeros))
            rest = _row_of_rest(starts, post, i)
            if rest:
                for j in range(0, width, LANES):
                    left = _fma(_load(row, j), steps, zeros)
                    _store_left(integers, rest * width + j, left)
