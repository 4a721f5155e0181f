using Eigengate.Inference.Kernels;
using Eigengate.Inference.Models;
using static TorchSharp.torch;

namespace Eigengate.Inference.Adapters;

/// <summary>One module's part of a <see cref="SiteBasis"/>.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Column">First column of the module's output in the site's output row.</param>
/// <param name="ShrinkColumn">First column of its shrunk input among the site's shrunk columns.</param>
/// <param name="CoreColumn">First column of its core output among the site's core columns.</param>
/// <param name="CoreOffset">Where Σᵀ [RV, RU] begins in an adapter's slot, in numbers.</param>
/// <param name="DOut">Output width of the module.</param>
/// <param name="expand">Uᵀ [RU, DOut].</param>
internal sealed record ModuleBasis(string Name, int Column, int ShrinkColumn, int CoreColumn, int CoreOffset, int RU, int RV, int DOut, Matrix expand) : IDisposable
{
    /// <summary>Uᵀ [RU, DOut]; in panels U [DOut, RU], with a column of zeros where RU is odd.</summary>
    public Matrix Expand { get; internal set; } = expand;

    /// <summary>Columns that its core's output takes: whole pairs, as panels want them.</summary>
    public static int PaddedWidth(int ru) => ru + (ru % 2);

    public void ToPanels()
    {
        Tensor padded = TensorMemory.AllocateZeroed(Expand.Weight.dtype, CPU, DOut, PaddedWidth(RU));
        using (Tensor present = padded.narrow(1, 0, RU))
            present.copy_(Expand.Transposed);
        Expand.Dispose();
        Expand = new Matrix(padded);
        Expand.ToPanels();
    }

    public void Dispose() => Expand.Dispose();
}

/// <summary>The bases of the modules that read one input: one shrink, then per module a core and an expand.</summary>
/// <param name="Shrink">The modules' Vᵀ stacked, [Σ RV, DIn].</param>
internal sealed record SiteBasis(Matrix Shrink, IReadOnlyList<ModuleBasis> Modules) : IDisposable
{
    public int ShrinkWidth { get; } = Modules.Sum(m => m.RV);

    public int CoreWidth { get; } = Modules.Sum(m => ModuleBasis.PaddedWidth(m.RU));

    /// <summary>Where the site's cores begin in an adapter's slot, in numbers; the modules' cores follow each other.</summary>
    public int CoreOffset { get; } = Modules[0].CoreOffset;

    /// <summary>Numbers in the site's cores of one adapter.</summary>
    public int CoreLength { get; } = Modules.Sum(m => m.RU * m.RV);

    /// <summary>Rearranges bfloat16 bases of an even number of inputs on the CPU.</summary>
    public void ToPanels()
    {
        Shrink.ToPanels();
        foreach (ModuleBasis module in Modules)
            module.ToPanels();
    }

    public void Dispose()
    {
        Shrink.Dispose();
        foreach (ModuleBasis module in Modules)
            module.Dispose();
    }
}

/// <summary>The shared bases of one adapter cluster on the device. Immutable; disposed by the store when no adapter uses it.</summary>
internal sealed class ResidentCluster : IDisposable
{
    private readonly SiteBasis?[] _sites;
    private readonly Dictionary<string, ModuleBasis> _modules = new(StringComparer.Ordinal);

    /// <param name="key">Its name.</param>
    /// <param name="bases">By module path.</param>
    /// <param name="config">Of the base model.</param>
    /// <param name="dtype">Element type on the device.</param>
    /// <param name="device">Where the bases go.</param>
    /// <param name="arrange">May rearrange a basis for the kernels that will read it.</param>
    /// <exception cref="InvalidAdapterException">A basis does not fit the base model.</exception>
    public ResidentCluster(
        string key, IReadOnlyDictionary<string, ClusterBasis> bases, ModelConfig config, ScalarType dtype, Device device, Action<SiteBasis> arrange)
    {
        Key = key;
        _sites = new SiteBasis?[config.Layers * AdaptedModule.Sites];
        var modules = bases.Select(b => (Name: b.Key, Module: AdaptedModule.Parse(b.Key, config), Basis: b.Value)).ToList();
        modules.ForEach(m => Check(m.Name, m.Module, m.Basis));
        foreach (var site in modules.GroupBy(m => (m.Module.Layer, m.Module.Site)))
        {
            SiteBasis basis = Upload([.. site.OrderBy(m => m.Module.Order)], dtype, device);
            arrange(basis);
            _sites[(site.Key.Layer * AdaptedModule.Sites) + (int)site.Key.Site] = basis;
            ShrinkWidth = Math.Max(ShrinkWidth, basis.ShrinkWidth);
            CoreWidth = Math.Max(CoreWidth, basis.CoreWidth);
        }
    }

    public string Key { get; }

    /// <summary>Floats an adapter of this cluster needs in its slot.</summary>
    public int CoreLength { get; private set; }

    /// <summary>Widest shrunk row over all sites.</summary>
    public int ShrinkWidth { get; }

    /// <summary>Widest core row over all sites.</summary>
    public int CoreWidth { get; }

    /// <summary>Loaded adapters that use this cluster; guarded by the store.</summary>
    public int Adapters { get; set; }

    public SiteBasis? At(int layer, Site site) => _sites[(layer * AdaptedModule.Sites) + (int)site];

    /// <summary>Lays an adapter's cores out as its slot expects; modules that are missing keep the zeros that are there.</summary>
    /// <param name="adapter">Its cores.</param>
    /// <param name="packed">The slot's content, at least <see cref="CoreLength"/> floats.</param>
    /// <exception cref="InvalidAdapterException">A core has no basis here, another size, or a value that is not finite.</exception>
    public void Pack(AdapterWeights adapter, Span<float> packed)
    {
        foreach (var (name, core) in adapter.Cores)
        {
            if (!_modules.TryGetValue(name, out ModuleBasis? module))
                throw new InvalidAdapterException($"adapter '{adapter.Id}' adapts module '{name}', for which cluster '{Key}' has no basis");
            if (core.Length != module.RU * module.RV)
            {
                throw new InvalidAdapterException(
                    $"adapter '{adapter.Id}': the core of module '{name}' has {core.Length} numbers; cluster '{Key}' needs [{module.RU}, {module.RV}]");
            }

            if (core.Any(value => !float.IsFinite(value)))
                throw new InvalidAdapterException($"adapter '{adapter.Id}': the core of module '{name}' has a value that is not finite");
            ClusterBasis.Transpose(core, module.RU, module.RV).CopyTo(packed[module.CoreOffset..]);
        }
    }

    public void Dispose()
    {
        foreach (SiteBasis? site in _sites)
            site?.Dispose();
    }

    private static void Check(string name, AdaptedModule module, ClusterBasis basis)
    {
        if (basis.DOut != module.DOut || basis.DIn != module.DIn)
        {
            throw new InvalidAdapterException(
                $"the basis of module '{name}' is for [{basis.DOut}, {basis.DIn}]; the base model has [{module.DOut}, {module.DIn}]");
        }

        if (basis.RU <= 0 || basis.RV <= 0 || basis.U.Length != (long)basis.DOut * basis.RU || basis.V.Length != (long)basis.DIn * basis.RV)
        {
            throw new InvalidAdapterException(
                $"the basis of module '{name}' has {basis.U.Length} and {basis.V.Length} numbers; " +
                $"U [{basis.DOut}, {basis.RU}] and V [{basis.DIn}, {basis.RV}] were expected");
        }

        if (basis.U.Any(value => !float.IsFinite(value)) || basis.V.Any(value => !float.IsFinite(value)))
            throw new InvalidAdapterException($"the basis of module '{name}' has a value that is not finite");
    }

    private SiteBasis Upload(List<(string Name, AdaptedModule Module, ClusterBasis Basis)> site, ScalarType dtype, Device device)
    {
        int inputs = site[0].Module.DIn;
        float[] shrink = [.. site.SelectMany(m => ClusterBasis.Transpose(m.Basis.V, inputs, m.Basis.RV))];
        var modules = new List<ModuleBasis>();
        int shrinkColumn = 0, coreColumn = 0;
        foreach (var (name, module, basis) in site)
        {
            Tensor expand = TensorMemory.Upload(ClusterBasis.Transpose(basis.U, basis.DOut, basis.RU), dtype, device, basis.RU, basis.DOut);
            var placed = new ModuleBasis(name, module.Column, shrinkColumn, coreColumn, CoreLength, basis.RU, basis.RV, basis.DOut, new Matrix(expand));
            modules.Add(placed);
            _modules.Add(name, placed);
            shrinkColumn += basis.RV;
            coreColumn += ModuleBasis.PaddedWidth(basis.RU);
            CoreLength += basis.RU * basis.RV;
        }

        return new SiteBasis(new Matrix(TensorMemory.Upload(shrink, dtype, device, shrinkColumn, inputs)), modules);
    }
}

/// <summary>Consecutive rows of a step whose adapters share one cluster.</summary>
/// <param name="Scaled">The adapter of all these rows when it multiplies what its cores give; else null.</param>
internal readonly record struct ClusterSegment(ResidentCluster Cluster, int Start, int Count, PrivateParts? Scaled = null);
