using Eigengate.JointDiagonalization.Fitting;

namespace Eigengate.JointDiagonalization.Clustering;

/// <summary>
/// The bases of every (cluster, module) for the current assignment, and the objective they reach. Owns the bases.
/// </summary>
internal sealed class ClusterFits(
    IReadOnlyList<CanonicalFactors> modules, int[] assignment, int clusters, FitOptions options, CancellationToken cancellation) : IDisposable
{
    private readonly JointFit?[,] _fits = new JointFit?[clusters, modules.Count];
    private readonly JointDiagonalizer _diagonalizer = new(options);

    internal int[] Assignment { get; private set; } = assignment;

    internal double Objective { get; private set; }

    internal void FitAll()
    {
        JointFit?[,] fits = Refit(Assignment, [.. Enumerable.Range(0, clusters)]);
        Accept(fits, Assignment);
    }

    /// <summary>Refits the clusters that change; keeps the result only when the summed error falls (§10.6).</summary>
    internal bool TryMove(int[] next)
    {
        HashSet<int> changed = [];
        for (int i = 0; i < next.Length; i++)
        {
            if (next[i] == Assignment[i])
                continue;
            changed.Add(next[i]);
            changed.Add(Assignment[i]);
        }

        JointFit?[,] fits = Refit(next, changed);
        double objective = Total(fits);
        if (objective < Objective - (1e-12 * Math.Max(1, Objective)))
        {
            Accept(fits, next);
            return true;
        }

        foreach (JointFit? fit in fits)
        {
            if (fit is not null && !Contains(fit))
                fit.Dispose();
        }

        return false;
    }

    /// <summary>
    /// Σ_m error of each adapter in each cluster [n, C]: leave-one-out for its own, as fitted for the others, so that both
    /// are honest. A module without a basis in a cluster keeps nothing there.
    /// </summary>
    internal double[,] HonestErrors()
    {
        double[,] errors = new double[Assignment.Length, clusters];
        for (int m = 0; m < modules.Count; m++)
        {
            cancellation.ThrowIfCancellationRequested();
            CanonicalFactors module = modules[m];
            if (module.Count == 0)
                continue;
            for (int c = 0; c < clusters; c++)
            {
                double[]? foreign = _fits[c, m] is { } fit ? ReconstructionError.Cheap(module, fit.Basis) : null;
                for (int p = 0; p < module.Count; p++)
                {
                    if (Assignment[module.Owners[p]] != c)
                        errors[module.Owners[p], c] += foreign?[p] ?? 1;
                }

                AddOwn(errors, module, m, c);
            }
        }

        return errors;
    }

    public void Dispose()
    {
        foreach (JointFit? fit in _fits)
            fit?.Dispose();
    }

    private void AddOwn(double[,] errors, CanonicalFactors module, int m, int cluster)
    {
        if (_fits[cluster, m] is not { } fit)
            return;
        using CanonicalFactors members = module.Select(Positions(module, Assignment, cluster));
        double[] own = LeaveOneOut.Errors(members, fit.Basis);
        for (int p = 0; p < own.Length; p++)
            errors[members.Owners[p], cluster] += own[p];
    }

    private JointFit?[,] Refit(int[] assignment, HashSet<int> changed)
    {
        var fits = (JointFit?[,])_fits.Clone();
        for (int m = 0; m < modules.Count; m++)
        {
            foreach (int c in changed.Order())
            {
                cancellation.ThrowIfCancellationRequested();
                int[] positions = Positions(modules[m], assignment, c);
                fits[c, m] = null;
                if (positions.Length == 0)
                    continue;
                using CanonicalFactors members = modules[m].Select(positions);
                fits[c, m] = _diagonalizer.Fit(members, _fits[c, m]?.Basis, cancellation);
            }
        }

        return fits;
    }

    private void Accept(JointFit?[,] fits, int[] assignment)
    {
        for (int c = 0; c < clusters; c++)
        {
            for (int m = 0; m < modules.Count; m++)
            {
                if (!ReferenceEquals(_fits[c, m], fits[c, m]))
                    _fits[c, m]?.Dispose();
                _fits[c, m] = fits[c, m];
            }
        }

        Assignment = assignment;
        Objective = Total(fits);
    }

    private bool Contains(JointFit fit)
    {
        foreach (JointFit? kept in _fits)
        {
            if (ReferenceEquals(kept, fit))
                return true;
        }

        return false;
    }

    private static double Total(JointFit?[,] fits)
    {
        double sum = 0;
        foreach (JointFit? fit in fits)
            sum += fit?.Trace[^1] ?? 0;
        return sum;
    }

    private static int[] Positions(CanonicalFactors module, int[] assignment, int cluster) =>
        [.. Enumerable.Range(0, module.Count).Where(p => assignment[module.Owners[p]] == cluster)];
}
