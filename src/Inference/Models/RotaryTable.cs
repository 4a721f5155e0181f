namespace Eigengate.Inference.Models;

/// <summary>Cosines and sines of the rotary angles, each [positions, head_dim / 2], float32.</summary>
internal sealed class RotaryTable
{
    public RotaryTable(ModelConfig config, int positions)
    {
        double[] frequencies = config.RopeScaling.Frequencies(config.HeadDim, config.RopeTheta);
        float magnitude = (float)config.RopeScaling.Magnitude;
        Half = frequencies.Length;
        Positions = positions;
        Cos = GC.AllocateUninitializedArray<float>(positions * Half, pinned: true);
        Sin = GC.AllocateUninitializedArray<float>(positions * Half, pinned: true);
        for (int position = 0; position < positions; position++)
        {
            for (int i = 0; i < Half; i++)
            {
                // Checkpoints are trained with angles computed in float32.
                float angle = position * (float)frequencies[i];
                Cos[(position * Half) + i] = MathF.Cos(angle) * magnitude;
                Sin[(position * Half) + i] = MathF.Sin(angle) * magnitude;
            }
        }
    }

    /// <summary>head_dim / 2</summary>
    public int Half { get; }

    public int Positions { get; }

    /// <summary>Pinned.</summary>
    public float[] Cos { get; }

    /// <summary>Pinned.</summary>
    public float[] Sin { get; }
}
