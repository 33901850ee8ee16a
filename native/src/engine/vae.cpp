#include "atelier/vae.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "models/vae/autoencoder.h"
#include "program/records/ends.h"
#include <algorithm>

namespace atelier {
namespace {

constexpr int64_t kMaxSide = 1 << 15; // pixels

// (C, H·W) planes <-> (H·W, C) pixels
std::vector<float> planes_to_pixels(std::span<const float> planes, int64_t channels) {
    const int64_t count = static_cast<int64_t>(planes.size()) / channels;
    std::vector<float> pixels(planes.size());
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t p = 0; p < count; ++p)
            pixels[static_cast<size_t>(p * channels + c)] = planes[static_cast<size_t>(c * count + p)];
    return pixels;
}

Tensor pixels_to_planes(
    const std::vector<float>& pixels, int64_t stride, int64_t first, int64_t channels, int64_t height, int64_t width) {
    Tensor t{{channels, height, width}, std::vector<float>(static_cast<size_t>(channels * height * width))};
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t p = 0; p < height * width; ++p)
            t.data[static_cast<size_t>(c * height * width + p)] = pixels[static_cast<size_t>(p * stride + first + c)];
    return t;
}

} // namespace

struct Vae::Impl {
    std::shared_ptr<Device> device;
    vae::Autoencoder model;
    UnitPacks packs;
    std::unique_ptr<PlacedUnits> placed;

    Impl(std::shared_ptr<Device> on, vae::Autoencoder loaded)
        : device(std::move(on)), model(std::move(loaded)), packs(model.packs()) {}
    Memory& memory() const { return device->impl->ops->memory(); }
    // On the device from the first use on: a plan asks for sizes before there is room.
    const Constants& constants() {
        if (!placed) placed = std::make_unique<PlacedUnits>(memory(), packs, std::vector<Residence>());
        return placed->constants();
    }

    // The last op writes the output, so that it is temporary, like all between.
    struct Recorded {
        Program program;
        Sym input;
        vae::Picture output;
    };
    void record_encode(Recorded& r, int64_t height, int64_t width) const {
        r.input = r.program.temp(height * width, model.config.in_channels, "image");
        r.program.emit(op::Inputs{{{r.input}}});
        r.output = model.encode(r.program, {r.input, height, width}, device->impl->ops->activations());
    }
    void record_decode(Recorded& r, int64_t h, int64_t w) const {
        r.input = r.program.temp(h * w, model.config.latent_channels, "latents");
        r.program.emit(op::Inputs{{{r.input}}});
        r.output = model.decode(r.program, {r.input, h, w}, device->impl->ops->activations());
    }
    // input: (C, H·W) planes. Returns the output's pixels.
    std::vector<float> run(Recorded& r, std::span<const float> input, const char* what) {
        r.program.read_from(constants());
        std::vector<float> pixels;
        run_once(
            *device, r.program,
            [&](const Program::Resolver& at) {
                write_view(memory(), at(r.input), planes_to_pixels(input, r.input.cols).data());
            },
            [&](const Program::Resolver& at) { pixels = read_rows(memory(), at(r.output.pixels), what); });
        return pixels;
    }
    void check_picture(const char* what, int64_t height, int64_t width, int64_t factor) const {
        require(height > 0 && width > 0 && height % factor == 0 && width % factor == 0 && height <= kMaxSide &&
                    width <= kMaxSide,
            ErrorCode::invalid_argument, what, " of ", height, "x", width, ": sides must be multiples of ", factor,
            ", at most ", kMaxSide);
    }
};

Vae::Vae() = default;
Vae::~Vae() = default;

std::shared_ptr<Vae> Vae::load(std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress) {
    internal_progress(progress).check();
    std::shared_ptr<Vae> vae(new Vae);
    vae->impl =
        std::make_unique<Impl>(std::move(device), vae::Autoencoder(read_vae_config(dir), WeightSource::open(dir)));
    internal_progress(progress)(1, 1, "load vae");
    return vae;
}

float Vae::scaling_factor() const { return impl->model.config.scaling_factor; }
float Vae::shift_factor() const { return impl->model.config.shift_factor; }

uint64_t Vae::weight_bytes() const { return PlacedUnits::device_bytes(impl->packs, {}); }

uint64_t Vae::encode_bytes(int64_t height, int64_t width) const {
    impl->check_picture("image", height, width, impl->model.config.spatial_factor());
    Impl::Recorded r;
    impl->record_encode(r, height, width);
    return r.program.plan().arena_bytes;
}

uint64_t Vae::decode_bytes(int64_t height, int64_t width) const {
    const int64_t factor = impl->model.config.spatial_factor();
    impl->check_picture("picture", height, width, factor);
    Impl::Recorded r;
    impl->record_decode(r, height / factor, width / factor);
    return r.program.plan().arena_bytes;
}

Vae::Posterior Vae::encode(std::span<const float> image, int64_t height, int64_t width) {
    const VaeConfig& c = impl->model.config;
    impl->check_picture("image", height, width, c.spatial_factor());
    check_input(image, c.in_channels * height * width, "image");
    Impl::Recorded r;
    impl->record_encode(r, height, width);
    const std::vector<float> pixels = impl->run(r, image, "vae encode");
    const auto half = [&](int64_t first) {
        return pixels_to_planes(
            pixels, 2 * c.latent_channels, first, c.latent_channels, r.output.height, r.output.width);
    };
    Posterior posterior{half(0), half(c.latent_channels)};
    for (float& v : posterior.logvar.data) v = std::clamp(v, -30.0f, 20.0f);
    return posterior;
}

Tensor Vae::decode(std::span<const float> latents, int64_t h, int64_t w) {
    const VaeConfig& c = impl->model.config;
    require(h > 0 && w > 0 && h * c.spatial_factor() <= kMaxSide && w * c.spatial_factor() <= kMaxSide,
        ErrorCode::invalid_argument, "latents of ", h, "x", w, ": sides must lie in 1 to ",
        kMaxSide / c.spatial_factor());
    check_input(latents, c.latent_channels * h * w, "latents");
    Impl::Recorded r;
    impl->record_decode(r, h, w);
    return pixels_to_planes(
        impl->run(r, latents, "vae decode"), c.out_channels, 0, c.out_channels, r.output.height, r.output.width);
}

Tensor Vae::decode_packed(const Tensor& packed, int64_t height, int64_t width) {
    const VaeConfig& c = impl->model.config;
    const int64_t factor = 2 * c.spatial_factor(), channels = c.latent_channels;
    impl->check_picture("picture", height, width, factor);
    const int64_t rows = height / factor, columns = width / factor, h = 2 * rows, w = 2 * columns;
    require(packed.shape == std::vector<int64_t>{rows * columns, 4 * channels}, ErrorCode::invalid_argument,
        "packed latents of a ", height, "x", width, " picture must have shape (", rows * columns, ", ", 4 * channels,
        ")");
    check_input(packed.data, rows * columns * 4 * channels, "packed latents");
    std::vector<float> latents(
        packed.data.size()); // (channels, h, w); a token holds channel, row in patch, column in patch
    for (int64_t token = 0; token < rows * columns; ++token)
        for (int64_t k = 0; k < 4 * channels; ++k) {
            const int64_t y = token / columns * 2 + k % 4 / 2, x = token % columns * 2 + k % 2;
            latents[static_cast<size_t>((k / 4 * h + y) * w + x)] =
                packed.data[static_cast<size_t>(token * 4 * channels + k)] / c.scaling_factor + c.shift_factor;
        }
    return decode(latents, h, w);
}

} // namespace atelier
