// The card's memory, emulated: what the host may not touch, what runs short, and transfers that arrive when somebody
// waits for them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS // a child is meant to crash
#include <doctest/doctest.h>

#include "base/error.h"
#include "ops/emulated_cuda.h"
#include <csignal>
#include <numeric>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace atelier;
using namespace atelier::test;

namespace {

// The signal that ends a process which does this, 0 when none does.
template <class F>
int signal_of(F&& f) {
    const pid_t child = fork();
    if (child == 0) {
        f();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

constexpr int64_t kCount = 1000;
constexpr uint64_t kBytes = kCount * sizeof(float);

std::vector<float> downloaded(Memory& memory, const void* data) {
    std::vector<float> values(kCount);
    memory.download(values.data(), data, kBytes);
    return values;
}

} // namespace

TEST_CASE("what is uploaded comes back, and the host cannot touch it in between") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    CHECK_FALSE(memory.on_host());
    std::vector<float> values(kCount);
    std::iota(values.begin(), values.end(), 0.0f);
    auto* data = static_cast<float*>(memory.reserve(kBytes));
    CHECK(reinterpret_cast<uintptr_t>(data) % Memory::kAlignment == 0);
    memory.upload(data, values.data(), kBytes);
    CHECK(downloaded(memory, data) == values);
    CHECK(signal_of([&] {
        const volatile float read = data[3];
        (void)read;
    }) == SIGSEGV);
    CHECK(signal_of([&] { data[3] = 1; }) == SIGSEGV);
    ops->fill({data, 1, kCount, kCount}, 2);
    CHECK(downloaded(memory, data) == std::vector<float>(kCount, 2));
    CHECK(signal_of([&] { data[3] = 1; }) == SIGSEGV); // closed again after a kernel
    memory.release(data);
}

TEST_CASE("copies to what is not the card's are refused") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    std::vector<float> values(kCount), other(kCount);
    CHECK_THROWS_AS(memory.upload(other.data(), values.data(), kBytes), Error);
    auto* data = static_cast<float*>(memory.reserve(kBytes));
    CHECK_THROWS_AS(memory.upload(data + kCount, values.data(), 4 * kBytes), Error); // beyond its end
    memory.release(data);
}

TEST_CASE("a kernel that is given an address of the host's is refused: a card could not read it") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    std::vector<float> values(kCount);
    void* const data = memory.reserve(kBytes);
    const auto view = [](void* at) { return View{at, 1, kCount, kCount}; };
    ops->fill(view(data), 1);
    CHECK_THROWS(ops->fill(view(values.data()), 1));
    CHECK_THROWS(ops->copy(view(values.data()), view(data)));
    CHECK_THROWS(ops->rms_norm(view(data), values.data(), 1e-6f, view(data)));
    CHECK_THROWS(ops->linear({view(data), {WeightFormat::f32, 1, kCount, values.data(), {}}, nullptr, Activation::none,
        {}, {}, 1, view(data), {}}));
    CHECK(downloaded(memory, data) == std::vector<float>(kCount, 1));
    memory.release(data);
}

TEST_CASE("too much is refused with what is free, and what is released can be had again") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    const uint64_t free = memory.free_bytes();
    try {
        memory.reserve(free + 1);
        FAIL("more than the card has");
    } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::resource_exhausted);
        CHECK(std::string(e.what()).find(std::to_string(free)) != std::string::npos);
    }
    void* data = memory.reserve(free / 2);
    CHECK(memory.free_bytes() < free / 2 + Memory::kAlignment);
    memory.release(data);
    CHECK(memory.free_bytes() == free);
}

TEST_CASE("a fetch has arrived after await, and only then, each slot has its own") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    auto* host = static_cast<float*>(memory.reserve_host(2 * kBytes));
    std::fill_n(host, kCount, 1.0f);
    std::fill_n(host + kCount, kCount, 2.0f);
    void *first = memory.reserve(kBytes), *second = memory.reserve(kBytes);
    const auto view = [](void* data) { return View{data, 1, kCount, kCount}; };
    ops->fill(view(first), 0), ops->fill(view(second), 0);
    memory.fetch(0, first, host, kBytes);
    memory.fetch(1, second, host + kCount, kBytes);
    CHECK(downloaded(memory, first)[0] == 0); // nobody waited: the emulator shows what a race would
    memory.await(0);
    CHECK(downloaded(memory, first)[0] == 1);
    memory.await(1);
    ops->add(view(first), view(second), view(second));
    CHECK(downloaded(memory, second) == std::vector<float>(kCount, 3));
    memory.release(first), memory.release(second), memory.release_host(host);
}

TEST_CASE("what is parked has left after await, and a fetch that is issued then brings it back") {
    const auto ops = make_emulated_cuda_ops();
    Memory& memory = ops->memory();
    auto* host = static_cast<float*>(memory.reserve_host(kBytes));
    std::fill_n(host, kCount, 5.0f);
    void *from = memory.reserve(kBytes), *to = memory.reserve(kBytes);
    const auto view = [](void* data) { return View{data, 1, kCount, kCount}; };
    ops->fill(view(from), 1);
    memory.park(0, host, from, kBytes);
    memory.fetch(1, to, host, kBytes); // too early
    memory.await(1);
    CHECK(downloaded(memory, to)[0] == 5);
    ops->fill(view(from), 2); // as early: the park had not been waited for, and takes what is there now
    memory.await(0);
    ops->fill(view(from), 3);
    memory.fetch(1, to, host, kBytes);
    memory.await(1);
    CHECK(downloaded(memory, to) == std::vector<float>(kCount, 2));
    CHECK(downloaded(memory, from) == std::vector<float>(kCount, 3));
    CHECK_THROWS_AS(memory.park(0, to, from, kBytes), Error); // both on the card
    memory.release(from), memory.release(to), memory.release_host(host);
}
