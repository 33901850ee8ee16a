// AutoencoderKL as FLUX uses it (diffusers models/autoencoders/autoencoder_kl.py): pictures to the moments of a latent
// posterior, latents to pictures.
#pragma once
#include "formats/config.h"
#include "models/vae/layers.h"

namespace atelier::vae {

struct DownBlock {
    std::vector<Resnet> resnets;
    Conv downsample; // out == 0 in the last block
};

struct UpBlock {
    std::vector<Resnet> resnets;
    Conv upsample; // out == 0 in the last block
};

// What is given and what comes out is f32, what lies between of the type `activations`. Norms work in place where their
// input is not needed again.
struct Autoencoder {
    Autoencoder(const VaeConfig& config, const WeightSource& source);

    // (H·W, in_channels) -> (H·W/64, 2·latent_channels): means, then log-variances, not clamped
    Picture encode(Program& program, const Picture& image, DType activations) const;
    // (h·w, latent_channels) -> (64·h·w, out_channels)
    Picture decode(Program& program, const Picture& latents, DType activations) const;

    UnitPacks packs() const; // everything that both read, in no units

    VaeConfig config;
    Conv encoder_in, encoder_out, decoder_in, decoder_out, quant, post_quant;
    std::vector<DownBlock> down;
    std::vector<UpBlock> up;
    Middle encoder_middle, decoder_middle;
    NormLayer encoder_norm, decoder_norm;

private:
    void read(TensorReader&);
    WeightSource source_; // keeps the mapping of the attention's matrices
};

} // namespace atelier::vae
