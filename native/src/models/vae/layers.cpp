#include "models/vae/layers.h"
#include <cmath>

namespace atelier::vae {
namespace {

constexpr float kEps = 1e-6f;

std::vector<float> channels_last(const std::vector<float>& w, int64_t out, int64_t in, int64_t taps) {
    std::vector<float> packed(w.size());
    for (int64_t o = 0; o < out; ++o)
        for (int64_t i = 0; i < in; ++i)
            for (int64_t t = 0; t < taps; ++t) packed[static_cast<size_t>((o * taps + t) * in + i)] = w[static_cast<size_t>((o * in + i) * taps + t)];
    return packed;
}

} // namespace

Conv read_conv(TensorReader& reader, const std::string& path, int64_t out, int64_t in, int64_t kernel) {
    Conv c{in, out, kernel, {}, {}};
    const std::vector<float> w = reader.values(path + ".weight", {out, in, kernel, kernel});
    if (!w.empty()) c.weight = channels_last(w, out, in, kernel * kernel);
    c.bias = reader.values(path + ".bias", {out});
    return c;
}

Resnet read_resnet(TensorReader& reader, const std::string& path, int64_t in, int64_t out) {
    Resnet r;
    r.norm1 = read_norm(reader, path + ".norm1", in);
    r.conv1 = read_conv(reader, path + ".conv1", out, in, 3);
    r.norm2 = read_norm(reader, path + ".norm2", out);
    r.conv2 = read_conv(reader, path + ".conv2", out, out, 3);
    if (in != out) r.shortcut = read_conv(reader, path + ".conv_shortcut", out, in, 1);
    return r;
}

Middle read_middle(TensorReader& reader, const std::string& path, int64_t channels, bool attention) {
    Middle m;
    m.first = read_resnet(reader, path + ".resnets.0", channels, channels);
    m.has_attention = attention;
    if (attention) {
        const std::string at = path + ".attentions.0";
        m.attention.norm = read_norm(reader, at + ".group_norm", channels);
        m.attention.q = read_dense(reader, at + ".to_q", channels, channels);
        m.attention.k = read_dense(reader, at + ".to_k", channels, channels);
        m.attention.v = read_dense(reader, at + ".to_v", channels, channels);
        m.attention.out = read_dense(reader, at + ".to_out.0", channels, channels);
    }
    m.second = read_resnet(reader, path + ".resnets.1", channels, channels);
    return m;
}

void pack(ConstantPack& into, const Conv& conv) {
    into.add(conv.weight);
    into.add(conv.bias);
}

void pack(ConstantPack& into, const Resnet& r) {
    for (const NormLayer* norm : {&r.norm1, &r.norm2}) atelier::pack(into, *norm);
    for (const Conv* conv : {&r.conv1, &r.conv2, &r.shortcut}) pack(into, *conv);
}

void pack(ConstantPack& into, const Middle& m) {
    pack(into, m.first);
    pack(into, m.second);
    if (!m.has_attention) return;
    atelier::pack(into, m.attention.norm);
    for (const DenseLayer* dense : {&m.attention.q, &m.attention.k, &m.attention.v, &m.attention.out}) atelier::pack(into, *dense);
}

Picture Emitter::strided(const Conv& c, const Picture& x, int64_t stride, int64_t pad_before, int64_t pad_after, const Sym& residual) {
    Picture y;
    y.height = (x.height + pad_before + pad_after - c.kernel) / stride + 1;
    y.width = (x.width + pad_before + pad_after - c.kernel) / stride + 1;
    y.pixels = program_.temp(y.height * y.width, c.out, "conv");
    program_.emit("conv2d", {x.pixels, residual, y.pixels}, [=, conv = &c, y = y.pixels](Ops& ops, const Program::Resolver& at) {
        Conv2dArgs args;
        args.x = at(x.pixels);
        args.height = x.height;
        args.width = x.width;
        args.weight = at(conv->weight.data());
        args.bias = at(conv->bias.data());
        args.kernel = conv->kernel;
        args.stride = stride;
        args.pad_top = args.pad_left = pad_before;
        args.pad_bottom = args.pad_right = pad_after;
        args.residual = at(residual);
        args.y = at(y);
        ops.conv2d(args);
    });
    return y;
}

Picture Emitter::conv(const Conv& c, const Picture& x, const Sym& residual) { return strided(c, x, 1, c.kernel / 2, c.kernel / 2, residual); }

Picture Emitter::downsample(const Conv& c, const Picture& x) { return strided(c, x, 2, 0, 1, {}); }

Picture Emitter::upsample(const Conv& c, const Picture& x) {
    const Picture large{program_.temp(4 * x.height * x.width, x.pixels.cols, "upsampled"), 2 * x.height, 2 * x.width};
    program_.emit("upsample_nearest2x", {x.pixels, large.pixels}, [=](Ops& ops, const Program::Resolver& at) {
        ops.upsample_nearest2x(at(x.pixels), x.height, x.width, at(large.pixels));
    });
    return conv(c, large);
}

void Emitter::norm(const NormLayer& layer, Activation then, const Sym& x, const Sym& y) {
    program_.emit("group_norm", {x, y}, [=, groups = groups_, w = layer.weight.data(), b = layer.bias.data()](Ops& ops, const Program::Resolver& at) {
        ops.group_norm(at(x), at(w), at(b), groups, kEps, then, at(y));
    });
}

Picture Emitter::resnet(const Resnet& r, const Picture& x) {
    // With a shortcut x is not needed after it, so the first norm works in place: at full size that saves the widest matrix of all.
    const Sym residual = r.shortcut.out ? conv(r.shortcut, x).pixels : x.pixels;
    const Sym normed = r.shortcut.out ? x.pixels : program_.temp(x.pixels.rows, x.pixels.cols, "norm1");
    norm(r.norm1, Activation::silu, x.pixels, normed);
    const Picture h = conv(r.conv1, {normed, x.height, x.width});
    norm(r.norm2, Activation::silu, h.pixels, h.pixels);
    return conv(r.conv2, h, residual);
}

Picture Emitter::attention(const Attention& a, const Picture& x) {
    const int64_t rows = x.pixels.rows, channels = x.pixels.cols;
    const auto matrix = [&](const char* name) { return program_.temp(rows, channels, name); };
    const Sym normed = matrix("normed"), q = matrix("q"), k = matrix("k"), v = matrix("v"), mixed = matrix("mixed"), y = matrix("attended");
    norm(a.norm, Activation::none, x.pixels, normed);
    emit_dense(program_, a.q, normed, q);
    emit_dense(program_, a.k, normed, k);
    emit_dense(program_, a.v, normed, v);
    emit_attention(program_, 1, 1.0f / std::sqrt(static_cast<float>(channels)), false, nullptr, q, k, v, mixed);
    emit_dense(program_, a.out, mixed, y);
    emit_add(program_, x.pixels, y, y);
    return {y, x.height, x.width};
}

Picture Emitter::middle(const Middle& m, const Picture& x) {
    Picture h = resnet(m.first, x);
    if (m.has_attention) h = attention(m.attention, h);
    return resnet(m.second, h);
}

Picture Emitter::out(const NormLayer& n, const Conv& c, const Picture& x) {
    norm(n, Activation::silu, x.pixels, x.pixels);
    return conv(c, x);
}

} // namespace atelier::vae
