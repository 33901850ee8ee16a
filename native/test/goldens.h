// The golden numbers of a small checkpoint (test/goldens/tiny-dev, or the folder in ATELIER_FIXTURES), computed by the
// reference libraries.
#pragma once
#include "base/error.h"
#include "formats/safetensors.h"
#include "support.h"
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace atelier::test {

inline std::string fixtures_dir() {
    if (const char* given = std::getenv("ATELIER_FIXTURES")) return given;
    return ATELIER_GOLDENS "/tiny-dev";
}

inline nlohmann::json fixture_json(const std::string& name) {
    std::ifstream in(fixtures_dir() + "/" + name);
    return nlohmann::json::parse(in);
}

struct Golden {
    std::vector<int64_t> shape;
    std::vector<float> data;
    // Row `i` of the first axis.
    std::span<const float> row(int64_t i) const {
        const size_t each = data.size() / static_cast<size_t>(shape[0]);
        return {data.data() + static_cast<size_t>(i) * each, each};
    }
};

class GoldenFile {
public:
    explicit GoldenFile(const std::string& name) : file_(SafetensorsFile::open(fixtures_dir() + "/" + name)) {}
    bool has(const std::string& name) const { return file_.find(name) != nullptr; }
    Golden operator[](const std::string& name) const {
        const TensorView& t = file_.require(name);
        Golden g{t.shape, std::vector<float>(static_cast<size_t>(t.count()))};
        if (t.dtype == DType::f32) std::memcpy(g.data.data(), t.bytes.data(), t.bytes.size());
        else if (t.dtype == DType::i64)
            for (size_t i = 0; i < g.data.size(); ++i) {
                int64_t value;
                std::memcpy(&value, t.bytes.data() + 8 * i, 8);
                g.data[i] = static_cast<float>(value);
            }
        else fail(ErrorCode::internal, "golden ", name, " has an unexpected type");
        return g;
    }
    const SafetensorsFile& file() const { return file_; }

private:
    SafetensorsFile file_;
};

// (C, H, W) -> (H/2 · W/2, 4C): a token holds channel, row in patch, column in patch
inline std::vector<float> packed(std::span<const float> latents, int64_t C, int64_t H, int64_t W) {
    std::vector<float> out(latents.size());
    size_t at = 0;
    for (int64_t y = 0; y < H; y += 2)
        for (int64_t x = 0; x < W; x += 2)
            for (int64_t c = 0; c < C; ++c)
                for (int64_t k = 0; k < 4; ++k)
                    out[at++] = latents[static_cast<size_t>((c * H + y + k / 2) * W + x + k % 2)];
    return out;
}

// Prints and returns the largest difference as a share of the largest expected magnitude.
template <class A, class B>
double report(const std::string& what, const A& got, const B& expected) {
    const double error = relative_error(got, expected);
    std::printf("  %-48s relative error %.2e\n", what.c_str(), error);
    return error;
}

} // namespace atelier::test
