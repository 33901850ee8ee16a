// Which thread does what: every kernel's mapping from (block, thread) to elements, as functions that run on the host
// too. Tests walk over them and prove that each element is visited exactly once.
#pragma once
#include "base/host_device.h"
#include <cstdint>

namespace atelier::maps {

ATELIER_HD constexpr int64_t pieces(int64_t count, int64_t each) { return (count + each - 1) / each; }

struct Cell {
    int64_t row, col;
};

// -- elementwise: a block takes up to `threads` neighbouring columns of one row. col may lie at or beyond cols: nothing
// to do.
ATELIER_HD constexpr int64_t element_blocks(int64_t rows, int64_t cols, int threads) {
    return rows * pieces(cols, threads);
}
ATELIER_HD constexpr Cell element_cell(int64_t block, int thread, int64_t cols, int threads) {
    const int64_t across = pieces(cols, threads);
    return {block / across, block % across * threads + thread};
}

// -- what follows a product: a thread takes so many rows of the columns it is given, elementwise in blocks of rows
constexpr int kFinishRows = 8;

// -- a warp a task: task >= count: nothing to do
ATELIER_HD constexpr int64_t warp_blocks(int64_t count, int threads) { return pieces(count, threads / 32); }
ATELIER_HD constexpr int64_t warp_task(int64_t block, int thread, int threads) {
    return block * (threads / 32) + thread / 32;
}

// -- NF4: a thread takes eight neighbouring elements, which are four bytes, at each of a few steps. At one step a
// block's threads lie side by side, so that what a warp writes are whole sectors of 32 bytes.
constexpr int64_t kNf4Each = 8;
constexpr int kNf4Steps = 4;
constexpr int64_t kNf4Most = int64_t{1} << 31; // elements of a run: they are counted in 32 bits, without a sign
ATELIER_HD constexpr int64_t nf4_blocks(int64_t count, int threads) {
    return pieces(count, threads * kNf4Each * kNf4Steps);
}
ATELIER_HD constexpr int64_t nf4_first(int64_t block, int thread, int step, int threads) {
    return ((block * kNf4Steps + step) * threads + thread) * kNf4Each;
}

// -- NF4 turned, columns as rows: a block takes kTurnedRows rows of kTurnedCols columns, one block of NF4 each; rows
// may end within
constexpr int kTurnedRows = 128, kTurnedCols = 64, kTurnedEach = 32; // a thread: 32 neighbours, which are 16 bytes
ATELIER_HD constexpr int64_t turned_blocks(int64_t rows, int64_t cols) {
    return pieces(rows, kTurnedRows) * (cols / kTurnedCols);
}
ATELIER_HD constexpr Cell turned_tile(int64_t block, int64_t rows) {
    const int64_t across = pieces(rows, kTurnedRows);
    return {block % across * kTurnedRows, block / across * kTurnedCols};
}

// -- low-rank products: a block takes so many rows, its threads share their columns
constexpr int kLowRankRows = 4;

// -- sums over rows: a block takes `threads` columns, one group of ranks and one run of rows
struct OuterTask {
    int64_t col, rank, chunk;
};
ATELIER_HD constexpr int64_t outer_blocks(int64_t cols, int64_t ranks, int group, int64_t chunks, int threads) {
    return pieces(cols, threads) * pieces(ranks, group) * chunks;
}
ATELIER_HD constexpr OuterTask outer_task(
    int64_t block, int thread, int64_t cols, int64_t ranks, int group, int threads) {
    const int64_t across = pieces(cols, threads), groups = pieces(ranks, group);
    return {block % across * threads + thread, block / across % groups * group, block / across / groups};
}
struct Run {
    int64_t begin, end;
};
ATELIER_HD constexpr Run run_of(int64_t index, int64_t count, int64_t total) {
    return {total * index / count, total * (index + 1) / count};
}

// -- flash attention: a block takes kFlashRows rows of one head, a warp 16 of them
constexpr int kFlashRows = 64, kFlashWarps = 4;
struct FlashTask {
    int64_t head, row;
};
ATELIER_HD constexpr int64_t flash_blocks(int64_t heads, int64_t rows) { return heads * pieces(rows, kFlashRows); }
ATELIER_HD constexpr FlashTask flash_task(int64_t block, int64_t rows) {
    const int64_t across = pieces(rows, kFlashRows);
    return {block / across, block % across * kFlashRows};
}
// Moving a (rows, dim) tile: pass `step` of a thread moves `each` neighbouring values. row >= rows: nothing to do.
ATELIER_HD constexpr Cell tile_cell(int step, int thread, int dim, int each, int threads) {
    const int piece = step * threads + thread, across = dim / each;
    return {piece / across, piece % across * each};
}

// -- mma.m16n8k16: which element of its operands a lane's register holds (PTX ISA, "Matrix Fragments for mma.m16n8k16")
// A (16 x 16): four registers of two neighbouring columns
ATELIER_HD constexpr Cell mma_a(int lane, int reg, int half) {
    return {lane / 4 + (reg & 1) * 8, lane % 4 * 2 + half + (reg >> 1) * 8};
}
// B (16 x 8): two registers of two neighbouring rows
ATELIER_HD constexpr Cell mma_b(int lane, int reg, int half) { return {lane % 4 * 2 + half + reg * 8, lane / 4}; }
// C (16 x 8): four floats
ATELIER_HD constexpr Cell mma_c(int lane, int i) { return {lane / 4 + (i >> 1) * 8, lane % 4 * 2 + (i & 1)}; }
// The row a lane names for ldmatrix.x4: lanes 8m to 8m+7 name the rows of 8 x 8 matrix m; here a (16, 16) tile as A, or
// transposed on the way as B of two products: matrices 0 and 1 are rows 0-7 and 8-15 of columns 0-7, 2 and 3 those of
// columns 8-15.
ATELIER_HD constexpr Cell ldmatrix_row(int lane) { return {lane % 8 + (lane / 8 & 1) * 8, lane / 16 * 8}; }
// The same of a (16, 16) tile whose rows are B's columns: matrices 0 and 1 are columns 0-7 and 8-15 of rows 0-7.
ATELIER_HD constexpr Cell ldmatrix_row_of_columns(int lane) { return {lane % 8 + lane / 16 * 8, (lane / 8 & 1) * 8}; }

// -- tiles in shared memory: rows of `dim` bf16 without padding. A row's pieces of 16 bytes change places by the row's
// last three bits, so that the same piece of eight neighbouring rows lies in all 32 banks.
ATELIER_HD constexpr uint32_t tile_byte(int64_t row, int64_t col, int dim) {
    return static_cast<uint32_t>(row * 2 * dim + ((col / 8) ^ (row & 7)) * 16 + col % 8 * 2);
}
// What lies `rows` (a multiple of 8) below and 16 · k columns right of `byte`, which lies in columns 0 to 15. Four
// values of k and constants are all there is, so that a thread need not hold an address for each.
ATELIER_HD constexpr uint32_t tile_step(uint32_t byte, int rows, int k, int dim) {
    return (byte ^ static_cast<uint32_t>((k & 3) * 32)) + static_cast<uint32_t>(rows * 2 * dim + (k >> 2) * 128);
}

// -- im2col: row `pixel` of the gathered matrix, column k = (tap, channel); input row and column may lie outside the
// picture
struct Tap {
    int64_t y, x, channel;
};
ATELIER_HD constexpr Tap conv_tap(int64_t pixel, int64_t k, int64_t out_width, int64_t channels, int64_t kernel,
    int64_t stride, int64_t pad_top, int64_t pad_left) {
    const int64_t tap = k / channels;
    return {pixel / out_width * stride + tap / kernel - pad_top, pixel % out_width * stride + tap % kernel - pad_left,
        k % channels};
}

} // namespace atelier::maps
