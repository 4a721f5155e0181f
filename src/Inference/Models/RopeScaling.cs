namespace Eigengate.Inference.Models;

/// <summary>
/// The frequencies of a rotary embedding (spec/adapters.md §5.1). This type itself leaves them as trained; the derived
/// ones stretch them beyond the trained context.
/// </summary>
public record RopeScaling
{
    public static RopeScaling None { get; } = new();

    /// <summary>Cosines and sines are multiplied by this.</summary>
    public virtual double Magnitude => 1;

    /// <summary>Tokens that the stretching reaches, where the rule says so; else 0.</summary>
    public virtual int StretchedContext => 0;

    /// <summary>Angle per position of each rotary pair, [head_dim / 2].</summary>
    public double[] Frequencies(int headDim, double theta)
    {
        double[] frequencies = new double[headDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] = Math.Pow(theta, -2.0 * i / headDim);
        Stretch(frequencies, headDim, theta);
        return frequencies;
    }

    protected virtual void Stretch(double[] frequencies, int headDim, double theta)
    {
    }
}

/// <summary>Every position counts as a fraction of itself.</summary>
public sealed record LinearRopeScaling(double Factor) : RopeScaling
{
    protected override void Stretch(double[] frequencies, int headDim, double theta)
    {
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] /= Factor;
    }
}

/// <summary>Stretches wavelengths that do not fit the trained context, keeps short ones, and blends in between.</summary>
/// <param name="OriginalContext">Trained context, in tokens.</param>
public sealed record Llama3RopeScaling(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalContext) : RopeScaling
{
    protected override void Stretch(double[] frequencies, int headDim, double theta)
    {
        for (int i = 0; i < frequencies.Length; i++)
        {
            double wavelength = 2 * Math.PI / frequencies[i];
            double blend = ((OriginalContext / wavelength) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
            double kept = Math.Clamp(blend, 0, 1);
            frequencies[i] = ((1 - kept) * frequencies[i] / Factor) + (kept * frequencies[i]);
        }
    }
}

/// <summary>YaRN: blends by the number of turns a pair makes within the trained context, and sharpens attention.</summary>
/// <param name="OriginalContext">Trained context, in tokens.</param>
/// <param name="BetaFast">Pairs with more turns stay as trained.</param>
/// <param name="BetaSlow">Pairs with fewer turns are stretched fully.</param>
/// <param name="AttentionFactor">Multiplies cosines and sines.</param>
public sealed record YarnRopeScaling(double Factor, int OriginalContext, double BetaFast, double BetaSlow, double AttentionFactor) : RopeScaling
{
    private const int MaxContext = 1 << 24;

    public override double Magnitude => AttentionFactor;

    public override int StretchedContext => (int)Math.Min(OriginalContext * Factor, MaxContext);

    public static double DefaultMagnitude(double factor, double weight = 1) => factor <= 1 ? 1 : (0.1 * weight * Math.Log(factor)) + 1;

    protected override void Stretch(double[] frequencies, int headDim, double theta)
    {
        double low = Math.Max(Math.Floor(Pair(BetaFast, headDim, theta)), 0);
        double high = Math.Min(Math.Ceiling(Pair(BetaSlow, headDim, theta)), headDim - 1);
        if (low == high)
            high += 0.001;
        for (int i = 0; i < frequencies.Length; i++)
        {
            double stretched = Math.Clamp((i - low) / (high - low), 0, 1);
            frequencies[i] = ((1 - stretched) * frequencies[i]) + (stretched * frequencies[i] / Factor);
        }
    }

    /// <summary>Index, not rounded, of the pair that makes this many turns within the trained context.</summary>
    private double Pair(double turns, int headDim, double theta) =>
        headDim * Math.Log(OriginalContext / (2 * Math.PI * turns)) / (2 * Math.Log(theta));
}
