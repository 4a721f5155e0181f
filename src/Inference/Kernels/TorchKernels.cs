using Eigengate.Inference.Adapters;
using Eigengate.Inference.KvCache;
using Eigengate.Inference.Models;
using Eigengate.Inference.Scheduling;
using TorchSharp;
using static TorchSharp.torch;

namespace Eigengate.Inference.Kernels;

/// <summary>The forward pass in plain torch operations: runs on every device, and is the reference for the fused kernels.</summary>
internal sealed class TorchKernels : IKernels
{
    private readonly ModelConfig _config;
    private readonly Device _device;
    private readonly Tensor _cos;
    private readonly Tensor _sin;
    private StepInput _step = new(0);
    private StepTensors? _tensors;

    public TorchKernels(ModelConfig config, RotaryTable rotary, Device device)
    {
        _config = config;
        _device = device;
        _cos = TensorMemory.Upload(rotary.Cos, ScalarType.Float32, device, rotary.Positions, rotary.Half);
        _sin = TensorMemory.Upload(rotary.Sin, ScalarType.Float32, device, rotary.Positions, rotary.Half);
    }

    private StepTensors Now => _tensors ?? throw new InvalidOperationException("no step has begun");

    public void BeginStep(StepInput step)
    {
        _step = step;
        _tensors?.Dispose();
        _tensors = new StepTensors(step, _cos, _sin, _device);
    }

    public void Run(CoreSlab? cores, Action layers) => layers();

    public void Embed(Matrix table, Activation hidden)
    {
        using var scope = torch.NewDisposeScope();
        hidden.Rows(_step.Rows).copy_(table.Weight.index_select(0, Now.TokenIds));
    }

    public void RmsNorm(Activation x, Tensor weight, float epsilon, Activation y, int rows)
    {
        using var scope = torch.NewDisposeScope();
        y.Rows(rows).copy_(Normalized(x.Rows(rows), weight, epsilon));
    }

    public void Linear(Activation x, Matrix weight, Activation y, int rows, bool accumulate) =>
        y.Rows(rows).addmm_(x.Rows(rows), weight.Transposed, beta: accumulate ? 1 : 0);

    public void AddBias(Tensor bias, Activation y) => y.Rows(_step.Rows).add_(bias, TensorMemory.One);

    public void NormalizeHeads(Activation qkv, Tensor query, Tensor key, float epsilon)
    {
        using var scope = torch.NewDisposeScope();
        NormalizeHeads(qkv.Slice(0, _step.Rows, 0, _config.QueryWidth), _config.Heads, query, epsilon);
        NormalizeHeads(qkv.Slice(0, _step.Rows, _config.QueryWidth, _config.KvWidth), _config.KvHeads, key, epsilon);
    }

    public void RotateAndCache(Activation qkv, KvLayer cache)
    {
        using var scope = torch.NewDisposeScope();
        int rows = _step.Rows, rotated = _config.Heads + _config.KvHeads;
        Tensor heads = qkv.Slice(0, rows, 0, rotated * _config.HeadDim).unflatten(1, [rotated, _config.HeadDim]);
        Tensor[] halves = heads.to(ScalarType.Float32).chunk(2, -1);
        heads.copy_(torch.cat([
            halves[0].mul(Now.Cos).sub_(halves[1].mul(Now.Sin)),
            halves[1].mul(Now.Cos).add_(halves[0].mul(Now.Sin), TensorMemory.One)], -1));
        Tensor values = qkv.Slice(0, rows, rotated * _config.HeadDim, _config.KvWidth).unflatten(1, [_config.KvHeads, _config.HeadDim]);
        cache.FlatKeys.index_copy_(0, Now.Slots, heads.narrow(1, _config.Heads, _config.KvHeads));
        cache.FlatValues.index_copy_(0, Now.Slots, values);
    }

    public void Attend(Activation qkv, KvLayer cache, int window, Activation context)
    {
        // Sequences with equal numbers of rows go together; decoding sequences are one such group.
        foreach (AttentionGroup group in Now.Groups)
        {
            using var scope = torch.NewDisposeScope();
            int queries = group.Rows;
            Tensor keys = cache.FlatKeys.index_select(0, group.KvSlots).view(group.Sequences, -1, _config.KvHeads, _config.HeadDim);
            Tensor values = cache.FlatValues.index_select(0, group.KvSlots).view(group.Sequences, -1, _config.KvHeads, _config.HeadDim);
            Tensor query = qkv.Slice(0, _step.Rows, 0, _config.QueryWidth).index_select(0, group.QueryRows);

            // [sequences, KV heads, queries · heads per KV head, head dim] · [sequences, KV heads, head dim, context]
            int share = _config.Heads / _config.KvHeads;
            Tensor grouped = query.view(group.Sequences, queries, _config.KvHeads, share, _config.HeadDim)
                .permute(0, 2, 1, 3, 4).reshape(group.Sequences, _config.KvHeads, queries * share, _config.HeadDim);
            Tensor scores = grouped.matmul(keys.permute(0, 2, 3, 1)).to(ScalarType.Float32).div_(MathF.Sqrt(_config.HeadDim));
            scores = scores.view(group.Sequences, _config.KvHeads, queries, share, -1).add_(group.Mask(window), TensorMemory.One);
            Tensor weights = torch.nn.functional.softmax(scores, -1).to(values.dtype).flatten(2, 3);
            Tensor mixed = weights.matmul(values.permute(0, 2, 1, 3))
                .view(group.Sequences, _config.KvHeads, queries, share, _config.HeadDim).permute(0, 2, 1, 3, 4);
            context.Rows(_step.Rows).index_copy_(0, group.QueryRows, mixed.reshape(group.Sequences * queries, _config.QueryWidth));
        }
    }

    public void SiluMultiply(Activation gateUp, Activation product)
    {
        using var scope = torch.NewDisposeScope();
        Tensor gate = gateUp.Slice(0, _step.Rows, 0, product.Width).to(ScalarType.Float32);
        Tensor up = gateUp.Slice(0, _step.Rows, product.Width, product.Width);
        product.Rows(_step.Rows).copy_(torch.nn.functional.silu(gate).mul_(up));
    }

    public void Gather(Activation x, IReadOnlyList<int> rows, int first, int count, Activation y)
    {
        using var scope = torch.NewDisposeScope();
        Tensor ids = TensorMemory.UploadIds([.. rows.Skip(first).Take(count)], _device);
        y.Rows(count).copy_(x.Rows(_step.Rows).index_select(0, ids));
    }

    public void AnnounceDeltas(int layer, Site site, CoreSlab? cores)
    {
        // Torch gathers the cores itself.
    }

    public void AddDeltas(IReadOnlyList<ClusterSegment> segments, int layer, Site site, CoreSlab cores, Activation x, Activation y)
    {
        foreach (ClusterSegment segment in segments)
        {
            if (segment.Cluster.At(layer, site) is { } basis)
                AddDelta(segment, basis, cores, x, y);
        }
    }

    public void Dispose()
    {
        _tensors?.Dispose();
        _cos.Dispose();
        _sin.Dispose();
    }

    private void AddDelta(ClusterSegment segment, SiteBasis basis, CoreSlab cores, Activation x, Activation y)
    {
        using var scope = torch.NewDisposeScope();
        Tensor shrunk = x.Slice(segment.Start, segment.Count, 0, x.Width).matmul(basis.Shrink.Transposed).to(ScalarType.Float32);
        Tensor slots = Now.AdapterSlots.narrow(0, segment.Start, segment.Count);
        foreach (ModuleBasis module in basis.Modules)
        {
            Tensor core = cores.Cores.narrow(1, module.CoreOffset, module.RV * module.RU).index_select(0, slots).to(ScalarType.Float32);
            Tensor mixed = shrunk.narrow(1, module.ShrinkColumn, module.RV).unsqueeze(1)
                .bmm(core.view(segment.Count, module.RV, module.RU)).squeeze(1);
            y.Slice(segment.Start, segment.Count, module.Column, module.DOut)
                .addmm_(mixed.to(y.DType), module.Expand.Weight);
        }
    }

    /// <summary>Along the last dimension, float32.</summary>
    private static Tensor Normalized(Tensor x, Tensor weight, float epsilon)
    {
        Tensor wide = x.to(ScalarType.Float32);
        Tensor scale = wide.square().mean([-1], keepdim: true).add_(epsilon).rsqrt_();
        return wide.mul(scale).mul_(weight);
    }

    private static void NormalizeHeads(Tensor part, int count, Tensor weight, float epsilon)
    {
        Tensor heads = part.unflatten(1, [count, -1]);
        heads.copy_(Normalized(heads, weight, epsilon));
    }

    /// <summary>The step's indices on the device; lives until the next step begins.</summary>
    private sealed class StepTensors : IDisposable
    {
        private readonly DisposeScope _scope;

        public StepTensors(StepInput step, Tensor cos, Tensor sin, Device device)
        {
            _scope = torch.NewDisposeScope();
            TokenIds = TensorMemory.UploadIds(step.TokenIds.AsSpan(0, step.Rows), device);
            Slots = TensorMemory.UploadIds(step.SlotMapping.AsSpan(0, step.Rows), device);
            AdapterSlots = TensorMemory.UploadIds(step.AdapterSlot.AsSpan(0, step.Rows), device);
            Tensor positions = TensorMemory.UploadIds(step.Positions.AsSpan(0, step.Rows), device);
            Cos = cos.index_select(0, positions).unsqueeze(1);
            Sin = sin.index_select(0, positions).unsqueeze(1);
            Groups = [.. step.Sequences.GroupBy(s => s.Rows).Select(g => new AttentionGroup([.. g], device))];
            foreach (Tensor tensor in Own())
                tensor.DetachFromDisposeScope();
            _scope.Dispose();
        }

        public Tensor TokenIds { get; }

        public Tensor Slots { get; }

        public Tensor AdapterSlots { get; }

        /// <summary>[rows, 1, head_dim / 2]</summary>
        public Tensor Cos { get; }

        public Tensor Sin { get; }

        public IReadOnlyList<AttentionGroup> Groups { get; }

        public void Dispose()
        {
            foreach (Tensor tensor in Own())
                tensor.Dispose();
            foreach (AttentionGroup group in Groups)
                group.Dispose();
        }

        private IEnumerable<Tensor> Own() => [TokenIds, Slots, AdapterSlots, Cos, Sin];
    }
}
