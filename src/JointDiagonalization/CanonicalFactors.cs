using Eigengate.JointDiagonalization.Peft;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization;

/// <summary>
/// Canonical factors of the products of one module, stacked so that every later step is one GEMM
/// (spec/joint-diagonalization.md §1). A product is M_i = n_i · F_i G_iᵀ with ‖F_i G_iᵀ‖ = 1 and G_i orthonormal.
/// Stacks hold the columns of F_i and G_i as rows: F [k·l, d_out], G [k·l, d_in], smaller ranks padded with zero rows.
/// Zero products are named in <see cref="ZeroOwners"/> and take no part (§9).
/// </summary>
public sealed class CanonicalFactors : IDisposable
{
    /// <summary>Singular values below this fraction of the largest are rounding noise of float32 input.</summary>
    public const double RankTolerance = 1e-6;

    private const double ZeroTolerance = 1e-12;
    private const int ChunkProducts = 32;

    internal CanonicalFactors(Tensor f, Tensor g, int width, int[] owners, double[] norms, int[] zeroOwners)
    {
        F = f.DetachFromDisposeScope();
        G = g.DetachFromDisposeScope();
        Width = width;
        Owners = owners;
        Norms = norms;
        ZeroOwners = zeroOwners;
    }

    /// <summary>[k·l, d_out]</summary>
    public Tensor F { get; }

    /// <summary>[k·l, d_in]</summary>
    public Tensor G { get; }

    /// <summary>l: rows per product.</summary>
    public int Width { get; }

    /// <summary>k: non-zero products.</summary>
    public int Count => Owners.Count;

    public int OutFeatures => (int)F.shape[1];

    public int InFeatures => (int)G.shape[1];

    /// <summary>The caller's number of each product (its adapter), ascending when the input was.</summary>
    public IReadOnlyList<int> Owners { get; }

    /// <summary>n_i, the Frobenius norm of each product, scale included.</summary>
    public IReadOnlyList<double> Norms { get; }

    /// <summary>Owners whose product is zero, or below 1e-12 of the median norm.</summary>
    public IReadOnlyList<int> ZeroOwners { get; }

    /// <summary>F as [k, l, d_out].</summary>
    internal Tensor BatchedF => F.view(Count, Width, OutFeatures);

    /// <summary>G as [k, l, d_in].</summary>
    internal Tensor BatchedG => G.view(Count, Width, InFeatures);

    /// <summary>
    /// Canonicalises in float64 (thin QR and a small SVD), stores as <paramref name="dtype"/>.
    /// </summary>
    /// <param name="deltas">Deltas of one module with the caller's number of each; all of one shape.</param>
    /// <exception cref="ArgumentException">No delta, or deltas of different shapes.</exception>
    public static CanonicalFactors From(
        IReadOnlyList<(int Owner, LoraDelta Delta)> deltas, Device? device = null, ScalarType dtype = ScalarType.Float32)
    {
        if (deltas.Count == 0)
            throw new ArgumentException("at least one delta is needed", nameof(deltas));
        LoraDelta first = deltas[0].Delta;
        return From(
            deltas.Count,
            i => deltas[i],
            new ModuleShape(first.OutFeatures, first.InFeatures),
            deltas.Max(d => d.Delta.Rank),
            device ?? CPU,
            dtype,
            CancellationToken.None);
    }

    /// <summary>
    /// The same with products read on demand, a few at a time on every compute thread; <paramref name="read"/> is called
    /// once for each number below <paramref name="count"/>, from several threads.
    /// </summary>
    internal static CanonicalFactors From(
        int count, Func<int, (int Owner, LoraDelta Delta)> read, ModuleShape shape, int loraRank, Device device, ScalarType dtype, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        int width = Math.Min(loraRank, Math.Min(shape.OutFeatures, shape.InFeatures));
        Tensor f = empty([count, width, shape.OutFeatures], dtype, device), g = empty([count, width, shape.InFeatures], dtype, device);
        double[] norms = new double[count];
        int[] owners = new int[count];
        Workers.For((count + ChunkProducts - 1) / ChunkProducts, ReadChunk, cancellation);
        return WithoutZeros(f, g, norms, owners);

        void ReadChunk(int chunk)
        {
            using var chunkScope = NewDisposeScope();
            int first = chunk * ChunkProducts;
            var products = new LoraDelta[Math.Min(ChunkProducts, count - first)];
            for (int i = 0; i < products.Length; i++)
                (owners[first + i], products[i]) = read(first + i);
            RequireShape(products, owners.AsSpan(first), shape);
            var (chunkF, chunkG, chunkNorms) = Canonicalise(products, loraRank, device);
            f.narrow(0, first, products.Length).copy_(chunkF);
            g.narrow(0, first, products.Length).copy_(chunkG);
            chunkNorms.ToDoubles().CopyTo(norms, first);
        }
    }

    private static CanonicalFactors WithoutZeros(Tensor f, Tensor g, double[] norms, int[] owners)
    {
        double threshold = ZeroTolerance * Median(norms);
        int[] kept = [.. Enumerable.Range(0, norms.Length).Where(i => norms[i] > 0 && norms[i] >= threshold)];
        int[] zero = [.. Enumerable.Range(0, norms.Length).Except(kept).Select(i => owners[i])];
        if (zero.Length > 0)
        {
            Tensor index = tensor(kept.Select(i => (long)i).ToArray()).to(f.device);
            (f, g) = (f.index_select(0, index), g.index_select(0, index));
        }

        return new CanonicalFactors(
            f.view(-1, f.shape[2]), g.view(-1, g.shape[2]), (int)f.shape[1], [.. kept.Select(i => owners[i])], [.. kept.Select(i => norms[i])], zero);
    }

    private static void RequireShape(LoraDelta[] deltas, ReadOnlySpan<int> owners, ModuleShape shape)
    {
        for (int i = 0; i < deltas.Length; i++)
        {
            if (deltas[i].OutFeatures != shape.OutFeatures || deltas[i].InFeatures != shape.InFeatures)
            {
                throw new ArgumentException(
                    $"delta {owners[i]} is [{deltas[i].OutFeatures}, {deltas[i].InFeatures}]; the module is [{shape.OutFeatures}, {shape.InFeatures}]", nameof(deltas));
            }
        }
    }

    private static (Tensor F, Tensor G, Tensor Norms) Canonicalise(LoraDelta[] deltas, int loraRank, Device device)
    {
        int outFeatures = deltas[0].OutFeatures, inFeatures = deltas[0].InFeatures;
        float[] b = new float[(long)deltas.Length * outFeatures * loraRank];
        float[] a = new float[(long)deltas.Length * loraRank * inFeatures];
        for (int i = 0; i < deltas.Length; i++)
        {
            LoraDelta delta = deltas[i];
            delta.A.CopyTo(a.AsSpan(i * loraRank * inFeatures));
            if (delta.Rank == loraRank)
            {
                delta.B.CopyTo(b.AsSpan(i * outFeatures * loraRank));
                continue;
            }

            for (int row = 0; row < outFeatures; row++)
                delta.B.AsSpan(row * delta.Rank, delta.Rank).CopyTo(b.AsSpan(((i * outFeatures) + row) * loraRank));
        }

        return Canonicaliser.Factor(
            tensor(b, [deltas.Length, outFeatures, loraRank]).to(device),
            tensor(a, [deltas.Length, loraRank, inFeatures]).to(device),
            tensor(deltas.Select(d => d.Scale).ToArray()).to(device));
    }

    /// <summary>The products at these positions (not owners), in that order.</summary>
    public CanonicalFactors Select(IReadOnlyList<int> positions)
    {
        using var scope = NewDisposeScope();
        Tensor index = tensor(positions.Select(p => (long)p).ToArray()).to(F.device);
        return new CanonicalFactors(
            BatchedF.index_select(0, index).reshape(-1, OutFeatures),
            BatchedG.index_select(0, index).reshape(-1, InFeatures),
            Width,
            [.. positions.Select(p => Owners[p])],
            [.. positions.Select(p => Norms[p])],
            []);
    }

    /// <summary>The same products in the coordinates of orthonormal P_F [d_out, p] and P_G [d_in, p]; null keeps a side (§6).</summary>
    internal CanonicalFactors Project(Tensor? projectF, Tensor? projectG)
    {
        using var scope = NewDisposeScope();
        return new CanonicalFactors(
            projectF is null ? F.clone() : F.mm(projectF),
            projectG is null ? G.clone() : G.mm(projectG),
            Width,
            [.. Owners],
            [.. Norms],
            [.. ZeroOwners]);
    }

    /// <summary>Singular values of the product at a position, scale included, falling; as many as its numerical rank.</summary>
    public double[] SingularValues(int position)
    {
        using var scope = NewDisposeScope();
        double[] unit = BatchedF[position].to(ScalarType.Float64).Squared().sum(1).sqrt().ToDoubles();
        return [.. unit.Where(s => s > 0).OrderDescending().Select(s => s * Norms[position])];
    }

    public void Dispose()
    {
        F.Dispose();
        G.Dispose();
    }

    private static double Median(double[] values)
    {
        double[] positive = [.. values.Where(v => v > 0).Order()];
        return positive.Length == 0 ? 0 : positive[positive.Length / 2];
    }
}
