#include "atelier/card_check.h"
#include "base/error.h"
#include "engine/device.h"
#include "engine/kernel_families.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include <algorithm>
#include <dlfcn.h>
#include <sys/stat.h>

namespace atelier {
namespace {

using Fast = PlainForms::Fast;

PlainForms* plain_forms(Device& device) { return dynamic_cast<PlainForms*>(device.impl->ops.get()); }

} // namespace

std::string card_identity(const std::string& which) {
    const DeviceOutlook seen = device_outlook(which);
    if (seen.card < 0) return "";
    // This build: the file that the engine is in, by when it was written.
    Dl_info file{};
    struct stat written{};
    const void* const here = reinterpret_cast<const void*>(&card_identity);
    const bool known = dladdr(here, &file) != 0 && file.dli_fname && stat(file.dli_fname, &written) == 0;
    require(known, ErrorCode::internal, "the engine does not find the file that it is in");
    return cuda_identity(seen.card) + ", engine " + seen.build + " of " + std::to_string(written.st_mtim.tv_sec) + "." +
           std::to_string(written.st_mtim.tv_nsec) + (which.ends_with(",fp8") ? ", fp8 products" : "");
}

std::vector<KernelFinding> check_kernels(Device& device, bool real, const EngineProgress& progress) {
    PlainForms* const forms = plain_forms(device);
    const std::unique_ptr<Ops> cpu = make_cpu_ops({0, "auto"});
    const std::lock_guard lock(device.impl->busy);
    std::vector<KernelFinding> findings;
    const double families = static_cast<double>(kernel_families().size());
    for (const KernelFamily& family : kernel_families()) {
        const Progress told = internal_progress(progress);
        told.check();
        told(static_cast<double>(findings.size()), families, family.name);
        KernelTrial trial{*device.impl->ops, *cpu, real, forms && forms->takes_fp8()};
        if (family.fast == Fast::fp8_products && !trial.fp8) continue;
        KernelFinding finding{family.name, family.error(trial), family.allowed, family.fast ? family.instead : "", 0};
        if (!finding.agrees() && family.fast && forms) {
            forms->use_plain(*family.fast);
            trial.fp8 = forms->takes_fp8();
            finding.error_instead = family.error(trial);
        }
        findings.push_back(finding);
    }
    return findings;
}

void avoid_kernels(Device& device, const std::vector<std::string>& families) {
    PlainForms* const forms = plain_forms(device);
    for (const std::string& name : families) {
        const auto known = kernel_families();
        const auto found = std::ranges::find_if(known, [&](const KernelFamily& each) { return name == each.name; });
        require(forms && found != known.end() && found->fast, ErrorCode::invalid_argument, "kernels \"", name,
            "\": nothing does the same as these");
        forms->use_plain(*found->fast);
    }
}

} // namespace atelier
