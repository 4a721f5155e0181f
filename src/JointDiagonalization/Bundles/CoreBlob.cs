using System.Globalization;
using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Bundles;

/// <summary>
/// Everything a compute node needs to serve one adapter on a resident basis, in one self-contained safetensors container:
/// tensors <c>&lt;module&gt;</c> [r_U, r_V], or [r] for a diagonal core, private residuals <c>&lt;module&gt;.P</c> and
/// <c>&lt;module&gt;.Q</c>, and metadata adapter, cluster, generation, digest (docs/bundle-format.md).
/// </summary>
/// <param name="Adapter">Adapter id.</param>
/// <param name="Cluster">The cluster whose bases the cores belong to.</param>
/// <param name="Generation">Of the bundle; bases of another one must not be used.</param>
/// <param name="Digest">Of the source adapter.</param>
/// <param name="Cores">By module path.</param>
/// <param name="Residuals">By module path; what is added to the core's product.</param>
public sealed record CoreBlob(
    string Adapter,
    int Cluster,
    string Generation,
    string Digest,
    IReadOnlyDictionary<string, CoreMatrix> Cores,
    IReadOnlyDictionary<string, PrivateResidual> Residuals)
{
    /// <exception cref="BundleFormatException">Not a core blob: truncated, metadata missing, or a tensor that is not one of these, or not finite.</exception>
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
            var residuals = new SortedDictionary<string, PrivateResidual>(StringComparer.Ordinal);
            foreach (TensorEntry entry in file.Tensors.Values)
                Read(file, entry, adapter, cores, residuals);
            return new CoreBlob(adapter, cluster, Metadata("generation"), Metadata("digest"), cores, residuals);
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

    private static void Read(
        SafetensorsFile file, TensorEntry entry, string adapter, SortedDictionary<string, CoreMatrix> cores, SortedDictionary<string, PrivateResidual> residuals)
    {
        if (entry.Name.EndsWith(StoredPair.SuffixP, StringComparison.Ordinal))
        {
            string module = entry.Name[..^StoredPair.SuffixP.Length];
            residuals.Add(module, AdapterPart.ReadResidual(file, entry, file.Entry(module + StoredPair.SuffixQ), adapter));
        }
        else if (entry.Name.EndsWith(StoredPair.SuffixQ, StringComparison.Ordinal))
        {
            // Read with its P, which must be there.
            file.Entry(entry.Name[..^StoredPair.SuffixQ.Length] + StoredPair.SuffixP);
        }
        else if (!entry.Name.EndsWith(StoredTensor.ScaleSuffix, StringComparison.Ordinal))
        {
            cores.Add(entry.Name, AdapterPart.ReadCore(file, entry, adapter));
        }
    }
}
