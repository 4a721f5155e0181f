using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>AdamW with global gradient clipping, whose whole state can be written to a file so that training resumes exactly.</summary>
public sealed class AdamW : IDisposable
{
    private const double Beta1 = 0.9, Beta2 = 0.99, Epsilon = 1e-8;
    private readonly SortedDictionary<string, (Tensor Weight, Tensor Mean, Tensor Square)> _state = new(StringComparer.Ordinal);
    private readonly double _decay, _maxNorm;

    public AdamW(IEnumerable<KeyValuePair<string, Tensor>> weights, double decay, double maxNorm)
    {
        (_decay, _maxNorm) = (decay, maxNorm);
        foreach (var (name, weight) in weights)
            _state.Add(name, (weight, zeros_like(weight, requires_grad: false), zeros_like(weight, requires_grad: false)));
    }

    public int StepsDone { get; private set; }

    /// <summary>Applies the gradients and clears them. Vectors (norm gains) are not decayed.</summary>
    public void Step(double rate)
    {
        StepsDone++;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        double norm = Math.Sqrt(_state.Values.Sum(s => s.Weight.grad!.square().sum().item<float>()));
        double clip = Math.Min(1, _maxNorm / (norm + 1e-6));
        double correction = Math.Sqrt(1 - Math.Pow(Beta2, StepsDone));
        double size = rate / (1 - Math.Pow(Beta1, StepsDone));
        foreach (var (weight, mean, square) in _state.Values)
        {
            Tensor gradient = weight.grad!.mul_(clip);
            mean.mul_(Beta1).add_(gradient, alpha: 1 - Beta1);
            square.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
            if (weight.dim() > 1)
                weight.mul_(1 - (rate * _decay));
            weight.addcdiv_(mean, square.sqrt().div_(correction).add_(Epsilon), -size);
            gradient.zero_();
        }
    }

    /// <summary>Linear warm-up, then a cosine down to a twentieth of the peak.</summary>
    public static double Cosine(double peak, int step, int warmup, int total) =>
        step < warmup
            ? peak * (step + 1) / warmup
            : peak * (0.05 + 0.475 * (1 + Math.Cos(Math.PI * (step - warmup) / Math.Max(1, total - warmup))));

    /// <summary>A cosine laid out over one and a half times the steps, brought to zero linearly in the last quarter.</summary>
    public static double CosineWithCooldown(double peak, int step, int warmup, int total) =>
        Cosine(peak, step, warmup, total * 3 / 2) * Math.Min(1, 4.0 * (total - step) / total);

    public void Save(string path)
    {
        var writer = new SafetensorsWriter().Metadata("steps", $"{StepsDone}");
        foreach (var (name, (weight, mean, square)) in _state)
        {
            TensorFiles.Add(writer, name, weight);
            TensorFiles.Add(writer, name + ".mean", mean);
            TensorFiles.Add(writer, name + ".square", square);
        }

        writer.Save(path);
    }

    public void Load(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        StepsDone = int.Parse(file.Metadata["steps"]);
        foreach (var (name, (weight, mean, square)) in _state)
        {
            TensorFiles.CopyInto(weight, file, name);
            TensorFiles.CopyInto(mean, file, name + ".mean");
            TensorFiles.CopyInto(square, file, name + ".square");
        }
    }

    public void Dispose()
    {
        foreach (var (_, mean, square) in _state.Values)
        {
            mean.Dispose();
            square.Dispose();
        }
    }
}
