// What a trainer holds: its bank of branches, the programs of every shape, and how far the run is.
#pragma once
#include "atelier/trainer.h"
#include "engine/transformer.h"
#include "planning/memory_choice.h"
#include "training/lora_bank.h"
#include "training/micro_program.h"
#include "training/schedules.h"
#include "training/weight_average.h"
#include <deque>

namespace atelier {

struct Trainer::Impl {
    std::shared_ptr<Transformer> model; // null while only planning
    const Transformer::Impl& base;
    TrainOptions options;
    LrSchedule schedule;
    LoraBank bank;
    WeightAverage average;
    MemoryChoice choice;
    int64_t together = 1;
    MemoryPlan::Time time; // of a card's micro-step
    std::deque<TransformerTables> tables;                       // one a shape
    std::vector<std::unique_ptr<MicroProgram>> programs; // of every shape the largest group first
    std::vector<std::unique_ptr<MicroProgram>> scoring; // of the shapes that were scored so far
    std::vector<float> sigmas;
    uint64_t arena_bytes = 0, host_bytes = 0, parked_bytes = 0;
    int64_t latent_count = 0; // of the largest shape

    std::shared_ptr<const PlacedUnits> weights;
    std::unique_ptr<Constants> constants; // the weights and all tables
    std::unique_ptr<Arena> arena;
    std::unique_ptr<HostArena> parked;
    std::vector<float> eps, noise, packed; // (16, H/8, W/8) of the largest shape: no allocation in a step
    Sym last; // prediction of the last sample,
    const MicroProgram* last_program = nullptr; // and the program that made it
    uint64_t high_water = 0;
    int64_t step = 0, micro = 0, accumulated = 0;
    bool broken = false; // a micro-step ended half-way: gradients are neither the old nor the new ones

    Impl(const Transformer& transformer, const TrainOptions& o, const std::vector<Shape>& shapes);
    MemoryPlan plan() const;
    void reserve(); // what plan() says
    std::vector<MicroResult> micro_steps(std::span<const Sample> samples, const EngineProgress& progress);
    StepResult optimizer_step();
    std::vector<MicroResult> score(const Sample& sample, int64_t pairs, const EngineProgress& progress);
    void require_whole() const; // no micro-step has ended half-way

private:
    // The random numbers of one micro-step.
    struct Draw {
        uint64_t seed, micro, sample_id;
        PhiloxStream stream(RandomUse use) const { return {seed, use, micro, sample_id}; }
    };
    const DeviceProfile& profile() const { return base.device->impl->profile; }
    uint64_t fixed_bytes() const;
    void choose(const TransformerLayers& layers, const std::vector<TransformerShape>& kinds);
    void check(const Sample& sample) const;
    const MicroProgram& program_for(std::span<const Sample> samples) const;
    const MicroProgram& scoring_program(const Shape& shape);
    NoiseLevel noise_of(const Sample& sample, const TransformerShape& shape, const Draw& draw) const;
    void write_inputs(const TransformerShape& shape, const MicroProgram::Sample& to, const Program::Resolver& at,
        const Sample& sample, const Draw& draw, float sigma);
    void run(const MicroProgram& p, std::span<const Sample> group, const EngineProgress& progress,
        std::vector<MicroResult>& results);
};

} // namespace atelier
