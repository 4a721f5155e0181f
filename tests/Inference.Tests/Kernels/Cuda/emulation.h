// Runs CUDA kernels on one CPU thread: every thread of a block is a fiber that goes on until it meets a barrier or a
// shuffle, and blocks follow each other. Threads of one barrier that take different ways end the process with a message,
// which a GPU would not even do. x86-64.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define EMULATED
#define KERNEL static void
#define DEVICE static inline
#define SHARED(type, name, count) static type name[count]

struct dim { unsigned int x, y, z; };
static dim gridDim, blockDim, blockIdx, threadIdx;

namespace emulation
{
enum state { ready, at_block_barrier, in_shuffle, done };
const int stack_bytes = 64 << 10, max_threads = 256, warp = 32;

struct fiber
{
    void* stack_pointer;
    state now;
    float offered[2];
    int shuffles;
};

static std::vector<char> stacks(stack_bytes * max_threads);
static fiber fibers[max_threads];
static void* scheduler;
static int current;
static void (*body)(void*);
static void* closure;

// Saves the callee-saved registers on the stack, leaves its pointer in *from, and continues on the stack `to`.
extern "C" void emulation_switch(void** from, void* to);
asm(".text\nemulation_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");

static void yield(state now)
{
    fibers[current].now = now;
    emulation_switch(&fibers[current].stack_pointer, scheduler);
}

static void entry()
{
    body(closure);
    yield(done);
}

static void fail(const char* reason)
{
    std::fprintf(stderr, "emulated kernel: %s (block %u %u %u)\n", reason, blockIdx.x, blockIdx.y, blockIdx.z);
    std::abort();
}

static void start(int thread)
{
    void** top = (void**)(stacks.data() + (long)stack_bytes * (thread + 1));
    top = (void**)((unsigned long)top & ~15ul);
    *--top = nullptr;
    *--top = (void*)entry;
    top -= 6;
    std::memset(top, 0, 6 * sizeof(void*));
    fibers[thread] = {top, ready, {0, 0}, 0};
}

// True while a thread could go on.
static bool release()
{
    bool released = false;
    int threads = blockDim.x;
    for (int first = 0; first < threads; first += warp)
    {
        bool all = true, any = false;
        for (int i = first; i < threads && i < first + warp; i++)
        {
            all &= fibers[i].now == in_shuffle;
            any |= fibers[i].now == in_shuffle;
        }

        if (any && !all)
            fail("some threads of a warp are in a shuffle and others are not");
        for (int i = first; all && i < threads && i < first + warp; i++)
            fibers[i].now = ready;
        released |= all;
    }

    if (released)
        return true;
    int waiting = 0, ended = 0;
    for (int i = 0; i < threads; i++)
    {
        waiting += fibers[i].now == at_block_barrier;
        ended += fibers[i].now == done;
    }

    if (ended == threads)
        return false;
    if (waiting != threads)
        fail("some threads wait at a barrier that others never reach");
    for (int i = 0; i < threads; i++)
        fibers[i].now = ready;
    return true;
}

static void run_block()
{
    for (unsigned int i = 0; i < blockDim.x; i++)
        start(i);
    do
    {
        for (unsigned int i = 0; i < blockDim.x; i++)
        {
            if (fibers[i].now != ready)
                continue;
            current = i;
            threadIdx = {i, 0, 0};
            emulation_switch(&scheduler, fibers[i].stack_pointer);
        }
    } while (release());
}

template <class... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>)
{
    kernel(*(A*)arguments[I]...);
}

template <class... A>
static void launch(void (*kernel)(A...), const int* grid, int threads, void** arguments)
{
    if (threads % warp != 0 || threads > max_threads)
        fail("the number of threads is not a multiple of a warp up to 256");
    struct bound { void (*kernel)(A...); void** arguments; } all = {kernel, arguments};
    closure = &all;
    body = [](void* p) { auto b = (bound*)p; call(b->kernel, b->arguments, std::index_sequence_for<A...>()); };
    gridDim = {(unsigned)grid[0], (unsigned)grid[1], (unsigned)grid[2]};
    blockDim = {(unsigned)threads, 1, 1};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                run_block();
}
}

static inline void __syncthreads() { emulation::yield(emulation::at_block_barrier); }

static inline float __shfl_xor_sync(unsigned int, float x, int mask)
{
    using namespace emulation;
    int self = current, turn = fibers[self].shuffles++ % 2;
    fibers[self].offered[turn] = x;
    yield(in_shuffle);
    return fibers[self ^ mask].offered[turn];
}

static inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
