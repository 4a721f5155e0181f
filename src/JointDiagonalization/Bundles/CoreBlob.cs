using System.Globalization;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>One core in serving form, y += U Σ Vᵀ x: row-major [r_U, r_V], norm folded in.</summary>
public sealed record CoreMatrix(float[] Values, int RankU, int RankV)
{
    internal static CoreMatrix From(Sigma core) => core.IsDiagonal ? FromDiagonal(core.Values) : new CoreMatrix(core.Values, core.RankU, core.RankV);

    /// <summary>The square core that a stored diagonal [r] stands for, so that serving knows one form only.</summary>
    internal static CoreMatrix FromDiagonal(float[] diagonal)
    {
        int rank = diagonal.Length;
        float[] values = new float[rank * rank];
        for (int j = 0; j < rank; j++)
            values[(j * rank) + j] = diagonal[j];
        return new CoreMatrix(values, rank, rank);
    }
}

/// <summary>
/// Everything a compute node needs to serve one adapter on a resident basis, in one self-contained safetensors container:
/// tensors <c>&lt;module&gt;</c> [r_U, r_V], or [r] for a diagonal core, and metadata adapter, cluster, generation, digest (docs/bundle-format.md).
/// </summary>
public sealed record CoreBlob(string Adapter, int Cluster, string Generation, string Digest, IReadOnlyDictionary<string, CoreMatrix> Cores)
{
    /// <exception cref="BundleFormatException">Not a core blob: truncated, metadata missing, or a tensor that is no finite matrix or diagonal.</exception>
    public static CoreBlob Parse(ReadOnlyMemory<byte> bytes)
    {
        const string source = "core blob";
        try
        {
            using SafetensorsFile file = SafetensorsFile.Parse(bytes, source);
            string Metadata(string key) =>
                file.Metadata.TryGetValue(key, out string? value) ? value : throw new BundleFormatException(source, $"metadata '{key}' is missing");

            string adapter = Metadata("adapter"), clusterText = Metadata("cluster");
            if (!int.TryParse(clusterText, NumberStyles.None, CultureInfo.InvariantCulture, out int cluster))
                throw new BundleFormatException(source, $"metadata 'cluster' of adapter '{adapter}' is '{clusterText}'; a number was expected");
            var cores = new SortedDictionary<string, CoreMatrix>(StringComparer.Ordinal);
            foreach (TensorEntry entry in file.Tensors.Values)
                cores.Add(entry.Name, ReadCore(file, entry, adapter));
            return new CoreBlob(adapter, cluster, Metadata("generation"), Metadata("digest"), cores);
        }
        catch (SafetensorsException e)
        {
            throw new BundleFormatException(source, e.Message, e);
        }
    }

    /// <summary>Parses and checks every core against the basis it will be served on.</summary>
    /// <exception cref="BundleFormatException">As above, or a core without a basis of its shape.</exception>
    public static CoreBlob Parse(ReadOnlyMemory<byte> bytes, IReadOnlyDictionary<string, SharedBasis> basis)
    {
        CoreBlob blob = Parse(bytes);
        blob.RequireFits(basis);
        return blob;
    }

    /// <exception cref="BundleFormatException">A core has no basis, or one of another shape.</exception>
    public void RequireFits(IReadOnlyDictionary<string, SharedBasis> basis)
    {
        foreach (var (module, core) in Cores)
        {
            if (!basis.TryGetValue(module, out SharedBasis? shared))
                throw new BundleFormatException("core blob", $"adapter '{Adapter}' has a core for {module}, where cluster {Cluster} has no basis");
            if (core.RankU != shared.RankU || core.RankV != shared.RankV)
            {
                throw new BundleFormatException(
                    "core blob",
                    $"adapter '{Adapter}', {module}: the core is [{core.RankU}, {core.RankV}]; the basis needs [{shared.RankU}, {shared.RankV}]");
            }
        }
    }

    internal static CoreMatrix ReadCore(SafetensorsFile file, TensorEntry entry, string adapter)
    {
        if (entry.Shape.Length is not (1 or 2))
            throw new BundleFormatException(file.Source, $"adapter '{adapter}': '{entry.Name}' has {entry.Shape.Length} dimensions; a matrix or a diagonal was expected");
        float[] values = file.ReadFloat32(entry.Name);
        int bad = Array.FindIndex(values, v => !float.IsFinite(v));
        if (bad >= 0)
            throw new BundleFormatException(file.Source, $"adapter '{adapter}': '{entry.Name}' holds {values[bad]} at {bad}; finite values were expected");
        return entry.Shape.Length == 1 ? CoreMatrix.FromDiagonal(values) : new CoreMatrix(values, checked((int)entry.Shape[0]), checked((int)entry.Shape[1]));
    }
}
