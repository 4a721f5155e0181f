using System.Numerics;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cuda;

/// <summary>
/// The forward pass in CUDA kernels and cuBLAS products on memory that torch owns. No torch operation runs between the
/// first and the last layer, so a decode step can be recorded as a graph: its rows are padded to a power of two, and what
/// changes from step to step is read from <see cref="CudaStep"/>.
/// </summary>
internal sealed unsafe class CudaKernels : IKernels
{
    /// <summary>Widest head that the attention kernel holds.</summary>
    public const int MaxHeadDim = 256;
    private const int HeadsPerBlock = 4, AttentionThreads = 128, Threads = 256, Warp = 32;

    /// <summary>Positions for which another block of the same row's attention is worth its start.</summary>
    private const int LeastPart = 128;
    private readonly ModelConfig _config;
    private readonly IKernelDevice _device;
    private readonly Device _torchDevice;
    private readonly ScalarType _dtype;
    private readonly int _blockSize;
    private readonly int _maxRows;
    private readonly int _elementSize;
    private readonly Functions _functions;
    private readonly CudaStep _now;
    private readonly GraphCache? _graphs;
    private readonly Tensor _cos;
    private readonly Tensor _sin;
    private readonly void* _partial;
    private StepInput _step = new(0);
    private Activation _shrunk;
    private Activation _mixed;
    private int _paddedRows;
    private int _parts;
    private bool _padded;

    /// <param name="config">Of the model; heads of at most <see cref="MaxHeadDim"/>.</param>
    /// <param name="rotary">Angles, copied to the device.</param>
    /// <param name="options">Sizes of the engine.</param>
    /// <param name="dtype">Elements of weights, activations and cache.</param>
    /// <param name="torchDevice">Where torch allocates.</param>
    /// <param name="device">What runs the kernels, on the same memory; owned from here on.</param>
    public CudaKernels(ModelConfig config, RotaryTable rotary, EngineOptions options, ScalarType dtype, Device torchDevice, IKernelDevice device)
    {
        _config = config;
        _device = device;
        _torchDevice = torchDevice;
        _dtype = dtype;
        _elementSize = dtype == ScalarType.BFloat16 ? 2 : 4;
        _blockSize = options.BlockSize;
        _maxRows = options.MaxBatchedTokens;
        _functions = new Functions(device);
        _now = new CudaStep(device, _maxRows);
        _graphs = options.CudaGraphs ? new GraphCache(device) : null;
        _cos = TensorMemory.Upload(rotary.Cos, ScalarType.Float32, torchDevice, rotary.Positions, rotary.Half);
        _sin = TensorMemory.Upload(rotary.Sin, ScalarType.Float32, torchDevice, rotary.Positions, rotary.Half);
        _partial = device.Allocate(2L * device.Multiprocessors * HeadsPerBlock * (config.HeadDim + 2) * sizeof(float));
        _shrunk = new Activation(_maxRows, 1, ScalarType.Float32, torchDevice);
        _mixed = new Activation(_maxRows, 1, dtype, torchDevice);
    }

    public GraphCache? Graphs => _graphs;

    /// <summary>Blocks that share the attention of one row and KV head, each with a few of its query heads.</summary>
    private int HeadGroups => _config.KvHeads * Pieces(_config.Heads / _config.KvHeads, HeadsPerBlock);

    public void BeginStep(StepInput step)
    {
        _device.Enter();
        _device.Wait();
        _step = step;
        _padded = false;
        bool replayable = _graphs is not null && step.PrivateSegments.Count == 0 && step.Segments.Count <= CudaStep.MaxMasks
            && step.Rows <= CudaStep.MaxPaddedRows && step.Sequences.Count == step.Rows && Bucket(step.Rows) <= _maxRows;
        _paddedRows = replayable ? Bucket(step.Rows) : step.Rows;
        _parts = CountParts(_paddedRows, step.Sequences.Max(s => s.Context));
        bool moved = EnsureAdapterScratch(step.Segments);
        if (!_now.Upload(step, _paddedRows) || moved)
            _graphs?.Clear();
        _padded = replayable;
    }

    public void Run(CoreSlab? cores, Action layers)
    {
        if (_padded)
            _graphs!.Run(Key(_step.Segments.Count > 0 ? cores : null), layers);
        else
            layers();
        _padded = false;
    }

    public void Embed(Matrix table, Activation hidden) => CopyRows(table.Address, _now.TokenIds, hidden, Rows(_step.Rows));

    public void RmsNorm(Activation x, Tensor weight, float epsilon, Activation y, int rows) =>
        _device.Launch(_functions.RmsNorm, (Rows(rows), 1, 1), Threads, [(long)x.Address, (long)TensorMemory.Address(weight), Bits(epsilon), (long)y.Address, x.Width]);

    public void Linear(Activation x, Matrix weight, Activation y, int rows, bool accumulate) =>
        _device.Multiply(new MatrixProduct(
            true, weight.Out, Rows(rows), weight.In, (nint)weight.Address, weight.In, (nint)x.Address, x.Width, (nint)y.Address, y.Width, accumulate ? 1 : 0, false));

    public void AddBias(Tensor bias, Activation y) =>
        _device.Launch(_functions.AddBias, (Rows(_step.Rows), Pieces(y.Width, Threads), 1), Threads, [(long)TensorMemory.Address(bias), (long)y.Address, y.Width]);

    public void NormalizeHeads(Activation qkv, Tensor query, Tensor key, float epsilon) =>
        _device.Launch(
            _functions.NormalizeHeads, (Rows(_step.Rows), _config.Heads + _config.KvHeads, 1), Warp,
            [(long)qkv.Address, qkv.Width, (long)TensorMemory.Address(query), (long)TensorMemory.Address(key), Bits(epsilon), _config.Heads, _config.HeadDim]);

    public void RotateAndCache(Activation qkv, KvLayer cache) =>
        _device.Launch(
            _functions.RotateAndCache, (Rows(_step.Rows), 1, 1), Threads,
            [(long)qkv.Address, qkv.Width, (long)TensorMemory.Address(_cos), (long)TensorMemory.Address(_sin), (long)_now.Positions, (long)_now.Slots,
             (long)cache.KeyAddress, (long)cache.ValueAddress, _config.Heads, _config.KvHeads, _config.HeadDim]);

    public void Attend(Activation qkv, KvLayer cache, int window, Activation context)
    {
        int rows = Rows(_step.Rows);
        _device.Launch(
            _functions.Attend, (rows, HeadGroups, _parts), AttentionThreads,
            [(long)qkv.Address, qkv.Width, (long)cache.KeyAddress, (long)cache.ValueAddress, (long)_now.Positions, (long)_now.Tables, (long)_now.Blocks,
             _blockSize, window, (long)context.Address, (long)_partial, _config.Heads, _config.KvHeads, _config.HeadDim, Bits(1 / MathF.Sqrt(_config.HeadDim))]);
        if (_parts > 1)
            _device.Launch(_functions.MergeAttention, (rows, _config.Heads, 1), AttentionThreads, [(long)_partial, (long)context.Address, _parts, _config.HeadDim]);
    }

    public void SiluMultiply(Activation gateUp, Activation product) =>
        _device.Launch(
            _functions.SiluMultiply, (Rows(_step.Rows), Pieces(product.Width, Threads), 1), Threads, [(long)gateUp.Address, (long)product.Address, product.Width]);

    public void Gather(Activation x, IReadOnlyList<int> rows, int first, int count, Activation y)
    {
        if (ReferenceEquals(rows, _step.LogitRows))
        {
            CopyRows(x.Address, _now.LogitRows + first, y, count);
            return;
        }

        BesideTorch(() =>
        {
            using var scope = NewDisposeScope();
            Tensor ids = TensorMemory.UploadIds([.. rows.Skip(first).Take(count)], _torchDevice);
            y.Rows(count).copy_(x.Rows(_step.Rows).index_select(0, ids));
        });
    }

    public void AnnounceDeltas(int layer, Site site, CoreSlab? cores)
    {
        // A GPU hides the latency of the cores by itself.
    }

    public void AddDeltas(IReadOnlyList<ClusterSegment> segments, int layer, Site site, CoreSlab cores, Activation x, Activation y)
    {
        foreach (ClusterSegment segment in segments)
        {
            if (segment.Cluster.At(layer, site) is { } basis)
                AddDelta(segment, basis, cores, x, y);
        }
    }

    public void AddPrivateDelta(PrivateSegment segment, int layer, Site site, Activation x, Activation y) =>
        BesideTorch(() => TorchPrivateParts.AddDelta(segment, segment.Parts.At(layer, site)!, x, y));

    public void AddScaled(PrivateSegment segment, PagedVector gain, Activation source, int sourceRow, Activation y, int column) =>
        BesideTorch(() => TorchPrivateParts.AddScaled(segment, gain, source, sourceRow, y, column));

    public void AddBias(PrivateSegment segment, PagedVector bias, Activation y, int column) =>
        BesideTorch(() => TorchPrivateParts.AddBias(segment, bias, y, column));

    public void Dispose()
    {
        _device.Enter();
        _device.Wait();
        _graphs?.Dispose();
        _now.Dispose();
        _device.Free(_partial);
        _shrunk.Dispose();
        _mixed.Dispose();
        _cos.Dispose();
        _sin.Dispose();
        _device.Dispose();
    }

    private void AddDelta(ClusterSegment segment, SiteBasis basis, CoreSlab cores, Activation x, Activation y)
    {
        // A padded step runs all its rows through every cluster; rows of another one add zeros.
        int start = _padded ? 0 : segment.Start, count = _padded ? _paddedRows : segment.Count;
        int* slots = _padded ? _now.Mask(IndexOf(segment)) : _now.AdapterSlots + start;
        float* shrunk = (float*)_shrunk.Address;
        _device.Multiply(new MatrixProduct(
            true, basis.ShrinkWidth, count, x.Width, (nint)basis.Shrink.Address, x.Width, Element(x, start, 0), x.Width, (nint)shrunk, _shrunk.Width, 0, true));
        _device.Launch(
            _functions.MixCores, (count, basis.Modules.Count, 1), AttentionThreads,
            [(long)shrunk, _shrunk.Width, (long)cores.Address(0, 0), cores.ElementBytes, cores.Pitch, (long)slots, (long)_mixed.Address, _mixed.Width], Places(basis, stackalloc int[15]));
        foreach (ModuleBasis module in basis.Modules)
        {
            _device.Multiply(new MatrixProduct(
                false, module.DOut, count, module.RU, (nint)module.Expand.Address, module.DOut,
                Element(_mixed, 0, module.CoreColumn), _mixed.Width, Element(y, start, module.Column), y.Width, 1, false));
        }
    }

    /// <summary>Torch operations between our own, on another stream: each waits for the other. Never part of a recorded step.</summary>
    private void BesideTorch(Action operations)
    {
        _device.Wait();
        operations();
        if (_torchDevice.type == TorchSharp.DeviceType.CUDA)
            cuda.synchronize();
        _device.Enter();
    }

    private static int Pieces(int width, int size) => (width + size - 1) / size;

    private static int Bucket(int rows) => (int)BitOperations.RoundUpToPowerOf2((uint)rows);

    private static long Bits(float value) => BitConverter.SingleToUInt32Bits(value);

    private static ReadOnlySpan<int> Places(SiteBasis basis, Span<int> places)
    {
        for (int i = 0; i < basis.Modules.Count; i++)
        {
            ModuleBasis module = basis.Modules[i];
            ReadOnlySpan<int> values = [module.ShrinkColumn, module.RV, module.CoreColumn, module.RU, module.CoreOffset];
            for (int field = 0; field < values.Length; field++)
                places[(3 * field) + i] = values[field];
        }

        return places;
    }

    /// <summary>Rows of the step's own operations, with the padding while the layers of a padded step run.</summary>
    private int Rows(int rows) => _padded && rows == _step.Rows ? _paddedRows : rows;

    private nint Element(Activation activation, int row, int column) =>
        (nint)(activation.Address + ((((long)row * activation.Width) + column) * _elementSize));

    private void CopyRows(void* source, int* ids, Activation target, int rows) =>
        _device.Launch(_functions.CopyRows, (rows, Pieces(target.Width, Threads), 1), Threads, [(long)source, (long)ids, (long)target.Address, target.Width]);

    /// <summary>Enough blocks to fill the device twice, while each has positions enough to be worth it. A power of two.</summary>
    private int CountParts(int rows, int longest)
    {
        int parts = 1;
        while (2L * parts * rows * HeadGroups <= 2L * _device.Multiprocessors && longest >= 2 * parts * LeastPart)
            parts *= 2;
        return parts;
    }

    private GraphKey Key(CoreSlab? cores)
    {
        ResidentCluster? At(int i) => i < _step.Segments.Count ? _step.Segments[i].Cluster : null;
        return new GraphKey(_paddedRows, _parts, cores, At(0), At(1), At(2), At(3));
    }

    private int IndexOf(ClusterSegment segment)
    {
        int index = 0;
        while (_step.Segments[index] != segment)
            index++;
        return index;
    }

    /// <returns>True when the buffers were exchanged.</returns>
    private bool EnsureAdapterScratch(IReadOnlyList<ClusterSegment> segments)
    {
        int shrink = _shrunk.Width, core = _mixed.Width;
        foreach (ClusterSegment segment in segments)
        {
            shrink = Math.Max(shrink, segment.Cluster.ShrinkWidth);
            core = Math.Max(core, segment.Cluster.CoreWidth);
        }

        if (shrink == _shrunk.Width && core == _mixed.Width)
            return false;
        _shrunk.Dispose();
        _mixed.Dispose();
        _shrunk = new Activation(_maxRows, shrink, ScalarType.Float32, _torchDevice);
        _mixed = new Activation(_maxRows, core, _dtype, _torchDevice);
        return true;
    }

    private readonly struct Functions(IKernelDevice device)
    {
        public nint RmsNorm { get; } = device.Function("rms_norm");

        public nint NormalizeHeads { get; } = device.Function("normalize_heads");

        public nint RotateAndCache { get; } = device.Function("rotate_and_cache");

        public nint SiluMultiply { get; } = device.Function("silu_multiply");

        public nint AddBias { get; } = device.Function("add_bias");

        public nint CopyRows { get; } = device.Function("copy_rows");

        public nint MixCores { get; } = device.Function("mix_cores");

        public nint Attend { get; } = device.Function("attend");

        public nint MergeAttention { get; } = device.Function("merge_attention");
    }
}
