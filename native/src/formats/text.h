// Names and values from files we do not trust, made fit for an error message: short and on one line.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace atelier {

std::string brief(std::string_view text, size_t limit = 160);
std::string in_quotes(
    std::string_view name); // 'name'; not "quoted", which argument-dependent lookup would take for std::quoted
std::string quoted_list(const std::vector<std::string>& names, size_t limit = 8); // 'a', 'b' and 12 more

} // namespace atelier
