#include "models/vae/layers.h"
#include "program/records/elements.h"
#include "program/records/encoders.h"
#include "program/records/products.h"
#include <cmath>

namespace atelier::vae {
namespace {

constexpr float kEps = 1e-6f;

template <class T>
void channels_last(const Weight& w, int64_t in, int64_t taps, void* packed) {
    const T* from = static_cast<const T*>(w.dense);
    for (int64_t o = 0; o < w.rows; ++o)
        for (int64_t i = 0; i < in; ++i)
            for (int64_t t = 0; t < taps; ++t) static_cast<T*>(packed)[(o * taps + t) * in + i] = *from++;
}

} // namespace

Conv read_conv(TensorReader& reader, const std::string& path, int64_t out, int64_t in, int64_t kernel) {
    Conv c;
    c.in = in;
    c.out = out;
    c.kernel = kernel;
    if (const Weight w = reader.kernel(path + ".weight", {out, in, kernel, kernel}); w.dense) {
        c.format = w.format;
        c.values.resize(static_cast<size_t>(weight_bytes(w)));
        w.format == WeightFormat::f32 ? channels_last<float>(w, in, kernel * kernel, c.values.data())
                                      : channels_last<uint16_t>(w, in, kernel * kernel, c.values.data());
    }
    c.bias = reader.values(path + ".bias", {out});
    return c;
}

Weight Conv::weight() const { return {format, out, kernel * kernel * in, values.data(), {}}; }

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
    if (conv.out) into.add(conv.weight());
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
    for (const DenseLayer* dense : {&m.attention.q, &m.attention.k, &m.attention.v, &m.attention.out})
        atelier::pack(into, *dense);
}

Picture Emitter::emit(const Conv& c, const Picture& x, const Steps& steps, const Sym& residual, DType type) {
    const int64_t scale = steps.upsampled ? 2 : 1, height = scale * x.height, width = scale * x.width,
                  pads = steps.pad_before + steps.pad_after;
    Picture y;
    y.height = (height + pads - c.kernel) / steps.stride + 1;
    y.width = (width + pads - c.kernel) / steps.stride + 1;
    y.pixels = program_.temp(y.height * y.width, c.out, "conv", type);
    program_.emit(op::Conv2d{x.pixels, height, width, steps.upsampled, c.weight(), c.bias.data(), c.kernel,
        steps.stride, steps.pad_before, steps.pad_after, residual, y.pixels});
    return y;
}

Picture Emitter::conv(const Conv& c, const Picture& x, const Sym& residual) {
    return emit(c, x, {1, c.kernel / 2, c.kernel / 2}, residual, activations_);
}
Picture Emitter::last(const Conv& c, const Picture& x) {
    return emit(c, x, {1, c.kernel / 2, c.kernel / 2}, {}, DType::f32);
}
Picture Emitter::downsample(const Conv& c, const Picture& x) { return emit(c, x, {2, 0, 1}, {}, activations_); }
Picture Emitter::upsample(const Conv& c, const Picture& x) {
    return emit(c, x, {1, c.kernel / 2, c.kernel / 2, true}, {}, activations_);
}

void Emitter::norm(const NormLayer& layer, Activation then, const Sym& x, const Sym& y) {
    program_.emit(op::GroupNorm{x, layer.weight.data(), layer.bias.data(), groups_, kEps, then, y});
}

Picture Emitter::resnet(const Resnet& r, const Picture& x) {
    // With a shortcut x is not needed after it, so the first norm works in place: at full size that saves the widest
    // matrix of all.
    const Sym residual = r.shortcut.out ? conv(r.shortcut, x).pixels : x.pixels;
    const Sym normed = r.shortcut.out ? x.pixels : program_.temp(x.pixels.rows, x.pixels.cols, "norm1", activations_);
    norm(r.norm1, Activation::silu, x.pixels, normed);
    const Picture h = conv(r.conv1, {normed, x.height, x.width});
    norm(r.norm2, Activation::silu, h.pixels, h.pixels);
    return conv(r.conv2, h, residual);
}

Picture Emitter::attention(const Attention& a, const Picture& x) {
    const int64_t rows = x.pixels.rows, channels = x.pixels.cols;
    const auto matrix = [&](const char* name) { return program_.temp(rows, channels, name, activations_); };
    const Sym normed = matrix("normed"), q = matrix("q"), k = matrix("k"), v = matrix("v"), mixed = matrix("mixed"),
              y = matrix("attended");
    norm(a.norm, Activation::none, x.pixels, normed);
    emit_dense(program_, a.q, normed, q);
    emit_dense(program_, a.k, normed, k);
    emit_dense(program_, a.v, normed, v);
    program_.emit(op::Attention{q, k, v, mixed, {}, 1, 1.0f / std::sqrt(static_cast<float>(channels))});
    emit_dense(program_, a.out, mixed, y);
    program_.emit(op::Add{x.pixels, y, y});
    return {y, x.height, x.width};
}

Picture Emitter::middle(const Middle& m, const Picture& x) {
    Picture h = resnet(m.first, x);
    if (m.has_attention) h = attention(m.attention, h);
    return resnet(m.second, h);
}

Picture Emitter::out(const NormLayer& n, const Conv& c, const Picture& x) {
    norm(n, Activation::silu, x.pixels, x.pixels);
    return last(c, x);
}

} // namespace atelier::vae
