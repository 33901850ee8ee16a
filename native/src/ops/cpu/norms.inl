// Row-wise arithmetic: norms, modulation, rotary embedding, and their gradients. Sums run over vector lanes, then over
// the lanes.

// f(begin, count) over [0, cols) in vectors; count < VL at the tail
template <class F>
inline void lanes(int64_t cols, F&& f) {
    int64_t j = 0;
    for (; j + VL <= cols; j += VL) f(j, int64_t{VL});
    if (j < cols) f(j, cols - j);
}

template <class F>
inline float lane_sum(int64_t cols, F&& f) { // f(begin, count) -> vf, zero beyond count
    vf total{};
    lanes(cols, [&](int64_t j, int64_t n) { total += f(j, n); });
    return hsum(total);
}

struct Stats {
    float mean, inverse; // inverse: 1 / sqrt(variance + eps)
};

inline Stats layer_stats(const float* x, int64_t cols, float eps) {
    const float mean =
        lane_sum(cols, [&](int64_t j, int64_t n) { return load_n(x + j, n); }) / static_cast<float>(cols);
    const float square = lane_sum(cols, [&](int64_t j, int64_t n) {
        vf d = load_n(x + j, n) - splat(mean);
        for (int64_t i = n; i < VL; ++i) d[i] = 0;
        return d * d;
    });
    return {mean, 1.0f / std::sqrt(square / static_cast<float>(cols) + eps)};
}

inline float rms_inverse(const float* x, int64_t cols, float eps) {
    const float square = lane_sum(cols, [&](int64_t j, int64_t n) { return load_n(x + j, n) * load_n(x + j, n); });
    return 1.0f / std::sqrt(square / static_cast<float>(cols) + eps);
}

inline void add_gated(const float* x, const float* gate, const float* branch, float* r, int64_t cols) {
    lanes(cols, [&](int64_t j, int64_t n) {
        store_n(r + j, gated_sum(load_n(x + j, n), load_n(gate + j, n), load_n(branch + j, n)), n);
    });
}

inline void modulate(const float* x, Stats s, const float* shift, const float* scale, float* y, int64_t cols) {
    lanes(cols, [&](int64_t j, int64_t n) {
        store_n(y + j,
            modulated(normalised(load_n(x + j, n), splat(s.mean), splat(s.inverse)), load_n(shift + j, n),
                load_n(scale + j, n)),
            n);
    });
}

inline void affine(const float* x, Stats s, const float* weight, const float* bias, float* y, int64_t cols) {
    lanes(cols, [&](int64_t j, int64_t n) {
        vf v = normalised(load_n(x + j, n), splat(s.mean), splat(s.inverse));
        if (weight) v *= load_n(weight + j, n);
        if (bias) v += load_n(bias + j, n);
        store_n(y + j, v, n);
    });
}

inline void modulate_bwd(const float* dy, const float* x, const float* scale, Stats s, float* dx, int64_t cols) {
    const auto dnormal = [&](int64_t j, int64_t n) { return modulated_slope(load_n(dy + j, n), load_n(scale + j, n)); };
    const auto normal = [&](int64_t j, int64_t n) {
        return normalised(load_n(x + j, n), splat(s.mean), splat(s.inverse));
    };
    const float mean = lane_sum(cols, dnormal) / static_cast<float>(cols);
    const float slope = lane_sum(cols, [&](int64_t j, int64_t n) { return dnormal(j, n) * normal(j, n); }) /
                        static_cast<float>(cols); // dnormal is 0 beyond n
    lanes(cols, [&](int64_t j, int64_t n) {
        store_n(dx + j,
            load_n(dx + j, n) + norm_slope(dnormal(j, n), normal(j, n), splat(s.inverse), splat(mean), splat(slope)),
            n);
    });
}

// One head of one token. RoPE turns neighbour pairs (2i, 2i+1).
inline void norm_rope(
    const float* x, const float* weight, const float* cos, const float* sin, int64_t dim, float eps, float* y) {
    const float r = rms_inverse(x, dim, eps);
    for (int64_t i = 0; i < dim; i += 2) {
        const Pair turned =
            rotated({x[i] * r * weight[i], x[i + 1] * r * weight[i + 1]}, {cos[i], cos[i + 1]}, {sin[i], sin[i + 1]});
        y[i] = turned.first;
        y[i + 1] = turned.second;
    }
}

inline void norm_rope_bwd(const float* dy, const float* x, const float* weight, const float* cos, const float* sin,
    int64_t dim, float eps, float* dx) {
    const float r = rms_inverse(x, dim, eps);
    float dot = 0;
    for (int64_t i = 0; i < dim; i += 2) {
        const Pair back = rotated_back({dy[i], dy[i + 1]}, {cos[i], cos[i + 1]}, {sin[i], sin[i + 1]});
        const float a = back.first * weight[i], b = back.second * weight[i + 1];
        dot += a * x[i] + b * x[i + 1];
        dx[i] = a;
        dx[i + 1] = b;
    }
    const float pull = dot * r * r * r / static_cast<float>(dim);
    for (int64_t i = 0; i < dim; ++i) dx[i] = rms_slope(dx[i], x[i], r, pull);
}

// One group of channels over all pixels, channels last. Two passes; partial sums of 64 pixels go into double.
inline void normalise_group(const View& x, const float* weight, const float* bias, int64_t c0, int64_t width, float eps,
    Activation then, const View& y) {
    const auto sum = [&](auto&& f) {
        double total = 0;
        for (int64_t p0 = 0; p0 < x.rows; p0 += 64) {
            float part = 0;
            const int64_t end = lesser(p0 + 64, x.rows);
            for (int64_t p = p0; p < end; ++p)
                part += lane_sum(width, [&](int64_t j, int64_t n) { return f(x.row(p) + c0 + j, n); });
            total += part;
        }
        return total / static_cast<double>(x.rows * width);
    };
    const vf mean = splat(static_cast<float>(sum([](const float* p, int64_t n) { return load_n(p, n); })));
    const double variance = sum([&](const float* p, int64_t n) {
        vf d = load_n(p, n) - mean;
        for (int64_t i = n; i < VL; ++i) d[i] = 0;
        return d * d;
    });
    const vf inverse = splat(static_cast<float>(1.0 / std::sqrt(variance + eps)));
    for (int64_t p = 0; p < x.rows; ++p) {
        const float* from = x.row(p) + c0;
        float* to = y.row(p) + c0;
        lanes(width, [&](int64_t j, int64_t n) {
            const vf v = (load_n(from + j, n) - mean) * inverse * load_n(weight + c0 + j, n) + load_n(bias + c0 + j, n);
            store_n(to + j, vactivate(then, v), n);
        });
    }
}
