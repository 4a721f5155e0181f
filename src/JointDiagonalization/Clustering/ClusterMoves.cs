namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>One round of the alternation: proposes moves of adapters between clusters and takes those that lower the objective.</summary>
internal static class ClusterMoves
{
    internal const double LeastGain = 1e-12;

    /// <summary>Adapters without a product belong nowhere.</summary>
    internal const int NoProducts = -1;

    /// <summary>
    /// Tries all moves that leave-one-out errors propose at once, then the better half, and so on. When not even the best
    /// one helps, moves every adapter whose error is less on another cluster's bases than on its own, the paper's rule,
    /// which cannot fail to lower the objective. False when there is none.
    /// </summary>
    internal static bool TakeSome(ClusterFits fits, int clusters)
    {
        var (errors, ownLeftOut) = fits.Errors();
        List<(int Adapter, int To)> moves = Proposals(errors, ownLeftOut, fits.Assignment, clusters);
        for (int count = moves.Count; count > 0; count /= 2)
        {
            if (fits.TryMove(After(fits.Assignment, moves.Take(count))))
                return true;
        }

        double[] own = [.. fits.Assignment.Select((c, i) => c == NoProducts ? 0 : errors[i, c])];
        moves = Proposals(errors, own, fits.Assignment, clusters);
        return moves.Count > 0 && fits.TryMove(After(fits.Assignment, moves));
    }

    private static int[] After(int[] assignment, IEnumerable<(int Adapter, int To)> moves)
    {
        int[] next = [.. assignment];
        foreach (var (adapter, to) in moves)
            next[adapter] = to;
        return next;
    }

    /// <summary>Moves to a better cluster than the own, largest gain first; no cluster loses its last adapter.</summary>
    private static List<(int Adapter, int To)> Proposals(double[,] errors, double[] ownErrors, int[] assignment, int clusters)
    {
        int[] sizes = new int[clusters];
        List<(int Adapter, int To, double Gain)> gains = [];
        for (int i = 0; i < assignment.Length; i++)
        {
            int own = assignment[i];
            if (own == NoProducts)
                continue;
            sizes[own]++;
            (int To, double Error) best = (own, ownErrors[i]);
            for (int c = 0; c < clusters; c++)
            {
                if (c != own && errors[i, c] < best.Error)
                    best = (c, errors[i, c]);
            }

            if (ownErrors[i] - best.Error > LeastGain)
                gains.Add((i, best.To, ownErrors[i] - best.Error));
        }

        List<(int Adapter, int To)> moves = [];
        foreach (var (adapter, to, _) in gains.OrderByDescending(g => g.Gain).ThenBy(g => g.Adapter))
        {
            if (sizes[assignment[adapter]] == 1)
                continue;
            sizes[assignment[adapter]]--;
            moves.Add((adapter, to));
        }

        return moves;
    }
}
