// The vector type of the instruction set this file is compiled for. Included once by each of
// ops_{portable,avx2,avx512}.cpp, inside namespace atelier::ATELIER_ISA; GCC's vector extension makes one source serve
// all three.
constexpr int VL = ATELIER_LANES;
inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
typedef float vf __attribute__((vector_size(VL * 4)));
typedef float vfu __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VL * 4)));

inline vf load(const float* p) { return *reinterpret_cast<const vfu*>(p); }
inline void store(float* p, vf v) { *reinterpret_cast<vfu*>(p) = v; }
// The first n lanes; the rest read as zero and are not written. Tails go through the same vector arithmetic as the rest
// of a row.
inline vf load_n(const float* p, int64_t n) {
    if (n >= VL) return load(p);
    vf v{};
    for (int64_t i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
inline void store_n(float* p, vf v, int64_t n) {
    if (n >= VL) return store(p, v);
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}
inline vf splat(float x) { return x - vf{}; }
inline vf vmax(vf a, vf b) { return a > b ? a : b; }
inline vf vmin(vf a, vf b) { return a < b ? a : b; }

inline float hsum(vf v) {
    float s = 0;
    for (int i = 0; i < VL; ++i) s += v[i];
    return s;
}

inline float hmax(vf v) {
    float m = v[0];
    for (int i = 1; i < VL; ++i) m = v[i] > m ? v[i] : m;
    return m;
}

// exp to about 1 ulp: x = n·ln2 + r, |r| ≤ ln2/2, degree-6 polynomial, n into the exponent (Cephes' split of ln2).
inline vf vexp(vf x) {
    x = vmin(vmax(x, splat(-87.33654f)), splat(88.3762626f));
    const vf t = x * splat(1.44269504088896341f);
    const vf magic = splat(12582912.0f); // 1.5·2^23: rounds to nearest integer
    const vf n = (t + magic) - magic;
    const vf r = (x - n * splat(0.693359375f)) + n * splat(2.12194440e-4f);
    vf p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = p * r * r + r + splat(1.0f);
    const vi e = (__builtin_convertvector(n, vi) + 127) << 23;
    return p * (vf)e;
}

// The activations by vector, over the same formulas as ops/math/activations.h (which tests hold against double
// precision).
inline vf vtanh(vf x) { // 1 - 2/(exp(2x)+1); near zero the odd series, where the difference would cancel
    const vf e = vexp(x + x);
    const vf big = splat(1.0f) - splat(2.0f) / (e + splat(1.0f));
    const vf x2 = x * x;
    const vf small = x + x * x2 *
                             (splat(-0.333333333f) +
                                 x2 * (splat(0.133333333f) + x2 * (splat(-0.0539682540f) + x2 * splat(0.0218694885f))));
    return x2 < splat(0.04f) ? small : big;
}

inline vf vsigmoid(vf x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

constexpr float kGeluK = 0.7978845608028654f, kGeluC = 0.044715f;

inline vf vactivate(Activation kind, vf x) {
    switch (kind) {
        case Activation::none: return x;
        case Activation::gelu_tanh:
            return splat(0.5f) * x * (splat(1.0f) + vtanh(splat(kGeluK) * (x + splat(kGeluC) * x * x * x)));
        case Activation::silu: return x * vsigmoid(x);
        case Activation::quick_gelu: return x * vsigmoid(splat(1.702f) * x);
        case Activation::gelu_erf: {
            vf y;
            for (int i = 0; i < VL; ++i) y[i] = activate(kind, x[i]);
            return y;
        }
    }
    return x;
}

inline vf vactivate_slope(Activation kind, vf x) {
    switch (kind) {
        case Activation::none: return splat(1.0f);
        case Activation::gelu_tanh: {
            const vf t = vtanh(splat(kGeluK) * (x + splat(kGeluC) * x * x * x));
            const vf du = splat(kGeluK) * (splat(1.0f) + splat(3 * kGeluC) * x * x);
            return splat(0.5f) * (splat(1.0f) + t) + splat(0.5f) * x * (splat(1.0f) - t * t) * du;
        }
        case Activation::silu: {
            const vf s = vsigmoid(x);
            return s * (splat(1.0f) + x * (splat(1.0f) - s));
        }
        case Activation::quick_gelu: {
            const vf s = vsigmoid(splat(1.702f) * x);
            return s * (splat(1.0f) + splat(1.702f) * x * (splat(1.0f) - s));
        }
        case Activation::gelu_erf: {
            vf y;
            for (int i = 0; i < VL; ++i) y[i] = activation_slope(kind, x[i]);
            return y;
        }
    }
    return x;
}
