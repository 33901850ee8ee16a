#include "models/vae/autoencoder.h"

namespace atelier::vae {

Autoencoder::Autoencoder(const VaeConfig& c, const WeightSource& source) : config(c), source_(source) {
    TensorReader::load(source_, {}, [this](TensorReader& reader) { read(reader); });
}

void Autoencoder::read(TensorReader& reader) {
    const std::vector<int64_t>& widths = config.block_out_channels;
    const size_t last = widths.size() - 1;
    const int64_t latent = config.latent_channels;

    encoder_in = read_conv(reader, "encoder.conv_in", widths[0], config.in_channels, 3);
    down.assign(widths.size(), {});
    int64_t channels = widths[0];
    for (size_t i = 0; i <= last; ++i) {
        const std::string path = "encoder.down_blocks." + std::to_string(i);
        for (int64_t j = 0; j < config.layers_per_block; ++j, channels = widths[i])
            down[i].resnets.push_back(read_resnet(reader, path + ".resnets." + std::to_string(j), channels, widths[i]));
        if (i < last) down[i].downsample = read_conv(reader, path + ".downsamplers.0.conv", channels, channels, 3);
    }
    encoder_middle = read_middle(reader, "encoder.mid_block", channels, config.mid_attention);
    encoder_norm = read_norm(reader, "encoder.conv_norm_out", channels);
    encoder_out = read_conv(reader, "encoder.conv_out", 2 * latent, channels, 3);
    if (config.quant_conv) quant = read_conv(reader, "quant_conv", 2 * latent, 2 * latent, 1);

    if (config.post_quant_conv) post_quant = read_conv(reader, "post_quant_conv", latent, latent, 1);
    decoder_in = read_conv(reader, "decoder.conv_in", channels, latent, 3);
    decoder_middle = read_middle(reader, "decoder.mid_block", channels, config.mid_attention);
    up.assign(widths.size(), {});
    for (size_t i = 0; i <= last; ++i) {
        const std::string path = "decoder.up_blocks." + std::to_string(i);
        const int64_t width = widths[last - i];
        for (int64_t j = 0; j <= config.layers_per_block; ++j, channels = width)
            up[i].resnets.push_back(read_resnet(reader, path + ".resnets." + std::to_string(j), channels, width));
        if (i < last) up[i].upsample = read_conv(reader, path + ".upsamplers.0.conv", channels, channels, 3);
    }
    decoder_norm = read_norm(reader, "decoder.conv_norm_out", channels);
    decoder_out = read_conv(reader, "decoder.conv_out", config.out_channels, channels, 3);
}

UnitPacks Autoencoder::packs() const {
    UnitPacks packs;
    ConstantPack& all = packs.always;
    for (const Conv* conv : {&encoder_in, &encoder_out, &decoder_in, &decoder_out, &quant, &post_quant})
        vae::pack(all, *conv);
    for (const NormLayer* norm : {&encoder_norm, &decoder_norm}) atelier::pack(all, *norm);
    for (const Middle* middle : {&encoder_middle, &decoder_middle}) vae::pack(all, *middle);
    for (const DownBlock& block : down) {
        for (const Resnet& resnet : block.resnets) vae::pack(all, resnet);
        vae::pack(all, block.downsample);
    }
    for (const UpBlock& block : up) {
        for (const Resnet& resnet : block.resnets) vae::pack(all, resnet);
        vae::pack(all, block.upsample);
    }
    return packs;
}

Picture Autoencoder::encode(Program& program, const Picture& image, DType activations) const {
    Emitter emit(program, config.norm_num_groups, activations);
    Picture h = emit.conv(encoder_in, image);
    for (const DownBlock& block : down) {
        for (const Resnet& resnet : block.resnets) h = emit.resnet(resnet, h);
        if (block.downsample.out) h = emit.downsample(block.downsample, h);
    }
    h = emit.out(encoder_norm, encoder_out, emit.middle(encoder_middle, h));
    return quant.out ? emit.last(quant, h) : h;
}

Picture Autoencoder::decode(Program& program, const Picture& latents, DType activations) const {
    Emitter emit(program, config.norm_num_groups, activations);
    Picture h = emit.conv(decoder_in, post_quant.out ? emit.conv(post_quant, latents) : latents);
    h = emit.middle(decoder_middle, h);
    for (const UpBlock& block : up) {
        for (const Resnet& resnet : block.resnets) h = emit.resnet(resnet, h);
        if (block.upsample.out) h = emit.upsample(block.upsample, h);
    }
    return emit.out(decoder_norm, decoder_out, h);
}

} // namespace atelier::vae
