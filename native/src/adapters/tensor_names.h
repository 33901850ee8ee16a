// What a tensor of an adapter's file is, by its name alone: whose it is, and which part of a module.
#pragma once
#include <string>

namespace atelier {

enum class Owner { transformer, clip, t5, embedding };

enum class Role {
    down,        // A
    up,          // B
    alpha,
    up_bias,     // added to the linear's bias, scaled as the branch is
    down_bias,
    weight_diff, // a whole weight's change
    bias_diff,   // a bias' change
    dora,
    lokr,
    loha,
    oft,
    other_method, // VeRA, IA3, GLoRA, a LoRA in three matrices
    whole,        // a weight that stands in the place of the model's
    none,
};

struct TensorName {
    Owner owner = Owner::transformer;
    Role role = Role::none;
    std::string module; // without prefixes and the role's suffix: "double_blocks.0.img_attn.qkv"
};

TensorName tensor_name(const std::string& name);

} // namespace atelier
