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
/// <param name="Expand">Uᵀ [RU, DOut].</param>
internal sealed record ModuleBasis(string Name, int Column, int ShrinkColumn, int CoreColumn, int CoreOffset, int RU, int RV, Matrix Expand)
{
    /// <summary>Output width of the module.</summary>
    public int DOut => Expand.In;
}

/// <summary>The bases of the modules that read one input: one shrink, then per module a core and an expand.</summary>
/// <param name="Shrink">The modules' Vᵀ stacked, [Σ RV, DIn].</param>
internal sealed record SiteBasis(Matrix Shrink, IReadOnlyList<ModuleBasis> Modules)
{
    public int ShrinkWidth { get; } = Modules.Sum(m => m.RV);

    public int CoreWidth { get; } = Modules.Sum(m => m.RU);

    /// <summary>Where the site's cores begin in an adapter's slot, in numbers; the modules' cores follow each other.</summary>
    public int CoreOffset { get; } = Modules[0].CoreOffset;

    /// <summary>Numbers in the site's cores of one adapter.</summary>
    public int CoreLength { get; } = Modules.Sum(m => m.RU * m.RV);
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
    /// <param name="firstCore">Where its cores begin in an adapter's slot, behind those of another cluster.</param>
    /// <exception cref="InvalidAdapterException">A basis does not fit the base model.</exception>
    public ResidentCluster(
        string key, IReadOnlyDictionary<string, ClusterBasis> bases, ModelConfig config, ScalarType dtype, Device device, int firstCore = 0)
    {
        Key = key;
        CoreLength = firstCore;
        _sites = new SiteBasis?[config.Layers * AdaptedModule.Sites];
        var modules = bases.Select(b => (Name: b.Key, Module: AdaptedModule.Parse(b.Key, config), Basis: b.Value)).ToList();
        modules.ForEach(m => Check(m.Name, m.Module, m.Basis));
        foreach (var site in modules.GroupBy(m => (m.Module.Layer, m.Module.Site)))
        {
            SiteBasis basis = Upload([.. site.OrderBy(m => m.Module.Order)], dtype, device);
            _sites[(site.Key.Layer * AdaptedModule.Sites) + (int)site.Key.Site] = basis;
            ShrinkWidth = Math.Max(ShrinkWidth, basis.ShrinkWidth);
            CoreWidth = Math.Max(CoreWidth, basis.CoreWidth);
        }
    }

    public string Key { get; }

    /// <summary>Floats an adapter of this cluster needs in its slot, those before its first core included.</summary>
    public int CoreLength { get; private set; }

    /// <summary>Widest shrunk row over all sites.</summary>
    public int ShrinkWidth { get; }

    /// <summary>Widest core row over all sites.</summary>
    public int CoreWidth { get; }

    /// <summary>Loaded adapters that use this cluster; guarded by the store.</summary>
    public int Adapters { get; set; }

    /// <summary>Made for one uncompressed adapter: goes when that adapter is evicted.</summary>
    public bool RemoveWithLastAdapter { get; init; }

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
            ExactAdapter.Transpose(core, module.RU, module.RV).CopyTo(packed[module.CoreOffset..]);
        }
    }

    /// <summary>Lays out identities as cores: the bases themselves are what an adapter adds.</summary>
    public void PackIdentities(Span<float> packed)
    {
        foreach (ModuleBasis module in _modules.Values)
            ExactAdapter.Identity(module.RU).CopyTo(packed[module.CoreOffset..]);
    }

    public void Dispose()
    {
        foreach (SiteBasis? site in _sites)
        {
            site?.Shrink.Dispose();
            foreach (ModuleBasis module in site?.Modules ?? [])
                module.Expand.Dispose();
        }
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
        float[] shrink = [.. site.SelectMany(m => ExactAdapter.Transpose(m.Basis.V, inputs, m.Basis.RV))];
        var modules = new List<ModuleBasis>();
        int shrinkColumn = 0, coreColumn = 0;
        foreach (var (name, module, basis) in site)
        {
            Tensor expand = TensorMemory.Upload(ExactAdapter.Transpose(basis.U, basis.DOut, basis.RU), dtype, device, basis.RU, basis.DOut);
            var placed = new ModuleBasis(name, module.Column, shrinkColumn, coreColumn, CoreLength, basis.RU, basis.RV, new Matrix(expand));
            modules.Add(placed);
            _modules.Add(name, placed);
            shrinkColumn += basis.RV;
            coreColumn += basis.RU;
            CoreLength += basis.RU * basis.RV;
        }

        return new SiteBasis(new Matrix(TensorMemory.Upload(shrink, dtype, device, shrinkColumn, inputs)), modules);
    }
}

/// <summary>Consecutive rows of a step whose adapters share one cluster.</summary>
internal readonly record struct ClusterSegment(ResidentCluster Cluster, int Start, int Count);
