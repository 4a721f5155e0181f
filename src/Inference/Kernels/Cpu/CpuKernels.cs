using System.Runtime.InteropServices;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels.Cpu;

/// <summary>
/// The forward pass on the CPU: fused loops for everything but large matrix products, which stay with torch. Works in
/// place on preallocated memory, so a decode step allocates nothing.
/// </summary>
internal sealed unsafe class CpuKernels<T> : IKernels
    where T : unmanaged, IElement<T>
{
    /// <summary>Weights of at most this many numbers are multiplied here for any number of rows up to <see cref="SmallRows"/>.</summary>
    private const long SmallWeight = 1 << 17;
    private const int SmallRows = 64;

    /// <summary>Outputs computed between two turns of the prefetch.</summary>
    private const int StripOutputs = 8;
    private readonly ModelConfig _config;
    private readonly RotaryTable _rotary;
    private readonly float* _query;
    private readonly float* _scores;
    private readonly float* _mixed;
    private readonly int _maxRows;
    private readonly CorePrefetch _prefetch = new();
    private StepInput _step = new(0);
    private float* _mixedCores;
    private int _shrinkWidth;
    private int _coreWidth;
    private Activation? _shrink;
    private Activation? _cores;

    public CpuKernels(ModelConfig config, RotaryTable rotary, int maxRows)
    {
        _config = config;
        _rotary = rotary;
        _maxRows = maxRows;
        _query = Floats(config.HeadDim);
        _scores = Floats(rotary.Positions);
        _mixed = Floats(config.HeadDim);
    }

    /// <summary>Rows up to which the fused product beats torch for large weights: it is bound by reading the weights.</summary>
    private static int FewRows => sizeof(T) == sizeof(float) ? 8 : 2;

    private static ScalarType DType => sizeof(T) == sizeof(float) ? ScalarType.Float32 : ScalarType.BFloat16;

    public void BeginStep(StepInput step)
    {
        _step = step;
        EnsureAdapterScratch(step.Segments);
        _shrink?.TrimViews();
        _cores?.TrimViews();
    }

    public void Embed(Matrix table, Activation hidden)
    {
        nuint bytes = (nuint)(hidden.Width * sizeof(T));
        for (int row = 0; row < _step.Rows; row++)
            NativeMemory.Copy((T*)table.Address + ((long)_step.TokenIds[row] * hidden.Width), Row(hidden, row), bytes);
    }

    public void RmsNorm(Activation x, Tensor weight, float epsilon, Activation y, int rows)
    {
        float* scale = (float*)TensorMemory.Address(weight);
        for (int row = 0; row < rows; row++)
            CpuElementwise.RmsNorm(Row(x, row), scale, epsilon, Row(y, row), x.Width);
    }

    public void Linear(Activation x, Matrix weight, Activation y, int rows, bool accumulate)
    {
        if (rows <= FewRows || (rows <= SmallRows && (long)weight.In * weight.Out <= SmallWeight))
            Multiply(x, weight, y, rows, accumulate);
        else
            y.Rows(rows).addmm_(x.Rows(rows), weight.Transposed, beta: accumulate ? 1 : 0);
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
        for (int row = 0; row < _step.Rows; row++)
        {
            T* head = Row(qkv, row);
            for (int i = 0; i < _config.Heads + _config.KvHeads; i++, head += _config.HeadDim)
                CpuElementwise.RmsNorm(head, i < _config.Heads ? queryScale : keyScale, epsilon, head, _config.HeadDim);
        }
    }

    public void RotateAndCache(Activation qkv, KvLayer cache)
    {
        int rotated = _config.Heads + _config.KvHeads, half = _rotary.Half;
        nuint bytes = (nuint)(_config.KvWidth * sizeof(T));
        fixed (float* cos = _rotary.Cos, sin = _rotary.Sin)
        {
            for (int row = 0; row < _step.Rows; row++)
            {
                T* query = Row(qkv, row), key = query + _config.QueryWidth, value = key + _config.KvWidth;
                long angle = (long)_step.Positions[row] * half, slot = (long)_step.SlotMapping[row] * _config.KvWidth;
                CpuElementwise.Rotate(query, rotated, half, cos + angle, sin + angle);
                NativeMemory.Copy(key, (T*)cache.KeyAddress + slot, bytes);
                NativeMemory.Copy(value, (T*)cache.ValueAddress + slot, bytes);
            }
        }
    }

    public void Attend(Activation qkv, KvLayer cache, int window, Activation context)
    {
        foreach (SequenceRows sequence in _step.Sequences)
        {
            if (sequence.Rows >= PrefillAttention.MinRows)
            {
                PrefillAttention.Attend(sequence, _config, qkv, cache, window, context);
                continue;
            }

            for (int i = 0; i < sequence.Rows; i++)
            {
                int row = sequence.FirstRow + i, end = sequence.Context - sequence.Rows + i + 1;
                for (int head = 0; head < _config.Heads; head++)
                    AttendHead(sequence, Math.Max(0, end - window), end, head, Row(qkv, row), cache, Row(context, row));
            }
        }
    }

    public void SiluMultiply(Activation gateUp, Activation product)
    {
        for (int row = 0; row < _step.Rows; row++)
            CpuElementwise.SiluMultiply(Row(gateUp, row), Row(gateUp, row) + product.Width, Row(product, row), product.Width);
    }

    public void Gather(Activation x, IReadOnlyList<int> rows, int first, int count, Activation y)
    {
        nuint bytes = (nuint)(x.Width * sizeof(T));
        for (int i = 0; i < count; i++)
            NativeMemory.Copy(Row(x, rows[first + i]), Row(y, i), bytes);
    }

    public void AnnounceDeltas(int layer, Site site, CoreSlab cores) => _prefetch.Plan(_step, layer, site, cores, sizeof(T));

    public void AddDelta(ClusterSegment segment, SiteBasis basis, CoreSlab cores, Activation x, Activation y)
    {
        // The products with the shared bases follow the same rule as the base model's; only the cores differ by row.
        bool small = segment.Count <= FewRows || (segment.Count <= SmallRows && (long)basis.Shrink.In * basis.Shrink.Out <= SmallWeight);
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

    public void Dispose()
    {
        NativeMemory.AlignedFree(_query);
        NativeMemory.AlignedFree(_scores);
        NativeMemory.AlignedFree(_mixed);
        NativeMemory.AlignedFree(_mixedCores);
        _shrink?.Dispose();
        _cores?.Dispose();
    }

    private static T* Row(Activation activation, int row) => (T*)activation.Address + ((long)row * activation.Width);

    private static float* Floats(int count) => (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(count, 16) * sizeof(float), 64);

    private void Multiply(Activation x, Matrix weight, Activation y, int rows, bool accumulate)
    {
        int strips = (weight.Out + StripOutputs - 1) / StripOutputs;
        for (int strip = 0; strip < strips; strip++)
        {
            _prefetch.FetchShare(strips - strip);
            int first = strip * StripOutputs;
            CpuLinear.Multiply(
                Row(x, 0), x.Width, (T*)weight.Address + ((nint)first * weight.In), weight.In,
                Row(y, 0) + first, y.Width, rows, Math.Min(StripOutputs, weight.Out - first), accumulate);
        }
    }

    /// <summary>Attention of one head over positions [begin, end).</summary>
    private void AttendHead(in SequenceRows sequence, int begin, int end, int head, T* query, KvLayer cache, T* context)
    {
        int width = _config.HeadDim, stride = _config.KvWidth, blockSize = sequence.Blocks.BlockSize;
        long column = (long)(head / (_config.Heads / _config.KvHeads)) * width;
        float scale = 1 / MathF.Sqrt(width);
        for (int i = 0; i < width; i++)
        {
            _query[i] = T.Read(query + (head * width) + i) * scale;
            _mixed[i] = 0;
        }

        ReadOnlySpan<int> blocks = sequence.Blocks.Blocks;
        for (int b = begin / blockSize; b * blockSize < end; b++)
        {
            int from = Math.Max(begin, b * blockSize), to = Math.Min(end, (b + 1) * blockSize);
            long slot = ((long)(blocks[b] - b) * blockSize) + from;
            CpuAttention.Scores(_query, (T*)cache.KeyAddress + (slot * stride) + column, stride, width, to - from, _scores + from - begin);
        }

        float sum = CpuAttention.Exponentiate(_scores, end - begin);
        for (int b = begin / blockSize; b * blockSize < end; b++)
        {
            int from = Math.Max(begin, b * blockSize), to = Math.Min(end, (b + 1) * blockSize);
            long slot = ((long)(blocks[b] - b) * blockSize) + from;
            CpuAttention.Mix(_scores + from - begin, (T*)cache.ValueAddress + (slot * stride) + column, stride, width, to - from, _mixed);
        }

        for (int i = 0; i < width; i++)
            T.Write(context + (head * width) + i, _mixed[i] / sum);
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
            _shrink!.Slice(segment.Start, segment.Count, 0, basis.ShrinkWidth)
                .addmm_(x.Slice(segment.Start, segment.Count, 0, x.Width), basis.Shrink.Transposed, beta: 0);
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

        foreach (ModuleBasis module in basis.Modules)
        {
            y.Slice(segment.Start, segment.Count, module.Column, module.DOut)
                .addmm_(_cores!.Slice(segment.Start, segment.Count, module.CoreColumn, module.RU), module.Expand.Weight);
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
