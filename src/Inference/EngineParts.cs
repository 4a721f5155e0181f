using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Inference.Kernels.Cpu;
using Eigengate.Inference.Kernels.Cuda;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference;

/// <summary>Everything an engine owns on the device, built once from a model directory and the options.</summary>
internal sealed class EngineParts : IDisposable
{
    /// <summary>Hidden size from which products are shared among threads by default.</summary>
    private const int LeastParallelWidth = 512;

    private EngineParts(EngineOptions options, Tokenizer tokenizer, DecoderModel model, int maxModelLength, int kvBlocks, ScalarType dtype, Device device)
    {
        Options = options;
        Tokenizer = tokenizer;
        Model = model;
        MaxModelLength = maxModelLength;
        KvBlocks = kvBlocks;
        Cache = new KvMemory(model.Config, kvBlocks, options.BlockSize, dtype, device);
        Bases = new BasisStore(model.Config, dtype, device, model.Kernels.Arrange);
        var pool = new PagePool(options.AdapterPoolBytes, model.Config, dtype, device);
        Slots = new AdapterSlots(options.AdapterSlots, model.Config, Bases, pool, TorchType(options.CoreDType), device);
    }

    public EngineOptions Options { get; }

    public Tokenizer Tokenizer { get; }

    public DecoderModel Model { get; }

    /// <summary>Tokens of one sequence that the model and the options allow.</summary>
    public int MaxModelLength { get; }

    public int KvBlocks { get; }

    /// <summary>Threads that torch may use by itself: none besides the caller where the kernels have a pool of their own.</summary>
    public int TorchThreads => TorchThreadsOf(Options, Model.Config);

    public KvMemory Cache { get; }

    public BasisStore Bases { get; }

    public AdapterSlots Slots { get; }

    /// <param name="directory">Model folder.</param>
    /// <param name="options">Checked here.</param>
    /// <param name="merged">Added to the base's weights; null for the base as it is.</param>
    /// <param name="kernelDevice">Runs the CUDA kernels on the CPU's memory, for tests.</param>
    public static EngineParts Load(string directory, EngineOptions options, AdapterWeights? merged = null, IKernelDevice? kernelDevice = null)
    {
        options.Validate();
        ModelConfig config = ModelConfig.Load(directory);
        Device device = Find(options.Device);
        torch.set_num_threads(TorchThreadsOf(options, config));
        ScalarType dtype = TorchType(options.DType);
        int maxModelLength = Math.Min(options.MaxModelLength ?? config.MaxPositions, config.MaxPositions);
        int kvBlocks = CountKvBlocks(config, options, maxModelLength, dtype);
        var rotary = new RotaryTable(config, Math.Min(maxModelLength, kvBlocks * options.BlockSize));
        Tokenizer tokenizer = Tokenizer.Load(directory);
        DecoderWeights weights = DecoderWeights.Load(directory, config, dtype, device, merged);
        IKernels kernels = CreateKernels(config, weights, rotary, options, dtype, device, kernelDevice);
        var model = new DecoderModel(config, weights, kernels, options.MaxBatchedTokens, dtype, device);
        return new EngineParts(options, tokenizer, model, maxModelLength, kvBlocks, dtype, device);
    }

    public void Dispose()
    {
        Slots.Dispose();
        Bases.Dispose();
        Cache.Dispose();
        Model.Dispose();
    }

    /// <summary>Compute threads, the engine's own included; never more than cores. Products of a small model take microseconds: several threads would spend most of their time waiting for each other.</summary>
    private static int ThreadsOf(EngineOptions options, ModelConfig config) =>
        Math.Min(options.Threads ?? (config.HiddenSize < LeastParallelWidth ? 1 : int.MaxValue), Environment.ProcessorCount);

    private static int TorchThreadsOf(EngineOptions options, ModelConfig config) =>
        options.Device == "cpu" && !options.ReferenceKernels ? 1 : ThreadsOf(options, config);

    private static Device Find(string name)
    {
        if (name == "cpu")
            return CPU;
        if (!torch.cuda.is_available())
            throw new NotSupportedException("device 'cuda' was asked for, but libtorch finds no CUDA device; use device 'cpu' or a CUDA build of libtorch");
        return CUDA;
    }

    private static ScalarType TorchType(EngineDType dtype) => dtype == EngineDType.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;

    private static int CountKvBlocks(ModelConfig config, EngineOptions options, int maxModelLength, ScalarType dtype)
    {
        if (options.KvBlocks is { } blocks)
            return blocks;
        long bytes = KvMemory.BytesPerBlock(config, options.BlockSize, dtype == ScalarType.BFloat16 ? 2 : 4);
        long useful = (long)options.MaxSequences * ((maxModelLength + options.BlockSize - 1) / options.BlockSize);
        long count = Math.Min(options.KvCacheBytes / bytes, Math.Min(useful, int.MaxValue / options.BlockSize));
        return count > 0
            ? (int)count
            : throw new ArgumentException($"KvCacheBytes {options.KvCacheBytes} is less than one KV block of {bytes} bytes");
    }

    private static IKernels CreateKernels(
        ModelConfig config, DecoderWeights weights, RotaryTable rotary, EngineOptions options, ScalarType dtype, Device device, IKernelDevice? kernelDevice)
    {
        if (device.type == DeviceType.CUDA && !options.ReferenceKernels && config.HeadDim <= CudaKernels.MaxHeadDim)
            kernelDevice = new CudaDevice(ordinal: 0, bfloat16: dtype == ScalarType.BFloat16);
        if (kernelDevice is not null)
            return new CudaKernels(config, rotary, options, dtype, device, kernelDevice);
        if (device.type != DeviceType.CPU || options.ReferenceKernels)
            return new TorchKernels(config, rotary, device);
        var pool = new ComputePool(ThreadsOf(options, config));
        if (options.DType == EngineDType.Float32)
            return new CpuKernels<F32>(config, rotary, options.MaxBatchedTokens, pool, panels: false);
        WeightLayout.Choose(weights.Matrices, pool, options.Panels);
        return new CpuKernels<Bf16>(config, rotary, options.MaxBatchedTokens, pool, options.Panels);
    }
}
