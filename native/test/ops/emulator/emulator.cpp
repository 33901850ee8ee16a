#include "cuda_runtime.h"
#include "base/half.h"
#include "fiber.h"
#include <memory>
#include <stdexcept>
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
// Runs threads one after another until one waits at a barrier; then the next fiber goes on with those that nobody has
// begun.
struct Fiber {
    Context context;
    std::unique_ptr<unsigned char[]> stack{new unsigned char[kStack]};
    unsigned thread = 0;
    const Barrier* waits = nullptr; // for its generation to pass
    int generation = 0;
    int exchanges = 0; // of the thread
    bool ready() const { return waits && waits->generation != generation; }
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
std::vector<unsigned char> memory;
Barrier block_barrier;
Context scheduler;
const std::function<void()>* body;
Fiber* current;
unsigned begun;    // threads of the block
int wrong_rows = 0; // which of a's rows trade places

void enter() {
    current->context.bounds.arrive(scheduler.bounds);
    while (begun < blockDim.x) {
        current->thread = begun++;
        current->exchanges = 0;
        threadIdx = {current->thread};
        (*body)();
    }
    current->waits = nullptr;
    current->context.leave_for(scheduler);
}

void wait(Barrier& barrier, int size) {
    if (++barrier.arrived == size) {
        barrier.arrived = 0;
        ++barrier.generation;
        return;
    }
    current->waits = &barrier;
    current->generation = barrier.generation;
    current->context.leave_for(scheduler);
}

Warp& warp() { return warps[threadIdx.x / 32]; }

float half_of(uint32_t pair, int half) { return bf16_to_float(static_cast<uint16_t>(pair >> (16 * half))); }

} // namespace

unsigned char* shared() { return memory.data(); }
void require_not_shared(const void* address) {
    const auto* at = static_cast<const unsigned char*>(address);
    if (at >= memory.data() && at < memory.data() + memory.size())
        throw std::logic_error("a store to device memory was given an address in shared memory");
}
void sync_block() { wait(block_barrier, static_cast<int>(blockDim.x)); }
void sync_warp() { wait(warp().barrier, 32); }
int next_exchange() { return current->exchanges++ % 2; }
uint64_t& slot(int lane, int index) { return warp().slots[lane][index]; }

void resume(Fiber& fiber) {
    current = &fiber;
    threadIdx = {fiber.thread};
    scheduler.leave_for(fiber.context);
}

Fiber& started(size_t index) {
    if (fibers.size() <= index) fibers.push_back(std::make_unique<Fiber>());
    Fiber& f = *fibers[index];
    f.context.start(f.stack.get(), kStack, enter);
    return f;
}

void run_block() {
    size_t used = 0;
    begun = 0;
    while (begun < blockDim.x) resume(started(used++));
    for (bool left = true; left;) {
        left = false;
        bool moved = false;
        for (size_t i = 0; i < used; ++i) {
            if (fibers[i]->ready()) moved = true, resume(*fibers[i]);
            left = left || fibers[i]->waits;
        }
        if (left && !moved) throw std::logic_error("threads wait at a barrier that the others never reach");
    }
}

void run(cudaStream_t stream, int blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
    if (threads % 32 != 0) throw std::logic_error("a block of partial warps");
    if (counting()) {
        launched();
        return;
    }
    const DeviceAccess access;
    finish(stream);
    body = &kernel;
    gridDim = {static_cast<unsigned>(blocks)};
    blockDim = {static_cast<unsigned>(threads)};
    for (int block = 0; block < blocks; ++block) {
        blockIdx = {static_cast<unsigned>(block)};
        memory.assign(shared_bytes + 64, 0xff); // NaN: reading what nobody wrote shows
        warps.assign(static_cast<size_t>(threads / 32), Warp{});
        block_barrier = {};
        run_block();
    }
}

void set_wrong_fragments(bool wrong) { wrong_rows = wrong ? 1 : 0; }

// The operands as matrices from every lane's registers, by the same maps that the kernels load them with, then this
// lane's share of the result.
void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    Warp& w = warp();
    const int lane = static_cast<int>(threadIdx.x % 32);
    const uint32_t b[2] = {b0, b1};
    for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < 4; ++i)
            w.a[maps::mma_a(lane, i, half).row ^ wrong_rows][maps::mma_a(lane, i, half).col] = half_of(a[i], half);
        for (int i = 0; i < 2; ++i)
            w.b[maps::mma_b(lane, i, half).row][maps::mma_b(lane, i, half).col] = half_of(b[i], half);
    }
    sync_warp();
    for (int i = 0; i < 4; ++i)
        for (int k = 0; k < 16; ++k) c[i] += w.a[maps::mma_c(lane, i).row][k] * w.b[k][maps::mma_c(lane, i).col];
    sync_warp();
}

void load_matrices(uint32_t (&r)[4], uint32_t row, bool transposed) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    if (row % 16 != 0) throw std::logic_error("ldmatrix: a row that does not start on 16 bytes");
    if (row + 16 > memory.size()) throw std::logic_error("ldmatrix: a row beyond the block's shared memory");
    slot(lane, 2) = row;
    sync_warp();
    for (int m = 0; m < 4; ++m) {
        const auto at = [&](int line, int col) {
            uint16_t value;
            std::memcpy(&value, shared() + slot(8 * m + line, 2) + 2 * col, sizeof value);
            return static_cast<uint32_t>(value);
        };
        const int pair = lane % 4 * 2, other = lane / 4;
        r[m] = transposed ? at(pair, other) | at(pair + 1, other) << 16 : at(other, pair) | at(other, pair + 1) << 16;
    }
    sync_warp();
}

} // namespace emulated
