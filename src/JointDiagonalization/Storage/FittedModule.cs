using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Storage;

/// <summary>Everything that a bundle will hold of one module.</summary>
internal sealed class FittedModule
{
    internal List<FittedBasis> Bases { get; } = [];

    internal List<StoredProduct> Products { get; } = [];

    /// <summary>No fit of this form and these clusters has a smaller summed error; NaN when that is not known.</summary>
    internal double LowerBound { get; set; }

    /// <summary>Energy of the unit products beyond the first r_U directions of their output side, summed over clusters; NaN when not known.</summary>
    internal double TailU { get; set; }

    /// <summary>The same beyond r_V of the input side.</summary>
    internal double TailV { get; set; }

    internal void AddBounds((double LowerBound, double TailU, double TailV) cluster)
    {
        LowerBound += cluster.LowerBound;
        TailU += cluster.TailU;
        TailV += cluster.TailV;
    }

    /// <param name="cluster">Its cluster.</param>
    /// <param name="basis">Already rounded to the type.</param>
    /// <param name="dtype">How it is stored.</param>
    internal void Add(int cluster, SharedBasis basis, DType dtype) => Bases.Add(new FittedBasis(
        cluster,
        StoredTensor.Of(basis.U.ToFloats(), dtype, basis.OutFeatures, basis.RankU),
        StoredTensor.Of(basis.V.ToFloats(), dtype, basis.InFeatures, basis.RankV)));
}

/// <summary>The basis of one cluster: U [d_out, r_U], V [d_in, r_V].</summary>
internal sealed record FittedBasis(int Cluster, StoredTensor U, StoredTensor V);
