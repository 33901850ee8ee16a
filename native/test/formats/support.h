// Folders that vanish, files from text, hostile safetensors built by hand, and errors checked for what they must name.
#pragma once
#include "base/error.h"
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace atelier::test {

class TempDir {
public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "atelier-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()));
        path_ = pattern;
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

inline void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// A safetensors file with exactly this header, honest or not.
inline std::string safetensors_bytes(const std::string& header, const std::string& data, uint64_t claimed_size) {
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(claimed_size >> (8 * i) & 0xff);
    return out + header + data;
}
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
    return safetensors_bytes(header, data, header.size());
}

// Runs f, which must throw Error with this code and a text that contains every one of `parts`.
template <class F>
void check_error(ErrorCode code, const std::vector<std::string>& parts, F&& f) {
    try {
        f();
        FAIL_CHECK("no error; expected one about " << parts.front());
    } catch (const Error& e) {
        const std::string text = e.what();
        INFO("error: ", text);
        CHECK(std::string(error_code_name(e.code())) == error_code_name(code));
        for (const std::string& part : parts) {
            INFO("must name: ", part);
            CHECK(text.find(part) != std::string::npos);
        }
    }
}

} // namespace atelier::test
