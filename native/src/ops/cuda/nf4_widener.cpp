#include "ops/cuda/nf4_widener.h"
#include "memory/constants.h"

namespace atelier::ATELIER_CUDA_NS {

// The weight passes through the workspace of rows. An upload waits for the ops before it, so that none overwrites what
// a kernel still reads.
void Nf4Widener::widen(const Weight& w, void* to) {
    ConstantPack parts;
    parts.add(w);
    if (w.nf4.nested_code) parts.add(ConstantPack::shared_code().data(), ConstantPack::shared_code().size_bytes());
    const uint64_t room = 2 * static_cast<uint64_t>(room_.sizes().rows_elements);
    require(parts.bytes() <= room, ErrorCode::unsupported, "CUDA: an NF4 weight of ", w.rows, " x ", w.cols, " takes ",
        parts.bytes(), " bytes to widen, the workspace has ", room,
        ": choose a memory budget in which it stays as it is");
    auto* const staged = reinterpret_cast<std::byte*>(room_.rows);
    parts.for_each(
        [&](const std::byte* from, uint64_t bytes, uint64_t offset) { memory_.upload(staged + offset, from, bytes); });
    Constants here(memory_);
    here.put(parts, staged);
    dequantize_nf4(memory_.stream(), here.at(w), {0, w.rows, 0, w.cols}, static_cast<uint16_t*>(to), w.cols);
}

} // namespace atelier::ATELIER_CUDA_NS
