// Convolution, channels last, and embedding against plain loops.
#include <doctest/doctest.h>

#include "memory/transfer.h"
#include "ops/backends.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;

TEST_CASE("convolution with padding, stride and residual, of a picture as it is or of twice its size") {
    std::mt19937 random(21);
    struct Case {
        int64_t h, w, cin, cout, kernel, stride, before, after;
        bool residual, upsampled;
    };
    for (const auto& ops : backends())
        for (const Case& c : {Case{5, 7, 3, 16, 3, 1, 1, 1, false, false}, Case{8, 6, 16, 40, 3, 2, 0, 1, false, false},
                 Case{9, 4, 33, 3, 1, 1, 0, 0, true, false}, Case{12, 20, 64, 32, 3, 1, 1, 1, true, false},
                 Case{4, 5, 96, 48, 3, 1, 1, 1, false, false}, Case{10, 6, 24, 16, 3, 1, 1, 1, false, true}})
            for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16}) {
                CAPTURE(ops->name());
                CAPTURE(c.cin);
                const int64_t oh = (c.h + c.before + c.after - c.kernel) / c.stride + 1,
                              ow = (c.w + c.before + c.after - c.kernel) / c.stride + 1;
                const int64_t scale = c.upsampled ? 2 : 1;
                Matrix x = kept(*ops, Matrix(c.h * c.w / scale / scale, c.cin, random)),
                       residual = kept(*ops, Matrix(oh * ow, c.cout, random));
                Matrix exact(c.cout, c.kernel * c.kernel * c.cin, random), bias(1, c.cout, random);
                HalfMatrix half(exact);
                Matrix weight = format == WeightFormat::bf16 ? half.wide() : exact;
                Matrix y(oh * ow, c.cout);
                Conv2dArgs t;
                t.x = x.view();
                t.height = c.h;
                t.width = c.w;
                t.upsampled = c.upsampled;
                t.weight = {format, weight.rows, weight.cols,
                    format == WeightFormat::bf16 ? static_cast<const void*>(half.bits.data()) : exact.values.data(),
                    {}};
                t.bias = bias.values.data();
                t.kernel = c.kernel;
                t.stride = c.stride;
                t.pad_top = t.pad_left = c.before;
                t.pad_bottom = t.pad_right = c.after;
                if (c.residual) t.residual = residual.view();
                t.y = y.view();
                ops->conv2d(t);
                std::vector<double> expected;
                for (int64_t oy = 0; oy < oh; ++oy)
                    for (int64_t ox = 0; ox < ow; ++ox)
                        for (int64_t n = 0; n < c.cout; ++n) {
                            double sum =
                                bias.values[static_cast<size_t>(n)] + (c.residual ? residual.at(oy * ow + ox, n) : 0);
                            for (int64_t ky = 0; ky < c.kernel; ++ky)
                                for (int64_t kx = 0; kx < c.kernel; ++kx) {
                                    const int64_t iy = oy * c.stride + ky - c.before,
                                                  ix = ox * c.stride + kx - c.before;
                                    if (iy < 0 || iy >= c.h || ix < 0 || ix >= c.w) continue;
                                    const int64_t pixel = iy / scale * (c.w / scale) + ix / scale;
                                    const int64_t tap = (ky * c.kernel + kx) * c.cin;
                                    for (int64_t k = 0; k < c.cin; ++k)
                                        sum += operand(*ops, x.at(pixel, k)) * operand(*ops, weight.at(n, tap + k));
                                }
                            expected.push_back(sum);
                        }
                CHECK(relative_error(y.values, expected) < tolerance(*ops, 3e-6));
            }
}

TEST_CASE("a convolution reads pictures of fp32 and writes bf16, and the other way round") {
    std::mt19937 random(23);
    const auto ops = make_emulated_cuda_ops({true, DType::bf16});
    Memory& memory = ops->memory();
    const int64_t h = 6, w = 5, cin = 3, cout = 16;
    Matrix x(h * w, cin, random), weight(cout, 9 * cin, random), bias(1, cout, random);
    HalfMatrix half(x);
    const auto on_card = [&](const void* from, uint64_t bytes) {
        void* const to = memory.reserve(bytes);
        memory.upload(to, from, bytes);
        return to;
    };
    Conv2dArgs t;
    t.height = h;
    t.width = w;
    t.weight = {WeightFormat::f32, cout, 9 * cin, on_card(weight.values.data(), weight.values.size() * 4), {}};
    t.bias = static_cast<const float*>(on_card(bias.values.data(), bias.values.size() * 4));
    const View wide{on_card(half.wide().values.data(), x.values.size() * 4), h * w, cin, cin};
    const View narrow{on_card(half.bits.data(), x.values.size() * 2), h * w, cin, cin, DType::bf16};
    const View wide_y{memory.reserve(h * w * cout * 4), h * w, cout, cout},
        narrow_y{memory.reserve(h * w * cout * 2), h * w, cout, cout, DType::bf16};
    const auto result = [&](const View& from, const View& to) {
        t.x = from;
        t.y = to;
        ops->conv2d(t);
        return values_of(memory, to);
    };
    const std::vector<float> expected = result(wide, wide_y);
    CHECK(result(narrow, wide_y) == expected); // the same numbers
    Matrix rounded(h * w, cout);
    rounded.values = expected;
    rounded = HalfMatrix(rounded).wide();
    CHECK(result(wide, narrow_y) == rounded.values);
    CHECK(result(narrow, narrow_y) == rounded.values);
    t.residual = wide_y;
    CHECK(refusal([&] { result(wide, narrow_y); }).find("give it one type") != std::string::npos);
    for (const void* data : {t.weight.dense, static_cast<const void*>(t.bias)}) memory.release(const_cast<void*>(data));
    for (const View& v : {wide, narrow, wide_y, narrow_y}) memory.release(v.data);
}

TEST_CASE("embedding picks rows") {
    for (const auto& ops : backends()) {
        Matrix x(6, 2);
        for (size_t i = 0; i < x.values.size(); ++i) x.values[i] = static_cast<float>(i);
        std::vector<int32_t> ids = {5, 0, 5};
        Matrix picked(3, 2);
        Weight table;
        table.rows = 6;
        table.cols = 2;
        table.dense = x.values.data();
        ops->embedding({ids.data(), 3, 1, 1, DType::i32}, table, picked.view());
        CHECK(picked.values == std::vector<float>{10, 11, 0, 1, 10, 11});
    }
}
