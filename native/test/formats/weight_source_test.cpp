// Components on disk: single files, shards, half precisions, unaligned and pre-quantised tensors; and every way they
// can be wrong.
#include "base/half.h"
#include "formats/config.h"
#include "models/flux/config.h"
#include "formats/json_file.h"
#include "formats/support.h"
#include "formats/weight_source.h"
#include "quant/nf4.h"
#include <cstring>
#include <limits>

using namespace atelier;
using namespace atelier::test;

namespace {

const std::string kGoldens = std::string(ATELIER_GOLDENS) + "/tiny-dev";

void write_tensors(const std::string& path, const std::vector<std::pair<std::string, std::vector<float>>>& tensors) {
    SafetensorsWriter writer;
    for (const auto& [name, values] : tensors) writer.add(name, {static_cast<int64_t>(values.size())}, values);
    writer.write(path);
}

} // namespace

TEST_CASE("single file: read, names and shapes checked in one error") {
    TempDir dir;
    write_tensors(dir / "model.safetensors", {{"a", {1, 2}}, {"b", {3}}, {"odd", {4}}});
    const WeightSource source = WeightSource::open(dir.path());
    CHECK(source.read_f32("a", {2}) == std::vector<float>{1, 2});
    CHECK(source.bytes() == 16);
    source.check({{"a", {2}}, {"b", {1}}}, {"odd"});
    check_error(ErrorCode::not_found, {"missing 'c'", "unexpected 'odd'", "wrong shape 'b [1] instead of [7]'"},
        [&] { source.check({{"a", {2}}, {"b", {7}}, {"c", {1}}}); });
    check_error(ErrorCode::corrupt, {"unexpected 'odd'"}, [&] { source.check({{"a", {2}}, {"b", {1}}}); });
    check_error(ErrorCode::corrupt, {"model.safetensors", "'a'", "[2]", "[3]"}, [&] { source.read_f32("a", {3}); });
    check_error(ErrorCode::not_found, {"'c'"}, [&] { source.read_f32("c", {3}); });
}

TEST_CASE("shards: found through the index, whose lies are refused") {
    TempDir dir;
    write_tensors(dir / "model-00001-of-00002.safetensors", {{"a", {1}}});
    write_tensors(dir / "model-00002-of-00002.safetensors", {{"b", {2}}});
    const auto index = [&](const std::string& map) {
        write_file(dir / "model.safetensors.index.json", "{\"metadata\":{},\"weight_map\":" + map + "}");
    };
    index(R"({"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"})");
    CHECK(WeightSource::open(dir.path()).read_f32("b", {1}) == std::vector<float>{2});
    const auto refuse = [&](ErrorCode code, const std::vector<std::string>& parts, const std::string& map) {
        index(map);
        check_error(code, parts, [&] { WeightSource::open(dir.path()); });
    };
    refuse(ErrorCode::not_found, {"model-00003.safetensors", "download is incomplete"},
        R"({"a":"model-00003.safetensors"})");
    refuse(ErrorCode::corrupt, {"'../a.safetensors'"}, R"({"a":"../a.safetensors"})");
    refuse(ErrorCode::corrupt, {"'b'", "not named"},
        R"({"a":"model-00001-of-00002.safetensors","x":"model-00002-of-00002.safetensors"})");
    refuse(ErrorCode::corrupt, {"'c'", "promised"},
        R"({"a":"model-00001-of-00002.safetensors","c":"model-00001-of-00002.safetensors"})");
    refuse(ErrorCode::corrupt, {"weight_map", "index.json"}, "7");
    refuse(ErrorCode::corrupt, {"empty"}, "{}");
}

TEST_CASE("which files are the weights is what the checkpoint library says, whatever else lies there") {
    const JsonObject cases = JsonObject::read(std::string(ATELIER_GOLDENS) + "/weight_files.json");
    for (const std::string& title : cases.keys()) {
        INFO(title);
        const JsonObject said = cases.object(title);
        TempDir dir;
        for (const std::string& file : said.strings("folder")) write_tensors(dir / file, {{file, {1}}});
        const JsonObject indexes = said.has("indexes") ? said.object("indexes") : JsonObject::parse("{}", title);
        for (const std::string& index : indexes.keys()) {
            std::string map;
            for (const std::string& file : indexes.strings(index))
                map += (map.empty() ? "\"" : ",\"") + file + "\":\"" + file + "\"";
            write_file(dir / index, "{\"weight_map\":{" + map + "}}");
        }
        std::vector<std::string> found;
        try {
            const WeightSource source = WeightSource::open(dir.path());
            for (const SafetensorsFile& file : source.files())
                found.push_back(std::filesystem::path(file.path()).filename().string());
        } catch (const Error&) {
            CHECK(said.strings("weights").empty());
        }
        CHECK(found == said.strings("weights"));
    }
}

TEST_CASE("no weights: the error says what was looked for, or what to convert") {
    TempDir dir;
    check_error(ErrorCode::not_found, {"diffusion_pytorch_model.safetensors"}, [&] { WeightSource::open(dir.path()); });
    write_file(dir / "pytorch_model.bin", "x");
    check_error(ErrorCode::unsupported, {"pytorch_model.bin", "safetensors"}, [&] { WeightSource::open(dir.path()); });
    check_error(ErrorCode::not_found, {"no such folder"}, [&] { WeightSource::open(dir / "nothing"); });
}

TEST_CASE("bfloat16 and float16 convert, a variant's name is found, NaN and infinity are named") {
    TempDir dir;
    const std::vector<uint16_t> bf16{float_to_bf16(1.5f), float_to_bf16(-2)},
        f16{float_to_f16(0.25f), float_to_f16(1000)};
    const std::vector<float> bad{1, std::numeric_limits<float>::infinity()};
    const std::vector<uint16_t> bad16{0x3f80, 0x3f80, 0x7fc1};
    const std::vector<int32_t> whole{1, 2};
    SafetensorsWriter writer;
    writer.add("bf16", DType::bf16, {1, 2}, std::as_bytes(std::span(bf16)));
    writer.add("f16", DType::f16, {1, 2}, std::as_bytes(std::span(f16)));
    writer.add("bad", {1, 2}, bad);
    writer.add("bad16", DType::bf16, {3}, std::as_bytes(std::span(bad16)));
    writer.add("whole", DType::i32, {1, 2}, std::as_bytes(std::span(whole)));
    writer.write(dir / "diffusion_pytorch_model.bf16.safetensors");
    const WeightSource source = WeightSource::open(dir.path());
    CHECK(source.read_f32("bf16", {1, 2}) == std::vector<float>{1.5f, -2});
    CHECK(source.read_f32("f16", {1, 2}) == std::vector<float>{0.25f, 1000});
    const Weight w = source.weight("bf16", 1, 2);
    CHECK(w.format == WeightFormat::bf16);
    CHECK(static_cast<const uint16_t*>(w.dense)[1] == bf16[1]);
    check_error(ErrorCode::corrupt, {"bf16.safetensors", "'bad'", "element 1"}, [&] { source.weight("bad", 1, 2); });
    check_error(ErrorCode::corrupt, {"'bad16'", "element 2"}, [&] { source.read_f32("bad16", {3}); });
    check_error(ErrorCode::unsupported, {"'whole'", "I32"}, [&] { source.read_f32("whole", {1, 2}); });
}

TEST_CASE("a tensor that lies unaligned in its file is read all the same") {
    TempDir dir;
    std::string data(9, '\0');
    const float values[2] = {3, 4};
    std::memcpy(data.data() + 1, values, 8);
    std::string header =
        R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]}})";
    while (header.size() % 8) header += ' ';
    write_file(dir / "model.safetensors", safetensors_bytes(header, data));
    const WeightSource source = WeightSource::open(dir.path());
    const Weight w = source.weight("w", 1, 2);
    CHECK(reinterpret_cast<uintptr_t>(w.dense) % 4 == 0);
    CHECK(static_cast<const float*>(w.dense)[1] == 4);
    CHECK(source.read_f32("w", {1, 2}) == std::vector<float>{3, 4});
}

TEST_CASE("pieces come in order and cover the tensor") {
    TempDir dir;
    std::vector<float> values(1000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    write_tensors(dir / "model.safetensors", {{"w", values}});
    std::vector<float> seen;
    WeightSource::open(dir.path()).for_pieces("w", {1000}, 192, [&](std::span<const float> piece) {
        CHECK(piece.size() <= 192);
        seen.insert(seen.end(), piece.begin(), piece.end());
    });
    CHECK(seen == values);
}

TEST_CASE("a linear as bitsandbytes stores it pre-quantised: dequantised it gives bitsandbytes' output") {
    const WeightSource source = WeightSource::open_file(kGoldens + "/bnb_linear4bit.safetensors");
    const Shape shape = source.find("y")->shape;
    const int64_t out = shape[1], in = source.find("x")->shape[1], rows = shape[0];
    CHECK(source.prequantized("linear.weight"));
    CHECK_FALSE(source.prequantized("linear.bias"));
    CHECK(source.weight("linear.weight", out, in).format == WeightFormat::nf4);
    const auto w = source.read_f32("linear.weight", {out, in}), b = source.read_f32("linear.bias", {out}),
               x = source.read_f32("x", {rows, in}), y = source.read_f32("y", {rows, out});
    double worst = 0, largest = 0;
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t o = 0; o < out; ++o) {
            double sum = b[static_cast<size_t>(o)];
            for (int64_t k = 0; k < in; ++k)
                sum += static_cast<double>(x[static_cast<size_t>(r * in + k)]) * w[static_cast<size_t>(o * in + k)];
            const double want = y[static_cast<size_t>(r * out + o)];
            worst = std::max(worst, std::abs(sum - want));
            largest = std::max(largest, std::abs(want));
        }
    CHECK(worst / largest < 1e-5);
    check_error(ErrorCode::corrupt, {"'linear.weight'", "[96, 128]", "[128, 96]"},
        [&] { source.weight("linear.weight", in, out); });
    source.check({{"linear.weight", {out, in}}, {"linear.bias", {out}}, {"x", {rows, in}}, {"y", {rows, out}}});
}

TEST_CASE("pre-quantised tensors with a part missing or of the wrong kind are refused") {
    const SafetensorsFile good = SafetensorsFile::open(kGoldens + "/bnb_linear4bit.safetensors");
    TempDir dir;
    const auto with = [&](const std::string& changed, const std::string& state, bool drop) {
        SafetensorsWriter writer;
        for (const auto& [name, t] : good.tensors())
            if (name != changed) writer.add(name, t.dtype, t.shape, t.bytes);
            else if (!drop)
                writer.add(name, DType::u8, {static_cast<int64_t>(state.size())}, std::as_bytes(std::span(state)));
        writer.write(dir / "x.safetensors");
        return WeightSource::open_file(dir / "x.safetensors");
    };
    const std::string state = "linear.weight.quant_state.bitsandbytes__nf4";
    for (const char* part : {"linear.weight.absmax", "linear.weight.quant_map", "linear.weight.nested_absmax",
             "linear.weight.nested_quant_map"}) {
        check_error(ErrorCode::not_found, {part}, [&] { with(part, "", true).weight("linear.weight", 96, 128); });
        check_error(ErrorCode::corrupt, {part}, [&] { with(part, "abc", false).weight("linear.weight", 96, 128); });
    }
    check_error(ErrorCode::corrupt, {state, "not JSON"},
        [&] { with(state, "{nonsense", false).weight("linear.weight", 96, 128); });
    check_error(ErrorCode::unsupported, {state, "'fp4'"},
        [&] { with(state, R"({"quant_type":"fp4"})", false).weight("linear.weight", 96, 128); });
    check_error(ErrorCode::unsupported, {state, "128"},
        [&] { with(state, R"({"quant_type":"nf4","blocksize":128})", false).weight("linear.weight", 96, 128); });
    check_error(ErrorCode::corrupt, {state, "shape"},
        [&] { with(state, R"({"quant_type":"nf4","blocksize":64})", false).weight("linear.weight", 96, 128); });
}

TEST_CASE("configs of the shipped checkpoint read, damaged ones are refused by file and field") {
    const std::string model = kGoldens + "/model/";
    CHECK(read_flux_config(model + "transformer").head_dim == 32);
    CHECK(read_flux_config(model + "transformer").guidance);
    CHECK(read_vae_config(model + "vae").block_out_channels == std::vector<int64_t>{16, 32, 32, 32});
    CHECK(read_clip_config(model + "text_encoder").hidden_size == 32);
    CHECK(read_t5_config(model + "text_encoder_2").d_ff == 128);
    CHECK(read_scheduler_config(model + "scheduler").use_dynamic_shifting);

    TempDir dir;
    std::filesystem::create_directory(dir / "c");
    const auto change = [&](const std::string& component, const std::string& file, const std::string& from,
                            const std::string& to) {
        std::string text = read_file(model + component + "/" + file);
        const size_t at = text.find(from);
        REQUIRE(at != std::string::npos);
        write_file(dir / ("c/" + file), text.replace(at, from.size(), to));
        return dir / "c";
    };
    const auto transformer = [&](const std::string& from, const std::string& to) {
        return change("transformer", "config.json", from, to);
    };
    check_error(ErrorCode::corrupt, {"config.json", "'axes_dims_rope'", "attention_head_dim"},
        [&] { read_flux_config(transformer("\"attention_head_dim\": 32", "\"attention_head_dim\": 34")); });
    check_error(ErrorCode::corrupt, {"'num_layers'", "\"two\""},
        [&] { read_flux_config(transformer("\"num_layers\": 2", "\"num_layers\": \"two\"")); });
    check_error(ErrorCode::corrupt, {"'num_layers'"},
        [&] { read_flux_config(transformer("\"num_layers\": 2", "\"num_layers\": 2000000000")); });
    check_error(ErrorCode::corrupt, {"'num_layers'"},
        [&] { read_flux_config(transformer("\"num_layers\": 2", "\"num_layers\": -2")); });
    check_error(ErrorCode::unsupported, {"'_class_name'", "FluxTransformer2DModel"},
        [&] { read_flux_config(transformer("FluxTransformer2DModel", "SD3Transformer2DModel")); });
    check_error(ErrorCode::unsupported, {"'patch_size'"},
        [&] { read_flux_config(transformer("\"patch_size\": 1", "\"patch_size\": 2")); });
    check_error(ErrorCode::corrupt, {"config.json", "not JSON"}, [&] { read_flux_config(transformer("{", "{{")); });
    check_error(ErrorCode::unsupported, {"'feed_forward_proj'", "gated-gelu"},
        [&] { read_t5_config(change("text_encoder_2", "config.json", "gated-gelu", "relu")); });
    check_error(ErrorCode::corrupt, {"'block_out_channels'", "norm_num_groups"},
        [&] { read_vae_config(change("vae", "config.json", "\"norm_num_groups\": 8", "\"norm_num_groups\": 7")); });
    check_error(ErrorCode::unsupported, {"'use_karras_sigmas'"}, [&] {
        read_scheduler_config(change(
            "scheduler", "scheduler_config.json", "\"use_karras_sigmas\": false", "\"use_karras_sigmas\": true"));
    });
    check_error(ErrorCode::not_found, {"config.json"}, [&] { read_vae_config(dir / "nothing"); });
}
