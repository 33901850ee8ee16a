#include "models/flux/weight_units.h"

namespace atelier {
namespace {

void add(ConstantPack& pack, const std::vector<const Linear*>& linears) {
    for (const Linear* l : linears) {
        pack.add(l->w);
        pack.add(l->bias, static_cast<uint64_t>(l->w.rows) * sizeof(float));
    }
}

} // namespace

UnitPacks weight_units(const FluxLayers& layers) {
    UnitPacks packs;
    const auto unit = [&](const std::vector<const Linear*>& linears) { add(packs.units.emplace_back(), linears); };
    for (const DoubleBlock& b : layers.doubles)
        for (const DoubleSide* side : {&b.img, &b.txt}) unit({&side->norm});
    for (const SingleBlock& b : layers.singles) unit({&b.norm});
    packs.rare = packs.units.size();
    for (int64_t b = 0; b < layers.dims.num_layers + layers.dims.num_single_layers; ++b) unit(block_linears(layers, b));

    add(packs.always, {&layers.time.first, &layers.time.second, &layers.text.first, &layers.text.second,
                          &layers.context_embedder, &layers.x_embedder, &layers.norm_out, &layers.proj_out});
    if (layers.dims.guidance) add(packs.always, {&layers.guidance.first, &layers.guidance.second});
    for_each_head_norm(layers, [&](const std::string&, const float* norm) {
        packs.always.add(norm, static_cast<uint64_t>(layers.dims.head_dim) * sizeof(float));
    });
    packs.always.add(ConstantPack::shared_code().data(), ConstantPack::shared_code().size_bytes());
    return packs;
}

std::vector<Residence> unit_residence(const TransformerDims& dims, const MemoryChoice& choice) {
    std::vector<Residence> units(
        modulation_units(dims), choice.modulation_resident ? Residence::resident : Residence::fetched);
    for (size_t i = 0; i < choice.resident.size(); ++i)
        units.push_back(choice.widens(i)     ? Residence::widened
                        : choice.resident[i] ? Residence::resident
                                             : Residence::fetched);
    return units;
}

} // namespace atelier
