// A picture as two recorded programs: the conditioning of all steps at once (modulation depends on sigma, guidance and
// pooled text alone), then one denoising step, run once a sigma.
#pragma once
#include "memory/placed_units.h"
#include "models/transformer.h"
#include "program/records/elements.h"
#include <memory>

namespace atelier {

class DenoisePrograms {
public:
    // `layers` and the weights they point to must outlive the object.
    DenoisePrograms(const TransformerLayers& layers, const TransformerShape& shape, int64_t steps, DType activations);
    // Where the ops find the weights: `own` first, which holds what is not the base's. Before run(), and again when
    // they have moved.
    void connect(Memory& memory, const PlacedUnits& weights, const Constants& own);

    struct Input {
        std::span<const float> prompt_embeds, pooled;
        std::span<const float> sigmas; // steps + 1
        float guidance = 1;
    };
    // latents: (I, C) packed start noise, replaced by the result. memory: bytes(), aligned to Program::kAlignment.
    // Returns the high water.
    uint64_t run(Ops& ops, std::byte* memory, const Input& input, std::span<float> latents, const Progress& progress);

    uint64_t bytes() const {
        return table_bytes_ + std::max(conditioning_.program.arena_bytes, step_.program.arena_bytes);
    }
    uint64_t host_bytes() const { return TransformerTables::bytes(dims_, shape_.tokens()); }
    const TransformerShape& shape() const { return shape_; }
    int64_t steps() const { return steps_; }

private:
    struct Planned {
        Program list;
        UnitStream stream{list};
        ProgramPlan program;
    };

    TransformerDims dims_;
    TransformerShape shape_;
    int64_t steps_, table_cols_;
    uint64_t table_bytes_;
    TransformerTables tables_;
    op::Sigmas sigmas_; // of the step under way, read by the recorded Euler step
    Planned conditioning_, step_;
    ConditioningInputs inputs_;
    std::unique_ptr<Constants> constants_;
    std::unique_ptr<TransformerNetwork> network_;
    Sym all_rows_, row_; // the modulation table as the two programs see it
    Sym latents_, prompt_;
};

} // namespace atelier
