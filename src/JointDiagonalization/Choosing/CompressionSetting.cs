using System.Globalization;

namespace Eigengate.JointDiagonalization.Choosing;

/// <summary>What decides error and size of a bundle.</summary>
/// <param name="RankU">Columns of U.</param>
/// <param name="RankV">Columns of V.</param>
/// <param name="Clusters">Clusters with bases of their own.</param>
/// <param name="Residual">t: rank of what each adapter keeps for itself.</param>
public readonly record struct CompressionSetting(int RankU, int RankV, int Clusters, int Residual)
{
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"rank {RankU}x{RankV}, {Clusters} cluster{(Clusters == 1 ? "" : "s")}{(Residual == 0 ? "" : $", residual {Residual}")}");
}

/// <summary>A setting and what it is expected to give.</summary>
/// <param name="Setting">The setting.</param>
/// <param name="Error">Mean relative squared error over non-zero products.</param>
/// <param name="Bytes">Size of the data files.</param>
/// <param name="Fitted">Whether the error was measured by fitting the sample; otherwise it is read off the spectra.</param>
public sealed record ConsideredSetting(CompressionSetting Setting, double Error, long Bytes, bool Fitted);
