using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>
/// The largest singular pairs of what a product's core misses, M̂ − UΣVᵀ (spec/joint-diagonalization.md §11). The
/// difference has at most l + r_U output and l + r_V input directions, so it is a small matrix between two thin
/// orthonormal factors; nothing of size d_out x d_in is formed.
/// </summary>
internal static class PrivateResiduals
{
    /// <summary>Products at a time; bounds the float64 copies of F and G.</summary>
    private const int Chunk = 32;

    /// <summary>
    /// Squared singular values of the part of F or G outside of the basis below this are rounding noise: both hold unit
    /// rows at most, and a residual direction counts from <see cref="CanonicalFactors.RankTolerance"/>.
    /// </summary>
    private const double NoiseEnergy = 1e-14;

    /// <param name="factors">The products.</param>
    /// <param name="basis">The stored basis, or null when there is none: then the residual is the product.</param>
    /// <param name="cores">Served cores of the products [k, r_U, r_V], norm folded in; null without a basis.</param>
    /// <param name="rank">Largest number of pairs, t.</param>
    /// <param name="dtype">Type in which pairs are stored.</param>
    /// <param name="cancellation">Checked between chunks.</param>
    /// <returns>The pair of each product, null where the core misses nothing, and the relative squared error as served.</returns>
    internal static (StoredPair?[] Pairs, double[] Errors) Fit(
        CanonicalFactors factors, SharedBasis? basis, Tensor? cores, int rank, DType dtype, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var left = Side.Of(basis?.U, factors.F);
        var right = Side.Of(basis?.V, factors.G);
        var pairs = new StoredPair?[factors.Count];
        double[] errors = new double[factors.Count];
        for (int first = 0; first < factors.Count; first += Chunk)
        {
            cancellation.ThrowIfCancellationRequested();
            using var chunkScope = NewDisposeScope();
            int count = Math.Min(Chunk, factors.Count - first);
            Tensor norms = tensor(factors.Norms.Skip(first).Take(count).ToArray()).to(factors.F.device).view(-1, 1, 1);
            Coordinates f = left.Split(factors.BatchedF.narrow(0, first, count));
            Coordinates g = right.Split(factors.BatchedG.narrow(0, first, count));
            Tensor small = f.Small.bmm(g.Small.transpose(1, 2));
            if (cores is not null)
            {
                Tensor served = left.Triangle!.matmul(cores.narrow(0, first, count).to(ScalarType.Float64) / norms).matmul(right.Triangle!.t());
                small.narrow(1, 0, served.shape[1]).narrow(2, 0, served.shape[2]).sub_(served);
            }

            FitChunk(f, g, small, norms, rank, dtype, pairs.AsSpan(first, count), errors.AsSpan(first, count));
        }

        return (pairs, errors);
    }

    /// <summary>
    /// Q is rounded first and P solved against it, so that its rounding costs least. What remains then, (M̂ − core)(I − QQ⁺),
    /// and the rounding of P are orthogonal: their energies add up.
    /// </summary>
    /// <param name="small">[n, a, b]: the residuals between the orthonormal factors of f and g.</param>
    private static void FitChunk(
        Coordinates f, Coordinates g, Tensor small, Tensor norms, int rank, DType dtype, Span<StoredPair?> pairs, Span<double> errors)
    {
        var (_, s, yt) = linalg.svd(small, fullMatrices: false);
        int width = (int)Math.Min(rank, s.shape[1]);
        Tensor live = s.narrow(1, 0, width).IsAbove(CanonicalFactors.RankTolerance).to(ScalarType.Float64);
        int[] kept = [.. live.sum(1).ToDoubles().Select(k => (int)k)];

        var (storedQ, q) = Store(g.Expand(yt.narrow(1, 0, width).transpose(1, 2) * live.unsqueeze(1)), kept, dtype);
        Tensor k = g.Coordinate(q);
        Tensor gram = q.transpose(1, 2).bmm(q);
        Tensor inverse = linalg.inv(gram.Plus(diag_embed(ones_like(live) - live)));
        Tensor p = f.Expand(small.bmm(k).bmm(inverse));
        var (storedP, servedP) = Store(p * norms, kept, dtype);

        Tensor image = small.bmm(k);
        Tensor left = small.Squared().sum(new long[] { 1, 2 }) - (image.bmm(inverse) * image).sum(new long[] { 1, 2 });
        Tensor rounding = p - (servedP / norms);
        Tensor lost = (rounding.transpose(1, 2).bmm(rounding) * gram).sum(new long[] { 1, 2 });
        double[] error = left.AtLeast(0).Plus(lost).ToDoubles();
        for (int i = 0; i < pairs.Length; i++)
        {
            pairs[i] = storedP[i] is { } pairP && storedQ[i] is { } pairQ ? new StoredPair(pairP, pairQ) : null;
            errors[i] = error[i];
        }
    }

    /// <summary>Rounds the first kept columns of each [d, t] matrix; the result as it reads back, zeros in other columns.</summary>
    private static (StoredTensor?[] Stored, Tensor Served) Store(Tensor matrices, int[] kept, DType dtype)
    {
        long d = matrices.shape[1];
        var stored = new StoredTensor?[kept.Length];
        Tensor served = zeros_like(matrices);
        for (int i = 0; i < kept.Length; i++)
        {
            if (kept[i] == 0)
                continue;
            StoredTensor rounded = StoredTensor.Of(matrices[i].narrow(1, 0, kept[i]).ToFloats(), dtype, d, kept[i]);
            served[i].narrow(1, 0, kept[i]).copy_(tensor(rounded.Widen(), [d, kept[i]]));
            stored[i] = rounded;
        }

        return (stored, served);
    }

    /// <summary>One side of the products: the stored basis as Q R, or none.</summary>
    /// <param name="Basis">Q [d, r], float64.</param>
    /// <param name="Triangle">R [r, r], float64.</param>
    private sealed record Side(Tensor? Basis, Tensor? Triangle)
    {
        internal static Side Of(Tensor? columns, Tensor like)
        {
            if (columns is null)
                return new Side(null, null);
            var (q, r) = linalg.qr(columns.to(like.device).to(ScalarType.Float64));
            return new Side(q, r);
        }

        /// <summary>
        /// Rows [n, l, d] as [Q, X]·small: inside of the basis, and outside of it with the orthonormal X = restᵀ·Combine, by the
        /// eigenvectors of the Gram of the rest.
        /// </summary>
        internal Coordinates Split(Tensor rows)
        {
            Tensor wide = rows.to(ScalarType.Float64);
            Tensor? inside = Basis is null ? null : wide.matmul(Basis);
            Tensor rest = inside is null ? wide : wide - inside.matmul(Basis!.t());
            var (energy, vectors) = linalg.eigh(TensorMath.RowGrams(rest));
            Tensor live = energy.IsAbove(NoiseEnergy).to(ScalarType.Float64);
            Tensor size = energy.AtLeast(NoiseEnergy).sqrt();
            Tensor outside = (vectors * (size * live).unsqueeze(1)).transpose(1, 2);
            Tensor combine = vectors * (live / size).unsqueeze(1);
            Tensor small = inside is null ? outside : cat([inside.transpose(1, 2), outside], 1);
            return new Coordinates(Basis, rest, combine, small);
        }
    }

    /// <summary>One side of a chunk of products in orthonormal coordinates [Q, X], X = Restᵀ·Combine.</summary>
    /// <param name="Basis">Q [d, r], or null.</param>
    /// <param name="Rest">[n, l, d]</param>
    /// <param name="Combine">[n, l, l]</param>
    /// <param name="Small">The rows' coordinates, [n, r + l, l].</param>
    private sealed record Coordinates(Tensor? Basis, Tensor Rest, Tensor Combine, Tensor Small)
    {
        private long Inside => Basis?.shape[1] ?? 0;

        /// <summary>[n, r + l, t] coordinates as columns [n, d, t].</summary>
        internal Tensor Expand(Tensor coordinates)
        {
            long l = Combine.shape[2];
            Tensor outside = Rest.transpose(1, 2).bmm(Combine.bmm(coordinates.narrow(1, Inside, l)));
            return Basis is null ? outside : outside.Plus(Basis.matmul(coordinates.narrow(1, 0, Inside)));
        }

        /// <summary>Columns [n, d, t] in coordinates [n, r + l, t].</summary>
        internal Tensor Coordinate(Tensor columns)
        {
            Tensor outside = Combine.transpose(1, 2).bmm(Rest.bmm(columns));
            return Basis is null ? outside : cat([Basis.t().matmul(columns), outside], 1);
        }
    }
}
