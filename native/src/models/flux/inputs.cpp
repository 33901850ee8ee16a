#include "models/flux/inputs.h"
#include "base/error.h"
#include <array>

namespace atelier {

void check_shape(const FluxShape& shape) {
    constexpr int64_t kMostSide = 4096, kMostText = 1 << 16; // 65536 pixels; far beyond either encoder
    require(shape.grid_h > 0 && shape.grid_h <= kMostSide && shape.grid_w > 0 && shape.grid_w <= kMostSide,
        ErrorCode::invalid_argument, "a picture of ", shape.grid_h, " by ", shape.grid_w,
        " tokens; each side takes 1 to ", kMostSide, " (16 pixels a token)");
    require(shape.text_tokens > 0 && shape.text_tokens <= kMostText, ErrorCode::invalid_argument, shape.text_tokens,
        " text tokens; expected 1 to ", kMostText);
}

ConditioningInputs::ConditioningInputs(Program& program, const TransformerDims& dims, int64_t rows)
    : time(program.temp(rows, kSinusoids, "timestep sinusoids")),
      pooled(program.temp(rows, dims.pooled_dim, "pooled text")) {
    if (dims.guidance) guidance = program.temp(rows, kSinusoids, "guidance sinusoids");
}

void ConditioningInputs::fill(Memory& memory, const Program::Resolver& at, int64_t row, float sigma,
    float guidance_scale, std::span<const float> pooled_text) const {
    const auto write = [&](const Sym& to, std::span<const float> values) {
        memory.upload(at(to).row(row), values.data(), values.size_bytes());
    };
    std::array<float, kSinusoids> sinusoids;
    sinusoid_embedding(sigma * 1000.0f, kSinusoids, sinusoids.data());
    write(time, sinusoids);
    if (guidance) {
        sinusoid_embedding(guidance_scale * 1000.0f, kSinusoids, sinusoids.data());
        write(guidance, sinusoids);
    }
    write(pooled, pooled_text);
}

} // namespace atelier
