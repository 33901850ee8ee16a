#include "cuda_runtime.h"
#include "base/half.h"
#include <memory>
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
// Runs threads one after another until one waits at a barrier; then the next fiber goes on with those that nobody has begun.
struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(kStack);
    unsigned thread = 0;
    bool waits = false;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Warp> warps;
std::vector<unsigned char> memory;
Barrier block_barrier;
ucontext_t scheduler;
const std::function<void()>* body;
Fiber* current;
unsigned begun;    // threads of the block
uint64_t progress; // barriers passed and threads ended

void enter() {
    while (begun < blockDim.x) {
        current->thread = begun++;
        threadIdx = {current->thread};
        (*body)();
        ++progress;
    }
    current->waits = false;
    swapcontext(&current->context, &scheduler);
}

void wait(Barrier& barrier, int size) {
    const int generation = barrier.generation;
    if (++barrier.arrived == size) {
        barrier.arrived = 0;
        ++barrier.generation;
        ++progress;
        return;
    }
    current->waits = true;
    while (barrier.generation == generation) swapcontext(&current->context, &scheduler);
}

Warp& warp() { return warps[threadIdx.x / 32]; }

float half_of(uint32_t pair, int half) { return bf16_to_float(static_cast<uint16_t>(pair >> (16 * half))); }

} // namespace

unsigned char* shared() { return memory.data(); }
void sync_block() { wait(block_barrier, static_cast<int>(blockDim.x)); }
void sync_warp() { wait(warp().barrier, 32); }
uint64_t& slot(int lane, int index) { return warp().slots[lane][index]; }

void resume(Fiber& fiber) {
    current = &fiber;
    threadIdx = {fiber.thread};
    swapcontext(&scheduler, &fiber.context);
}

Fiber& started(size_t index) {
    if (fibers.size() <= index) fibers.push_back(std::make_unique<Fiber>());
    Fiber& f = *fibers[index];
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data();
    f.context.uc_stack.ss_size = f.stack.size();
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
    return f;
}

void run_block() {
    size_t used = 0;
    begun = 0;
    while (begun < blockDim.x) resume(started(used++));
    for (bool left = true; left;) {
        left = false;
        const uint64_t before = progress;
        for (size_t i = 0; i < used; ++i) {
            if (!fibers[i]->waits) continue;
            left = true;
            resume(*fibers[i]);
        }
        if (left && before == progress) throw std::logic_error("threads wait at a barrier that the others never reach");
    }
}

void run(cudaStream_t stream, int blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
    if (threads % 32 != 0) throw std::logic_error("a block of partial warps");
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
