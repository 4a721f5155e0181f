namespace Eigengate.Inference.Models;

/// <summary>How rotary frequencies are stretched beyond the trained context (spec/adapters.md §5.1).</summary>
public enum RopeScalingKind
{
    None,
    Linear,
    Llama3,
}

/// <param name="Kind">Which rule.</param>
/// <param name="Factor">Stretch factor.</param>
/// <param name="LowFrequencyFactor">Llama3 only.</param>
/// <param name="HighFrequencyFactor">Llama3 only.</param>
/// <param name="OriginalContext">Llama3 only: trained context, in tokens.</param>
public sealed record RopeScaling(
    RopeScalingKind Kind,
    double Factor = 1,
    double LowFrequencyFactor = 1,
    double HighFrequencyFactor = 1,
    int OriginalContext = 0)
{
    public static RopeScaling None { get; } = new(RopeScalingKind.None);

    /// <summary>Angle per position of each rotary pair, [head_dim / 2].</summary>
    public double[] Frequencies(int headDim, double theta)
    {
        double[] frequencies = new double[headDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
            frequencies[i] = Stretch(Math.Pow(theta, -2.0 * i / headDim));
        return frequencies;
    }

    private double Stretch(double frequency)
    {
        switch (Kind)
        {
            case RopeScalingKind.Linear:
                return frequency / Factor;
            case RopeScalingKind.Llama3:
                double wavelength = 2 * Math.PI / frequency;
                if (wavelength < OriginalContext / HighFrequencyFactor)
                    return frequency;
                if (wavelength > OriginalContext / LowFrequencyFactor)
                    return frequency / Factor;
                double t = ((OriginalContext / wavelength) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
                return ((1 - t) * frequency / Factor) + (t * frequency);
            default:
                return frequency;
        }
    }
}
