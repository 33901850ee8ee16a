// Every spelling of an adapter is the same adapter, to the bit.
#include "formats/support.h"
#include "spelled.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

struct Pair {
    const char* down;
    const char* up;
};

constexpr Pair kPairs[] = {{".lora_A.weight", ".lora_B.weight"}, {".lora_A.default.weight", ".lora_B.default.weight"},
    {".lora_A.my-style_2.weight", ".lora_B.my-style_2.weight"}, {".lora_down.weight", ".lora_up.weight"},
    {".lora.down.weight", ".lora.up.weight"}, {".down.weight", ".up.weight"},
    {".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"}, {".lora_A", ".lora_B"}};

constexpr const char* kPrefixes[] = {"", "transformer.", "base_model.model.", "transformer.base_model.model.",
    "base_model.model.transformer.", "base_model.model.base_model.model.", "diffusion_model.", "model.diffusion_model.",
    "base_model.model.diffusion_model.", "transformer.diffusion_model.", "transformer._orig_mod.", "module.",
    "lora_unet_", "lora_transformer_", "lycoris_", "lora_transformer_transformer."};

// The ways to put a module's name after a prefix.
std::map<std::string, SpelledNames> styles(const std::map<std::string, LoraModule>& modules) {
    const auto changed = [](SpelledNames names, const std::function<std::string(const std::string&)>& change) {
        for (auto& [name, m] : names) name = change(name);
        return names;
    };
    const SpelledNames diffusers = by_diffusers(modules), bfl = by_bfl(modules, false), split = by_bfl(modules, true);
    return {{"diffusers", diffusers}, {"diffusers_", changed(diffusers, underscored)},
        {"diffusers_ and one more", changed(diffusers, [](const auto& name) { return underscored(name) + "_"; })},
        {"bfl", bfl}, {"bfl_", changed(bfl, underscored)}, {"split", split}, {"split_", changed(split, underscored)},
        {"bfl with dots for blocks only", changed(bfl, [](const std::string& name) {
             const size_t block = name.find("_blocks.");
             if (block == std::string::npos) return underscored(name);
             const size_t rest = name.find('.', block + 8) + 1;
             return name.substr(0, rest) + underscored(name.substr(rest));
         })}};
}

void check_same(const std::map<std::string, LoraModule>& got, const std::map<std::string, LoraModule>& expected) {
    REQUIRE(got.size() == expected.size());
    for (const auto& [path, m] : expected) {
        INFO(path);
        REQUIRE(got.count(path));
        const LoraModule& other = got.at(path);
        CHECK(other.rank == m.rank);
        CHECK(other.alpha == m.alpha);
        CHECK((other.a == m.a && other.b == m.b));
    }
}

Adapter read(const SpelledFile& file) {
    const std::vector<std::byte> bytes = file.bytes();
    const AdapterContents contents = Adapter::inspect(bytes, "a file");
    Adapter adapter = Adapter::from_bytes(bytes, "a file");
    CHECK(contents.modules.size() == adapter.modules.size());
    for (const AdapterContents::Module& m : contents.modules) CHECK(adapter.modules.at(m.path).alpha == m.alpha);
    return adapter;
}

std::vector<std::string> set_aside(const SpelledFile& file) { return Adapter::inspect(file.bytes(), "a file").notes; }

} // namespace

TEST_CASE("every prefix, path and suffix together give the reference's tensors") {
    std::mt19937 random(1);
    const auto modules = spelled_modules(random);
    for (const auto& [style, names] : styles(modules))
        for (const char* prefix : kPrefixes)
            for (const Pair& pair : kPairs) {
                CAPTURE(style);
                CAPTURE(prefix);
                CAPTURE(pair.down);
                SpelledFile file;
                for (const auto& [name, m] : names)
                    file.add_pair(prefix + name + pair.down, prefix + name + pair.up, m);
                check_same(read(file).modules, modules);
            }
}

TEST_CASE("alpha of every number type, in every style") {
    std::mt19937 random(2);
    const auto modules = spelled_modules(random, 4, 2);
    for (const auto& [style, names] : styles(modules))
        for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i64, DType::i32})
            for (const Shape& shape : {Shape{}, Shape{1}}) {
                CAPTURE(style);
                SpelledFile file;
                for (const auto& [name, m] : names) {
                    file.add_pair(
                        "lora_unet_" + name + ".lora_down.weight", "lora_unet_" + name + ".lora_up.weight", m);
                    file.add("lora_unet_" + name + ".alpha", shape, {m.alpha}, dtype);
                }
                check_same(read(file).modules, modules);
            }
}

TEST_CASE("every float type, as it is and as a convolution of one by one") {
    std::mt19937 random(3);
    const auto modules = spelled_modules(random);
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::f8_e4m3, DType::f8_e5m2})
        for (const bool convolution : {false, true}) {
            CAPTURE(dtype_name(dtype));
            SpelledFile file;
            for (const auto& [path, m] : modules) {
                Shape a{m.rank, m.in}, b{m.out, m.rank};
                if (convolution)
                    for (Shape* shape : {&a, &b}) shape->insert(shape->end(), {1, 1});
                file.add("transformer." + path + ".lora_A.weight", a, m.a, dtype);
                file.add("transformer." + path + ".lora_B.weight", b, m.b, dtype);
            }
            check_same(read(file).modules, modules);
        }
}

TEST_CASE("fp8's smallest, largest and no number") {
    const auto values = [](DType dtype, uint8_t bits) {
        SafetensorsWriter writer;
        const std::vector<std::byte> a{std::byte{bits}}, b{std::byte{bits}};
        writer.add("x_embedder.lora_A.weight", dtype, {1, 1}, a);
        writer.add("x_embedder.lora_B.weight", dtype, {1, 1}, b);
        return Adapter::from_bytes(writer.to_bytes(), "a file").modules.at("x_embedder").a[0];
    };
    CHECK(values(DType::f8_e4m3, 0x01) == 0x1p-9f);
    CHECK(values(DType::f8_e4m3, 0x08) == 0x1p-6f);
    CHECK(values(DType::f8_e4m3, 0xfe) == -448);
    CHECK(values(DType::f8_e5m2, 0x01) == 0x1p-16f);
    CHECK(values(DType::f8_e5m2, 0x7b) == 57344);
    check_error(ErrorCode::corrupt, {"NaN or infinity", "lora_A"}, [&] { values(DType::f8_e4m3, 0x7f); });
    check_error(ErrorCode::corrupt, {"NaN or infinity"}, [&] { values(DType::f8_e5m2, 0x7c); });
    check_error(ErrorCode::unsupported, {"BOOL", "lora_A"}, [&] { values(DType::boolean, 1); });
}

TEST_CASE(
    "XLabs' processors: the first is the picture's stream, the second the text's, and one A for query, key and value") {
    std::mt19937 random(4);
    const LoraModule qkv = spelled_module(5, kWidth, 3 * kWidth, 5, random),
                     text = spelled_module(5, kWidth, 3 * kWidth, 5, random),
                     out = spelled_module(5, kWidth, kWidth, 5, random),
                     text_out = spelled_module(5, kWidth, kWidth, 5, random),
                     single = spelled_module(4, kWidth, 3 * kWidth, 4, random),
                     last = spelled_module(4, kWidth + kMlp, kWidth, 4, random);
    for (const std::string prefix : {"", "diffusion_model.", "transformer."}) {
        SpelledFile file;
        const auto add = [&](const std::string& name, const LoraModule& m) {
            file.add_pair(prefix + name + ".down.weight", prefix + name + ".up.weight", m, DType::bf16);
        };
        add("double_blocks.3.processor.qkv_lora1", qkv);
        add("double_blocks.3.processor.qkv_lora2", text);
        add("double_blocks.3.processor.proj_lora1", out);
        add("double_blocks.3.processor.proj_lora2", text_out);
        add("single_blocks.7.processor.qkv_lora", single);
        add("single_blocks.7.processor.proj_lora", last);
        const auto modules = read(file).modules;
        CHECK(modules.size() == 12);
        const auto third = [](const LoraModule& m, int64_t part) {
            const auto rows = m.out / 3 * m.rank;
            return std::vector<float>(m.b.begin() + part * rows, m.b.begin() + (part + 1) * rows);
        };
        CHECK(modules.at("transformer_blocks.3.attn.to_k").a == qkv.a);
        CHECK(modules.at("transformer_blocks.3.attn.to_k").b == third(qkv, 1));
        CHECK(modules.at("transformer_blocks.3.attn.add_v_proj").b == third(text, 2));
        CHECK(modules.at("transformer_blocks.3.attn.to_out.0").b == out.b);
        CHECK(modules.at("transformer_blocks.3.attn.to_add_out").b == text_out.b);
        CHECK(modules.at("single_transformer_blocks.7.attn.to_q").b == third(single, 0));
        CHECK(modules.at("single_transformer_blocks.7.proj_out").a == last.a);
    }
}

TEST_CASE("what changes nothing is set aside and said, and what would change something and is not applied, too") {
    std::mt19937 random(5);
    const auto modules = spelled_modules(random);
    SpelledFile file;
    for (const auto& [path, m] : modules) file.add_pair(path + ".lora_A.weight", path + ".lora_B.weight", m);
    const std::vector<float> one{1}, zeros(12);
    file.add("lora_unet_img_mod.alpha", {}, one);
    file.add("lora_unet_no_such_module.alpha", {}, one);
    file.add("diffusion_model.double_blocks.0.img_attn.proj.diff_b", {12}, zeros, DType::bf16);
    file.add("diffusion_model.double_blocks.0.img_attn.norm.query_norm.scale.diff", {12}, zeros);
    file.add("transformer.x_embedder.lora_B.bias", {12}, zeros);
    file.add("empty", {0}, {});
    file.add("step", {1}, one, DType::i64);
    file.add("bundle_emb.word.string_to_param.clip_l", {1, 12}, std::vector<float>(12, 1));
    for (const std::string te :
        {"lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoder.text_model.encoder.layers.0.mlp.fc2"}) {
        file.add(te + ".lora_down.weight", {1, 12}, std::vector<float>(12, 1));
        file.add(te + ".lora_up.weight", {12, 1}, zeros);
    }
    file.add("lora_te2_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight", {12, 1}, std::vector<float>(12, 1));
    check_same(read(file).modules, modules);
    std::string said;
    for (const std::string& sentence : set_aside(file)) said += sentence + "\n";
    CAPTURE(said);
    for (const char* part :
        {"its part for CLIP (4 tensors) is all zero and changes nothing\n",
            "its part for T5 (1 tensor) is not applied: pictures are drawn without it\n", "2 alphas of modules without",
            "3 changes of weights or biases that are all zero", "1 tensor without values: 'empty'",
            "1 training counter: 'step'", "its trained words (1 tensor) are not applied"})
        CHECK(said.find(part) != std::string::npos);
    SpelledFile plain;
    for (const auto& [path, m] : modules) plain.add_pair(path + ".lora_A.weight", path + ".lora_B.weight", m);
    CHECK(set_aside(plain).empty());
}

TEST_CASE("a module in two spellings: alike it is taken once, else refused") {
    std::mt19937 random(6);
    const LoraModule m = spelled_module(2, kWidth, kWidth, 2, random),
                     other = spelled_module(2, kWidth, kWidth, 2, random),
                     fused = spelled_module(2, kWidth, 3 * kWidth, 2, random);
    const std::string dotted = "transformer.transformer_blocks.0.attn.to_out.0",
                      flat = "lora_unet_double_blocks_0_img_attn_proj";
    SpelledFile twice;
    twice.add_pair(dotted + ".lora_A.weight", dotted + ".lora_B.weight", m);
    twice.add_pair(flat + ".lora_down.weight", flat + ".lora_up.weight", m);
    CHECK(read(twice).modules.size() == 1);
    CHECK(set_aside(twice).front().starts_with("2 tensors that are there twice"));
    SpelledFile differ;
    differ.add_pair(dotted + ".lora_A.weight", dotted + ".lora_B.weight", m);
    differ.add_pair(flat + ".lora_down.weight", flat + ".lora_up.weight", other);
    check_error(ErrorCode::corrupt, {dotted.c_str(), flat.c_str(), "differ"}, [&] { read(differ); });
    SpelledFile part;
    part.add_pair("transformer_blocks.0.attn.to_q.lora_A.weight", "transformer_blocks.0.attn.to_q.lora_B.weight", m);
    part.add_pair("double_blocks.0.img_attn.qkv.lora_A.weight", "double_blocks.0.img_attn.qkv.lora_B.weight", fused);
    check_error(ErrorCode::corrupt, {"transformer_blocks.0.attn.to_q", "twice"}, [&] { read(part); });
}
