using System.Buffers;
using System.Numerics;
using System.Security.Cryptography;
using Eigengate.Safetensors;
using Microsoft.Win32.SafeHandles;

namespace Eigengate.JointDiagonalization.Peft;

/// <summary>
/// One PEFT adapter folder: LoRA or rsLoRA, and where they are accepted DoRA and trained biases (spec/adapters.md §1, §2.1, §2.2). Opening validates the config and the tensor
/// headers; weights are read on demand and no file stays open, so that thousands can be held at once.
/// </summary>
public sealed class PeftAdapter
{
    internal const string WeightsFile = "adapter_model.safetensors";
    private const string PickleFile = "adapter_model.bin";
    private const int BlockBytes = 64 << 10;
    private static readonly string[] OwnFiles = [PeftConfig.FileName, WeightsFile, PickleFile];

    private readonly string _weightsPath;

    private PeftAdapter(string id, string folder, PeftConfig config, ModuleTable tensors)
    {
        Id = id;
        Folder = folder;
        _weightsPath = Path.Combine(folder, WeightsFile);
        BaseModel = config.BaseModel;
        Modules = tensors.Modules;
        TrainedBiases = tensors.Biases;
        WeightBytes = new FileInfo(_weightsPath).Length;
    }

    /// <summary>The folder's name.</summary>
    public string Id { get; }

    public string Folder { get; }

    /// <summary>base_model_name_or_path of the config, when stated.</summary>
    public string? BaseModel { get; }

    /// <summary>Adapted modules by path, e.g. <c>model.layers.0.self_attn.q_proj</c>, in ordinal order.</summary>
    public IReadOnlyDictionary<string, PeftModule> Modules { get; }

    /// <summary>Biases [d_out] that take the place of the base's, by module path; modules without A and B may have one.</summary>
    public IReadOnlyDictionary<string, TensorEntry> TrainedBiases { get; }

    /// <summary>Size of adapter_model.safetensors.</summary>
    public long WeightBytes { get; }

    /// <summary>Largest LoRA rank of any module.</summary>
    public int Rank => Modules.Values.Max(m => m.Rank);

    /// <summary>Adapter folders directly below <paramref name="root"/> (or root itself), in ordinal order of their names.</summary>
    public static IReadOnlyList<string> FindFolders(string root)
    {
        if (IsAdapterFolder(root))
            return [root];
        return Directory.Exists(root)
            ? [.. Directory.EnumerateDirectories(root).Where(IsAdapterFolder).OrderBy(Path.GetFileName, StringComparer.Ordinal)]
            : throw new DirectoryNotFoundException($"the adapter folder '{root}' does not exist");

        static bool IsAdapterFolder(string folder) => Array.Exists(OwnFiles, file => File.Exists(Path.Combine(folder, file)));
    }

    /// <param name="folder">Folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <param name="baseShapes">When given, every module must exist there with the same shape.</param>
    /// <param name="acceptOutputs">Whether it may have more than A and B: gains and biases, which <see cref="OutputReader"/> reads.</param>
    /// <exception cref="AdapterFormatException">Anything missing, unsupported or inconsistent.</exception>
    public static PeftAdapter Open(string folder, IReadOnlyDictionary<string, ModuleShape>? baseShapes = null, bool acceptOutputs = false)
    {
        string id = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        try
        {
            string configPath = Require(folder, PeftConfig.FileName, id);
            PeftConfig config = PeftConfig.Parse(id, File.ReadAllBytes(configPath));
            if (!acceptOutputs && config.OutputSetting is { } setting)
                throw new AdapterFormatException(id, $"{PeftConfig.FileName}: the setting {setting} adds gains or biases to A and B; such an adapter is only served uncompressed");
            if (!File.Exists(Path.Combine(folder, WeightsFile)) && File.Exists(Path.Combine(folder, PickleFile)))
                throw new AdapterFormatException(id, $"{PickleFile} is a pickle file, which is not read; convert it to {WeightsFile}");
            string weights = Require(folder, WeightsFile, id);
            using SafetensorsFile file = SafetensorsFile.Open(weights);
            var tensors = new ModuleTable(id, file.Tensors.Values, config);
            if (baseShapes is not null)
                BaseShapes.Check(id, tensors.Modules.Values, baseShapes);
            return new PeftAdapter(id, folder, config, tensors);
        }
        catch (SafetensorsException e)
        {
            throw new AdapterFormatException(id, e.Message, e);
        }
        catch (Exception e) when (e is IOException and not AdapterFormatException or UnauthorizedAccessException)
        {
            throw new AdapterFormatException(id, $"cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads A and B of one module, widened to float32.</summary>
    /// <exception cref="AdapterFormatException">The file changed or holds a value that is not finite.</exception>
    public LoraDelta ReadDelta(string module)
    {
        if (!Modules.TryGetValue(module, out PeftModule? entry))
            throw new ArgumentException($"adapter '{Id}' does not adapt {module}", nameof(module));
        try
        {
            using var handle = File.OpenHandle(_weightsPath);
            return new LoraDelta(
                ReadTensor(handle, entry.B), ReadTensor(handle, entry.A), entry.OutFeatures, entry.InFeatures, entry.Rank, entry.Scale);
        }
        catch (Exception e) when (e is IOException and not AdapterFormatException)
        {
            throw new AdapterFormatException(Id, $"{WeightsFile} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads one of the adapter's tensors, widened to float32.</summary>
    /// <exception cref="AdapterFormatException">The file changed or holds a value that is not finite.</exception>
    internal float[] Read(TensorEntry entry)
    {
        try
        {
            using var handle = File.OpenHandle(_weightsPath);
            return ReadTensor(handle, entry);
        }
        catch (Exception e) when (e is IOException and not AdapterFormatException)
        {
            throw new AdapterFormatException(Id, $"{WeightsFile} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads every weight once and refuses values that are not finite, by tensor and index.</summary>
    /// <exception cref="AdapterFormatException">A NaN or infinity.</exception>
    public void RequireFinite()
    {
        foreach (string module in Modules.Keys)
            ReadDelta(module);
    }

    /// <summary>SHA-256, in hex, over the SHA-256 of the config and of the weights: the identity of this version of the adapter.</summary>
    public string ComputeDigest()
    {
        using var both = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string name in new[] { PeftConfig.FileName, WeightsFile })
        {
            using FileStream stream = File.OpenRead(Path.Combine(Folder, name));
            both.AppendData(SHA256.HashData(stream));
        }

        return Convert.ToHexStringLower(both.GetHashAndReset());
    }

    private float[] ReadTensor(SafeFileHandle handle, TensorEntry entry)
    {
        float[] values = GC.AllocateUninitializedArray<float>(checked((int)entry.Count));
        byte[] block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            int elements = BlockBytes / entry.DType.Size();
            for (int first = 0; first < values.Length; first += elements)
            {
                Span<float> part = values.AsSpan(first, Math.Min(elements, values.Length - first));
                Span<byte> bytes = block.AsSpan(0, part.Length * entry.DType.Size());
                ReadFully(handle, bytes, entry.Offset + ((long)first * entry.DType.Size()), entry.Name);
                FloatConversion.TryWiden(bytes, entry.DType, part);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }

        int bad = IndexOfNonFinite(values);
        if (bad >= 0)
        {
            string place = entry.Shape.Length == 1 ? $"{bad}" : $"{bad / entry.Shape[1]}, {bad % entry.Shape[1]}";
            throw new AdapterFormatException(Id, $"{WeightsFile}: tensor '{entry.Name}' holds {values[bad]} at [{place}]; finite values were expected");
        }

        return values;
    }

    private void ReadFully(SafeFileHandle handle, Span<byte> bytes, long offset, string tensor)
    {
        for (int read = 0; read < bytes.Length;)
        {
            int count = RandomAccess.Read(handle, bytes[read..], offset + read);
            if (count == 0)
                throw new AdapterFormatException(Id, $"{WeightsFile}: tensor '{tensor}' ends early; the file changed since it was opened");
            read += count;
        }
    }

    /// <summary>v − v is 0 exactly for finite v, and a vector of sums tells whether that held for all.</summary>
    private static int IndexOfNonFinite(float[] values)
    {
        Vector<float> sums = Vector<float>.Zero;
        int i = 0;
        for (; i + Vector<float>.Count <= values.Length; i += Vector<float>.Count)
        {
            var v = new Vector<float>(values, i);
            sums += v - v;
        }

        bool rest = Array.TrueForAll(values[i..], float.IsFinite);
        return rest && Vector.Sum(sums) == 0 ? -1 : Array.FindIndex(values, v => !float.IsFinite(v));
    }

    private static string Require(string folder, string name, string id)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? path : throw new AdapterFormatException(id, $"the file {name} is missing in '{folder}'");
    }
}
