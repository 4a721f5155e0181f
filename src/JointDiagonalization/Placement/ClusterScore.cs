using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Placement;

/// <summary>
/// How much of one product a basis holds, from the small products with it alone. Good enough to choose among clusters: in
/// float32 the subtraction 1 − captured has a floor of about 1e-6.
/// </summary>
internal static class ClusterScore
{
    /// <summary>Relative squared error of the best core, for bases of any columns (rounded in storage, or of JD-Diag).</summary>
    internal static double Error(CanonicalFactors product, SharedBasis basis, bool diagonal)
    {
        using var scope = NewDisposeScope();
        Tensor z = Wide(product.F.mm(basis.U)), w = Wide(product.G.mm(basis.V));
        Tensor gramU = Wide(basis.U.t().mm(basis.U)), gramV = Wide(basis.V.t().mm(basis.V));
        if (diagonal)
        {
            Tensor b = (z * w).sum(dim: 0).unsqueeze(1);
            return 1 - (b * DiagonalCores.Solve(gramU * gramV, b)).sum().item<double>();
        }

        // ‖Q_UᵀM̂Q_V‖² = ⟨Z (UᵀU)⁻¹ Zᵀ, W (VᵀV)⁻¹ Wᵀ⟩
        return 1 - (z.mm(linalg.solve(gramU, z.t())) * w.mm(linalg.solve(gramV, w.t()))).sum().item<double>();
    }

    private static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);
}
