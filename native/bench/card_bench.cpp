// Rates of a card, which profiles of cards are made from: card_bench [device]. One JSON line a measurement, medians of
// several runs.
#include "ops/cuda/attention.h"
#include "ops/cuda/cublaslt_product.h"
#include "ops/cuda/cuda_memory.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/workspace.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace atelier;

namespace {

constexpr int kRuns = 9;

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

// Memory of the card, given back at the end.
class Room {
public:
    Room(Memory& memory, uint64_t bytes) : memory_(memory), data_(memory.reserve(bytes)) {}
    ~Room() { memory_.release(data_); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }

private:
    Memory& memory_;
    void* data_;
};

class Events {
public:
    Events() {
        cuda::check(cudaEventCreate(&begin_), "event");
        cuda::check(cudaEventCreate(&end_), "event");
    }
    ~Events() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }
    // Milliseconds that the work takes on the card, once the first runs have chosen algorithms and woken it up.
    template <class F>
    double time(cudaStream_t stream, F&& work) {
        std::vector<double> all;
        for (int run = -2; run < kRuns; ++run) {
            cuda::check(cudaEventRecord(begin_, stream), "event");
            work();
            cuda::check(cudaEventRecord(end_, stream), "event");
            cuda::check(cudaEventSynchronize(end_), "measured work");
            float ms = 0;
            cuda::check(cudaEventElapsedTime(&ms, begin_, end_), "event");
            if (run >= 0) all.push_back(ms);
        }
        return median(all);
    }

private:
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

void report(const char* what, const char* shape, double ms, double amount, const char* unit) {
    std::printf(
        "{\"what\": \"%s\", \"shape\": \"%s\", \"ms\": %.4f, \"%s\": %.1f}\n", what, shape, ms, unit, amount / ms);
    std::fflush(stdout);
}

// Values of an ordinary spread: a card is faster on zeros.
template <class T>
void fill(Memory& memory, T* to, int64_t count, T (*value)(uint32_t)) {
    std::vector<T> host(static_cast<size_t>(count));
    uint32_t state = 1;
    for (T& v : host) v = value(state = state * 1664525u + 1013904223u);
    memory.upload(to, host.data(), host.size() * sizeof(T));
}

float small(uint32_t bits) { return static_cast<float>(bits >> 8) / static_cast<float>(1 << 23) - 1; }
uint16_t small_bf16(uint32_t bits) { return float_to_bf16(small(bits)); }
uint8_t byte(uint32_t bits) { return static_cast<uint8_t>(bits >> 24); }

void products(cuda::CudaMemory& memory, Events& events) {
    const cuda::WorkspaceSizes sizes;
    const Room workspace(memory, static_cast<uint64_t>(sizes.library_bytes));
    const auto product = cuda::make_cublaslt_product(workspace.as<void>(), static_cast<uint64_t>(sizes.library_bytes));
    struct Shape {
        int64_t m, n, k;
    };
    for (const Shape s : {Shape{8192, 8192, 8192}, {1613, 3072, 3072}, {1613, 12288, 3072}, {4608, 12288, 3072}}) {
        const Room a(memory, static_cast<uint64_t>(s.m * s.k) * 2), b(memory, static_cast<uint64_t>(s.n * s.k) * 2),
            c(memory, static_cast<uint64_t>(s.m * s.n) * 4);
        fill(memory, a.as<uint16_t>(), s.m * s.k, small_bf16);
        fill(memory, b.as<uint16_t>(), s.n * s.k, small_bf16);
        char shape[64];
        std::snprintf(shape, sizeof shape, "%lld x %lld x %lld", static_cast<long long>(s.m),
            static_cast<long long>(s.n), static_cast<long long>(s.k));
        for (const bool rows : {true, false}) {
            const cuda::Product p{s.m, s.n, s.k, a.as<uint16_t>(), s.k, b.as<uint16_t>(), rows ? s.k : s.n, rows,
                c.as<float>(), s.n, false};
            const double ms = events.time(memory.stream(), [&] { product->multiply(memory.stream(), p); });
            report(rows ? "product, as forward" : "product, as backward", shape, ms,
                2e-9 * static_cast<double>(s.m * s.n) * static_cast<double>(s.k), "tflops");
        }
    }
}

void copies(cuda::CudaMemory& memory) {
    constexpr uint64_t bytes = 256 << 20;
    const Room room(memory, bytes);
    void* const host = memory.reserve_host(bytes);
    std::fill_n(static_cast<uint8_t*>(host), bytes, uint8_t{1});
    for (const bool up : {true, false}) {
        std::vector<double> all;
        for (int run = 0; run < kRuns; ++run) {
            const auto begin = std::chrono::steady_clock::now();
            up ? memory.upload(room.as<void>(), host, bytes) : memory.download(host, room.as<void>(), bytes);
            all.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
        }
        report(up ? "copy from page-locked memory" : "copy to page-locked memory", "256 MiB", median(all),
            1e-6 * static_cast<double>(bytes), "gb_per_s");
    }
    memory.release_host(host);
}

void dequant(cuda::CudaMemory& memory, Events& events) {
    constexpr int64_t side = 3072, count = side * side, blocks = count / Nf4Data::kBlock;
    const Room packed(memory, count / 2), absmax(memory, blocks * 4), out(memory, count * 2);
    fill(memory, packed.as<uint8_t>(), count / 2, byte);
    fill(memory, absmax.as<float>(), blocks, small);
    Weight w{WeightFormat::nf4, side, side, nullptr, {}};
    w.nf4.packed = packed.as<uint8_t>();
    w.nf4.absmax = absmax.as<float>();
    const double ms = events.time(memory.stream(),
        [&] { cuda::dequantize_nf4(memory.stream(), w, {0, side, 0, side}, out.as<uint16_t>(), side); });
    report("NF4 to bf16, read and written", "3072 x 3072", ms,
        1e-6 * static_cast<double>(count / 2 + blocks * 4 + count * 2), "gb_per_s");
}

void attention(cuda::CudaMemory& memory, Events& events) {
    constexpr int64_t heads = 24, dim = 128, width = heads * dim;
    for (const int64_t tokens : {int64_t{1613}, int64_t{4608}}) {
        const uint64_t bytes = static_cast<uint64_t>(tokens * width) * 2,
                       row_bytes = static_cast<uint64_t>(heads * tokens) * 4;
        const Room q(memory, bytes), k(memory, bytes), v(memory, bytes), o(memory, bytes), dout(memory, bytes),
            dq(memory, bytes), dk(memory, bytes), dv(memory, bytes);
        const Room lse(memory, row_bytes), delta(memory, row_bytes);
        for (const Room* room : {&q, &k, &v, &dout}) fill(memory, room->as<uint16_t>(), tokens * width, small_bf16);
        const auto tall = [&](const Room& room) {
            return View{room.as<uint16_t>(), tokens, width, width, DType::bf16};
        };
        const auto wide = [&](const Room& room) { return View{room.as<float>(), heads, tokens, tokens}; };
        AttentionArgs forward{tall(q), tall(k), tall(v), tall(o), wide(lse), heads, dim, 0.088388f};
        AttentionBwdArgs backward{tall(dout), tall(q), tall(k), tall(v), tall(o), wide(lse), tall(dq), tall(dk),
            tall(dv), wide(delta), heads, dim, 0.088388f};
        require(cuda::flash_runs(forward) && cuda::flash_runs(backward), ErrorCode::internal,
            "the measured attention is not the one on tensor cores");
        const double flops = 4e-9 * static_cast<double>(tokens * tokens) *
                             static_cast<double>(width); // of two products; backward needs five
        char shape[64];
        std::snprintf(shape, sizeof shape, "24 x 128, %lld tokens", static_cast<long long>(tokens));
        report("attention", shape,
            events.time(memory.stream(), [&] { cuda::flash_attention(memory.stream(), forward); }), flops, "tflops");
        report("attention, backward", shape,
            events.time(memory.stream(), [&] { cuda::flash_attention_bwd(memory.stream(), backward); }), 2.5 * flops,
            "tflops");
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        const int device = argc > 1 ? std::atoi(argv[1]) : 0;
        make_cuda_ops(device); // says whether the card can be used at all
        const CudaDevice card = cuda_devices().at(static_cast<size_t>(device));
        std::printf("{\"card\": \"%s\", \"compute_capability\": \"%d.%d\", \"total_mb\": %.0f}\n", card.name.c_str(),
            card.major, card.minor, static_cast<double>(card.total_bytes) / 1048576);
        cuda::CudaMemory memory(device);
        memory.stream(); // events belong to the current card
        Events events;
        products(memory, events);
        copies(memory);
        dequant(memory, events);
        attention(memory, events);
    } catch (const Error& e) {
        std::fprintf(stderr, "card_bench: %s\n", e.what());
        return 2;
    }
    return 0;
}
