// safetensors: what is written is read back, and a file that lies in any way is refused with the file's and the
// tensor's name.
#include "formats/safetensors.h"
#include "formats/support.h"
#include <cstring>

using namespace atelier;
using namespace atelier::test;

namespace {

SafetensorsFile parse(const std::string& bytes) {
    return SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "some/file");
}

void refuse(ErrorCode code, const std::vector<std::string>& parts, const std::string& header, const std::string& data) {
    std::vector<std::string> all = parts;
    all.push_back("some/file");
    const std::string bytes = safetensors_bytes(header, data);
    check_error(code, all, [&] { parse(bytes); });
}

std::string entry(
    const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
    std::string text = "\"";
    for (const std::string& part : {name, std::string("\":{\"dtype\":\""), dtype, std::string("\",\"shape\":"), shape,
             std::string(",\"data_offsets\":"), offsets, std::string("}")})
        text += part;
    return text;
}

} // namespace

TEST_CASE("a written file reads back: tensors, metadata, alignment") {
    const std::vector<float> values{1, -2, 3.5f, 0, 5, 6};
    const std::vector<uint8_t> codes{7, 8, 9};
    const float scalar = 4;
    SafetensorsWriter writer;
    writer.add("z", {2, 3}, values);
    writer.add("a.codes", DType::u8, {3}, std::as_bytes(std::span(codes)));
    writer.add("alpha", {}, std::span(&scalar, 1));
    writer.add("empty", {0, 4}, std::span<const float>());
    writer.set_metadata("format", "pt");
    writer.set_metadata("text", "two\nlines \"and\" ü");

    TempDir dir;
    writer.write(dir / "x.safetensors");
    const auto from_memory = writer.to_bytes();
    const std::string from_disk = read_file(dir / "x.safetensors");
    REQUIRE(from_disk.size() == from_memory.size());
    CHECK(std::memcmp(from_disk.data(), from_memory.data(), from_memory.size()) == 0);

    const SafetensorsFile file = SafetensorsFile::open(dir / "x.safetensors");
    CHECK(file.tensors().size() == 4);
    CHECK(file.metadata().at("text") == "two\nlines \"and\" ü");
    const TensorView& z = file.require("z", DType::f32, {2, 3});
    CHECK(std::memcmp(z.bytes.data(), values.data(), 24) == 0);
    CHECK(reinterpret_cast<uintptr_t>(z.bytes.data()) % 4 == 0);
    CHECK(file.require("alpha").shape.empty());
    CHECK(file.require("alpha").count() == 1);
    CHECK(file.require("empty").bytes.empty());
    CHECK(static_cast<int>(file.require("a.codes").bytes[2]) == 9);
    check_error(ErrorCode::not_found, {"x.safetensors", "'nothing'"}, [&] { file.require("nothing"); });
    check_error(ErrorCode::corrupt, {"x.safetensors", "'z'", "[2, 3]", "[3, 2]"},
        [&] { file.require("z", DType::f32, {3, 2}); });
}

TEST_CASE("writing is atomic: a folder that is not there leaves nothing, an old file is replaced whole") {
    TempDir dir;
    SafetensorsWriter writer;
    const float one = 1;
    writer.add("x", {1}, std::span(&one, 1));
    check_error(ErrorCode::not_found, {"missing/x.safetensors"}, [&] { writer.write(dir / "missing/x.safetensors"); });
    write_file(dir / "x.safetensors", "old");
    writer.write(dir / "x.safetensors");
    CHECK(SafetensorsFile::open(dir / "x.safetensors").tensors().size() == 1);
    size_t files = 0;
    for ([[maybe_unused]] const auto& f : std::filesystem::directory_iterator(dir.path())) ++files;
    CHECK(files == 1);
}

TEST_CASE("a lying size or header is refused") {
    const std::string header = "{" + entry("w", "F32", "[2]", "[0,8]") + "}", data(8, '\0');
    CHECK(parse(safetensors_bytes(header, data)).require("w").count() == 2);
    check_error(ErrorCode::corrupt, {"some/file", "too short"}, [&] { parse("abc"); });
    check_error(ErrorCode::corrupt, {"some/file", "claims a header"},
        [&] { parse(safetensors_bytes(header, data, 1'000'000)); });
    check_error(ErrorCode::corrupt, {"some/file", "claims a header"},
        [&] { parse(safetensors_bytes(header, data, ~uint64_t{0})); });
    check_error(ErrorCode::corrupt, {"some/file", "not JSON"},
        [&] { parse(safetensors_bytes(header, data, header.size() - 3)); });
    const std::string whole = safetensors_bytes(header, data);
    for (size_t cut = 0; cut < whole.size(); ++cut) {
        CAPTURE(cut);
        const std::string part = whole.substr(0, cut);
        CHECK_THROWS_AS(parse(part), Error);
    }
    refuse(ErrorCode::corrupt, {"not JSON"}, "", "");
    refuse(ErrorCode::corrupt, {"not UTF-8"}, "{\"w\xff\":{}}", "");
    refuse(ErrorCode::corrupt, {"not a JSON object"}, "[]", "");
    refuse(ErrorCode::corrupt, {"not JSON"}, std::string(100'000, '['), "");
    refuse(ErrorCode::corrupt, {"'w'", "not an object"}, "{\"w\":3}", "");
    refuse(ErrorCode::corrupt, {"__metadata__ is not an object"}, "{\"__metadata__\":[1]}", "");
    refuse(ErrorCode::corrupt, {"header is not UTF-8"}, "{\"__metadata__\":{\"a\":\"\xff\"}}", "");
}

TEST_CASE("metadata that is no text is taken as one, none as none") {
    const std::string data;
    const auto metadata = [&](const std::string& entries) {
        return parse(safetensors_bytes("{\"__metadata__\":" + entries + "}", data)).metadata();
    };
    CHECK(metadata("null").empty());
    CHECK(metadata(R"({"a":1,"b":null,"c":"x","d":0.5})") ==
          std::map<std::string, std::string>{{"a", "1"}, {"c", "x"}, {"d", "0.5"}});
}

TEST_CASE("files of another kind are refused as what they are") {
    const auto refused = [](const std::string& start, const char* kind) {
        check_error(ErrorCode::corrupt, {"some/file", kind}, [&] { parse(start + std::string(64, ' ')); });
    };
    refused("version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull");
    refused("PK\x03\x04", "only safetensors is read");
    refused("\x80\x02}q", "pickled");
    refused("GGUF\x03", "GGUF");
    refused("\x1f\x8b", "gzip");
    refused("\n <!DOCTYPE html>", "web page");
    refused("\x89PNG\r\n", "PNG picture");
    // A header of 19280 bytes begins with "PK" too, and is one.
    std::string text = "{\"w\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    text.resize(0x4b50, ' ');
    CHECK(parse(safetensors_bytes(text, "")).tensors().size() == 1);
}

TEST_CASE("a lying tensor is refused by name") {
    const std::string data(16, '\0');
    refuse(ErrorCode::corrupt, {"'w'", "byte 24 of 16"}, "{" + entry("w", "F32", "[6]", "[0,24]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "before its start"}, "{" + entry("w", "F32", "[1]", "[8,4]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "does not fit"}, "{" + entry("w", "F32", "[3]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "does not fit"},
        "{" + entry("w", "F32", "[4294967296,4294967296,4]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "shape"}, "{" + entry("w", "F32", "[-4]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "shape"}, "{" + entry("w", "F32", "[4.5]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "shape"}, "{" + entry("w", "F32", "\"4\"", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "data_offsets"},
        "{" + entry("w", "F32", "[4]", "[0,18446744073709551615]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "data_offsets"}, "{" + entry("w", "F32", "[4]", "[0,8,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'w'", "dtype"}, "{\"w\":{\"shape\":[4],\"data_offsets\":[0,16]}}", data);
    refuse(ErrorCode::unsupported, {"'w'", "'F33'"}, "{" + entry("w", "F33", "[4]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'b'", "overlaps"},
        "{" + entry("a", "F32", "[3]", "[0,12]") + "," + entry("b", "F32", "[2]", "[8,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'b'", "overlaps"},
        "{" + entry("a", "F32", "[4]", "[0,16]") + "," + entry("b", "F32", "[4]", "[0,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"'b'", "4 unused bytes"},
        "{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("b", "F32", "[2]", "[8,16]") + "}", data);
    refuse(ErrorCode::corrupt, {"4 bytes after"}, "{" + entry("a", "F32", "[3]", "[0,12]") + "}", data);
    refuse(ErrorCode::corrupt, {"4 bytes after"}, "{}", "abcd");
    refuse(
        ErrorCode::corrupt, {"'nnnn", "…'"}, "{" + entry(std::string(10'000, 'n'), "F32", "[6]", "[0,24]") + "}", data);
}

TEST_CASE("a file that is not there or not a file is refused") {
    TempDir dir;
    check_error(
        ErrorCode::not_found, {"nothing.safetensors"}, [&] { SafetensorsFile::open(dir / "nothing.safetensors"); });
    check_error(ErrorCode::invalid_argument, {"not a regular file"}, [&] { SafetensorsFile::open(dir.path()); });
    write_file(dir / "empty.safetensors", "");
    check_error(ErrorCode::corrupt, {"empty.safetensors"}, [&] { SafetensorsFile::open(dir / "empty.safetensors"); });
}
