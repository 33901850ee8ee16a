// What products of fp8 do to a whole model's training, beside those of bf16: the gradient of one step and the losses of
// several, on the emulator and on a card that has fp8. The small checkpoint's weights are NF4, so that every linear of
// its blocks whose tokens are enough takes fp8, forward and backward.
#include "atelier/testing.h"
#include "engine/emulated_device.h"
#include "goldens.h"
#include "ops/backends.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr int64_t kRows = 4, kColumns = 4, kText = 16; // 16 tokens of each kind: as few as take fp8
constexpr int kSteps = 10;

struct Training {
    std::vector<double> losses;
    std::vector<float> gradients; // of the second step, when both sides of every adapter have one
};

// One sample with one noise at one time, over and over, so that its loss falls.
Training trained(const std::shared_ptr<Device>& device) {
    const auto model = Transformer::load(device, fixtures_dir() + "/model/transformer", BaseQuant::nf4);
    TrainOptions options;
    options.optimizer = OptimizerKind::adamw;
    options.learning_rate = 1e-2;
    const Trainer::Shape shape{kRows, kColumns, kText};
    Trainer trainer(model, options, {shape});
    const DrawnSample drawn_sample(model->dims(), shape, 1);
    const auto count = static_cast<int64_t>(drawn_sample.mean.size());
    const auto eps = drawn(count, 5), noise = drawn(count, 6);
    Trainer::Sample sample = drawn_sample.sample;
    sample.eps = eps;
    sample.noise = noise;
    sample.timestep_index = 400;
    Training result;
    for (int step = 0; step < kSteps; ++step) {
        result.losses.push_back(trainer.micro_step(sample).loss);
        if (step == 1)
            for (const auto& [name, tensor] : testing::gradients(trainer))
                result.gradients.insert(result.gradients.end(), tensor.data.begin(), tensor.data.end());
        trainer.optimizer_step();
    }
    return result;
}

} // namespace

TEST_CASE("training with fp8 products: the gradient's direction and the losses of ten steps, beside bf16's") {
    Training bf16, fp8;
    SUBCASE("emulated") {
        bf16 = trained(emulated_card({false, DType::bf16, false})),
        fp8 = trained(emulated_card({false, DType::bf16, true}));
    }
    SUBCASE("on the card") {
        if (!card_has_fp8()) return;
        bf16 = trained(Device::cuda()), fp8 = trained(Device::cuda(0, true));
    }
    const double direction = cosine(fp8.gradients, bf16.gradients);
    std::printf("  gradient's cosine %.5f\n  loss    bf16      fp8\n", direction);
    for (int i = 0; i < kSteps; ++i)
        std::printf("  %4d %8.5f %8.5f\n", i, bf16.losses[static_cast<size_t>(i)], fp8.losses[static_cast<size_t>(i)]);
    CHECK(direction >= 0.99);
    CHECK(direction < 0.999999); // it was fp8
    CHECK(fp8.losses.back() < 0.85 * fp8.losses.front());
    for (size_t i = 0; i < bf16.losses.size(); ++i)
        CHECK(std::fabs(fp8.losses[i] - bf16.losses[i]) < 0.01 * bf16.losses[i]);
}
