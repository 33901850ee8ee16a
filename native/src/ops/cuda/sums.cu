// Sums over whole matrices: partial sums a block in double, then one block adds them in order. The split depends on the
// shape alone, so the same input gives the same bits.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "ops/math/flow.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr size_t kRoom = kThreads / kWarp * sizeof(double);

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

struct Loss { // also writes the gradient
    View pred, latents, noise, weight, dpred;
    float grad_scale;
    __device__ double operator()(int64_t i, int64_t j) const {
        const float error = flow_error(pred.row(i)[j], latents.row(i)[j], noise.row(i)[j]);
        const double mean = static_cast<double>(*weight.f32()) / static_cast<double>(pred.size());
        if (dpred) dpred.row(i)[j] = static_cast<float>(2.0 * mean * grad_scale) * error;
        return static_cast<double>(error) * error;
    }
};
struct Huber { // also writes the gradient
    View pred, latents, noise, weight_and_c, dpred;
    float grad_scale;
    __device__ double operator()(int64_t i, int64_t j) const {
        const double error = static_cast<double>(flow_error(pred.row(i)[j], latents.row(i)[j], noise.row(i)[j])),
                     c = static_cast<double>(weight_and_c.f32()[1]),
                     mean = static_cast<double>(weight_and_c.f32()[0]) / static_cast<double>(pred.size());
        if (dpred) dpred.row(i)[j] = static_cast<float>(mean * static_cast<double>(grad_scale) * huber_slope(error, c));
        return huber(error, c);
    }
};
struct Square {
    View x;
    __device__ double operator()(int64_t i, int64_t j) const { return static_cast<double>(x.row(i)[j]) * x.row(i)[j]; }
};

// Block b takes elements [run_of(b)) of the flattened matrix.
template <class F>
__global__ void partial_kernel(F f, int64_t rows, int64_t cols, double* partials) {
    const maps::Run run = maps::run_of(blockIdx.x, gridDim.x, rows * cols);
    double sum = 0;
    for (int64_t i = run.begin + threadIdx.x; i < run.end; i += kThreads) sum += f(i / cols, i % cols);
    sum = block_sum(sum, reinterpret_cast<double*>(shared_bytes()));
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void finish_kernel(double* partials, int64_t count, View loss, View weight, double elements) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += partials[i];
    sum = block_sum(sum, reinterpret_cast<double*>(shared_bytes()));
    if (threadIdx.x != 0) return;
    partials[0] = sum;
    if (loss) *loss.f32() = static_cast<float>(sum * (static_cast<double>(*weight.f32()) / elements));
}

template <class T>
__global__ void column_dot_kernel(Rows<T> x, Rows<T> y, float* out) {
    const int64_t col = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), x.cols, kThreads).col;
    if (col >= x.cols) return;
    float sum = out[col];
    for (int64_t i = 0; i < x.rows; ++i)
        sum += y ? widened(x.row(i)[col]) * widened(y.row(i)[col]) : widened(x.row(i)[col]);
    out[col] = sum;
}

template <class F>
int64_t partial_sums(cudaStream_t stream, int64_t rows, int64_t cols, const F& f, double* partials) {
    const int64_t wanted = maps::pieces(rows * cols, 4 * kThreads), blocks = wanted < kPartials ? wanted : kPartials;
    launch(stream, blocks, kThreads, kRoom, partial_kernel<F>, f, rows, cols, partials);
    return blocks;
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void column_dot(cudaStream_t stream, const View& x, const View& y, const View& out) {
    only_f32("column_dot", {out});
    with_type(one_type("column_dot", {x, y}), [&]<class T>() {
        launch(stream, maps::element_blocks(1, x.cols, kThreads), kThreads, 0, column_dot_kernel<T>, Rows<T>(x),
            Rows<T>(y), out.f32());
    });
}

void flow_loss(cudaStream_t stream, const View& pred, const View& latents, const View& noise, const View& weight,
    float grad_scale, const View& loss, const View& dpred, double* partials) {
    only_f32("flow_loss", {pred, latents, noise, weight, loss, dpred});
    const int64_t blocks =
        partial_sums(stream, pred.rows, pred.cols, Loss{pred, latents, noise, weight, dpred, grad_scale}, partials);
    launch(stream, 1, kThreads, kRoom, finish_kernel, partials, blocks, loss, weight, static_cast<double>(pred.size()));
}

void huber_loss(cudaStream_t stream, const View& pred, const View& latents, const View& noise, const View& weight_and_c,
    float grad_scale, const View& loss, const View& dpred, double* partials) {
    only_f32("huber_loss", {pred, latents, noise, weight_and_c, loss, dpred});
    const int64_t blocks = partial_sums(
        stream, pred.rows, pred.cols, Huber{pred, latents, noise, weight_and_c, dpred, grad_scale}, partials);
    launch(stream, 1, kThreads, kRoom, finish_kernel, partials, blocks, loss, weight_and_c,
        static_cast<double>(pred.size()));
}

void sum_of_squares(cudaStream_t stream, const View& x, double* partials) {
    only_f32("l2_norm", {x});
    const int64_t blocks = partial_sums(stream, x.rows, x.cols, Square{x}, partials);
    launch(stream, 1, kThreads, kRoom, finish_kernel, partials, blocks, View{}, View{}, 1.0);
}

} // namespace atelier::ATELIER_CUDA_NS
