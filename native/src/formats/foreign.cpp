#include "formats/foreign.h"
#include <algorithm>
#include <cctype>
#include <string_view>

namespace atelier {
namespace {

using std::string_view;
using namespace std::string_view_literals;

struct Kind {
    string_view start;
    const char* what;
};

constexpr const char* kPickle = "a pickled file of PyTorch (.pt, .ckpt, .bin), which can run code when it is read: "
                                "only safetensors is read; save it "
                                "as safetensors with the trainer that made it";

constexpr Kind kKinds[] = {{"version https://git-lfs"sv, "a Git LFS pointer and not the file itself: run git lfs pull"},
    {"PK\x03\x04"sv, kPickle}, {"\x80\x02"sv, kPickle}, {"\x80\x03"sv, kPickle}, {"\x80\x04"sv, kPickle},
    {"\x80\x05"sv, kPickle},
    {"GGUF"sv, "a GGUF file: only safetensors is read; get the adapter as safetensors from where it is published"},
    {"\x1f\x8b"sv, "packed with gzip: unpack it"}, {"Rar!"sv, "a RAR archive: unpack it"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive: unpack it"}, {"\x28\xb5\x2f\xfd"sv, "packed with zstd: unpack it"},
    {"\x89PNG"sv, "a PNG picture"}, {"\xff\xd8\xff"sv, "a JPEG picture"},
    {"\x89HDF"sv, "an HDF5 file: only safetensors is read"}};

bool starts_as_page(string_view text) {
    const size_t at = text.find_first_not_of(" \t\r\n");
    if (at == string_view::npos) return false;
    std::string lower(text.substr(at, 16));
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return lower.starts_with("<!doctype") || lower.starts_with("<html");
}

} // namespace

std::string foreign_kind(std::span<const std::byte> file) {
    const string_view text(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 512));
    // A header's length comes first. One that begins like another kind is told by the brace behind it.
    const bool own = text.size() > 8 && text[8] == '{';
    for (const Kind& kind : kKinds)
        if (!own && text.starts_with(kind.start)) return kind.what;
    if (!own && starts_as_page(text)) return "a web page: what was downloaded is its address' page and not the file";
    return "";
}

} // namespace atelier
