// AdamW: a thread an element; with 8-bit states a block of threads is a block of states, whose new scale is its largest
// magnitude.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "quant/dynamic_map.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int kStateBlock = 256; // bitsandbytes' block of 8-bit states
static_assert(kStateBlock == kThreads);

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__global__ void adamw_kernel(AdamStep s, bool bnb32, View param, View grad, View m, View v) {
    const int64_t i = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), param.size(), kThreads).col;
    if (i >= param.size()) return;
    if (bnb32) adam_bnb32_element(s, grad.f32()[i], param.f32()[i], m.f32()[i], v.f32()[i]);
    else adam_torch_element(s, grad.f32()[i], param.f32()[i], m.f32()[i], v.f32()[i]);
}

// quantize_block of quant/dynamic_map.h, a value a thread
__device__ inline void recode(
    float value, bool there, const uint8_t* step_codes, uint8_t* code, float* absmax, float* room) {
    const float high = block_max(there ? fabsf(value) : 0.0f, room);
    const float inverse = high > 0 ? 1.0f / high : 0.0f;
    if (there) *code = high > 0 ? step_codes[dynamic_step(value * inverse)] : uint8_t{0};
    if (threadIdx.x == 0) *absmax = high;
}

__global__ void adamw8bit_kernel(
    AdamStep s, DynamicTables tables, View param, View grad, View m8, View v8, View m_absmax, View v_absmax) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t block = blockIdx.x,
                  i = maps::element_cell(block, static_cast<int>(threadIdx.x), param.size(), kThreads).col;
    const bool there = i < param.size();
    uint8_t *m_code = static_cast<uint8_t*>(m8.data) + i, *v_code = static_cast<uint8_t*>(v8.data) + i;
    float m = 0, v = 0;
    if (there) {
        m = tables.signed_values[*m_code] * m_absmax.f32()[block];
        v = tables.unsigned_values[*v_code] * v_absmax.f32()[block];
        adam_bnb8_element(s, grad.f32()[i], param.f32()[i], m, v);
    }
    recode(m, there, tables.signed_codes, m_code, m_absmax.f32() + block,
        room); // its barriers stand between the scale's readers and its writer
    recode(v, there, tables.unsigned_codes, v_code, v_absmax.f32() + block, room);
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void adamw(cudaStream_t stream, const AdamStep& step, bool bnb32, const View& param, const View& grad, const View& m,
    const View& v) {
    only_f32("adamw", {param, grad, m, v});
    launch(stream, maps::element_blocks(1, param.size(), kThreads), kThreads, 0, adamw_kernel, step, bnb32, param, grad,
        m, v);
}

void adamw8bit(cudaStream_t stream, const AdamStep& step, const DynamicTables& tables, const View& param,
    const View& grad, const View& m8, const View& v8, const View& m_absmax, const View& v_absmax) {
    only_f32("adamw8bit", {param, grad, m_absmax, v_absmax});
    launch(stream, maps::element_blocks(1, param.size(), kThreads), kThreads, kThreads / kWarp * sizeof(float),
        adamw8bit_kernel, step, tables, param, grad, m8, v8, m_absmax, v_absmax);
}

} // namespace atelier::ATELIER_CUDA_NS
