#include "engine/device.h"
#include "base/error.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include <charconv>
#include <chrono>
#include <functional>
#include <string_view>

namespace atelier {
namespace {

std::string shown(const CudaDevice& card) {
    return card.name + ", " + std::to_string((card.total_bytes + (1ull << 29)) >> 30) + " GB";
}

constexpr double kFp8Rate =
    1.9; // of products, as a multiple of bf16's: twice by the published figures, a little less reached

struct CardChoice {
    int number = 0;
    bool fp8 = false;
};

// "cuda" (number 0) or "cuda:N", either with ",fp8" behind it.
CardChoice card_choice(const std::string& which) {
    constexpr std::string_view kFp8 = ",fp8", kCard = "cuda:";
    CardChoice choice;
    std::string_view card = which;
    choice.fp8 = card.ends_with(kFp8);
    if (choice.fp8) card.remove_suffix(kFp8.size());
    if (card == "cuda") return choice;
    const char *begin = card.data() + std::min(card.size(), kCard.size()), *end = card.data() + card.size();
    const auto [stop, error] = std::from_chars(begin, end, choice.number);
    require(card.starts_with(kCard) && error == std::errc() && stop == end && choice.number >= 0,
        ErrorCode::invalid_argument, "device \"", which,
        "\": expected cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it");
    return choice;
}

// Bytes/ms of large copies from page-locked memory, the best of three: what a plan with fetched weights lives by. Takes
// some 10 ms.
double measured_copy(Memory& memory) {
    constexpr uint64_t bytes = 64 << 20;
    const Arena to(memory, bytes);
    const std::unique_ptr<void, std::function<void(void*)>> from(
        memory.reserve_host(bytes), [&](void* data) { memory.release_host(data); });
    double best = 0;
    for (int round = 0; round < 3; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        memory.upload(to.data(), from.get(), bytes);
        best = std::max(
            best, static_cast<double>(bytes) /
                      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
}

} // namespace

Device::Device() = default;
Device::~Device() = default;

std::shared_ptr<Device> Device::of(std::unique_ptr<Impl> impl) {
    std::shared_ptr<Device> device(new Device);
    device->impl = std::move(impl);
    device->impl->profile.activations = device->impl->ops->activations();
    device->impl->profile.widens = device->impl->ops->widener() != nullptr;
    return device;
}

std::shared_ptr<Device> Device::cpu(int threads, const std::string& isa) {
    std::unique_ptr<Impl> impl = std::make_unique<Impl>();
    impl->ops = make_cpu_ops({threads, isa});
    const int count = impl->ops->threads();
    impl->description =
        std::string(impl->ops->name()) + ", " + std::to_string(count) + (count == 1 ? " thread" : " threads");
    return of(std::move(impl));
}

std::shared_ptr<Device> Device::cuda(int index, bool fp8) {
    std::unique_ptr<Impl> impl = std::make_unique<Impl>();
    impl->ops = make_cuda_ops(index, fp8);
    const CudaDevice card = cuda_devices().at(static_cast<size_t>(index));
    impl->description = "cuda: " + shown(card) + (fp8 ? ", fp8 products" : "");
    impl->profile = profile_of_card(card.name);
    if (fp8) impl->profile.matrix *= kFp8Rate;
    impl->profile.host_copy = measured_copy(impl->ops->memory());
    return of(std::move(impl));
}

std::shared_ptr<Device> Device::open(const std::string& which, int threads, const std::string& isa) {
    if (which == "cpu") return cpu(threads, isa);
    if (which != "auto") {
        const CardChoice choice = card_choice(which);
        return cuda(choice.number, choice.fp8);
    }
    std::string refusals;
    for (int card = 0; card < static_cast<int>(cuda_devices().size()); ++card) {
        try {
            return cuda(card);
        } catch (const Error& e) {
            refusals += std::string("; not on a card: ") + e.what();
        }
    }
    std::shared_ptr<Device> device = cpu(threads, isa);
    device->impl->description += refusals;
    return device;
}

std::vector<CudaCard> cuda_cards() {
    std::vector<CudaCard> cards;
    for (const CudaDevice& card : cuda_devices()) {
        const DeviceProfile profile = profile_of_card(card.name);
        cards.push_back({shown(card), card.total_bytes, profile.context_bytes, profile.workspace_bytes});
    }
    return cards;
}

DeviceOutlook device_outlook(const std::string& which) {
    DeviceOutlook seen{cuda_build(), -1, "cpu", 0, ""};
    if (which == "cpu") return seen;
    const CardChoice choice = which == "auto" ? CardChoice{} : card_choice(which);
    const std::vector<CudaDevice> cards = cuda_devices();
    // auto looks at all of them, and without any says of the first why it is not there
    const int last = which == "auto" ? std::max(0, static_cast<int>(cards.size()) - 1) : choice.number;
    for (int card = choice.number; card <= last; ++card) {
        try {
            require_cuda_device(card, choice.fp8);
            const CudaDevice& found = cards.at(static_cast<size_t>(card));
            return {seen.build, card, "cuda: " + shown(found) + (choice.fp8 ? ", fp8 products" : ""), found.total_bytes,
                ""};
        } catch (const Error& e) {
            seen.refusal += (seen.refusal.empty() ? "" : "; ") + std::string(e.what());
        }
    }
    return seen;
}

std::string Device::description() const { return impl->description; }

} // namespace atelier
