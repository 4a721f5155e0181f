using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>
/// Sorts the tensors of a file by module. Driven by the tensors, validated by the config: each is consumed or refused by name.
/// </summary>
internal sealed class ModuleTable
{
    private readonly string _adapter;
    private readonly PeftConfig _config;
    private readonly SortedDictionary<string, Dictionary<TensorRole, TensorEntry>> _roles = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, TensorEntry> _biases = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, PeftModule> _modules = new(StringComparer.Ordinal);

    /// <exception cref="AdapterFormatException">Names the tensor or module that is not as the config says.</exception>
    internal ModuleTable(string adapter, IEnumerable<TensorEntry> tensors, PeftConfig config)
    {
        (_adapter, _config) = (adapter, config);
        string? segment = null;
        foreach (TensorEntry tensor in tensors.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            if (TensorNames.Parse(tensor.Name) is not var (module, role, name) || !IsExpected(role))
                throw Error($"tensor '{tensor.Name}' {TensorNames.WhyRefused(tensor.Name)}; lora_A and lora_B weights were expected");
            if (name is not null && segment is not null && name != segment)
                throw Error($"tensor '{tensor.Name}' belongs to adapter '{name}' and others to '{segment}'; one adapter was expected");
            segment = name ?? segment;
            Add(module, role, tensor);
        }

        if (_roles.Count == 0)
            throw Error("holds no lora_A and lora_B tensors");
        foreach (var (module, roles) in _roles)
            _modules.Add(module, Complete(module, roles));
    }

    /// <summary>Modules with A and B.</summary>
    internal IReadOnlyDictionary<string, PeftModule> Modules => _modules;

    /// <summary>Trained biases [d_out] by module, whether it has A and B or not.</summary>
    internal IReadOnlyDictionary<string, TensorEntry> Biases => _biases;

    private bool IsExpected(TensorRole role) => role switch
    {
        TensorRole.Magnitude => _config.UsesDora,
        TensorRole.FactorBias => _config.HasFactorBiases,
        TensorRole.Bias => _config.TrainsBiases,
        _ => true,
    };

    private void Add(string module, TensorRole role, TensorEntry tensor)
    {
        RequireShape(tensor, role is TensorRole.A or TensorRole.B ? 2 : 1);
        if (role == TensorRole.Bias)
        {
            if (!_biases.TryAdd(module, tensor))
                throw Error($"tensors '{_biases[module].Name}' and '{tensor.Name}' are the same bias of {module}");
            return;
        }

        if (!_roles.TryGetValue(module, out Dictionary<TensorRole, TensorEntry>? roles))
            _roles[module] = roles = [];
        if (!roles.TryAdd(role, tensor))
            throw Error($"tensors '{roles[role].Name}' and '{tensor.Name}' are the same factor of {module}");
    }

    private PeftModule Complete(string module, Dictionary<TensorRole, TensorEntry> roles)
    {
        TensorEntry a = Require(TensorRole.A, "lora_A"), b = Require(TensorRole.B, "lora_B");
        long rank = a.Shape[0];
        if (b.Shape[1] != rank)
            throw Error($"module {module}: A is [{a.Shape[0]}, {a.Shape[1]}] and B is [{b.Shape[0]}, {b.Shape[1]}]; B's columns must equal A's rows (the rank)");
        int stated = _config.RankOf(module);
        if (rank != stated)
            throw Error($"module {module}: the tensors have rank {rank}, but {PeftConfig.FileName} states {stated}");
        return new PeftModule(module, a, b, _config.ScaleOf(module))
        {
            FactorBias = _config.HasFactorBiases ? OutputsOf(b, Require(TensorRole.FactorBias, "the bias of lora_B")) : null,
            Magnitude = _config.UsesDora ? OutputsOf(b, Require(TensorRole.Magnitude, "lora_magnitude_vector")) : null,
        };

        TensorEntry Require(TensorRole role, string what) =>
            roles.TryGetValue(role, out TensorEntry? tensor) ? tensor : throw Error($"module {module} is incomplete: {what} is missing");
    }

    private TensorEntry OutputsOf(TensorEntry b, TensorEntry vector) => vector.Shape[0] == b.Shape[0] ? vector
        : throw Error($"tensor '{vector.Name}' has {vector.Shape[0]} numbers; one for each of the {b.Shape[0]} outputs was expected");

    private void RequireShape(TensorEntry tensor, int dimensions)
    {
        if (tensor.Shape.Length != dimensions || tensor.Shape.Any(d => d is < 1 or > int.MaxValue))
            throw Error($"tensor '{tensor.Name}' has shape [{string.Join(", ", tensor.Shape)}]; a non-empty {(dimensions == 2 ? "matrix" : "vector")} was expected");
        if (!tensor.DType.IsFloatingPoint())
            throw Error($"tensor '{tensor.Name}' has dtype {tensor.DType}; F64, F32, F16 or BF16 was expected");
    }

    private AdapterFormatException Error(string problem) => new(_adapter, $"{PeftAdapter.WeightsFile}: {problem}");
}
