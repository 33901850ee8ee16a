// One adapter in every spelling that trainers write: names, prefixes, suffixes and number types, put together here from
// tables of their own, so that the reader is held against what the trainers' sources say and not against itself.
#pragma once
#include "atelier/adapter.h"
#include "base/half.h"
#include "formats/safetensors.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <random>

namespace atelier::test {

inline constexpr int64_t kWidth = 12, kMlp = 30; // widths that nothing divides by chance

struct SpelledRow {
    std::string bfl; // with dots
    std::vector<std::string> parts;
};

inline std::vector<SpelledRow> spelled_rows(const std::string& kind) {
    if (kind == "double")
        return {{"img_attn.qkv", {"attn.to_q", "attn.to_k", "attn.to_v"}},
            {"txt_attn.qkv", {"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"}},
            {"img_attn.proj", {"attn.to_out.0"}}, {"txt_attn.proj", {"attn.to_add_out"}},
            {"img_mlp.0", {"ff.net.0.proj"}}, {"img_mlp.2", {"ff.net.2"}}, {"txt_mlp.0", {"ff_context.net.0.proj"}},
            {"txt_mlp.2", {"ff_context.net.2"}}, {"img_mod.lin", {"norm1.linear"}},
            {"txt_mod.lin", {"norm1_context.linear"}}};
    if (kind == "single")
        return {{"linear1", {"attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"}}, {"linear2", {"proj_out"}},
            {"modulation.lin", {"norm.linear"}}};
    return {{"img_in", {"x_embedder"}}, {"txt_in", {"context_embedder"}},
        {"time_in.in_layer", {"time_text_embed.timestep_embedder.linear_1"}},
        {"time_in.out_layer", {"time_text_embed.timestep_embedder.linear_2"}},
        {"vector_in.in_layer", {"time_text_embed.text_embedder.linear_1"}},
        {"vector_in.out_layer", {"time_text_embed.text_embedder.linear_2"}},
        {"guidance_in.in_layer", {"time_text_embed.guidance_embedder.linear_1"}},
        {"guidance_in.out_layer", {"time_text_embed.guidance_embedder.linear_2"}}, {"final_layer.linear", {"proj_out"}},
        {"final_layer.adaLN_modulation.1", {"norm_out.linear"}}};
}

// Numbers that every float type holds: a quarter to seven, of three significant bits.
inline std::vector<float> spelled_values(int64_t count, std::mt19937& random) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) {
        const auto bits = random();
        v = static_cast<float>(4 + bits % 4) / 16 * static_cast<float>(1 << (bits / 4 % 4)) *
            (bits & 64 ? 1.0f : -1.0f);
    }
    return values;
}

inline LoraModule spelled_module(int64_t rank, int64_t in, int64_t out, float alpha, std::mt19937& random) {
    return {rank, in, out, alpha, spelled_values(rank * in, random), spelled_values(out * rank, random)};
}

inline int64_t spelled_out(const std::string& part) {
    if (part == "proj_mlp" || part.ends_with(".proj")) return kMlp;
    if (part.starts_with("norm1")) return 6 * kWidth;
    if (part == "norm.linear") return 3 * kWidth;
    return part == "norm_out.linear" ? 2 * kWidth : kWidth;
}

// Every module of a double block 11, a single block 2 and what is outside of blocks.
inline std::map<std::string, LoraModule> spelled_modules(std::mt19937& random, int64_t rank = 2, float alpha = 2) {
    std::map<std::string, LoraModule> modules;
    for (const auto& [kind, prefix] : std::map<std::string, std::string>{
             {"double", "transformer_blocks.11."}, {"single", "single_transformer_blocks.2."}, {"outer", ""}})
        for (const SpelledRow& row : spelled_rows(kind))
            for (const std::string& part : row.parts) {
                const int64_t in = part.ends_with("net.2")                  ? kMlp
                                   : kind == "single" && part == "proj_out" ? kWidth + kMlp
                                                                            : kWidth;
                modules[prefix + part] = spelled_module(rank, in, spelled_out(part), alpha, random);
            }
    return modules;
}

inline std::string underscored(std::string name) {
    std::ranges::replace(name, '.', '_');
    return name;
}

// The parts as one linear: A stacked, B on a block diagonal, alpha for the rank of all.
inline LoraModule spelled_fused(const std::vector<const LoraModule*>& parts) {
    const auto count = static_cast<int64_t>(parts.size()), rank = parts[0]->rank;
    LoraModule all{count * rank, parts[0]->in, 0, parts[0]->alpha * static_cast<float>(count), {}, {}};
    for (const LoraModule* part : parts) all.a.insert(all.a.end(), part->a.begin(), part->a.end());
    for (int64_t p = 0; p < count; ++p)
        for (int64_t row = 0; row < parts[static_cast<size_t>(p)]->out; ++row, ++all.out)
            for (int64_t c = 0; c < all.rank; ++c) {
                const bool own = c / rank == p;
                all.b.push_back(own ? parts[static_cast<size_t>(p)]->b[static_cast<size_t>(row * rank + c % rank)] : 0);
            }
    return all;
}

using SpelledNames = std::vector<std::pair<std::string, LoraModule>>; // module name without prefix, its weights

inline SpelledNames by_diffusers(const std::map<std::string, LoraModule>& modules) {
    return {modules.begin(), modules.end()};
}

// As BFL, `split`: fused linears in numbered parts, as OneTrainer has them.
inline SpelledNames by_bfl(const std::map<std::string, LoraModule>& modules, bool split) {
    SpelledNames names;
    for (const auto& [kind, prefix] : std::vector<std::pair<std::string, std::pair<std::string, std::string>>>{
             {"double", {"double_blocks.11.", "transformer_blocks.11."}},
             {"single", {"single_blocks.2.", "single_transformer_blocks.2."}}, {"outer", {"", ""}}})
        for (const SpelledRow& row : spelled_rows(kind)) {
            std::vector<const LoraModule*> parts;
            for (const std::string& part : row.parts) parts.push_back(&modules.at(prefix.second + part));
            if (split && parts.size() > 1) {
                for (size_t p = 0; p < parts.size(); ++p)
                    names.emplace_back(prefix.first + row.bfl + "." + std::to_string(p), *parts[p]);
                continue;
            }
            LoraModule m = parts.size() > 1 ? spelled_fused(parts) : *parts[0];
            if (row.bfl.ends_with("adaLN_modulation.1"))
                std::rotate(m.b.begin(), m.b.begin() + static_cast<std::ptrdiff_t>(m.b.size() / 2), m.b.end());
            names.emplace_back(prefix.first + (split && row.bfl == "img_in" ? "img_in.proj" : row.bfl), std::move(m));
        }
    return names;
}

inline std::vector<std::byte> encoded(const std::vector<float>& values, DType dtype) {
    std::vector<std::byte> out(values.size() * dtype_size(dtype));
    for (size_t i = 0; i < values.size(); ++i) {
        const float v = values[i];
        std::byte* to = out.data() + i * dtype_size(dtype);
        const auto put = [to](auto x) { std::memcpy(to, &x, sizeof x); };
        if (dtype == DType::f32) put(v);
        else if (dtype == DType::f64) put(static_cast<double>(v));
        else if (dtype == DType::f16) put(float_to_f16(v));
        else if (dtype == DType::bf16) put(float_to_bf16(v));
        else if (dtype == DType::i64) put(static_cast<int64_t>(v));
        else if (dtype == DType::i32) put(static_cast<int32_t>(v));
        else if (dtype == DType::f8_e5m2) put(static_cast<uint8_t>(float_to_f16(v) >> 8));
        else {
            const uint32_t bits = std::bit_cast<uint32_t>(v);
            const uint32_t exponent = (bits >> 23 & 255) - 120; // e4m3's is 7 less than 127
            put(static_cast<uint8_t>(v == 0 ? 0 : (bits >> 31) << 7 | exponent << 3 | (bits >> 20 & 7)));
        }
    }
    return out;
}

// A file built tensor by tensor; holds the bytes that its writer points to.
class SpelledFile {
public:
    void add(const std::string& name, const Shape& shape, const std::vector<float>& values, DType dtype = DType::f32) {
        bytes_.push_back(encoded(values, dtype));
        writer_.add(name, dtype, shape, bytes_.back());
    }
    void add_pair(const std::string& down, const std::string& up, const LoraModule& m, DType dtype = DType::f32) {
        add(down, {m.rank, m.in}, m.a, dtype);
        add(up, {m.out, m.rank}, m.b, dtype);
    }
    void metadata(const std::string& key, const std::string& value) { writer_.set_metadata(key, value); }
    std::vector<std::byte> bytes() const { return writer_.to_bytes(); }

private:
    std::vector<std::vector<std::byte>> bytes_;
    SafetensorsWriter writer_;
};

} // namespace atelier::test
