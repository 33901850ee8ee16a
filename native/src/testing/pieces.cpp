// Single pieces of the quantised arithmetic, as the goldens check them alone.
#include "atelier/testing.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "formats/text.h"
#include "formats/weight_source.h"
#include "memory/constants.h"
#include "quant/dynamic_map.h"
#include "quant/nf4.h"

namespace atelier::testing {
namespace {

int64_t pieces_of(int64_t count, int64_t each) { return (count + each - 1) / each; }

void check_length(size_t length, int64_t expected, const char* what) {
    require(static_cast<int64_t>(length) == expected, ErrorCode::invalid_argument, what, " has ", length,
        " entries, expected ", expected);
}

} // namespace

Nf4Tensor nf4_quantize(std::span<const float> values, bool double_quant) {
    require(!values.empty(), ErrorCode::invalid_argument, "values: expected at least one");
    check_input(values, static_cast<int64_t>(values.size()), "values");
    Nf4Storage s = nf4_quantize_tensor(values, double_quant);
    return {
        std::move(s.packed), std::move(s.absmax), std::move(s.absmax8), std::move(s.nested_absmax), s.nested_offset};
}

std::vector<float> nf4_dequantize(const Nf4Tensor& t, int64_t count) {
    require(count > 0, ErrorCode::invalid_argument, "count is ", count, ", expected at least 1");
    const int64_t blocks = pieces_of(count, Nf4Data::kBlock);
    check_length(t.packed.size(), pieces_of(count, 2), "packed");
    Nf4Data data;
    data.packed = t.packed.data();
    if (t.absmax8.empty()) {
        check_length(t.absmax.size(), blocks, "absmax");
        data.absmax = t.absmax.data();
    } else {
        require(t.absmax.empty(), ErrorCode::invalid_argument,
            "absmax and absmax8 are both given; double-quantised tensors have absmax8 only");
        check_length(t.absmax8.size(), blocks, "absmax8");
        check_length(t.nested_absmax.size(), pieces_of(blocks, Nf4Data::kNestedBlock), "nested_absmax");
        data.absmax8 = t.absmax8.data();
        data.nested_absmax = t.nested_absmax.data();
        data.nested_code = signed_dynamic_map().values.data();
        data.nested_offset = t.nested_offset;
    }
    std::vector<float> values(static_cast<size_t>(count));
    nf4_dequantize_range(data, 0, values);
    return values;
}

std::vector<float> dynamic_map(bool is_signed) {
    const auto& values = (is_signed ? signed_dynamic_map() : unsigned_dynamic_map()).values;
    return {values.begin(), values.end()};
}

std::vector<float> nf4_code() { return {std::begin(kNf4Code), std::end(kNf4Code)}; }

Tensor prequantized_linear(Device& device, const std::string& file, const std::string& prefix, const Tensor& x) {
    require(!x.shape.empty() && x.shape.back() > 0 && !x.data.empty(), ErrorCode::invalid_argument,
        "x: expected rows of at least one value");
    check_input(x.data, static_cast<int64_t>(x.data.size()), "x");
    const int64_t in = x.shape.back(), rows = static_cast<int64_t>(x.data.size()) / in;

    const WeightSource source = WeightSource::open_file(file);
    const std::string name = prefix + ".weight", bias_name = prefix + ".bias";
    const TensorView* packed = source.find(name);
    require(packed, ErrorCode::not_found, file, ": no tensor ", in_quotes(name));
    require(source.prequantized(name), ErrorCode::unsupported, file, ": tensor ", in_quotes(name),
        " is not one that bitsandbytes quantised to 4 bits");
    // The packed tensor has lost its shape; two weights a byte and x's width give it back, and weight() compares it
    // with the stored one.
    const int64_t out = 2 * packed->count() / in;
    const Weight weight = source.weight(name, out, in);
    const std::vector<float> bias = source.find(bias_name) ? source.read_f32(bias_name, {out}) : std::vector<float>();

    Tensor y{x.shape, std::vector<float>(static_cast<size_t>(rows * out))};
    y.shape.back() = out;
    LinearArgs args;
    Memory& memory = device.impl->ops->memory();
    const Arena input(memory, static_cast<uint64_t>(rows * in) * sizeof(float)),
        output(memory, static_cast<uint64_t>(rows * out) * sizeof(float));
    Constants constants(memory);
    constants.add(weight);
    constants.add(bias);
    constants.place();
    args.x = {input.data(), rows, in, in};
    args.w = constants.at(weight);
    args.bias = bias.empty() ? nullptr : constants.at(bias.data());
    args.y = {output.data(), rows, out, out};
    const std::lock_guard lock(device.impl->busy);
    write_view(memory, args.x, x.data.data());
    device.impl->ops->linear(args);
    read_view(memory, args.y, y.data.data());
    return y;
}

} // namespace atelier::testing
