#include "models/flux/weights.h"
#include "base/half.h"
#include "base/philox.h"
#include "base/thread_pool.h"
#include "models/flux/config.h"
#include "models/flux/weight_cache.h"
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>

namespace atelier {
namespace {

constexpr int64_t kPiece = int64_t{1} << 18; // elements widened at a time: a megabyte a thread

struct LinearJob {
    std::string path;
    Linear* linear;
    int64_t in, out;
    int64_t count() const { return in * out; }
};

std::vector<LinearJob> linear_jobs(FluxLayers& layers) {
    std::vector<LinearJob> jobs;
    for_each_linear(layers, [&](const std::string& path, Linear& linear, int64_t in, int64_t out) {
        jobs.push_back({path, &linear, in, out});
    });
    return jobs;
}

// Runs work(index) on every job; the first exception stops the rest and is thrown here. Reports from the calling thread
// alone.
template <class F>
void for_jobs(const std::vector<LinearJob>& jobs, int threads, const Progress& progress, const char* stage, F&& work) {
    double total = 0;
    for (const LinearJob& job : jobs) total += static_cast<double>(job.count());
    ThreadPool pool(threads);
    std::exception_ptr failure;
    std::mutex guard;
    std::atomic<int64_t> done{0};
    std::atomic<bool> stop{false};
    pool.for_each(static_cast<int64_t>(jobs.size()), [&](int64_t i, int thread) {
        if (stop) return;
        try {
            progress.check();
            work(static_cast<size_t>(i));
            done += jobs[static_cast<size_t>(i)].count();
            if (thread == 0) progress(static_cast<double>(done), total, stage);
        } catch (...) {
            const std::lock_guard lock(guard);
            if (!failure) failure = std::current_exception();
            stop = true;
        }
    });
    if (failure) std::rethrow_exception(failure);
    progress(total, total, stage);
}

void point_at(Linear& linear, int64_t in, int64_t out, const Nf4Data& data) {
    linear.w = Weight{};
    linear.w.format = WeightFormat::nf4;
    linear.w.rows = out;
    linear.w.cols = in;
    linear.w.nf4 = nf4_rows(data, in);
}

} // namespace

FluxWeights FluxWeights::load(
    const std::string& dir, BaseQuant quant, const std::string& cache_dir, int threads, const Progress& progress) {
    FluxWeights weights(read_flux_config(dir));
    validate_dims(weights.layers_.dims);
    weights.quant_ = quant;
    WeightSource source = WeightSource::open(dir);
    std::vector<TensorSpec> expected;
    for_each_linear(weights.layers_, [&](const std::string& path, Linear&, int64_t in, int64_t out) {
        expected.push_back({path + ".weight", {out, in}});
        expected.push_back({path + ".bias", {out}});
    });
    for_each_head_norm(weights.layers_,
        [&](const std::string& name, const float*&) { expected.push_back({name, {weights.layers_.dims.head_dim}}); });
    source.check(expected);
    weights.source_ = source;
    weights.read_small(source);
    if (quant == BaseQuant::none) {
        const auto jobs = linear_jobs(weights.layers_);
        for (size_t i = 0; i < jobs.size(); ++i) {
            progress.check();
            jobs[i].linear->w = source.weight(jobs[i].path + ".weight", jobs[i].out, jobs[i].in);
            progress(static_cast<double>(i + 1), static_cast<double>(jobs.size()), "reading weights");
        }
    } else {
        const std::string cache =
            cache_dir.empty() || source.any_prequantized() ? "" : weight_cache_file(cache_dir, source, quant);
        if (cache.empty() || !weights.read_cache(cache)) {
            weights.quantize_from(source, threads, progress);
            if (!cache.empty()) {
                weights.write_cache(cache);
                if (weights.read_cache(cache))
                    weights.quantized_.clear(); // mapped pages can be dropped, the heap's cannot
            }
        }
    }
    weights.count_bytes();
    return weights;
}

void FluxWeights::read_small(const WeightSource& source) {
    const auto keep = [&](const std::string& name, int64_t count) {
        values_.push_back(source.read_f32(name, {count}));
        return values_.back().data();
    };
    for_each_linear(layers_, [&](const std::string& path, Linear& linear, int64_t, int64_t out) {
        linear.bias = keep(path + ".bias", out);
    });
    for_each_head_norm(
        layers_, [&](const std::string& name, const float*& norm) { norm = keep(name, layers_.dims.head_dim); });
}

void FluxWeights::quantize_from(const WeightSource& source, int threads, const Progress& progress) {
    const auto jobs = linear_jobs(layers_);
    quantized_.resize(jobs.size());
    for_jobs(jobs, threads, progress, "quantising weights", [&](size_t i) {
        const LinearJob& job = jobs[i];
        const std::string name = job.path + ".weight";
        if (source.prequantized(name)) {
            job.linear->w = source.weight(name, job.out, job.in);
            return;
        }
        Nf4Builder builder(job.count(), quant_ == BaseQuant::nf4_double);
        source.for_pieces(name, {job.out, job.in}, kPiece, [&](std::span<const float> piece) {
            progress.check();
            builder.append(piece);
        });
        quantized_[i] = builder.finish();
        point_at(*job.linear, job.in, job.out, quantized_[i].data());
    });
}

bool FluxWeights::read_cache(const std::string& file) {
    cache_ = open_weight_cache(file);
    if (!cache_) return false;
    const auto jobs = linear_jobs(layers_);
    std::vector<Nf4Data> found;
    for (const LinearJob& job : jobs) {
        const auto data = cached_weight(*cache_, job.path, job.count(), quant_);
        if (!data) return false;
        found.push_back(*data);
    }
    for (size_t i = 0; i < jobs.size(); ++i) point_at(*jobs[i].linear, jobs[i].in, jobs[i].out, found[i]);
    return true;
}

void FluxWeights::write_cache(const std::string& file) const {
    WeightCacheWriter writer;
    size_t i = 0;
    for_each_linear(
        layers_, [&](const std::string& path, const Linear&, int64_t, int64_t) { writer.add(path, quantized_[i++]); });
    writer.write(file);
}

FluxWeights FluxWeights::random(
    const TransformerDims& dims, BaseQuant quant, uint64_t seed, int threads, const Progress& progress) {
    validate_dims(dims);
    FluxWeights weights(dims);
    weights.quant_ = quant;
    const auto jobs = linear_jobs(weights.layers_);
    const size_t linears = jobs.size();
    weights.quantized_.resize(quant == BaseQuant::none ? 0 : linears);
    weights.values_.resize(2 * linears);
    const NormalTable& normal = NormalTable::shared();
    for_jobs(jobs, threads, progress, "drawing weights", [&](size_t i) {
        const LinearJob& job = jobs[i];
        std::vector<float>& bias = weights.values_[linears + i];
        bias.resize(static_cast<size_t>(job.out));
        normal.fill(PhiloxStream(seed, RandomUse::weights, i, 1), 0, 0.02f, bias);
        job.linear->bias = bias.data();
        const PhiloxStream stream(seed, RandomUse::weights, i, 0);
        if (quant == BaseQuant::none) {
            std::vector<float>& values = weights.values_[i];
            values.resize(static_cast<size_t>(job.count()));
            normal.fill(stream, 0, 0.02f, values);
            job.linear->w = Weight{WeightFormat::f32, job.out, job.in, values.data(), {}};
            return;
        }
        Nf4Builder builder(job.count(), quant == BaseQuant::nf4_double);
        std::vector<float> piece(static_cast<size_t>(std::min(kPiece, job.count())));
        for (int64_t at = 0; at < job.count(); at += kPiece) {
            progress.check();
            const std::span<float> part(piece.data(), static_cast<size_t>(std::min(kPiece, job.count() - at)));
            normal.fill(stream, static_cast<uint64_t>(at), 0.02f, part);
            builder.append(part);
        }
        weights.quantized_[i] = builder.finish();
        point_at(*job.linear, job.in, job.out, weights.quantized_[i].data());
    });
    for_each_head_norm(weights.layers_, [&](const std::string&, const float*& norm) {
        norm = weights.values_.emplace_back(static_cast<size_t>(dims.head_dim), 1.0f).data();
    });
    weights.count_bytes();
    return weights;
}

void FluxWeights::count_bytes() {
    bytes_ = 0;
    for_each_linear(
        layers_, [&](const std::string&, const Linear& linear, int64_t, int64_t) { bytes_ += linear_bytes(linear); });
    for_each_head_norm(layers_, [&](const std::string&, const float*) {
        bytes_ += packed_bytes(static_cast<uint64_t>(layers_.dims.head_dim) * sizeof(float));
    });
    bytes_ += packed_bytes(ConstantPack::shared_code().size_bytes());
}

std::vector<float> FluxWeights::original(const std::string& path, const Linear& linear) const {
    if (source_ && !source_->prequantized(path + ".weight"))
        return source_->read_f32(path + ".weight", {linear.w.rows, linear.w.cols});
    return widened(linear.w);
}

std::vector<float> widened(const Weight& w) {
    std::vector<float> values(static_cast<size_t>(w.rows * w.cols));
    switch (w.format) {
        case WeightFormat::f32: std::memcpy(values.data(), w.dense, values.size() * sizeof(float)); break;
        case WeightFormat::f16:
        case WeightFormat::bf16:
            for (size_t i = 0; i < values.size(); ++i) {
                const uint16_t bits = static_cast<const uint16_t*>(w.dense)[i];
                values[i] = w.format == WeightFormat::bf16 ? bf16_to_float(bits) : f16_to_float(bits);
            }
            break;
        case WeightFormat::nf4: nf4_dequantize_range(w.nf4, 0, values); break;
    }
    return values;
}

} // namespace atelier
