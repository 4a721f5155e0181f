using Eigengate.Inference.Kernels;
using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.KvCache;

/// <summary>Keys and values of one layer, each [blocks, block size, KV heads, head dim].</summary>
internal sealed unsafe class KvLayer : IDisposable
{
    public KvLayer(ModelConfig config, int blocks, int blockSize, ScalarType dtype, Device device)
    {
        Keys = TensorMemory.AllocateZeroed(dtype, device, blocks, blockSize, config.KvHeads, config.HeadDim);
        Values = TensorMemory.AllocateZeroed(dtype, device, blocks, blockSize, config.KvHeads, config.HeadDim);
        FlatKeys = Keys.view(-1, config.KvHeads, config.HeadDim).DetachFromDisposeScope();
        FlatValues = Values.view(-1, config.KvHeads, config.HeadDim).DetachFromDisposeScope();
        KeyAddress = TensorMemory.Address(Keys);
        ValueAddress = TensorMemory.Address(Values);
    }

    public Tensor Keys { get; }

    public Tensor Values { get; }

    /// <summary>The same memory indexed by KV slot: [blocks · block size, KV heads, head dim].</summary>
    public Tensor FlatKeys { get; }

    public Tensor FlatValues { get; }

    public void* KeyAddress { get; }

    public void* ValueAddress { get; }

    public void Dispose()
    {
        FlatKeys.Dispose();
        FlatValues.Dispose();
        Keys.Dispose();
        Values.Dispose();
    }
}

/// <summary>The KV cache of all layers.</summary>
internal sealed class KvMemory : IDisposable
{
    public KvMemory(ModelConfig config, int blocks, int blockSize, ScalarType dtype, Device device) =>
        Layers = [.. Enumerable.Range(0, config.Layers).Select(_ => new KvLayer(config, blocks, blockSize, dtype, device))];

    public IReadOnlyList<KvLayer> Layers { get; }

    /// <summary>Bytes of one block over all layers, keys and values.</summary>
    public static long BytesPerBlock(ModelConfig config, int blockSize, int elementSize) =>
        2L * config.Layers * blockSize * config.KvWidth * elementSize;

    public void Dispose()
    {
        foreach (KvLayer layer in Layers)
            layer.Dispose();
    }
}
