// Elementwise ops: a thread an element. Where all matrices are contiguous they are taken as one long row.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/math/activations.h"
#include "ops/math/flow.h"
#include "ops/math/norms.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic ------------------------------------------------------------------------------------------------------------------------

struct GatedResidual {
    View x, gate, branch, r;
    __device__ void operator()(int64_t i, int64_t j) const { r.row(i)[j] = gated_sum(x.row(i)[j], gate.f32()[j], branch.row(i)[j]); }
};
struct MulRow {
    View x, gate, y;
    __device__ void operator()(int64_t i, int64_t j) const { y.row(i)[j] = x.row(i)[j] * gate.f32()[j]; }
};
struct Activate {
    View x, y;
    Activation kind;
    __device__ void operator()(int64_t i, int64_t j) const { y.row(i)[j] = activate(kind, x.row(i)[j]); }
};
struct ActivateBwd {
    View dy, x, dx;
    Activation kind;
    __device__ void operator()(int64_t i, int64_t j) const { dx.row(i)[j] = dy.row(i)[j] * activation_slope(kind, x.row(i)[j]); }
};
struct Copy {
    View x, y;
    __device__ void operator()(int64_t i, int64_t j) const { y.row(i)[j] = x.row(i)[j]; }
};
struct Fill {
    View y;
    float value;
    __device__ void operator()(int64_t i, int64_t j) const { y.row(i)[j] = value; }
};
struct Add {
    View x, y, out;
    __device__ void operator()(int64_t i, int64_t j) const { out.row(i)[j] = x.row(i)[j] + y.row(i)[j]; }
};
struct Mul {
    View x, y, out;
    __device__ void operator()(int64_t i, int64_t j) const { out.row(i)[j] = x.row(i)[j] * y.row(i)[j]; }
};
struct FlowNoise {
    View latents, noise, sigma, noisy;
    __device__ void operator()(int64_t i, int64_t j) const {
        const float s = *sigma.f32();
        noisy.row(i)[j] = flow_mix(latents.row(i)[j], noise.row(i)[j], s, 1.0f - s);
    }
};
struct Euler {
    View latents, velocity, out;
    float dt;
    __device__ void operator()(int64_t i, int64_t j) const { out.row(i)[j] = euler(latents.row(i)[j], velocity.row(i)[j], dt); }
};
struct Upsample {
    View x, y;
    int64_t width;
    __device__ void operator()(int64_t i, int64_t j) const {
        const int64_t oy = i / (2 * width), ox = i % (2 * width);
        y.row(i)[j] = x.row(oy / 2 * width + ox / 2)[j];
    }
};

template <class F>
__global__ void element_kernel(F f, int64_t cols) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), cols, kThreads);
    if (at.col < cols) f(at.row, at.col);
}

template <class F>
void each(cudaStream_t stream, const View& like, const F& f) {
    launch(stream, maps::element_blocks(like.rows, like.cols, kThreads), kThreads, 0, element_kernel<F>, f, like.cols);
}

template <class... V>
void flatten(V&... views) { // views of one shape
    if (!(views.contiguous() && ...)) return;
    ((views.cols = views.ld = views.rows * views.cols, views.rows = 1), ...);
}

} // namespace

// -- launches --------------------------------------------------------------------------------------------------------------------------

void gated_residual(cudaStream_t s, const View& x, const View& gate, const View& branch, const View& r) { each(s, r, GatedResidual{x, gate, branch, r}); }
void mul_row(cudaStream_t s, const View& x, const View& gate, const View& y) { each(s, y, MulRow{x, gate, y}); }
void upsample_nearest2x(cudaStream_t s, const View& x, int64_t width, const View& y) { each(s, y, Upsample{x, y, width}); }
void activation(cudaStream_t s, const View& x, Activation kind, const View& y) {
    Activate f{x, y, kind};
    flatten(f.x, f.y);
    each(s, f.y, f);
}
void activation_bwd(cudaStream_t s, const View& dy, const View& x, Activation kind, const View& dx) {
    ActivateBwd f{dy, x, dx, kind};
    flatten(f.dy, f.x, f.dx);
    each(s, f.dx, f);
}
void copy(cudaStream_t s, const View& x, const View& y) {
    Copy f{x, y};
    flatten(f.x, f.y);
    each(s, f.y, f);
}
void fill(cudaStream_t s, const View& y, float value) {
    Fill f{y, value};
    flatten(f.y);
    each(s, f.y, f);
}
void add(cudaStream_t s, const View& x, const View& y, const View& out) {
    Add f{x, y, out};
    flatten(f.x, f.y, f.out);
    each(s, f.out, f);
}
void mul(cudaStream_t s, const View& x, const View& y, const View& out) {
    Mul f{x, y, out};
    flatten(f.x, f.y, f.out);
    each(s, f.out, f);
}
void flow_noise(cudaStream_t s, const View& latents, const View& noise, const View& sigma, const View& noisy) {
    FlowNoise f{latents, noise, sigma, noisy};
    flatten(f.latents, f.noise, f.noisy);
    each(s, f.noisy, f);
}
void euler_step(cudaStream_t s, const View& latents, const View& velocity, float dt, const View& out) {
    Euler f{latents, velocity, out, dt};
    flatten(f.latents, f.velocity, f.out);
    each(s, f.out, f);
}

} // namespace atelier::ATELIER_CUDA_NS
