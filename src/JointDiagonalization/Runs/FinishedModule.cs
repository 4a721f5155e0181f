using System.Globalization;
using System.Runtime.InteropServices;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Runs;

/// <summary>
/// One fitted module on disk, until the bundle's own files are laid out: bases by cluster, cores and residuals by the
/// adapter's number, and what the report needs, all to the last bit. Memory-mapped.
/// </summary>
internal sealed class FinishedModule : IDisposable
{
    private const string Adapters = "adapters", Norms = "norms", Errors = "errors", BoundsName = "bounds", Clusters = "clusters";

    private static readonly string[] Suffixes = ["", StoredPair.SuffixP, StoredPair.SuffixQ];

    private readonly SafetensorsFile _file;

    private FinishedModule(SafetensorsFile file)
    {
        _file = file;
        AdapterNumbers = Read<int>(Adapters, DType.I32);
        ProductNorms = Read<double>(Norms, DType.F64);
        ProductErrors = Read<double>(Errors, DType.F64);
        double[] bounds = Read<double>(BoundsName, DType.F64);
        if (bounds.Length != 3)
            throw new SafetensorsException(file.Source, $"tensor '{BoundsName}' has {bounds.Length} numbers; 3 were expected");
        (LowerBound, TailU, TailV) = (bounds[0], bounds[1], bounds[2]);
        BasisClusters = Read<int>(Clusters, DType.I32);
    }

    /// <summary>The adapter of each product, in the order of the fit.</summary>
    internal int[] AdapterNumbers { get; }

    internal double[] ProductNorms { get; }

    internal double[] ProductErrors { get; }

    internal double LowerBound { get; }

    internal double TailU { get; }

    internal double TailV { get; }

    /// <summary>Clusters with a basis here.</summary>
    internal int[] BasisClusters { get; }

    /// <summary>Numbers in bases, cores and residuals; not their scales.</summary>
    internal long StoredNumbers => _file.Tensors.Values.Where(t => t.Name.Contains('/', StringComparison.Ordinal) && !t.Name.EndsWith(StoredTensor.ScaleSuffix, StringComparison.Ordinal)).Sum(t => t.Count);

    internal static void Save(FittedModule module, string path)
    {
        var writer = new SafetensorsWriter();
        AddArray<int>(writer, Adapters, DType.I32, [.. module.Products.Select(p => p.Adapter)]);
        AddArray<double>(writer, Norms, DType.F64, [.. module.Products.Select(p => p.Norm)]);
        AddArray<double>(writer, Errors, DType.F64, [.. module.Products.Select(p => p.RelSqError)]);
        AddArray<double>(writer, BoundsName, DType.F64, [module.LowerBound, module.TailU, module.TailV]);
        AddArray<int>(writer, Clusters, DType.I32, [.. module.Bases.Select(b => b.Cluster)]);
        foreach (FittedBasis basis in module.Bases)
        {
            basis.U.AddTo(writer, BasisName(basis.Cluster, "U"));
            basis.V.AddTo(writer, BasisName(basis.Cluster, "V"));
        }

        foreach (StoredProduct product in module.Products)
        {
            product.Core?.AddTo(writer, CoreName(product.Adapter));
            product.Residual?.P.AddTo(writer, CoreName(product.Adapter) + StoredPair.SuffixP);
            product.Residual?.Q.AddTo(writer, CoreName(product.Adapter) + StoredPair.SuffixQ);
        }

        DiskWriter.Save(writer, path);
    }

    /// <exception cref="SafetensorsException">Not such a file.</exception>
    internal static FinishedModule Open(string path) => new(SafetensorsFile.Open(path));

    /// <summary>Copies the basis of a cluster under a module's name.</summary>
    /// <returns>[r_U, r_V], or null when the cluster has none here.</returns>
    internal int[]? CopyBasis(int cluster, SafetensorsWriter target, string module)
    {
        if (!BasisClusters.Contains(cluster))
            return null;
        return [Copy("U"), Copy("V")];

        int Copy(string side)
        {
            string name = BasisName(cluster, side);
            StoredTensor.Copy(_file, name, target, $"{module}.{side}");
            return (int)_file.Entry(name).Shape[1];
        }
    }

    /// <summary>Copies what an adapter has here under a name of the bundle.</summary>
    internal void CopyProduct(int adapter, SafetensorsWriter target, string newName)
    {
        foreach (string suffix in Suffixes)
        {
            if (_file.Tensors.ContainsKey(CoreName(adapter) + suffix))
                StoredTensor.Copy(_file, CoreName(adapter) + suffix, target, newName + suffix);
        }
    }

    /// <summary>Whether anything is stored for the adapter, a core of zeros included.</summary>
    internal bool Has(int adapter) =>
        _file.Tensors.ContainsKey(CoreName(adapter)) || _file.Tensors.ContainsKey(CoreName(adapter) + StoredPair.SuffixP);

    public void Dispose() => _file.Dispose();

    private static string BasisName(int cluster, string side) => string.Create(CultureInfo.InvariantCulture, $"bases/{cluster}.{side}");

    private static string CoreName(int adapter) => string.Create(CultureInfo.InvariantCulture, $"cores/{adapter}");

    private static void AddArray<T>(SafetensorsWriter writer, string name, DType dtype, T[] values)
        where T : struct => writer.AddRaw(name, dtype, [values.Length], MemoryMarshal.AsBytes<T>(values).ToArray());

    private T[] Read<T>(string name, DType dtype)
        where T : struct
    {
        TensorEntry entry = _file.Entry(name);
        if (entry.DType != dtype)
            throw new SafetensorsException(_file.Source, $"tensor '{name}' has dtype {entry.DType}; {dtype} was expected");
        return MemoryMarshal.Cast<byte, T>(_file.Bytes(entry)).ToArray();
    }
}
