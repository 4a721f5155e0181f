using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.Safetensors;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>The weights of an adapter as they lie in the index: compressed cores, or A and B. The blob itself says which.</summary>
internal static class AdapterBlob
{
    /// <exception cref="SafetensorsException">Not a safetensors container, or one whose parts do not fit together.</exception>
    /// <exception cref="BundleFormatException">Neither cores nor an exact adapter.</exception>
    public static AdapterWeights Read(string id, string version, ReadOnlyMemory<byte> blob)
    {
        if (ExactAdapterBlob.TryRead(id, version, blob, out AdapterWeights? exact))
            return exact;
        CoreBlob cores = CoreBlob.Parse(blob);
        return new AdapterWeights(id, version, ClusterKeys.Of(cores.Generation, cores.Cluster), cores.Cores.ToDictionary(core => core.Key, core => core.Value.Values))
        {
            Factors = cores.Residuals.ToDictionary(residual => residual.Key, residual => LoraFactors.FromColumns(
                residual.Value.P, residual.Value.Q, residual.Value.OutFeatures, residual.Value.InFeatures, residual.Value.Rank)),
        };
    }
}
