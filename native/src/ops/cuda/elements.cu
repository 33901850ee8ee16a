// Elementwise ops: a thread takes four neighbours where rows allow it, else one. Where all matrices are contiguous they
// are taken as one long row.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "ops/math/activations.h"
#include "ops/math/flow.h"
#include "ops/math/norms.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

struct GatedSum {
    __device__ float operator()(float x, float branch, float gate) const { return gated_sum(x, gate, branch); }
};
struct Activate {
    Activation kind;
    __device__ float operator()(float x) const { return activate(kind, x); }
};
struct ActivateBwd {
    Activation kind;
    __device__ float operator()(float dy, float x) const { return dy * activation_slope(kind, x); }
};
struct Same {
    __device__ float operator()(float x) const { return x; }
};
struct Value {
    float value;
    __device__ float operator()() const { return value; }
};
struct Sum {
    __device__ float operator()(float x, float y) const { return x + y; }
};
struct Times {
    __device__ float operator()(float x, float y) const { return x * y; }
};
struct FlowNoise {
    const float* sigma;
    __device__ float operator()(float latent, float noise) const {
        return flow_mix(latent, noise, *sigma, 1.0f - *sigma);
    }
};
struct Euler {
    float dt;
    __device__ float operator()(float latent, float velocity) const { return euler(latent, velocity, dt); }
};

template <class T, int W, class F, class... P>
__device__ inline void put(T* to, const F& f, const P&... in) {
    Pack<W> out;
    for (int k = 0; k < W; ++k) out[k] = f(in[k]...);
    store(to, out);
}

template <class T, int W, class F, class... In>
__global__ void map_kernel(F f, Rows<T> out, Rows<In>... in) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), out.cols / W, kThreads);
    if (at.col < out.cols / W) put<T, W>(out.row(at.row) + W * at.col, f, load<W>(in.row(at.row) + W * at.col)...);
}

template <class T, int W, class F, class... In>
void run_map(cudaStream_t stream, const F& f, const Rows<T>& out, const Rows<In>&... in) {
    launch(stream, maps::element_blocks(out.rows, out.cols / W, kThreads), kThreads, 0, map_kernel<T, W, F, In...>, f,
        out, in...);
}

void flatten(View& v) {
    v.cols = v.ld = v.size();
    v.rows = 1;
}

// out = f(in...) of views of one shape and type
template <class F, class... V>
void map(cudaStream_t stream, const char* op, const F& f, View out, V... in) {
    const DType type = one_type(op, {out, in...});
    if ((out.contiguous() && ... && in.contiguous())) flatten(out), (flatten(in), ...);
    with_type_and_width(
        type, wide({out, in...}), [&]<class T, int W>() { run_map<T, W>(stream, f, Rows<T>(out), Rows<T>(in)...); });
}

// out = f(in..., row), where the row is fp32
template <class F, class... V>
void map_beside(cudaStream_t stream, const char* op, const F& f, const View& out, const View& row, const V&... in) {
    only_f32(op, {row});
    with_type_and_width(one_type(op, {out, in...}), wide({out, row, in...}),
        [&]<class T, int W>() { run_map<T, W>(stream, f, Rows<T>(out), Rows<T>(in)..., beside_every_row(row)); });
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void gated_residual(cudaStream_t s, const View& x, const View& gate, const View& branch, const View& r) {
    map_beside(s, "gated_residual", GatedSum{}, r, gate, x, branch);
}
void mul_row(cudaStream_t s, const View& x, const View& gate, const View& y) {
    map_beside(s, "mul_row", Times{}, y, gate, x);
}
void activation(cudaStream_t s, const View& x, Activation kind, const View& y) {
    map(s, "activation", Activate{kind}, y, x);
}
void activation_bwd(cudaStream_t s, const View& dy, const View& x, Activation kind, const View& dx) {
    map(s, "activation_bwd", ActivateBwd{kind}, dx, dy, x);
}
void copy(cudaStream_t s, const View& x, const View& y) { map(s, "copy", Same{}, y, x); }
void fill(cudaStream_t s, const View& y, float value) { map(s, "fill", Value{value}, y); }
void add(cudaStream_t s, const View& x, const View& y, const View& out) { map(s, "add", Sum{}, out, x, y); }
void mul(cudaStream_t s, const View& x, const View& y, const View& out) { map(s, "mul", Times{}, out, x, y); }
void flow_noise(cudaStream_t s, const View& latents, const View& noise, const View& sigma, const View& noisy) {
    only_f32("flow_noise", {latents, sigma});
    map(s, "flow_noise", FlowNoise{sigma.f32()}, noisy, latents, noise);
}
void euler_step(cudaStream_t s, const View& latents, const View& velocity, float dt, const View& out) {
    only_f32("euler_step", {latents});
    map(s, "euler_step", Euler{dt}, out, latents, velocity);
}

} // namespace atelier::ATELIER_CUDA_NS
