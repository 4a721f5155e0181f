using Eigengate.Safetensors;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>Values of a base model's tensors, read where an adapter means nothing without them (single file or sharded).</summary>
public sealed class BaseWeights : IDisposable
{
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> _tensors = new(StringComparer.Ordinal);

    /// <exception cref="AdapterFormatException">The folder holds no readable safetensors model.</exception>
    public BaseWeights(string modelFolder)
    {
        try
        {
            foreach (string name in BaseShapes.WeightFiles(modelFolder))
            {
                SafetensorsFile file = SafetensorsFile.Open(Path.Combine(modelFolder, name));
                _files.Add(file);
                foreach (TensorEntry entry in file.Tensors.Values)
                    _tensors[entry.Name] = (file, entry);
            }
        }
        catch (Exception e) when (e is IOException and not AdapterFormatException)
        {
            Dispose();
            throw AdapterFormatException.ForBase(Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(modelFolder))), e.Message, e);
        }
    }

    /// <summary>A bias [d_out]; null when the module has none.</summary>
    public float[]? ReadBias(string module)
    {
        if (!_tensors.TryGetValue($"{module}.bias", out var tensor))
            return null;
        return tensor.File.ReadFloat32(tensor.Entry.Name);
    }

    /// <summary>Rows of a weight [d_out, d_in], row-major.</summary>
    /// <param name="module">One that exists, with a matrix.</param>
    /// <param name="first">First row.</param>
    /// <param name="values">As many whole rows as fit.</param>
    public void ReadRows(string module, int first, Span<float> values)
    {
        var (file, entry) = _tensors[$"{module}.weight"];
        long rowBytes = entry.Shape[1] * entry.DType.Size();
        unsafe
        {
            byte* address = (byte*)file.Address(entry) + (first * rowBytes);
            FloatConversion.TryWiden(new ReadOnlySpan<byte>(address, values.Length * entry.DType.Size()), entry.DType, values);
        }
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());
}
