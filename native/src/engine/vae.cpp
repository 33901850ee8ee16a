#include "base/error.h"
#include "engine/one_shot.h"
#include "models/vae/autoencoder.h"
#include <algorithm>

namespace atelier {
namespace {

constexpr int64_t kMaxSide = 1 << 15; // pixels

// (C, H·W) planes <-> (H·W, C) pixels
std::vector<float> planes_to_pixels(std::span<const float> planes, int64_t channels) {
    const int64_t count = static_cast<int64_t>(planes.size()) / channels;
    std::vector<float> pixels(planes.size());
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t p = 0; p < count; ++p) pixels[static_cast<size_t>(p * channels + c)] = planes[static_cast<size_t>(c * count + p)];
    return pixels;
}

Tensor pixels_to_planes(const std::vector<float>& pixels, int64_t stride, int64_t first, int64_t channels, int64_t height, int64_t width) {
    Tensor t{{channels, height, width}, std::vector<float>(static_cast<size_t>(channels * height * width))};
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t p = 0; p < height * width; ++p) t.data[static_cast<size_t>(c * height * width + p)] = pixels[static_cast<size_t>(p * stride + first + c)];
    return t;
}

} // namespace

struct Vae::Impl {
    std::shared_ptr<Device> device;
    vae::Autoencoder model;
    PlacedUnits placed;

    Impl(std::shared_ptr<Device> on, vae::Autoencoder loaded) : device(std::move(on)), model(std::move(loaded)), placed(memory(), model.packs(), {}) {}
    Memory& memory() const { return device->impl->ops->memory(); }
};

Vae::Vae() = default;
Vae::~Vae() = default;

std::shared_ptr<Vae> Vae::load(std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress) {
    internal_progress(progress).check();
    std::shared_ptr<Vae> vae(new Vae);
    vae->impl = std::make_unique<Impl>(std::move(device), vae::Autoencoder(read_vae_config(dir), WeightSource::open(dir)));
    internal_progress(progress)(1, 1, "load vae");
    return vae;
}

float Vae::scaling_factor() const { return impl->model.config.scaling_factor; }
float Vae::shift_factor() const { return impl->model.config.shift_factor; }

Vae::Posterior Vae::encode(std::span<const float> image, int64_t height, int64_t width) {
    const VaeConfig& c = impl->model.config;
    const int64_t factor = c.spatial_factor();
    require(height > 0 && width > 0 && height % factor == 0 && width % factor == 0 && height <= kMaxSide && width <= kMaxSide, ErrorCode::invalid_argument,
            "image of ", height, "x", width, ": sides must be multiples of ", factor, ", at most ", kMaxSide);
    check_input(image, c.in_channels * height * width, "image");
    Program program;
    program.read_from(impl->placed.constants());
    const Sym input = program.persistent(height * width, c.in_channels, "image");
    const vae::Picture moments = impl->model.encode(program, {input, height, width});
    const Sym output = program.persistent(moments.pixels.rows, moments.pixels.cols, "moments");
    program.emit("copy", {moments.pixels, output}, [from = moments.pixels, output](Ops& ops, const Program::Resolver& at) { ops.copy(at(from), at(output)); });
    Posterior posterior;
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_view(impl->memory(), at(input), planes_to_pixels(image, c.in_channels).data()); },
        [&](const Program::Resolver& at) {
            const std::vector<float> pixels = read_rows(impl->memory(), at(output), "vae encode");
            posterior.mean = pixels_to_planes(pixels, 2 * c.latent_channels, 0, c.latent_channels, moments.height, moments.width);
            posterior.logvar = pixels_to_planes(pixels, 2 * c.latent_channels, c.latent_channels, c.latent_channels, moments.height, moments.width);
        });
    for (float& v : posterior.logvar.data) v = std::clamp(v, -30.0f, 20.0f);
    return posterior;
}

Tensor Vae::decode(std::span<const float> latents, int64_t h, int64_t w) {
    const VaeConfig& c = impl->model.config;
    require(h > 0 && w > 0 && h * c.spatial_factor() <= kMaxSide && w * c.spatial_factor() <= kMaxSide, ErrorCode::invalid_argument, "latents of ", h, "x", w,
            ": sides must lie in 1 to ", kMaxSide / c.spatial_factor());
    check_input(latents, c.latent_channels * h * w, "latents");
    Program program;
    program.read_from(impl->placed.constants());
    const Sym input = program.persistent(h * w, c.latent_channels, "latents");
    const vae::Picture image = impl->model.decode(program, {input, h, w});
    const Sym output = program.persistent(image.pixels.rows, image.pixels.cols, "image");
    program.emit("copy", {image.pixels, output}, [from = image.pixels, output](Ops& ops, const Program::Resolver& at) { ops.copy(at(from), at(output)); });
    Tensor result;
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_view(impl->memory(), at(input), planes_to_pixels(latents, c.latent_channels).data()); },
        [&](const Program::Resolver& at) {
            result = pixels_to_planes(read_rows(impl->memory(), at(output), "vae decode"), c.out_channels, 0, c.out_channels, image.height, image.width);
        });
    return result;
}

Tensor Vae::decode_packed(const Tensor& packed, int64_t height, int64_t width) {
    const VaeConfig& c = impl->model.config;
    const int64_t factor = 2 * c.spatial_factor(), channels = c.latent_channels;
    require(height > 0 && width > 0 && height % factor == 0 && width % factor == 0 && height <= kMaxSide && width <= kMaxSide, ErrorCode::invalid_argument,
            "picture of ", height, "x", width, ": sides must be multiples of ", factor, ", at most ", kMaxSide);
    const int64_t rows = height / factor, columns = width / factor, h = 2 * rows, w = 2 * columns;
    require(packed.shape == std::vector<int64_t>{rows * columns, 4 * channels}, ErrorCode::invalid_argument, "packed latents of a ", height, "x", width,
            " picture must have shape (", rows * columns, ", ", 4 * channels, ")");
    check_input(packed.data, rows * columns * 4 * channels, "packed latents");
    std::vector<float> latents(packed.data.size()); // (channels, h, w); a token holds channel, row in patch, column in patch
    for (int64_t token = 0; token < rows * columns; ++token)
        for (int64_t k = 0; k < 4 * channels; ++k) {
            const int64_t y = token / columns * 2 + k % 4 / 2, x = token % columns * 2 + k % 2;
            latents[static_cast<size_t>((k / 4 * h + y) * w + x)] = packed.data[static_cast<size_t>(token * 4 * channels + k)] / c.scaling_factor + c.shift_factor;
        }
    return decode(latents, h, w);
}

} // namespace atelier
