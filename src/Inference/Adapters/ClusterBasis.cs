using System.Collections.ObjectModel;

namespace Eigengate.Inference.Adapters;

/// <summary>What a cluster's adapters share about one module: y += U Σ_i Vᵀ x.</summary>
/// <param name="U">[DOut, RU], row-major.</param>
/// <param name="V">[DIn, RV], row-major.</param>
/// <param name="DOut">Output width of the module.</param>
/// <param name="DIn">Input width of the module.</param>
/// <param name="RU">Columns of U.</param>
/// <param name="RV">Columns of V.</param>
public sealed record ClusterBasis(float[] U, float[] V, int DOut, int DIn, int RU, int RV);

/// <summary>What belongs to one adapter alone.</summary>
/// <param name="Id">The name clients use.</param>
/// <param name="Version">Content digest.</param>
/// <param name="ClusterKey">The cluster whose bases it uses.</param>
/// <param name="Cores">Σ by module path, each [RU, RV] row-major with all scaling folded in. A module that is missing adds nothing.</param>
public sealed record AdapterWeights(string Id, string Version, string ClusterKey, IReadOnlyDictionary<string, float[]> Cores)
{
    /// <summary>
    /// Private low-rank parts by module path, added to what the cores give: y += P Qᵀ x, with P as U and Q as V. Also for
    /// modules without a core.
    /// </summary>
    public IReadOnlyDictionary<string, ClusterBasis> Residuals { get; init; } = ReadOnlyDictionary<string, ClusterBasis>.Empty;
}

/// <summary>The low-rank factors of one module of an adapter that is served uncompressed: ΔW = Scale · B · A.</summary>
/// <param name="A">[Rank, DIn], row-major.</param>
/// <param name="B">[DOut, Rank], row-major.</param>
public sealed record LoraFactors(float[] A, float[] B, int DOut, int DIn, int Rank, float Scale);

/// <summary>An uncompressed adapter is a cluster of its own: U = scale · B, V = Aᵀ, Σ = I, which every number type holds exactly.</summary>
public static class ExactAdapter
{
    public static string ClusterKey(string id, string version) => $"exact:{id}@{version}";

    public static IReadOnlyDictionary<string, ClusterBasis> Basis(IReadOnlyDictionary<string, LoraFactors> modules) =>
        modules.ToDictionary(
            m => m.Key,
            m => new ClusterBasis(Scaled(m.Value.B, m.Value.Scale), Transpose(m.Value.A, m.Value.Rank, m.Value.DIn), m.Value.DOut, m.Value.DIn, m.Value.Rank, m.Value.Rank));

    public static AdapterWeights Weights(string id, string version, IReadOnlyDictionary<string, LoraFactors> modules) =>
        new(id, version, ClusterKey(id, version), modules.ToDictionary(m => m.Key, m => Identity(m.Value.Rank)));

    /// <summary>[rows, columns] to [columns, rows]; a wrong length is passed on for the basis check to name.</summary>
    internal static float[] Transpose(float[] values, int rows, int columns)
    {
        if (values.Length != rows * columns)
            return values;
        float[] transposed = new float[values.Length];
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
                transposed[(c * rows) + r] = values[(r * columns) + c];
        }

        return transposed;
    }

    internal static float[] Identity(int rank)
    {
        float[] core = new float[rank * rank];
        for (int i = 0; i < rank; i++)
            core[(i * rank) + i] = 1;
        return core;
    }

    private static float[] Scaled(float[] values, float scale) => scale == 1 ? values : [.. values.Select(value => value * scale)];
}
