// A second stack to run on. On x86-64 a switch saves what a function call must keep and nothing else: ucontext would
// ask the kernel for the signal mask each time, and a kernel's barriers are millions of switches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulated {

// What AddressSanitizer has to be told of a stack: where it lies, and when it is changed for another.
class StackBounds {
public:
#if defined(__SANITIZE_ADDRESS__)
    void set(const unsigned char* stack, size_t bytes) {
        first_ = stack;
        bytes_ = bytes;
        frames_ = nullptr;
        __asan_unpoison_memory_region(stack, bytes); // frames that the last fiber there never returned from
    }
    void leave_for(const StackBounds& other) { __sanitizer_start_switch_fiber(&frames_, other.first_, other.bytes_); }
    // `from`: whose bounds are learnt, as the first stack's can only be.
    void arrive(StackBounds& from) { __sanitizer_finish_switch_fiber(frames_, &from.first_, &from.bytes_); }

private:
    const void* first_ = nullptr;
    size_t bytes_ = 0;
    void* frames_ = nullptr;
#else
    void set(const unsigned char*, size_t) {}
    void leave_for(const StackBounds&) {}
    void arrive(StackBounds&) {}
#endif
};

#if defined(__x86_64__)

extern "C" void atelier_switch_stack(void** save, void* load);
asm(R"(
.text
.globl atelier_switch_stack
.type atelier_switch_stack, @function
atelier_switch_stack:
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size atelier_switch_stack, . - atelier_switch_stack
)");

class Context {
public:
    // The next switch to it calls `enter`, which never returns.
    void start(unsigned char* stack, size_t bytes, void (*enter)()) {
        auto* top = reinterpret_cast<uint64_t*>((reinterpret_cast<uintptr_t>(stack) + bytes) / 16 * 16);
        *--top = 0; // a function finds its stack 8 bytes off 16
        *--top = reinterpret_cast<uint64_t>(enter);
        for (int i = 0; i < 6; ++i) *--top = 0;
        stack_ = top;
        bounds.set(stack, bytes);
    }
    void leave_for(Context& other) {
        bounds.leave_for(other.bounds);
        atelier_switch_stack(&stack_, other.stack_);
        bounds.arrive(other.bounds);
    }

    StackBounds bounds; // `enter` arrives first

private:
    void* stack_ = nullptr;
};

#else

class Context {
public:
    void start(unsigned char* stack, size_t bytes, void (*enter)()) {
        getcontext(&context_);
        context_.uc_stack.ss_sp = stack;
        context_.uc_stack.ss_size = bytes;
        context_.uc_link = nullptr;
        makecontext(&context_, enter, 0);
        bounds.set(stack, bytes);
    }
    void leave_for(Context& other) {
        bounds.leave_for(other.bounds);
        swapcontext(&context_, &other.context_);
        bounds.arrive(other.bounds);
    }

    StackBounds bounds; // `enter` arrives first

private:
    ucontext_t context_;
};

#endif

} // namespace emulated
