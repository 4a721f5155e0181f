using System.Runtime.InteropServices;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
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

    private readonly ModelConfig _config;
    private readonly RotaryTable _rotary;
    private readonly bool? _basesInPanels;
    private readonly ComputePool _pool;
    private readonly PanelProduct _panels;
    private readonly RowMajorProduct _rowMajor;
    private readonly PagedAttention<T> _attention;
    private readonly ClusterDeltas<T> _clusterDeltas;
    private StepInput _step = new(0);

    /// <param name="maxRows">Most tokens in a step.</param>
    /// <param name="pool">Owned from here on.</param>
    /// <param name="panels">Whether bases lie in panels; null tries both.</param>
    public CpuKernels(ModelConfig config, RotaryTable rotary, int maxRows, ComputePool pool, bool? panels)
    {
        _config = config;
        _rotary = rotary;
        _basesInPanels = panels;
        _pool = pool;
        _panels = new PanelProduct(pool);
        _rowMajor = new RowMajorProduct(pool);
        _attention = new PagedAttention<T>(config, rotary.Positions, pool);
        _clusterDeltas = new ClusterDeltas<T>(pool, _panels, maxRows);
    }

    public void BeginStep(StepInput step)
    {
        _step = step;
        _clusterDeltas.BeginStep(step.Segments);
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

    public void Arrange(SiteBasis basis) => BasisLayout.Choose(basis, _basesInPanels);

    public void AddDeltas(IReadOnlyList<ClusterSegment> segments, int layer, Site site, CoreSlab cores, Activation x, Activation y) =>
        _clusterDeltas.Add(segments, layer, site, _step.AdapterSlot, cores, x, y);

    public void Dispose()
    {
        _pool.Dispose();
        _panels.Dispose();
        _attention.Dispose();
        _clusterDeltas.Dispose();
        NativeMemory.AlignedFree(_privateShrink);
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
}
