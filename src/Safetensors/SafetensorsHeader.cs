using System.Buffers.Binary;
using System.Text.Json;

namespace Eigengate.Safetensors;

/// <summary>The JSON header of a safetensors container, validated (spec/adapters.md §1.1).</summary>
internal sealed record SafetensorsHeader(
    IReadOnlyDictionary<string, TensorEntry> Tensors,
    IReadOnlyDictionary<string, string> Metadata)
{
    internal const int PrefixLength = 8;
    private const long MaxHeaderLength = 100_000_000;

    /// <summary>Length of the JSON text that follows the 8-byte prefix.</summary>
    internal static int ReadLength(ReadOnlySpan<byte> prefix, long containerLength, string source)
    {
        if (prefix.Length < PrefixLength)
            throw new SafetensorsException(source, $"the file has {prefix.Length} bytes; a safetensors file starts with an 8-byte header length");

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderLength || (long)length > containerLength - PrefixLength)
        {
            throw new SafetensorsException(
                source, $"the header length {length} does not fit in a file of {containerLength} bytes; the file is truncated or not safetensors");
        }

        return (int)length;
    }

    internal static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long containerLength, string source)
    {
        var tensors = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        long dataStart = PrefixLength + json.Length;
        try
        {
            using var document = JsonDocument.Parse(json);
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                {
                    foreach (JsonProperty item in property.Value.EnumerateObject())
                        metadata[item.Name] = item.Value.GetString() ?? "";
                    continue;
                }

                TensorEntry entry = ReadEntry(property, dataStart, containerLength, source);
                if (!tensors.TryAdd(entry.Name, entry))
                    throw new SafetensorsException(source, $"tensor '{entry.Name}' appears twice in the header");
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new SafetensorsException(source, $"the header is not valid safetensors JSON: {e.Message}");
        }

        RefuseOverlap(tensors.Values, source);
        return new SafetensorsHeader(tensors, metadata);
    }

    private static TensorEntry ReadEntry(JsonProperty property, long dataStart, long containerLength, string source)
    {
        string name = property.Name;
        string dtypeName = property.Value.GetProperty("dtype").GetString() ?? "";
        if (!DTypeExtensions.TryParse(dtypeName, out DType dtype))
            throw new SafetensorsException(source, $"tensor '{name}' has dtype {dtypeName}; supported are F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");

        long[] shape = [.. property.Value.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
        JsonElement offsets = property.Value.GetProperty("data_offsets");
        if (offsets.GetArrayLength() != 2)
            throw new SafetensorsException(source, $"tensor '{name}' has {offsets.GetArrayLength()} data_offsets; [begin, end] was expected");
        long begin = offsets[0].GetInt64(), end = offsets[1].GetInt64();
        if (begin < 0 || end < begin || end > containerLength - dataStart)
        {
            throw new SafetensorsException(
                source,
                $"tensor '{name}' lies at bytes [{begin}, {end}) but the file holds {containerLength - dataStart} bytes of data; the file is truncated");
        }

        Int128 expected = dtype.Size();
        foreach (long dimension in shape)
        {
            if (dimension < 0)
                throw new SafetensorsException(source, $"tensor '{name}' has a negative dimension in its shape [{string.Join(", ", shape)}]");
            expected *= dimension;
            if (expected > long.MaxValue)
                throw new SafetensorsException(source, $"tensor '{name}' has the impossible shape [{string.Join(", ", shape)}]");
        }

        if (expected != end - begin)
        {
            throw new SafetensorsException(
                source, $"tensor '{name}' of shape [{string.Join(", ", shape)}] and dtype {dtypeName} needs {expected} bytes but has {end - begin}");
        }

        return new TensorEntry(name, dtype, shape, dataStart + begin, end - begin);
    }

    private static void RefuseOverlap(IEnumerable<TensorEntry> entries, string source)
    {
        TensorEntry? previous = null;
        foreach (TensorEntry entry in entries.Where(e => e.ByteLength > 0).OrderBy(e => e.Offset))
        {
            if (previous is not null && entry.Offset < previous.Offset + previous.ByteLength)
                throw new SafetensorsException(source, $"tensors '{previous.Name}' and '{entry.Name}' overlap");
            previous = entry;
        }
    }
}
