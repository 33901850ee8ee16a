// Every mapping from (block, thread) to elements, walked over: each element exactly once, none outside.
#include <doctest/doctest.h>

#include "ops/cuda/index_maps.h"
#include <algorithm>
#include <vector>

using namespace atelier::maps;

namespace {

struct Visits {
    std::vector<int> count;
    explicit Visits(int64_t size) : count(static_cast<size_t>(size), 0) {}
    void at(int64_t i) {
        REQUIRE(i >= 0);
        REQUIRE(i < static_cast<int64_t>(count.size()));
        ++count[static_cast<size_t>(i)];
    }
    bool once() const {
        return std::all_of(count.begin(), count.end(), [](int n) { return n == 1; });
    }
};

// Shared memory has 32 banks of 4 bytes; an access of 16 bytes a lane goes in four turns of eight lanes, one of 8 bytes
// in two of sixteen. How many words the busiest bank gives to a turn's lanes, whose accesses begin at `bytes`.
int64_t busiest_bank(const std::vector<uint32_t>& bytes, int64_t each) {
    std::vector<std::vector<uint32_t>> words(32);
    for (const uint32_t byte : bytes)
        for (uint32_t word = byte / 4; word < (byte + each) / 4; ++word) {
            auto& bank = words[word % 32];
            if (std::find(bank.begin(), bank.end(), word) == bank.end()) bank.push_back(word);
        }
    size_t most = 0;
    for (const auto& bank : words) most = std::max(most, bank.size());
    return static_cast<int64_t>(most);
}

} // namespace

TEST_CASE("elementwise: every cell once, from one column to many blocks of them") {
    for (int64_t rows : {1, 3, 17})
        for (int64_t cols : {1, 31, 256, 257, 3072}) {
            Visits seen(rows * cols);
            for (int64_t block = 0; block < element_blocks(rows, cols, 256); ++block)
                for (int thread = 0; thread < 256; ++thread) {
                    const Cell at = element_cell(block, thread, cols, 256);
                    if (at.col < cols) seen.at(at.row * cols + at.col);
                }
            CHECK(seen.once());
        }
}

TEST_CASE("warps: every task by exactly one warp") {
    for (int64_t tasks : {1, 7, 8, 9, 1613}) {
        Visits seen(tasks);
        for (int64_t block = 0; block < warp_blocks(tasks, 256); ++block)
            for (int thread = 0; thread < 256; thread += 32) {
                for (int lane = 1; lane < 32; ++lane)
                    REQUIRE(warp_task(block, thread + lane, 256) == warp_task(block, thread, 256));
                if (warp_task(block, thread, 256) < tasks) seen.at(warp_task(block, thread, 256));
            }
        CHECK(seen.once());
    }
}

TEST_CASE("NF4 turned: every element into the tile once and out of it once") {
    for (int64_t rows : {16, 128, 336})
        for (int64_t cols : {64, 192}) {
            Visits in(rows * cols), out(rows * cols);
            for (int64_t block = 0; block < turned_blocks(rows, cols); ++block)
                for (int thread = 0; thread < 256; ++thread) {
                    const Cell from = turned_tile(block, rows),
                               own = tile_cell(0, thread, kTurnedCols, kTurnedEach, 256);
                    for (int64_t i = 0; from.row + own.row < rows && i < kTurnedEach; ++i)
                        in.at((from.row + own.row) * cols + from.col + own.col + i);
                    for (int step = 0; step < 2; ++step) {
                        const Cell at = tile_cell(step, thread, kTurnedRows, 16, 256);
                        for (int64_t i = 0; from.row + at.col < rows && i < 16; ++i)
                            out.at((from.col + at.row) * rows + from.row + at.col + i);
                    }
                }
            CHECK(in.once());
            CHECK(out.once());
        }
}

TEST_CASE("NF4: every element once, and a warp's side by side at each step") {
    for (int64_t count : {64, 192, 64 * 1000}) {
        Visits seen(count);
        for (int64_t block = 0; block < nf4_blocks(count, 256); ++block)
            for (int step = 0; step < kNf4Steps; ++step)
                for (int thread = 0; thread < 256; ++thread) {
                    const int64_t first = nf4_first(block, thread, step, 256);
                    REQUIRE(first == nf4_first(block, thread / 32 * 32, step, 256) + thread % 32 * kNf4Each);
                    for (int64_t i = 0; first < count && i < kNf4Each; ++i) seen.at(first + i);
                }
        CHECK(seen.once());
    }
}

TEST_CASE("sums over rows: every (row, rank, column) once, and runs that leave no row out") {
    for (int64_t cols : {5, 256, 300})
        for (int64_t ranks : {1, 8, 11})
            for (int group : {4, 8})
                for (int64_t chunks : {1, 3}) {
                    const int64_t rows = 10;
                    Visits seen(rows * ranks * cols);
                    for (int64_t block = 0; block < outer_blocks(cols, ranks, group, chunks, 256); ++block)
                        for (int thread = 0; thread < 256; ++thread) {
                            const OuterTask t = outer_task(block, thread, cols, ranks, group, 256);
                            if (t.col >= cols) continue;
                            const Run run = run_of(t.chunk, chunks, rows);
                            for (int64_t i = run.begin; i < run.end; ++i)
                                for (int64_t r = t.rank; r < std::min(ranks, t.rank + group); ++r)
                                    seen.at((i * ranks + r) * cols + t.col);
                        }
                    CHECK(seen.once());
                }
}

TEST_CASE("flash: every row of every head by one warp, every value of a tile loaded once") {
    for (int64_t rows : {1, 64, 65, 1613}) {
        const int64_t heads = 3;
        Visits seen(heads * rows);
        for (int64_t block = 0; block < flash_blocks(heads, rows); ++block) {
            const FlashTask task = flash_task(block, rows);
            for (int warp = 0; warp < kFlashWarps; ++warp)
                for (int i = 0; i < 16; ++i)
                    if (task.row + warp * 16 + i < rows) seen.at(task.head * rows + task.row + warp * 16 + i);
        }
        CHECK(seen.once());
    }
    for (int each : {4, 8})
        for (int dim : {64, 128})
            for (int rows : {32, 64}) {
                Visits seen(rows * dim);
                for (int step = 0; step < pieces(rows * (dim / each), 128); ++step)
                    for (int thread = 0; thread < 128; ++thread) {
                        const Cell at = tile_cell(step, thread, dim, each, 128);
                        for (int i = 0; i < each && at.row < rows; ++i) seen.at(at.row * dim + at.col + i);
                    }
                CHECK(seen.once());
            }
}

TEST_CASE("tiles in shared memory: every byte once, and no two lanes of a turn in one bank") {
    for (const int dim : {64, 128}) {
        CAPTURE(dim);
        constexpr int kRows = 64;
        Visits seen(kRows * dim);
        for (int row = 0; row < kRows; ++row)
            for (int col = 0; col < dim; ++col) {
                REQUIRE(tile_byte(row, col, dim) % 2 == 0);
                seen.at(tile_byte(row, col, dim) / 2);
                CHECK(tile_byte(row, col / 8 * 8, dim) % 16 == 0);
                CHECK(tile_byte(row, col, dim) == tile_byte(row, col / 8 * 8, dim) + col % 8 * 2);
            }
        CHECK(seen.once());
        for (const auto lanes : {ldmatrix_row, ldmatrix_row_of_columns})
            for (int k = 0; k < dim / 16; ++k)
                for (int rows = 0; rows < kRows; rows += 16) {
                    std::vector<uint32_t> bytes;
                    for (int lane = 0; lane < 32; ++lane) {
                        const Cell at = lanes(lane);
                        bytes.push_back(tile_step(tile_byte(at.row, at.col, dim), rows, k, dim));
                        CHECK(bytes.back() == tile_byte(rows + at.row, 16 * k + at.col, dim));
                        if (bytes.size() < 8) continue;
                        CHECK(busiest_bank(bytes, 16) == 1);
                        bytes.clear();
                    }
                }
        for (const int each : {4, 8}) { // of fp32 and of bf16, which become 8 and 16 bytes
            std::vector<uint32_t> bytes;
            for (int step = 0; step < kRows * dim / each / 128; ++step)
                for (int thread = 0; thread < 128; ++thread) {
                    const Cell at = tile_cell(step, thread, dim, each, 128);
                    bytes.push_back(tile_byte(at.row, at.col, dim));
                    if (bytes.size() < 64 / static_cast<size_t>(each)) continue;
                    CHECK(busiest_bank(bytes, 2 * each) == 1);
                    bytes.clear();
                }
        }
    }
}

TEST_CASE("tensor-core fragments hold every element once, and two results are the next product's operand") {
    Visits a(16 * 16), b(16 * 8), c(16 * 8), rows(16 * 2), columns(16 * 2);
    for (int lane = 0; lane < 32; ++lane) {
        for (int half = 0; half < 2; ++half) {
            for (int reg = 0; reg < 4; ++reg) a.at(mma_a(lane, reg, half).row * 16 + mma_a(lane, reg, half).col);
            for (int reg = 0; reg < 2; ++reg) b.at(mma_b(lane, reg, half).row * 8 + mma_b(lane, reg, half).col);
        }
        for (int i = 0; i < 4; ++i) c.at(mma_c(lane, i).row * 8 + mma_c(lane, i).col);
        rows.at(ldmatrix_row(lane).row * 2 + ldmatrix_row(lane).col / 8);
        columns.at(ldmatrix_row_of_columns(lane).row * 2 + ldmatrix_row_of_columns(lane).col / 8);
        // Register m of a lane is of matrix m, whose first row lane 8m names.
        for (int m = 0; m < 4; ++m) {
            const Cell first = ldmatrix_row(8 * m), turned = ldmatrix_row_of_columns(8 * m);
            CHECK(mma_a(lane, m, 0).row == first.row + lane / 4);
            CHECK(mma_a(lane, m, 0).col == first.col + lane % 4 * 2);
            CHECK(mma_b(lane, m % 2, 0).col + m / 2 * 8 == turned.row + lane / 4);
            CHECK(mma_b(lane, m % 2, 0).row == turned.col + lane % 4 * 2);
        }
        for (int reg = 0; reg < 4; ++reg)
            for (int half = 0; half < 2;
                ++half) { // register reg of A: result reg / 2, its values 2·(reg & 1) and the next
                const Cell operand = mma_a(lane, reg, half), result = mma_c(lane, 2 * (reg & 1) + half);
                CHECK(operand.row == result.row);
                CHECK(operand.col == result.col + reg / 2 * 8);
            }
    }
    CHECK(a.once());
    CHECK(b.once());
    CHECK(c.once());
    CHECK(rows.once());
    CHECK(columns.once());
}
