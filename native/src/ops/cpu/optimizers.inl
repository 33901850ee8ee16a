// AdamW in three hands. Orders of operations differ in the last digits, and a run of thousands of steps shows it: each follows its source.
constexpr int64_t kOptimizerGrain = 16384;

template <class F>
inline void each(ThreadPool& pool, int64_t count, F&& f) {
    pool.for_ranges(count, kOptimizerGrain, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) f(i);
    });
}

// torch.optim.AdamW
inline void adam_torch(ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) {
    const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step)), correction2 = std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step)));
    const float decay = static_cast<float>(1 - a.lr * a.weight_decay), blend = static_cast<float>(1 - a.beta1), b2 = static_cast<float>(a.beta2);
    const float rest2 = static_cast<float>(1 - a.beta2), root = static_cast<float>(correction2), eps = static_cast<float>(a.eps);
    const float step = static_cast<float>(-a.lr / correction1);
    float *p = param.f32(), *pm = m.f32(), *pv = v.f32();
    const float* pg = grad.f32();
    each(pool, param.size(), [&](int64_t i) {
        const float g = pg[i] * a.grad_scale;
        p[i] *= decay;
        pm[i] += blend * (g - pm[i]);
        pv[i] = pv[i] * b2 + rest2 * g * g;
        p[i] += step * pm[i] / (std::sqrt(pv[i]) / root + eps);
    });
}

// bitsandbytes with 32-bit states: tensors below 4096 elements. eps is scaled by the bias correction instead of the root divided by it.
inline void adam_bnb32(ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) {
    const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step)), correction2 = std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step)));
    const float decay = static_cast<float>(1 - a.lr * a.weight_decay), b1 = static_cast<float>(a.beta1), b2 = static_cast<float>(a.beta2);
    const float rest1 = static_cast<float>(1 - a.beta1), rest2 = static_cast<float>(1 - a.beta2), eps = static_cast<float>(a.eps * correction2);
    const float step = static_cast<float>(-a.lr * correction2 / correction1);
    float *p = param.f32(), *pm = m.f32(), *pv = v.f32();
    const float* pg = grad.f32();
    each(pool, param.size(), [&](int64_t i) {
        const float g = pg[i] * a.grad_scale;
        pm[i] = pm[i] * b1 + rest1 * g;
        pv[i] = pv[i] * b2 + rest2 * g * g;
        if (a.weight_decay > 0) p[i] *= decay;
        p[i] += step * (pm[i] / (std::sqrt(pv[i]) + eps));
    });
}

constexpr int64_t kStateBlock = 256; // bitsandbytes' block of 8-bit states

// bitsandbytes with 8-bit blockwise states
inline void adam_bnb8(ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m8, const View& v8, const View& m_absmax,
                      const View& v_absmax) {
    const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step)), correction2 = std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step)));
    const float decay = static_cast<float>(1 - a.lr * a.weight_decay), b1 = static_cast<float>(a.beta1), b2 = static_cast<float>(a.beta2);
    const float rest1 = static_cast<float>(1 - a.beta1), rest2 = static_cast<float>(1 - a.beta2), root = static_cast<float>(correction2);
    const float eps = static_cast<float>(a.eps), step = static_cast<float>(-a.lr / correction1);
    const DynamicMap &signed_map = signed_dynamic_map(), &unsigned_map = unsigned_dynamic_map();
    const int64_t count = param.size();
    pool.for_each((count + kStateBlock - 1) / kStateBlock, [&](int64_t block, int) {
        const int64_t begin = block * kStateBlock, here = lesser(count - begin, kStateBlock);
        float m[kStateBlock], v[kStateBlock];
        float* p = param.f32() + begin;
        const float* pg = grad.f32() + begin;
        uint8_t *m_codes = static_cast<uint8_t*>(m8.data) + begin, *v_codes = static_cast<uint8_t*>(v8.data) + begin;
        for (int64_t i = 0; i < here; ++i) {
            const float g = pg[i] * a.grad_scale;
            m[i] = signed_map.values[m_codes[i]] * m_absmax.f32()[block] * b1 + rest1 * g;
            v[i] = unsigned_map.values[v_codes[i]] * v_absmax.f32()[block] * b2 + rest2 * g * g;
            if (a.weight_decay > 0) p[i] *= decay;
            p[i] += step * m[i] / (std::sqrt(v[i]) / root + eps);
        }
        m_absmax.f32()[block] = quantize_block(signed_map, m, here, m_codes);
        v_absmax.f32()[block] = quantize_block(unsigned_map, v, here, v_codes);
    });
}
