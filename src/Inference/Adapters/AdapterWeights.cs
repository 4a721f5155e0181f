using System.Collections.ObjectModel;
using Eigengate.Inference.Models;

namespace Eigengate.Inference.Adapters;

/// <summary>
/// What belongs to one adapter alone. With the bases U, V of its cluster, a module of it computes
/// y = gb ⊙ (W x) + gd ⊙ ((U Σ Vᵀ + s B A) x) + b + db (spec/adapters.md §0); parts that are missing are left out.
/// </summary>
/// <param name="Id">The name clients use.</param>
/// <param name="Version">Content digest.</param>
/// <param name="ClusterKey">The cluster whose bases its cores use; null for an adapter without cores, which is served exactly.</param>
/// <param name="Cores">Σ by module path, each [RU, RV] row-major with all scaling folded in. A module that is missing adds nothing.</param>
public sealed record AdapterWeights(string Id, string Version, string? ClusterKey, IReadOnlyDictionary<string, float[]> Cores)
{
    /// <summary>Low-rank factors of its own by module path: all of an exact adapter, or a residual beside the cores.</summary>
    public IReadOnlyDictionary<string, LoraFactors> Factors { get; init; } = ReadOnlyDictionary<string, LoraFactors>.Empty;

    /// <summary>Gains and biases by module path.</summary>
    public IReadOnlyDictionary<string, OutputVectors> Outputs { get; init; } = ReadOnlyDictionary<string, OutputVectors>.Empty;

    /// <summary>An adapter that is served by its own A and B, uncompressed.</summary>
    public static AdapterWeights Exact(string id, string version, IReadOnlyDictionary<string, LoraFactors> factors) =>
        new(id, version, null, ReadOnlyDictionary<string, float[]>.Empty) { Factors = factors };

    /// <summary>Modules with factors, gains or biases.</summary>
    internal IEnumerable<string> PrivateModules => Factors.Keys.Union(Outputs.Keys, StringComparer.Ordinal);

    /// <summary>Checks the factors, gains and biases; cores are checked with their cluster.</summary>
    /// <exception cref="InvalidAdapterException">One does not fit the base model, or has a value that is not finite.</exception>
    internal void RequireFit(ModelConfig config)
    {
        foreach (string name in PrivateModules)
            RequireFit(name, AdaptedModule.Parse(name, config));
    }

    private void RequireFit(string name, AdaptedModule module)
    {
        string subject = $"adapter '{Id}': module '{name}'";
        if (Factors.TryGetValue(name, out LoraFactors? factors))
        {
            if (factors.DOut != module.DOut || factors.DIn != module.DIn)
                throw new InvalidAdapterException($"{subject} has factors for [{factors.DOut}, {factors.DIn}]; the base model has [{module.DOut}, {module.DIn}]");
            if (factors.Rank <= 0 || factors.A.Length != (long)factors.Rank * factors.DIn || factors.B.Length != (long)factors.DOut * factors.Rank)
            {
                throw new InvalidAdapterException(
                    $"{subject} has {factors.A.Length} and {factors.B.Length} numbers; A [{factors.Rank}, {factors.DIn}] and B [{factors.DOut}, {factors.Rank}] were expected");
            }

            RequireFinite(subject, factors.A, "A");
            RequireFinite(subject, factors.B, "B");
            RequireFinite(subject, [factors.Scale], "scale");
        }

        if (!Outputs.TryGetValue(name, out OutputVectors? outputs))
            return;
        foreach (var (vector, what) in new[] { (outputs.BaseGain, "base gain"), (outputs.DeltaGain, "delta gain"), (outputs.Bias, "bias") })
        {
            if (vector is null)
                continue;
            if (vector.Length != module.DOut)
                throw new InvalidAdapterException($"{subject} has a {what} of {vector.Length} numbers; {module.DOut} were expected");
            RequireFinite(subject, vector, what);
        }
    }

    private static void RequireFinite(string module, float[] values, string what)
    {
        foreach (float value in values)
        {
            if (!float.IsFinite(value))
                throw new InvalidAdapterException($"{module} has a value in its {what} that is not finite");
        }
    }
}

/// <summary>Low-rank factors of one module: ΔW = Scale · B · A.</summary>
/// <param name="A">[Rank, DIn], row-major.</param>
/// <param name="B">[DOut, Rank], row-major.</param>
public sealed record LoraFactors(float[] A, float[] B, int DOut, int DIn, int Rank, float Scale)
{
    /// <summary>ΔW = P Qᵀ.</summary>
    /// <param name="p">[dOut, rank], row-major.</param>
    /// <param name="q">[dIn, rank], row-major.</param>
    public static LoraFactors FromColumns(float[] p, float[] q, int dOut, int dIn, int rank) =>
        new(ClusterBasis.Transpose(q, dIn, rank), p, dOut, dIn, rank, 1);
}

/// <summary>Vectors [DOut] of one module that an adapter multiplies and shifts its output with (spec/adapters.md §0). Null: ones, or zeros for the bias.</summary>
/// <param name="BaseGain">gb, on what the base's weight gives.</param>
/// <param name="DeltaGain">gd, on what the adapter adds.</param>
/// <param name="Bias">db, beside the base's own bias.</param>
public sealed record OutputVectors(float[]? BaseGain = null, float[]? DeltaGain = null, float[]? Bias = null);
