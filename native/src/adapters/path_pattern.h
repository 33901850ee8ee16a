// peft's rule of patterns: a regular expression for the whole path of a module, or for its end after a dot.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace atelier {

class PathPattern {
public:
    // Throws unsupported for groups, which nobody was seen to write. `label`: what it is a pattern of, for the error.
    PathPattern(const std::string& text, const std::string& label);

    bool matches(std::string_view path) const;

    // What matching may take: alternatives, each tried at each path, and places that many characters may pass.
    size_t alternatives() const { return alternatives_.size(); }
    size_t repeats() const;

private:
    // One place of a pattern: the characters that fit, and how often.
    struct Atom {
        std::string characters; // of a class, "a-z" spelled out; any character where `any`
        bool any = false, inverted = false, optional = false, repeated = false;

        bool fits(char c) const { return any || (characters.find(c) != std::string::npos) != inverted; }
    };
    struct Alternative {
        std::vector<Atom> atoms;
        bool whole = false; // it begins where the path does
    };

    static Atom read_atom(const std::string& text, size_t& at, const std::string& label);
    static Atom read_class(const std::string& text, size_t& at, const std::string& label);
    static std::vector<Atom> read_atoms(const std::string& text, const std::string& label);
    static bool matches(const Alternative&, std::string_view path);

    std::vector<Alternative> alternatives_;
};

} // namespace atelier
