// What a card would be asked to do for a micro-step and for a step of a picture, counted without one: the programs that
// run there, on the CUDA backend's own dispatch, with kernels that are told instead of run.
#pragma once
#include "bench_model.h"

namespace atelier::bench {

struct Counted {
    Shape shape;
    BaseQuant quant = BaseQuant::nf4;
    int64_t rank = 4, accumulation = 4;
    bool backward = true, fp8 = false;
};
// One micro-step, or with `backward` off one denoising step, without conditioning. Prints its table.
void print_count(const Counted&, const std::string& title);

} // namespace atelier::bench
