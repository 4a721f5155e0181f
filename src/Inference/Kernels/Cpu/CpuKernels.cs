using System.Runtime.InteropServices;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// The forward pass on the CPU: fused loops over preallocated memory, shared among the threads of one pool. Matrix products
/// are our own where they are faster, and torch's otherwise.
/// </summary>
internal sealed unsafe partial class CpuKernels<T> : IKernels
    where T : unmanaged, IElement<T>
{
    /// <summary>Numbers from which a loop over rows is shared among threads.</summary>
    private const int SharedWork = 1 << 14;

    /// <summary>Rows that make an adapter's part worth sharing, and parts for each thread where our own loops compute them.</summary>
    private const int LeastDeltaRows = 4;
    private const int DeltaPartsPerThread = 4;
    private readonly ModelConfig _config;
    private readonly RotaryTable _rotary;
    private readonly int _maxRows;
    private readonly ComputePool _pool;
    private readonly PanelProduct _panels;
    private readonly RowMajorProduct _rowMajor;
    private readonly PagedAttention<T> _attention;
    private StepInput _step = new(0);
    private float* _mixedCores;
    private int _shrinkWidth;
    private int _coreWidth;
    private Activation? _shrink;
    private Activation? _cores;

    /// <param name="pool">Owned from here on.</param>
    public CpuKernels(ModelConfig config, RotaryTable rotary, int maxRows, ComputePool pool)
    {
        _config = config;
        _rotary = rotary;
        _maxRows = maxRows;
        _pool = pool;
        _panels = new PanelProduct(pool);
        _rowMajor = new RowMajorProduct(pool);
        _attention = new PagedAttention<T>(config, rotary.Positions, pool);
    }

    private static ScalarType DType => sizeof(T) == sizeof(float) ? ScalarType.Float32 : ScalarType.BFloat16;

    public void BeginStep(StepInput step)
    {
        _step = step;
        EnsureAdapterScratch(step.Segments);
        _shrink?.TrimViews();
        _cores?.TrimViews();
    }

    public void Run(CoreSlab? cores, Action layers) => layers();

    public void Embed(Matrix table, Activation hidden) => ForRows(_step.Rows, hidden.Width, row =>
    {
        if (table.InPanels)
            Panels.CopyRow((ushort*)table.Address, _step.TokenIds[row], table.In, (ushort*)Row(hidden, row));
        else
            NativeMemory.Copy((T*)table.Address + ((long)_step.TokenIds[row] * hidden.Width), Row(hidden, row), (nuint)(hidden.Width * sizeof(T)));
    });

    public void RmsNorm(Activation x, Tensor weight, float epsilon, Activation y, int rows)
    {
        float* scale = (float*)TensorMemory.Address(weight);
        ForRows(rows, x.Width, row => CpuElementwise.RmsNorm(Row(x, row), scale, epsilon, Row(y, row), x.Width));
    }

    public void Linear(Activation x, Matrix weight, Activation y, int rows, bool accumulate)
    {
        if (!weight.InPanels)
            _rowMajor.Multiply<T>(x, weight, y, rows, accumulate);
        else if (y.DType == ScalarType.Float32)
            MultiplyPanels((F32*)y.Address);
        else
            MultiplyPanels((Bf16*)y.Address);

        void MultiplyPanels<TY>(TY* target)
            where TY : unmanaged, IElement<TY> =>
            _panels.Multiply((ushort*)x.Address, x.Width, (ushort*)weight.Address, weight.In, weight.Out, target, y.Width, rows, accumulate);
    }

    public void AddBias(Tensor bias, Activation y)
    {
        float* values = (float*)TensorMemory.Address(bias);
        for (int row = 0; row < _step.Rows; row++)
            CpuElementwise.Add(values, Row(y, row), y.Width);
    }

    public void NormalizeHeads(Activation qkv, Tensor query, Tensor key, float epsilon)
    {
        float* queryScale = (float*)TensorMemory.Address(query), keyScale = (float*)TensorMemory.Address(key);
        ForRows(_step.Rows, qkv.Width, row =>
        {
            T* head = Row(qkv, row);
            for (int i = 0; i < _config.Heads + _config.KvHeads; i++, head += _config.HeadDim)
                CpuElementwise.RmsNorm(head, i < _config.Heads ? queryScale : keyScale, epsilon, head, _config.HeadDim);
        });
    }

    public void RotateAndCache(Activation qkv, KvLayer cache) => ForRows(_step.Rows, qkv.Width, row =>
    {
        int rotated = _config.Heads + _config.KvHeads, half = _rotary.Half;
        nuint bytes = (nuint)(_config.KvWidth * sizeof(T));
        T* query = Row(qkv, row), key = query + _config.QueryWidth, value = key + _config.KvWidth;
        long angle = (long)_step.Positions[row] * half, slot = (long)_step.SlotMapping[row] * _config.KvWidth;
        fixed (float* cos = _rotary.Cos, sin = _rotary.Sin)
            CpuElementwise.Rotate(query, rotated, half, cos + angle, sin + angle);
        NativeMemory.Copy(key, (T*)cache.KeyAddress + slot, bytes);
        NativeMemory.Copy(value, (T*)cache.ValueAddress + slot, bytes);
    });

    public void Attend(Activation qkv, KvLayer cache, int window, Activation context) => _attention.Run(_step, qkv, cache, window, context);

    public void SiluMultiply(Activation gateUp, Activation product) => ForRows(_step.Rows, gateUp.Width, row =>
        CpuElementwise.SiluMultiply(Row(gateUp, row), Row(gateUp, row) + product.Width, Row(product, row), product.Width));

    public void Gather(Activation x, IReadOnlyList<int> rows, int first, int count, Activation y)
    {
        nuint bytes = (nuint)(x.Width * sizeof(T));
        for (int i = 0; i < count; i++)
            NativeMemory.Copy(Row(x, rows[first + i]), Row(y, i), bytes);
    }

    public void AnnounceDeltas(int layer, Site site, CoreSlab? cores)
    {
        if (_pool.Threads == 1)
            _rowMajor.Prefetch.Plan(_step, layer, site, cores, sizeof(T));
    }

    public void AddDelta(ClusterSegment segment, SiteBasis basis, CoreSlab cores, Activation x, Activation y)
    {
        // The products with the shared bases follow the same rule as the base model's; only the cores differ by row.
        bool small = segment.Count <= RowMajorProduct.FewRows<T>()
            || (segment.Count <= RowMajorProduct.SmallRows && (long)basis.Shrink.In * basis.Shrink.Out <= RowMajorProduct.SmallWeight);
        int most = _pool.Threads == 1 || !small ? _pool.Threads : DeltaPartsPerThread * _pool.Threads;
        int parts = Math.Clamp(segment.Count / LeastDeltaRows, 1, most);
        _pool.For(parts, (part, _) =>
        {
            int start = (int)((long)segment.Count * part / parts), end = (int)((long)segment.Count * (part + 1) / parts);
            AddDeltaPart(segment with { Start = segment.Start + start, Count = end - start }, basis, cores, x, y, small);
        });
    }

    public void Dispose()
    {
        _pool.Dispose();
        _panels.Dispose();
        _attention.Dispose();
        NativeMemory.AlignedFree(_mixedCores);
        NativeMemory.AlignedFree(_privateShrink);
        _shrink?.Dispose();
        _cores?.Dispose();
    }

    private static T* Row(Activation activation, int row) => (T*)activation.Address + ((long)row * activation.Width);

    private static float* Floats(int count) => (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(count, 16) * sizeof(float), 64);

    /// <summary>Runs the body for rows [0, rows), on all threads when there is enough to do.</summary>
    /// <param name="width">Numbers in a row.</param>
    private void ForRows(int rows, int width, Action<int> body)
    {
        int parts = (long)rows * width < SharedWork ? 1 : Math.Min(rows, 4 * _pool.Threads);
        _pool.For(parts, (part, _) =>
        {
            int end = (int)((long)rows * (part + 1) / parts);
            for (int row = (int)((long)rows * part / parts); row < end; row++)
                body(row);
        });
    }

    private void AddDeltaPart(ClusterSegment segment, SiteBasis basis, CoreSlab cores, Activation x, Activation y, bool small)
    {
        Shrink(segment, basis, x, small);
        foreach (ModuleBasis module in basis.Modules)
        {
            if (cores.ElementBytes == sizeof(float))
                MixCores<F32>(segment, module, cores);
            else
                MixCores<Bf16>(segment, module, cores);
            if (small)
            {
                CpuLinear.AddCombinations(
                    _mixedCores + ((long)segment.Start * _coreWidth) + module.CoreColumn, _coreWidth, (T*)module.Expand.Address, module.RU,
                    Row(y, segment.Start) + module.Column, y.Width, segment.Count, module.DOut);
            }
        }

        if (!small)
            Expand(segment, basis, y);
    }

    private void Shrink(ClusterSegment segment, SiteBasis basis, Activation x, bool small)
    {
        if (small)
        {
            CpuLinear.Multiply(
                Row(x, segment.Start), x.Width, (T*)basis.Shrink.Address, basis.Shrink.In,
                Row(_shrink!, segment.Start), _shrink!.Width, segment.Count, basis.ShrinkWidth, accumulate: false);
        }
        else
        {
            using var scope = torch.NewDisposeScope();
            _shrink!.Part(segment.Start, segment.Count, 0, basis.ShrinkWidth)
                .addmm_(x.Part(segment.Start, segment.Count, 0, x.Width), basis.Shrink.Transposed, beta: 0);
        }
    }

    /// <summary>Σ of every row's own adapter.</summary>
    private void MixCores<C>(ClusterSegment segment, ModuleBasis module, CoreSlab cores)
        where C : unmanaged, IElement<C>
    {
        int end = segment.Start + segment.Count;
        for (int row = segment.Start; row < end; row++)
        {
            if (row + 1 < end)
                CorePrefetch.Near((byte*)CoreOf(row + 1), module.RU * module.RV * sizeof(C));
            CpuLinear.Core(
                CoreOf(row), Row(_shrink!, row) + module.ShrinkColumn, module.RV,
                _mixedCores + ((long)row * _coreWidth) + module.CoreColumn, module.RU);
        }

        C* CoreOf(int row) => (C*)cores.Address(_step.AdapterSlot[row], module.CoreOffset);
    }

    private void Expand(ClusterSegment segment, SiteBasis basis, Activation y)
    {
        for (int row = segment.Start; row < segment.Start + segment.Count; row++)
        {
            T* target = Row(_cores!, row);
            float* mixed = _mixedCores + ((long)row * _coreWidth);
            for (int i = 0; i < basis.CoreWidth; i++)
                T.Write(target + i, mixed[i]);
        }

        using var scope = torch.NewDisposeScope();
        foreach (ModuleBasis module in basis.Modules)
        {
            y.Part(segment.Start, segment.Count, module.Column, module.DOut)
                .addmm_(_cores!.Part(segment.Start, segment.Count, module.CoreColumn, module.RU), module.Expand.Weight);
        }
    }

    private void EnsureAdapterScratch(IReadOnlyList<ClusterSegment> segments)
    {
        int shrinkWidth = _shrinkWidth, coreWidth = _coreWidth;
        foreach (ClusterSegment segment in segments)
        {
            shrinkWidth = Math.Max(shrinkWidth, segment.Cluster.ShrinkWidth);
            coreWidth = Math.Max(coreWidth, segment.Cluster.CoreWidth);
        }

        if (shrinkWidth == _shrinkWidth && coreWidth == _coreWidth)
            return;
        NativeMemory.AlignedFree(_mixedCores);
        _shrink?.Dispose();
        _cores?.Dispose();
        _shrinkWidth = shrinkWidth;
        _coreWidth = coreWidth;
        _mixedCores = Floats(_maxRows * coreWidth);
        _shrink = new Activation(_maxRows, shrinkWidth, DType, CPU);
        _cores = new Activation(_maxRows, coreWidth, DType, CPU);
    }
}
