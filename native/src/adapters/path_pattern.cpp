#include "adapters/path_pattern.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>
#include <cctype>

namespace atelier {
namespace {

constexpr char kDigits[] = "0123456789";

[[noreturn]] void unreadable(const std::string& label, const std::string& text) {
    fail(ErrorCode::unsupported, label, ": the pattern ", in_quotes(text),
        " is a regular expression that is not read: name the modules' paths, or their last parts");
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts{""};
    for (const char c : text) {
        if (c == '|') parts.emplace_back();
        else parts.back() += c;
    }
    return parts;
}

} // namespace

PathPattern::Atom PathPattern::read_class(const std::string& text, size_t& at, const std::string& label) {
    Atom atom;
    if (at < text.size() && text[at] == '^') {
        atom.inverted = true;
        ++at;
    }
    for (; at < text.size() && text[at] != ']'; ++at) {
        if (text[at] == '\\') unreadable(label, text);
        if (at + 2 < text.size() && text[at + 1] == '-' && text[at + 2] != ']') {
            const auto first = static_cast<unsigned char>(text[at]), last = static_cast<unsigned char>(text[at + 2]);
            for (int c = first; c <= last; ++c) atom.characters += static_cast<char>(c);
            at += 2;
        } else {
            atom.characters += text[at];
        }
    }
    if (at >= text.size()) unreadable(label, text);
    ++at;
    return atom;
}

PathPattern::Atom PathPattern::read_atom(const std::string& text, size_t& at, const std::string& label) {
    const char c = text[at++];
    Atom atom;
    if (c == '[') return read_class(text, at, label);
    if (c == '.') {
        atom.any = true;
    } else if (c == '\\') {
        if (at >= text.size()) unreadable(label, text);
        const char escaped = text[at++];
        if (escaped == 'd') atom.characters = kDigits;
        else if (std::isalnum(static_cast<unsigned char>(escaped))) unreadable(label, text);
        else atom.characters = escaped;
    } else if (std::string("(){}*+?^$").find(c) != std::string::npos) {
        unreadable(label, text);
    } else {
        atom.characters = c;
    }
    return atom;
}

std::vector<PathPattern::Atom> PathPattern::read_atoms(const std::string& text, const std::string& label) {
    std::vector<Atom> atoms;
    for (size_t at = 0; at < text.size();) {
        Atom atom = read_atom(text, at, label);
        if (at < text.size() && std::string("*+?").find(text[at]) != std::string::npos) {
            atom.optional = text[at] != '+';
            atom.repeated = text[at] != '?';
            ++at;
        }
        atoms.push_back(std::move(atom));
    }
    return atoms;
}

PathPattern::PathPattern(const std::string& text, const std::string& label) {
    for (std::string each : split(text)) {
        const bool whole = each.starts_with("^");
        if (whole) each.erase(0, 1);
        if (each.ends_with("$") && !each.ends_with("\\$")) each.pop_back();
        alternatives_.push_back({read_atoms(each, label), whole});
    }
}

size_t PathPattern::repeats() const {
    size_t count = 0;
    for (const Alternative& each : alternatives_)
        count += static_cast<size_t>(std::count_if(
            each.atoms.begin(), each.atoms.end(), [](const Atom& atom) { return atom.optional || atom.repeated; }));
    return count;
}

bool PathPattern::matches(std::string_view path) const {
    return std::any_of(
        alternatives_.begin(), alternatives_.end(), [&](const Alternative& each) { return matches(each, path); });
}

// All places that can have been reached, from every beginning, go forward together: no pattern takes longer than the
// path's length times the places that are reached at once, which without repeats are as many as the path has parts.
bool PathPattern::matches(const Alternative& alternative, std::string_view path) {
    const std::vector<Atom>& atoms = alternative.atoms;
    std::vector<size_t> reached, next;
    std::vector<size_t> reached_at(atoms.size() + 1, path.size() + 1); // the last character before which it was
    const auto reach = [&](std::vector<size_t>& places, size_t place, size_t at) {
        for (;; ++place) {
            if (reached_at[place] == at) return;
            reached_at[place] = at;
            places.push_back(place);
            if (place == atoms.size() || !atoms[place].optional) return;
        }
    };
    for (size_t at = 0; at < path.size(); ++at) {
        if (at == 0 || (!alternative.whole && path[at - 1] == '.')) reach(reached, 0, at);
        next.clear();
        for (const size_t place : reached) {
            if (place == atoms.size() || !atoms[place].fits(path[at])) continue;
            reach(next, place + 1, at + 1);
            if (atoms[place].repeated) reach(next, place, at + 1); // once more of the same
        }
        reached.swap(next);
    }
    return std::find(reached.begin(), reached.end(), atoms.size()) != reached.end();
}

} // namespace atelier
