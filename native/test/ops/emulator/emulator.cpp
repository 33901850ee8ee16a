#include "cuda_runtime.h"
#include "base/half.h"
#include <stdexcept>
#include <ucontext.h>
#include <vector>

EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {
namespace {

using namespace atelier;

constexpr size_t kStack = 128 * 1024;

struct Barrier {
    int arrived = 0, generation = 0;
};
struct Warp {
    Barrier barrier;
    uint64_t slots[32][8] = {};
    float a[16][16], b[16][8]; // the operands of the product under way
};
struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(kStack);
    bool done = true;
};

std::vector<Fiber> fibers;
std::vector<Warp> warps;
std::vector<unsigned char> memory;
Barrier block_barrier;
ucontext_t scheduler;
const std::function<void()>* body;
size_t current;
uint64_t progress; // barriers passed and fibers ended

void enter() {
    (*body)();
    fibers[current].done = true;
    ++progress;
    swapcontext(&fibers[current].context, &scheduler);
}

void wait(Barrier& barrier, int size) {
    const int generation = barrier.generation;
    if (++barrier.arrived == size) {
        barrier.arrived = 0;
        ++barrier.generation;
        ++progress;
        return;
    }
    while (barrier.generation == generation) swapcontext(&fibers[current].context, &scheduler);
}

Warp& warp() { return warps[current / 32]; }

float half_of(uint32_t pair, int half) { return bf16_to_float(static_cast<uint16_t>(pair >> (16 * half))); }

} // namespace

unsigned char* shared() { return memory.data(); }
void sync_block() { wait(block_barrier, static_cast<int>(blockDim.x)); }
void sync_warp() { wait(warp().barrier, 32); }
uint64_t& slot(int lane, int index) { return warp().slots[lane][index]; }

void run(int blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
    if (threads % 32 != 0) throw std::logic_error("a block of partial warps");
    if (fibers.size() < static_cast<size_t>(threads)) fibers.resize(static_cast<size_t>(threads));
    body = &kernel;
    gridDim = {static_cast<unsigned>(blocks)};
    blockDim = {static_cast<unsigned>(threads)};
    for (int block = 0; block < blocks; ++block) {
        blockIdx = {static_cast<unsigned>(block)};
        memory.assign(shared_bytes + 64, 0xff); // NaN: reading what nobody wrote shows
        warps.assign(static_cast<size_t>(threads / 32), Warp{});
        block_barrier = {};
        for (int i = 0; i < threads; ++i) {
            Fiber& f = fibers[static_cast<size_t>(i)];
            f.done = false;
            getcontext(&f.context);
            f.context.uc_stack.ss_sp = f.stack.data();
            f.context.uc_stack.ss_size = f.stack.size();
            f.context.uc_link = nullptr;
            makecontext(&f.context, enter, 0);
        }
        for (bool left = true; left;) {
            left = false;
            const uint64_t before = progress;
            for (int i = 0; i < threads; ++i) {
                if (fibers[static_cast<size_t>(i)].done) continue;
                left = true;
                current = static_cast<size_t>(i);
                threadIdx = {static_cast<unsigned>(i)};
                swapcontext(&scheduler, &fibers[current].context);
            }
            if (left && before == progress) throw std::logic_error("threads wait at a barrier that the others never reach");
        }
    }
}

// The operands as matrices from every lane's registers, by the same maps that the kernels load them with, then this lane's share of the result.
void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    Warp& w = warp();
    const int lane = static_cast<int>(threadIdx.x % 32);
    const uint32_t b[2] = {b0, b1};
    for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 4; ++i) w.a[maps::mma_a(lane, i, half).row][maps::mma_a(lane, i, half).col] = half_of(a[i], half);
        for (int i = 0; i < 2; ++i) w.b[maps::mma_b(lane, i, half).row][maps::mma_b(lane, i, half).col] = half_of(b[i], half);
    }
    sync_warp();
    for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 16; ++k) c[i] += w.a[maps::mma_c(lane, i).row][k] * w.b[k][maps::mma_c(lane, i).col];
    sync_warp();
}

void load_transposed(uint32_t (&r)[4], const uint16_t* row) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) throw std::logic_error("ldmatrix: a row that does not start on 16 bytes");
    const auto address = reinterpret_cast<uint64_t>(row);
    slot(lane, 0) = address;
    sync_warp();
    for (int m = 0; m < 4; ++m) {
        const auto at = [&](int which) { return reinterpret_cast<const uint16_t*>(slot(8 * m + lane % 4 * 2 + which, 0))[lane / 4]; };
        r[m] = static_cast<uint32_t>(at(0)) | static_cast<uint32_t>(at(1)) << 16;
    }
    sync_warp();
}

} // namespace emulated
