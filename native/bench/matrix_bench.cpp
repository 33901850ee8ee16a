// GFLOP/s of the matrix ops by shape and weight format: matrix_bench [threads]. One JSON line a case, medians of
// several runs.
#include "ops/cpu/cpu_ops.h"
#include "quant/nf4.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

using namespace atelier;

namespace {

double median_seconds(const std::function<void()>& work) {
    std::vector<double> seconds;
    double total = 0;
    while (seconds.size() < 5 || (total < 0.5 && seconds.size() < 200)) {
        const auto start = std::chrono::steady_clock::now();
        work();
        seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        total += seconds.back();
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
}

View view(std::vector<float>& v, int64_t rows, int64_t cols) { return {v.data(), rows, cols, cols}; }

void report(const char* op, const char* format, int64_t M, int64_t N, int64_t K, double flops, double seconds) {
    std::printf("{\"op\":\"%s\",\"weight\":\"%s\",\"m\":%lld,\"n\":%lld,\"k\":%lld,\"ms\":%.3f,\"gflops\":%.1f}\n", op,
        format, static_cast<long long>(M), static_cast<long long>(N), static_cast<long long>(K), seconds * 1e3,
        flops / seconds * 1e-9);
}

} // namespace

int main(int argc, char** argv) {
    const auto ops = make_cpu_ops({argc > 1 ? std::atoi(argv[1]) : 0, "auto"});
    std::printf("{\"backend\":\"%s\",\"threads\":%d}\n", ops->name(), ops->threads());
    struct Shape {
        int64_t M, N, K;
    };
    for (const Shape s :
        {Shape{100, 256, 256}, {352, 768, 768}, {352, 3072, 768}, {1613, 3072, 3072}, {1, 9216, 3072}}) {
        std::vector<float> x(static_cast<size_t>(s.M * s.K), 0.5f), w(static_cast<size_t>(s.N * s.K)),
            y(static_cast<size_t>(s.M * s.N)), dx = x;
        for (size_t i = 0; i < w.size(); ++i)
            w[i] = static_cast<float>(static_cast<int>(i * 2654435761u >> 20 & 1023) - 512) / 512.0f;
        const Nf4Storage quantised = nf4_quantize_tensor(w, false);
        for (const bool nf4 : {false, true}) {
            Weight weight;
            weight.rows = s.N;
            weight.cols = s.K;
            weight.dense = w.data();
            if (nf4) weight.format = WeightFormat::nf4, weight.nf4 = quantised.data();
            const double flops = 2.0 * static_cast<double>(s.M * s.N * s.K);
            LinearArgs forward;
            forward.x = view(x, s.M, s.K);
            forward.w = weight;
            forward.y = view(y, s.M, s.N);
            report("linear", nf4 ? "nf4" : "f32", s.M, s.N, s.K, flops, median_seconds([&] { ops->linear(forward); }));
            LinearDxArgs backward;
            backward.dy = view(y, s.M, s.N);
            backward.w = weight;
            backward.dx = view(dx, s.M, s.K);
            report("linear_dx", nf4 ? "nf4" : "f32", s.M, s.N, s.K, flops,
                median_seconds([&] { ops->linear_dx(backward); }));
        }
    }
    for (const int64_t S : {int64_t{352}, int64_t{1613}}) {
        const int64_t heads = 6, dim = 128, d = heads * dim;
        std::vector<float> q(static_cast<size_t>(S * d), 0.1f),
            k = q, v = q, o = q, lse(static_cast<size_t>(heads * S)), delta = lse, dq = q, dk = q, dv = q;
        AttentionArgs forward;
        forward.q = view(q, S, d), forward.k = view(k, S, d), forward.v = view(v, S, d), forward.o = view(o, S, d),
        forward.lse = view(lse, heads, S);
        forward.heads = heads, forward.dim = dim, forward.scale = 0.088f;
        const double flops = 4.0 * static_cast<double>(S * S * d);
        report("attention", "-", S, S, d, flops, median_seconds([&] { ops->attention(forward); }));
        AttentionBwdArgs backward;
        backward.dout = view(o, S, d), backward.q = forward.q, backward.k = forward.k, backward.v = forward.v,
        backward.o = forward.o, backward.lse = forward.lse;
        backward.dq = view(dq, S, d), backward.dk = view(dk, S, d), backward.dv = view(dv, S, d),
        backward.delta = view(delta, heads, S);
        backward.heads = heads, backward.dim = dim, backward.scale = 0.088f;
        report("attention_bwd", "-", S, S, d, 2.5 * flops, median_seconds([&] { ops->attention_bwd(backward); }));
    }
}
