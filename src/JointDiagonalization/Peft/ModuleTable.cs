using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>Pairs the A and B tensors of a file by module. Driven by the tensors, validated by the config: each is consumed or refused by name.</summary>
internal static class ModuleTable
{
    internal static IReadOnlyDictionary<string, PeftModule> Build(string adapter, IEnumerable<TensorEntry> tensors, PeftConfig config)
    {
        var sides = new SortedDictionary<string, (TensorEntry? A, TensorEntry? B)>(StringComparer.Ordinal);
        string? segment = null;
        foreach (TensorEntry tensor in tensors.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            if (TensorNames.ParseFactor(tensor.Name) is not var (module, side, name))
                throw Error(adapter, $"tensor '{tensor.Name}' {TensorNames.WhyRefused(tensor.Name)}; lora_A and lora_B weights were expected");
            if (name is not null && segment is not null && name != segment)
                throw Error(adapter, $"tensor '{tensor.Name}' belongs to adapter '{name}' and others to '{segment}'; one adapter was expected");
            segment = name ?? segment;
            RequireMatrix(adapter, tensor);
            (TensorEntry? a, TensorEntry? b) = sides.GetValueOrDefault(module);
            if ((side == 'A' ? a : b) is { } twin)
                throw Error(adapter, $"tensors '{twin.Name}' and '{tensor.Name}' are the same factor of {module}");
            sides[module] = side == 'A' ? (tensor, b) : (a, tensor);
        }

        if (sides.Count == 0)
            throw Error(adapter, "holds no lora_A and lora_B tensors");
        var modules = new SortedDictionary<string, PeftModule>(StringComparer.Ordinal);
        foreach (var (module, (a, b)) in sides)
            modules.Add(module, Pair(adapter, module, a, b, config));
        return modules;
    }

    private static PeftModule Pair(string adapter, string module, TensorEntry? a, TensorEntry? b, PeftConfig config)
    {
        if (a is null || b is null)
            throw Error(adapter, $"module {module} is incomplete: lora_{(a is null ? 'A' : 'B')} is missing");
        long rank = a.Shape[0];
        if (b.Shape[1] != rank)
        {
            throw Error(
                adapter,
                $"module {module}: A is [{a.Shape[0]}, {a.Shape[1]}] and B is [{b.Shape[0]}, {b.Shape[1]}]; B's columns must equal A's rows (the rank)");
        }

        int stated = config.RankOf(module);
        if (rank != stated)
            throw Error(adapter, $"module {module}: the tensors have rank {rank}, but {PeftConfig.FileName} states {stated}");
        return new PeftModule(module, a, b, config.ScaleOf(module));
    }

    private static void RequireMatrix(string adapter, TensorEntry tensor)
    {
        if (tensor.Shape.Length != 2 || tensor.Shape.Any(d => d is < 1 or > int.MaxValue))
            throw Error(adapter, $"tensor '{tensor.Name}' has shape [{string.Join(", ", tensor.Shape)}]; a non-empty matrix was expected");
        if (!tensor.DType.IsFloatingPoint())
            throw Error(adapter, $"tensor '{tensor.Name}' has dtype {tensor.DType}; F64, F32, F16 or BF16 was expected");
    }

    private static AdapterFormatException Error(string adapter, string problem) => new(adapter, $"{PeftAdapter.WeightsFile}: {problem}");
}
