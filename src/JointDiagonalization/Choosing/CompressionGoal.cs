using System.Globalization;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>
/// What an operator wants of a bundle: an error at most, a size at most, or neither and only a number of clusters for a
/// given rank. Whatever of the setting is stated is kept; the rest is chosen.
/// </summary>
public sealed record CompressionGoal
{
    /// <summary>Largest mean relative squared error.</summary>
    public double? TargetError { get; init; }

    /// <summary>Largest size of the bundle's data files.</summary>
    public long? BudgetBytes { get; init; }

    public (int U, int V)? Rank { get; init; }

    public int? Clusters { get; init; }

    public int? Residual { get; init; }

    internal void Validate()
    {
        if (TargetError is not null && BudgetBytes is not null)
            throw new ArgumentException("a goal is a target error or a budget, not both");
        if (TargetError is { } error && error is not (> 0 and < 1))
            throw new ArgumentException($"the target error is {error.ToString(CultureInfo.InvariantCulture)}; a number between 0 (lossless) and 1 (nothing kept) was expected");
        if (BudgetBytes is <= 0)
            throw new ArgumentException($"the budget is {BudgetBytes} bytes; a positive number was expected");
        if (TargetError is null && BudgetBytes is null && (Rank is null || Clusters is not null))
            throw new ArgumentException("without a target error or a budget, only the number of clusters for a given rank can be chosen");
    }

    /// <summary>Whether a finished bundle is what was asked for.</summary>
    public bool IsMet(double error, long bytes) => (TargetError is not { } target || error <= target) && (BudgetBytes is not { } budget || bytes <= budget);
}
