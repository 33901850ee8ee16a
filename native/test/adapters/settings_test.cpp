// peft's settings: the strength they give, and those that plain LoRA does not cover.
#include "adapters/settings.h"
#include "formats/support.h"
#include "spelled.h"
#include <cmath>
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

Adapter with(const std::string& settings, const std::string& style = "diffusers") {
    std::mt19937 random(1);
    const auto modules = spelled_modules(random, 4, 4);
    SpelledFile file;
    for (const auto& [name, m] : style == "diffusers" ? by_diffusers(modules) : by_bfl(modules, true))
        file.add_pair("base_model.model." + name + ".lora_A.weight", "base_model.model." + name + ".lora_B.weight", m);
    file.metadata(kPeftMetadata, settings);
    return Adapter::from_bytes(file.bytes(), "a file");
}

} // namespace

TEST_CASE("alpha, rank-stabilised, and patterns: the first that matches counts") {
    const std::string q = "transformer_blocks.11.attn.to_q", q2 = "single_transformer_blocks.2.attn.to_q";
    for (const std::string style : {"diffusers", "bfl in parts"}) {
        CHECK(with(R"({"transformer.lora_alpha": 2})", style).modules.at(q).alpha == 2);
        CHECK(with(R"({"transformer.lora_alpha": 2, "transformer.use_rslora": true})", style).modules.at(q).alpha == 4);
    }
    const Adapter patterns = with(
        R"({"transformer.lora_alpha": 2, "transformer.alpha_pattern": {"single.*to_q": 8, "to_q": 16, "proj_out": 1}})");
    CHECK(patterns.modules.at(q).alpha == 16);
    CHECK(patterns.modules.at(q2).alpha == 8);
    CHECK(patterns.modules.at("transformer_blocks.11.attn.to_k").alpha == 2);
    const Adapter bfl =
        with(R"({"transformer.lora_alpha": 2, "transformer.alpha_pattern": {"img_attn.qkv.0": 8}})", "bfl");
    CHECK(bfl.modules.at(q).alpha == 8);
}

TEST_CASE("patterns are peft's regular expressions, in time that no pattern can stretch") {
    const std::string path = "transformer_blocks.11.attn.to_q";
    for (const char* fits :
        {"to_q", "attn.to_q", "^transformer_blocks.11.attn.to_q", R"(transformer_blocks\.\d+\.attn\.to_q)",
            "transformer_blocks.[0-9]+.attn.to_[qkv]", ".*to_q", "to_k|to_q", "to_q$", ".+11.*", "to_qx?"})
        CHECK_MESSAGE(PathPattern(fits, "x").matches(path), fits);
    for (const char* not_fits : {"o_q", "^to_q", "to_[^q]", "transformer_blocks.1.attn.to_q", "to_qx", "attn", ""})
        CHECK_MESSAGE(!PathPattern(not_fits, "x").matches(path), not_fits);
    std::string slow;
    for (int i = 0; i < 5000; ++i) slow += "t*";
    CHECK(!PathPattern(slow + "x", "x").matches(path));
    for (const char* unread : {"(a|b)c", "a{2}", "[a", "a\\", R"(\w+)", "**"})
        check_error(
            ErrorCode::unsupported, {"x: the pattern", "regular expression"}, [&] { PathPattern(unread, "x"); });
}

TEST_CASE("patterns that would take long are refused, with what is read") {
    const auto of = [](const std::string& pattern) {
        return with(R"({"transformer.lora_alpha": 2, "transformer.alpha_pattern": {")" + pattern + R"(": 8}})");
    };
    std::string many = "to_q", repeats;
    for (int i = 1; i < 4096; ++i) many += "|x";
    CHECK(of(many).modules.at("transformer_blocks.11.attn.to_q").alpha == 8);
    for (int i = 0; i < 257; ++i) repeats += ".*";
    for (const std::string& over : {many + "|x", repeats})
        check_error(ErrorCode::unsupported, {"alpha_pattern has", "4096 with 256 are read"}, [&] { of(over); });
}

TEST_CASE("settings that plain LoRA does not cover are refused by name") {
    const auto refuse = [](const std::string& field, const std::string& value) {
        check_error(ErrorCode::unsupported, {field},
            [&] { with("{\"transformer.lora_alpha\": 2, \"transformer." + field + "\": " + value + "}"); });
    };
    refuse("use_dora", "true");
    refuse("peft_type", "\"LOKR\"");
    refuse("modules_to_save", "[\"proj_out\"]");
    refuse("target_parameters", "[\"x_embedder.weight\"]");
    refuse("layer_replication", "[[0, 4]]");
    refuse("init_lora_weights", "\"pissa_niter_4\"");
    CHECK(with(R"({"transformer.lora_alpha": 2, "transformer.use_dora": false, "transformer.peft_type": "LORA",
        "transformer.modules_to_save": null, "transformer.target_parameters": [], "transformer.init_lora_weights": "gaussian"})")
              .modules.size() == 30);
    check_error(ErrorCode::corrupt, {"alpha"}, [&] { with(R"({"transformer.lora_alpha": 1e300})"); });
}
