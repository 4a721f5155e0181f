using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Global assignment: one cluster per adapter for all modules, min Σ_i Σ_m e_im(c(i)) (spec/joint-diagonalization.md §5).
/// Affinity and balanced starts, then moves proposed by leave-one-out errors and kept only when the refitted total falls.
/// Deterministic from the seed.
/// </summary>
public sealed class AdapterClusterer(ClusterOptions options)
{
    private const double LeastGain = 1e-12;
    private const int NoProducts = -1;

    /// <param name="adapters">Number of adapters; owners in the modules are below it.</param>
    /// <param name="modules">Products per module, possibly projected to fewer dimensions.</param>
    /// <param name="progress">Called after each round with the start's name and the objective.</param>
    /// <param name="cancellation">Checked between fits.</param>
    public ClusterAssignment Assign(
        int adapters, IReadOnlyList<CanonicalFactors> modules, Action<string, double>? progress = null, CancellationToken cancellation = default)
    {
        int[] active = [.. modules.SelectMany(m => m.Owners).Distinct().Order()];
        int clusters = options.Start is null ? Math.Min(options.Clusters, active.Length) : options.Clusters;
        if (clusters <= 1)
            return new ClusterAssignment(new int[adapters], 1, double.NaN, [], "single");

        ClusterAssignment? best = null;
        foreach (var (name, start) in options.Start is null ? Starts(adapters, active, clusters, modules) : [Given(options.Start, active)])
        {
            ClusterAssignment candidate = Improve(name, start, clusters, modules, progress, cancellation);
            if (best is null || candidate.Objective < best.Objective - LeastGain)
                best = candidate;
        }

        return best! with { ClusterOf = options.Start is null ? Renumber(best.ClusterOf, active) : [.. best.ClusterOf.Select(c => Math.Max(0, c))] };
    }

    private static (string Name, int[] Assignment) Given(int[] given, int[] active)
    {
        int[] start = new int[given.Length];
        Array.Fill(start, NoProducts);
        foreach (int adapter in active)
            start[adapter] = given[adapter];
        return ("given", start);
    }

    private IEnumerable<(string Name, int[] Assignment)> Starts(
        int adapters, int[] active, int clusters, IReadOnlyList<CanonicalFactors> modules)
    {
        var affinity = new Affinity(adapters);
        foreach (CanonicalFactors module in modules)
            affinity.Add(module);
        double[,] all = affinity.Normalised();
        double[,] part = new double[active.Length, active.Length];
        for (int i = 0; i < active.Length; i++)
        {
            for (int j = 0; j < active.Length; j++)
                part[i, j] = all[active[i], active[j]];
        }

        yield return ("affinity", Spread(SpectralStart.Assign(part, clusters, options.Seed)));
        yield return ("balanced", Spread([.. Enumerable.Range(0, active.Length).Select(i => i % clusters)]));

        int[] Spread(int[] ofActive)
        {
            int[] assignment = new int[adapters];
            Array.Fill(assignment, NoProducts);
            for (int i = 0; i < active.Length; i++)
                assignment[active[i]] = ofActive[i];
            return assignment;
        }
    }

    private ClusterAssignment Improve(
        string name, int[] start, int clusters, IReadOnlyList<CanonicalFactors> modules, Action<string, double>? progress, CancellationToken cancellation)
    {
        var fitOptions = new FitOptions
        {
            RankU = options.RankU,
            RankV = options.RankV,
            Iterations = options.IterationsPerRound,
            Seed = options.Seed,
        };
        using var fits = new ClusterFits(modules, start, clusters, fitOptions, cancellation);
        fits.FitAll();
        List<double> trace = [fits.Objective];
        progress?.Invoke(name, fits.Objective);
        for (int round = 0; round < options.MaxRounds && MoveSome(fits, clusters); round++)
        {
            trace.Add(fits.Objective);
            progress?.Invoke(name, fits.Objective);
        }

        return new ClusterAssignment(fits.Assignment, clusters, fits.Objective, trace, name);
    }

    /// <summary>Tries all proposed moves at once, then the better half, and so on; false when not even the best one helps.</summary>
    private static bool MoveSome(ClusterFits fits, int clusters)
    {
        List<(int Adapter, int To)> moves = Proposals(fits.HonestErrors(), fits.Assignment, clusters);
        for (int count = moves.Count; count > 0; count /= 2)
        {
            int[] next = [.. fits.Assignment];
            foreach (var (adapter, to) in moves.Take(count))
                next[adapter] = to;
            if (fits.TryMove(next))
                return true;
        }

        return false;
    }

    /// <summary>Moves to a better cluster, largest gain first; no cluster loses its last adapter.</summary>
    private static List<(int Adapter, int To)> Proposals(double[,] errors, int[] assignment, int clusters)
    {
        int[] sizes = new int[clusters];
        List<(int Adapter, int To, double Gain)> gains = [];
        for (int i = 0; i < assignment.Length; i++)
        {
            int own = assignment[i], best = own;
            if (own == NoProducts)
                continue;
            sizes[own]++;
            for (int c = 0; c < clusters; c++)
            {
                if (errors[i, c] < errors[i, best])
                    best = c;
            }

            double gain = errors[i, own] - errors[i, best];
            if (gain > LeastGain)
                gains.Add((i, best, gain));
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

    /// <summary>Clusters numbered by their first adapter with a product, so that equal partitions look equal; the others go to cluster 0.</summary>
    private static int[] Renumber(int[] assignment, int[] active)
    {
        var numbers = new Dictionary<int, int>();
        int[] result = new int[assignment.Length];
        foreach (int adapter in active)
        {
            numbers.TryAdd(assignment[adapter], numbers.Count);
            result[adapter] = numbers[assignment[adapter]];
        }

        return result;
    }
}
