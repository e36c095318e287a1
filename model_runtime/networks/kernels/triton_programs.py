"""What runs on the card: one product of INT8 or INT4 weights, or the weights as floats.

Names: `row` and `column` number the weights, `first` is where a tile begins; INT4 codes stand 8 in
a 32-bit word, and `width` is a weight row's words. Capitals are known when a program is compiled.
triton.py launches these.
"""

from __future__ import annotations

import triton
import triton.language as tl

from model_runtime.networks.kept import GROUP

# The tensor cores' smallest tile; an input of fewer rows is padded to it in registers.
MOST_ROWS: tl.constexpr = tl.constexpr(16)
NIBBLES: tl.constexpr = tl.constexpr(8)  # of one 32-bit word
WORDS: tl.constexpr = tl.constexpr(GROUP // 8)  # of one group
INT8_RUN: tl.constexpr = tl.constexpr(16)  # codes of one 16-byte load

# --- tiles --------------------------------------------------------------------------------------


@triton.jit
def int8_tile(codes, row, rows, column, columns):
    """int8 [ROWS, COLUMNS], zeros outside."""
    place = row[:, None] * columns + column[None, :]
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    return tl.load(codes + place, mask=inside, other=0, eviction_policy="evict_first")


@triton.jit
def int4_words(words, row, rows, first, width, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    """int32 [ROWS, WIDTH], 8 codes each plus 8, from word `first` of `width` on."""
    word = first + tl.arange(0, WIDTH)
    place = row[:, None] * width + word[None, :]
    inside = (row[:, None] < rows) & (word[None, :] < width)
    packed = tl.load(words + place, mask=inside, other=0, eviction_policy="evict_first")
    return packed ^ -0x77777778  # 0x88888888


@triton.jit
def raised(half, shift):
    """The 4 bits of `half` at `shift`, less 8, times 2^shift.

    As the last bits of a 2^23 an integer is a float without a conversion, which most cards do
    slowly, and one instruction masks and raises it where it stands.
    """
    bits = (half & (15 << shift)) | 0x4B000000
    return bits.to(tl.float32, bitcast=True) - (8388608 + (8 << shift))


@triton.jit
def int4_tile(words, row, rows, first, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """float32 codes [ROWS, COLUMNS]; -8 outside."""
    packed = int4_words(words, row, rows, first, width, ROWS, COLUMNS // NIBBLES)
    shift = (tl.arange(0, NIBBLES) ^ 1)[None, None, :] * 4
    return tl.reshape(raised(packed[:, :, None] >> shift, 0), (ROWS, COLUMNS))


@triton.jit
def int4_word_sums(packed, values, WIDTH: tl.constexpr):
    """What each word's 8 codes times their inputs add up to: [ROWS, WIDTH], values [8 * WIDTH].

    A column whose codes stay where they stand in a word has its input divided instead.
    """
    shift = (tl.arange(0, WIDTH * NIBBLES) % 4 ^ 1) * 4
    scaled = values * ((127 - shift) << 23).to(tl.float32, bitcast=True)  # 2^-shift
    even, odd = tl.split(tl.reshape(scaled, (WIDTH, 4, 2)))
    even_first, even_second = tl.split(tl.reshape(even, (WIDTH, 2, 2)))
    odd_first, odd_second = tl.split(tl.reshape(odd, (WIDTH, 2, 2)))
    x0, x4 = tl.split(even_first)
    x1, x5 = tl.split(odd_first)
    x2, x6 = tl.split(even_second)
    x3, x7 = tl.split(odd_second)
    high = packed >> 16
    total = raised(packed, 4) * x0[None, :]
    total += raised(packed, 0) * x1[None, :]
    total += raised(packed, 12) * x2[None, :]
    total += raised(packed, 8) * x3[None, :]
    total += raised(high, 4) * x4[None, :]
    total += raised(high, 0) * x5[None, :]
    total += raised(high, 12) * x6[None, :]
    total += raised(high, 8) * x7[None, :]
    return total


@triton.jit
def group_scales(scale, row, rows, first, width, COLUMNS: tl.constexpr):
    """float32 [ROWS, COLUMNS / GROUP], zeros outside: what a code outside is multiplied with."""
    group = first // WORDS + tl.arange(0, COLUMNS // (WORDS * NIBBLES))
    groups = width // WORDS
    inside = (row[:, None] < rows) & (group[None, :] < groups)
    place = row[:, None] * groups + group[None, :]
    return tl.load(scale + place, mask=inside, other=0).to(tl.float32)


@triton.jit
def int4_weights(words, scale, row, rows, first, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """float32 [ROWS, COLUMNS], zeros outside."""
    codes = int4_tile(words, row, rows, first, width, ROWS, COLUMNS)
    scales = group_scales(scale, row, rows, first, width, COLUMNS)
    grouped = tl.reshape(codes, (ROWS, COLUMNS // (WORDS * NIBBLES), WORDS * NIBBLES))
    return tl.reshape(grouped * scales[:, :, None], (ROWS, COLUMNS))


@triton.jit
def store_product(out, total, bias, row, rows):
    with_bias = total + tl.load(bias + row, mask=row < rows, other=0).to(tl.float32)
    tl.store(out + row, with_bias.to(out.dtype.element_ty), mask=row < rows)


@triton.jit
def store_part(parts, total, row, rows, inputs):
    """total [ROWS, MOST_ROWS], from this program's columns, to parts [SPLITS, inputs, rows]."""
    number = tl.arange(0, MOST_ROWS)
    inside = (row[:, None] < rows) & (number[None, :] < inputs)
    place = (tl.program_id(1) * inputs + number[None, :]) * rows + row[:, None]
    tl.store(parts + place, total, mask=inside)


@triton.jit
def inputs_tile(x, column, columns, inputs):
    """x transposed, [COLUMNS, MOST_ROWS], zeros outside."""
    number = tl.arange(0, MOST_ROWS)
    inside = (column[:, None] < columns) & (number[None, :] < inputs)
    return tl.load(x + number[None, :] * columns + column[:, None], mask=inside, other=0)


# --- one input ----------------------------------------------------------------------------------


@triton.jit
def int8_one(out, codes, scale, rows, columns, x, bias, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros((ROWS, COLUMNS // INT8_RUN), tl.float32)
    for first in tl.range(0, columns, COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        values = tl.load(x + column, mask=column < columns, other=0).to(tl.float32)
        tile = int8_tile(codes, row, rows, column, columns).to(tl.float32) * values[None, :]
        total += tl.sum(tl.reshape(tile, (ROWS, COLUMNS // INT8_RUN, INT8_RUN)), axis=2)
    scales = tl.load(scale + row, mask=row < rows, other=0).to(tl.float32)
    store_product(out, tl.sum(total, axis=1) * scales, bias, row, rows)


@triton.jit
def int4_one(out, words, scale, rows, width, x, bias, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    groups: tl.constexpr = COLUMNS // (WORDS * NIBBLES)
    total = tl.zeros((ROWS, groups), tl.float32)
    for first in tl.range(0, width, COLUMNS // NIBBLES):
        column = first * NIBBLES + tl.arange(0, COLUMNS)
        values = tl.load(x + column, mask=column < width * NIBBLES, other=0).to(tl.float32)
        packed = int4_words(words, row, rows, first, width, ROWS, COLUMNS // NIBBLES)
        sums = int4_word_sums(packed, values, COLUMNS // NIBBLES)
        sums = tl.sum(tl.reshape(sums, (ROWS, groups, WORDS)), axis=2)
        total += sums * group_scales(scale, row, rows, first, width, COLUMNS)
    store_product(out, tl.sum(total, axis=1), bias, row, rows)


# --- several inputs -----------------------------------------------------------------------------


@triton.jit
def int8_several(
    parts,
    codes,
    scale,
    rows,
    columns,
    x,
    inputs,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros((ROWS, MOST_ROWS), tl.float32)
    for first in tl.range(tl.program_id(1) * COLUMNS, columns, SPLITS * COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        # An INT8 code is exact in float16 and in bfloat16.
        tile = int8_tile(codes, row, rows, column, columns).to(x.dtype.element_ty)
        total = tl.dot(tile, inputs_tile(x, column, columns, inputs), total)
    scales = tl.load(scale + row, mask=row < rows, other=0).to(tl.float32)
    store_part(parts, total * scales[:, None], row, rows, inputs)


@triton.jit
def int4_several(
    parts,
    words,
    scale,
    rows,
    width,
    x,
    inputs,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """A tile is one group wide: COLUMNS is GROUP, and the scale stands outside of the product."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros((ROWS, MOST_ROWS), tl.float32)
    for first in tl.range(tl.program_id(1) * WORDS, width, SPLITS * WORDS):
        column = first * NIBBLES + tl.arange(0, COLUMNS)
        tile = int4_tile(words, row, rows, first, width, ROWS, COLUMNS).to(x.dtype.element_ty)
        values = inputs_tile(x, column, width * NIBBLES, inputs)
        place = row * (width // WORDS) + first // WORDS
        scales = tl.load(scale + place, mask=row < rows, other=0).to(tl.float32)
        total += tl.dot(tile, values) * scales[:, None]
    store_part(parts, total, row, rows, inputs)


@triton.jit
def add_parts(out, parts, bias, rows, count, SPLITS: tl.constexpr, COLUMNS: tl.constexpr):
    """out [count] of parts [SPLITS, count], always in the same order."""
    place = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.load(bias + place % rows, mask=place < count, other=0).to(tl.float32)
    for split in tl.static_range(SPLITS):
        total += tl.load(parts + split * count + place, mask=place < count, other=0)
    tl.store(out + place, total.to(out.dtype.element_ty), mask=place < count)


# --- all of the weights -------------------------------------------------------------------------


@triton.jit
def store_weights(weight, tile, row, rows, column, columns):
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    place = row[:, None] * columns + column[None, :]
    tl.store(weight + place, tile.to(weight.dtype.element_ty), mask=inside)


@triton.jit
def int8_dequantize(weight, codes, scale, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    scales = tl.load(scale + row, mask=row < rows, other=0).to(tl.float32)
    for first in tl.range(0, columns, COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        tile = int8_tile(codes, row, rows, column, columns).to(tl.float32) * scales[:, None]
        store_weights(weight, tile, row, rows, column, columns)


@triton.jit
def int4_dequantize(weight, words, scale, rows, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    for first in tl.range(0, width, COLUMNS // NIBBLES):
        column = first * NIBBLES + tl.arange(0, COLUMNS)
        tile = int4_weights(words, scale, row, rows, first, width, ROWS, COLUMNS)
        store_weights(weight, tile, row, rows, column, width * NIBBLES)
