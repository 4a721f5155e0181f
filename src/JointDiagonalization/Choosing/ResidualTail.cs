using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// What is left of unit products after the core and the t largest singular pairs of the remainder M̂ − UΣVᵀ
/// (spec/joint-diagonalization.md §11), from l x l matrices alone. With F⊥ = F − UZᵀ and G⊥ = G − VWᵀ the remainder is
/// [F⊥, UZᵀ]·[G, G⊥]ᵀ, so its squared singular values are the eigenvalues of the product of the two Grams, which need
/// only FᵀF, GᵀG = I, Z = FᵀU and W = GᵀV.
/// </summary>
internal static class ResidualTail
{
    /// <param name="energies">Diagonals of FᵀF [k, l], float64; zero where a product has fewer directions.</param>
    /// <param name="z">FᵀU [k, l, r_U], float64.</param>
    /// <param name="w">GᵀV [k, l, r_V], float64.</param>
    /// <param name="ranks">The t to try.</param>
    /// <returns>[t, k]: the squared norm that is left of each product.</returns>
    internal static double[][] Errors(Tensor energies, Tensor z, Tensor w, IReadOnlyList<int> ranks)
    {
        using var scope = NewDisposeScope();
        Tensor kept = TensorMath.RowGrams(z), unit = diag_embed(energies.IsAbove(0).to(ScalarType.Float64));
        Tensor outside = unit - TensorMath.RowGrams(w), none = zeros_like(kept);
        Tensor left = Blocks(diag_embed(energies) - kept, none, kept), right = Blocks(unit, outside, outside);
        Tensor root = Root(right);
        // Ascending; rounding may leave values slightly below zero.
        double[] values = linalg.eigvalsh(Symmetric(root.bmm(left).bmm(root))).ToDoubles();
        int products = (int)z.shape[0], width = values.Length / Math.Max(1, products);
        return
        [
            .. ranks.Select(t => Enumerable.Range(0, products)
                .Select(i => values.AsSpan(i * width, Math.Max(0, width - t)).ToArray().Sum(v => Math.Max(0, v))).ToArray()),
        ];
    }

    private static Tensor Blocks(Tensor first, Tensor offDiagonal, Tensor second) =>
        cat([cat([first, offDiagonal], 2), cat([offDiagonal, second], 2)], 1);

    private static Tensor Root(Tensor semidefinite)
    {
        var (values, vectors) = linalg.eigh(Symmetric(semidefinite));
        return (vectors * values.AtLeast(0).sqrt().unsqueeze(1)).bmm(vectors.transpose(1, 2));
    }

    private static Tensor Symmetric(Tensor batch) => batch.Plus(batch.transpose(1, 2)).Times(0.5);
}
