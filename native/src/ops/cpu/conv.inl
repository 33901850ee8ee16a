// 2D convolution, channels last, as a matrix product whose A is gathered: row (oy, ox) is the kernel·kernel·Cin patch
// under the output pixel. Patches of a strip are gathered just before they are multiplied; the whole im2col matrix
// never exists.

// strip (rows, depth) at ld KC: columns [k0, k0 + depth) of the patches of pixels [p0, p0 + rows)
inline void gather(
    const Conv2dArgs& t, int64_t out_width, int64_t p0, int64_t rows, int64_t k0, int64_t depth, float* strip) {
    const int64_t cin = t.x.cols;
    for (int64_t i = 0; i < rows; ++i) {
        const int64_t oy = (p0 + i) / out_width, ox = (p0 + i) % out_width;
        float* to = strip + i * KC;
        for (int64_t k = 0; k < depth;) {
            const int64_t tap = (k0 + k) / cin, c = (k0 + k) % cin;
            const int64_t count = lesser(cin - c, depth - k);
            const int64_t iy = oy * t.stride + tap / t.kernel - t.pad_top,
                          ix = ox * t.stride + tap % t.kernel - t.pad_left;
            const int64_t pixel = t.upsampled ? iy / 2 * (t.width / 2) + ix / 2 : iy * t.width + ix;
            if (iy >= 0 && iy < t.height && ix >= 0 && ix < t.width)
                std::memcpy(to + k, t.x.row(pixel) + c, static_cast<size_t>(count) * 4);
            else std::memset(to + k, 0, static_cast<size_t>(count) * 4);
            k += count;
        }
    }
}

inline void convolve(ThreadPool& pool, float* workspace, int64_t stride, const Conv2dArgs& t) {
    const int64_t out_width = (t.width + t.pad_left + t.pad_right - t.kernel) / t.stride + 1;
    const int64_t M = t.y.rows, N = t.y.cols, K = t.kernel * t.kernel * t.x.cols;
    Segment segment{nullptr, 0, 0, K, t.weight, true};
    Epilogue epilogue;
    epilogue.bias = t.bias;
    epilogue.residual = t.residual.f32();
    epilogue.ldresidual = t.residual.ld;
    const Sharing sharing(pool.threads(), M, N);
    pool.for_each(sharing.tasks(), [&](int64_t task, int thread) {
        alignas(64) float patches[MR * KC];
        float* panel = workspace + thread * stride;
        const int64_t n0 = task / sharing.cuts * sharing.width, columns = lesser(N - n0, sharing.width);
        const int64_t cut = task % sharing.cuts;
        const int64_t begin = M * cut / sharing.cuts, end = M * (cut + 1) / sharing.cuts;
        for (int64_t k0 = 0; k0 < K; k0 += KC) {
            const int64_t depth = lesser(K - k0, KC);
            pack(segment, n0, columns, k0, depth, panel);
            for (int64_t i = begin; i < end; i += MR) {
                const int64_t rows = lesser(end - i, MR);
                float* out = t.y.row(i) + n0;
                gather(t, out_width, i, rows, k0, depth, patches);
                strip(rows, columns, depth, patches, KC, 1, panel, depth * NR, NR, out, t.y.ld, k0 > 0);
                if (k0 + depth == K) finish(epilogue, out, t.y.ld, i, rows, n0, columns);
            }
        }
    });
}
