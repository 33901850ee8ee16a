// Adapter files: diffusers', peft's and kohya's names, read, written and read again; and files that are not what they
// say.
#include "adapters/fit.h"
#include "atelier/adapter.h"
#include "base/half.h"
#include "formats/config.h"
#include "models/flux/config.h"
#include "formats/support.h"
#include "goldens.h"
#include "models/flux/layers.h"
#include <doctest/doctest.h>
#include <set>

using namespace atelier;
using namespace atelier::test;

namespace {

Adapter::Module module(int64_t rank, int64_t in, int64_t out, float alpha, std::mt19937& random) {
    Adapter::Module m{rank, in, out, alpha, {}, {}};
    m.a = Matrix(rank, in, random).values;
    m.b = Matrix(out, rank, random).values;
    return m;
}

// alpha / rank · B · A
std::vector<float> delta(const Adapter::Module& m) {
    std::vector<float> d(static_cast<size_t>(m.out * m.in));
    for (int64_t o = 0; o < m.out; ++o)
        for (int64_t i = 0; i < m.in; ++i) {
            double sum = 0;
            for (int64_t r = 0; r < m.rank; ++r)
                sum += static_cast<double>(m.b[static_cast<size_t>(o * m.rank + r)]) *
                       m.a[static_cast<size_t>(r * m.in + i)];
            d[static_cast<size_t>(o * m.in + i)] = static_cast<float>(sum * m.alpha / static_cast<double>(m.rank));
        }
    return d;
}

void same_effect(const Adapter& got, const Adapter& expected) {
    CHECK(got.modules.size() == expected.modules.size());
    for (const auto& [path, m] : expected.modules) {
        INFO(path);
        const auto it = got.modules.find(path);
        REQUIRE(it != got.modules.end());
        CHECK(it->second.rank == m.rank);
        CHECK(relative_error(delta(it->second), delta(m)) < 1e-6);
    }
}

constexpr int64_t D = 12, MLP = 30; // widths that nothing divides by chance

// Every kind of module of FLUX, scale 0.5.
Adapter whole_adapter(std::mt19937& random) {
    Adapter a;
    for (const char* path :
        {"transformer_blocks.0.attn.to_q", "transformer_blocks.0.attn.to_k", "transformer_blocks.0.attn.to_v",
            "transformer_blocks.0.attn.to_out.0", "transformer_blocks.11.attn.add_q_proj",
            "transformer_blocks.11.attn.add_k_proj", "transformer_blocks.11.attn.add_v_proj",
            "transformer_blocks.11.attn.to_add_out", "single_transformer_blocks.2.attn.to_q",
            "single_transformer_blocks.2.attn.to_k", "single_transformer_blocks.2.attn.to_v", "x_embedder",
            "context_embedder", "time_text_embed.timestep_embedder.linear_1",
            "time_text_embed.guidance_embedder.linear_2", "time_text_embed.text_embedder.linear_1", "proj_out"})
        a.modules[path] = module(4, D, D, 2, random);
    a.modules["single_transformer_blocks.2.proj_mlp"] = module(4, D, MLP, 2, random);
    a.modules["single_transformer_blocks.2.proj_out"] = module(4, D + MLP, D, 2, random);
    a.modules["transformer_blocks.0.ff.net.0.proj"] = module(4, D, MLP, 2, random);
    a.modules["transformer_blocks.0.ff_context.net.2"] = module(4, MLP, D, 2, random);
    a.modules["transformer_blocks.0.norm1.linear"] = module(4, D, 6 * D, 2, random);
    a.modules["single_transformer_blocks.2.norm.linear"] = module(4, D, 3 * D, 2, random);
    a.modules["norm_out.linear"] = module(4, D, 2 * D, 2, random);
    return a;
}

void write(const std::string& path, const std::vector<std::pair<std::string, Matrix>>& tensors,
    const std::string& metadata = "") {
    SafetensorsWriter writer;
    for (const auto& [name, m] : tensors) writer.add(name, {m.rows, m.cols}, m.values);
    if (!metadata.empty()) writer.set_metadata("lora_adapter_metadata", metadata);
    writer.write(path);
}

} // namespace

TEST_CASE("diffusers' own file: rank, alpha, weights, written again it has the same tensors and settings") {
    TempDir dir;
    const std::string golden = fixtures_dir() + "/lora_a/pytorch_lora_weights.safetensors";
    const Adapter adapter = Adapter::load(golden);
    const SafetensorsFile before = SafetensorsFile::open(golden);
    CHECK(adapter.modules.size() * 2 == before.tensors().size());
    adapter.save(dir / "out.safetensors", AdapterFormat::diffusers);
    const SafetensorsFile after = SafetensorsFile::open(dir / "out.safetensors");
    REQUIRE(after.tensors().size() == before.tensors().size());
    for (const auto& [name, t] : before.tensors()) {
        const TensorView& copy = after.require(name, t.dtype, t.shape);
        CHECK(std::equal(t.bytes.begin(), t.bytes.end(), copy.bytes.begin()));
    }
    CHECK(after.metadata().at("format") == "pt");
    const auto old_settings = nlohmann::json::parse(before.metadata().at("lora_adapter_metadata")),
               settings = nlohmann::json::parse(after.metadata().at("lora_adapter_metadata"));
    for (const auto& [key, value] : settings.items()) {
        INFO(key);
        REQUIRE(old_settings.contains(key));
        if (key != "transformer.target_modules") CHECK(value == old_settings[key]);
    }
    const FluxLayers layers(read_flux_config(fixtures_dir() + "/model/transformer"));
    const auto named = [&](const nlohmann::json& targets) { // the linears that peft would take by these names
        std::set<std::string> paths;
        for_each_linear(layers, [&](const std::string& path, const Linear&, int64_t, int64_t) {
            for (const auto& target : targets)
                if (target_matches(target.get<std::string>(), path)) paths.insert(path);
        });
        return paths;
    };
    CHECK(named(settings["transformer.target_modules"]) == named(old_settings["transformer.target_modules"]));
    CHECK(named(settings["transformer.target_modules"]).size() == adapter.modules.size());
    for (const auto& [path, m] : adapter.modules) CHECK(m.alpha == old_settings["transformer.lora_alpha"].get<float>());
}

TEST_CASE("diffusers file: ranks and alphas that differ between modules survive") {
    std::mt19937 random(1);
    TempDir dir;
    Adapter a = whole_adapter(random);
    a.modules["proj_out"] = module(3, D, D, 1.5f, random);
    a.modules["x_embedder"] = module(7, 5, D, 16, random);
    a.metadata["note"] = "kept";
    a.save(dir / "a.safetensors", AdapterFormat::diffusers);
    const Adapter b = Adapter::load(dir / "a.safetensors");
    same_effect(b, a);
    CHECK(b.metadata.at("note") == "kept");
    CHECK(b.modules.at("proj_out").alpha == 1.5f);
    CHECK(b.modules.at("single_transformer_blocks.2.proj_out").alpha == 2);
}

TEST_CASE("kohya file: every kind of module goes through and back") {
    std::mt19937 random(2);
    TempDir dir;
    const Adapter a = whole_adapter(random);
    a.save(dir / "k.safetensors", AdapterFormat::kohya);
    const SafetensorsFile file = SafetensorsFile::open(dir / "k.safetensors");
    CHECK(file.require("lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight").shape == Shape{12, D});
    CHECK(file.require("lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight").shape == Shape{3 * D, 12});
    CHECK(file.require("lora_unet_double_blocks_11_txt_attn_qkv.alpha").shape.empty());
    CHECK(file.require("lora_unet_single_blocks_2_linear1.lora_up.weight").shape == Shape{3 * D + MLP, 16});
    CHECK(file.find("lora_unet_final_layer_adaLN_modulation_1.lora_up.weight"));
    for (const auto& [name, t] : file.tensors()) CHECK(name.starts_with("lora_unet_"));
    same_effect(Adapter::load(dir / "k.safetensors"), a);
}

TEST_CASE("kohya file: parts that are missing stay missing, untrained ones stay, scales that differ are kept") {
    std::mt19937 random(3);
    TempDir dir;
    Adapter a;
    a.modules["transformer_blocks.0.attn.to_q"] = module(2, D, D, 8, random);
    a.modules["transformer_blocks.0.attn.to_v"] = module(4, D, D, 1, random);
    a.modules["single_transformer_blocks.0.attn.to_k"] = module(4, D, D, 4, random);
    auto& untrained = a.modules["single_transformer_blocks.0.attn.to_v"] = module(4, D, D, 4, random);
    untrained.b.assign(untrained.b.size(), 0);
    a.save(dir / "k.safetensors", AdapterFormat::kohya);
    const Adapter b = Adapter::load(dir / "k.safetensors");
    CHECK(b.modules.size() == 4);
    CHECK(b.modules.at("single_transformer_blocks.0.attn.to_v").a == untrained.a);
    for (const auto& [path, m] : a.modules) CHECK(relative_error(delta(b.modules.at(path)), delta(m)) < 1e-6);
}

TEST_CASE("kohya file of another trainer: one low rank for a fused linear splits by rows, three blocks without the MLP "
          "split by blocks") {
    std::mt19937 random(4);
    TempDir dir;
    const Matrix down(5, D, random), up(3 * D, 5, random);
    Matrix down3(6, D, random), up3(3 * D + MLP, 6);
    for (int64_t i = 0; i < 3 * D; ++i)
        for (int64_t r = 0; r < 2; ++r) up3.at(i, i / D * 2 + r) = static_cast<float>(i + r + 1);
    write(dir / "k.safetensors", {{"lora_unet_double_blocks_3_img_attn_qkv.lora_down.weight", down},
                                     {"lora_unet_double_blocks_3_img_attn_qkv.lora_up.weight", up},
                                     {"lora_unet_double_blocks_3_img_attn_qkv.alpha", Matrix(1, 1, 10.0f)},
                                     {"diffusion_model.single_blocks.1.linear1.lora_A.weight", down3},
                                     {"diffusion_model.single_blocks.1.linear1.lora_B.weight", up3}});
    const Adapter a = Adapter::load(dir / "k.safetensors");
    CHECK(a.modules.size() == 6);
    const Adapter::Module& k = a.modules.at("transformer_blocks.3.attn.to_k");
    CHECK(k.rank == 5);
    CHECK(k.alpha == 10);
    CHECK(k.a == down.values);
    CHECK(k.b == std::vector<float>(up.values.begin() + D * 5, up.values.begin() + 2 * D * 5));
    const Adapter::Module& v = a.modules.at("single_transformer_blocks.1.attn.to_v");
    CHECK(v.rank == 2);
    CHECK(v.alpha == 2);
    CHECK(v.a == std::vector<float>(down3.values.begin() + 4 * D, down3.values.end()));
    CHECK(v.b[0] == static_cast<float>(2 * D + 1));
}

TEST_CASE("peft file: prefix, adapter_config.json beside it, rank-stabilised scale, half precision") {
    std::mt19937 random(5);
    TempDir dir;
    const std::vector<uint16_t> a{float_to_bf16(1), float_to_bf16(2)}, b{float_to_f16(3), float_to_f16(4)};
    SafetensorsWriter writer;
    writer.add("base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight", DType::bf16, {1, 2},
        std::as_bytes(std::span(a)));
    writer.add("base_model.model.transformer_blocks.0.attn.to_q.lora_B.weight", DType::f16, {2, 1},
        std::as_bytes(std::span(b)));
    writer.write(dir / "adapter_model.safetensors");
    CHECK(Adapter::load(dir / "adapter_model.safetensors").modules.at("transformer_blocks.0.attn.to_q").alpha == 1);
    write_file(
        dir / "adapter_config.json", R"({"r": 1, "lora_alpha": 3, "alpha_pattern": {"to_q": 5}, "use_rslora": true})");
    const Adapter adapter = Adapter::load(dir / "adapter_model.safetensors");
    CHECK(adapter.modules.at("transformer_blocks.0.attn.to_q").alpha == 5);
    CHECK(adapter.modules.at("transformer_blocks.0.attn.to_q").b == std::vector<float>{3, 4});
    write_file(dir / "adapter_config.json", R"({"r": 1, "lora_alpha": 3, "use_dora": true})");
    check_error(ErrorCode::unsupported, {"DoRA", "adapter_config.json"},
        [&] { Adapter::load(dir / "adapter_model.safetensors"); });
}

TEST_CASE("files that are no FLUX adapter, or a damaged one, are refused by name") {
    std::mt19937 random(6);
    TempDir dir;
    const Matrix a(4, D, random), b(D, 4, random);
    const std::string path = dir / "x.safetensors", q = "transformer.transformer_blocks.0.attn.to_q";
    const auto refuse = [&](ErrorCode code, const std::vector<std::string>& parts,
                            const std::vector<std::pair<std::string, Matrix>>& tensors,
                            const std::string& metadata = "") {
        write(path, tensors, metadata);
        check_error(code, parts, [&] { Adapter::load(path); });
    };
    refuse(ErrorCode::corrupt, {"no LoRA weights", "x.safetensors"}, {});
    refuse(ErrorCode::corrupt, {"lora_A.weight", "no partner"}, {{q + ".lora_A.weight", a}});
    refuse(ErrorCode::corrupt, {"lora_B.weight", "no partner"}, {{q + ".lora_B.weight", b}});
    refuse(ErrorCode::corrupt, {"differ in rank", "[4, 12]", "[12, 3]"},
        {{q + ".lora_A.weight", a}, {q + ".lora_B.weight", Matrix(D, 3, random)}});
    refuse(ErrorCode::corrupt, {"NaN or infinity", "lora_A"},
        {{q + ".lora_A.weight", Matrix(4, D, NAN)}, {q + ".lora_B.weight", b}});
    refuse(ErrorCode::unsupported, {"'weights.of.a.model'"}, {{"weights.of.a.model", a}});
    refuse(ErrorCode::unsupported, {"only parts for the text encoders"}, {{"text_encoder.x.lora_A.weight", a}});
    refuse(ErrorCode::unsupported, {"DoRA", "magnitude"},
        {{q + ".lora_A.weight", a}, {q + ".lora_B.weight", b}, {q + ".lora_magnitude_vector", b}});
    refuse(ErrorCode::unsupported, {"'lora_unet_down_blocks_0"},
        {{"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", a}});
    refuse(ErrorCode::corrupt, {"no partner", "lora_up"},
        {{"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", a}});
    refuse(ErrorCode::corrupt, {"query, key and value"},
        {{"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", a},
            {"lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight", Matrix(D + 1, 4, random)}});
    refuse(ErrorCode::corrupt, {"query, key, value and MLP"},
        {{"lora_unet_single_blocks_0_linear1.lora_down.weight", a},
            {"lora_unet_single_blocks_0_linear1.lora_up.weight", b}});
    refuse(ErrorCode::corrupt, {"lora_adapter_metadata", "not JSON"},
        {{q + ".lora_A.weight", a}, {q + ".lora_B.weight", b}}, "{oops");
    refuse(ErrorCode::corrupt, {"lora_alpha", "\"big\""}, {{q + ".lora_A.weight", a}, {q + ".lora_B.weight", b}},
        R"({"transformer.lora_alpha": "big"})");
    Adapter empty;
    check_error(ErrorCode::corrupt, {"no LoRA weights"}, [&] { empty.save(path, AdapterFormat::diffusers); });
    Adapter odd;
    odd.modules["no.such.module"] = module(2, 3, 4, 2, random);
    check_error(ErrorCode::unsupported, {"'no.such.module'", "kohya"}, [&] { odd.save(path, AdapterFormat::kohya); });
}
