// A program's ends: ops that do nothing but use their matrices.
#pragma once
#include "program/program.h"

namespace atelier::op {

struct Inputs { // written before run(), alive from here
    static constexpr const char* name = "inputs";
    static constexpr bool idle = true;
    Writes matrices;
    void run(Ops&, const Program::Resolver&) const {}
};

struct Outputs { // alive until here, read after run()
    static constexpr const char* name = "outputs";
    static constexpr bool idle = true;
    Reads matrices;
    void run(Ops&, const Program::Resolver&) const {}
};

} // namespace atelier::op
