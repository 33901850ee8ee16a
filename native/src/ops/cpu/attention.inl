// Attention in blocks with a running maximum (FlashAttention, Dao et al. 2022): scores of a block of keys only, never
// the whole matrix. A task is one head and a piece of its queries (forward) or one head (backward), so results do not
// depend on the number of threads.
constexpr int64_t BQ = VL >= 16 ? 12 * 14 : 32 * 6; // queries of a forward task
constexpr int64_t BK = 128;                         // keys of a block
constexpr int64_t kMaxHeadDim = 512;                // the autoencoder's one head is as wide as its channels
// forward: packed K and V, scores, row maxima and sums; backward: two packed K, two scores
constexpr int64_t kAttentionFloats = 2 * BK * (kMaxHeadDim + NR) + 2 * BQ * BK + 4 * BQ;

// (count, depth) rows at `ld` -> blocks of NR rows as columns: (depth, NR) each; missing rows are zero
inline void pack_transposed(const float* x, int64_t ld, int64_t count, int64_t depth, float* panel) {
    for (int64_t n = 0; n < count; n += NR, panel += depth * NR) {
        const int64_t here = count - n < NR ? count - n : NR;
        for (int64_t j = 0; j < NR; ++j) {
            const float* row = x + (n + j) * ld;
            if (j < here)
                for (int64_t k = 0; k < depth; ++k) panel[k * NR + j] = row[k];
            else
                for (int64_t k = 0; k < depth; ++k) panel[k * NR + j] = 0;
        }
    }
}

// (depth, count) rows at `ld` -> blocks of NR columns: (depth, NR) each; missing columns are zero
inline void pack_plain(const float* x, int64_t ld, int64_t depth, int64_t count, float* panel) {
    for (int64_t n = 0; n < count; n += NR, panel += depth * NR) {
        const int64_t here = count - n < NR ? count - n : NR;
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t j = 0; j < NR; ++j) panel[k * NR + j] = j < here ? x[k * ld + n + j] : 0;
    }
}

inline void block_product(int64_t M, int64_t N, int64_t K, const float* a, int64_t rs, int64_t cs, const float* panel,
    float* c, int64_t ldc, bool add) {
    for (int64_t i = 0; i < M; i += MR)
        strip(M - i < MR ? M - i : int64_t{MR}, N, K, a + i * rs, rs, cs, panel, K * NR, NR, c + i * ldc, ldc, add);
}

inline void attention_task(const AttentionArgs& t, int64_t head, int64_t q0, int64_t queries, float* workspace) {
    const int64_t D = t.dim, Sk = t.k.rows;
    float* kt = workspace;
    float* vp = kt + BK * (kMaxHeadDim + NR);
    float* scores = vp + BK * (kMaxHeadDim + NR);
    float* row_max = scores + BQ * BK;
    float* row_sum = row_max + BQ;
    const float* q = t.q.row(q0) + head * D;
    float* o = t.o.row(q0) + head * D;
    for (int64_t i = 0; i < queries; ++i) {
        row_max[i] = -INFINITY;
        row_sum[i] = 0;
    }
    for (int64_t k0 = 0; k0 < Sk; k0 += BK) {
        const int64_t keys = lesser(BK, Sk - k0);
        if (t.causal && k0 > q0 + queries - 1) break;
        pack_transposed(t.k.row(k0) + head * D, t.k.ld, keys, D, kt);
        pack_plain(t.v.row(k0) + head * D, t.v.ld, keys, D, vp);
        block_product(queries, keys, D, q, t.q.ld, 1, kt, scores, BK, false);
        for (int64_t i = 0; i < queries; ++i) {
            float* s = scores + i * BK;
            const float* bias = t.bias ? t.bias + (head * t.q.rows + q0 + i) * Sk + k0 : nullptr;
            float high = row_max[i];
            for (int64_t j = 0; j < keys; ++j) {
                s[j] = s[j] * t.scale + (bias ? bias[j] : 0.0f);
                if (t.causal && k0 + j > q0 + i) s[j] = -INFINITY;
            }
            for (int64_t j = 0; j < keys; ++j) high = s[j] > high ? s[j] : high;
            const float shrink = row_max[i] == -INFINITY ? 0.0f : std::exp(row_max[i] - high);
            float sum = 0;
            int64_t j = 0;
            vf total{};
            for (; j + VL <= keys; j += VL) {
                const vf p = vexp(load(s + j) - splat(high));
                store(s + j, p);
                total += p;
            }
            for (; j < keys; ++j) sum += s[j] = s[j] == -INFINITY ? 0.0f : std::exp(s[j] - high);
            if (t.causal)
                for (int64_t n = q0 + i + 1 - k0 > 0 ? q0 + i + 1 - k0 : 0; n < keys; ++n)
                    s[n] = 0; // vexp clamps -inf to a tiny number
            row_sum[i] = row_sum[i] * shrink + sum + hsum(total);
            row_max[i] = high;
            if (k0 > 0 && shrink != 1.0f)
                for (int64_t d = 0; d < D; ++d) o[i * t.o.ld + d] *= shrink;
        }
        block_product(queries, D, keys, scores, BK, 1, vp, o, t.o.ld, k0 > 0);
    }
    for (int64_t i = 0; i < queries; ++i) {
        const float inverse = 1.0f / row_sum[i];
        for (int64_t d = 0; d < D; ++d) o[i * t.o.ld + d] *= inverse;
        if (t.lse) t.lse.row(head)[q0 + i] = row_max[i] + std::log(row_sum[i]);
    }
}

inline void attention_bwd_task(const AttentionBwdArgs& t, int64_t head, float* workspace) {
    const int64_t D = t.dim, Sq = t.q.rows, Sk = t.k.rows;
    float* kt = workspace;
    float* vt = kt + BK * (kMaxHeadDim + NR);
    float* p = vt + BK * (kMaxHeadDim + NR);
    float* ds = p + BQ * BK;
    float* delta = t.delta.row(head);
    const float* lse = t.lse.row(head);
    for (int64_t i = 0; i < Sq; ++i) {
        const float* go = t.dout.row(i) + head * D;
        const float* o = t.o.row(i) + head * D;
        float sum = 0;
        for (int64_t d = 0; d < D; ++d) sum += go[d] * o[d];
        delta[i] = sum;
    }
    // Operands that are read as they lie need whole NR columns; other head sizes go through a packed copy.
    alignas(64) float packed[BK * (kMaxHeadDim < 64 ? kMaxHeadDim : 64)];
    const bool whole = D % NR == 0;
    const auto product = [&](int64_t M, int64_t K, const float* a, int64_t rs, int64_t cs, const float* b, int64_t ldb,
                             float* c, int64_t ldc, bool add) {
        if (whole) {
            for (int64_t i = 0; i < M; i += MR)
                strip(M - i < MR ? M - i : int64_t{MR}, D, K, a + i * rs, rs, cs, b, NR, ldb, c + i * ldc, ldc, add);
            return;
        }
        constexpr int64_t step = BK * 64 / NR; // rows of one NR-wide block that fit in `packed`
        for (int64_t n = 0; n < D; n += NR) {
            const int64_t width = D - n < NR ? D - n : NR;
            for (int64_t k = 0; k < K; k += step) {
                const int64_t depth = K - k < step ? K - k : step;
                pack_plain(b + k * ldb + n, ldb, depth, width, packed);
                for (int64_t i = 0; i < M; i += MR)
                    strip(M - i < MR ? M - i : int64_t{MR}, width, depth, a + i * rs + k * cs, rs, cs, packed, 0, NR,
                        c + i * ldc + n, ldc, add || k > 0);
            }
        }
    };
    for (int64_t k0 = 0; k0 < Sk; k0 += BK) {
        const int64_t keys = lesser(BK, Sk - k0);
        const float* k = t.k.row(k0) + head * D;
        pack_transposed(k, t.k.ld, keys, D, kt);
        pack_transposed(t.v.row(k0) + head * D, t.v.ld, keys, D, vt);
        for (int64_t q0 = 0; q0 < Sq; q0 += BQ) {
            const int64_t queries = lesser(BQ, Sq - q0);
            const float* q = t.q.row(q0) + head * D;
            const float* go = t.dout.row(q0) + head * D;
            block_product(queries, keys, D, q, t.q.ld, 1, kt, p, BK, false);
            block_product(queries, keys, D, go, t.dout.ld, 1, vt, ds, BK, false);
            for (int64_t i = 0; i < queries; ++i) {
                float* prow = p + i * BK;
                float* drow = ds + i * BK;
                const float l = lse[q0 + i], shift = delta[q0 + i];
                int64_t j = 0;
                for (; j + VL <= keys; j += VL) {
                    const vf w = vexp(load(prow + j) * splat(t.scale) - splat(l));
                    store(prow + j, w);
                    store(drow + j, w * (load(drow + j) - splat(shift)) * splat(t.scale));
                }
                for (; j < keys; ++j) {
                    prow[j] = std::exp(prow[j] * t.scale - l);
                    drow[j] = prow[j] * (drow[j] - shift) * t.scale;
                }
            }
            product(keys, queries, p, 1, BK, go, t.dout.ld, t.dv.row(k0) + head * D, t.dv.ld, q0 > 0);
            product(keys, queries, ds, 1, BK, q, t.q.ld, t.dk.row(k0) + head * D, t.dk.ld, q0 > 0);
            product(queries, keys, ds, BK, 1, k, t.k.ld, t.dq.row(q0) + head * D, t.dq.ld, k0 > 0);
        }
    }
}
