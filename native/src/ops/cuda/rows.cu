// Norms, modulation and rotary embedding: a block (norms) or a warp (heads) a row; sums in a fixed order, formulas from
// ops/math/norms.h.
#include "ops/cuda/device.h"
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "ops/math/activations.h"
#include "ops/math/norms.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

struct Stats {
    float mean, inverse;
};

// f(j) for this thread's columns of a block's row: W neighbours from j on, always the same ones.
template <int W, class F>
__device__ inline void along(int64_t cols, F&& f) {
    for (int64_t j = W * static_cast<int64_t>(threadIdx.x); j < cols; j += W * kThreads) f(j);
}

__device__ inline float rms_inverse(const float* x, int64_t cols, float eps, float* room) {
    float sum = 0;
    along<1>(cols, [&](int64_t j) { sum += x[j] * x[j]; });
    return 1.0f / sqrtf(block_sum(sum, room) / static_cast<float>(cols) + eps);
}

template <int W, class T>
__device__ inline Stats layer_stats(
    const T* x, int64_t cols, float eps, float* room) { // x: as this block's threads wrote or found it
    float sum = 0, square = 0;
    along<W>(cols, [&](int64_t j) {
        const Pack<W> v = load<W>(x + j);
        for (int k = 0; k < W; ++k) sum += v[k];
    });
    const float mean = block_sum(sum, room) / static_cast<float>(cols);
    along<W>(cols, [&](int64_t j) {
        const Pack<W> v = load<W>(x + j);
        for (int k = 0; k < W; ++k) square += (v[k] - mean) * (v[k] - mean);
    });
    return {mean, 1.0f / sqrtf(block_sum(square, room) / static_cast<float>(cols) + eps)};
}

template <class T, int W>
__global__ void gated_norm_modulate_kernel(Rows<T> x, Rows<float> gate, Rows<T> branch, Rows<float> shift,
    Rows<float> scale, float eps, Rows<T> r, Rows<T> y, Rows<float> stats) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x, cols = y.cols;
    const T* from = x.row(row);
    if (r &&
        (gate || r.row(row) !=
                     from)) { // every thread reads below only what it wrote here, rounded: backward sees the same r
        T* to = r.row(row);
        along<W>(cols, [&](int64_t j) {
            Pack<W> v = load<W>(from + j);
            if (gate) {
                const Pack<W> g = load<W>(gate.data + j), b = load<W>(branch.row(row) + j);
                for (int k = 0; k < W; ++k) v[k] = gated_sum(v[k], g[k], b[k]);
            }
            store(to + j, v);
        });
        from = to;
    }
    const Stats s = layer_stats<W>(from, cols, eps, room);
    if (stats && threadIdx.x == 0) {
        stats.row(row)[0] = s.mean;
        stats.row(row)[1] = s.inverse;
    }
    along<W>(cols, [&](int64_t j) {
        Pack<W> v = load<W>(from + j);
        const Pack<W> add = load<W>(shift.data + j), times = load<W>(scale.data + j);
        for (int k = 0; k < W; ++k) v[k] = modulated(normalised(v[k], s.mean, s.inverse), add[k], times[k]);
        store(y.row(row) + j, v);
    });
}

template <class T, int W>
__global__ void norm_modulate_bwd_kernel(Rows<T> dy, Rows<T> r, Rows<float> scale, Rows<float> stats, Rows<T> dr) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x, cols = dy.cols;
    const float mean = stats.row(row)[0], inverse = stats.row(row)[1];
    const auto slopes_and_normals = [&](int64_t j, Pack<W>& slope, Pack<W>& normal) {
        slope = load<W>(dy.row(row) + j), normal = load<W>(r.row(row) + j);
        const Pack<W> times = load<W>(scale.data + j);
        for (int k = 0; k < W; ++k)
            slope[k] = modulated_slope(slope[k], times[k]), normal[k] = normalised(normal[k], mean, inverse);
    };
    float sum = 0, product = 0;
    along<W>(cols, [&](int64_t j) {
        Pack<W> slope, normal;
        slopes_and_normals(j, slope, normal);
        for (int k = 0; k < W; ++k) sum += slope[k], product += slope[k] * normal[k];
    });
    const float mean_slope = block_sum(sum, room) / static_cast<float>(cols),
                mean_product = block_sum(product, room) / static_cast<float>(cols);
    along<W>(cols, [&](int64_t j) {
        Pack<W> slope, normal, total = load<W>(dr.row(row) + j);
        slopes_and_normals(j, slope, normal);
        for (int k = 0; k < W; ++k) total[k] += norm_slope(slope[k], normal[k], inverse, mean_slope, mean_product);
        store(dr.row(row) + j, total);
    });
}

__global__ void affine_norm_kernel(View x, const float* weight, const float* bias, float eps, bool centred, View y) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x;
    const float* from = x.row(row);
    const Stats s = centred ? layer_stats<1>(from, x.cols, eps, room) : Stats{0, rms_inverse(from, x.cols, eps, room)};
    along<1>(x.cols, [&](int64_t j) {
        float v = normalised(from[j], s.mean, s.inverse);
        if (weight) v *= weight[j];
        if (bias) v += bias[j];
        y.row(row)[j] = v;
    });
}

// One head of one row, a warp: a lane takes whole pairs, two of them at once where W is 4. f(i) for its elements from i
// on.
template <int W, class F>
__device__ inline void along_head(int64_t dim, F&& f) {
    for (int64_t i = W * static_cast<int64_t>(threadIdx.x % kWarp); i < dim; i += W * kWarp) f(i);
}

// Pairs need not lie on a multiple of their size.
template <int W, class T>
__device__ inline Pack<W> pairs(const T* from) {
    return load<W, W == kWide>(from);
}

template <int W, class T>
__device__ inline float head_inverse(const T* x, int64_t dim, float eps) {
    float sum = 0;
    along_head<W>(dim, [&](int64_t i) {
        const Pack<W> v = pairs<W>(x + i);
        for (int k = 0; k < W; ++k) sum += v[k] * v[k];
    });
    return 1.0f / sqrtf(warp_sum(sum) / static_cast<float>(dim) + eps);
}

template <class T, int W>
__global__ void qk_norm_rope_kernel(
    Rows<T> x, const float* weight, Rows<float> cos, Rows<float> sin, int64_t heads, float eps, Rows<T> y) {
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads), dim = x.cols / heads;
    if (task >= x.rows * heads) return;
    const int64_t row = task / heads, column = task % heads * dim;
    const T* from = x.row(row) + column;
    T* to = y.row(row) + column;
    const float inverse = head_inverse<W>(from, dim, eps);
    along_head<W>(dim, [&](int64_t i) { // y may be x: a lane writes only the pairs it read
        Pack<W> v = pairs<W>(from + i);
        const Pack<W> w = pairs<W>(weight + i), c = pairs<W>(cos.row(row) + i), s = pairs<W>(sin.row(row) + i);
        for (int k = 0; k < W; k += 2) {
            const Pair turned =
                rotated({v[k] * inverse * w[k], v[k + 1] * inverse * w[k + 1]}, {c[k], c[k + 1]}, {s[k], s[k + 1]});
            v[k] = turned.first, v[k + 1] = turned.second;
        }
        store<W == kWide>(to + i, v);
    });
}

template <class T, int W>
__global__ void qk_norm_rope_bwd_kernel(Rows<T> dy, Rows<T> x, const float* weight, Rows<float> cos, Rows<float> sin,
    int64_t heads, float eps, Rows<T> dx) {
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads), dim = x.cols / heads;
    if (task >= x.rows * heads) return;
    const int64_t row = task / heads, column = task % heads * dim;
    const T *from = x.row(row) + column, *d = dy.row(row) + column;
    T* to = dx.row(row) + column;
    const auto dnormal = [&](int64_t i) {
        Pack<W> back = pairs<W>(d + i);
        const Pack<W> w = pairs<W>(weight + i), c = pairs<W>(cos.row(row) + i), s = pairs<W>(sin.row(row) + i);
        for (int k = 0; k < W; k += 2) {
            const Pair turned = rotated_back({back[k], back[k + 1]}, {c[k], c[k + 1]}, {s[k], s[k + 1]});
            back[k] = turned.first * w[k], back[k + 1] = turned.second * w[k + 1];
        }
        return back;
    };
    const float inverse = head_inverse<W>(from, dim, eps);
    float dot = 0;
    along_head<W>(dim, [&](int64_t i) {
        const Pack<W> back = dnormal(i), v = pairs<W>(from + i);
        for (int k = 0; k < W; ++k) dot += back[k] * v[k];
    });
    const float pull = warp_sum(dot) * inverse * inverse * inverse / static_cast<float>(dim);
    along_head<W>(dim, [&](int64_t i) { // worked out again, not kept in dx, which may round. dx may be dy: a lane
                                        // writes only the pairs it read
        Pack<W> back = dnormal(i);
        const Pack<W> v = pairs<W>(from + i);
        for (int k = 0; k < W; ++k) back[k] = rms_slope(back[k], v[k], inverse, pull);
        store<W == kWide>(to + i, back);
    });
}

constexpr size_t kRoom = kThreads / kWarp * sizeof(double);

// f<T, W>() with W whole pairs of a head: four neighbours where heads, tables and rows allow it.
template <class F>
void with_type_and_pairs(DType type, const float* weight, int64_t dim, std::initializer_list<View> views, F&& f) {
    const View weights{const_cast<float*>(weight), 1, dim, dim};
    const bool is_wide = wide(views) && wide({weights});
    with_type(type, [&]<class T>() { is_wide ? f.template operator()<T, kWide>() : f.template operator()<T, 2>(); });
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void gated_norm_modulate(cudaStream_t stream, const View& x, const View& gate, const View& branch, const View& shift,
    const View& scale, float eps, const View& r, const View& y, const View& stats) {
    only_f32("gated_norm_modulate", {gate, shift, scale, stats});
    with_type_and_width(one_type("gated_norm_modulate", {x, branch, r, y}), wide({x, gate, branch, shift, scale, r, y}),
        [&]<class T, int W>() {
            launch(stream, y.rows, kThreads, kRoom, gated_norm_modulate_kernel<T, W>, Rows<T>(x), Rows<float>(gate),
                Rows<T>(branch), Rows<float>(shift), Rows<float>(scale), eps, Rows<T>(r), Rows<T>(y),
                Rows<float>(stats));
        });
}

void norm_modulate_bwd(
    cudaStream_t stream, const View& dy, const View& r, const View& scale, const View& stats, const View& dr) {
    only_f32("norm_modulate_bwd", {scale, stats});
    with_type_and_width(one_type("norm_modulate_bwd", {dy, r, dr}), wide({dy, r, scale, dr}), [&]<class T, int W>() {
        launch(stream, dy.rows, kThreads, kRoom, norm_modulate_bwd_kernel<T, W>, Rows<T>(dy), Rows<T>(r),
            Rows<float>(scale), Rows<float>(stats), Rows<T>(dr));
    });
}

void affine_norm(cudaStream_t stream, const View& x, const float* weight, const float* bias, float eps, bool centred,
    const View& y) {
    only_f32(centred ? "layer_norm" : "rms_norm", {x, y});
    launch(stream, y.rows, kThreads, kRoom, affine_norm_kernel, x, weight, bias, eps, centred, y);
}

void qk_norm_rope(cudaStream_t stream, const View& x, const float* weight, const View& cos, const View& sin,
    int64_t heads, float eps, const View& y) {
    only_f32("qk_norm_rope", {cos, sin});
    with_type_and_pairs(
        one_type("qk_norm_rope", {x, y}), weight, x.cols / heads, {x, cos, sin, y}, [&]<class T, int W>() {
            launch(stream, maps::warp_blocks(x.rows * heads, kThreads), kThreads, 0, qk_norm_rope_kernel<T, W>,
                Rows<T>(x), weight, Rows<float>(cos), Rows<float>(sin), heads, eps, Rows<T>(y));
        });
}

void qk_norm_rope_bwd(cudaStream_t stream, const View& dy, const View& x, const float* weight, const View& cos,
    const View& sin, int64_t heads, float eps, const View& dx) {
    only_f32("qk_norm_rope_bwd", {cos, sin});
    with_type_and_pairs(one_type("qk_norm_rope_bwd", {dy, x, dx}), weight, x.cols / heads, {dy, x, cos, sin, dx},
        [&]<class T, int W>() {
            launch(stream, maps::warp_blocks(x.rows * heads, kThreads), kThreads, 0, qk_norm_rope_bwd_kernel<T, W>,
                Rows<T>(dy), Rows<T>(x), weight, Rows<float>(cos), Rows<float>(sin), heads, eps, Rows<T>(dx));
        });
}

} // namespace atelier::ATELIER_CUDA_NS
