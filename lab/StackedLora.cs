using static TorchSharp.torch;

namespace Eigengate.Lab;

/// <summary>Many adapters of one base, stacked so that one product serves all: A [k, r, in], B [k, out, r] per module.</summary>
public sealed class StackedLora : IDisposable
{
    public static readonly IReadOnlyList<string> Modules = ["q_proj", "k_proj", "v_proj"];
    private readonly Dictionary<string, (Tensor A, Tensor B)> _factors = new(StringComparer.Ordinal);

    /// <summary>Every adapter starts from the same A (torch's current seed) and from B = 0, as a fleet that shares one training script does.</summary>
    public StackedLora(LlamaConfig config, int count, int rank, double alpha)
    {
        (Count, Rank, Alpha) = (count, rank, alpha);
        foreach (string module in ModuleNames(config))
        {
            using Tensor shared = randn(1, rank, config.HiddenSize) / Math.Sqrt(config.HiddenSize);
            int outputs = config.OutputSize(module[(module.LastIndexOf('.') + 1)..]);
            _factors[module] = (shared.repeat(count, 1, 1).requires_grad_(true), zeros(count, outputs, rank, requires_grad: true));
        }
    }

    public int Count { get; }

    public int Rank { get; }

    public double Alpha { get; }

    /// <summary>Factors by module name, for example model.layers.0.self_attn.q_proj.</summary>
    public IReadOnlyDictionary<string, (Tensor A, Tensor B)> Factors => _factors;

    /// <summary>All factors as named trainable tensors.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Parameters =>
        _factors.SelectMany(f => new[] { KeyValuePair.Create(f.Key + ".A", f.Value.A), KeyValuePair.Create(f.Key + ".B", f.Value.B) });

    public static IEnumerable<string> ModuleNames(LlamaConfig config) =>
        from layer in Enumerable.Range(0, config.Layers)
        from module in Modules
        select $"model.layers.{layer}.self_attn.{module}";

    /// <summary>Adapter output [rows, length, out]; rows [i·rows/k, (i+1)·rows/k) use adapter i.</summary>
    public Tensor Delta(Tensor x, string module)
    {
        var (a, b) = _factors[module];
        Tensor perAdapter = x.reshape(Count, -1, x.shape[2]);
        Tensor delta = perAdapter.bmm(a.transpose(1, 2)).bmm(b.transpose(1, 2)) * (Alpha / Rank);
        return delta.reshape(x.shape[0], x.shape[1], -1);
    }

    public void Dispose()
    {
        foreach (var (a, b) in _factors.Values)
        {
            a.Dispose();
            b.Dispose();
        }
    }
}
