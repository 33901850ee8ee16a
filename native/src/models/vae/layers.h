// The convolutional layers of AutoencoderKL (diffusers), channels last: a picture is a matrix (H·W, channels).
#pragma once
#include "models/encoder_layers.h"

namespace atelier::vae {

struct Conv {
    int64_t in = 0, out = 0, kernel = 3;
    WeightFormat format = WeightFormat::f32; // the checkpoint's
    std::vector<std::byte> values;           // (out, kernel, kernel, in), repacked from (out, in, kernel, kernel)
    std::vector<float> bias;

    Weight weight() const; // a view of `values`
};

struct Resnet { // x + conv2(silu(norm2(conv1(silu(norm1(x)))))), x through a 1x1 convolution where the channels change
    NormLayer norm1, norm2;
    Conv conv1, conv2;
    Conv shortcut; // out == 0: none
};

struct Attention { // one head over all pixels, residual
    NormLayer norm;
    DenseLayer q, k, v, out;
};

struct Middle {
    Resnet first, second;
    bool has_attention = true;
    Attention attention;
};

// A matrix that is a picture.
struct Picture {
    Sym pixels; // (height·width, channels)
    int64_t height = 0, width = 0;
};

Conv read_conv(TensorReader&, const std::string& path, int64_t out, int64_t in, int64_t kernel);
Resnet read_resnet(TensorReader&, const std::string& path, int64_t in, int64_t out);
Middle read_middle(TensorReader&, const std::string& path, int64_t channels, bool attention);

void pack(ConstantPack&, const Conv&);
void pack(ConstantPack&, const Resnet&);
void pack(ConstantPack&, const Middle&);

// Emits the layers' ops into one program. Pictures between them are of the type `activations`; what `out` and `last`
// give is f32.
class Emitter {
public:
    Emitter(Program& program, int64_t groups, DType activations)
        : program_(program), groups_(groups), activations_(activations) {}

    Picture last(const Conv&, const Picture& x);
    Picture conv(const Conv&, const Picture& x, const Sym& residual = {});
    Picture downsample(const Conv&, const Picture& x); // one row below and one column to the right of zeros, stride 2
    Picture upsample(const Conv&, const Picture& x); // nearest neighbour, twice the size, then the convolution
    Picture resnet(const Resnet&, const Picture& x);
    Picture middle(const Middle&, const Picture& x);
    Picture out(const NormLayer&, const Conv&, const Picture& x); // conv(silu(norm(x)))

private:
    Picture attention(const Attention&, const Picture& x);
    struct Steps {
        int64_t stride = 1, pad_before = 0, pad_after = 0;
        bool upsampled = false;
    };
    Picture emit(const Conv&, const Picture& x, const Steps&, const Sym& residual, DType type);
    void norm(const NormLayer&, Activation then, const Sym& x, const Sym& y);

    Program& program_;
    int64_t groups_;
    DType activations_;
};

} // namespace atelier::vae
