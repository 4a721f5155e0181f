using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>Weight shape of a linear module, [d_out, d_in].</summary>
public readonly record struct ModuleShape(int OutFeatures, int InFeatures)
{
    public override string ToString() => $"[{OutFeatures}, {InFeatures}]";
}

/// <summary>Shapes of a base model's linear modules, from its safetensors headers alone (single file or sharded).</summary>
public static class BaseShapes
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";
    private const string WeightSuffix = ".weight";

    /// <summary>Module path to shape, for every matrix named <c>….weight</c> except the token embedding.</summary>
    /// <exception cref="AdapterFormatException">The folder holds no readable safetensors model.</exception>
    public static IReadOnlyDictionary<string, ModuleShape> Read(string modelFolder)
    {
        var shapes = new SortedDictionary<string, ModuleShape>(StringComparer.Ordinal);
        foreach (string name in WeightFiles(modelFolder))
        {
            string path = Path.Combine(modelFolder, name);
            if (!File.Exists(path))
                throw Error(modelFolder, $"the file {name} is missing");
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(path);
                foreach (TensorEntry tensor in file.Tensors.Values)
                {
                    if (tensor.Shape.Length != 2 || !tensor.Name.EndsWith(WeightSuffix, StringComparison.Ordinal))
                        continue;
                    string module = tensor.Name[..^WeightSuffix.Length];
                    if (!module.EndsWith("embed_tokens", StringComparison.Ordinal))
                        shapes[module] = new ModuleShape(checked((int)tensor.Shape[0]), checked((int)tensor.Shape[1]));
                }
            }
            catch (SafetensorsException e)
            {
                throw AdapterFormatException.ForBase(Name(modelFolder), e.Message, e);
            }
        }

        return shapes;
    }

    /// <exception cref="AdapterFormatException">A module is not in the base, or has another shape there.</exception>
    internal static void Check(string adapter, IEnumerable<PeftModule> modules, IReadOnlyDictionary<string, ModuleShape> baseShapes, string owner = "the base model has")
    {
        foreach (PeftModule module in modules)
        {
            if (!baseShapes.TryGetValue(module.Path, out ModuleShape expected))
                throw new AdapterFormatException(adapter, $"module {module.Path} does not exist in the base model");
            var actual = new ModuleShape(module.OutFeatures, module.InFeatures);
            if (actual != expected)
                throw new AdapterFormatException(adapter, $"module {module.Path} is {actual}; {owner} {expected}");
        }
    }

    /// <summary>Names of the files that hold the weights.</summary>
    internal static string[] WeightFiles(string folder)
    {
        if (File.Exists(Path.Combine(folder, SingleFile)))
            return [SingleFile];
        string index = Path.Combine(folder, IndexFile);
        if (!File.Exists(index))
            throw Error(folder, $"neither {SingleFile} nor {IndexFile} exists in '{folder}'");
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            string[] files =
            [
                .. document.RootElement.GetProperty("weight_map").EnumerateObject().Select(p => p.Value.GetString()!).Distinct().Order(StringComparer.Ordinal),
            ];
            return Array.Find(files, f => Path.GetFileName(f) != f) is { } outside
                ? throw Error(folder, $"{IndexFile}: '{outside}' is not a plain file name")
                : files;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw AdapterFormatException.ForBase(Name(folder), $"{IndexFile} has no usable weight_map: {e.Message}", e);
        }
    }

    private static AdapterFormatException Error(string folder, string problem) => AdapterFormatException.ForBase(Name(folder), problem, null);

    private static string Name(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
