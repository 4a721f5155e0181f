using Eigengate.JointDiagonalization.Revisions;
using Eigengate.JointDiagonalization.Storage;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>How one module of all adapters becomes what a bundle stores of it.</summary>
internal interface IModuleMethod
{
    /// <param name="path">The module.</param>
    /// <param name="factors">The module's products; owners are adapter numbers.</param>
    /// <param name="clusterOf">Cluster of each adapter.</param>
    /// <param name="cancellation">Checked between fits.</param>
    FittedModule Fit(string path, CanonicalFactors factors, IReadOnlyList<int> clusterOf, CancellationToken cancellation);
}

internal static class ModuleMethod
{
    /// <param name="options">Settings of the run.</param>
    /// <param name="warm">Where a joint method starts instead of from nothing.</param>
    internal static IModuleMethod Of(CompressorOptions options, WarmStart? warm) => options.Method switch
    {
        CompressionMethod.Svd => new TruncatedSvdMethod(StorageForm.Of(options)),
        CompressionMethod.Ties => new TiesMethod(options, StorageForm.Of(options)),
        _ => new JointMethod(options, StorageForm.Of(options), warm),
    };
}
