using Eigengate.JointDiagonalization;
using static TorchSharp.torch;

namespace Eigengate.Bench.Compression;

/// <summary>How a made collection is structured.</summary>
internal enum Structure
{
    /// <summary>Members of a family share planted column and row spaces, plus noise.</summary>
    Families,

    /// <summary>Adapters trained from one start share most of A; B is free.</summary>
    SeedSharing,

    Unstructured,

    /// <summary>Equal groups in mutually orthogonal spaces, no noise.</summary>
    Symmetric,

    /// <summary>Families of very different sizes, noises and norms.</summary>
    Uneven,
}

/// <summary>Makes deltas of one module. The family of adapter i is the same in every module.</summary>
/// <param name="Families">Planted families.</param>
/// <param name="Shared">Directions per side that a family shares.</param>
/// <param name="Noise">Noise against signal, in amplitude.</param>
internal sealed record Collections(Structure Structure, int Families, int Shared, double Noise = 0.5)
{
    internal LoraDelta[] Make(int count, int outFeatures, int inFeatures, int rank, int seed)
    {
        using var scope = NewDisposeScope();
        Generator random = new((ulong)seed);
        Tensor p = randn([Families, outFeatures, Shared], generator: random), q = randn([Families, Shared, inFeatures], generator: random);
        if (Structure == Structure.Symmetric)
            (p, q) = (Orthogonal(p), Orthogonal(q.transpose(1, 2)).transpose(1, 2));
        int[] places = [.. Enumerable.Range(0, count)];
        // Neither the balanced start nor the order of names may know the families.
        new Random(count).Shuffle(places);
        Tensor sharedA = randn([rank, inFeatures], generator: random);
        double root = Math.Sqrt(Shared);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            using var one = NewDisposeScope();
            int family = FamilyOf(places[i], count);
            double noise = Structure == Structure.Uneven ? Noise * (0.4 + (1.2 * family / Families)) : Noise;
            var (b, a) = Structure switch
            {
                Structure.Unstructured => (Normal(outFeatures, rank), Normal(rank, inFeatures)),
                Structure.SeedSharing => (Normal(outFeatures, rank), sharedA.Plus(0.15, Normal(rank, inFeatures))),
                Structure.Symmetric => (p[family].mm(Normal(Shared, rank)), Normal(rank, Shared).mm(q[family])),
                _ => (
                    p[family].mm(Normal(Shared, rank)).Plus(noise * root, Normal(outFeatures, rank)),
                    Normal(rank, Shared).mm(q[family]).Plus(noise * root, Normal(rank, inFeatures))),
            };
            double scale = Structure == Structure.Uneven ? Math.Pow(10, -1 + (2.0 * (i % 7) / 6)) : 0.5 + ((i % 5) / 5.0);
            return new LoraDelta(Floats(b), Floats(a), outFeatures, inFeatures, rank, scale);
        })];

        Tensor Normal(int rows, int columns) => randn([rows, columns], generator: random);
    }

    private int FamilyOf(int position, int count)
    {
        if (Structure != Structure.Uneven)
            return position % Families;
        // Sizes fall as 1, 1/2, 1/3 …
        double at = (position + 0.5) / count * Enumerable.Range(1, Families).Sum(f => 1.0 / f), sum = 0;
        for (int family = 0; family < Families; family++)
        {
            sum += 1.0 / (family + 1);
            if (at < sum)
                return family;
        }

        return Families - 1;
    }

    private static Tensor Orthogonal(Tensor batch)
    {
        Tensor flat = batch.transpose(0, 1).reshape(batch.shape[1], -1);
        var (basis, _) = linalg.qr(flat);
        return basis.view(batch.shape[1], batch.shape[0], batch.shape[2]).transpose(0, 1).contiguous();
    }

    private static float[] Floats(Tensor tensor) => tensor.contiguous().data<float>().ToArray();
}
