using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>What an adapter does to the outputs [d_out] of one module beside A and B: y = Gain ⊙ (W + ΔW) x + b + Bias (spec/adapters.md §0).</summary>
/// <param name="Gain">gb = gd; null for ones.</param>
/// <param name="Bias">db; null for zeros.</param>
public sealed record ModuleOutputs(float[]? Gain, float[]? Bias);

/// <summary>Finds the gains and biases of an adapter; both depend on the base's weights (spec/adapters.md §1.6, §2.1, §2.2).</summary>
public static class OutputReader
{
    /// <summary>Numbers of the base's weight in memory at a time.</summary>
    private const int BlockLength = 1 << 22;

    /// <summary>By module path; modules that have neither are left out. Gains need a pass over the base's weights.</summary>
    /// <exception cref="AdapterFormatException">A value is not finite, a gain is not defined, or the base has no bias where one was trained.</exception>
    public static IReadOnlyDictionary<string, ModuleOutputs> Read(PeftAdapter adapter, BaseWeights weights)
    {
        var outputs = new SortedDictionary<string, ModuleOutputs>(StringComparer.Ordinal);
        foreach (PeftModule module in adapter.Modules.Values)
        {
            float[]? gain = module.Magnitude is { } magnitude ? Gains(adapter, module, adapter.Read(magnitude), weights) : null;
            float[]? bias = module.FactorBias is { } factorBias ? [.. adapter.Read(factorBias).Select(value => (float)(module.Scale * value))] : null;
            if (gain is not null || bias is not null)
                outputs.Add(module.Path, new ModuleOutputs(gain, bias));
        }

        foreach (var (module, trained) in adapter.TrainedBiases)
        {
            float[] change = Change(adapter, module, trained, weights);
            ModuleOutputs? known = outputs.GetValueOrDefault(module);
            outputs[module] = new ModuleOutputs(known?.Gain, known?.Bias is { } bias ? [.. bias.Zip(change, (a, b) => a + b)] : change);
        }

        return outputs;
    }

    /// <summary>Files hold the bias as it is after training, not how it changed.</summary>
    private static float[] Change(PeftAdapter adapter, string module, TensorEntry trained, BaseWeights weights)
    {
        float[] before = weights.ReadBias(module) ?? throw Error(adapter, $"tensor '{trained.Name}' is a trained bias, but {module} has none in the base model");
        float[] after = adapter.Read(trained);
        return after.Length == before.Length ? [.. after.Zip(before, (a, b) => (float)((double)a - b))]
            : throw Error(adapter, $"tensor '{trained.Name}' has {after.Length} numbers; the base model's bias has {before.Length}");
    }

    /// <summary>m / ‖W + s B A‖, the norm of each row.</summary>
    private static float[] Gains(PeftAdapter adapter, PeftModule module, float[] magnitudes, BaseWeights weights)
    {
        LoraDelta delta = adapter.ReadDelta(module.Path);
        int rows = Math.Max(1, BlockLength / delta.InFeatures);
        float[] gains = new float[delta.OutFeatures];
        for (int first = 0; first < gains.Length; first += rows)
        {
            int count = Math.Min(rows, gains.Length - first);
            float[] weight = new float[count * delta.InFeatures];
            weights.ReadRows(module.Path, first, weight);
            double[] norms = RowNorms(weight, delta, first, count);
            for (int i = 0; i < count; i++)
            {
                gains[first + i] = (float)(magnitudes[first + i] / norms[i]);
                if (!float.IsFinite(gains[first + i]))
                    throw Error(adapter, $"module {module.Path}: row {first + i} of W + ΔW has the norm {norms[i]:R}, so that DoRA's gain is not defined");
            }
        }

        return gains;
    }

    private static double[] RowNorms(float[] weight, LoraDelta delta, int first, int count)
    {
        using var scope = NewDisposeScope();
        double[] scaled = [.. delta.B.AsSpan(first * delta.Rank, count * delta.Rank).ToArray().Select(b => b * delta.Scale)];
        Tensor a = tensor(delta.A, delta.Rank, delta.InFeatures).to(ScalarType.Float64);
        Tensor merged = tensor(weight, count, delta.InFeatures).to(ScalarType.Float64).Plus(tensor(scaled, count, delta.Rank).mm(a));
        return merged.Squared().sum(1).sqrt().ToDoubles();
    }

    private static AdapterFormatException Error(PeftAdapter adapter, string problem) => new(adapter.Id, $"{PeftAdapter.WeightsFile}: {problem}");
}
