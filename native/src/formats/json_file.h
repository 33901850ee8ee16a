// A JSON object read with expectations: every getter's error names the file, the field, what it holds and what was
// expected.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace atelier {

class JsonObject {
public:
    static JsonObject read(const std::string& path);                              // not_found, corrupt
    static JsonObject parse(const std::string& text, const std::string& label);   // corrupt

    const std::string& label() const { return label_; }
    bool has(const std::string& field) const;                                     // there and not null
    std::vector<std::string> keys() const; // sorted
    // Of the object in this field, in the order of the text.
    static std::vector<std::string> keys_in_order(const std::string& text, const std::string& field);

    // Without a fallback the field is required. Integers lie in min … 2^31-1.
    int64_t integer(const std::string& field, int64_t min, std::optional<int64_t> fallback = {}) const;
    double number(const std::string& field, std::optional<double> fallback = {}) const;
    bool boolean(const std::string& field, std::optional<bool> fallback = {}) const;
    std::string string(const std::string& field, std::optional<std::string> fallback = {}) const;
    std::vector<int64_t> integers(const std::string& field, std::optional<std::vector<int64_t>> fallback = {}) const;
    std::vector<std::string> strings(const std::string& field) const;
    JsonObject object(const std::string& field) const;
    std::string scalar_text(const std::string& field) const;                      // any value, as JSON

    // Refuses another value than the one this engine implements.
    void expect(const std::string& field, const char* value) const;
    void expect(const std::string& field, bool value) const;

private:
    struct Value;
    const Value& value() const;
    std::string label_;
    std::shared_ptr<const Value> value_;
};

} // namespace atelier
