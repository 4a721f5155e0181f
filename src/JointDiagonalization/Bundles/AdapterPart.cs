using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>The tensors of one adapter and module in a file of cores.</summary>
/// <param name="Module">Module path.</param>
/// <param name="File">Where they are.</param>
/// <param name="Core">Σ; null when the cluster has no basis for the module.</param>
/// <param name="Residual">P and Q, when there are any.</param>
internal sealed record AdapterPart(string Module, SafetensorsFile File, TensorEntry? Core, (TensorEntry P, TensorEntry Q)? Residual)
{
    /// <summary>Without the scales of integers, which go with their tensor.</summary>
    internal IEnumerable<TensorEntry> Tensors => new[] { Core, Residual?.P, Residual?.Q }.OfType<TensorEntry>();

    /// <exception cref="BundleFormatException">A tensor is missing or does not fit the module or the basis.</exception>
    internal static AdapterPart Find(SafetensorsFile file, BundleAdapter adapter, BundleModule module, int[]? basis)
    {
        string name = BundleWriter.CoreName(adapter.Id, module.Path);
        TensorEntry? core = file.Tensors.GetValueOrDefault(name);
        TensorEntry? p = file.Tensors.GetValueOrDefault(name + StoredPair.SuffixP), q = file.Tensors.GetValueOrDefault(name + StoredPair.SuffixQ);
        if (core is null && (basis is not null || p is null))
            throw new BundleFormatException(file.Source, $"tensor '{name}' is missing");
        if (core is not null && (basis is null || !Fits(core.Shape, basis)))
        {
            throw new BundleFormatException(
                file.Source, $"tensor '{name}' is [{string.Join(", ", core.Shape)}]; the basis of cluster {adapter.Cluster} has [{string.Join(", ", basis ?? [])}]");
        }

        if (p is null && q is null)
            return new AdapterPart(module.Path, file, core, null);
        if (p?.Shape is not [var dOut, var rankP] || q?.Shape is not [var dIn, var rankQ] || (dOut, dIn) != (module.DOut, module.DIn) || rankP != rankQ)
        {
            throw new BundleFormatException(
                file.Source,
                $"tensors '{name}{StoredPair.SuffixP}' and '{name}{StoredPair.SuffixQ}' are [{string.Join(", ", p?.Shape ?? [])}] and [{string.Join(", ", q?.Shape ?? [])}]; "
                + $"[{module.DOut}, t] and [{module.DIn}, t] were expected");
        }

        return new AdapterPart(module.Path, file, core, (p, q));
    }

    /// <exception cref="BundleFormatException">No matrix or diagonal, or a value that is not finite.</exception>
    internal static CoreMatrix ReadCore(SafetensorsFile file, TensorEntry entry, string adapter)
    {
        if (entry.Shape.Length is not (1 or 2))
            throw new BundleFormatException(file.Source, $"adapter '{adapter}': '{entry.Name}' has {entry.Shape.Length} dimensions; a matrix or a diagonal was expected");
        float[] values = ReadFinite(file, entry, adapter);
        return entry.Shape.Length == 1 ? CoreMatrix.FromDiagonal(values) : new CoreMatrix(values, checked((int)entry.Shape[0]), checked((int)entry.Shape[1]));
    }

    /// <exception cref="BundleFormatException">Not two matrices of one rank, or a value that is not finite.</exception>
    internal static PrivateResidual ReadResidual(SafetensorsFile file, TensorEntry p, TensorEntry q, string adapter)
    {
        if (p.Shape is not [var dOut, var rank] || q.Shape is not [var dIn, var rankQ] || rank != rankQ)
        {
            throw new BundleFormatException(
                file.Source, $"adapter '{adapter}': '{p.Name}' is [{string.Join(", ", p.Shape)}] and '{q.Name}' [{string.Join(", ", q.Shape)}]; [d_out, t] and [d_in, t] were expected");
        }

        return new PrivateResidual(ReadFinite(file, p, adapter), ReadFinite(file, q, adapter), checked((int)dOut), checked((int)dIn), checked((int)rank));
    }

    private static float[] ReadFinite(SafetensorsFile file, TensorEntry entry, string adapter)
    {
        float[] values = StoredTensor.Read(file, entry);
        int bad = Array.FindIndex(values, v => !float.IsFinite(v));
        return bad < 0 ? values
            : throw new BundleFormatException(file.Source, $"adapter '{adapter}': '{entry.Name}' holds {values[bad]} at {bad}; finite values were expected");
    }

    /// <summary>[r_U, r_V], or a diagonal [r] on a basis of r and r columns.</summary>
    private static bool Fits(ReadOnlySpan<long> shape, int[] rank) => shape switch
    {
        [var r] => r == rank[0] && r == rank[1],
        [var u, var v] => u == rank[0] && v == rank[1],
        _ => false,
    };
}
