using Eigengate.Inference.Adapters;
using Eigengate.Inference.Kernels;
using Eigengate.Inference.Scheduling;
using static TorchSharp.torch;

namespace Eigengate.Inference.Models;

/// <summary>
/// A linear layer of the base model with what the rows' adapters make of it:
/// y = gb ⊙ (W x) + gd ⊙ ((U Σ Vᵀ + s B A) x) + b + db (spec/adapters.md §0).
/// </summary>
internal sealed class AdaptedLinear(IKernels kernels, int maxRows, ScalarType dtype, Device device) : IDisposable
{
    private StepInput _step = new(0);
    private CoreSlab? _cores;

    /// <summary>Rows of adapters with gains apart from their neighbours, by what they hold. Made when the first such adapter comes.</summary>
    private readonly Dictionary<(bool Input, int Width), Activation> _scratch = [];

    /// <param name="cores">Needed when the step has segments of clusters.</param>
    public void BeginStep(StepInput step, CoreSlab? cores)
    {
        (_step, _cores) = (step, cores);
        foreach (Activation scratch in _scratch.Values)
            scratch.TrimViews();
    }

    /// <param name="accumulate">Add to y; else overwrite it.</param>
    public void Run(int layer, Site site, Activation x, LinearLayer linear, Activation y, bool accumulate = false)
    {
        if (_step.Segments.Count + _step.PrivateSegments.Count > 0)
            kernels.AnnounceDeltas(layer, site, _cores);
        kernels.Linear(x, linear.Weight, y, _step.Rows, accumulate);
        for (int i = 0; i < _step.PrivateSegments.Count; i++)
        {
            PrivateSegment segment = _step.PrivateSegments[i];
            if (segment.Parts.At(layer, site) is { } parts)
                GainBase(segment, parts, x, linear, y, accumulate);
        }

        if (linear.Bias is { } bias)
            kernels.AddBias(bias, y);
        AddCores(layer, site, x, y);
        for (int i = 0; i < _step.PrivateSegments.Count; i++)
        {
            PrivateSegment segment = _step.PrivateSegments[i];
            if (segment.Parts.At(layer, site) is { } parts)
                AddParts(segment, layer, site, parts, x, y);
        }
    }

    public void Dispose()
    {
        foreach (Activation scratch in _scratch.Values)
            scratch.Dispose();
    }

    /// <summary>y += (gb − 1) ⊙ (W x)</summary>
    private void GainBase(PrivateSegment segment, PrivateSite parts, Activation x, LinearLayer linear, Activation y, bool accumulate)
    {
        Activation? product = null;
        foreach (PrivateModule module in parts.Modules)
        {
            if (module.BaseGain is not { } gain)
                continue;
            // Where the product was added to something, it is computed again: taken from the sum it would be rounded.
            product ??= accumulate ? Product(segment, x, linear, y.Width) : y;
            kernels.AddScaled(segment, gain, product, accumulate ? 0 : segment.Start, y, module.Column);
        }
    }

    /// <summary>W x of the segment's rows, from row 0 on.</summary>
    private Activation Product(PrivateSegment segment, Activation x, LinearLayer linear, int width)
    {
        Activation inputs = Scratch(input: true, x.Width), outputs = Scratch(input: false, width);
        kernels.Gather(x, [.. Enumerable.Range(segment.Start, segment.Count)], 0, segment.Count, inputs);
        kernels.Linear(inputs, linear.Weight, outputs, segment.Count);
        return outputs;
    }

    private void AddCores(int layer, Site site, Activation x, Activation y)
    {
        if (_step.Segments.Count == 0)
            return;
        if (!_step.Segments.Any(segment => HasCoreGains(segment, layer, site)))
        {
            kernels.AddDeltas(_step.Segments, layer, site, _cores!, x, y);
            return;
        }

        kernels.AddDeltas([.. _step.Segments.Where(segment => !HasCoreGains(segment, layer, site))], layer, site, _cores!, x, y);
        foreach (ClusterSegment segment in _step.Segments.Where(segment => HasCoreGains(segment, layer, site)))
            AddScaledCores(segment, layer, site, x, y);
    }

    private static bool HasCoreGains(ClusterSegment segment, int layer, Site site) =>
        segment.Scaled?.At(layer, site) is { } scaled && Array.Exists(scaled.Modules, module => module.CoreGain is not null);

    private void AddScaledCores(ClusterSegment segment, int layer, Site site, Activation x, Activation y)
    {
        Activation delta = Scratch(input: false, y.Width);
        delta.Slice(segment.Start, segment.Count, 0, y.Width).zero_();
        kernels.AddDeltas([segment], layer, site, _cores!, x, delta);
        var rows = new PrivateSegment(segment.Scaled!, segment.Start, segment.Count);
        foreach (ModuleBasis module in segment.Cluster.At(layer, site)!.Modules)
        {
            if (Array.Find(segment.Scaled!.At(layer, site)!.Modules, m => m.Name == module.Name)?.CoreGain is { } gain)
                kernels.AddScaled(rows, gain, delta, segment.Start, y, module.Column);
            else
                y.Slice(segment.Start, segment.Count, module.Column, module.DOut).add_(delta.Slice(segment.Start, segment.Count, module.Column, module.DOut), TensorMemory.One);
        }
    }

    private void AddParts(PrivateSegment segment, int layer, Site site, PrivateSite parts, Activation x, Activation y)
    {
        if (parts.ShrinkWidth > 0)
            kernels.AddPrivateDelta(segment, layer, site, x, y);
        foreach (PrivateModule module in parts.Modules)
        {
            if (module.Bias is { } bias)
                kernels.AddBias(segment, bias, y, module.Column);
        }
    }

    private Activation Scratch(bool input, int width)
    {
        if (!_scratch.TryGetValue((input, width), out Activation? scratch))
            _scratch.Add((input, width), scratch = new Activation(maxRows, width, dtype, device));
        return scratch;
    }
}
