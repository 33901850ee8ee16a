// Files that people take for safetensors.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace atelier {

// What the bytes begin as, and what to do about it: "a Git LFS pointer …: run git lfs pull". Empty for what is none of
// the known kinds.
std::string foreign_kind(std::span<const std::byte> file);

} // namespace atelier
