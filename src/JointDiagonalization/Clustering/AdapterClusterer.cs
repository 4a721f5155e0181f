using Eigengate.JointDiagonalization.Fitting;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// Global assignment: one cluster per adapter for all modules, min Σ_i Σ_m e_im(c(i)) (spec/joint-diagonalization.md §5).
/// Affinity, balanced and core starts, then moves proposed by leave-one-out errors and kept only when the refitted total
/// falls. Deterministic from the seed; every fit runs on one thread, so that their number changes nothing.
/// </summary>
public sealed class AdapterClusterer(ClusterOptions options)
{
    /// <summary>After this many rounds a start that is behind by more than <see cref="Behind"/> is given up.</summary>
    private const int TrialRounds = 2;
    private const double Behind = 0.02;

    private readonly FitOptions _fitOptions = new()
    {
        RankU = options.RankU,
        RankV = options.RankV,
        Iterations = options.IterationsPerRound,
        Seed = options.Seed,
        Certify = false,
    };

    /// <param name="adapters">Number of adapters; owners in the modules are below it.</param>
    /// <param name="modules">Products per module; large ones are projected to fewer dimensions first.</param>
    /// <param name="progress">Called after each round with the start's name and the objective.</param>
    /// <param name="cancellation">Checked between fits.</param>
    public ClusterAssignment Assign(
        int adapters, IReadOnlyList<CanonicalFactors> modules, Action<string, double>? progress = null, CancellationToken cancellation = default)
    {
        List<CanonicalFactors> projected = [];
        try
        {
            foreach (CanonicalFactors module in modules)
                projected.Add(Projected(module));
            using Solution solution = Solve(adapters, projected, progress, cancellation);
            ClusterAssignment assignment = solution.Assignment;
            return assignment with { ClusterOf = Numbered(assignment.ClusterOf) };
        }
        finally
        {
            projected.ForEach(p => p.Dispose());
        }
    }

    /// <summary>The dimensions that a module of so many rows needs during the assignment.</summary>
    internal int Dimensions => ClusterProjection.Dimensions(Math.Max(options.RankU, options.RankV), options.Clusters);

    /// <summary>The assignment and the bases it was found with, in the modules' coordinates; adapters without any product have cluster −1.</summary>
    internal Solution Solve(int adapters, IReadOnlyList<CanonicalFactors> modules, Action<string, double>? progress, CancellationToken cancellation)
    {
        int[] active = [.. modules.SelectMany(m => m.Owners).Distinct().Order()];
        int clusters = options.Start is null ? Math.Min(options.Clusters, active.Length) : options.Clusters;
        if (clusters <= 1)
            return new Solution(new ClusterAssignment(new int[adapters], 1, double.NaN, [], "single"), null);

        List<Candidate> candidates = [];
        try
        {
            foreach (var (name, start) in options.Start is null ? Starts(adapters, active, clusters, modules, cancellation) : [Given(options.Start, active)])
            {
                candidates.Add(new Candidate(name, new ClusterFits(modules, start, clusters, _fitOptions, cancellation), clusters, progress));
                candidates[^1].Start();
                candidates[^1].Improve(Math.Min(TrialRounds, options.MaxRounds));
            }

            double leader = candidates.Min(c => c.Objective);
            foreach (Candidate candidate in candidates.Where(c => c.Objective <= leader * (1 + Behind)))
                candidate.Improve(options.MaxRounds);
            Candidate best = candidates.Aggregate((a, b) => b.Objective < a.Objective - ClusterMoves.LeastGain ? b : a);
            candidates.Remove(best);
            return new Solution(best.Result, best.Fits);
        }
        finally
        {
            candidates.ForEach(c => c.Fits.Dispose());
        }
    }

    /// <summary>
    /// Clusters numbered by their first adapter with a product, so that equal partitions look equal, or as they were given;
    /// adapters without a product go to cluster 0.
    /// </summary>
    internal int[] Numbered(int[] assignment)
    {
        if (options.Start is not null)
            return [.. assignment.Select(c => Math.Max(0, c))];
        var numbers = new Dictionary<int, int>();
        foreach (int cluster in assignment.Where(c => c != ClusterMoves.NoProducts))
            numbers.TryAdd(cluster, numbers.Count);
        return [.. assignment.Select(c => c == ClusterMoves.NoProducts ? 0 : numbers[c])];
    }

    private static (string Name, int[] Assignment) Given(int[] given, int[] active)
    {
        int[] start = new int[given.Length];
        Array.Fill(start, ClusterMoves.NoProducts);
        foreach (int adapter in active)
            start[adapter] = given[adapter];
        return ("given", start);
    }

    private CanonicalFactors Projected(CanonicalFactors module)
    {
        using ClusterProjection projection = ClusterProjection.Of(module, Dimensions, options.Seed);
        return projection.Apply(module);
    }

    private IEnumerable<(string Name, int[] Assignment)> Starts(
        int adapters, int[] active, int clusters, IReadOnlyList<CanonicalFactors> modules, CancellationToken cancellation)
    {
        yield return ("affinity", Spread(ByAffinity()));
        cancellation.ThrowIfCancellationRequested();
        yield return ("balanced", Spread([.. Enumerable.Range(0, active.Length).Select(i => i % clusters)]));
        yield return ("cores", Spread(CoreStart.Assign(active, modules, clusters, new JointDiagonalizer(_fitOptions), options.Seed)));

        int[] ByAffinity()
        {
            using var scope = NewDisposeScope();
            using var affinity = new Affinity(active);
            foreach (CanonicalFactors module in modules)
                affinity.Add(module);
            return SpectralStart.Assign(affinity.Normalised(), clusters, options.Seed);
        }

        int[] Spread(int[] ofActive)
        {
            int[] assignment = new int[adapters];
            Array.Fill(assignment, ClusterMoves.NoProducts);
            for (int i = 0; i < active.Length; i++)
                assignment[active[i]] = ofActive[i];
            return assignment;
        }
    }

    /// <param name="Assignment">Not yet renumbered.</param>
    /// <param name="Fits">Null when there is one cluster.</param>
    internal sealed record Solution(ClusterAssignment Assignment, ClusterFits? Fits) : IDisposable
    {
        public void Dispose() => Fits?.Dispose();
    }

    /// <summary>One start on its way down.</summary>
    private sealed class Candidate(string name, ClusterFits fits, int clusters, Action<string, double>? progress)
    {
        private readonly List<double> _trace = [];
        private bool _converged;

        internal ClusterFits Fits => fits;

        internal double Objective => fits.Objective;

        internal ClusterAssignment Result => new(fits.Assignment, clusters, fits.Objective, _trace, name);

        internal void Start()
        {
            fits.FitAll();
            Note();
        }

        /// <summary>Rounds of moves until none helps or the trace holds this many.</summary>
        internal void Improve(int rounds)
        {
            while (!_converged && _trace.Count <= rounds)
            {
                _converged = !ClusterMoves.TakeSome(fits, clusters);
                if (!_converged)
                    Note();
            }
        }

        private void Note()
        {
            _trace.Add(fits.Objective);
            progress?.Invoke(name, fits.Objective);
        }
    }
}
