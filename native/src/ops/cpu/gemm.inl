// Matrix products: C (M, N) = sum over segments of A (M, K) · B (K, N), where a segment's B is a weight in any format,
// widened to f32 while it is packed into a panel that stays in the second-level cache. The wide weight never exists in
// memory. A is read in place (its rows are contiguous along K). Every element of C is summed in the same order whatever
// the number of threads.
constexpr int MR =
    VL >= 16 ? 14 : 6; // rows of a register tile: MR·2 accumulators, 2 of B and 1 broadcast fill the registers
constexpr int NR = 2 * VL; // columns of a register tile
constexpr int64_t KC = 256; // depth of a panel
constexpr int64_t NC = 6 * 32; // columns of a panel: KC·NC floats = 192 KiB
constexpr int64_t kPanelFloats = KC * NC;

// c (R, NR) = or += a (R, K) · b (K, NR); a element (i, k) at a[i*rs + k*cs], b row k at b + k*ldb
template <int R>
inline void micro(
    int64_t K, const float* a, int64_t rs, int64_t cs, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
    vf acc0[R], acc1[R];
    for (int i = 0; i < R; ++i) acc0[i] = acc1[i] = vf{};
    for (int64_t k = 0; k < K; ++k) {
        const vf b0 = load(b), b1 = load(b + VL);
#pragma GCC unroll 14
        for (int i = 0; i < R; ++i) {
            const vf x = splat(a[i * rs]);
            acc0[i] += x * b0;
            acc1[i] += x * b1;
        }
        a += cs;
        b += ldb;
    }
    for (int i = 0; i < R; ++i) {
        float* row = c + i * ldc;
        store(row, add ? load(row) + acc0[i] : acc0[i]);
        store(row + VL, add ? load(row + VL) + acc1[i] : acc1[i]);
    }
}

template <int R>
void micro_rows(int64_t rows, int64_t K, const float* a, int64_t rs, int64_t cs, const float* b, int64_t ldb, float* c,
    int64_t ldc, bool add) {
    if (rows == R) return micro<R>(K, a, rs, cs, b, ldb, c, ldc, add);
    if constexpr (R > 1) micro_rows<R - 1>(rows, K, a, rs, cs, b, ldb, c, ldc, add);
}

// One strip of at most MR rows against B of any width. `b` has room for whole NR columns in every row (packed, or wide
// memory).
inline void strip(int64_t rows, int64_t N, int64_t K, const float* a, int64_t rs, int64_t cs, const float* b,
    int64_t block_stride, int64_t ldb, float* c, int64_t ldc, bool add) {
    for (int64_t n = 0; n < N; n += NR, b += block_stride) {
        const int64_t width = N - n < NR ? N - n : NR;
        if (width == NR) {
            micro_rows<MR>(rows, K, a, rs, cs, b, ldb, c + n, ldc, add);
        } else {
            alignas(64) float tile[MR * NR];
            micro_rows<MR>(rows, K, a, rs, cs, b, ldb, tile, NR, false);
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = 0; j < width; ++j) {
                    float& out = c[i * ldc + n + j];
                    out = add ? out + tile[i * NR + j] : tile[i * NR + j];
                }
        }
    }
}

// values[0..count) = row `row`, columns from `col`, of a weight, as f32
inline void widen(const Weight& w, int64_t row, int64_t col, int64_t count, float* values) {
    const int64_t at = row * w.cols + col;
    switch (w.format) {
        case WeightFormat::f32:
            std::memcpy(values, static_cast<const float*>(w.dense) + at, static_cast<size_t>(count) * 4);
            return;
        case WeightFormat::bf16: {
            const auto* p = static_cast<const uint16_t*>(w.dense) + at;
            for (int64_t i = 0; i < count; ++i) {
                const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
                std::memcpy(values + i, &bits, 4);
            }
            return;
        }
        case WeightFormat::f16: {
            const auto* p = static_cast<const uint16_t*>(w.dense) + at;
            for (int64_t i = 0; i < count; ++i) values[i] = f16_to_float(p[i]);
            return;
        }
        case WeightFormat::nf4: {
            for (int64_t i = 0; i < count;) {
                const int64_t index = at + i;
                int64_t end = w.nf4.run_end(index) - at;
                if (end > count) end = count;
                const float scale = w.nf4.block_scale(w.nf4.block_of(index));
                const uint8_t* packed = w.nf4.packed + index / 2;
                if ((index & 1) && i < end) values[i++] = kNf4Code[*packed++ & 15] * scale;
                int64_t pairs = (end - i) / 2;
#if defined(__AVX2__)
                const __m256 low = _mm256_loadu_ps(kNf4Code), high = _mm256_loadu_ps(kNf4Code + 8),
                             s = _mm256_set1_ps(scale);
                const __m256i shifts = _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24);
                for (; pairs >= 4; pairs -= 4, packed += 4, i += 8) {
                    int32_t word;
                    std::memcpy(&word, packed, 4);
                    const __m256i code =
                        _mm256_srlv_epi32(_mm256_set1_epi32(word), shifts); // low four bits of each lane
                    const __m256 sign =
                        _mm256_castsi256_ps(_mm256_slli_epi32(code, 28)); // bit 3 to the blend's sign bit
                    const __m256 value = _mm256_blendv_ps(
                        _mm256_permutevar8x32_ps(low, code), _mm256_permutevar8x32_ps(high, code), sign);
                    _mm256_storeu_ps(values + i, _mm256_mul_ps(value, s));
                }
#endif
                for (; pairs > 0; --pairs, ++packed) {
                    values[i++] = kNf4Code[*packed >> 4] * scale;
                    values[i++] = kNf4Code[*packed & 15] * scale;
                }
                if (i < end) values[i++] = kNf4Code[*packed >> 4] * scale;
            }
            return;
        }
    }
}

// A (M, K) times B, where B is a weight: transposed (y = x · Wᵀ: B's column n is row n of W) or as it is (dx = dy · W).
// A's element (i, k) is a[i*rs + k*cs], so that a gradient can be read as its transpose.
struct Segment {
    const float* a;
    int64_t rs, cs, K;
    Weight w;
    bool transposed;
    float scale = 1;
};

// A matrix of activations as the B of a product; slices keep their leading dimension.
inline Weight as_weight(const View& x) {
    Weight w;
    w.rows = x.rows;
    w.cols = x.ld;
    w.dense = x.data;
    return w;
}

#if defined(__AVX2__)
// 8 rows of 8 floats, `lds` apart -> 8 rows of 8, `ldd` apart, transposed
inline void transpose8(const float* x, int64_t lds, float* y, int64_t ldd) {
    __m256 r[8], t[8];
    for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(x + i * lds);
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int h = 0; h < 2; ++h) {
        const __m256* u = t + 4 * h;
        r[4 * h + 0] = _mm256_shuffle_ps(u[0], u[2], 0x44);
        r[4 * h + 1] = _mm256_shuffle_ps(u[0], u[2], 0xee);
        r[4 * h + 2] = _mm256_shuffle_ps(u[1], u[3], 0x44);
        r[4 * h + 3] = _mm256_shuffle_ps(u[1], u[3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
        _mm256_storeu_ps(y + i * ldd, _mm256_permute2f128_ps(r[i], r[4 + i], 0x20));
        _mm256_storeu_ps(y + (4 + i) * ldd, _mm256_permute2f128_ps(r[i], r[4 + i], 0x31));
    }
}
#endif

inline void interleave(const float* rows, int64_t stride, int64_t count, int64_t depth,
    float* panel) { // (count ≤ NR, depth) -> (depth, NR)
    int64_t j = 0;
#if defined(__AVX2__)
    for (; j + 8 <= count; j += 8) {
        int64_t k = 0;
        for (; k + 8 <= depth; k += 8) transpose8(rows + j * stride + k, stride, panel + k * NR + j, NR);
        for (; k < depth; ++k)
            for (int64_t i = j; i < j + 8; ++i) panel[k * NR + i] = rows[i * stride + k];
    }
#endif
    for (; j < count; ++j)
        for (int64_t k = 0; k < depth; ++k) panel[k * NR + j] = rows[j * stride + k];
    for (; j < NR; ++j)
        for (int64_t k = 0; k < depth; ++k) panel[k * NR + j] = 0;
}

// panel: for each block of NR columns, (depth, NR)
inline void pack(const Segment& s, int64_t n0, int64_t width, int64_t k0, int64_t depth, float* panel) {
    if (s.transposed) {
        alignas(64) float rows[NR * KC];
        for (int64_t n = 0; n < width; n += NR, panel += depth * NR) {
            const int64_t count = width - n < NR ? width - n : NR;
            if (s.w.format == WeightFormat::f32 && s.scale == 1) {
                interleave(
                    static_cast<const float*>(s.w.dense) + (n0 + n) * s.w.cols + k0, s.w.cols, count, depth, panel);
                continue;
            }
            for (int64_t j = 0; j < count; ++j) {
                widen(s.w, n0 + n + j, k0, depth, rows + j * KC);
                if (s.scale != 1)
                    for (int64_t k = 0; k < depth; ++k) rows[j * KC + k] *= s.scale;
            }
            interleave(rows, KC, count, depth, panel);
        }
        return;
    }
    alignas(64) float row[NC + NR];
    for (int64_t k = 0; k < depth; ++k) {
        widen(s.w, k0 + k, n0, width, row);
        for (int64_t j = width; j % NR != 0; ++j) row[j] = 0;
        float* out = panel + k * NR;
        for (int64_t n = 0; n < width; n += NR, out += depth * NR) {
            const vf a = load(row + n) * splat(s.scale), b = load(row + n + VL) * splat(s.scale);
            store(out, a);
            store(out + VL, b);
        }
    }
}

struct Epilogue {
    const float* bias = nullptr;
    Activation activation = Activation::none;
    float* pre = nullptr; // before the activation
    int64_t ldpre = 0;
    const float* residual = nullptr; // added last
    int64_t ldresidual = 0;
};

// rows [m0, m0 + rows) x columns [n0, n0 + width) of the result, where c points
inline void finish(const Epilogue& e, float* c, int64_t ldc, int64_t m0, int64_t rows, int64_t n0, int64_t width) {
    if (!e.bias && e.activation == Activation::none && !e.pre && !e.residual) return;
    for (int64_t i = 0; i < rows; ++i) {
        float* y = c + i * ldc;
        float* kept = e.pre ? e.pre + (m0 + i) * e.ldpre + n0 : nullptr;
        const float* residual = e.residual ? e.residual + (m0 + i) * e.ldresidual + n0 : nullptr;
        for (int64_t j = 0; j < width; j += VL) {
            const int64_t n = width - j;
            vf v = load_n(y + j, n);
            if (e.bias) v += load_n(e.bias + n0 + j, n);
            if (kept) store_n(kept + j, v, n);
            v = vactivate(e.activation, v);
            store_n(y + j, residual ? v + load_n(residual + j, n) : v, n);
        }
    }
}

// How a product is shared out: panels of columns; when there are few, rows are cut as well so that all threads have
// work.
struct Sharing {
    int64_t width, panels, cuts;
    Sharing(int threads, int64_t M, int64_t N) {
        width = (N + threads - 1) / threads;
        width = (width + NR - 1) / NR * NR;
        if (width > NC) width = NC;
        panels = (N + width - 1) / width;
        cuts = 1;
        while (panels * cuts < 2 * threads && M / (cuts * 2) >= 8 * MR) cuts *= 2;
    }
    int64_t tasks() const { return panels * cuts; }
};

// workspace: kPanelFloats for each thread, `stride` floats apart
inline void gemm(ThreadPool& pool, float* workspace, const Segment* segments, int count, int64_t M, int64_t N, float* c,
    int64_t ldc, bool accumulate, const Epilogue& epilogue, int64_t stride) {
    const Sharing sharing(pool.threads(), M, N);
    pool.for_each(sharing.tasks(), [&](int64_t task, int thread) {
        float* panel = workspace + thread * stride;
        const int64_t n0 = task / sharing.cuts * sharing.width,
                      columns = N - n0 < sharing.width ? N - n0 : sharing.width;
        const int64_t cut = task % sharing.cuts;
        const int64_t begin = M * cut / sharing.cuts, end = M * (cut + 1) / sharing.cuts;
        bool add = accumulate;
        for (int s = 0; s < count; ++s) {
            const Segment& segment = segments[s];
            for (int64_t k0 = 0; k0 < segment.K; k0 += KC) {
                const int64_t depth = segment.K - k0 < KC ? segment.K - k0 : KC;
                const bool last = s == count - 1 && k0 + depth == segment.K;
                pack(segment, n0, columns, k0, depth, panel);
                for (int64_t i = begin; i < end; i += MR) {
                    const int64_t rows = end - i < MR ? end - i : int64_t{MR};
                    float* out = c + i * ldc + n0;
                    strip(rows, columns, depth, segment.a + i * segment.rs + k0 * segment.cs, segment.rs, segment.cs,
                        panel, depth * NR, NR, out, ldc, add);
                    if (last) finish(epilogue, out, ldc, i, rows, n0, columns);
                }
                add = true;
            }
        }
    });
}

// The same for a few rows, where packing would cost more than the product: each weight row is widened once and
// multiplied with every row of A. Transposed segments with contiguous rows of A only.
constexpr int64_t kFewRows = 4;

inline void gemv(ThreadPool& pool, const Segment* segments, int count, int64_t M, int64_t N, float* c, int64_t ldc,
    const Epilogue& epilogue) {
    pool.for_ranges(N, 16, [&](int64_t begin, int64_t end, int) {
        alignas(64) float row[KC];
        for (int64_t n = begin; n < end; ++n) {
            float sum[kFewRows] = {};
            for (int s = 0; s < count; ++s) {
                const Segment& segment = segments[s];
                vf total[kFewRows] = {};
                float rest[kFewRows] = {};
                for (int64_t k0 = 0; k0 < segment.K; k0 += KC) {
                    const int64_t depth = segment.K - k0 < KC ? segment.K - k0 : KC;
                    widen(segment.w, n, k0, depth, row);
                    for (int64_t i = 0; i < M; ++i) {
                        const float* a = segment.a + i * segment.rs + k0;
                        int64_t k = 0;
                        for (; k + VL <= depth; k += VL) total[i] += load(a + k) * load(row + k);
                        for (; k < depth; ++k) rest[i] += a[k] * row[k];
                    }
                }
                for (int64_t i = 0; i < M; ++i) sum[i] += segment.scale * (hsum(total[i]) + rest[i]);
            }
            for (int64_t i = 0; i < M; ++i) c[i * ldc + n] = sum[i];
        }
        for (int64_t i = 0; i < M; ++i) finish(epilogue, c + i * ldc + begin, ldc, i, 1, begin, end - begin);
    });
}
