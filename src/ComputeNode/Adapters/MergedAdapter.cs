using Eigengate.Inference.Adapters;
using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>Finds the adapter that becomes part of the weights: a PEFT folder, or one of the node's adapter folder or bundle.</summary>
internal static class MergedAdapter
{
    /// <summary>Its weights. A compressed adapter is merged as it would be served.</summary>
    /// <exception cref="NodeStartException">There is no such adapter.</exception>
    /// <exception cref="AdapterFormatException">Its folder cannot be read.</exception>
    public static AdapterWeights Read(string adapter, NodeOptions options, Bundle? bundle)
    {
        string? folder = new[] { options.AdapterDirectory is { } root ? Path.Combine(root, adapter) : null, adapter }.FirstOrDefault(Directory.Exists);
        if (folder is not null)
        {
            using var weights = new BaseWeights(options.ModelDirectory);
            ExactAdapter opened = ExactAdapter.Open(folder, BaseShapes.Read(options.ModelDirectory), weights);
            return opened.Weights(opened.Peft.ComputeDigest());
        }

        if (bundle?.Contains(adapter) == true)
            return OfBundle(bundle, adapter);
        throw new NodeStartException($"The adapter '{adapter}' to merge is neither a folder, nor in the folder of adapters or the bundle.");
    }

    private static AdapterWeights OfBundle(Bundle bundle, string id)
    {
        CoreBlob blob = CoreBlob.Parse(bundle.CoreBlob(id));
        var factors = new Dictionary<string, LoraFactors>(StringComparer.Ordinal);
        foreach (string module in blob.Cores.Keys.Union(blob.Residuals.Keys))
        {
            using SharedBasis? basis = blob.Cores.ContainsKey(module) ? bundle.ReadBasis(blob.Cluster, module) : null;
            List<LoraFactors> parts = [];
            if (basis is not null)
                parts.Add(OfCore(basis, blob.Cores[module].Values));
            if (blob.Residuals.TryGetValue(module, out PrivateResidual? residual))
                parts.Add(LoraFactors.FromColumns(residual.P, residual.Q, residual.OutFeatures, residual.InFeatures, residual.Rank));
            factors.Add(module, parts.Aggregate(Beside));
        }

        return AdapterWeights.Exact(id, bundle.Manifest.Generation, factors);
    }

    /// <summary>B = U Σ, A = Vᵀ.</summary>
    private static LoraFactors OfCore(SharedBasis basis, float[] core)
    {
        int outputs = basis.OutFeatures, ranksU = basis.RankU, ranksV = basis.RankV;
        float[] u = basis.U.data<float>().ToArray(), b = new float[outputs * ranksV];
        for (int o = 0; o < outputs; o++)
        {
            for (int i = 0; i < ranksU; i++)
            {
                for (int j = 0; j < ranksV; j++)
                    b[(o * ranksV) + j] += u[(o * ranksU) + i] * core[(i * ranksV) + j];
            }
        }

        return LoraFactors.FromColumns(b, basis.V.data<float>().ToArray(), outputs, basis.InFeatures, ranksV);
    }

    /// <summary>The sum of two factor pairs: [B₁, B₂] and [A₁; A₂].</summary>
    private static LoraFactors Beside(LoraFactors first, LoraFactors second)
    {
        int rank = first.Rank + second.Rank;
        float[] b = new float[first.DOut * rank];
        for (int o = 0; o < first.DOut; o++)
        {
            first.B.AsSpan(o * first.Rank, first.Rank).CopyTo(b.AsSpan(o * rank));
            second.B.AsSpan(o * second.Rank, second.Rank).CopyTo(b.AsSpan((o * rank) + first.Rank));
        }

        return new LoraFactors([.. first.A, .. second.A], b, first.DOut, first.DIn, rank, 1);
    }
}
