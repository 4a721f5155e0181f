namespace Eigengate.JointDiagonalization.Fitting;

/// <summary>The result of one fit: a shared basis in canonical gauge, and how well it serves each product.</summary>
public sealed class JointFit(SharedBasis basis, double[] errors, IReadOnlyList<double> trace, double tailU, double tailV) : IDisposable
{
    public SharedBasis Basis { get; } = basis;

    /// <summary>Relative squared error of each product, in the order of the factors.</summary>
    public IReadOnlyList<double> Errors { get; } = errors;

    /// <summary>Summed error at the start and after each iteration; never increases (§10.6).</summary>
    public IReadOnlyList<double> Trace { get; } = trace;

    /// <summary>
    /// Eigenvalues of Σ M̂M̂ᵀ beyond r_U, summed; a lower bound of that sum for large modules, NaN when the start was given and
    /// the module is large.
    /// </summary>
    public double TailU { get; } = tailU;

    /// <summary>The same for Σ M̂ᵀM̂ and r_V.</summary>
    public double TailV { get; } = tailV;

    /// <summary>No basis of these ranks has a smaller summed error (§10.3); NaN when not certified.</summary>
    public double LowerBound => Math.Max(TailU, TailV);

    public double TotalError => Errors.Sum();

    public void Dispose() => Basis.Dispose();
}
