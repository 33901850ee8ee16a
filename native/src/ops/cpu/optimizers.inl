// AdamW in three hands over whole tensors; the formulas are in ops/math/adam.h.
constexpr int64_t kOptimizerGrain = 16384;

template <class F>
inline void each(ThreadPool& pool, int64_t count, F&& f) {
    pool.for_ranges(count, kOptimizerGrain, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) f(i);
    });
}

inline void adam_torch(
    ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) {
    const AdamStep s = adam_step(a);
    each(pool, param.size(),
        [&](int64_t i) { adam_torch_element(s, grad.f32()[i], param.f32()[i], m.f32()[i], v.f32()[i]); });
}

inline void adam_bnb32(
    ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) {
    const AdamStep s = adam_step_bnb32(a);
    each(pool, param.size(),
        [&](int64_t i) { adam_bnb32_element(s, grad.f32()[i], param.f32()[i], m.f32()[i], v.f32()[i]); });
}

constexpr int64_t kStateBlock = 256; // bitsandbytes' block of 8-bit states

inline void adam_bnb8(ThreadPool& pool, const AdamArgs& a, const View& param, const View& grad, const View& m8,
    const View& v8, const View& m_absmax, const View& v_absmax) {
    const AdamStep s = adam_step(a);
    const DynamicMap &signed_map = signed_dynamic_map(), &unsigned_map = unsigned_dynamic_map();
    const int64_t count = param.size();
    pool.for_each((count + kStateBlock - 1) / kStateBlock, [&](int64_t block, int) {
        const int64_t begin = block * kStateBlock, here = lesser(count - begin, kStateBlock);
        float m[kStateBlock], v[kStateBlock];
        uint8_t *m_codes = static_cast<uint8_t*>(m8.data) + begin, *v_codes = static_cast<uint8_t*>(v8.data) + begin;
        for (int64_t i = 0; i < here; ++i) {
            m[i] = signed_map.values[m_codes[i]] * m_absmax.f32()[block];
            v[i] = unsigned_map.values[v_codes[i]] * v_absmax.f32()[block];
            adam_bnb8_element(s, grad.f32()[begin + i], param.f32()[begin + i], m[i], v[i]);
        }
        m_absmax.f32()[block] = quantize_block(signed_map, m, here, m_codes);
        v_absmax.f32()[block] = quantize_block(unsigned_map, v, here, v_codes);
    });
}
