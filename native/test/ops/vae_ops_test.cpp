// Convolution, group norm and friends, channels last, against plain loops.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "ops/backends.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;

TEST_CASE("convolution with padding, stride and residual") {
    std::mt19937 random(21);
    struct Case { int64_t h, w, cin, cout, kernel, stride, before, after; bool residual; };
    for (const auto& ops : backends())
        for (const Case& c : {Case{5, 7, 3, 16, 3, 1, 1, 1, false}, Case{8, 6, 16, 40, 3, 2, 0, 1, false}, Case{9, 4, 33, 3, 1, 1, 0, 0, true}, Case{12, 20, 64, 32, 3, 1, 1, 1, true}, Case{4, 5, 96, 48, 3, 1, 1, 1, false}}) {
            CAPTURE(ops->name());
            CAPTURE(c.cin);
            const int64_t oh = (c.h + c.before + c.after - c.kernel) / c.stride + 1, ow = (c.w + c.before + c.after - c.kernel) / c.stride + 1;
            Matrix x(c.h * c.w, c.cin, random), weight(c.cout, c.kernel * c.kernel * c.cin, random), bias(1, c.cout, random), residual(oh * ow, c.cout, random), y(oh * ow, c.cout);
            Conv2dArgs t;
            t.x = x.view();
            t.height = c.h;
            t.width = c.w;
            t.weight = weight.values.data();
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
                        double sum = bias.values[static_cast<size_t>(n)] + (c.residual ? residual.at(oy * ow + ox, n) : 0);
                        for (int64_t ky = 0; ky < c.kernel; ++ky)
                            for (int64_t kx = 0; kx < c.kernel; ++kx) {
                                const int64_t iy = oy * c.stride + ky - c.before, ix = ox * c.stride + kx - c.before;
                                if (iy < 0 || iy >= c.h || ix < 0 || ix >= c.w) continue;
                                for (int64_t k = 0; k < c.cin; ++k) sum += operand(*ops, x.at(iy * c.w + ix, k)) * operand(*ops, weight.at(n, (ky * c.kernel + kx) * c.cin + k));
                            }
                        expected.push_back(sum);
                    }
            CHECK(relative_error(y.values, expected) < 3e-6);
        }
}

TEST_CASE("group norm over pixels, with a large mean") {
    std::mt19937 random(22);
    for (const auto& ops : backends())
        for (const int64_t width : {int64_t{3}, int64_t{8}, int64_t{20}}) {
            const int64_t groups = 4, channels = groups * width;
            Matrix x(150, channels, random), weight(1, channels, random), bias(1, channels, random), y(150, channels);
            for (float& v : x.values) v += 20;
            ops->group_norm(x.view(), weight.values.data(), bias.values.data(), groups, 1e-6f, Activation::none, y.view());
            std::vector<double> expected(y.values.size());
            for (int64_t g = 0; g < groups; ++g) {
                double mean = 0, var = 0;
                const double n = static_cast<double>(150 * width);
                for (int64_t p = 0; p < 150; ++p)
                    for (int64_t c = g * width; c < (g + 1) * width; ++c) mean += x.at(p, c) / n;
                for (int64_t p = 0; p < 150; ++p)
                    for (int64_t c = g * width; c < (g + 1) * width; ++c) var += std::pow(x.at(p, c) - mean, 2) / n;
                for (int64_t p = 0; p < 150; ++p)
                    for (int64_t c = g * width; c < (g + 1) * width; ++c)
                        expected[static_cast<size_t>(p * channels + c)] = (x.at(p, c) - mean) / std::sqrt(var + 1e-6) * weight.values[static_cast<size_t>(c)] + bias.values[static_cast<size_t>(c)];
            }
            CHECK(relative_error(y.values, expected) < 5e-6);
        }
}

TEST_CASE("nearest upsampling repeats pixels, embedding picks rows") {
    for (const auto& ops : backends()) {
        Matrix x(2 * 3, 2), y(4 * 6, 2);
        for (size_t i = 0; i < x.values.size(); ++i) x.values[i] = static_cast<float>(i);
        ops->upsample_nearest2x(x.view(), 2, 3, y.view());
        for (int64_t oy = 0; oy < 4; ++oy)
            for (int64_t ox = 0; ox < 6; ++ox) CHECK(y.at(oy * 6 + ox, 1) == x.at(oy / 2 * 3 + ox / 2, 1));
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
