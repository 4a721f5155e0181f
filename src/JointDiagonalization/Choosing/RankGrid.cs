namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>The ranks that are considered on each side.</summary>
internal sealed class RankGrid
{
    private static readonly int[] Ranks = [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256];

    // Remainders cost an eigenvalue problem per product, so fewer ranks are tried with them.
    private static readonly int[] RanksWithResidual = [4, 8, 16, 32, 64, 128];

    // Keeps the number of pairs in bounds.
    private const int WidestRatio = 16;
    private const int WidestRatioWithResidual = 4;

    private RankGrid(int[] u, int[] v, (int U, int V)[] pairs, (int U, int V)[] withResidual) =>
        (U, V, Pairs, WithResidual) = (u, v, pairs, withResidual);

    internal int[] U { get; }

    internal int[] V { get; }

    internal (int U, int V)[] Pairs { get; }

    /// <summary>The pairs that are tried with a private residual.</summary>
    internal (int U, int V)[] WithResidual { get; }

    /// <summary>Every rank up to what the modules' sides need.</summary>
    internal static RankGrid UpTo(int outFeatures, int inFeatures)
    {
        int[] u = Useful(outFeatures), v = Useful(inFeatures);
        (int U, int V)[] pairs = [.. from x in u from y in v where Math.Max(x, y) <= WidestRatio * Math.Min(x, y) select (x, y)];
        return new RankGrid(u, v, pairs,
        [
            .. pairs.Where(p => RanksWithResidual.Contains(p.U) && RanksWithResidual.Contains(p.V)
                && Math.Max(p.U, p.V) <= WidestRatioWithResidual * Math.Min(p.U, p.V)),
        ]);
    }

    /// <summary>All other pairs between the grid's neighbours of one, of which a budget is rarely on the grid.</summary>
    internal IEnumerable<(int U, int V)> Around(int rankU, int rankV)
    {
        HashSet<(int, int)> known = [.. Pairs];
        return
            from u in Between(U, rankU)
            from v in Between(V, rankV)
            where !known.Contains((u, v))
            select (u, v);

        static IEnumerable<int> Between(int[] ranks, int rank)
        {
            int at = Array.IndexOf(ranks, rank);
            int from = ranks[Math.Max(0, at - 1)], to = ranks[Math.Min(ranks.Length - 1, at + 1)];
            return Enumerable.Range(from, to - from + 1);
        }
    }

    /// <summary>Only this pair; with <paramref name="larger"/> also what half as much again would give, on either side or both.</summary>
    internal static RankGrid Only(int rankU, int rankV, bool larger)
    {
        (int, int)[] pairs = [(rankU, rankV)];
        if (!larger)
            return new RankGrid([rankU], [rankV], pairs, pairs);
        int moreU = Larger(rankU), moreV = Larger(rankV);
        return new RankGrid([rankU, moreU], [rankV, moreV], [(rankU, rankV), (moreU, rankV), (rankU, moreV), (moreU, moreV)], pairs);
    }

    private static int Larger(int rank) => rank + Math.Max(1, rank / 2);

    private static int[] Useful(int features)
    {
        int last = Array.FindIndex(Ranks, r => r >= features);
        return last < 0 ? Ranks : Ranks[..(last + 1)];
    }
}
