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
    private const int ChunkProducts = 64;

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
    /// Canonicalises in float64 by thin QR and a small SVD, stores as <paramref name="dtype"/>.
    /// </summary>
    /// <param name="deltas">Deltas of one module with the caller's number of each; all of one shape.</param>
    /// <exception cref="ArgumentException">No delta, or deltas of different shapes.</exception>
    public static CanonicalFactors From(
        IReadOnlyList<(int Owner, LoraDelta Delta)> deltas, Device? device = null, ScalarType dtype = ScalarType.Float32) =>
        From(deltas, deltas.Count == 0 ? 0 : deltas.Max(d => d.Delta.Rank), device ?? CPU, dtype);

    /// <summary>The same over a lazy sequence, of which only a chunk is in memory at a time.</summary>
    internal static CanonicalFactors From(IEnumerable<(int Owner, LoraDelta Delta)> deltas, int loraRank, Device device, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        List<Tensor> fs = [], gs = [];
        List<double> norms = [];
        List<int> allOwners = [];
        (int OutFeatures, int InFeatures)? shape = null;
        foreach ((int Owner, LoraDelta Delta)[] chunk in deltas.Chunk(ChunkProducts))
        {
            shape ??= (chunk[0].Delta.OutFeatures, chunk[0].Delta.InFeatures);
            foreach (var (owner, delta) in chunk)
            {
                if ((delta.OutFeatures, delta.InFeatures) != shape)
                    throw new ArgumentException($"delta {owner} is [{delta.OutFeatures}, {delta.InFeatures}]; the module is {shape}", nameof(deltas));
            }

            using var chunkScope = NewDisposeScope();
            var (f, g, norm) = Canonicalise([.. chunk.Select(d => d.Delta)], loraRank, device);
            fs.Add(f.to(dtype).MoveToOuterDisposeScope());
            gs.Add(g.to(dtype).MoveToOuterDisposeScope());
            norms.AddRange(norm.ToDoubles());
            allOwners.AddRange(chunk.Select(d => d.Owner));
        }

        if (shape is null)
            throw new ArgumentException("at least one delta is needed", nameof(deltas));
        double threshold = ZeroTolerance * Median(norms);
        int[] kept = [.. Enumerable.Range(0, norms.Count).Where(i => norms[i] > 0 && norms[i] >= threshold)];
        int[] zero = [.. Enumerable.Range(0, norms.Count).Except(kept).Select(i => allOwners[i])];
        int[] owners = [.. kept.Select(i => allOwners[i])];
        double[] keptNorms = [.. kept.Select(i => norms[i])];
        Tensor allF = cat(fs, 0), allG = cat(gs, 0);
        if (zero.Length > 0)
        {
            Tensor index = tensor(kept.Select(i => (long)i).ToArray()).to(allF.device);
            allF = allF.index_select(0, index);
            allG = allG.index_select(0, index);
        }

        int width = (int)allF.shape[1];
        return new CanonicalFactors(
            allF.reshape(-1, shape.Value.OutFeatures), allG.reshape(-1, shape.Value.InFeatures), width, owners, keptNorms, zero);
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
        double[] unit = BatchedF[position].to(ScalarType.Float64).square().sum(1).sqrt().ToDoubles();
        return [.. unit.Where(s => s > 0).OrderDescending().Select(s => s * Norms[position])];
    }

    public void Dispose()
    {
        F.Dispose();
        G.Dispose();
    }

    /// <summary>F [k, l, d_out], G [k, l, d_in], norms [k], all float64; products of norm 0 give zero rows.</summary>
    private static (Tensor F, Tensor G, Tensor Norms) Canonicalise(LoraDelta[] deltas, int loraRank, Device device)
    {
        int outFeatures = deltas[0].OutFeatures, inFeatures = deltas[0].InFeatures;
        int width = Math.Min(loraRank, Math.Min(outFeatures, inFeatures));
        float[] b = new float[(long)deltas.Length * outFeatures * loraRank];
        float[] a = new float[(long)deltas.Length * loraRank * inFeatures];
        for (int i = 0; i < deltas.Length; i++)
        {
            LoraDelta delta = deltas[i];
            delta.A.CopyTo(a.AsSpan(i * loraRank * inFeatures));
            for (int row = 0; row < outFeatures; row++)
                delta.B.AsSpan(row * delta.Rank, delta.Rank).CopyTo(b.AsSpan(((i * outFeatures) + row) * loraRank));
        }

        Tensor scales = tensor(deltas.Select(d => d.Scale).ToArray()).to(device).view(-1, 1, 1);
        var (q, r) = linalg.qr(tensor(b, [deltas.Length, outFeatures, loraRank]).to(device).to(ScalarType.Float64));
        var (p, t) = linalg.qr(tensor(a, [deltas.Length, loraRank, inFeatures]).to(device).to(ScalarType.Float64).transpose(1, 2));
        var (x, s, yt) = linalg.svd(scales * r.bmm(t.transpose(1, 2)), fullMatrices: false);
        Tensor norms = s.square().sum(1).sqrt();
        Tensor live = s.gt(s.narrow(1, 0, 1) * TensorMath.RankTolerance).to(ScalarType.Float64);
        Tensor unit = s * live / norms.clamp_min(TensorMath.Smallest).unsqueeze(1);
        Tensor f = q.bmm(x) * unit.unsqueeze(1);
        Tensor g = p.bmm(yt.transpose(1, 2)) * live.unsqueeze(1);
        return (f.transpose(1, 2).narrow(1, 0, width).contiguous(), g.transpose(1, 2).narrow(1, 0, width).contiguous(), norms);
    }

    private static double Median(List<double> values)
    {
        double[] positive = [.. values.Where(v => v > 0).Order()];
        return positive.Length == 0 ? 0 : positive[positive.Length / 2];
    }
}
