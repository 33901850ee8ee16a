#include "formats/text.h"

namespace atelier {

std::string brief(std::string_view text, size_t limit) {
    std::string out;
    for (char c : text.substr(0, limit)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    while (text.size() > limit && !out.empty() && (out.back() & 0xc0) == 0x80)
        out.pop_back(); // no half UTF-8 sequence at the cut
    return text.size() > limit ? out + "…" : out;
}

std::string in_quotes(std::string_view name) {
    std::string out = "'";
    out += brief(name);
    return out += '\'';
}

std::string quoted_list(const std::vector<std::string>& names, size_t limit) {
    std::string out;
    for (size_t i = 0; i < names.size() && i < limit; ++i) {
        if (i) out += ", ";
        out += in_quotes(names[i]);
    }
    return names.size() > limit ? out + " and " + std::to_string(names.size() - limit) + " more" : out;
}

} // namespace atelier
