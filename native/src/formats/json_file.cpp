#include "formats/json_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "formats/text.h"
#include <nlohmann/json.hpp>

namespace atelier {
namespace {

using nlohmann::json;
constexpr size_t kMaxBytes = 64u << 20; // an index of a very large model has a few MB

[[noreturn]] void wrong(
    const std::string& label, const std::string& field, const json* value, const std::string& expected) {
    fail(ErrorCode::corrupt, label, ": field ", in_quotes(field),
        value ? " is " + brief(value->dump(), 80) : " is missing", ", expected ", expected);
}

} // namespace

struct JsonObject::Value {
    json root;
    const json* find(const std::string& field) const {
        const auto it = root.find(field);
        return it == root.end() || it->is_null() ? nullptr : &*it;
    }
};

const JsonObject::Value& JsonObject::value() const { return *value_; }

JsonObject JsonObject::read(const std::string& path) {
    const auto file = MappedFile::open(path);
    require(file->bytes().size() <= kMaxBytes, ErrorCode::corrupt, path, ": ", file->bytes().size(),
        " bytes is too large for a JSON settings file");
    return parse(std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()), path);
}

JsonObject JsonObject::parse(const std::string& text, const std::string& label) {
    JsonObject object;
    object.label_ = label;
    try {
        object.value_ = std::make_shared<Value>(Value{json::parse(text)});
    } catch (const json::exception& e) {
        fail(ErrorCode::corrupt, label, ": not JSON: ", brief(e.what()));
    }
    require(object.value().root.is_object(), ErrorCode::corrupt, label, ": not a JSON object");
    return object;
}

bool JsonObject::has(const std::string& field) const { return value().find(field) != nullptr; }

std::vector<std::string> JsonObject::keys() const {
    std::vector<std::string> out;
    for (const auto& [key, entry] : value().root.items()) out.push_back(key);
    return out;
}

std::vector<std::string> JsonObject::keys_in_order(const std::string& text, const std::string& field) {
    std::vector<std::string> keys;
    std::string outer;
    const auto listen = [&](int depth, json::parse_event_t event, const json& parsed) {
        if (event != json::parse_event_t::key) return true;
        if (depth == 1) outer = parsed.get<std::string>();
        else if (depth == 2 && outer == field) keys.push_back(parsed.get<std::string>());
        return true;
    };
    [[maybe_unused]] const json whole = json::parse(text, listen);
    return keys;
}

int64_t JsonObject::integer(const std::string& field, int64_t min, std::optional<int64_t> fallback) const {
    const json* v = value().find(field);
    if (!v && fallback) return *fallback;
    if (!v || !v->is_number_integer() || (v->is_number_unsigned() && v->get<uint64_t>() > INT32_MAX) ||
        v->get<int64_t>() < min)
        wrong(label_, field, v, "a whole number of at least " + std::to_string(min));
    return v->get<int64_t>();
}

double JsonObject::number(const std::string& field, std::optional<double> fallback) const {
    const json* v = value().find(field);
    if (!v && fallback) return *fallback;
    if (!v || !v->is_number()) wrong(label_, field, v, "a number");
    return v->get<double>();
}

bool JsonObject::boolean(const std::string& field, std::optional<bool> fallback) const {
    const json* v = value().find(field);
    if (!v && fallback) return *fallback;
    if (!v || !v->is_boolean()) wrong(label_, field, v, "true or false");
    return v->get<bool>();
}

std::string JsonObject::string(const std::string& field, std::optional<std::string> fallback) const {
    const json* v = value().find(field);
    if (!v && fallback) return *fallback;
    if (!v || !v->is_string()) wrong(label_, field, v, "a text");
    return v->get<std::string>();
}

std::vector<int64_t> JsonObject::integers(
    const std::string& field, std::optional<std::vector<int64_t>> fallback) const {
    const json* v = value().find(field);
    if (!v && fallback) return *fallback;
    if (!v || !v->is_array()) wrong(label_, field, v, "a list of whole numbers");
    std::vector<int64_t> out;
    for (const json& item : *v) {
        if (!item.is_number_integer() || (item.is_number_unsigned() && item.get<uint64_t>() > INT32_MAX))
            wrong(label_, field, v, "a list of whole numbers");
        out.push_back(item.get<int64_t>());
    }
    return out;
}

std::vector<std::string> JsonObject::strings(const std::string& field) const {
    const json* v = value().find(field);
    if (!v || !v->is_array()) wrong(label_, field, v, "a list of texts");
    std::vector<std::string> out;
    for (const json& item : *v) {
        if (!item.is_string()) wrong(label_, field, v, "a list of texts");
        out.push_back(item.get<std::string>());
    }
    return out;
}

JsonObject JsonObject::object(const std::string& field) const {
    const json* v = value().find(field);
    if (!v || !v->is_object()) wrong(label_, field, v, "an object");
    JsonObject out;
    out.label_ = label_ + ": " + field;
    out.value_ = std::make_shared<Value>(Value{*v});
    return out;
}

std::string JsonObject::scalar_text(const std::string& field) const {
    const json* v = value().find(field);
    return v ? v->dump() : "null";
}

void JsonObject::expect(const std::string& field, const char* expected) const {
    const std::string found = string(field, expected);
    require(found == expected, ErrorCode::unsupported, label_, ": field ", in_quotes(field), " is ", in_quotes(found),
        "; this engine supports ", in_quotes(expected), " only");
}

void JsonObject::expect(const std::string& field, bool expected) const {
    require(boolean(field, expected) == expected, ErrorCode::unsupported, label_, ": field ", in_quotes(field), " is ",
        expected ? "false" : "true", "; this engine supports ", expected ? "true" : "false", " only");
}

} // namespace atelier
