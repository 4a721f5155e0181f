using System.Text.Json;
using Eigengate.Safetensors;

namespace Eigengate.Inference.Models;

/// <summary>
/// The tensors of a model directory: one model.safetensors, or shards named by an index. Remembers what was read, so
/// that a tensor nobody asked for is an error instead of a silently different model.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";
    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsFile> _fileOfTensor = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unread = new(StringComparer.Ordinal);

    /// <exception cref="InvalidModelException">No weights, a missing shard, or a tensor that the index and its shard disagree about.</exception>
    /// <exception cref="SafetensorsException">A file is truncated or malformed.</exception>
    public Checkpoint(string directory)
    {
        try
        {
            string index = Path.Combine(directory, IndexFile);
            string single = Path.Combine(directory, SingleFile);
            if (File.Exists(index))
                OpenShards(directory, index);
            else if (File.Exists(single))
                AddFile(single);
            else
                throw new InvalidModelException($"'{directory}' has neither {SingleFile} nor {IndexFile}; safetensors weights were expected");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _fileOfTensor.ContainsKey(name);

    /// <summary>Finds a floating-point tensor of exactly this shape and marks it as read.</summary>
    /// <exception cref="InvalidModelException">Missing, not floating point, or another shape.</exception>
    public (SafetensorsFile File, TensorEntry Entry) Take(string name, params long[] shape)
    {
        if (!_fileOfTensor.TryGetValue(name, out SafetensorsFile? file))
            throw new InvalidModelException($"tensor '{name}' of shape [{string.Join(", ", shape)}] is missing from '{_files[0].Source}'");
        TensorEntry entry = file.Entry(name);
        if (!entry.Shape.AsSpan().SequenceEqual(shape))
        {
            throw new InvalidModelException(
                $"tensor '{name}' in '{file.Source}' has shape [{string.Join(", ", entry.Shape)}]; [{string.Join(", ", shape)}] was expected from config.json");
        }

        if (!entry.DType.IsFloatingPoint())
            throw new InvalidModelException($"tensor '{name}' in '{file.Source}' has dtype {entry.DType}; F32, BF16, F16 or F64 was expected");
        _unread.Remove(name);
        return (file, entry);
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
                $"'{_fileOfTensor[unread[0]].Source}' has tensors that a model of this type does not: {string.Join(", ", unread.Take(5))}{more}");
        }
    }

    public void Dispose() => _files.ForEach(file => file.Dispose());

    private void AddFile(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (string name in file.Tensors.Keys)
        {
            if (!_fileOfTensor.TryAdd(name, file))
                throw new InvalidModelException($"tensor '{name}' is in '{_fileOfTensor[name].Source}' and again in '{path}'");
            _unread.Add(name);
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
            if (!_fileOfTensor.TryGetValue(tensor, out SafetensorsFile? file) || Path.GetFileName(file.Source) != shard)
                throw new InvalidModelException($"'{index}' says tensor '{tensor}' is in '{shard}', but it is not");
        }
    }
}
