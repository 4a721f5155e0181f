using Eigengate.Inference.Models;

namespace Eigengate.Inference.Adapters;

/// <summary>A vector in an adapter's pages.</summary>
/// <param name="First">Index of its first page in the adapter's page table.</param>
/// <param name="Length">Numbers in it.</param>
internal readonly record struct PagedVector(int First, int Length);

/// <summary>What an adapter alone has for one module.</summary>
/// <param name="Name">Module path.</param>
/// <param name="Column">First column of the module's output in the site's output row.</param>
/// <param name="DOut">Output width.</param>
/// <param name="Rank">Of its factors; 0 when it has none.</param>
/// <param name="ShrinkColumn">First column of its shrunk input among the site's.</param>
/// <param name="FirstB">Index of the first page of (s · gd ⊙ B)ᵀ: for every page of an output row, its Rank rows in turn.</param>
/// <param name="BaseGain">gb − 1, or null.</param>
/// <param name="CoreGain">gd for what the cores give, or null.</param>
/// <param name="Bias">db, or null.</param>
internal sealed record PrivateModule(
    string Name, int Column, int DOut, int Rank, int ShrinkColumn, int FirstB, PagedVector? BaseGain, PagedVector? CoreGain, PagedVector? Bias);

/// <summary>What an adapter alone has for the modules that read one input.</summary>
/// <param name="DIn">Width of the input.</param>
/// <param name="FirstA">Index of the first page of the modules' A, [ShrinkWidth, DIn], each row in whole pages.</param>
/// <param name="ShrinkWidth">Ranks of all modules.</param>
internal sealed record PrivateSite(int DIn, int FirstA, int ShrinkWidth, PrivateModule[] Modules);

/// <summary>Where the private parts of one adapter lie in its pages. Sites follow each other in the order in which a step reads them.</summary>
internal sealed class PrivateLayout
{
    private readonly PrivateSite?[] _sites;
    private readonly PagePool _pool;

    private PrivateLayout(PagePool pool, int sites)
    {
        _pool = pool;
        _sites = new PrivateSite?[sites];
    }

    public int PageCount { get; private set; }

    /// <summary>Some module multiplies what its cores give.</summary>
    public bool HasCoreGains { get; private set; }

    /// <summary>Most shrunk columns of a site.</summary>
    public int ShrinkWidth { get; private set; }

    /// <summary>Lays the private parts of an adapter out.</summary>
    /// <exception cref="InvalidAdapterException">A part does not fit the base model, or has a value that is not finite.</exception>
    public static PrivateLayout Plan(AdapterWeights adapter, ModelConfig config, PagePool pool)
    {
        var layout = new PrivateLayout(pool, config.Layers * AdaptedModule.Sites);
        adapter.RequireFit(config);
        foreach (var site in adapter.PrivateModules.Select(name => (Name: name, Module: AdaptedModule.Parse(name, config))).GroupBy(m => (m.Module.Layer * AdaptedModule.Sites) + (int)m.Module.Site).OrderBy(g => g.Key))
            layout._sites[site.Key] = layout.Place(adapter, [.. site.OrderBy(m => m.Module.Order)]);
        return layout;
    }

    public PrivateSite? At(int layer, Site site) => _sites[(layer * AdaptedModule.Sites) + (int)site];

    /// <summary>Copies the parts into the adapter's pages, converted to the engine's type.</summary>
    /// <param name="adapter">What was laid out.</param>
    /// <param name="pages">[PageCount]</param>
    public void Write(AdapterWeights adapter, int[] pages)
    {
        using var writer = new PageWriter(_pool, pages);
        foreach (PrivateSite site in _sites.OfType<PrivateSite>())
        {
            foreach (PrivateModule module in site.Modules)
                Write(adapter, site, module, writer);
        }
    }

    private PrivateSite Place(AdapterWeights adapter, List<(string Name, AdaptedModule Module)> modules)
    {
        int inputs = modules[0].Module.DIn, width = modules.Sum(m => Rank(m.Name));
        int first = Reserve(width * _pool.PagesOf(inputs)), column = 0;
        var placed = new List<PrivateModule>();
        foreach (var (name, module) in modules)
        {
            int rank = Rank(name);
            OutputVectors? outputs = adapter.Outputs.GetValueOrDefault(name);
            placed.Add(new PrivateModule(
                name, module.Column, module.DOut, rank, column, Reserve(rank * _pool.PagesOf(module.DOut)),
                Vector(outputs?.BaseGain), adapter.Cores.ContainsKey(name) ? Vector(outputs?.DeltaGain) : null, Vector(outputs?.Bias)));
            column += rank;
        }

        HasCoreGains |= placed.Exists(module => module.CoreGain is not null);
        ShrinkWidth = Math.Max(ShrinkWidth, width);
        return new PrivateSite(inputs, first, width, [.. placed]);

        int Rank(string name) => adapter.Factors.TryGetValue(name, out LoraFactors? factors) ? factors.Rank : 0;

        PagedVector? Vector(float[]? values) => values is null ? null : new PagedVector(Reserve(_pool.PagesOf(values.Length)), values.Length);
    }

    private int Reserve(int pages)
    {
        int first = PageCount;
        PageCount = checked(PageCount + pages);
        return first;
    }

    private void Write(AdapterWeights adapter, PrivateSite site, PrivateModule module, PageWriter writer)
    {
        OutputVectors? outputs = adapter.Outputs.GetValueOrDefault(module.Name);
        if (adapter.Factors.TryGetValue(module.Name, out LoraFactors? factors))
        {
            int pagesOfRow = _pool.PagesOf(site.DIn);
            for (int j = 0; j < factors.Rank; j++)
                writer.WriteRow(factors.A.AsSpan(j * factors.DIn, factors.DIn), site.FirstA + ((module.ShrinkColumn + j) * pagesOfRow), 1);
            float[] row = new float[module.DOut];
            for (int j = 0; j < factors.Rank; j++)
            {
                for (int o = 0; o < row.Length; o++)
                    row[o] = factors.Scale * factors.B[(o * factors.Rank) + j] * (outputs?.DeltaGain?[o] ?? 1);
                writer.WriteRow(row, module.FirstB + j, factors.Rank);
            }
        }

        if (module.BaseGain is { } gain)
            writer.WriteRow([.. outputs!.BaseGain!.Select(value => value - 1)], gain.First, 1);
        if (module.CoreGain is { } coreGain)
            writer.WriteRow(outputs!.DeltaGain!, coreGain.First, 1);
        if (module.Bias is { } bias)
            writer.WriteRow(outputs!.Bias!, bias.First, 1);
    }
}
