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

    internal int Clusters => clusters;

    internal int[] Assignment { get; private set; } = assignment;

    internal double Objective { get; private set; }

    internal void FitAll() => Accept(Refit(Assignment, [.. Enumerable.Range(0, clusters)]), Assignment);

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
        if (Total(fits) < Objective - (1e-12 * Math.Max(1, Objective)))
        {
            Accept(fits, next);
            return true;
        }

        for (int c = 0; c < clusters; c++)
        {
            for (int m = 0; m < modules.Count; m++)
            {
                if (!ReferenceEquals(fits[c, m], _fits[c, m]))
                    fits[c, m]?.Dispose();
            }
        }

        return false;
    }

    /// <summary>Σ_m error of each adapter on the bases of each cluster, as fitted [n, C], and on its own cluster left out of the fit [n].</summary>
    internal (double[,] AsFitted, double[] OwnLeftOut) Errors()
    {
        var asFitted = new double[clusters * modules.Count][];
        var leftOut = new double[clusters * modules.Count][];
        ForEach([.. Enumerable.Range(0, clusters)], (slot, c, m) =>
        {
            asFitted[slot] = ErrorsOn(c, m, modules[m]);
            leftOut[slot] = LeftOut(c, m);
        });

        double[,] errors = new double[Assignment.Length, clusters];
        double[] own = new double[Assignment.Length];
        for (int slot = 0; slot < asFitted.Length; slot++)
        {
            (int c, int m) = (slot / modules.Count, slot % modules.Count);
            Add(errors, c, modules[m], asFitted[slot]);
            int[] members = Positions(modules[m], Assignment, c);
            for (int p = 0; p < members.Length; p++)
                own[modules[m].Owners[members[p]]] += leftOut[slot][p];
        }

        return (errors, own);
    }

    /// <summary>Adds the errors of other products of module m, in its coordinates, to those of their owners [n, C].</summary>
    internal void AddErrors(double[,] errors, int m, CanonicalFactors factors)
    {
        for (int c = 0; c < clusters; c++)
            Add(errors, c, factors, ErrorsOn(c, m, factors));
    }

    public void Dispose()
    {
        foreach (JointFit? fit in _fits)
            fit?.Dispose();
    }

    /// <summary>A module without a basis in a cluster keeps nothing there.</summary>
    private double[] ErrorsOn(int c, int m, CanonicalFactors factors)
    {
        if (factors.Count > 0 && _fits[c, m] is { } fit)
            return ReconstructionError.Cheap(factors, fit.Basis);
        double[] lost = new double[factors.Count];
        Array.Fill(lost, 1);
        return lost;
    }

    private double[] LeftOut(int c, int m)
    {
        if (_fits[c, m] is not { } fit)
            return [];
        using CanonicalFactors members = modules[m].Select(Positions(modules[m], Assignment, c));
        return LeaveOneOut.Errors(members, fit.Basis);
    }

    private JointFit?[,] Refit(int[] next, HashSet<int> changed)
    {
        var fits = (JointFit?[,])_fits.Clone();
        ForEach([.. changed.Order()], (_, c, m) =>
        {
            int[] positions = Positions(modules[m], next, c);
            fits[c, m] = null;
            if (positions.Length == 0)
                return;
            using CanonicalFactors members = modules[m].Select(positions);
            fits[c, m] = _diagonalizer.Fit(members, _fits[c, m]?.Basis, cancellation);
        });
        return fits;
    }

    private void ForEach(int[] chosen, Action<int, int, int> body) =>
        Workers.For(chosen.Length * modules.Count, slot => body(slot, chosen[slot / modules.Count], slot % modules.Count), cancellation);

    private void Accept(JointFit?[,] fits, int[] next)
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

        Assignment = next;
        Objective = Total(fits);
    }

    private static void Add(double[,] errors, int cluster, CanonicalFactors factors, double[] ofProducts)
    {
        for (int p = 0; p < ofProducts.Length; p++)
            errors[factors.Owners[p], cluster] += ofProducts[p];
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
