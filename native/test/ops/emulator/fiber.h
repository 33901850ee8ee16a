// A second stack to run on. On x86-64 a switch saves what a function call must keep and nothing else: ucontext would ask the kernel for the
// signal mask each time, and a kernel's barriers are millions of switches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulated {

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
    }
    void leave_for(Context& other) { atelier_switch_stack(&stack_, other.stack_); }

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
    }
    void leave_for(Context& other) { swapcontext(&context_, &other.context_); }

private:
    ucontext_t context_;
};

#endif

} // namespace emulated
