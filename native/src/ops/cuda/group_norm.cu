// Group norm over pixels, channels last: two passes of sums in double (mean, then squares around it), a block a group
// and run of pixels, and one pass that writes. The split depends on the shape alone.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "ops/math/activations.h"
#include "ops/math/norms.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr size_t kRoom = kThreads / kWarp * sizeof(double);

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// partials[group · runs + run]: the sum over that run's pixels; with `centred` of squares around stats[group].mean
template <class T>
__global__ void group_sums_kernel(
    Rows<T> x, int64_t width, int64_t runs, const float* stats, bool centred, double* partials) {
    const int64_t group = blockIdx.x / runs;
    const maps::Run run = maps::run_of(blockIdx.x % runs, runs, x.rows);
    const float mean = centred ? stats[2 * group] : 0.0f;
    double sum = 0;
    for (int64_t i = run.begin * width + threadIdx.x; i < run.end * width; i += kThreads) {
        const float d = widened(x.row(i / width)[group * width + i % width]) - mean;
        sum += centred ? static_cast<double>(d) * d : static_cast<double>(d);
    }
    sum = block_sum(sum, reinterpret_cast<double*>(shared_bytes()));
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// A thread a group: its mean, then its 1 / standard deviation.
__global__ void group_stats_kernel(
    const double* partials, int64_t groups, int64_t runs, double elements, float eps, bool centred, float* stats) {
    const int64_t group = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), groups, kThreads).col;
    if (group >= groups) return;
    double sum = 0;
    for (int64_t run = 0; run < runs; ++run) sum += partials[group * runs + run];
    stats[2 * group + centred] = static_cast<float>(centred ? 1.0 / sqrt(sum / elements + eps) : sum / elements);
}

template <class T>
__global__ void group_apply_kernel(
    Rows<T> x, const float* weight, const float* bias, int64_t width, const float* stats, Activation then, Rows<T> y) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols, kThreads);
    if (at.col >= y.cols) return;
    const int64_t group = at.col / width;
    const float normal = normalised(widened(x.row(at.row)[at.col]), stats[2 * group], stats[2 * group + 1]);
    y.row(at.row)[at.col] = narrowed<T>(activate(then, normal * weight[at.col] + bias[at.col]));
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void group_norm(cudaStream_t stream, const View& x, const float* weight, const float* bias, int64_t groups, float eps,
    Activation then, const View& y, double* partials, float* stats) {
    require(groups > 0 && groups <= kMostGroups && x.cols % groups == 0, ErrorCode::unsupported, "CUDA: ", x.cols,
        " channels in ", groups, " groups; at most ", kMostGroups);
    const int64_t width = x.cols / groups, most = kPartials / groups,
                  wanted = maps::pieces(x.rows * width, 4 * kThreads), runs = wanted < most ? wanted : most;
    with_type(one_type("group_norm", {x, y}), [&]<class T>() {
        for (const bool centred : {false, true}) {
            launch(stream, groups * runs, kThreads, kRoom, group_sums_kernel<T>, Rows<T>(x), width, runs, stats,
                centred, partials);
            launch(stream, maps::element_blocks(1, groups, kThreads), kThreads, 0, group_stats_kernel, partials, groups,
                runs, static_cast<double>(x.rows * width), eps, centred, stats);
        }
        launch(stream, maps::element_blocks(y.rows, y.cols, kThreads), kThreads, 0, group_apply_kernel<T>, Rows<T>(x),
            weight, bias, width, stats, then, Rows<T>(y));
    });
}

} // namespace atelier::ATELIER_CUDA_NS
