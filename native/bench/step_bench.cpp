// Times of whole steps: LoRA training, denoising, start-up. One process is one measurement and one JSON line, so that
// peak memory means something; without --mode it runs itself once for each. Fields are named as in diffusers-side
// measurements of the same work, to stand beside them.
#include "base/error.h"
#include "bench_model.h"
#include "engine/device.h"
#include "ops/cuda/cuda_ops.h"
#include "step_count.h"
#include "step_ops.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace atelier;
using namespace atelier::bench;

namespace {

constexpr const char* kHelp = R"(step_bench: times of whole steps, one JSON line a measurement

  --preset tiny|small|medium|full   model and picture (default: tiny, small and medium, one after another)
  --mode train|infer|startup        one measurement (default: all, each in a fresh process)
      train    median time of a LoRA step: noise, forward, loss, backward, clip, AdamW
      infer    median time of one denoising step
      startup  from process start to the end of the first LoRA step, weights read from disk
  --quant none|nf4                  how base weights are kept (default: both)
  --recompute 0|1                   gradient checkpointing (default 0; with nf4 1)
  --device cpu|cuda|cuda:N|…,fp8    (default cpu); on a card also the largest memory in use on it, whoever uses it, beside the plan
  --budget BYTES,BYTES,...          train: memory budgets, one line each, of one model; 0: none. A budget that does not do is a line that says why
  --threads N (2)  --rank N (4)  --accum N (1)  --runs N (5)  --infer-steps N (4)
  --double N --single N --heads N --head-dim N --grid-h N --grid-w N --text N --joint N --pooled N   instead of the preset's sizes
  --count   what a card is asked to do for a micro-step and for a step of a picture of 1024 x 1024, op by op with kernels, launches, bytes and
            FLOPs: counted from the programs themselves, at full size, on any machine; fp8 with --device cuda,fp8
  --ops     milliseconds of each op of a micro-step on --device, beside its bytes and FLOPs; with everything kept and all weights there
  --load DIR                        startup: a transformer folder, for example one that diffusers saved
  --save DIR                        write the model as a checkpoint and end

  step_bench --preset small --mode train --quant nf4 --recompute 1
)";

struct Options {
    Shape shape;
    std::string name, mode, quant, load, save, device = "cpu", budgets = "0";
    bool count = false, ops = false;
    int recompute = -1, threads = 2, runs = 5;
    int64_t rank = 4, accumulation = 1, infer_steps = 4;
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double process_age() {
    std::ifstream file("/proc/self/stat"), up("/proc/uptime");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string field;
    for (int i = 0; i < 20; ++i) fields >> field; // starttime is the 22nd, two stand before the bracket's end
    double uptime = 0;
    up >> uptime;
    return uptime - std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double status_mb(const char* name) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name)) return std::stod(line.substr(line.find(':') + 1)) / 1024;
    return 0;
}

std::vector<uint64_t> numbers(const std::string& list) {
    std::vector<uint64_t> all;
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
        char* end = nullptr;
        all.push_back(std::strtoull(part.c_str(), &end, 10));
        require(!part.empty() && part[0] != '-' && *end == '\0', ErrorCode::invalid_argument, "--budget ", list,
            ": expected bytes, separated by commas");
    }
    require(!all.empty(), ErrorCode::invalid_argument, "--budget: expected bytes, separated by commas");
    return all;
}

// The largest memory in use on a card, as the card tells it: everyone's. Nothing on the CPU.
class CardMemory {
public:
    explicit CardMemory(const Device& device, const std::string& which) : memory_(device.impl->ops->memory()) {
        if (!memory_.on_host())
            total_ = cuda_devices().at(which.starts_with("cuda:") ? std::stoul(which.substr(5)) : 0).total_bytes;
    }
    void look() {
        if (total_) most_ = std::max(most_, total_ - std::min(total_, memory_.free_bytes()));
    }
    std::string field() const {
        if (!total_) return "";
        std::ostringstream s;
        s << std::fixed << std::setprecision(1) << ", \"card_peak_mb\": " << static_cast<double>(most_) / 1048576;
        return s.str();
    }

private:
    Memory& memory_;
    uint64_t total_ = 0, most_ = 0;
};

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

struct Bench {
    Options o;
    bool nf4, recompute;
    std::shared_ptr<Device> device;
    std::shared_ptr<Transformer> model;
    std::vector<float> mean, logvar, prompt, pooled;

    explicit Bench(const Options& options)
        : o(options), nf4(o.quant == "nf4"), recompute(o.recompute < 0 ? nf4 : o.recompute != 0),
          device(Device::open(o.device, o.threads)) {
        const BaseQuant quant = nf4 ? BaseQuant::nf4 : BaseQuant::none;
        model = o.load.empty() ? testing::random_transformer(device, o.shape.dims(), quant, 1)
                               : Transformer::load(device, o.load, quant);
        const TransformerDims& d = model->dims();
        mean = values(16 * 4 * o.shape.grid_h * o.shape.grid_w, 2);
        logvar = std::vector<float>(mean.size(), -2.0f);
        prompt = values(o.shape.text * d.joint_dim, 3);
        pooled = values(d.pooled_dim, 4);
    }

    std::string head() const {
        std::ostringstream s;
        s << "{\"preset\": \"" << o.name << "\", \"mode\": \"" << o.mode << "\", \"double\": " << o.shape.double_blocks
          << ", \"single\": " << o.shape.single_blocks << ", \"heads\": " << o.shape.heads
          << ", \"head_dim\": " << o.shape.head_dim << ", \"image_tokens\": " << o.shape.grid_h * o.shape.grid_w
          << ", \"text_tokens\": " << o.shape.text << ", \"rank\": " << o.rank << ", \"quant\": \"" << o.quant
          << "\", \"recompute\": " << (recompute ? "true" : "false") << ", \"accum\": " << o.accumulation
          << ", \"threads\": " << o.threads << ", \"device\": \"" << device->description() << "\"";
        return s.str();
    }

    // TFLOP that the mathematics of one sample needs, nothing made again: of linears 24 d² a token, block and pass, of
    // attention 2 and 5 products.
    double useful_tflop(bool backward) const {
        const auto d = static_cast<double>(o.shape.heads * o.shape.head_dim),
                   tokens = static_cast<double>(o.shape.grid_h * o.shape.grid_w + o.shape.text);
        const auto blocks = static_cast<double>(o.shape.double_blocks + o.shape.single_blocks);
        return blocks * tokens * d * (24 * d * (backward ? 2 : 1) + 2 * tokens * (backward ? 7 : 2)) / 1e12;
    }

    std::unique_ptr<Trainer> trainer(uint64_t budget = 0) const {
        TrainOptions t;
        t.rank = o.rank;
        t.alpha = static_cast<float>(o.rank);
        t.recompute = recompute;
        t.optimizer = OptimizerKind::adamw8bit;
        t.accumulation = o.accumulation;
        t.memory_budget = budget;
        return std::make_unique<Trainer>(
            model, t, std::vector<Trainer::Shape>{{o.shape.grid_h, o.shape.grid_w, o.shape.text}});
    }

    double step(Trainer& trainer) const {
        Trainer::Sample s;
        s.mean = mean;
        s.logvar = logvar;
        s.shape = {o.shape.grid_h, o.shape.grid_w, o.shape.text};
        s.prompt_embeds = prompt;
        s.pooled = pooled;
        const std::vector<Trainer::Sample> samples(static_cast<size_t>(o.accumulation), s);
        const double loss = trainer.micro_steps(samples).back().loss;
        trainer.optimizer_step();
        return loss;
    }

    void train() const {
        for (const uint64_t budget : numbers(o.budgets)) {
            try {
                train_within(budget);
            } catch (const Error& e) {
                if (e.code() != ErrorCode::resource_exhausted && e.code() != ErrorCode::unsupported) throw;
                std::string reason = e.what();
                std::replace(reason.begin(), reason.end(), '"', '\'');
                std::printf("%s, \"budget\": %llu, \"refused\": \"%s\"}\n", head().c_str(),
                    static_cast<unsigned long long>(budget), reason.c_str());
            }
            std::fflush(stdout);
        }
    }

    void train_within(uint64_t budget) const {
        CardMemory card(*device, o.device);
        const auto t = trainer(budget);
        const MemoryPlan plan = t->memory_plan();
        step(*t);
        card.look();
        std::vector<double> wall;
        double loss = 0;
        for (int i = 0; i < o.runs; ++i) {
            const double begin = now();
            loss = step(*t);
            wall.push_back(now() - begin);
            card.look();
        }
        const auto mb = [](uint64_t bytes) { return static_cast<double>(bytes) / 1048576; };
        std::printf("%s, \"budget\": %llu, \"runs\": %d, \"useful_tflop\": %.3f, \"step_s_median\": %.4f, "
                    "\"step_s_min\": %.4f, \"peak_rss_mb\": %.1f, "
                    "\"planned_mb\": %.1f, \"arena_mb\": %.1f, \"weights_mb\": %.1f, \"keep_all\": %lld, \"parked\": "
                    "%lld, \"resident\": %lld, \"widened\": %lld, \"together\": %lld%s, \"last_loss\": %.5f}\n",
            head().c_str(), static_cast<unsigned long long>(budget), o.runs,
            static_cast<double>(o.accumulation) * useful_tflop(true), median(wall),
            *std::min_element(wall.begin(), wall.end()), status_mb("VmHWM"), mb(plan.total_bytes()),
            mb(plan.arena_bytes), mb(plan.weight_bytes), static_cast<long long>(plan.choice.keep_all),
            static_cast<long long>(plan.choice.parked), static_cast<long long>(plan.choice.resident),
            static_cast<long long>(plan.choice.widened), static_cast<long long>(plan.choice.together),
            card.field().c_str(), loss);
    }

    void infer() const {
        CardMemory card(*device, o.device);
        Sampler sampler(model, {});
        Sampler::Request r;
        r.height = o.shape.grid_h * 16;
        r.width = o.shape.grid_w * 16;
        r.steps = o.infer_steps;
        r.prompt_embeds = prompt;
        r.pooled = pooled;
        sampler.generate(r);
        std::vector<double> wall;
        for (int i = 0; i < o.runs; ++i) {
            const double begin = now();
            sampler.generate(r);
            wall.push_back(now() - begin);
            card.look();
        }
        // As the peer's figure: a whole call, conditioning included.
        std::printf("%s, \"infer_steps\": %ld, \"runs\": %d, \"useful_tflop\": %.3f, \"step_s_median\": %.4f, "
                    "\"step_s_min\": %.4f, \"peak_rss_mb\": %.1f%s}\n",
            head().c_str(), static_cast<long>(o.infer_steps), o.runs,
            static_cast<double>(o.infer_steps) * useful_tflop(false), median(wall),
            *std::min_element(wall.begin(), wall.end()), status_mb("VmHWM"), card.field().c_str());
    }

    void startup() const {
        const auto t = trainer();
        step(*t);
        std::printf("%s, \"startup_to_first_step_s\": %.3f, \"peak_rss_mb\": %.1f}\n", head().c_str(), process_age(),
            status_mb("VmHWM"));
    }
};

Options parse(int argc, char** argv) {
    Options o;
    std::map<std::string, std::string> given;
    for (int i = 1; i < argc; i += 2) {
        bool* const flag = std::strcmp(argv[i], "--count") == 0 ? &o.count
                           : std::strcmp(argv[i], "--ops") == 0 ? &o.ops
                                                                : nullptr;
        if (flag) {
            *flag = true;
            --i; // nothing follows it
            continue;
        }
        require(std::strncmp(argv[i], "--", 2) == 0 && i + 1 < argc, ErrorCode::invalid_argument, "argument ", argv[i],
            ": expected --name value; see --help");
        given[argv[i] + 2] = argv[i + 1];
    }
    const auto take = [&](const char* name, auto& into) {
        const auto it = given.find(name);
        if (it == given.end()) return;
        if constexpr (std::is_same_v<std::decay_t<decltype(into)>, std::string>) {
            into = it->second;
        } else {
            char* end = nullptr;
            const long value = std::strtol(it->second.c_str(), &end, 10);
            require(*end == '\0' && value >= 0, ErrorCode::invalid_argument, "--", name, " ", it->second,
                ": expected a number");
            into = static_cast<std::decay_t<decltype(into)>>(value);
        }
        given.erase(it);
    };
    take("preset", o.name);
    if (o.count && o.name.empty()) o.name = "full";
    if (!o.name.empty()) o.shape = preset(o.name);
    take("double", o.shape.double_blocks), take("single", o.shape.single_blocks), take("heads", o.shape.heads),
        take("head-dim", o.shape.head_dim);
    take("grid-h", o.shape.grid_h), take("grid-w", o.shape.grid_w), take("text", o.shape.text),
        take("joint", o.shape.joint), take("pooled", o.shape.pooled);
    take("mode", o.mode), take("quant", o.quant), take("load", o.load), take("save", o.save), take("device", o.device),
        take("budget", o.budgets);
    take("recompute", o.recompute), take("threads", o.threads), take("runs", o.runs), take("rank", o.rank),
        take("accum", o.accumulation), take("infer-steps", o.infer_steps);
    if ((o.count || o.ops) && o.quant.empty()) o.quant = "nf4";
    require(given.empty(), ErrorCode::invalid_argument, "--", given.empty() ? "" : given.begin()->first,
        " is unknown; see --help");
    require(o.mode.empty() || o.mode == "train" || o.mode == "infer" || o.mode == "startup",
        ErrorCode::invalid_argument, "--mode ", o.mode, ": expected train, infer or startup");
    require(o.quant.empty() || o.quant == "none" || o.quant == "nf4", ErrorCode::invalid_argument, "--quant ", o.quant,
        ": expected none or nf4");
    return o;
}

// This program again, with more said.
int again(const std::vector<std::string>& arguments) {
    const pid_t child = fork();
    if (child == 0) {
        std::vector<char*> argv;
        for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
        argv.push_back(nullptr);
        execv("/proc/self/exe", argv.data());
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void count_steps([[maybe_unused]] const Options& o) {
#ifdef ATELIER_CUDA_COUNTED
    Counted micro{o.shape, o.quant == "none" ? BaseQuant::none : BaseQuant::nf4, o.rank, o.accumulation};
    micro.fp8 = o.device.ends_with(",fp8");
    const auto text = [](const Shape& s) {
        return std::to_string(16 * s.grid_w) + " x " + std::to_string(16 * s.grid_h) + ", " + std::to_string(s.text) +
               " text tokens";
    };
    const std::string weights = micro.quant == BaseQuant::none ? ", bf16 weights" : ", NF4 weights";
    print_count(micro, "micro-step, " + text(micro.shape) + ", rank " + std::to_string(o.rank) + weights);
    Counted picture = micro;
    picture.backward = false;
    picture.shape.grid_h = picture.shape.grid_w = 64;
    picture.shape.text = 512;
    print_count(picture, "step of a picture, " + text(picture.shape) + weights);
#else
    fail(ErrorCode::unsupported,
        "--count: built without the tests, which it counts with: configure with -DATELIER_TESTS=ON");
#endif
}

int run(int argc, char** argv) {
    const Options o = parse(argc, argv);
    if (o.count) {
        count_steps(o);
        return 0;
    }
    if (o.ops) {
        const Bench bench(o);
        print_ops(*bench.model, o.shape, {o.rank, o.accumulation, o.runs});
        return 0;
    }
    if (!o.save.empty()) {
        save_checkpoint(o.shape, o.save);
        return 0;
    }
    const std::vector<std::string> given(argv, argv + argc);
    if (argc == 1) {
        for (const char* name : {"tiny", "small", "medium"})
            if (const int failed = again({given[0], "--preset", name})) return failed;
        return 0;
    }
    if (o.mode.empty() || o.quant.empty()) {
        const std::string folder =
            (std::filesystem::temp_directory_path() / ("atelier-bench-" + std::to_string(getpid()))).string();
        if (o.load.empty() && o.mode != "train" && o.mode != "infer") save_checkpoint(o.shape, folder);
        int failed = 0;
        for (const std::string mode : {"train", "infer", "startup"})
            for (const std::string quant : {"none", "nf4"}) {
                if (failed || (!o.mode.empty() && mode != o.mode) || (!o.quant.empty() && quant != o.quant)) continue;
                auto arguments = given;
                if (o.mode.empty()) arguments.insert(arguments.end(), {"--mode", mode});
                if (o.quant.empty()) arguments.insert(arguments.end(), {"--quant", quant});
                if (mode == "startup" && o.load.empty()) arguments.insert(arguments.end(), {"--load", folder});
                failed = again(arguments);
            }
        std::filesystem::remove_all(folder);
        return failed;
    }
    const Bench bench(o);
    if (o.mode == "train") bench.train();
    if (o.mode == "infer") bench.infer();
    if (o.mode == "startup") bench.startup();
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) return std::fputs(kHelp, stdout), 0;
    try {
        return run(argc, argv);
    } catch (const Error& e) {
        std::fprintf(stderr, "step_bench: %s\n", e.what());
        return 2;
    }
}
