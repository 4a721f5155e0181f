using System.Text.Json;
using Eigengate.Safetensors;
using Microsoft.Win32.SafeHandles;

namespace Eigengate.Inference.Models;

/// <summary>Where one tensor of a checkpoint lies.</summary>
/// <param name="Handle">The open file; belongs to the checkpoint.</param>
internal readonly record struct StoredTensor(SafeFileHandle Handle, TensorEntry Entry, string Source)
{
    /// <summary>
    /// Reads bytes of the tensor into memory. Plain reads instead of a memory map, because mapped pages would count as a
    /// second copy of the weights.
    /// </summary>
    /// <param name="offset">First byte, counted from the start of the tensor.</param>
    public unsafe void Read(long offset, void* destination, long bytes)
    {
        for (long done = 0; done < bytes;)
        {
            var target = new Span<byte>((byte*)destination + done, (int)Math.Min(bytes - done, 1 << 30));
            int read = RandomAccess.Read(Handle, target, Entry.Offset + offset + done);
            if (read == 0)
                throw new SafetensorsException(Source, $"tensor '{Entry.Name}' ends early; the file was cut while it was read");
            done += read;
        }
    }
}

/// <summary>
/// The tensors of a model directory: one model.safetensors, or shards named by an index. Remembers what was read, so
/// that a tensor nobody asked for is an error instead of a silently different model.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";
    private readonly string _directory;
    private readonly List<SafeFileHandle> _handles = [];
    private readonly Dictionary<string, StoredTensor> _tensors = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal);

    /// <exception cref="InvalidModelException">No weights, a missing shard, or a tensor that the index and its shard disagree about.</exception>
    /// <exception cref="SafetensorsException">A file is truncated or malformed.</exception>
    public Checkpoint(string directory)
    {
        _directory = directory;
        try
        {
            string index = Path.Combine(directory, IndexFile);
            string single = Path.Combine(directory, SingleFile);
            if (File.Exists(single))
                AddFile(single);
            else if (File.Exists(index))
                OpenShards(directory, index);
            else
                throw new InvalidModelException($"'{directory}' has neither {SingleFile} nor {IndexFile}; {Advice(directory)}");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Finds a floating-point tensor of exactly this shape and marks it as read.</summary>
    /// <exception cref="InvalidModelException">Missing, not floating point, or another shape.</exception>
    public StoredTensor Take(string name, params long[] shape)
    {
        if (!_tensors.TryGetValue(name, out StoredTensor tensor))
            throw new InvalidModelException($"tensor '{name}' of shape [{string.Join(", ", shape)}] is missing from '{_directory}'");
        TensorEntry entry = tensor.Entry;
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new InvalidModelException(
                $"tensor '{name}' in '{tensor.Source}' has shape [{string.Join(", ", entry.Shape)}]; [{string.Join(", ", shape)}] was expected from config.json");
        }

        if (!entry.DType.IsFloatingPoint())
            throw new InvalidModelException($"tensor '{name}' in '{tensor.Source}' has dtype {entry.DType}; F32, BF16, F16 or F64 was expected");
        _unread.Remove(name);
        return tensor;
    }

    /// <summary>Marks a redundant tensor as known.</summary>
    public void Ignore(string name) => _unread.Remove(name);

    /// <exception cref="InvalidModelException">Some tensor was never read.</exception>
    public void RefuseUnread()
    {
        // Old exports store the rotary frequencies, which follow from config.json.
        string[] unread = [.. _unread.Where(n => !n.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        if (unread.Length > 0)
        {
            string more = unread.Length > 5 ? $" and {unread.Length - 5} more" : "";
            throw new InvalidModelException(
                $"'{_tensors[unread[0]].Source}' has tensors that a model of this type does not: {string.Join(", ", unread.Take(5))}{more}");
        }
    }

    public void Dispose() => _handles.ForEach(handle => handle.Dispose());

    /// <summary>Other forms of weights that people have in such a folder, and what to do about them.</summary>
    private static string Advice(string directory)
    {
        if (File.Exists(Path.Combine(directory, "consolidated.safetensors")))
            return "consolidated.safetensors has other tensor names; the Hugging Face form of the weights was expected";
        string? pickle = Directory.EnumerateFiles(directory).FirstOrDefault(f => Path.GetExtension(f) is ".bin" or ".pth" or ".pt");
        return pickle is null
            ? "safetensors weights were expected"
            : $"'{Path.GetFileName(pickle)}' is a pickle, which can run code when it is read: convert the weights to safetensors";
    }

    private void AddFile(string path)
    {
        SafeFileHandle handle = File.OpenHandle(path);
        _handles.Add(handle);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        foreach (TensorEntry entry in file.Tensors.Values)
        {
            if (!_tensors.TryAdd(entry.Name, new StoredTensor(handle, entry, path)))
                throw new InvalidModelException($"tensor '{entry.Name}' is in '{_tensors[entry.Name].Source}' and again in '{path}'");
            _unread.Add(entry.Name);
        }
    }

    private void OpenShards(string directory, string index)
    {
        Dictionary<string, string> shardOfTensor;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            shardOfTensor = document.RootElement.GetProperty("weight_map").EnumerateObject()
                .ToDictionary(p => p.Name, p => p.Value.GetString() ?? "", StringComparer.Ordinal);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            throw new InvalidModelException($"'{index}' is not a valid index: {e.Message}", e);
        }

        foreach (string shard in shardOfTensor.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            string path = Path.Combine(directory, shard);
            if (shard != Path.GetFileName(shard) || !File.Exists(path))
                throw new InvalidModelException($"'{index}' names the shard '{shard}', which is not in the directory");
            AddFile(path);
        }

        foreach (var (tensor, shard) in shardOfTensor)
        {
            if (!_tensors.TryGetValue(tensor, out StoredTensor stored) || Path.GetFileName(stored.Source) != shard)
                throw new InvalidModelException($"'{index}' says tensor '{tensor}' is in '{shard}', but it is not");
        }
    }
}
