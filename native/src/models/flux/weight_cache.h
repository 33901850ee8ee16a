// A quantised copy of a checkpoint's linears on disk, named by the checkpoint's fingerprint and mapped at the next
// load: seconds instead of minutes. A copy that is damaged or of another make counts as absent.
#pragma once
#include "atelier/train_options.h"
#include "formats/weight_source.h"
#include "quant/nf4.h"
#include <optional>
#include <string>
#include <vector>

namespace atelier {

// Names the file after the source's sizes, times, headers and samples of its bytes.
std::string weight_cache_file(const std::string& cache_dir, const WeightSource& source, BaseQuant quant);

std::optional<SafetensorsFile> open_weight_cache(const std::string& file);
std::optional<Nf4Data> cached_weight(
    const SafetensorsFile& cache, const std::string& path, int64_t count, BaseQuant quant);

class WeightCacheWriter {
public:
    void add(const std::string& path, const Nf4Storage& weight); // must outlive the writer
    void write(const std::string& file);                         // makes the folder

private:
    SafetensorsWriter writer_;
};

} // namespace atelier
